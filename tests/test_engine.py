"""OpenVINO predicts what Keras does; what it cannot do is one line."""

import sys
import types

import keras
import numpy as np
import pytest

from isl.errors import InputError
from isl.images import open_ome_tiff
from isl.network import intensity_bins
from isl.network.model_folder import ModelDescription, save_model
from isl.network.unet import TINY_FNET
from isl.prediction import engine as engines
from isl.prediction.engine import (
    KERAS,
    KERAS_BFLOAT16,
    OPENVINO,
    OPENVINO_BFLOAT16,
    with_engine,
)
from isl.prediction.plate import predict_wells
from isl.prediction.plate_job import open_plate_job
from isl.prediction.predictor import build_predictor
from isl.prediction.request import Request, load_ready_model
from isl.prediction.well_inputs import find_inputs
from isl.prediction.workers import in_process
from tests.test_folding import COARSE, randomize
from tests.tiny_runs import MICRO

LABELS = ("A", "B")
NAMES = ("mean", "standard_deviation", "entropy")


def build(architecture, stitching="fast", **options):
    keras.utils.set_random_seed(4)
    description = ModelDescription(architecture, 2, LABELS, **options)
    model = description.build()
    randomize(model)
    return build_predictor(model, description, None, NAMES, stitching)


def random_input(size, batch_size=1):
    generator = np.random.default_rng(5)
    shape = (batch_size, size, size, 2)
    return {
        "planes": generator.integers(0, 65536, shape, np.uint16),
        "presence": generator.integers(0, 2, (batch_size, 2)) * np.float32(1),
    }


@pytest.fixture
def openvino():
    return pytest.importorskip("openvino")


@pytest.fixture
def recorded(openvino, monkeypatch):
    """What networks are compiled with, one entry for each."""
    calls = []

    class Core(openvino.Core):
        def compile_model(self, model, device, options):
            calls.append(options)
            return super().compile_model(model, device, options)

    monkeypatch.setattr(openvino, "Core", Core)
    return calls


@pytest.mark.parametrize(
    ("architecture", "stitching", "sizes"),
    [
        (MICRO, "fast", (0, 2)),
        pytest.param(COARSE, "exact", (2,), marks=pytest.mark.slow),
        (TINY_FNET, "fast", (2,)),
    ],
    ids=["fast", "exact", "fnet"],
)
def test_statistics_are_those_of_keras(
    openvino, architecture, stitching, sizes
):
    predictor = build(architecture, stitching, temperatures={"A": 2.0})
    fast = with_engine(predictor, OPENVINO)
    assert fast.channel_names == predictor.channel_names
    for batch_size, extra in enumerate(sizes, start=1):
        x = random_input(architecture.input_size + extra, batch_size)
        expected = predictor.model.predict_on_batch(x)
        found = fast.model.predict_on_batch(x)
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4)
        assert np.ptp(expected) > 0.1


def test_answers_are_not_overwritten(openvino):
    model = with_engine(build(MICRO), OPENVINO).model
    first = model.predict_on_batch(random_input(MICRO.input_size))
    kept = first.copy()
    empty = {k: 0 * v for k, v in random_input(MICRO.input_size).items()}
    assert np.abs(model.predict_on_batch(empty) - kept).max() > 1e-3
    np.testing.assert_array_equal(first, kept)


def test_it_compiles_once_for_a_shape_with_the_threads_it_is_given(recorded):
    model = with_engine(build(MICRO), OPENVINO, num_threads=1).model
    for size in (0, 0, 2, 2):
        model.predict_on_batch(random_input(MICRO.input_size + size))
    assert len(recorded) == 2
    for options in recorded:
        assert options["INFERENCE_NUM_THREADS"] == 1
        assert options["INFERENCE_PRECISION_HINT"] == "f32"
    model = with_engine(build(MICRO), OPENVINO).model
    model.predict_on_batch(random_input(MICRO.input_size))
    assert "INFERENCE_NUM_THREADS" not in recorded[-1]


def test_bfloat16_is_by_name_only(openvino, recorded, monkeypatch):
    monkeypatch.setattr(
        openvino.Core, "get_property", lambda *_: ["FP32", "BF16"]
    )
    contexts = []
    trace = engines._constant_graph
    monkeypatch.setattr(
        engines,
        "_constant_graph",
        lambda *arguments: (
            contexts.append(intensity_bins._may_use_products.get()),
            trace(*arguments),
        )[1],
    )
    for name in (OPENVINO_BFLOAT16, OPENVINO):
        model = with_engine(build(MICRO), name).model
        model.predict_on_batch(random_input(MICRO.input_size))
    assert contexts == [False, True]
    assert recorded[0]["INFERENCE_PRECISION_HINT"] == "bf16"
    monkeypatch.setattr(openvino.Core, "get_property", lambda *_: ["FP32"])
    with pytest.raises(InputError, match="in bfloat16. Received: one with FP"):
        with_engine(build(MICRO), OPENVINO_BFLOAT16)


