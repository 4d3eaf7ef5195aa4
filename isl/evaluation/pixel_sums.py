"""Sums over pixels from which the metrics of any set of tiles follow.

A tile keeps sixteen numbers instead of a joint histogram. Adding the sums of
tiles gives the metrics of all their pixels, so tiles can be drawn at random,
with repetition, for an interval of what other fields of view would have given.
"""

import dataclasses

import numpy as np

from isl.evaluation.pixels import NUM_BINS

# In squared bins; a smaller variance is rounding, so the image is constant.
_MIN_VARIANCE = 1e-9


@dataclasses.dataclass(frozen=True)
class PixelSums:
    """Sums of one set of pixels, or arrays of the sums of many sets.

    All attributes have one shape. NaN stands for what is not known. A metric
    that is undefined is NaN here; what leaves the room says None instead.

    Attributes:
        count: Pixels.
        true: Sum of the true bins.
        predicted: Sum of the predicted bins.
        true_squares: Sum of the squares of the true bins.
        predicted_squares: Sum of the squares of the predicted bins.
        products: Sum of true bin times predicted bin.
        absolute: Sum of the absolute differences of bins.
        exact: Pixels with the right bin.
        within_8: Pixels at most 8 bins off.
        similarity: Sum of the structural similarity.
        similar_count: Pixels that have one.
        nll: Sum of the negative log likelihoods, in units of ln 256.
        crps: Sum of the continuous ranked probability scores, as intensities.
        mean: Sum of the means of the predicted distributions, in bins.
        mean_squares: Sum of the squares of these means.
        mean_products: Sum of true bin times mean.
    """

    count: np.ndarray
    true: np.ndarray
    predicted: np.ndarray
    true_squares: np.ndarray
    predicted_squares: np.ndarray
    products: np.ndarray
    absolute: np.ndarray
    exact: np.ndarray
    within_8: np.ndarray
    similarity: np.ndarray
    similar_count: np.ndarray
    nll: np.ndarray
    crps: np.ndarray
    mean: np.ndarray
    mean_squares: np.ndarray
    mean_products: np.ndarray

    @classmethod
    def from_array(cls, sums: np.ndarray) -> "PixelSums":
        """Takes sums, [..., attribute], in the order of the attributes."""
        return cls(*np.moveaxis(np.asarray(sums, np.float64), -1, 0))

    def to_array(self) -> np.ndarray:
        """Returns the sums, float64, [..., attribute]."""
        return np.stack(
            [np.asarray(v, np.float64) for v in vars(self).values()], axis=-1
        )

    def pearson(self) -> np.ndarray:
        """Pearson's r of the bins; NaN if either image is constant."""
        return _correlation(
            self.count,
            self.true,
            self.predicted,
            self.true_squares,
            self.predicted_squares,
            self.products,
        )

    def mean_pearson(self) -> np.ndarray:
        """The same of true bins and means of the distributions."""
        return _correlation(
            self.count,
            self.true,
            self.mean,
            self.true_squares,
            self.mean_squares,
            self.mean_products,
        )

    def mae(self) -> np.ndarray:
        """Mean absolute error, as an intensity."""
        return self._mean(self.absolute) / (NUM_BINS - 1)

    def psnr(self) -> np.ndarray:
        """Peak signal-to-noise ratio in dB; NaN if there is no error.

        10 log10(1 / mean squared error of intensities of 0 to 1).
        """
        squares = self.true_squares + self.predicted_squares - 2 * self.products
        error = self._mean(squares) / (NUM_BINS - 1) ** 2
        with np.errstate(divide="ignore"):
            return np.where(error > 0, -10 * np.log10(error), np.nan)

    def ssim(self) -> np.ndarray:
        """Mean structural similarity; see `isl.evaluation.similarity`."""
        return _ratio(self.similarity, self.similar_count)

    def metrics(self) -> dict[str, np.ndarray]:
        """Returns every metric by its name in `metrics.csv`."""
        return {
            "pearson": self.pearson(),
            "mean_pearson": self.mean_pearson(),
            "bin_accuracy": self._mean(self.exact),
            "bin_accuracy_within_8": self._mean(self.within_8),
            "mae": self.mae(),
            "psnr": self.psnr(),
            "ssim": self.ssim(),
            "nll": self._mean(self.nll),
            "crps": self._mean(self.crps),
        }

    def _mean(self, values: np.ndarray) -> np.ndarray:
        return _ratio(values, self.count)


class RunningCorrelation:
    """Pearson's r of pairs of numbers that come bit by bit.

    The numbers must be about those of bins, 0 to 255: a variance that is
    nothing but rounding is told by its size.
    """

    def __init__(self):
        """Starts empty."""
        # Of 1, x, y, x x, y y and x y.
        self._sums = np.zeros(6)

    def add(self, x: np.ndarray, y: np.ndarray) -> None:
        """Adds pairs.

        Args:
            x: Numbers, any shape, such as true bins.
            y: Numbers, same shape.
        """
        x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
        self._sums += [
            x.size,
            x.sum(),
            y.sum(),
            *((one * other).sum() for one, other in ((x, x), (y, y), (x, y))),
        ]

    def merge(self, other: "RunningCorrelation") -> None:
        """Adds the pairs of another instance."""
        self._sums += other._sums

    def pearson(self) -> float | None:
        """Returns r; None without pairs, or if x or y is constant."""
        r = float(_correlation(*self._sums))
        return r if np.isfinite(r) else None


class MeanScores(RunningCorrelation):
    """Correlation of true bins with the means of distributions, in bins.

    A median is the best guess of an intensity by its absolute error, a mean by
    its squared error, so means are what to compare with networks that were
    trained for it.
    """

    def metrics(self) -> dict[str, float | None]:
        """Returns the metric by its name; None where it is undefined."""
        return {"mean_pearson": self.pearson()}


def _correlation(
    count: np.ndarray,
    x: np.ndarray,
    y: np.ndarray,
    x_squares: np.ndarray,
    y_squares: np.ndarray,
    products: np.ndarray,
) -> np.ndarray:
    """Pearson's r from sums; NaN if either image is constant."""
    x_mean, y_mean = _ratio(x, count), _ratio(y, count)
    x_variance = _ratio(x_squares, count) - x_mean**2
    y_variance = _ratio(y_squares, count) - y_mean**2
    covariance = _ratio(products, count) - x_mean * y_mean
    constant = np.minimum(x_variance, y_variance) < _MIN_VARIANCE
    with np.errstate(invalid="ignore", divide="ignore"):
        r = covariance / np.sqrt(x_variance * y_variance)
    return np.where(constant, np.nan, np.clip(r, -1, 1))


def _ratio(values: np.ndarray, count: np.ndarray) -> np.ndarray:
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.true_divide(values, count)
