"""What is known of a well after it was scored, and the table of it."""

import dataclasses
from collections.abc import (
    Collection,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)

import numpy as np

from isl.evaluation.cells import CellComparison, count_pairs, pearson
from isl.evaluation.neurites import NeuriteComparison
from isl.evaluation.scoring import LabelScores
from isl.evaluation.tables import FAILED, POOLED, MetricRow
from isl.evaluation.tile_scores import (
    TILE_SIZE,
    TileScores,
    bootstrap_intervals,
    number,
    pool,
)
from isl.images import Well


@dataclasses.dataclass(frozen=True)
class WellScores:
    """Scores of one well.

    Images are of the rows and columns that were scored; they may be on disk
    (`isl.evaluation.parking`). What a data spec does not ask for, or a stored
    prediction does not hold, is empty.

    Attributes:
        condition: Name of the condition.
        well: Name of the well.
        rows: Rows of the well that were scored.
        columns: Likewise.
        labels: Label to its scores.
        predictions: Label to the bins of the median, uint8, [row, column].
        deviations: Label to the standard deviation of the predicted
            distribution, uint8, [row, column]: round(255 x intensity).
        means: Label to the mean of the predicted distribution, likewise, of
            labels whose objects are judged by it; until they are judged.
        tiles: Label to the scores of its tiles, row by row.
        cells: Nuclear label to its cells.
        neurites: Label of axons or dendrites to its lines.
        camera_slopes: Label to how many units of the camera an intensity of
            1 is above one of 0, where its normalisation is known.
    """

    condition: str
    well: str
    rows: slice
    columns: slice
    labels: Mapping[str, LabelScores]
    predictions: Mapping[str, np.ndarray]
    deviations: Mapping[str, np.ndarray] = dataclasses.field(
        default_factory=dict
    )
    means: Mapping[str, np.ndarray] = dataclasses.field(default_factory=dict)
    tiles: Mapping[str, tuple[TileScores, ...]] = dataclasses.field(
        default_factory=dict
    )
    cells: Mapping[str, CellComparison] = dataclasses.field(
        default_factory=dict
    )
    neurites: Mapping[str, NeuriteComparison] = dataclasses.field(
        default_factory=dict
    )
    camera_slopes: Mapping[str, float] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class FailedWell:
    """A well that could not be scored.

    Attributes:
        condition: Name of the condition.
        well: Name of the well.
        labels: What was to be scored of it.
        reason: Why it failed, in one line.
    """

    condition: str
    well: str
    labels: tuple[str, ...]
    reason: str

    def __str__(self) -> str:
        """Returns the names and the reason."""
        name = " ".join(filter(None, (self.condition, self.well)))
        return f"{name}: {self.reason}"


def empty_scores(
    condition: str,
    well: Well,
    rows: slice,
    columns: slice,
    labels: Collection[str],
    uncertain: Collection[str],
    averaged: Collection[str] = (),
) -> WellScores:
    """Returns scores of no pixel yet, to be filled.

    Args:
        condition: Name of the condition.
        well: The well.
        rows: Rows to score.
        columns: Columns to score.
        labels: Labels to score.
        uncertain: Labels with a standard deviation.
        averaged: Labels whose means are kept.
    """
    shape = (rows.stop - rows.start, columns.stop - columns.start)
    return WellScores(
        condition=condition,
        well=well.name,
        rows=rows,
        columns=columns,
        labels={label: LabelScores() for label in labels},
        predictions={label: np.zeros(shape, np.uint8) for label in labels},
        deviations={label: np.zeros(shape, np.uint8) for label in uncertain},
        means={label: np.zeros(shape, np.uint8) for label in averaged},
    )


def pool_wells(wells: Iterable[WellScores]) -> dict[str, list[WellScores]]:
    """Returns conditions to their wells, in the order of appearance."""
    pooled: dict[str, list[WellScores]] = {}
    for scores in wells:
        pooled.setdefault(scores.condition, []).append(scores)
    return pooled


