"""Models for other programs give what isl gives."""

import dataclasses
import gc
import json
import sys
import zipfile

import keras
import numpy as np
import pytest

from isl.errors import InputError
from isl.export.bioimageio import PackageFacts, halo
from isl.export.formats import FORMATS, export_model
from isl.export.network import build_exported
from isl.network.intensity_bins import statistics
from isl.network.model_folder import ModelDescription, save_model
from isl.network.networks import NETWORKS
from tests.tiny_runs import MICRO

SCRIPT = "export"
NAMES = ("median", "mean", "standard_deviation", "q05", "mode", "entropy")
# Of tf2onnx and bioimageio.spec: old names of NumPy, files left open.
FOREIGN_WARNINGS = pytest.mark.filterwarnings("ignore")
FACTS = PackageFacts("micro", ("A. Name",), "CC-BY-4.0")


def make(network=MICRO, **changes):
    description = ModelDescription(network, 2, ("A", "B"), **changes)
    model = description.build()
    generator = np.random.default_rng(0)
    for weight in model.weights:  # Also moving statistics and biases.
        change = 0.1 * np.abs(generator.normal(size=weight.shape))
        if len(weight.shape) == 1:
            weight.assign_add(change)
    return model, description


@pytest.fixture(scope="module")
def micro():
    return make(temperatures={"B": 2.0})


@pytest.fixture(scope="module")
def folder(micro, tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "model"
    save_model(path, *micro)
    return path


def planes(description, seed=1):
    network = description.architecture
    shape = (network.input_size + network.grid, network.input_size, 2)
    generator = np.random.default_rng(seed)
    return generator.uniform(0, 1, (1, *shape)).astype(np.float32)


def expected(model, description, x, names):
    pairs = np.stack([x, np.ones_like(x)], -1).reshape(*x.shape[:3], -1)
    logits = model(pairs, training=False)
    return [
        np.asarray(
            statistics(
                logits[label] / description.temperatures.get(label, 1.0), names
            )
        )
        for label in description.labels
    ]


def assert_same(found, wanted):
    for one, other in zip(keras.tree.flatten(found), wanted, strict=True):
        assert np.ptp(other) > 0
        np.testing.assert_allclose(one, other, atol=1e-5)


def has_no_layer_of_ours(exported):
    return "isl>" not in exported.to_json() and all(
        type(layer).__module__.startswith("keras.")
        for layer in exported._flatten_layers()
    )


def test_statistics_are_those_of_the_model(micro):
    model, description = micro
    exported = build_exported(model, description, names=NAMES)
    x = planes(description)
    assert_same(
        exported(x, training=False), expected(model, description, x, NAMES)
    )
    assert exported.output_names == ["A", "B"]
    assert has_no_layer_of_ours(exported)


@pytest.mark.parametrize("name", ["tiny_fnet", "tiny_unet"])
def test_u_nets_need_no_layers_of_ours(name):
    network = dataclasses.replace(NETWORKS[name], num_bins=None)
    model, description = make(network)
    head = model.get_layer("B")  # Inside of [0, 1], where it is not clipped.
    head.kernel.assign(head.kernel * 0.01)
    head.bias.assign([0.5])
    exported = build_exported(model, description, ("B",), ("mean",))
    x = planes(description)
    wanted = expected(model, description, x, ("mean",))[1]
    assert_same(exported(x, training=False), [wanted])
    assert has_no_layer_of_ours(exported)


def test_a_keras_file_is_loaded_without_isl(micro, folder, tmp_path):
    export_model(folder, tmp_path / "m.keras", "keras", statistics=NAMES)
    loaded = keras.models.load_model(tmp_path / "m.keras", custom_objects={})
    x = planes(micro[1])
    assert_same(loaded(x, training=False), expected(*micro, x, NAMES))
    with zipfile.ZipFile(tmp_path / "m.keras") as file:
        assert "isl>" not in file.read("config.json").decode()


def test_a_saved_model_names_its_outputs(micro, folder, tmp_path):
    import tensorflow as tf

    export_model(folder, tmp_path / "saved", "saved_model", statistics=NAMES)
    loaded = tf.saved_model.load(tmp_path / "saved")
    found = loaded.serve(planes(micro[1]))
    wanted = expected(*micro, planes(micro[1]), NAMES)
    assert_same([found["A"], found["B"]], wanted)


@FOREIGN_WARNINGS
def test_onnx_runs_elsewhere(micro, folder, tmp_path):
    pytest.importorskip("tf2onnx", reason="needs the extra `export`")
    runtime = pytest.importorskip("onnxruntime", reason="needs onnxruntime")
    export_model(folder, tmp_path / "m.onnx", "onnx", statistics=NAMES)
    session = runtime.InferenceSession(
        tmp_path / "m.onnx", providers=["CPUExecutionProvider"]
    )
    (only,) = session.get_inputs()
    x = planes(micro[1])
    found = session.run(["A", "B"], {only.name: x})
    assert_same(found, expected(*micro, x, NAMES))


@FOREIGN_WARNINGS
def test_a_package_keeps_the_rules_of_bioimage_io(micro, folder, tmp_path):
    spec = pytest.importorskip(
        "bioimageio.spec", reason="needs the extra `export`"
    )
    path = tmp_path / "m.zip"
    export_model(folder, path, "bioimageio", facts=FACTS)
    package = spec.load_model_description(path, perform_io_checks=True)
    assert [str(x.id) for x in package.outputs] == ["A", "B"]
    assert package.license == "CC-BY-4.0"
    with zipfile.ZipFile(path) as file:
        with file.open("input.npy") as stream:
            x = np.load(stream)
        found = []
        for label in ("A", "B"):
            with file.open(f"{label}.npy") as stream:
                found.append(np.load(stream))
    # As the package says: mean 0.5, deviation 0.125, and a halo of zeros.
    scaled = np.clip((x - x.mean()) / x.std() / 8 + 0.5, 0, 1)
    wanted = expected(*micro, scaled, ("median", "standard_deviation"))
    margin = MICRO.margin
    inner = slice(margin, -margin)
    assert_same([one[:, inner, inner] for one in found], wanted)
    assert all(one.shape[:3] == x.shape[:3] for one in found)
    halos = {axis.halo for axis in package.outputs[0].axes[1:3]}
    assert halos == {halo(MICRO)}
    names = [str(step.id) for step in package.inputs[0].preprocessing]
    steps = ["ensure_dtype", "zero_mean_unit_variance", "scale_linear", "clip"]
    assert names[:4] == steps
    del package
    gc.collect()  # Closes the file that it leaves open.


@pytest.mark.parametrize("name", ["compact", "concordance", "fnet", "tiny"])
def test_an_input_with_a_halo_stays_on_the_grid(name):
    network = NETWORKS[name]
    assert network.margin <= halo(network) < network.margin + network.grid
    size = network.output_size + 2 * halo(network)
    assert network.is_output_size(size)


@FOREIGN_WARNINGS
def test_a_package_tells_of_the_labels_that_are_in_it(folder, tmp_path):
    pytest.importorskip("bioimageio.spec", reason="needs the extra `export`")
    path = tmp_path / "m.zip"
    export_model(folder, path, "bioimageio", ("B",), facts=FACTS)
    with zipfile.ZipFile(path) as file:
        text = file.read("README.md").decode()
        assert "predicts\nB from 2 planes" in text
        assert "B.npy" in file.namelist() and "A.npy" not in file.namelist()
    gc.collect()  # Closes what it leaves open.


@FOREIGN_WARNINGS
def test_a_package_needs_authors_and_a_licence(folder, tmp_path):
    pytest.importorskip("bioimageio.spec", reason="needs the extra `export`")
    for facts, message in (
        (None, "name and at least one of authors"),
        (PackageFacts("micro", ()), "name and at least one of authors"),
        (PackageFacts("", ("A. Name",)), "name and at least one of authors"),
        (PackageFacts("micro", ("A. Name",)), "licence: must be given"),
    ):
        with pytest.raises(InputError, match=message):
            export_model(folder, tmp_path / "m.zip", "bioimageio", facts=facts)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"format": "keras", "output": "a.h5"}, "must end in .keras"),
        ({"format": "onnx", "output": "a.keras"}, "must end in .onnx"),
        ({"format": "saved_model", "output": "."}, "must be a new file or fol"),
        ({"labels": "C"}, "labels: must be from A, B. Received: .C"),
        ({"labels": "A,A"}, "labels: .*A"),
        ({"statistics": "maximum"}, "statistics: must be .*: .maximum"),
        ({"statistics": ""}, "statistics"),
        ({"model": "/nowhere"}, "/nowhere: must be a model folder"),
        ({"authors": "A"}, "--authors must be left out with --format=keras"),
    ],
)
def test_mistakes_leave_nothing(run, folder, tmp_path, values, message):
    flags = {"model": folder, "format": "keras", "output": "a.keras"} | values
    flags["output"] = tmp_path / flags["output"]
    with pytest.raises(InputError, match=message):
        run(**flags)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("kind", "name"), [("keras", "a.keras"), ("bioimageio", "a.zip")]
)
def test_no_file_is_replaced(run, folder, tmp_path, kind, name):
    (tmp_path / name).write_text("mine")
    with pytest.raises(InputError, match=f"{name}: output must be a new file"):
        run(model=folder, format=kind, output=tmp_path / name)
    assert (tmp_path / name).read_text() == "mine"


