import dataclasses
import io
import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image
from tensorboard import context
from tensorboard.backend.event_processing import (
    data_provider,
    plugin_event_multiplexer,
)
from tensorboard.plugins import base_plugin
from tensorboard.plugins.hparams import (
    api_pb2,
    backend_context,
    list_session_groups,
)

from isl.errors import InputError
from isl.evaluation.distributions import DistributionScores
from isl.simulation.dataset import write_dataset
from isl.training.monitoring import RUN_COLUMNS, Log, Monitor, RunRecord
from isl.training.validation import Validation
from tests.tiny_runs import MICRO_CONFIG


def test_log_keeps_rows_of_an_earlier_part(tmp_path):
    path = tmp_path / "log.csv"
    Log(path, ["step", "loss"]).append({"step": 2, "loss": 0.5})
    second = Log(path, ["step", "loss"])
    second.append({"step": 4, "loss": None, "other": 1})
    assert path.read_text() == "step,loss\n2,0.5\n4,\n"


def test_log_forgets_what_is_done_again(tmp_path):
    path = tmp_path / "log.csv"
    log = Log(path, ["step", "loss"])
    for step in (2, 4, 6):
        log.append({"step": step, "loss": 0})
    log.forget_after(4)
    log.append({"step": 6, "loss": 1})
    assert path.read_text() == "step,loss\n2,0\n4,0\n6,1\n"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"step;loss\n2;0.5\n", "must have a column step. Received: step;"),
        (b"step,loss\ntwo,0.5\n", "must have whole numbers.*: two"),
        (b"\xff\xfe", "must be the log of a run. Received: Unicode"),
    ],
)
def test_a_log_of_another_program_is_told(tmp_path, content, message):
    (tmp_path / "log.csv").write_bytes(content)
    with pytest.raises(InputError, match=f"log.csv: {message}"):
        Log(tmp_path / "log.csv", ["step", "loss"])


def read_events(folder):
    from tensorboard.backend.event_processing.event_accumulator import (
        EventAccumulator,
    )

    events = EventAccumulator(str(folder))
    events.Reload()
    return events


def test_undefined_scalars_leave_a_gap(tmp_path):
    monitor = Monitor(tmp_path, 0)
    monitor.write_scalars({"a": 1.0, "b": None}, 3)
    monitor.close()
    events = read_events(tmp_path)
    assert events.Tags()["scalars"] == ["a"]


@pytest.mark.long
def test_a_run_under_jax_writes_what_one_under_tensorflow_does(tmp_path):
    pytest.importorskip("jax")
    write_dataset(tmp_path / "wells", 4, 64, 2, 0)
    flags = {
        "preset": "tiny",
        "num_steps": 2,
        "steps_per_epoch": 1,
        "output_size": 16,
        "num_validation_crops": 1,
        "data_specs": tmp_path / "wells" / "spec.json",
        "image_root": tmp_path / "wells",
    }
    tags = {}
    for backend in ("tensorflow", "jax"):
        values = {**flags, "workdir": tmp_path / backend}
        subprocess.run(
            [sys.executable, "experiments/train.py"]
            + [f"--{name}={value}" for name, value in values.items()],
            cwd=pathlib.Path(__file__).parents[1],
            env={**os.environ, "KERAS_BACKEND": backend, "PYTHONPATH": "."},
            check=True,
            timeout=900,
        )
        found = read_events(tmp_path / backend / "tensorboard").Tags()
        kinds = ("scalars", "images", "histograms")
        tags[backend] = {
            # The correlation of a constant prediction is left out.
            kind: sorted(tag for tag in found[kind] if "pearson" not in tag)
            for kind in kinds
        }
    assert tags["jax"] == tags["tensorflow"]
    assert all(tags["jax"].values())


def test_resumed_run_hides_events_that_were_lost(tmp_path):
    for value, first in ((1.0, 0), (2.0, 2)):
        monitor = Monitor(tmp_path, first)
        for step in (2, 4) if first == 0 else (4,):
            monitor.write_scalars({"a": value}, step)
        monitor.close()
    points = read_events(tmp_path).Scalars("a")
    assert [(p.step, p.value) for p in points] == [(2, 1.0), (4, 2.0)]


