import keras
import numpy as np
import pytest
from keras import ops

from isl.network import intensity_bins
from isl.network.intensity_bins import (
    STATISTICS,
    quantile,
    statistics,
    uint16_to_bins,
    without_products,
)


def to_numpy(x):
    return keras.ops.convert_to_numpy(x)


def logits_of(probabilities):
    probabilities = np.asarray(probabilities, np.float32)
    return np.log(np.maximum(probabilities, 1e-30))


def one_hot(index, num_bins=256):
    return np.eye(num_bins, dtype=np.float32)[index]


def test_bins_of_all_values_are_those_of_the_original():
    # The original rounds 255 * v / 65535 half to even, as np.rint does.
    values = np.arange(65536, dtype=np.uint16)
    expected = np.rint(255 * values.astype(np.float64) / 65535)
    found = to_numpy(uint16_to_bins(values))
    assert found.dtype == np.int32
    np.testing.assert_array_equal(found, expected)


def test_bins_of_8_bit_images_are_their_values():
    grey = np.arange(256)
    values = (grey * 257).astype(np.uint16)
    np.testing.assert_array_equal(to_numpy(uint16_to_bins(values)), grey)
    assert intensity_bins.NUM_BINS == 256
    assert intensity_bins.MAX_UINT16 == 65535


def test_statistics_of_a_distribution_written_by_hand():
    # Values of the original's own tests (original: isl/ops_test.py).
    probabilities = np.array([0.1, 0.2, 0.2, 0.5], np.float32)
    names = [name for name in STATISTICS if name != "median"]
    found = statistics(logits_of(probabilities), tuple(names))
    expected = [1.0, 0.7, 0.348, 0.9, 0.880]
    np.testing.assert_allclose(to_numpy(found), expected, atol=5e-4)
    # The third bin reaches one half exactly, which a softmax may just miss.
    assert np.cumsum(probabilities)[2] == 0.5
    median = to_numpy(intensity_bins.quantile(probabilities, 0.5))
    assert median == pytest.approx(0.667, abs=5e-4)
    assert STATISTICS == (
        "mode",
        "median",
        "mean",
        "standard_deviation",
        "probability_nonzero",
        "entropy",
    )


@pytest.mark.parametrize("index", [0, 1, 128, 255])
def test_statistics_of_a_certain_answer(index):
    found = to_numpy(statistics(100 * one_hot(index), STATISTICS))
    value = index / 255
    expected = [value, value, value, 0, float(index > 0), 0]
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_statistics_of_a_uniform_answer():
    found = to_numpy(statistics(np.zeros(256, np.float32), STATISTICS))
    deviation = np.sqrt((256**2 - 1) / 12) / 255
    # 127 bins of 1 / 256 stay below one half; the 128th reaches it.
    expected = [0, 127 / 255, 0.5, deviation, 255 / 256, 1.0]
    # The original adds 1e-7 to a probability before its logarithm.
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_statistics_equal_numpy():
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 3, (3, 5, 256)).astype(np.float32)
    p = np.exp(logits.astype(np.float64))
    p /= p.sum(axis=-1, keepdims=True)
    values = np.arange(256) / 255
    mean = p @ values
    cumulative = p.cumsum(axis=-1)
    expected = {
        "mode": p.argmax(axis=-1) / 255,
        "median": (cumulative < 0.5).sum(axis=-1) / 255,
        "mean": mean,
        "standard_deviation": np.sqrt(
            (p * (values - mean[..., None]) ** 2).sum(axis=-1)
        ),
        "probability_nonzero": 1 - p[..., 0],
        "entropy": -(p * np.log(p + 1e-7)).sum(axis=-1) / np.log(256),
        "q05": (cumulative < 0.05).sum(axis=-1) / 255,
        "q95": (cumulative < 0.95).sum(axis=-1) / 255,
    }
    found = to_numpy(statistics(logits, tuple(expected)))
    assert found.shape == (3, 5, 8) and found.dtype == np.float32
    np.testing.assert_allclose(
        found, np.stack(list(expected.values()), axis=-1), atol=1e-5
    )


def test_order_and_repetition_of_names_are_the_callers():
    logits = logits_of([0.1, 0.2, 0.2, 0.5])
    found = to_numpy(statistics(logits, ("mean", "mode", "mean")))
    np.testing.assert_allclose(found, [0.7, 1.0, 0.7], atol=1e-6)


def test_a_quantile_never_exceeds_one():
    # The cumulative probabilities of many bins may stop below 1.
    probabilities = np.full(256, 0.3 / 256, np.float32)
    assert to_numpy(intensity_bins.quantile(probabilities, 0.5)) == 1.0


@pytest.mark.parametrize("num_bins", [4, 32, 100, 256])
def test_quantiles_at_all_bins(num_bins):
    # Powers of two add up exactly, so no rounding decides.
    probabilities = np.zeros((num_bins, num_bins), np.float32)
    index = np.arange(num_bins)
    probabilities[index, index] += 0.75
    probabilities[index, index[::-1]] += 0.25
    found = to_numpy(intensity_bins.quantile(probabilities, 0.5))
    np.testing.assert_allclose(found, index / (num_bins - 1), atol=1e-7)
    found = to_numpy(intensity_bins.quantile(probabilities, 0.25))
    expected = np.minimum(index, index[::-1]) / (num_bins - 1)
    np.testing.assert_allclose(found, expected, atol=1e-7)


def test_statistics_accept_half_precision():
    logits = logits_of([0.1, 0.2, 0.2, 0.5]).astype(np.float16)
    found = to_numpy(statistics(logits, ("mean",)))
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, [0.7], atol=1e-3)


@pytest.mark.parametrize("name", [*STATISTICS, "q01", "q05", "q50", "q99"])
def test_names_of_statistics(name):
    assert intensity_bins.is_statistic(name)


@pytest.mark.parametrize("name", ["q00", "q5", "q100", "qab", "x05", "", "std"])
def test_other_names_are_refused(name):
    assert not intensity_bins.is_statistic(name)
    with pytest.raises(ValueError, match=f"Received: {name}"):
        statistics(np.zeros(4, np.float32), (name,))


def test_quantiles_are_the_same_without_products():
    generator = np.random.default_rng(2)
    probabilities = ops.softmax(generator.normal(size=(500, 256)) * 2)
    fast = ops.convert_to_numpy(quantile(probabilities, 0.3))
    with without_products():
        slow = ops.convert_to_numpy(quantile(probabilities, 0.3))
    np.testing.assert_allclose(fast, slow, atol=1.01 / 255)
    assert (fast != slow).mean() < 0.01


def test_products_are_left_out_where_they_may_be_rounded(monkeypatch):
    def refuse(*_):
        raise AssertionError

    monkeypatch.setattr(ops, "matmul", refuse)
    probabilities = np.full((1, 256), 1 / 256, np.float32)
    with without_products():
        quantile(probabilities, 0.5)
    if intensity_bins.is_tensorflow_on_cpu():
        with pytest.raises(AssertionError):
            quantile(probabilities, 0.5)