@pytest.mark.parametrize("kind", ["saved_model", "onnx"])
def test_other_back_ends_are_refused(folder, tmp_path, monkeypatch, kind):
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    name = {"saved_model": "m", "onnx": "m.onnx"}[kind]
    with pytest.raises(InputError, match="KERAS_BACKEND=tensorflow.*: jax"):
        export_model(folder, tmp_path / name, kind)


def test_missing_packages_are_named(folder, tmp_path, monkeypatch):
    for name, kind, suffix in (
        ("tf2onnx", "onnx", "onnx"),
        ("bioimageio.spec", "bioimageio", "zip"),
    ):
        monkeypatch.setitem(sys.modules, name, None)
        with pytest.raises(InputError, match=r"pip install '\.\[export\]'"):
            export_model(folder, tmp_path / f"m.{suffix}", kind, facts=FACTS)
    assert not list(tmp_path.iterdir())


def test_script_says_what_it_wrote(run, folder, tmp_path, capsys):
    run(model=folder, format="keras", output=tmp_path / "a.keras", labels="B")
    assert capsys.readouterr().out.endswith(
        "a.keras: B, each median, standard_deviation\n"
    )
    assert set(FORMATS) == {"keras", "saved_model", "onnx", "bioimageio"}
    with zipfile.ZipFile(tmp_path / "a.keras") as file:
        assert json.loads(file.read("metadata.json"))["keras_version"]