def test_images_are_those_that_were_written(tmp_path):
    monitor = Monitor(tmp_path, 0)
    image = np.zeros((8, 6, 3), np.float32)
    image[2, 3] = (1.0, 0.0, 0.0)
    monitor.write_images({"panel/A": image}, 1)
    monitor.close()
    event = read_events(tmp_path).Images("panel/A")[0]
    with Image.open(io.BytesIO(event.encoded_image_string)) as picture:
        np.testing.assert_array_equal(np.asarray(picture), image * 255)


def test_histograms_hold_the_values(tmp_path):
    monitor = Monitor(tmp_path, 0)
    monitor.write_histograms({"weights/trunk": np.array([-2.0, 1.0, 1.0])}, 4)
    monitor.close()
    (event,) = read_events(tmp_path).Histograms("weights/trunk")
    assert event.step == 4
    histogram = event.histogram_value
    assert (histogram.num, histogram.min, histogram.max) == (3, -2.0, 1.0)
    assert histogram.sum == 0.0
    below = [
        count
        for limit, count in zip(
            histogram.bucket_limit, histogram.bucket, strict=True
        )
        if limit < 0
    ]
    assert sum(below) == 1


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """Folder of a run of one epoch, and what its calibration was drawn of."""
    folder = tmp_path_factory.mktemp("run")
    drawn = []

    def draw(scores, label):
        drawn.append((scores, label))
        stream = io.BytesIO()
        Image.new("RGB", (5, 4), (0, 0, 255)).save(stream, "PNG")
        return stream.getvalue()

    config = dataclasses.replace(MICRO_CONFIG, labels=("A",), num_z=2)
    record = RunRecord(folder, ["A"], ["A"], 0, draw)
    record.write_start({"config": config.to_dict()})
    scores = DistributionScores()
    record.write_epoch(
        dict.fromkeys(RUN_COLUMNS, 1.0) | {"step": 2},
        {"loss": 0.75, "A_loss": 0.75},
        Validation(
            {"A": {"pearson": 0.5, "nll": None}},
            {"A": np.zeros((4, 6, 3), np.float32)},
            {"A": scores},
            {"trunk": np.ones(5)},
        ),
        {"tower0": np.arange(3.0)},
    )
    record.write_end()
    record.close()
    return folder, (drawn, scores)


def test_an_epoch_is_recorded_whole(recorded):
    folder, (drawn, scores) = recorded
    assert drawn == [(scores, "A")]
    tags = read_events(folder / "tensorboard").Tags()
    assert set(tags["images"]) == {"validation/A", "calibration/A"}
    assert set(tags["histograms"]) == {"weights/tower0", "activations/trunk"}
    assert "validation/A/pearson" in tags["scalars"]
    assert "validation/A/nll" not in tags["scalars"]


def test_calibration_is_the_picture_that_was_drawn(recorded):
    event = read_events(recorded[0] / "tensorboard").Images("calibration/A")[0]
    assert (event.width, event.height) == (5, 4)
    with Image.open(io.BytesIO(event.encoded_image_string)) as picture:
        assert picture.getpixel((0, 0)) == (0, 0, 255)


def test_hyper_parameters_stand_beside_the_last_scores(recorded):
    """As TensorBoard's own plugin reads them."""
    (group,) = session_groups(recorded[0] / "tensorboard")
    assert group.hparams["learning_rate"].number_value == 0.01
    assert group.hparams["schedule"].string_value == "constant"
    assert group.hparams["freeze_body"].bool_value is False
    assert group.hparams["architecture.base_filters"].number_value == 40
    assert group.hparams["labels"].string_value == "A"
    assert "max_minutes" not in group.hparams
    metrics = {m.name.tag: m.value for m in group.metric_values}
    assert metrics["validation/A/pearson"] == 0.5
    assert metrics["train/loss"] == 0.75
    (session,) = group.sessions
    assert session.status == api_pb2.STATUS_SUCCESS


def session_groups(folder):
    multiplexer = plugin_event_multiplexer.EventMultiplexer()
    multiplexer.AddRunsFromDirectory(str(folder))
    multiplexer.Reload()
    provider = data_provider.MultiplexerDataProvider(multiplexer, str(folder))
    plugin = base_plugin.TBContext(data_provider=provider)
    request = api_pb2.ListSessionGroupsRequest(
        start_index=0,
        slice_size=10,
        allowed_statuses=[api_pb2.STATUS_SUCCESS],
    )
    return (
        list_session_groups.Handler(
            context.RequestContext(),
            backend_context.Context(plugin),
            "",
            request,
        )
        .run()
        .session_groups
    )
