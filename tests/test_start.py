"""Runs that start from another network."""

import dataclasses
import json
import shutil

import keras
import numpy as np
import pytest

from isl.errors import InputError
from isl.network.model_folder import ModelDescription, save_model
from isl.simulation.dataset import write_dataset
from isl.training.start import initialise_head_biases
from isl.training.trainer import Trainer, train
from tests.tiny_runs import MICRO, MICRO_CONFIG

CONFIG = dataclasses.replace(
    MICRO_CONFIG, labels=("DAPI_CONFOCAL", "DEAD_CONFOCAL"), num_steps=2
)
CONV = "trunk_00_in_scale_expand"
NORM = "trunk_00_in_scale_expand_norm"


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Three simulated wells: (spec, image root)."""
    root = tmp_path_factory.mktemp("wells")
    return write_dataset(root, 3, 48, 2, 0), root


@pytest.fixture(scope="module")
def parent(tmp_path_factory):
    """Model folder of a network for one label, and the network."""
    folder = tmp_path_factory.mktemp("parent") / "model"
    description = ModelDescription(
        MICRO, 2, ("DAPI_CONFOCAL",), provenance={"steps": 7}
    )
    model = description.build()
    save_model(folder, model, description)
    return folder, model


def run(data, workdir, parent, **changes):
    spec, root = data
    config = dataclasses.replace(CONFIG, init_from=str(parent[0]), **changes)
    return train(config, [spec], root, workdir)


def values(model, layer):
    return [
        keras.ops.convert_to_numpy(weight).copy()
        for weight in model.get_layer(layer).weights
    ]


def distance(model, parent, layer):
    """How far the weights of a layer are from where they started."""
    pairs = zip(values(model, layer), values(parent[1], layer), strict=True)
    return max(np.abs(one - other).max() for one, other in pairs)


def test_run_starts_from_the_weights(data, parent, tmp_path):
    spec, root = data
    config = dataclasses.replace(CONFIG, init_from=str(parent[0]))
    trainer = Trainer(config, [spec], root, tmp_path)
    for layer in ("stem", CONV, NORM, "DAPI_CONFOCAL"):
        assert distance(trainer.model, parent, layer) == 0
    # The new head starts at the histogram of its label.
    bias = keras.ops.convert_to_numpy(
        trainer.model.get_layer("DEAD_CONFOCAL").bias
    )
    assert np.exp(bias).sum() == pytest.approx(1, rel=1e-5)
    assert bias.std() > 0.1
    *lines, last = trainer.describe()
    assert lines == [
        "restored: stem, tower0, trunk, DAPI_CONFOCAL",
        "new: DEAD_CONFOCAL",
        "not used: nothing",
    ]
    # The simulated wells have no split for the validation.
    assert last.startswith("validation: well A1 is trained on where it is ")
    told = json.loads(json.dumps(trainer.run["initialised_from"]))
    assert told["provenance"] == {"steps": 7}
    assert "stem" in told["restored"]


@pytest.mark.usefixtures("eagerly")
def test_everything_learns_unless_frozen(data, parent, tmp_path):
    model = run(data, tmp_path, parent).model
    for layer in ("stem", CONV, NORM, "DAPI_CONFOCAL"):
        assert distance(model, parent, layer) > 0


def test_frozen_body_keeps_weights_and_statistics(data, parent, tmp_path):
    trainer = run(
        data, tmp_path, parent, freeze_body=True, recalibration_batches=2
    )
    for layer in ("stem", CONV, NORM):
        assert distance(trainer.model, parent, layer) == 0
    for layer in ("DAPI_CONFOCAL", "DAPI_CONFOCAL_head_norm"):
        assert distance(trainer.model, parent, layer) > 0


@pytest.mark.usefixtures("eagerly")
def test_frozen_body_with_a_new_stem_trains_the_stem(data, parent, tmp_path):
    trainer = run(data, tmp_path, parent, freeze_body=True, num_z=3)
    untrained = Trainer(
        trainer.config, [data[0]], data[1], tmp_path / "untrained"
    ).model
    before, after = values(untrained, "stem"), values(trainer.model, "stem")
    assert np.abs(before[0] - after[0]).max() > 0
    assert distance(trainer.model, parent, CONV) == 0
    lines = trainer.describe()
    assert lines[1] == "new: stem, DEAD_CONFOCAL"
    assert lines[4] == "well A1: planes 0,0,1 of 0 to 1"


@pytest.mark.usefixtures("eagerly")
def test_body_may_learn_slower(data, parent, tmp_path):
    fast = run(data, tmp_path / "fast", parent, num_steps=1)
    slow = run(
        data, tmp_path / "slow", parent, num_steps=1, body_learning_rate=1e-4
    )
    # The first step of Adam is the learning rate, whatever the gradient.
    kernel = distance_of_kernel
    assert kernel(fast, parent, CONV) == pytest.approx(1e-2, rel=0.01)
    assert kernel(slow, parent, CONV) == pytest.approx(1e-4, rel=0.01)
    assert kernel(slow, parent, "DAPI_CONFOCAL") == pytest.approx(
        1e-2, rel=0.01
    )


def distance_of_kernel(trainer, parent, layer):
    return np.abs(
        values(trainer.model, layer)[0] - values(parent[1], layer)[0]
    ).max()


def test_resumed_transfer_has_the_same_weights(data, parent, tmp_path):
    spec, root = data
    changes = {"body_learning_rate": 1e-3, "num_steps": 4}
    config = dataclasses.replace(CONFIG, init_from=str(parent[0]), **changes)
    whole = Trainer(config, [spec], root, tmp_path / "whole")

    def copy(step, validation):
        if step == 2:  # What a kill would leave.
            shutil.copytree(whole.workdir, tmp_path / "killed")

    whole.train(after_epoch=copy)
    resumed = run(data, tmp_path / "killed", parent, **changes)
    assert resumed.step == 4
    for one, other in zip(
        whole.model.weights, resumed.model.weights, strict=True
    ):
        np.testing.assert_array_equal(one, other)


def test_bad_parent_leaves_nothing_behind(data, parent, tmp_path):
    spec, root = data
    config = dataclasses.replace(CONFIG, init_from=str(tmp_path / "none"))
    with pytest.raises(InputError, match="none.*no such folder"):
        Trainer(config, [spec], root, tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    "changes",
    [
        {"freeze_body": True},
        {"body_learning_rate": 1e-3},
        {"init_from": "x", "freeze_body": True, "body_learning_rate": 1e-3},
        {"init_from": "x", "body_learning_rate": 0.0},
    ],
    ids=str,
)
def test_contradicting_settings_are_refused(changes):
    with pytest.raises(InputError, match="must"):
        dataclasses.replace(CONFIG, **changes).check()


def test_head_biases_start_at_the_histogram():
    model = ModelDescription(MICRO, 1, ("A",)).build()
    counts = np.zeros(256, np.int64)
    counts[50] = 744
    initialise_head_biases(model, {"A": counts})
    bias = keras.ops.convert_to_numpy(model.get_layer("A").bias)
    np.testing.assert_allclose(np.exp(bias).sum(), 1, rtol=1e-5)
    assert np.exp(bias[50]) == pytest.approx(745 / 1000, rel=1e-5)
