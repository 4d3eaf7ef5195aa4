"""One position for each tile from the offsets between neighbours.

What the pairs of one direction agree on (the true overlap, a shear of the
stage) corrects the nominal positions first. Pairs that show nothing in their
overlap take this corrected offset, with little weight; all are reconciled by
least squares. (Chalfoun et al., Scientific Reports 7:4988, 2017, model the
stage in the same spirit.)
"""

import dataclasses
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from isl.errors import InputError
from isl.preprocessing.arrays import MAD_TO_STD
from isl.preprocessing.tile_offsets import (
    Agreement,
    ReadTile,
    compare_neighbours,
)

# Correlation from which a pair's offset counts as measured.
MIN_CORRELATION = 0.3
# Correlation from which it tells what the stage does.
STRONG_CORRELATION = 0.6
# Offsets lie within this many standard deviations of what pairs of their
# direction agree on, but at least within `MIN_REACH` pixels.
REACH, MIN_REACH = 5.0, 10.0
# Pairs that disagree with the final positions by more pixels are left out.
MAX_RESIDUAL = 3.0
FALLBACK_WEIGHT = 1e-3


@dataclasses.dataclass(frozen=True)
class PairOffset:
    """Offset of two neighbouring tiles.

    Attributes:
        first: Index of the upper or left tile.
        second: Index of the lower or right tile.
        expected: Offset, (row, column) of the second relative to the first,
            that pairs of this direction agree on, pixels.
        measured: Offset found in the images, or None if they do not tell.
        correlation: Of the overlaps at the best offset, -1 to 1.
    """

    first: int
    second: int
    expected: tuple[float, float]
    measured: tuple[float, float] | None
    correlation: float


@dataclasses.dataclass(frozen=True)
class Placement:
    """Where the tiles of a mosaic lie.

    Attributes:
        positions: (row, column) of each tile's first pixel in the mosaic,
            pixels; the smallest row and the smallest column are 0.
        pairs: The offsets that they rest on. Those that disagreed with the
            others have no measured offset.
    """

    positions: tuple[tuple[float, float], ...]
    pairs: tuple[PairOffset, ...]

    def to_dict(self) -> dict[str, Any]:
        """Returns the placement as JSON."""
        return dataclasses.asdict(self)


def place_tiles(
    read_tile: ReadTile,
    nominal: np.ndarray,
    tile_shape: tuple[int, int],
    max_shift: float,
) -> Placement:
    """Finds where tiles lie, from one image of each.

    All planes and channels of a tile share one position: register the plane
    with most detail and stitch the others with the result.

    Args:
        read_tile: Index to tile, [row, column], any real type. Each is read
            once.
        nominal: Where they lie if the stage is believed, [tile, 2], pixels.
        tile_shape: Rows and columns of a tile.
        max_shift: How far the stage may be wrong between neighbours, as a
            share of the longer side of a tile.

    Returns:
        The placement. Where the images tell nothing at all, it is that of the
        stage.

    Raises:
        InputError: If there is no tile, or one has another size.
    """
    if not len(nominal):
        raise InputError("tiles: at least one is needed. Received: 0.")
    agreements = compare_neighbours(read_tile, nominal, tile_shape, max_shift)
    return reconcile(nominal, measure_offsets(agreements, nominal))


def measure_offsets(
    agreements: Iterable[Agreement], nominal: np.ndarray
) -> tuple[PairOffset, ...]:
    """Chooses the offset of each pair.

    Args:
        agreements: Of all pairs of neighbours.
        nominal: Where the tiles lie if the stage is believed, [tile, 2].

    Returns:
        The offsets, in the same order.
    """
    agreements = list(agreements)
    offsets = []
    stages = [_stage(agreements, nominal, axis) for axis in range(2)]
    for agreement in agreements:
        pair = agreement.pair
        error, reach = stages[pair.axis]
        expected = nominal[pair.second] - nominal[pair.first] + error
        measured, correlation = agreement.best(expected, reach)
        offsets.append(
            PairOffset(
                pair.first,
                pair.second,
                _pair(expected),
                _pair(measured) if correlation >= MIN_CORRELATION else None,
                correlation,
            )
        )
    return tuple(offsets)


def reconcile(nominal: np.ndarray, pairs: Sequence[PairOffset]) -> Placement:
    """Finds the positions that agree best with all offsets.

    Weighted least squares, the weight of a measured offset being its squared
    correlation. As long as one disagrees with the result by more than
    `MAX_RESIDUAL` pixels, the worst of them is replaced by what is expected
    of its direction. Tiles that no pair connects keep their nominal positions
    relative to the rest.

    Args:
        nominal: Where the tiles lie if the stage is believed, [tile, 2].
        pairs: Offsets between neighbours.

    Returns:
        The placement.
    """
    pairs = list(pairs)
    while True:
        positions = _least_squares(nominal, pairs)
        residuals = [
            0.0
            if pair.measured is None
            else np.abs(
                positions[pair.second] - positions[pair.first] - pair.measured
            ).max()
            for pair in pairs
        ]
        worst = int(np.argmax(residuals)) if pairs else 0
        if not pairs or residuals[worst] <= MAX_RESIDUAL:
            break
        pairs[worst] = dataclasses.replace(pairs[worst], measured=None)
    positions -= positions.min(axis=0)
    return Placement(tuple(_pair(place) for place in positions), tuple(pairs))


def _stage(
    agreements: Sequence[Agreement], nominal: np.ndarray, axis: int
) -> tuple[np.ndarray, np.ndarray]:
    """Returns by how much the stage errs in a direction, and how evenly.

    Returns:
        Median error, and how far from it offsets are to be expected, each
        (row, column) in pixels.
    """
    errors = []
    for agreement in agreements:
        pair = agreement.pair
        offset, correlation = agreement.best()
        if pair.axis == axis and correlation >= STRONG_CORRELATION:
            step = nominal[pair.second] - nominal[pair.first]
            errors.append(offset - step)
    if not errors:
        return np.zeros(2), np.full(2, np.inf)
    median = np.median(errors, axis=0)
    spread = MAD_TO_STD * np.median(np.abs(errors - median), axis=0)
    return median, np.maximum(REACH * spread, MIN_REACH)


def _least_squares(
    nominal: np.ndarray, pairs: Sequence[PairOffset]
) -> np.ndarray:
    """Returns positions, float64, [tile, 2]."""
    count = len(nominal)
    # Unknown is how far each tile lies from its nominal position. The last
    # rows hold these near 0, just enough to fix what the pairs leave open.
    matrix = np.zeros((len(pairs) + count, count))
    wanted = np.zeros((len(pairs) + count, 2))
    for row, pair in enumerate(pairs):
        offset = pair.expected if pair.measured is None else pair.measured
        weight = (
            FALLBACK_WEIGHT
            if pair.measured is None
            else max(pair.correlation, MIN_CORRELATION)
        )
        matrix[row, [pair.first, pair.second]] = -weight, weight
        step = nominal[pair.second] - nominal[pair.first]
        wanted[row] = weight * (np.array(offset) - step)
    matrix[len(pairs) :] = np.eye(count) * FALLBACK_WEIGHT**2
    return nominal + np.linalg.lstsq(matrix, wanted, rcond=None)[0]


def _pair(values: np.ndarray) -> tuple[float, float]:
    return float(values[0]), float(values[1])
