import math

import keras
import numpy as np
import pytest

from isl.network import losses
from isl.network.losses import MaskedLoss

NAMES = ["cross_entropy", "ranked_probability_score", "combined_score"]


def to_numpy(x):
    return keras.ops.convert_to_numpy(x)


def uint16(bins):
    return (np.asarray(bins) * 257).astype(np.uint16)


def certain(bins, num_bins=256):
    """Logits of answers that leave no doubt."""
    return 200 * np.eye(num_bins, dtype=np.float32)[bins]


@pytest.fixture
def pixels():
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 2, (2, 3, 4, 256)).astype(np.float32)
    bins = rng.integers(0, 256, (2, 3, 4))
    return logits, bins


def test_a_uniform_guess_scores_one():
    for num_bins in (2, 16, 256):
        found = losses.pixel_cross_entropy(
            np.zeros((3, num_bins), np.float32), np.array([0, 1, num_bins - 1])
        )
        np.testing.assert_allclose(to_numpy(found), 1, atol=1e-6)


def test_the_right_answer_scores_zero():
    bins = np.array([0, 7, 255])
    for name in NAMES:
        found = losses.pixel_losses(name, certain(bins), uint16(bins))
        np.testing.assert_allclose(to_numpy(found), 0, atol=1e-6)


def test_cross_entropy_equals_numpy(pixels):
    logits, bins = pixels
    exact = logits.astype(np.float64)
    nats = np.log(np.exp(exact).sum(axis=-1)) - np.take_along_axis(
        exact, bins[..., None], axis=-1
    ).squeeze(-1)
    found = to_numpy(losses.pixel_cross_entropy(logits, bins))
    np.testing.assert_allclose(found, nats / math.log(256), atol=1e-5)


def test_ranked_probability_score_of_a_certain_answer_is_its_error():
    rng = np.random.default_rng(1)
    true, answer = rng.integers(0, 256, (2, 50))
    found = losses.pixel_ranked_probability_score(certain(answer), true)
    np.testing.assert_allclose(
        to_numpy(found), np.abs(true - answer) / 255, atol=1e-5
    )


def test_ranked_probability_score_equals_loops():
    rng = np.random.default_rng(2)
    logits = rng.normal(0, 2, (5, 16)).astype(np.float32)
    bins = rng.integers(0, 16, 5)
    expected = []
    for row, true in zip(logits.astype(np.float64), bins, strict=True):
        p = np.exp(row) / np.exp(row).sum()
        score = 0.0
        for k in range(16):
            score += (p[: k + 1].sum() - (true <= k)) ** 2 / 15
        expected.append(score)
    found = losses.pixel_ranked_probability_score(logits, bins)
    np.testing.assert_allclose(to_numpy(found), expected, atol=1e-6)


def test_combined_score_is_the_sum_of_both(pixels):
    logits, bins = pixels
    both, entropy, ranked = (
        to_numpy(losses.pixel_losses(name, logits, uint16(bins)))
        for name in ("combined_score", "cross_entropy", NAMES[1])
    )
    np.testing.assert_allclose(both, entropy + 10 * ranked, rtol=1e-6)


def test_masked_mean_divides_by_the_number_of_weights():
    # Not by their sum: the original's rule (BUILD_NOTES D3).
    values = np.array([1.0, 10.0, 100.0], np.float32)
    weights = np.array([0.5, 0.25, 0.0], np.float32)
    assert to_numpy(losses.masked_mean(values, weights)) == pytest.approx(1.5)
    half = np.array([0.5], np.float32)
    found = to_numpy(losses.masked_mean(values, half))
    assert found == pytest.approx(111 / 2 / 3)


@pytest.mark.parametrize("name", NAMES)
def test_masked_pixels_change_nothing(name, pixels):
    logits, bins = pixels
    weights = np.ones((2, 3, 4), np.float32)
    weights[0, 1] = 0
    loss = MaskedLoss(name)
    before = to_numpy(loss(uint16(bins), logits, weights))
    logits, bins = logits.copy(), bins.copy()
    logits[0, 1] += 50 * np.sin(np.arange(256))
    bins[0, 1] = 255 - bins[0, 1]
    assert to_numpy(loss(uint16(bins), logits, weights)) == before
    weights[0, 1] = 1
    assert to_numpy(loss(uint16(bins), logits, weights)) != before


@pytest.mark.parametrize("name", NAMES)
def test_all_masked_scores_zero_with_finite_gradients(name, pixels):
    if keras.backend.backend() != "tensorflow":
        pytest.skip("the gradient is taken with TensorFlow")
    import tensorflow as tf

    logits, bins = pixels
    variable = tf.Variable(logits)
    with tf.GradientTape() as tape:
        loss = MaskedLoss(name)(uint16(bins), variable, np.zeros(2))
    assert to_numpy(loss) == 0
    np.testing.assert_array_equal(to_numpy(tape.gradient(loss, variable)), 0)


@pytest.mark.parametrize("name", NAMES)
def test_weights_of_crops_and_of_pixels(name, pixels):
    logits, bins = pixels
    loss = MaskedLoss(name)
    values = to_numpy(losses.pixel_losses(name, logits, uint16(bins)))
    plain = to_numpy(loss(uint16(bins), logits))
    assert plain == pytest.approx(values.mean(), abs=1e-6)
    second = to_numpy(loss(uint16(bins), logits, np.array([0.0, 1.0])))
    assert second == pytest.approx(values[1].mean(), abs=1e-6)
    maps = np.stack([np.ones((3, 4)), np.zeros((3, 4))])
    first = to_numpy(loss(uint16(bins), logits, maps))
    assert first == pytest.approx(values[0].mean(), abs=1e-6)


def test_keras_trains_with_the_weights_as_they_are(pixels):
    # Keras's own reduction divides by the batch, not by the weights.
    logits, bins = pixels
    inputs = keras.Input((3, 4, 256))
    model = keras.Model(inputs, {"DAPI": keras.layers.Identity()(inputs)})
    model.compile(loss={"DAPI": MaskedLoss("cross_entropy")})
    weights = np.array([0.5, 0.0], np.float32)
    found = model.evaluate(
        logits,
        {"DAPI": uint16(bins)},
        sample_weight={"DAPI": weights},
        verbose=0,
    )
    values = to_numpy(losses.pixel_cross_entropy(logits, bins))
    assert found == pytest.approx(0.5 * values[0].mean(), abs=1e-5)


def test_a_loss_survives_its_configuration():
    loss = MaskedLoss("ranked_probability_score", name="rps")
    copy = MaskedLoss(**loss.get_config())
    assert (copy.pixel_loss, copy.name) == (loss.pixel_loss, "rps")
    assert MaskedLoss("cross_entropy").name == "cross_entropy"


def test_heads_share_the_loss_as_in_the_original():
    found = losses.head_weights(["A", "B"], ["z0", "z1", "z2", "z3"])
    assert found == {
        **{"A": 0.25, "B": 0.25},
        **{"z0": 0.125, "z1": 0.125, "z2": 0.125, "z3": 0.125},
    }
    assert losses.head_weights(["A", "B"], []) == {"A": 0.5, "B": 0.5}
