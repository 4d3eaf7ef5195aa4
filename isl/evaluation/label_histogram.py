"""A distribution without learning: the same at every pixel.

What the likelihood of a network has to beat: the histogram of the labels that
it was trained on. (`label_entropy` is that of the judged pixels' own histogram,
which nobody knows beforehand.)
"""

import math
from collections.abc import Iterable, Sequence

import numpy as np

from isl.evaluation.scoring import read_true_bins
from isl.images import Well
from isl.network.intensity_bins import NUM_BINS
from isl.specs import Region

Part = tuple[Well, Region]


def histogram_nll(
    training: Iterable[Part], judged: Iterable[Part], labels: Sequence[str]
) -> dict[str, float | None]:
    """Returns the likelihood of labels under the histogram of others.

    Args:
        training: Wells with the part whose histogram is taken, one added to
            each bin.
        judged: Wells with the part that is judged.
        labels: Labels.

    Returns:
        Label to mean negative log likelihood over ln 256; None where one of
        both lacks it.
    """
    known, seen = _count(training, labels), _count(judged, labels)
    scores = {}
    for label in labels:
        scores[label] = None
        if known[label].any() and seen[label].any():
            counts = known[label] + 1
            surprise = -np.log(counts / counts.sum()) / math.log(NUM_BINS)
            scores[label] = float(np.average(surprise, weights=seen[label]))
    return scores


def _count(
    parts: Iterable[Part], labels: Sequence[str]
) -> dict[str, np.ndarray]:
    """Label to pixels of each bin, int64, [bin]."""
    counts = {label: np.zeros(NUM_BINS, np.int64) for label in labels}
    for well, region in parts:
        rows, columns = region.resolve(well.shape)
        for label in counts.keys() & well.labels.keys():
            bins = read_true_bins(well, label, rows, columns)
            counts[label] += np.bincount(bins.ravel(), minlength=NUM_BINS)
    return counts
