"""Filters that are left out, and weights that shrink."""

import dataclasses

import numpy as np
import pytest

from isl.network.model import MERGE, build_model
from isl.training.config import TrainConfig
from isl.training.dropout import build_dropout, draw_as_in_step, with_dropout
from isl.training.normalization import Recalibrator
from isl.training.start import build_optimizer
from tests.learning_runs import (
    CONFIG,
    LABELS,
    learn,
    random_batch,
    results,
    weights,
)
from tests.tiny_runs import MICRO

RATE = 0.25
RENEWED = {"recalibration_batches": 1}


@pytest.fixture(scope="module")
def plain():
    return results(learn(**RENEWED))


@pytest.fixture(scope="module")
def dropped():
    return results(learn(dropout=RATE, **RENEWED))


def kept_filters(seed, step):
    dropout = build_dropout(RATE, "float32")
    features = np.ones((3, 4, 4, 40), np.float32)
    draw_as_in_step(dropout, seed, step)
    return np.array(dropout(features, training=True))


def test_whole_filters_are_left_out_and_others_make_up_for_it():
    kept = kept_filters(0, 7)
    assert np.ptp(kept, axis=(1, 2)).max() == 0
    assert sorted(set(kept.ravel())) == [0, pytest.approx(1 / (1 - RATE))]
    share = np.mean(kept == 0)
    assert 0.1 < share < 0.4
    # Each patch lacks others.
    assert np.abs(kept[0] - kept[1]).max() > 0


def test_what_is_left_out_is_a_function_of_seed_and_step():
    np.testing.assert_array_equal(kept_filters(0, 7), kept_filters(0, 7))
    for other in ((0, 8), (1, 7), (1, 6), (2**31, 7)):
        assert np.abs(kept_filters(0, 7) - kept_filters(*other)).max() > 0


def test_nothing_is_left_out_without_a_rate():
    assert build_dropout(0.0, "float32") is None


def test_prediction_is_that_of_the_network():
    model = build_model(MICRO, 2, LABELS)
    network = with_dropout(model, build_dropout(RATE, "float32"))
    size = MICRO.input_size
    planes = np.random.default_rng(0).random((1, size, size, 4), np.float32)
    for head, logits in network(planes, training=False).items():
        np.testing.assert_allclose(
            logits, model(planes, training=False)[head], atol=1e-6
        )


def test_filters_are_missing_where_the_towers_meet():
    model = build_model(MICRO, 2, LABELS)
    dropout = build_dropout(RATE, "float32")
    network = with_dropout(model, dropout)
    assert dropout.output.shape == model.get_layer(MERGE).output.shape
    assert {id(w) for w in network.trainable_weights} == {
        id(w) for w in model.trainable_weights
    }


def test_training_without_some_filters_takes_another_course(plain, dropped):
    assert abs(plain["losses/loss"][0] - dropped["losses/loss"][0]) > 1e-4
    again = learn(dropout=RATE, **RENEWED)
    np.testing.assert_array_equal(
        dropped["losses/loss"], [step["loss"] for step in again.losses]
    )


def test_statistics_are_averaged_with_all_filters():
    learner, _, _ = learn(dropout=0.9, **RENEWED)
    inputs, _, _ = random_batch(99)
    with learner.judged([inputs]):
        found = weights(learner.model, "judged")
        Recalibrator(learner.model).run([inputs])
        for name, values in weights(learner.model, "judged").items():
            np.testing.assert_allclose(found[name], values, atol=1e-6)


def test_frozen_statistics_come_without_dropout(monkeypatch):
    monkeypatch.setattr(TrainConfig, "is_norm_frozen_at", lambda *_: True)
    frozen = {"frozen_norm_share": 0.5, **RENEWED}
    losses = learn(**frozen).losses
    assert learn(dropout=RATE, **frozen).losses == losses


def test_recomputed_blocks_lack_the_same_filters(dropped):
    values = results(learn(dropout=RATE, remat=True, **RENEWED))
    for name, expected in dropped.items():
        np.testing.assert_allclose(
            values[name], expected, atol=1e-5, err_msg=name
        )


def test_parts_of_a_step_lack_filters_of_their_own(monkeypatch):
    drawn = []
    monkeypatch.setattr(
        "isl.training.learner.draw_as_in_step",
        lambda dropout, seed, step: drawn.append((seed, step)),
    )
    learn(dropout=RATE, accumulation_steps=2, seed=5, **RENEWED)
    assert drawn == [(5, 0), (5, 2), (5, 4)]


def test_kernels_shrink_by_the_rate_and_others_do_not():
    rate, decay = 1e-3, 10.0
    usual, other = (
        results(learn(num_steps=1, weight_decay=value)) for value in (0, decay)
    )
    num_kernels = 0
    for name, before in usual.items():
        if not name.startswith("before/"):
            continue
        after = name.replace("before/", "after/")
        is_kernel = name.endswith("/kernel")
        num_kernels += is_kernel
        lost = rate * decay * before if is_kernel else 0.0
        np.testing.assert_allclose(
            other[after], usual[after] - lost, atol=1e-6, err_msg=name
        )
    assert num_kernels > len(LABELS)


@pytest.mark.parametrize("label", ["beta_tubulin", "gamma_H2AX"])
def test_kernels_of_any_label_shrink(label):
    config = dataclasses.replace(
        CONFIG, weight_decay=0.5, learning_rate=0.1, labels=(label,)
    )
    model = build_model(MICRO, 2, (label,))
    variables = model.trainable_variables
    before = [variable.numpy().copy() for variable in variables]
    build_optimizer(config, model, None).apply(
        [np.zeros(variable.shape, np.float32) for variable in variables],
        variables,
    )
    for variable, values in zip(variables, before, strict=True):
        factor = 0.95 if variable.name == "kernel" else 1.0
        np.testing.assert_allclose(variable.numpy(), factor * values, rtol=1e-5)


def test_dropout_has_the_precision_of_the_features():
    assert build_dropout(RATE, "mixed_bfloat16").compute_dtype == "bfloat16"
    learner, losses, _ = learn(
        dropout=RATE, precision="mixed_bfloat16", remat=True, **RENEWED
    )
    assert np.isfinite([step["loss"] for step in losses]).all()
