import math

import numpy as np
import pytest

from isl.evaluation import pixels


@pytest.fixture
def pair():
    rng = np.random.default_rng(0)
    true = rng.integers(0, 256, (37, 53))
    predicted = np.clip(true + rng.integers(-40, 41, true.shape), 0, 255)
    return true, predicted


def histogram_of(true, predicted):
    histogram = pixels.JointHistogram()
    histogram.add(np.asarray(true), np.asarray(predicted))
    return histogram


def test_metrics_equal_numpy(pair):
    true, predicted = pair
    histogram = histogram_of(true, predicted)
    expected = np.corrcoef(true.ravel(), predicted.ravel())[0, 1]
    assert histogram.pearson() == pytest.approx(expected, abs=1e-12)
    distance = np.abs(true - predicted)
    assert histogram.bin_accuracy() == pytest.approx((distance == 0).mean())
    assert histogram.accuracy_within(8) == pytest.approx((distance <= 8).mean())
    assert histogram.mean_absolute_error() == pytest.approx(
        distance.mean() / 255
    )
    assert histogram.count == true.size


def test_counts_are_true_by_predicted():
    histogram = histogram_of(np.array([3, 3], np.uint8), np.array([5, 255]))
    assert histogram.counts[3, 5] == histogram.counts[3, 255] == 1
    assert histogram.counts.sum() == 2
    assert histogram.counts.dtype == np.int64


def test_streaming_equals_one_pass(pair):
    true, predicted = pair
    streamed = histogram_of(true[:10], predicted[:10])
    streamed.merge(histogram_of(true[10:], predicted[10:]))
    np.testing.assert_array_equal(
        streamed.counts, histogram_of(true, predicted).counts
    )


def test_pearson_is_exact_for_many_pixels():
    # With this many pixels, sums of squares no longer fit 64 bits.
    histogram = pixels.JointHistogram()
    histogram.counts[200, 201] = 10**13
    histogram.counts[201, 200] = 10**13
    assert histogram.pearson() == -1.0


def test_a_nearly_constant_image_keeps_its_correlation():
    true = np.full(100_000, 255)
    true[0] = 254
    assert histogram_of(true, true).pearson() == pytest.approx(1.0, abs=1e-12)


@pytest.mark.parametrize(
    "true, predicted",
    [([], []), ([7, 7, 7], [1, 2, 3]), ([1, 2, 3], [0, 0, 0])],
)
def test_pearson_is_undefined_without_variation(true, predicted):
    histogram = histogram_of(np.array(true, int), np.array(predicted, int))
    assert histogram.pearson() is None


def test_without_pixels_every_metric_is_undefined():
    assert set(pixels.JointHistogram().metrics().values()) == {None}


def test_metrics_carry_the_names_of_the_table(pair):
    histogram = histogram_of(*pair)
    assert histogram.metrics() == {
        "pearson": histogram.pearson(),
        "bin_accuracy": histogram.bin_accuracy(),
        "bin_accuracy_within_8": histogram.accuracy_within(8),
        "mae": histogram.mean_absolute_error(),
        "label_entropy": histogram.label_entropy(),
    }


def test_label_entropy():
    everything = np.arange(256)
    assert histogram_of(everything, everything).label_entropy() == (
        pytest.approx(1.0)
    )
    assert histogram_of([9, 9], [1, 2]).label_entropy() == 0.0
    assert histogram_of([0, 9], [1, 1]).label_entropy() == pytest.approx(
        math.log(2) / math.log(256)
    )


def test_coarse_cells_are_a_tenth_wide():
    # 25 / 255 < 0.1 <= 26 / 255, 229 / 255 < 0.9 <= 230 / 255.
    histogram = histogram_of([25, 26, 229, 230, 255], [0, 0, 0, 0, 255])
    expected = np.zeros((10, 10), int)
    expected[[0, 1, 8, 9], 0] = 1
    expected[9, 9] = 1
    np.testing.assert_array_equal(histogram.coarse(), expected)
    assert histogram.coarse(4).shape == (4, 4)


@pytest.mark.parametrize(
    "true, predicted, message",
    [
        (np.zeros(3, int), np.zeros(4, int), r"same shape.*\(3,\) and \(4,\)"),
        (np.array([256]), np.array([0]), "true_bins must be in 0 to 255"),
        (np.array([0]), np.array([-1]), "predicted_bins must be in 0 to 255"),
        (np.array([0.5]), np.array([0]), "integers. Received: float64"),
    ],
)
def test_wrong_bins_are_rejected(true, predicted, message):
    with pytest.raises(ValueError, match=message):
        pixels.JointHistogram().add(true, predicted)


def test_spread_and_median_of_the_label_equal_numpy(pair):
    true, predicted = pair
    histogram = histogram_of(true, predicted)
    assert histogram.label_deviation() == pytest.approx(true.std() / 255)
    assert histogram.label_median() == np.median(true) / 255
    even = histogram_of(np.array([3, 3, 9, 9]), np.array([0, 0, 0, 0]))
    assert even.label_median() == 3 / 255
    nothing = pixels.JointHistogram()
    assert nothing.label_deviation() == nothing.label_median() == 0
