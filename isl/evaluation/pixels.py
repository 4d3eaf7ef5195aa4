"""Pixel metrics from a joint histogram that grows while tiles stream by.

True and predicted intensities are quantised into 256 bins (bin =
round(255 x intensity)). The 256 x 256 table of how often each pair occurs
is all that the metrics need, so images of any size and number are evaluated
in constant memory, and pooling wells is adding tables.
"""

import math

import numpy as np

NUM_BINS = 256


class JointHistogram:
    """How often each pair of a true and a predicted bin occurs.

    A metric that is undefined (no pixels, or a constant image in the case of
    the correlation) is None, never NaN.

    Attributes:
        counts: Number of pixels, int64, [true bin, predicted bin].
    """

    def __init__(self):
        self.counts = np.zeros((NUM_BINS, NUM_BINS), np.int64)

    def add(self, true_bins: np.ndarray, predicted_bins: np.ndarray) -> None:
        """Counts pairs of pixels.

        Args:
            true_bins: Integers 0 to 255, any shape.
            predicted_bins: Integers 0 to 255, same shape.

        Raises:
            ValueError: If the shapes differ, or the values are not integers
                or out of range.
        """
        true_bins = _checked("true_bins", true_bins)
        predicted_bins = _checked("predicted_bins", predicted_bins)
        if true_bins.shape != predicted_bins.shape:
            raise ValueError(
                "true_bins and predicted_bins must have the same shape. "
                f"Received: {true_bins.shape} and {predicted_bins.shape}"
            )
        pairs = true_bins.ravel().astype(np.int64)
        pairs = NUM_BINS * pairs + predicted_bins.ravel()
        self.counts += np.bincount(pairs, minlength=NUM_BINS**2).reshape(
            NUM_BINS, NUM_BINS
        )

    def merge(self, other: "JointHistogram") -> None:
        """Adds the pixels of another histogram to this one."""
        self.counts += other.counts

    @property
    def count(self) -> int:
        """Number of pixels."""
        return int(self.counts.sum())

    def pearson(self) -> float | None:
        """Returns Pearson's r of the bins, -1 to 1.

        None if there are no pixels or either image is constant.
        """
        # Python integers: exact, however many pixels there are.
        true_counts = self.counts.sum(axis=1).tolist()
        predicted_counts = self.counts.sum(axis=0).tolist()
        bins = np.arange(NUM_BINS)
        products = (self.counts @ bins).tolist()
        n = sum(true_counts)
        true_sum = _moment(true_counts, 1)
        predicted_sum = _moment(predicted_counts, 1)
        product_sum = sum(b * s for b, s in enumerate(products))
        true_spread = n * _moment(true_counts, 2) - true_sum**2
        predicted_spread = n * _moment(predicted_counts, 2) - predicted_sum**2
        if not true_spread or not predicted_spread:
            return None
        covariance = n * product_sum - true_sum * predicted_sum
        r = covariance / (math.sqrt(true_spread) * math.sqrt(predicted_spread))
        return max(-1.0, min(1.0, r))

    def bin_accuracy(self) -> float | None:
        """Returns the share of pixels predicted in exactly the true bin."""
        return self.accuracy_within(0)

    def accuracy_within(self, num_bins: int) -> float | None:
        """Returns the share of pixels at most `num_bins` bins off, 0 to 1."""
        if not self.count:
            return None
        return int(self.counts[_distance() <= num_bins].sum()) / self.count

    def mean_absolute_error(self) -> float | None:
        """Returns the mean absolute difference, as an intensity, 0 to 1."""
        if not self.count:
            return None
        total = int((self.counts * _distance()).sum())
        return total / self.count / (NUM_BINS - 1)

    def label_entropy(self) -> float | None:
        """Returns the entropy of the true bins, divided by ln 256.

        This is the cross-entropy of the best predictor that ignores its
        input: the label's own histogram. It is 1 for a uniform histogram and
        0 for a constant image.
        """
        if not self.count:
            return None
        counts = self.counts.sum(axis=1)
        shares = counts[counts > 0] / self.count
        return abs(float((shares * np.log(shares)).sum())) / math.log(NUM_BINS)

    def label_deviation(self) -> float:
        """Returns the standard deviation of the true bins, as an intensity.

        It is 0 without pixels.
        """
        counts, bins = self.counts.sum(axis=1), np.arange(NUM_BINS)
        total = max(1, self.count)
        mean = float(counts @ bins) / total
        variance = float(counts @ (bins - mean) ** 2) / total
        return math.sqrt(variance) / (NUM_BINS - 1)

    def label_median(self) -> float:
        """Returns the median of the true bins, as an intensity.

        It is the lower one of two, and 0 without pixels.
        """
        cumulative = np.cumsum(self.counts.sum(axis=1))
        bin_index = np.searchsorted(2 * cumulative, self.count)
        return float(bin_index) / (NUM_BINS - 1)

    def metrics(self) -> dict[str, float | None]:
        """Returns every metric by its name in `metrics.csv`."""
        return {
            "pearson": self.pearson(),
            "bin_accuracy": self.bin_accuracy(),
            "bin_accuracy_within_8": self.accuracy_within(8),
            "mae": self.mean_absolute_error(),
            "label_entropy": self.label_entropy(),
        }

    def coarse(self, num_cells: int = 10) -> np.ndarray:
        """Returns the histogram in few, wide cells, for a heat map.

        Args:
            num_cells: Cells per axis. Cell `i` holds intensities from
                i / num_cells up to (i + 1) / num_cells; 1.0 belongs to the
                last.

        Returns:
            Number of pixels, int64, [true cell, predicted cell].
        """
        cells = np.arange(NUM_BINS) * num_cells // (NUM_BINS - 1)
        cells = np.minimum(cells, num_cells - 1)
        member = np.zeros((num_cells, NUM_BINS), np.int64)
        member[cells, np.arange(NUM_BINS)] = 1
        return member @ self.counts @ member.T


def _checked(argument: str, bins: np.ndarray) -> np.ndarray:
    bins = np.asarray(bins)
    if not np.issubdtype(bins.dtype, np.integer):
        raise ValueError(f"{argument} must be integers. Received: {bins.dtype}")
    if bins.size and not 0 <= bins.min() <= bins.max() < NUM_BINS:
        raise ValueError(
            f"{argument} must be in 0 to {NUM_BINS - 1}. "
            f"Received: {bins.min()} to {bins.max()}"
        )
    return bins


def _moment(counts: list[int], power: int) -> int:
    return sum(count * index**power for index, count in enumerate(counts))


def _distance() -> np.ndarray:
    bins = np.arange(NUM_BINS)
    return np.abs(bins[:, None] - bins[None, :])