def test_nothing_is_sent_anywhere(openvino, monkeypatch):
    # The conversion tool tells its makers of each conversion.
    telemetry = pytest.importorskip("openvino_telemetry")
    sent = []
    monkeypatch.setattr(
        telemetry.Telemetry, "send_event", lambda *_, **__: sent.append(1)
    )
    model = with_engine(build(MICRO), OPENVINO).model
    model.predict_on_batch(random_input(MICRO.input_size))
    assert not sent


def test_keras_is_left_as_it_is():
    predictor = build(MICRO)
    assert with_engine(predictor, "keras") is predictor


def test_bfloat16_of_keras_is_near_float32(tmp_path):
    keras.utils.set_random_seed(4)
    description = ModelDescription(MICRO, 2, LABELS)
    model = description.build()
    randomize(model)
    save_model(tmp_path / "model", model, description)
    found, computed = {}, {}
    for name in (KERAS, KERAS_BFLOAT16):
        request = Request(statistics=NAMES, engine=name)
        predictor = load_ready_model(tmp_path / "model", request).predictor
        inputs = random_input(MICRO.input_size + 8)
        found[name] = predictor.model.predict_on_batch(inputs)
        computed[name] = {
            layer.compute_dtype
            for network in predictor.model.layers
            for layer in getattr(network, "layers", ())
            if isinstance(layer, keras.layers.Conv2D)
        }
    # Heads are float32 in either.
    assert computed == {
        KERAS: {"float32"},
        KERAS_BFLOAT16: {"float32", "bfloat16"},
    }
    assert found[KERAS_BFLOAT16].dtype == np.float32
    difference = np.abs(found[KERAS] - found[KERAS_BFLOAT16])
    assert 1e-5 < difference.max() < 0.1
    assert keras.config.dtype_policy().name == "float32"


def test_an_unknown_engine_is_refused():
    with pytest.raises(InputError, match="engine: must be from .*: onnx"):
        engines.check_engine("onnx")


def test_without_openvino_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(InputError, match=r"'\.\[openvino\]' in the folder"):
        engines.check_engine(OPENVINO)


def test_another_back_end_is_refused(monkeypatch):
    backend = types.SimpleNamespace(backend=lambda: "jax")
    monkeypatch.setattr(engines.keras, "backend", backend)
    with pytest.raises(InputError, match="back end tensorflow.*: jax"):
        engines.check_engine(OPENVINO)


def test_a_plate_is_predicted_by_it(openvino, recorded, wells, model, tmp_path):
    request = Request(statistics=("mean",), engine=OPENVINO)
    source, inputs = find_inputs(str(wells), None, None, tmp_path / "out")
    job, found = open_plate_job(
        model, request, inputs, source, tmp_path / "out", "ome_tiff", 1
    )
    outcomes = predict_wells(job, found, in_process)
    assert {outcome.status for outcome in outcomes} == {"predicted"}
    assert [o["INFERENCE_NUM_THREADS"] for o in recorded] == [1]
    other = open_plate_job(
        model,
        Request(statistics=("mean",)),
        inputs,
        source,
        tmp_path / "keras",
        "ome_tiff",
    )
    predict_wells(*other, in_process)
    one, two = (
        open_ome_tiff(tmp_path / folder / found[0].output).planes[0][0]
        for folder in ("out", "keras")
    )
    everything = (slice(None), slice(None))
    np.testing.assert_allclose(
        one.read(*everything), two.read(*everything), rtol=0, atol=1e-4
    )
    with pytest.raises(InputError, match="another engine .openvino.; choose"):
        open_plate_job(
            model,
            Request(statistics=("mean",)),
            inputs,
            source,
            tmp_path / "out",
            "ome_tiff",
        )


def test_a_request_is_checked_before_anything_is_written(monkeypatch, tmp_path):
    description = ModelDescription(MICRO, 2, LABELS)
    save_model(tmp_path / "model", description.build(), description)
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(InputError, match="engine: the extra `openvino`"):
        load_ready_model(tmp_path / "model", Request(engine=OPENVINO))
