"""What saves memory or time gives the same network."""

import keras
import numpy as np
import pytest

from tests.learning_runs import (
    CONFIG,
    LABELS,
    learn,
    results,
    run_elsewhere,
)
from tests.tiny_runs import MICRO


@pytest.fixture(scope="module")
def plain():
    """Three steps without any of it."""
    return results(learn())


@pytest.fixture(scope="module")
def frozen():
    """The same with moving statistics, which no other patch changes."""
    return results(learn(frozen_norm_share=1.0))


def assert_same(values, expected, atol):
    assert values.keys() == expected.keys()
    for name, array in expected.items():
        np.testing.assert_allclose(values[name], array, atol=atol, err_msg=name)


def test_steps_change_weights_and_statistics(plain):
    assert np.ptp(plain["losses/loss"]) > 0
    assert np.abs(plain["after/A/bias"]).max() > 0
    assert (
        np.abs(plain["after/tower0_00_in_scale_expand_norm/moving_mean"]).max()
        > 0
    )


def test_recomputed_blocks_learn_the_same(plain, monkeypatch):
    recomputed = []
    remat = keras.remat
    monkeypatch.setattr(
        keras, "remat", lambda run: recomputed.append(run) or remat(run)
    )
    # Weights and moving statistics: those of a pass that is done twice would
    # be updated twice.
    assert_same(results(learn(remat=True)), plain, 1e-5)
    num_blocks = sum(
        stage.repeats for part in (*MICRO.towers, MICRO.trunk) for stage in part
    )
    assert len(recomputed) == num_blocks  # In the one graph that is traced.


def test_parts_of_a_batch_add_up_to_the_batch(frozen):
    # One of the halves has one patch with the label A, the other two.
    values = results(learn(frozen_norm_share=1.0, accumulation_steps=2))
    assert_same(values, frozen, 1e-5)


def test_a_step_in_parts_is_one_step():
    outcome = learn(accumulation_steps=2)
    assert outcome.learner.step == CONFIG.num_steps


def test_bfloat16_is_close_and_keeps_float32_where_it_matters(plain):
    learner, losses, _ = learn(precision="mixed_bfloat16")
    model = learner.model
    assert model.get_layer("trunk_00_in_scale").compute_dtype == "bfloat16"
    assert {str(w.dtype) for w in model.weights} == {"float32"}
    for label in LABELS:
        assert model.get_layer(label).compute_dtype == "float32"
    norm = model.get_layer("trunk_00_in_scale_expand_norm")
    assert norm.compute_dtype == "bfloat16"  # Keras takes float32 inside.
    assert_same(
        {"loss": [step["loss"] for step in losses]},
        {"loss": plain["losses/loss"]},
        5e-3,
    )
    assert keras.config.dtype_policy().name == "float32"


@pytest.mark.long
@pytest.mark.parametrize("backend", ["jax", "torch"])
@pytest.mark.parametrize(
    ("usual", "other"),
    [
        ({}, {"remat": True}),
        (
            {"dropout": 0.25, "recalibration_batches": 1, "weight_decay": 1.0},
            {
                "dropout": 0.25,
                "recalibration_batches": 1,
                "weight_decay": 1.0,
                "remat": True,
            },
        ),
        (
            {"frozen_norm_share": 1.0},
            {"frozen_norm_share": 1.0, "accumulation_steps": 2},
        ),
    ],
    ids=str,
)
def test_the_same_holds_elsewhere(tmp_path, backend, usual, other):
    pytest.importorskip(backend)
    found = []
    for index, changes in enumerate((usual, other)):
        output = tmp_path / f"{index}.npz"
        process = run_elsewhere(output, backend, changes=changes)
        text, _ = process.communicate(timeout=900)
        assert process.returncode == 0, text
        with np.load(output) as values:
            found.append(dict(values))
    assert_same(found[1], found[0], 1e-5)
