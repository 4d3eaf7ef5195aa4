import dataclasses
import functools
import json
import time

import keras
import numpy as np
import pytest

from isl.benchmarks import measure, workloads
from isl.benchmarks.report import measure_workloads
from isl.errors import InputError
from isl.machine import peak_resident_bytes
from isl.network.cost import (
    convolution_values,
    exact_multiply_adds,
    multiply_adds,
)
from isl.network.model_folder import ModelDescription
from isl.simulation.dataset import write_dataset
from tests.tiny_runs import MICRO, MICRO_CONFIG


# What the machine can do at most is told in milliseconds.
@pytest.fixture(autouse=True)
def small_limits(monkeypatch):
    monkeypatch.setattr(measure, "_PEAK_SIZE", 1024)
    monkeypatch.setattr(measure, "_PEAK_VALUES", 2**22)


SCRIPT = "benchmark"
MODEL = ModelDescription(MICRO, 2, ("A", "B"))


def test_work_takes_turns():
    calls = []
    turns = measure.take_turns(
        [lambda: calls.append(0), lambda: calls.append(1)], 3
    )
    assert calls == [0, 1] * 3
    assert [turn.seconds.shape for turn in turns] == [(3,)] * 2
    assert measure.spread(np.array([3.0, 1.0, 8.0])) == {
        "median": 3.0,
        "min": 1.0,
        "max": 8.0,
    }


def test_the_limit_has_the_precision_of_the_work(monkeypatch):
    speeds = {"float32": 1.0, "mixed_bfloat16": 2.0}
    monkeypatch.setattr(
        measure, "matrix_product", lambda precision: lambda: speeds[precision]
    )
    turns = measure.take_turns(
        [lambda: None] * 3, 2, precisions=["mixed_bfloat16", *speeds]
    )
    assert [t.multiply_adds_per_second.tolist() for t in turns] == [
        [2.0, 2.0],
        [1.0, 1.0],
        [2.0, 2.0],
    ]


def test_limits_of_the_machine_are_sensible():
    assert 1e8 < measure.matrix_product()() < 1e15
    assert 1e8 < measure.matrix_product("mixed_bfloat16")() < 1e15
    assert 1e8 < measure.large_addition()() < 1e14
    held = peak_resident_bytes()
    assert 5e7 < held < 1e12
    block = np.ones(30_000_000)
    assert peak_resident_bytes() >= held
    assert block.size
    name, memory = measure.device()
    assert name
    assert memory is None or memory >= 0


@pytest.mark.parametrize(
    ("method", "size", "batch_size", "count"),
    [
        ("patchwise", 8, 16, multiply_adds),
        ("fast", 24, 1, multiply_adds),
        ("exact", 16, 1, exact_multiply_adds),
    ],
)
def test_prediction_gives_statistics(method, size, batch_size, count):
    workload = workloads.prediction_workload(
        MODEL, method, size, statistics=("median", "mean")
    )
    assert workload.run().shape == (batch_size, size, size, 4)
    assert workload.pixels == batch_size * size**2
    assert workload.multiply_adds == batch_size * count(MICRO, 4, 2, size)
    moved = 4 * batch_size * convolution_values(MICRO, 4, 2, size)
    assert workload.moved_bytes == (None if method == "exact" else moved)


def test_sizes_of_tiles_have_defaults():
    workload = workloads.prediction_workload(MODEL, "patchwise")
    assert workload.parameters["output_size"] == 8
    assert workload.parameters["batch_size"] == 16


def test_prediction_by_another_engine():
    pytest.importorskip("openvino")
    workload = workloads.prediction_workload(
        MODEL, "fast", 24, engine="openvino"
    )
    assert workload.run().shape == (1, 24, 24, 2)
    assert workload.parameters["engine"] == "openvino"


@pytest.mark.parametrize(
    ("method", "size", "message"),
    [
        ("slow", None, "method must be from patchwise, .* Received: slow"),
        ("fast", 7, "output_size must be a multiple of 1 .* Received: 7"),
        ("exact", 4, "output_size must be a multiple of 1 .* Received: 4"),
    ],
)
def test_mistakes_in_what_to_predict(method, size, message):
    with pytest.raises(InputError, match=message):
        workloads.prediction_workload(MODEL, method, size)


