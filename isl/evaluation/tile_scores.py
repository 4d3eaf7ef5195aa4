"""Scores of small tiles of a well: where a prediction is good, where not.

The spread over tiles also gives intervals (`bootstrap_intervals`).
"""

import dataclasses
import math
from collections.abc import Iterator, Sequence

import numpy as np

from isl.evaluation.pixel_sums import PixelSums

TILE_SIZE = 128
"""Rows and columns of a tile, pixels; tiles at the end are smaller."""

# Fewer tiles say too little about the next field of view.
MIN_TILES = 5
NUM_RESAMPLES = 1000
_RESAMPLES_AT_ONCE = 50
_SEED = 0
_INTERVAL = (0.025, 0.975)
# Draws without a defined value (constant tiles only) that are passed over.
_MAX_UNDEFINED = 0.05


@dataclasses.dataclass(frozen=True)
class TileScores:
    """Scores of one label in one tile.

    Attributes:
        rows: Rows of the well.
        columns: Columns of the well.
        sums: Of its pixels.
    """

    rows: slice
    columns: slice
    sums: PixelSums

    def pearson(self) -> float | None:
        """Pearson's r; None if truth or prediction is constant."""
        return number(self.sums.pearson())

    def mae(self) -> float | None:
        """Mean absolute error, as an intensity of 0 to 1."""
        return number(self.sums.mae())


def number(value: np.ndarray) -> float | None:
    """Returns a single value as a float; None if it is not finite."""
    return float(value) if math.isfinite(value) else None


def iter_tiles(rows: slice, columns: slice) -> Iterator[tuple[slice, slice]]:
    """Yields the tiles of a region, row by row.

    Args:
        rows: Rows of the region.
        columns: Columns of the region.

    Yields:
        Rows and columns of a tile, each at most `TILE_SIZE`.
    """
    for row in range(rows.start, rows.stop, TILE_SIZE):
        for column in range(columns.start, columns.stop, TILE_SIZE):
            yield (
                slice(row, min(row + TILE_SIZE, rows.stop)),
                slice(column, min(column + TILE_SIZE, columns.stop)),
            )


def place_within(
    rows: slice, columns: slice, of_rows: slice, of_columns: slice
) -> tuple[slice, slice]:
    """Returns where a part of a well lies in an image of a region of it.

    Args:
        rows: Rows of the well.
        columns: Columns of the well.
        of_rows: Rows of the region.
        of_columns: Columns of the region.
    """
    return tuple(
        slice(span.start - whole.start, span.stop - whole.start)
        for span, whole in ((rows, of_rows), (columns, of_columns))
    )


def pool(tiles: Sequence[TileScores]) -> PixelSums:
    """Returns the sums of all pixels of some tiles, one or more."""
    stacked = np.stack([tile.sums.to_array() for tile in tiles])
    return PixelSums.from_array(stacked.sum(axis=0))


def bootstrap_intervals(
    tiles: Sequence[TileScores],
) -> dict[str, tuple[float, float]]:
    """Returns 95 % intervals of metrics over fields like these.

    Tiles are drawn with repetition, as many as there are, 1,000 times; the
    interval holds the middle 95 % of the values (percentile bootstrap, Efron
    1979). Neighbouring tiles resemble each other, and tiles of one well more
    than those of two, so intervals are rather too narrow than too wide.

    Args:
        tiles: Of one label, of one well or of several.

    Returns:
        Metric name to the lower and upper end; without metrics that are
        undefined. Empty for fewer than `MIN_TILES` tiles.
    """
    if len(tiles) < MIN_TILES:
        return {}
    intervals = {}
    for name, values in _resample(tiles).metrics().items():
        defined = values[np.isfinite(values)]
        if len(defined) >= (1 - _MAX_UNDEFINED) * NUM_RESAMPLES:
            low, high = np.quantile(defined, _INTERVAL)
            intervals[name] = (float(low), float(high))
    return intervals


def _resample(tiles: Sequence[TileScores]) -> PixelSums:
    """Returns the sums of the pixels of tiles drawn with repetition."""
    sums = np.stack([tile.sums.to_array() for tile in tiles])
    shares = np.full(len(tiles), 1 / len(tiles))
    generator = np.random.default_rng(_SEED)
    # All at once, a plate of 100,000 tiles would take gigabytes.
    drawn = [
        generator.multinomial(len(tiles), shares, _RESAMPLES_AT_ONCE) @ sums
        for _ in range(NUM_RESAMPLES // _RESAMPLES_AT_ONCE)
    ]
    return PixelSums.from_array(np.concatenate(drawn))
