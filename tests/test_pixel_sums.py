"""Metrics from sums, against numpy and scikit-image on the pixels."""

import numpy as np
import pytest
from skimage import metrics

from isl.evaluation.pixel_sums import MeanScores, PixelSums


def sums_of(true, predicted, similarity=0.0, similar_count=0):
    """Sums of pixels whose means are 1.5 plus half the squared prediction."""
    true, predicted = (np.ravel(x).astype(int) for x in (true, predicted))
    mean = 0.5 * predicted**2 + 1.5
    distance = np.abs(true - predicted)
    return PixelSums(
        count=true.size,
        true=true.sum(),
        predicted=predicted.sum(),
        true_squares=(true**2).sum(),
        predicted_squares=(predicted**2).sum(),
        products=(true * predicted).sum(),
        absolute=distance.sum(),
        exact=(distance == 0).sum(),
        within_8=(distance <= 8).sum(),
        similarity=similarity,
        similar_count=similar_count,
        nll=0.5 * true.size,
        crps=0.1 * true.size,
        mean=mean.sum(),
        mean_squares=(mean**2).sum(),
        mean_products=(true * mean).sum(),
    )


@pytest.fixture
def pair():
    rng = np.random.default_rng(0)
    true = rng.integers(0, 256, (30, 40))
    return true, np.clip(true + rng.integers(-30, 31, true.shape), 0, 255)


def test_metrics_equal_numpy_and_scikit_image(pair):
    true, predicted = pair
    found = sums_of(true, predicted, 6.0, 8).metrics()
    assert found == {
        "pearson": pytest.approx(
            np.corrcoef(true.ravel(), predicted.ravel())[0, 1], abs=1e-12
        ),
        "mean_pearson": pytest.approx(
            np.corrcoef(true.ravel(), predicted.ravel() ** 2)[0, 1], abs=1e-12
        ),
        "bin_accuracy": pytest.approx((true == predicted).mean()),
        "bin_accuracy_within_8": pytest.approx(
            (np.abs(true - predicted) <= 8).mean()
        ),
        "mae": pytest.approx(np.abs(true - predicted).mean() / 255),
        "psnr": pytest.approx(
            metrics.peak_signal_noise_ratio(true, predicted, data_range=255)
        ),
        "ssim": 0.75,
        "nll": 0.5,
        "crps": pytest.approx(0.1),
    }


@pytest.mark.parametrize("size", [1, 3, 10**4, 10**7])
def test_a_constant_image_is_undefined_not_rounding(size):
    found = sums_of([200], [10])
    scaled = PixelSums.from_array(size * found.to_array())
    assert np.isnan(scaled.pearson())
    assert scaled.mae() == pytest.approx(190 / 255)


def test_one_other_pixel_in_ten_million_is_not_constant():
    true, predicted = np.full(10**7, 255), np.full(10**7, 254)
    true[0] = predicted[0] = 253
    assert sums_of(true, predicted).pearson() == pytest.approx(1, abs=1e-3)


def test_no_error_and_no_pixels_are_undefined(pair):
    assert np.isnan(sums_of(pair[0], pair[0]).psnr())
    nothing = PixelSums.from_array(np.zeros(16))
    assert all(np.isnan(value) for value in nothing.metrics().values())


def test_arrays_of_sums_are_metrics_each(pair):
    one, other = sums_of(*pair), sums_of(pair[1], pair[0][::-1])
    both = PixelSums.from_array(np.stack([one.to_array(), other.to_array()]))
    for name, values in both.metrics().items():
        assert values.shape == (2,)
        np.testing.assert_equal(values[1], other.metrics()[name])


def test_what_is_not_known_spoils_nothing_else(pair):
    sums = sums_of(*pair).to_array()
    sums[-5:] = np.nan
    found = PixelSums.from_array(sums).metrics()
    assert all(np.isnan(found[k]) for k in ("nll", "crps", "mean_pearson"))
    assert np.isfinite(found["pearson"])


def test_running_correlation_of_means_is_that_of_numpy(pair):
    true, means = pair[0], np.sqrt(pair[1] + 0.25)
    scores, other = MeanScores(), MeanScores()
    scores.add(true[:10], means[:10])
    other.add(true[10:], means[10:])
    scores.merge(other)
    expected = np.corrcoef(true.ravel(), means.ravel())[0, 1]
    assert scores.metrics() == {"mean_pearson": pytest.approx(expected)}


def test_correlation_of_means_may_be_undefined(pair):
    scores = MeanScores()
    assert scores.metrics() == {"mean_pearson": None}
    scores.add(pair[0], np.full(pair[0].shape, 0.1, np.float32))
    assert scores.metrics() == {"mean_pearson": None}
