"""Cell by cell: what biologists would read off truth and prediction.

Nuclei are found in the true and in the predicted label in the same way and
matched; number, area and brightness are compared, and whether a cell is
called dead by the propidium iodide label (a dye that enters dead cells only).
"""

import csv
import dataclasses
import io
import os
from collections.abc import Mapping, Sequence

import numpy as np
from scipy import ndimage

from isl import files
from isl.evaluation.matching import (
    CellErrors,
    count_errors,
    detection,
    match,
    overlaps,
)
from isl.evaluation.nuclei import Segmenter

# Of the curve of precision and recall over the strictness of a match.
IOU_THRESHOLDS = tuple(round(0.05 * step, 2) for step in range(2, 20))
MIN_IOU = 0.5


@dataclasses.dataclass(frozen=True)
class Cell:
    """One nucleus of an image.

    Attributes:
        row: Of its centre, pixels.
        column: Of its centre, pixels.
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
    dead_threshold: float = 0.5,
) -> list[Cell]:
    """Measures every nucleus.

    Args:
        regions: From a segmenter, [row, column].
        image: The nuclear label, intensities in [0, 1], [row, column].
        dead: The label of dead cells, likewise.
        dead_threshold: Mean intensity from which a cell is dead.

    Returns:
        A cell for each region, in the order of their numbers.
    """
    numbers = np.unique(regions)
    numbers = numbers[numbers > 0]
    if not numbers.size:
        return []
    centers = ndimage.center_of_mass(regions > 0, regions, numbers)
    areas = ndimage.sum_labels(regions > 0, regions, numbers)
    intensities = ndimage.mean(image, regions, numbers)
    dead_means = [None] * numbers.size
    if dead is not None:
        dead_means = [
            float(value) for value in ndimage.mean(dead, regions, numbers)
        ]
    return [
        Cell(
            row=float(row),
            column=float(column),
            area=int(area),
            intensity=float(intensity),
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
    """

    errors: CellErrors
    matched: tuple[tuple[Cell, Cell], ...]
    missed: tuple[Cell, ...]
    added: tuple[Cell, ...]
    curve: Mapping[float, int]

    def __add__(self, other: "CellComparison") -> "CellComparison":
        """Adds the cells of another image."""
        return CellComparison(
            self.errors + other.errors,
            self.matched + other.matched,
            self.missed + other.missed,
            self.added + other.added,
            {iou: n + other.curve[iou] for iou, n in self.curve.items()},
        )

    def metrics(self) -> dict[str, float | None]:
        """Returns metric names to values; None where undefined."""
        errors = self.errors
        values = {
            "nuclei_true": float(errors.true),
            "nuclei_predicted": float(errors.predicted),
            "nuclei_split": float(errors.split),
            "nuclei_merged": float(errors.merged),
            "nuclei_added": float(errors.added),
            "nuclei_missed": float(errors.missed),
            "area_pearson": self._correlation("area"),
            "intensity_pearson": self._correlation("intensity"),
        }
        found = detection(errors.true, errors.predicted, len(self.matched))
        return {**found, **values, **self._viability()}

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
            (int(one.is_dead), int(other.is_dead))
            for one, other in self.matched
            if one.is_dead is not None and other.is_dead is not None
        ]
        if not calls:
            return None
        table = np.zeros((2, 2), np.int64)
        np.add.at(table, tuple(np.transpose(calls)), 1)
        return table

    def _viability(self) -> dict[str, float | None]:
        table = self.confusion()
        if table is None:
            return {}
        alive, dead = (
            table[k, k] / table[k].sum() if table[k].sum() else None
            for k in (0, 1)
        )
        balanced = None if None in (alive, dead) else (alive + dead) / 2
        return {
            "viability_accuracy": float(np.trace(table) / table.sum()),
            "viability_balanced_accuracy": balanced,
            "dead_true": float(table[1].sum()),
            "dead_predicted": float(table[:, 1].sum()),
        }


def pearson(pairs: Sequence[Sequence[float]]) -> float | None:
    """Pearson's r of pairs; None for fewer than two, or constant values."""
    values = np.asarray(pairs, np.float64).reshape(-1, 2)
    if len(values) < 2 or not np.ptp(values, axis=0).all():
        return None
    return float(np.corrcoef(values.T)[0, 1])


def compare_cells(
    true: np.ndarray,
    predicted: np.ndarray,
    segmenter: Segmenter,
    true_dead: np.ndarray | None = None,
    predicted_dead: np.ndarray | None = None,
    dead_threshold: float = 0.5,
) -> CellComparison:
    """Finds and compares the cells of an image.

    Args:
        true: Nuclear label, intensities in [0, 1], [row, column].
        predicted: Its prediction, likewise.
        segmenter: Finds nuclei in both.
        true_dead: Label of dead cells, likewise; None without one.
        predicted_dead: Its prediction.
        dead_threshold: Mean intensity from which a cell is dead, in truth and
            prediction.
    """
    true_regions, predicted_regions = segmenter(true), segmenter(predicted)
    true_cells = measure_cells(true_regions, true, true_dead, dead_threshold)
    predicted_cells = measure_cells(
        predicted_regions, predicted, predicted_dead, dead_threshold
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
    )


def _others(cells: Sequence[Cell], chosen: set[int]) -> tuple[Cell, ...]:
    return tuple(c for index, c in enumerate(cells) if index not in chosen)


_FIELDS = tuple(field.name for field in dataclasses.fields(Cell))
CELL_COLUMNS = (
    "condition",
    "well",
    "label",
    *(f"true_{name}" for name in _FIELDS),
    *(f"predicted_{name}" for name in _FIELDS),
)


def write_cells(
    path: str | os.PathLike,
    comparisons: Mapping[tuple[str, str, str], CellComparison],
) -> None:
    """Writes a table with a row for each cell.

    A missed cell has nothing under the columns of the prediction, an added
    one nothing under those of the truth.

    Args:
        path: The CSV file.
        comparisons: (condition, well, label) to its cells.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(CELL_COLUMNS)
    for key, cells in comparisons.items():
        pairs = [
            *cells.matched,
            *((cell, None) for cell in cells.missed),
            *((None, cell) for cell in cells.added),
        ]
        for one, other in pairs:
            writer.writerow([*key, *_values(one), *_values(other)])
    files.write_text(path, text.getvalue())


def _values(cell: Cell | None) -> list[object]:
    if cell is None:
        return [""] * len(_FIELDS)
    values = dataclasses.astuple(cell)
    return ["" if value is None else value for value in values]
