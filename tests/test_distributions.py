"""Distributions against naive forms, and against draws from themselves."""

import numpy as np
import pytest

from isl.evaluation.distributions import (
    BRIGHT_BIN,
    NUM_PIT_BINS,
    DistributionScores,
    PixelDistributions,
    StatisticScores,
    pit_histogram,
)

BINS = np.arange(256)


def gaussians(centers, width):
    """Distributions over 256 bins, [pixel, bin]."""
    weights = np.exp(-0.5 * ((BINS - centers[:, None]) / width) ** 2) + 1e-12
    return weights / weights.sum(axis=1, keepdims=True)


def pixels(probabilities, truth):
    """Everything of `PixelDistributions` but crps, from full arrays."""
    cumulative = probabilities.cumsum(axis=1)
    rows = np.arange(len(truth))
    reached = cumulative[rows, truth]
    mean = probabilities @ BINS / 255
    variance = probabilities @ (BINS / 255) ** 2 - mean**2
    return PixelDistributions(
        nll=-np.log(probabilities[rows, truth]) / np.log(256),
        crps=np.zeros(len(truth)),
        below=reached - probabilities[rows, truth],
        reached=reached,
        deviation=np.sqrt(np.maximum(variance, 0)),
        probability_bright=probabilities[:, BRIGHT_BIN:].sum(axis=1),
        is_bright=truth >= BRIGHT_BIN,
    )


def draws(probabilities, generator):
    uniform = generator.random((len(probabilities), 1))
    bins = (probabilities.cumsum(axis=1) < uniform).sum(axis=1)
    return np.minimum(bins, 255)


def scored(width_predicted, width_true, num=40_000, seed=0):
    generator = np.random.default_rng(seed)
    centers = generator.uniform(60, 140, num)
    truth = draws(gaussians(centers, width_true), generator)
    scores = DistributionScores()
    scores.add(pixels(gaussians(centers, width_predicted), truth))
    return scores


@pytest.mark.parametrize("width", [0.3, 2.0, 20.0])
def test_draws_from_the_prediction_are_calibrated(width):
    """However narrow: an interval of whole bins would cover too much."""
    metrics = scored(width, width).metrics()
    assert metrics["coverage_50"] == pytest.approx(0.5, abs=0.01)
    assert metrics["coverage_90"] == pytest.approx(0.9, abs=0.01)
    assert metrics["expected_calibration_error"] < 0.01


def test_pit_of_a_calibrated_prediction_is_flat():
    scores = scored(5.0, 5.0)
    np.testing.assert_allclose(
        scores.pit / scores.count, 1 / NUM_PIT_BINS, atol=0.005
    )


def test_overconfident_prediction_covers_too_little():
    metrics = scored(5.0, 15.0).metrics()
    assert metrics["coverage_50"] < 0.25
    assert metrics["coverage_90"] < 0.55
    assert metrics["expected_calibration_error"] > 0.05


def test_underconfident_prediction_covers_too_much():
    metrics = scored(15.0, 5.0).metrics()
    assert metrics["coverage_50"] > 0.8
    assert metrics["coverage_90"] > 0.98


def test_sharpness_is_the_mean_standard_deviation():
    metrics = scored(10.0, 10.0).metrics()
    assert metrics["sharpness"] == pytest.approx(10 / 255, rel=1e-2)


def test_means_and_error_of_two_pixels_by_hand():
    scores = DistributionScores()
    scores.add(
        PixelDistributions(
            nll=np.array([0.2, 0.4]),
            crps=np.array([0.1, 0.3]),
            below=np.array([0.0, 0.5]),
            reached=np.array([0.1, 0.5]),
            deviation=np.array([0.02, 0.04]),
            probability_bright=np.array([0.9, 0.25]),
            is_bright=np.array([True, True]),
        )
    )
    metrics = scores.metrics()
    assert metrics["nll"] == pytest.approx(0.3)
    assert metrics["crps"] == pytest.approx(0.2)
    assert metrics["sharpness"] == pytest.approx(0.03)
    # |0.9 - 1| / 2 + |0.25 - 1| / 2.
    assert metrics["expected_calibration_error"] == pytest.approx(0.425)
    # The first pixel lies between 0 and 0.1, the second at 0.5.
    assert metrics["coverage_50"] == pytest.approx(0.5)
    assert metrics["coverage_90"] == pytest.approx(0.75)
    np.testing.assert_array_equal(scores.reliability[9], [1, 0.9, 1])
    np.testing.assert_array_equal(scores.reliability[2], [1, 0.25, 1])


def test_certain_pixels_count_once():
    histogram = pit_histogram(
        np.array([0.0, 1.0, 0.3]), np.array([1.0, 1.0, 0.3])
    )
    assert histogram.sum() == pytest.approx(3)
    assert histogram[-1] == pytest.approx(1 / NUM_PIT_BINS + 1)
    assert histogram[:8].sum() == pytest.approx(8 / NUM_PIT_BINS + 1, abs=1e-6)


def test_rounding_outside_0_to_1_is_no_error():
    histogram = pit_histogram(
        np.array([-1e-7, 0.9999999]), np.array([0.0, 1.0000001])
    )
    assert histogram.sum() == pytest.approx(2)
    assert histogram.min() >= 0
    scores = scored(5.0, 5.0, num=10)
    assert scores.reliability[:, 0].sum() == 10


def test_parts_add_up():
    generator = np.random.default_rng(0)
    centers = generator.uniform(60, 140, 500)
    probabilities = gaussians(centers, 8.0)
    truth = draws(probabilities, generator)
    whole, parts = DistributionScores(), DistributionScores()
    whole.add(pixels(probabilities, truth))
    for part in (slice(0, 123), slice(123, 500)):
        other = DistributionScores()
        other.add(pixels(probabilities[part], truth[part]))
        parts.merge(other)
    assert parts.metrics() == pytest.approx(whole.metrics(), rel=1e-12)
    np.testing.assert_allclose(parts.pit, whole.pit, atol=1e-9)


def test_nothing_is_undefined():
    assert set(DistributionScores().metrics().values()) == {None}


def test_stored_statistics_are_counted_over_bands_and_wells():
    true = np.array([[1, 5, 9, 200]])
    one, other = StatisticScores(), StatisticScores()
    one.add_deviation(np.array([[0.1, 0.3]], np.float32))
    one.add_interval(90, true, true - 1, true)
    other.add_deviation(np.array([[0.5, 0.5]], np.float32))
    other.add_interval(90, true, true + 1, true + 2)
    other.add_interval(50, true, true, true)
    one.merge(other)
    assert one.metrics() == {
        "sharpness": pytest.approx(0.35),
        "interval_coverage_50": 1.0,
        "interval_coverage_90": 0.5,
    }
    assert StatisticScores().metrics() == {}


def test_coverage_is_a_share_in_spite_of_rounding():
    scores = DistributionScores()
    scores.count = 3
    scores.pit[5] = np.nextafter(3, 4)
    assert scores.coverage(0.9) == 1
