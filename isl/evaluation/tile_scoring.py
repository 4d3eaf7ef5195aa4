"""Scores the tiles of a label, band by band of the image."""

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from isl.evaluation.pixel_sums import PixelSums
from isl.evaluation.scoring import read_true_bins
from isl.evaluation.similarity import SIMILARITY_MARGIN, structural_similarity
from isl.evaluation.tile_scores import TILE_SIZE, TileScores, iter_tiles
from isl.evaluation.wells import WellScores
from isl.images import Well

# Rows and columns of the well to the true bins, uint8, [row, column].
ReadBins = Callable[[slice, slice], np.ndarray]


# What `PixelSums` has of distributions, in its order.
_OF_DISTRIBUTIONS = ("nll", "crps", "mean", "mean_squares", "mean_products")


class DistributionSums:
    """Sums over the distributions of each tile, while other tiles stream by.

    Attributes:
        sums: float64, [sum, row of tiles, column of tiles], in the order of
            the last attributes of `PixelSums`, from `nll` on.
    """

    def __init__(self, rows: slice, columns: slice):
        """Starts at zero for the tiles of a region."""
        self._starts = (rows.start, columns.start)
        shape = tuple(len(_starts(span)) for span in (rows, columns))
        self.sums = np.zeros((len(_OF_DISTRIBUTIONS), *shape))

    def add(
        self,
        rows: slice,
        columns: slice,
        true_bins: np.ndarray,
        mean: np.ndarray,
        nll: np.ndarray | float = np.nan,
        crps: np.ndarray | float = np.nan,
    ) -> None:
        """Adds pixels.

        Args:
            rows: Rows of the well, inside the region.
            columns: Columns of the well, likewise.
            true_bins: Of these pixels, integers, [row, column].
            mean: Means of their distributions, in bins, likewise.
            nll: Likewise; NaN of a regression head.
            crps: Likewise.
        """
        mean = mean.astype(np.float64)
        values = (nll, crps, mean, mean**2, true_bins * mean)
        cuts, places = [], []
        for span, start in zip((rows, columns), self._starts, strict=True):
            first = (span.start - start) // TILE_SIZE
            last = (span.stop - 1 - start) // TILE_SIZE
            edges = start + np.arange(first, last + 1) * TILE_SIZE
            cuts.append(np.maximum(edges - span.start, 0))
            places.append(slice(first, last + 1))
        for total, part in zip(self.sums, values, strict=True):
            part = np.broadcast_to(np.asarray(part, np.float64), mean.shape)
            by_row = np.add.reduceat(part, cuts[0], axis=0)
            total[tuple(places)] += np.add.reduceat(by_row, cuts[1], axis=1)


def score_tiles(
    rows: slice,
    columns: slice,
    read_true: ReadBins,
    predicted: np.ndarray,
    distributions: DistributionSums | None,
) -> tuple[TileScores, ...]:
    """Scores every tile of a region.

    Memory holds one row of tiles.

    Args:
        rows: Rows of the region in the well.
        columns: Columns of the region.
        read_true: Reads the label.
        predicted: Bins of the region, uint8, [row, column].
        distributions: Of the region; None where only a statistic was
            predicted.

    Returns:
        The scores, in the order of `iter_tiles`.
    """
    sums = []
    for index, start in enumerate(_starts(rows)):
        stop = min(start + TILE_SIZE, rows.stop)
        band = _band_sums(
            rows, columns, slice(start, stop), read_true, predicted
        )
        if distributions is None:
            others = np.full((len(_OF_DISTRIBUTIONS), band.shape[1]), np.nan)
        else:
            others = distributions.sums[:, index]
        sums += list(np.concatenate([band, others]).T)
    return tuple(
        TileScores(*tile, PixelSums.from_array(values))
        for tile, values in zip(iter_tiles(rows, columns), sums, strict=True)
    )


def with_tiles(
    scores: WellScores,
    well: Well,
    distributions: Mapping[str, DistributionSums] | None = None,
) -> WellScores:
    """Returns the scores of a well with those of its tiles.

    Args:
        scores: Their predictions are complete.
        well: What they are of.
        distributions: Label to sums of the region; None where only statistics
            were predicted.
    """
    tiles = {
        label: score_tiles(
            scores.rows,
            scores.columns,
            functools.partial(read_true_bins, well, label),
            predicted,
            None if distributions is None else distributions[label],
        )
        for label, predicted in scores.predictions.items()
    }
    return dataclasses.replace(scores, tiles=tiles)


def _starts(span: slice) -> Sequence[int]:
    return range(span.start, span.stop, TILE_SIZE)


def _band_sums(
    rows: slice,
    columns: slice,
    band: slice,
    read_true: ReadBins,
    predicted: np.ndarray,
) -> np.ndarray:
    """Sums of a row of tiles, [quantity, tile], as in `PixelSums`."""
    # Similarity looks beyond the band, but not beyond the region.
    wide = slice(
        max(rows.start, band.start - SIMILARITY_MARGIN),
        min(rows.stop, band.stop + SIMILARITY_MARGIN),
    )
    true = read_true(wide, columns)
    other = predicted[wide.start - rows.start : wide.stop - rows.start]
    inner = slice(band.start - wide.start, band.stop - wide.start)
    similarity = structural_similarity(true, other)[inner]
    t, p = (bins[inner].astype(np.int64) for bins in (true, other))
    distance = np.abs(t - p)
    quantities = (
        np.ones_like(t),
        t,
        p,
        t * t,
        p * p,
        t * p,
        distance,
        distance == 0,
        distance <= 8,
        np.nan_to_num(similarity),
        np.isfinite(similarity),
    )
    cuts = np.arange(0, t.shape[1], TILE_SIZE)
    return np.stack(
        [np.add.reduceat(q.sum(axis=0), cuts) for q in quantities]
    ).astype(np.float64)
