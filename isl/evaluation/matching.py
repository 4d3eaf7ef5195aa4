"""Compares the cells of a prediction with the true ones.

The errors are named as the paper names them: split, merged, added, missed.
How they are counted is ours, as biologists marked them by eye there.
"""

import dataclasses
from collections.abc import Iterator

import numpy as np
from scipy import optimize, sparse
from scipy.sparse import csgraph

# Two regions belong together if they share this much of the smaller one.
_MIN_SHARED = 0.5


@dataclasses.dataclass(frozen=True)
class Overlaps:
    """How the regions of two segmentations lie over each other.

    Attributes:
        true_ids: Numbers of the true regions, [true].
        predicted_ids: Numbers of the predicted regions, [predicted].
        true_areas: Pixels, [true].
        predicted_areas: Pixels, [predicted].
        shared: Pixels that two regions share, sparse, [true, predicted].
    """

    true_ids: np.ndarray
    predicted_ids: np.ndarray
    true_areas: np.ndarray
    predicted_areas: np.ndarray
    shared: sparse.coo_array

    def iou(self) -> np.ndarray:
        """Intersection over union of the pairs of `shared`, [pair]."""
        one, other, pixels = self.shared.row, self.shared.col, self.shared.data
        union = self.true_areas[one] + self.predicted_areas[other] - pixels
        return pixels / union


def overlaps(true: np.ndarray, predicted: np.ndarray) -> Overlaps:
    """Counts the pixels that regions share.

    Args:
        true: Integers, [row, column]; 0 is background, each cell has a
            positive number.
        predicted: Likewise.

    Raises:
        ValueError: If the shapes differ.
    """
    if true.shape != predicted.shape:
        raise ValueError(
            f"true and predicted must have the same shape. Received: "
            f"{true.shape} and {predicted.shape}"
        )
    true_ids, true_areas = _regions(true)
    predicted_ids, predicted_areas = _regions(predicted)
    both = (true > 0) & (predicted > 0)
    pairs = (
        np.searchsorted(true_ids, true[both]),
        np.searchsorted(predicted_ids, predicted[both]),
    )
    # Duplicate pairs add up.
    shared = sparse.coo_array(
        (np.ones(len(pairs[0]), np.int64), pairs),
        shape=(true_ids.size, predicted_ids.size),
    )
    shared.sum_duplicates()
    return Overlaps(
        true_ids, predicted_ids, true_areas, predicted_areas, shared
    )


def _regions(image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Numbers of the regions in ascending order, and their areas."""
    # Without the background, which is most of an image, for memory's sake.
    return np.unique(image[image > 0], return_counts=True)


def match(found: Overlaps, min_iou: float = 0.5) -> list[tuple[int, int]]:
    """Matches cells one to one, so that the sum of their IoU is the largest.

    Args:
        found: From `overlaps`.
        min_iou: Smallest intersection over union of a match, above 0.

    Returns:
        Pairs of places in `true_ids` and `predicted_ids`.
    """
    iou = found.iou()
    kept = iou >= min_iou
    one, other = found.shared.row[kept], found.shared.col[kept]
    if min_iou > 0.5:  # Then no cell can have two.
        return sorted(zip(one.tolist(), other.tolist(), strict=True))
    pairs = []
    for group in _groups(one, other, found.shared.shape):
        pairs += _assign(one[group], other[group], iou[kept][group])
    return sorted(pairs)


def _groups(
    one: np.ndarray, other: np.ndarray, shape: tuple[int, int]
) -> Iterator[np.ndarray]:
    """Yields the places of pairs that compete with each other.

    Cells that touch are few, so a table of each group is small; one of all
    cells would grow with the square of their number.
    """
    if not one.size:
        return
    graph = sparse.coo_array(
        (np.ones(one.size), (one, shape[0] + other)),
        shape=(sum(shape), sum(shape)),
    )
    _, group = csgraph.connected_components(graph, directed=False)
    order = np.argsort(group[one], kind="stable")
    yield from np.split(order, np.flatnonzero(np.diff(group[one][order])) + 1)


def _assign(
    one: np.ndarray, other: np.ndarray, iou: np.ndarray
) -> list[tuple[int, int]]:
    """Matches cells so that the sum of their IoU is the largest."""
    true, true_place = np.unique(one, return_inverse=True)
    predicted, predicted_place = np.unique(other, return_inverse=True)
    scores = np.zeros((true.size, predicted.size))
    scores[true_place, predicted_place] = iou
    rows, columns = optimize.linear_sum_assignment(scores, maximize=True)
    return [
        (int(true[row]), int(predicted[column]))
        for row, column in zip(rows, columns, strict=True)
        if scores[row, column] > 0
    ]


@dataclasses.dataclass(frozen=True)
class CellErrors:
    """The four errors, and how many cells there are.

    Attributes:
        true: True cells.
        predicted: Predicted cells.
        split: True cells that are predicted as several.
        merged: Predicted cells that are several true ones.
        added: Predicted cells where there is none.
        missed: True cells that are not predicted.
    """

    true: int = 0
    predicted: int = 0
    split: int = 0
    merged: int = 0
    added: int = 0
    missed: int = 0

    def __add__(self, other: "CellErrors") -> "CellErrors":
        """Adds the cells of another image."""
        return CellErrors(
            *(
                one + two
                for one, two in zip(
                    dataclasses.astuple(self),
                    dataclasses.astuple(other),
                    strict=True,
                )
            )
        )


def count_errors(found: Overlaps) -> CellErrors:
    """Counts the paper's four errors.

    A true and a predicted cell belong together if they share at least half
    of the smaller one. A true cell with several predicted ones is split, a
    predicted cell with several true ones merged; cells with none are missed
    and added.
    """
    one, other, pixels = found.shared.row, found.shared.col, found.shared.data
    smaller = np.minimum(found.true_areas[one], found.predicted_areas[other])
    together = pixels >= _MIN_SHARED * smaller
    of_true = np.bincount(one[together], minlength=found.true_ids.size)
    of_predicted = np.bincount(
        other[together], minlength=found.predicted_ids.size
    )
    return CellErrors(
        true=found.true_ids.size,
        predicted=found.predicted_ids.size,
        split=int((of_true > 1).sum()),
        merged=int((of_predicted > 1).sum()),
        added=int((of_predicted == 0).sum()),
        missed=int((of_true == 0).sum()),
    )


def detection(
    true: int, predicted: int, matched: int
) -> dict[str, float | None]:
    """Precision, recall and F1 of matched cells; None where undefined."""
    return {
        "precision": matched / predicted if predicted else None,
        "recall": matched / true if true else None,
        "f1": 2 * matched / (true + predicted) if true + predicted else None,
    }
