"""Cell by cell: what biologists would read off truth and prediction.

Nuclei are found in the true and in the predicted label in the same way and
matched; number, area and brightness are compared, and whether a cell is
called dead by the propidium iodide label (a dye that enters dead cells only).
"""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from isl.evaluation.matching import (
    CellErrors,
    count_errors,
    detection,
    match,
    overlaps,
)
from isl.evaluation.nuclei import Segmenter
from isl.evaluation.viability import (
    DeadImages,
    Viability,
    accuracies,
    confusion_matrix,
    judge_nuclei,
    viability_metrics,
)

# Of the curve of precision and recall over the strictness of a match.
IOU_THRESHOLDS = tuple(round(0.05 * step, 2) for step in range(2, 20))
MIN_IOU = 0.5


@dataclasses.dataclass(frozen=True)
class Cell:
    """One nucleus of an image.

    Attributes:
        row: Row of its centre in the well.
        column: Column of its centre in the well.
        area: Pixels.
        intensity: Mean of the nuclear label, in [0, 1].
        dead_intensity: Mean of the label of dead cells, in [0, 1]; None
            without one.
        is_dead: Whether that is above the threshold; None without one.
    """

    row: float
    column: float
    area: int
    intensity: float
    dead_intensity: float | None = None
    is_dead: bool | None = None


def measure_cells(
    regions: np.ndarray,
    image: np.ndarray,
    dead: np.ndarray | None = None,
    dead_threshold: float = 1.0,
    origin: tuple[int, int] = (0, 0),
) -> list[Cell]:
    """Measures every nucleus.

    Args:
        regions: From a segmenter, [row, column].
        image: The nuclear label, intensities in [0, 1], [row, column].
        dead: The label of dead cells, likewise.
        dead_threshold: Mean intensity from which a cell is dead.
        origin: Row and column of the well where the images begin.

    Returns:
        A cell for each region, in the order of their numbers.
    """
    places = regions.nonzero()
    # Of the pixels of nuclei only: the rest of a well is most of it.
    _, members, areas = np.unique(
        regions[places], return_inverse=True, return_counts=True
    )

    def means(values: np.ndarray) -> list[float]:
        return (np.bincount(members, values) / areas).tolist()

    centers = zip(*map(means, places), strict=True)
    intensities = means(image[places])
    dead_means = [None] * areas.size if dead is None else means(dead[places])
    return [
        Cell(
            row=row + origin[0],
            column=column + origin[1],
            area=int(area),
            intensity=intensity,
            dead_intensity=mean,
            is_dead=None if mean is None else mean >= dead_threshold,
        )
        for (row, column), area, intensity, mean in zip(
            centers, areas, intensities, dead_means, strict=True
        )
    ]


@dataclasses.dataclass(frozen=True)
class CellComparison:
    """The cells of one image, or of several.

    Attributes:
        errors: The four errors, and the numbers of cells.
        matched: Pairs of a true and a predicted cell, at `MIN_IOU`.
        missed: True cells without a match.
        added: Predicted cells without a match.
        curve: Smallest IoU of a match to the number of matches.
        viability: Of each true cell, by image; empty without a label of dead
            cells.
    """

    errors: CellErrors
    matched: tuple[tuple[Cell, Cell], ...]
    missed: tuple[Cell, ...]
    added: tuple[Cell, ...]
    curve: Mapping[float, int]
    viability: tuple[tuple[Viability, ...], ...] = ()

    def __add__(self, other: "CellComparison") -> "CellComparison":
        """Adds the cells of another image."""
        return CellComparison(
            self.errors + other.errors,
            self.matched + other.matched,
            self.missed + other.missed,
            self.added + other.added,
            {iou: n + other.curve[iou] for iou, n in self.curve.items()},
            self.viability + other.viability,
        )

    @property
    def judged(self) -> int:
        """Number of true cells in images with a label of dead cells."""
        return sum(map(len, self.viability))

    @property
    def dead(self) -> int:
        """How many of these are dead."""
        return sum(one.is_dead for image in self.viability for one in image)

    def metrics(self) -> dict[str, float | None]:
        """Returns metric names to values; None where undefined."""
        errors = self.errors
        found = detection(errors.true, errors.predicted, len(self.matched))
        return {
            "cells_true": float(errors.true),
            "cells_predicted": float(errors.predicted),
            "cell_split": float(errors.split),
            "cell_merged": float(errors.merged),
            "cell_added": float(errors.added),
            "cell_missed": float(errors.missed),
            **{f"cell_{name}": value for name, value in found.items()},
            "cell_area_pearson": self._correlation("area"),
            "cell_intensity_pearson": self._correlation("intensity"),
            **self._live_dead(),
            **viability_metrics(self.viability),
        }

    def iou_curve(self) -> list[dict[str, float | None]]:
        """Precision, recall and F1 by the smallest IoU of a match."""
        errors = self.errors
        return [
            {
                "iou": iou,
                "matched": matched,
                **detection(errors.true, errors.predicted, matched),
            }
            for iou, matched in self.curve.items()
        ]

    def _correlation(self, name: str) -> float | None:
        pairs = [
            [getattr(one, name), getattr(other, name)]
            for one, other in self.matched
        ]
        return pearson(pairs)

    def confusion(self) -> np.ndarray | None:
        """Matched cells by life and death.

        Returns:
            Number of cells, int64, [true, predicted], alive before dead; None
            if there is no label of dead cells.
        """
        calls = [
            (one.is_dead, other.is_dead)
            for one, other in self.matched
            if one.is_dead is not None and other.is_dead is not None
        ]
        return confusion_matrix(calls) if calls else None

    def _live_dead(self) -> dict[str, float | None]:
        table = self.confusion()
        if table is None:
            return {}
        found = {f"live_dead_{k}": v for k, v in accuracies(table).items()}
        return found | {
            "dead_true": float(table[1].sum()),
            "dead_predicted": float(table[:, 1].sum()),
        }


