import dataclasses
import json

import h5py
import keras
import numpy as np
import pytest

from isl.errors import InputError
from isl.network.architecture import TINY
from isl.network.model_folder import (
    ARCHITECTURE_FILE,
    DESCRIPTION_FILE,
    WEIGHTS_FILE,
    ModelDescription,
    load_description,
    load_model,
    save_model,
)

DESCRIPTION = ModelDescription(
    architecture=TINY,
    num_z=2,
    labels=("MAP2", "DAPI"),
    include_autoencoding=True,
    momentum=0.9,
    provenance={"steps": 3, "wells": ["A1", "A2"], "note": "Größe"},
)


@pytest.fixture(scope="module")
def model():
    return DESCRIPTION.build()


@pytest.fixture
def folder(tmp_path, model):
    save_model(tmp_path / "model", model, DESCRIPTION)
    return tmp_path / "model"


def edit(path, **changes):
    values = json.loads(path.read_text())
    values.update(changes)
    path.write_text(json.dumps(values))


def error_of(folder, load=load_description):
    with pytest.raises(InputError) as caught:
        load(folder)
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_a_folder_rebuilds_the_model(folder, model):
    loaded, description = load_model(folder)
    assert description == DESCRIPTION
    assert load_description(folder) == DESCRIPTION
    assert loaded.output_names == model.output_names
    rng = np.random.default_rng(0)
    x = rng.uniform(size=(1, 24, 22, 4)).astype(np.float32)
    expected = model(x, training=False)
    for name, logits in loaded(x, training=False).items():
        np.testing.assert_array_equal(
            keras.ops.convert_to_numpy(logits),
            keras.ops.convert_to_numpy(expected[name]),
        )
    norm = loaded.get_layer("DAPI_head_norm")
    assert norm.momentum == 0.9


def test_a_folder_holds_three_files(folder):
    assert sorted(path.name for path in folder.iterdir()) == sorted(
        [ARCHITECTURE_FILE, DESCRIPTION_FILE, WEIGHTS_FILE]
    )
    assert sorted(folder.parent.iterdir()) == [folder]
    table = json.loads((folder / ARCHITECTURE_FILE).read_text())
    assert table["base_filters"] == 40
    values = json.loads((folder / DESCRIPTION_FILE).read_text())
    assert values["labels"] == ["MAP2", "DAPI"]
    assert values["provenance"]["note"] == "Größe"


def test_saving_replaces_an_older_model(folder, model):
    newer = dataclasses.replace(DESCRIPTION, provenance={"steps": 4})
    save_model(folder, model, newer)
    assert load_description(folder) == newer
    assert sorted(folder.parent.iterdir()) == [folder]


def test_a_failure_leaves_the_older_model(folder, model, monkeypatch):
    def fail(path, mode):
        (folder.parent / "half").touch()
        raise OSError("No space left on device")

    monkeypatch.setattr(h5py, "File", fail)
    newer = dataclasses.replace(DESCRIPTION, provenance={"steps": 4})
    with pytest.raises(OSError, match="No space left"):
        save_model(folder, model, newer)
    monkeypatch.undo()
    assert load_description(folder) == DESCRIPTION
    assert [p.name for p in folder.parent.iterdir() if p != folder] == ["half"]


@pytest.mark.parametrize("load", [load_description, load_model])
def test_a_missing_folder(tmp_path, load):
    message = error_of(tmp_path / "nowhere", load)
    assert "nowhere: must be a model folder, or a model that" in message
    assert message.endswith("Received: no such folder")


@pytest.mark.parametrize("name", [ARCHITECTURE_FILE, DESCRIPTION_FILE])
def test_a_missing_table(folder, name):
    (folder / name).unlink()
    assert f"{name}: cannot be read" in error_of(folder)


@pytest.mark.parametrize("name", [ARCHITECTURE_FILE, DESCRIPTION_FILE])
def test_a_table_that_is_not_an_object(folder, name):
    (folder / name).write_text("[1]")
    assert error_of(folder).endswith(
        f"{name}: must be a JSON object. Received: list"
    )
    (folder / name).write_text("{")
    assert f"{name}: must be valid JSON" in error_of(folder)


def test_an_unknown_key(folder):
    edit(folder / DESCRIPTION_FILE, colour="red")
    assert f"{DESCRIPTION_FILE}: must describe a model" in error_of(folder)
    assert "colour" in error_of(folder)