def test_training_does_steps():
    workload = workloads.training_workload(MODEL, MICRO_CONFIG)
    first = workload.run()
    for _ in range(20):
        last = workload.run()
    assert np.mean(last) < np.mean(first)
    assert workload.pixels == 2 * 16**2


def test_training_in_another_precision(monkeypatch):
    policies = []
    build = ModelDescription.build

    def watched(description, initializer=None, precision="float32"):
        policies.append(precision)
        return build(description, initializer, precision)

    monkeypatch.setattr(ModelDescription, "build", watched)
    config = dataclasses.replace(
        MICRO_CONFIG, precision="mixed_bfloat16", label_stride=2, remat=True
    )
    workload = workloads.training_workload(MODEL, config)
    assert policies == ["mixed_bfloat16"]
    assert keras.config.dtype_policy().name == "float32"
    (report,) = measure_workloads("train", [workload], MODEL, 1)
    assert report["precision"] == "mixed_bfloat16"
    assert (report["label_stride"], report["remat"]) == (2, True)


def test_prediction_in_another_precision():
    workload = workloads.prediction_workload(MODEL, "fast", 24, engine="keras")
    assert workload.parameters["precision"] == "float32"
    workload = workloads.prediction_workload(
        MODEL, "fast", 24, engine="keras_bfloat16"
    )
    assert workload.parameters["precision"] == "mixed_bfloat16"


def test_skipped_pixels_are_not_counted():
    full, skipping = (
        workloads.training_workload(
            MODEL, dataclasses.replace(MICRO_CONFIG, label_stride=stride)
        )
        for stride in (1, 2)
    )
    heads = multiply_adds(MICRO, 4, 2, 16) - multiply_adds(MICRO, 4, 0, 16)
    # Of two patches, with their gradients.
    saved = 3 * 2 * heads * 3 // 4
    assert full.multiply_adds - skipping.multiply_adds == saved
    assert full.pixels == 4 * skipping.pixels


def test_input_draws_other_patches_each_time(tmp_path):
    spec = write_dataset(tmp_path, 2, 48, 2, 0)
    workload = workloads.input_workload(MICRO_CONFIG, [spec], tmp_path)
    one, other = workload.run()[0], workload.run()[0]
    assert one["planes"].shape == (2, 20, 20, 2)
    assert not np.array_equal(one["planes"], other["planes"])


def test_cold_input_opens_files_anew(tmp_path, monkeypatch):
    spec = write_dataset(tmp_path, 2, 48, 2, 0)
    evicted = []
    monkeypatch.setattr(measure, "evict", evicted.append)
    cold = workloads.input_workload(MICRO_CONFIG, [spec], tmp_path, cold=True)
    warm = workloads.input_workload(MICRO_CONFIG, [spec], tmp_path)
    np.testing.assert_array_equal(
        cold.run()[0]["planes"], warm.run()[0]["planes"]
    )
    assert not evicted  # That takes time too.
    measure_workloads("input", [cold], None, 2)
    assert evicted == [tmp_path] * 2
    assert cold.parameters["digest"] == warm.parameters["digest"]
    (report,) = measure_workloads("input", [warm], None, 2)
    assert report["patches_per_second"] == pytest.approx(
        2 / report["seconds"]["median"]
    )


def test_script_measures_each_data_set_warm_and_cold(run, tmp_path, capsys):
    paths = []
    for name, num_z in (("one", 2), ("two", 3)):
        write_dataset(tmp_path / name, 1, 64, num_z, 0)
        spec = json.loads((tmp_path / name / "spec.json").read_text())
        for well in spec["wells"]:
            well["path"] = f"{name}/{well['path']}"
        paths.append(tmp_path / f"{name}.json")
        paths[-1].write_text(json.dumps(spec | {"name": name}))
    run(
        what="input",
        architecture="tiny",
        output_size=8,
        batch_size=1,
        repeats=1,
        data_specs=",".join(map(str, paths)),
        image_root=tmp_path,
    )
    reports = [
        json.loads(line) for line in capsys.readouterr().out.splitlines()
    ]
    assert [(r["data"], r["cold"]) for r in reports] == [
        (["one"], False),
        (["one"], True),
        (["two"], False),
        (["two"], True),
    ]
    digests = [report["digest"] for report in reports]
    assert digests[0] == digests[1] != digests[2] == digests[3]