def pool_labels(wells: Iterable[WellScores]) -> dict[str, LabelScores]:
    """Returns labels to the scores of the pixels of all wells."""
    pooled: dict[str, LabelScores] = {}
    for scores in wells:
        for label, label_scores in scores.labels.items():
            pooled.setdefault(label, LabelScores()).merge(label_scores)
    return pooled


def pool_cells(wells: Iterable[WellScores]) -> dict[str, CellComparison]:
    """Returns nuclear labels to the cells of all wells."""
    pooled: dict[str, CellComparison] = {}
    for scores in wells:
        for label, cells in scores.cells.items():
            pooled[label] = pooled[label] + cells if label in pooled else cells
    return pooled


def metric_rows(wells: Iterable[WellScores]) -> list[MetricRow]:
    """Returns the table: pooled rows of each condition and label, then wells.

    Args:
        wells: Scores; wells of one condition and label are pooled by adding
            their pixels, tiles, cells and lines.
    """
    wells = list(wells)
    groups = [(POOLED, group) for group in pool_wells(wells).values()]
    groups += [(scores.well, [scores]) for scores in wells]
    return [
        row
        for name, group in groups
        for label, scores in pool_labels(group).items()
        for row in [
            *_pixel_rows(name, label, scores, group),
            *_cell_rows(name, label, group),
            *_neurite_rows(name, label, group),
        ]
    ]


def failed_rows(failures: Iterable[FailedWell]) -> list[MetricRow]:
    """Returns what the table says of wells that are not in its numbers."""
    return [
        MetricRow(one.condition, one.well, label, FAILED, 1, count=0)
        for one in failures
        for label in one.labels
    ]


def _pixel_rows(
    name: str, label: str, scores: LabelScores, group: Sequence[WellScores]
) -> Iterator[MetricRow]:
    tiles = [tile for one in group for tile in one.tiles.get(label, ())]
    metrics = scores.metrics()
    intervals = bootstrap_intervals(tiles)
    if tiles:
        pooled = pool(tiles).metrics()
        metrics |= {k: number(pooled[k]) for k in ("ssim", "psnr")}
    slopes = {
        one.camera_slopes.get(label) for one in group if label in one.labels
    }
    if len(slopes) == 1 and None not in slopes:
        (slope,) = slopes
        error, interval = metrics["mae"], intervals.get("mae")
        metrics["mae_camera"] = None if error is None else slope * error
        if interval is not None:
            intervals["mae_camera"] = (slope * interval[0], slope * interval[1])
    for metric, value in metrics.items():
        low, high = intervals.get(metric, (None, None))
        if value is None:
            low = high = None
        count = scores.histogram.count
        yield MetricRow(
            group[0].condition, name, label, metric, value, count, low, high
        )


def _cell_rows(
    name: str, label: str, group: Sequence[WellScores]
) -> Iterator[MetricRow]:
    found = [one for one in group if label in one.cells]
    if not found:
        return
    cells = pool_cells(found)[label]
    counts = [
        pair
        for one in found
        for pair in count_pairs(
            one.cells[label],
            # Smaller ones at the edge have fewer cells, true and predicted,
            # wherever those lie.
            [
                (tile.rows, tile.columns)
                for tile in one.tiles.get(label, ())
                if tile.sums.count == TILE_SIZE**2
            ],
        )
    ]
    metrics = {**cells.metrics(), "cell_count_pearson": pearson(counts)}
    for metric, value in metrics.items():
        count = (
            cells.judged
            if metric.startswith("viability_")
            else cells.errors.true
        )
        yield MetricRow(group[0].condition, name, label, metric, value, count)


def _neurite_rows(
    name: str, label: str, group: Sequence[WellScores]
) -> Iterator[MetricRow]:
    found = [one for one in group if label in one.neurites]
    if not found:
        return
    lines = sum((one.neurites[label] for one in found), NeuriteComparison())
    count = sum(one.labels[label].histogram.count for one in found)
    for metric, value in lines.metrics().items():
        yield MetricRow(group[0].condition, name, label, metric, value, count)