def pearson(pairs: Sequence[Sequence[float]]) -> float | None:
    """Pearson's r of pairs; None for fewer than two, or constant values."""
    values = np.asarray(pairs, np.float64).reshape(-1, 2)
    if len(values) < 2 or not np.ptp(values, axis=0).all():
        return None
    return float(np.corrcoef(values.T)[0, 1])


def count_pairs(
    cells: CellComparison, tiles: Iterable[tuple[slice, slice]]
) -> list[tuple[int, int]]:
    """Counts the cells of tiles by their centres.

    Args:
        cells: The cells.
        tiles: Rows and columns of the well.

    Returns:
        True and predicted number of cells of each tile.
    """
    true = _centers([*(one for one, _ in cells.matched), *cells.missed])
    predicted = _centers([*(other for _, other in cells.matched), *cells.added])
    return [
        (_count(true, rows, columns), _count(predicted, rows, columns))
        for rows, columns in tiles
    ]


def _centers(cells: Iterable[Cell]) -> np.ndarray:
    """Nearest pixels of the centres, [cell, (row, column)]."""
    places = [(cell.row, cell.column) for cell in cells]
    return np.rint(np.reshape(places, (-1, 2)))


def _count(centers: np.ndarray, rows: slice, columns: slice) -> int:
    first = (rows.start, columns.start)
    end = (rows.stop, columns.stop)
    inside = (centers >= first) & (centers < end)
    return int(inside.all(axis=1).sum())


def compare_cells(
    true: np.ndarray,
    predicted: np.ndarray,
    segmenter: Segmenter,
    dead: DeadImages | None = None,
    origin: tuple[int, int] = (0, 0),
) -> CellComparison:
    """Finds and compares the cells of an image.

    Args:
        true: Nuclear label, intensities in [0, 1], [row, column].
        predicted: Its prediction, likewise.
        segmenter: Finds nuclei in both.
        dead: The label of dead cells; None without one.
        origin: Row and column of the well where the images begin.
    """
    true_regions, predicted_regions = segmenter(true), segmenter(predicted)
    limit = () if dead is None else (dead.threshold,)
    true_cells = measure_cells(
        true_regions, true, dead and dead.true, *limit, origin=origin
    )
    predicted_cells = measure_cells(
        predicted_regions,
        predicted,
        dead and dead.predicted,
        *limit,
        origin=origin,
    )
    found = overlaps(true_regions, predicted_regions)
    pairs = match(found, MIN_IOU)
    matched_true = {one for one, _ in pairs}
    matched_predicted = {other for _, other in pairs}
    return CellComparison(
        errors=count_errors(found),
        matched=tuple(
            (true_cells[one], predicted_cells[other]) for one, other in pairs
        ),
        missed=_others(true_cells, matched_true),
        added=_others(predicted_cells, matched_predicted),
        curve={iou: len(match(found, iou)) for iou in IOU_THRESHOLDS},
        viability=(judge_nuclei(true_regions, dead),) if dead else (),
    )


def _others(cells: Sequence[Cell], chosen: set[int]) -> tuple[Cell, ...]:
    return tuple(c for index, c in enumerate(cells) if index not in chosen)