def test_evicting_loses_nothing(tmp_path):
    (tmp_path / "a").mkdir()
    path = tmp_path / "a" / "b"
    path.write_bytes(b"x" * 10_000)
    measure.evict(tmp_path)
    assert path.read_bytes() == b"x" * 10_000


def test_each_method_has_the_limit_of_its_precision(monkeypatch):
    monkeypatch.setattr(
        measure,
        "matrix_product",
        lambda precision: lambda: {"float32": 1.0}.get(precision, 2.0),
    )
    work = [
        workloads.prediction_workload(MODEL, "fast", 24, engine=engine)
        for engine in ("keras_bfloat16", "keras")
    ]
    reports = measure_workloads("predict", work, MODEL, 1)
    limits = [r["machine_multiply_adds_per_second"] for r in reports]
    assert limits == [2.0, 1.0]


def test_bfloat16_moves_half_the_bytes():
    full, half = (
        workloads.prediction_workload(MODEL, "fast", 24, engine=engine)
        for engine in ("keras", "keras_bfloat16")
    )
    assert full.moved_bytes == 2 * half.moved_bytes


def test_report_is_complete():
    workload = workloads.prediction_workload(MODEL, "fast", 24)
    (report,) = measure_workloads("predict", [workload], MODEL, 5)
    median = report["seconds"]["median"]
    assert report["pixels_per_second"] == pytest.approx(24**2 / median)
    assert report["multiply_adds_per_second"] == pytest.approx(
        multiply_adds(MICRO, 4, 2, 24) / median
    )
    assert 0 < report["share_of_machine"] < 2
    assert report["bytes_per_pixel"] == workload.moved_bytes / 24**2
    assert 0 < report["share_of_bandwidth"] < 2
    for name in ("device", "backend", "precision", "versions", "git_commit"):
        assert report[name]
    json.dumps(report)


def test_work_is_compared_with_the_first():
    slow, fast = (
        workloads.Workload(functools.partial(time.sleep, t), 10, 100, {}, 1000)
        for t in (0.05, 0.01)
    )
    reports = measure_workloads("input", [slow, fast], None, 3)
    assert reports[0]["times_the_first"] == 1
    assert 2 < reports[1]["times_the_first"] < 6
    for name in ("share_of_machine", "share_of_bandwidth"):
        assert reports[1][name] > reports[0][name]


def test_script_prints_a_line_of_json_for_each_method(run, capsys):
    run(
        what="predict",
        method="fast,patchwise",
        engine="keras",
        architecture="tiny",
        num_z=2,
        num_labels=1,
        output_size="24,8",
        repeats=2,
    )
    lines = capsys.readouterr().out.splitlines()
    reports = [json.loads(line) for line in lines]
    assert [report["method"] for report in reports] == ["fast", "patchwise"]
    assert [report["output_size"] for report in reports] == [24, 8]


@pytest.mark.parametrize(
    ("changes", "part"),
    [
        ({"method": "fast", "output_size": 25}, "25"),
        ({"method": "slow"}, "slow"),
        ({"method": "exact", "output_size": 24}, "24"),
        ({"what": "train", "output_size": 71}, "71"),
        ({"what": "train", "output_size": "72,72"}, "output_size must.*72,72"),
        ({"method": "fast", "output_size": "8x"}, "output_size must.*8x"),
        ({"what": "input"}, "data_specs"),
        ({"what": "train", "method": "fast"}, "--method must be left out"),
        ({"what": "predict", "remat": "true"}, "--remat must be left out"),
    ],
    ids=lambda value: str(value),
)
def test_script_reports_mistakes(run, changes, part):
    with pytest.raises(InputError, match=part):
        run(**({"repeats": 1} | changes))
