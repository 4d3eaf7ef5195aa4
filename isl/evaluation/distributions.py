"""Is the predicted distribution right? Running sums over any number of pixels.

A distribution is calibrated if the truth behaves like a draw from it. Seen
through its cumulative distribution F, the truth is then uniform (Dawid 1984,
Gneiting, Balabdaoui and Raftery 2007). As intensities are bins here, a pixel
whose true bin is k counts evenly over the interval from F(k - 1) to F(k), the
non-randomised form of Czado, Gneiting and Held 2009: coverages and the
histogram are then exactly uniform for a calibrated prediction, however narrow
it is.
"""

import dataclasses

import numpy as np

# Bins of the histogram of F at the truth; 1/20 resolves 5, 25, 75 and 95 %.
NUM_PIT_BINS = 20
NUM_RELIABILITY_BINS = 10

# A pixel is bright above the mean and one standard deviation of a label as
# published (0.25 and 0.125): the bin of 0.375.
BRIGHT_BIN = 96


@dataclasses.dataclass(frozen=True)
class PixelDistributions:
    """What is kept of the predicted distributions of some pixels.

    All arrays have the same shape.

    Attributes:
        nll: Negative log likelihood of the true bin, in units of ln 256.
        crps: Continuous ranked probability score, as an intensity.
        below: F(k - 1) at the true bin k: the probability of less.
        reached: F(k): the probability of no more.
        deviation: Standard deviation, as an intensity.
        probability_bright: Of `BRIGHT_BIN` or more.
        is_bright: Whether the truth is that bright.
    """

    nll: np.ndarray
    crps: np.ndarray
    below: np.ndarray
    reached: np.ndarray
    deviation: np.ndarray
    probability_bright: np.ndarray
    is_bright: np.ndarray


class DistributionScores:
    """Running scores of the distributions of one label.

    Attributes:
        count: Pixels.
        pit: Pixels by F at the truth (probability integral transform),
            [NUM_PIT_BINS]; the sum is `count`.
        reliability: For each tenth of the predicted probability of a bright
            pixel: pixels, sum of the probabilities, bright pixels;
            [NUM_RELIABILITY_BINS, 3].
    """

    def __init__(self):
        """Starts empty."""
        self.count = 0
        self._sums = np.zeros(3)  # Of nll, crps and deviation.
        self.pit = np.zeros(NUM_PIT_BINS)
        self.reliability = np.zeros((NUM_RELIABILITY_BINS, 3))

    def add(self, pixels: PixelDistributions) -> None:
        """Adds pixels."""
        self.count += pixels.nll.size
        self._sums += [
            np.sum(values, dtype=np.float64)
            for values in (pixels.nll, pixels.crps, pixels.deviation)
        ]
        self.pit += pit_histogram(pixels.below, pixels.reached)
        self.reliability += _reliability(
            pixels.probability_bright, pixels.is_bright
        )

    def merge(self, other: "DistributionScores") -> None:
        """Adds the pixels of another instance."""
        self.count += other.count
        self._sums += other._sums
        self.pit += other.pit
        self.reliability += other.reliability

    def coverage(self, share: float) -> float | None:
        """Share of pixels inside the central interval of this probability.

        Args:
            share: Of the interval; half of what is left over must be a
                multiple of 1 / NUM_PIT_BINS: 0.5 or 0.9.
        """
        if not self.count:
            return None
        outside = round((1 - share) / 2 * NUM_PIT_BINS)
        inside = float(self.pit[outside : NUM_PIT_BINS - outside].sum())
        return min(1.0, inside / self.count)  # Sums of shares are rounded.

    def expected_calibration_error(self) -> float | None:
        """Mean distance of predicted from observed frequency of bright pixels.

        Over tenths of the predicted probability, weighted by their pixels
        (Naeini, Cooper and Hauskrecht 2015); 0 is perfect.
        """
        if not self.count:
            return None
        _, probabilities, bright = self.reliability.T
        return float(np.abs(probabilities - bright).sum()) / self.count

    def metrics(self) -> dict[str, float | None]:
        """Returns metric names to values; None without pixels."""
        means = self._sums / self.count if self.count else (None,) * 3
        nll, crps, deviation = (
            None if value is None else float(value) for value in means
        )
        return {
            "nll": nll,
            "crps": crps,
            "coverage_50": self.coverage(0.5),
            "coverage_90": self.coverage(0.9),
            "expected_calibration_error": self.expected_calibration_error(),
            "sharpness": deviation,
        }


