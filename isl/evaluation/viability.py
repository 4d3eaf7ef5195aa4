"""Alive or dead: what a dye that enters dead cells only says of nuclei."""

import dataclasses
from collections.abc import Sequence

import numpy as np
from scipy import stats


@dataclasses.dataclass(frozen=True)
class DeadImages:
    """The label that tells dead cells, true and predicted.

    Attributes:
        true: Intensities in [0, 1], [row, column].
        predicted: Likewise.
        threshold: Mean intensity over a nucleus from which it is dead, in
            truth and prediction.
    """

    true: np.ndarray
    predicted: np.ndarray
    threshold: float


@dataclasses.dataclass(frozen=True)
class Viability:
    """The dye in a true nucleus, and what is predicted of it there.

    Attributes:
        true_margin: Mean intensity over the nucleus less the threshold of
            death; dead from 0 on.
        predicted_margin: Likewise, of the prediction over the same pixels.
    """

    true_margin: float
    predicted_margin: float

    @property
    def is_dead(self) -> bool:
        """Whether the true nucleus is dead."""
        return self.true_margin >= 0


def judge_nuclei(
    regions: np.ndarray, dead: DeadImages
) -> tuple[Viability, ...]:
    """Looks for the dye in each true nucleus.

    By the outlines of the truth, so that it is asked of every nucleus, not
    only of those that the prediction shows as well.

    Args:
        regions: True nuclei, from a segmenter, [row, column].
        dead: The dye.

    Returns:
        One for each region, in the order of their numbers.
    """
    places = regions.nonzero()
    _, members, areas = np.unique(
        regions[places], return_inverse=True, return_counts=True
    )
    margins = (
        np.bincount(members, image[places]) / areas - dead.threshold
        for image in (dead.true, dead.predicted)
    )
    return tuple(
        Viability(float(true), float(predicted))
        for true, predicted in zip(*margins, strict=True)
    )


def confusion_matrix(calls: Sequence[tuple[bool, bool]]) -> np.ndarray:
    """Counts nuclei by life and death.

    Args:
        calls: Whether each is dead, in truth and prediction.

    Returns:
        Numbers, int64, [true, predicted], alive before dead.
    """
    table = np.zeros((2, 2), np.int64)
    np.add.at(table, tuple(np.reshape(calls, (-1, 2)).astype(int).T), 1)
    return table


def accuracies(table: np.ndarray) -> dict[str, float | None]:
    """Returns how often calls are right.

    Args:
        table: From `confusion_matrix`, of at least one nucleus.

    Returns:
        `accuracy`; `balanced_accuracy`, the mean of the shares of living and
        of dead ones that are called so, None without one of either; and
        `majority`, what calling all of them alive, or all dead, would reach.
    """
    total = table.sum()
    alive, dead = (
        table[k, k] / table[k].sum() if table[k].sum() else None for k in (0, 1)
    )
    balanced = None if None in (alive, dead) else float((alive + dead) / 2)
    return {
        "accuracy": float(np.trace(table) / total),
        "balanced_accuracy": balanced,
        "majority": float(table.sum(axis=1).max() / total),
    }


def viability_metrics(
    images: Sequence[Sequence[Viability]],
) -> dict[str, float | None]:
    """Returns metrics of all true nuclei; none without nuclei.

    `viability_auc` is the area under the receiver operating characteristic:
    the probability that of a dead and a living nucleus of one image the dead
    one is predicted brighter (Mann and Whitney's U over the number of such
    pairs; 0.5 by chance). It needs no threshold of the prediction. Nuclei of
    different images are not compared: thresholds differ, and so do the
    scales of intensities.

    Args:
        images: The nuclei of each image.
    """
    nuclei = [nucleus for image in images for nucleus in image]
    if not nuclei:
        return {}
    true, predicted = np.transpose([dataclasses.astuple(x) for x in nuclei])
    table = confusion_matrix(np.transpose([true >= 0, predicted >= 0]))
    found = {f"viability_{k}": v for k, v in accuracies(table).items()}
    return found | {
        "viability_auc": _area_under_curve(images),
        "viability_dead_true": float(table[1].sum()),
        "viability_dead_predicted": float(table[:, 1].sum()),
    }


def _area_under_curve(images: Sequence[Sequence[Viability]]) -> float | None:
    counts = [_ordered_pairs(image) for image in images]
    ordered, pairs = np.sum(counts, axis=0)
    return float(ordered / pairs) if pairs else None


def _ordered_pairs(nuclei: Sequence[Viability]) -> tuple[float, int]:
    """Returns U of the dead over the living, and the number of pairs."""
    dead = np.array([one.is_dead for one in nuclei], bool)
    ranks = stats.rankdata([one.predicted_margin for one in nuclei])
    count = int(dead.sum())
    ordered = float(ranks[dead].sum()) - count * (count + 1) / 2
    return ordered, count * (dead.size - count)