def test_a_missing_key(folder):
    path = folder / DESCRIPTION_FILE
    path.write_text(json.dumps({"num_z": 2}))
    assert "must describe a model. Received: 'labels'" in error_of(folder)
    path.write_text(json.dumps({"labels": ["DAPI"]}))
    assert "num_z" in error_of(folder)


@pytest.mark.parametrize(
    "changes",
    [
        {"num_z": "13"},
        {"num_z": 0},
        {"labels": "DAPI"},
        {"labels": [1]},
        {"momentum": None},
        {"momentum": False},
        {"momentum": 1},
        {"include_autoencoding": 1},
    ],
)
def test_a_description_of_wrong_types(folder, changes):
    edit(folder / DESCRIPTION_FILE, **changes)
    message = error_of(folder)
    assert f"{DESCRIPTION_FILE}: must describe a model" in message
    assert next(iter(changes)) in message


def test_a_momentum_of_a_whole_number(folder):
    # As a grid may give it.
    edit(folder / DESCRIPTION_FILE, momentum=0)
    assert load_description(folder).momentum == 0


@pytest.mark.parametrize(
    "changes",
    [
        {"base_filters": "abc"},
        {"output_size": 0},
        {"trunk": [{"kind": "sideways", "repeats": 1}]},
        {"trunk": [{"kind": "in_scale", "repeats": 0}]},
        {"colour": 1},
        {"towers": [3]},
        {"towers": [[{"kind": "in_scale"}]]},
        {"trunk": 5},
    ],
)
def test_a_table_that_is_not_of_a_network(folder, changes):
    edit(folder / ARCHITECTURE_FILE, **changes)
    assert f"{ARCHITECTURE_FILE}: must be the table of a network" in error_of(
        folder
    )


def test_missing_weights(folder):
    (folder / WEIGHTS_FILE).unlink()
    assert error_of(folder, load_model).endswith(
        f"{WEIGHTS_FILE}: must be an HDF5 file of weights. Received: no file"
    )


def test_weights_of_another_kind(folder):
    (folder / WEIGHTS_FILE).write_bytes(b"not an HDF5 file")
    assert "Received: another kind of file" in error_of(folder, load_model)


def test_truncated_weights(folder):
    path = folder / WEIGHTS_FILE
    path.write_bytes(path.read_bytes()[:5000])
    assert f"{WEIGHTS_FILE}: must" in error_of(folder, load_model)


def test_weights_of_another_width(folder):
    edit(folder / ARCHITECTURE_FILE, base_filters=80, upscale_base_filters=76)
    assert f"{WEIGHTS_FILE}: must fit {ARCHITECTURE_FILE}" in error_of(
        folder, load_model
    )


def test_weights_without_a_kernel(folder):
    with h5py.File(folder / WEIGHTS_FILE, "a") as file:
        kernels = []
        file.visititems(
            lambda name, item: (
                kernels.append(name) if getattr(item, "ndim", 0) == 4 else None
            )
        )
        del file[kernels[3]]
    assert f"{WEIGHTS_FILE}: must fit" in error_of(folder, load_model)


def test_weights_that_are_not_finite(folder):
    with h5py.File(folder / WEIGHTS_FILE, "a") as file:
        file["MAP2/bias"][3] = np.nan
    assert "weight MAP2/bias with values that are not finite" in error_of(
        folder, load_model
    )


def test_weights_of_other_labels_are_not_taken(folder):
    edit(folder / DESCRIPTION_FILE, labels=["DAPI"])
    assert "unknown weight MAP2/bias" in error_of(folder, load_model)
    edit(folder / DESCRIPTION_FILE, labels=["DAPI", "MAP2", "NFH"])
    assert "no weight NFH/bias" in error_of(folder, load_model)


def test_weights_go_by_name_not_by_order(folder, model):
    edit(folder / DESCRIPTION_FILE, labels=["DAPI", "MAP2"])
    loaded, _ = load_model(folder)
    for name in ("DAPI", "MAP2"):
        np.testing.assert_array_equal(
            loaded.get_layer(name).kernel.numpy(),
            model.get_layer(name).kernel.numpy(),
        )


@pytest.mark.parametrize("kind", ["folder", "file"])
def test_something_else_is_not_replaced(tmp_path, model, kind):
    path = tmp_path / "results"
    if kind == "folder":
        path.mkdir()
        (path / "precious.txt").write_text("1")
    else:
        path.write_text("1")
    with pytest.raises(InputError, match="new folder or a model folder"):
        save_model(path, model, DESCRIPTION)
    assert path.exists()