class StatisticScores:
    """Running scores of stored statistics, where no distribution is known."""

    def __init__(self):
        """Starts empty."""
        self._deviation = np.zeros(2)  # Pixels, and their sum.
        self._inside: dict[int, np.ndarray] = {}  # Pixels, and those inside.

    def add_deviation(self, deviation: np.ndarray) -> None:
        """Adds standard deviations, as intensities, any shape."""
        self._deviation += deviation.size, deviation.sum(dtype=np.float64)

    def add_interval(
        self,
        percent: int,
        true_bins: np.ndarray,
        low: np.ndarray,
        high: np.ndarray,
    ) -> None:
        """Adds central intervals.

        Args:
            percent: Predicted probability of the interval, such as 90.
            true_bins: Integers, any shape.
            low: Bins of the lower quantile, same shape.
            high: Bins of the upper quantile, same shape.
        """
        inside = (low <= true_bins) & (true_bins <= high)
        total = self._inside.setdefault(percent, np.zeros(2))
        total += inside.size, np.count_nonzero(inside)

    def merge(self, other: "StatisticScores") -> None:
        """Adds the pixels of another instance."""
        self._deviation += other._deviation
        for percent, numbers in other._inside.items():
            total = self._inside.setdefault(percent, np.zeros(2))
            total += numbers

    def metrics(self) -> dict[str, float]:
        """Returns metric names to values, of what was added.

        `interval_coverage_90` counts both ends of the interval: quantiles are
        whole bins, so a calibrated prediction reaches 0.9 or more. The exact
        `coverage_90` needs the distribution.
        """
        values = {}
        if self._deviation[0]:
            values["sharpness"] = float(self._deviation[1] / self._deviation[0])
        for percent, (count, inside) in sorted(self._inside.items()):
            values[f"interval_coverage_{percent}"] = float(inside / count)
        return values


def pit_histogram(below: np.ndarray, reached: np.ndarray) -> np.ndarray:
    """Histogram of the non-randomised probability integral transform.

    Args:
        below: F(k - 1) at the true bin of each pixel.
        reached: F(k), not smaller than `below`.

    Returns:
        float64, [NUM_PIT_BINS]; each pixel counts 1 in all, spread evenly
        over its interval.
    """
    low = np.clip(np.ravel(below).astype(np.float64), 0, 1)
    # A true bin of probability zero is a point of its own.
    width = np.maximum(np.ravel(reached) - low, 1e-9)
    edges = np.arange(1, NUM_PIT_BINS) / NUM_PIT_BINS
    inner = [np.clip((e - low) / width, 0, 1).sum() for e in edges]
    return np.diff([0.0, *inner, float(low.size)])


def _reliability(probability: np.ndarray, is_bright: np.ndarray) -> np.ndarray:
    probability = np.clip(np.ravel(probability).astype(np.float64), 0, 1)
    tenths = np.minimum(
        (probability * NUM_RELIABILITY_BINS).astype(np.int64),
        NUM_RELIABILITY_BINS - 1,
    )
    sums = [
        np.bincount(tenths, weights, NUM_RELIABILITY_BINS)
        for weights in (
            np.ones_like(probability),
            probability,
            np.ravel(is_bright).astype(np.float64),
        )
    ]
    return np.stack(sums, axis=1)
