import dataclasses
import pathlib
import subprocess
import sys

import pytest

from isl.errors import InputError
from isl.network import tf1_checkpoint
from isl.network.architecture import CONCORDANCE
from isl.network.model_folder import load_description
from tests import tf1_files

SCRIPT = "convert_checkpoint"
PATH = pathlib.Path(__file__).parents[1] / "experiments" / f"{SCRIPT}.py"


@pytest.fixture
def printed(golden_conversion, run, monkeypatch, capsys):
    """Runs the script on the golden checkpoint; returns the lines printed.

    The conversion itself happens once for all tests, in conftest.py.
    """
    _, conversion = golden_conversion
    calls = []

    def convert(*arguments):
        calls.append(arguments)
        return conversion

    monkeypatch.setattr(tf1_checkpoint, "convert", convert)

    def run_with(**flags):
        run(checkpoint="some/checkpoint", output="some/model", **flags)
        assert calls == [("some/checkpoint", "some/model")]
        return capsys.readouterr().out.splitlines()

    return run_with


def test_a_row_for_every_part(printed):
    assert [line.split() for line in printed()] == [
        "checkpoint: model.ckpt-41328, step 41328".split(),
        "network: width 28, 13 planes, 256 intensity bins".split(),
        (
            "labels: DAPI_CONFOCAL, MAP2_CONFOCAL, NEURITE_CONFOCAL, "
            "NFH_CONFOCAL"
        ).split(),
        "part of the original layers variables values".split(),
        "stem stem* 2 432".split(),
        "tower 0 tower0_* 180 104,832".split(),
        "tower 1 tower1_* 180 100,240".split(),
        "tower 2 tower2_* 180 96,936".split(),
        "tower 3 tower3_* 180 94,008".split(),
        "tower 4 tower4_* 180 97,032".split(),
        "trunk trunk_* 140 181,440".split(),
        "auto-encoding heads input_z* 78 164,320".split(),
        "head DAPI_CONFOCAL DAPI_CONFOCAL* 6 12,640".split(),
        "head MAP2_CONFOCAL MAP2_CONFOCAL* 6 12,640".split(),
        "head NEURITE_CONFOCAL NEURITE_CONFOCAL* 6 12,640".split(),
        "head NFH_CONFOCAL NFH_CONFOCAL* 6 12,640".split(),
        "all 1144 889,800".split(),
        "of these trainable 879,488".split(),
        "optimizer slots skipped 4".split(),
        "bookkeeping skipped 3".split(),
        "wrote some/model".split(),
    ]


def test_a_line_for_every_variable(printed):
    lines = printed(list_variables=True)
    variables = [line for line in lines if "->" in line]
    assert len(variables) == 1144 + 4 + 3
    assert "Conv/weights -> stem/kernel 1x1x26x16" in variables
    assert "Conv/weights/Adam -> skipped" in variables
    assert "global_step -> skipped" in variables


def test_a_checkpoint_without_step_or_labels(
    golden_conversion, run, monkeypatch, capsys
):
    _, conversion = golden_conversion
    bare = dataclasses.replace(
        conversion,
        description=dataclasses.replace(conversion.description, labels=()),
        global_step=None,
    )
    monkeypatch.setattr(tf1_checkpoint, "convert", lambda *_: bare)
    run(checkpoint="a", output="b")
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "checkpoint: model.ckpt-41328, step unknown"
    assert lines[2] == "labels: none"


def test_a_truncated_checkpoint_is_an_input_error(run, tmp_path):
    variables = tf1_files.random_variables(tf1_files.network())
    tf1_files.write(tmp_path / "model.ckpt", variables)
    data = tmp_path / "model.ckpt.data-00000-of-00001"
    data.write_bytes(data.read_bytes()[:1000])
    with pytest.raises(InputError, match="must be a complete TensorFlow"):
        run(checkpoint=tmp_path / "model.ckpt", output=tmp_path / "model")
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"model.ckpt.index", data.name}


def start(*arguments):
    """Runs the script as a user does; prints its peak memory at the end."""
    # Not getrusage: it counts what the parent held before.
    wrapper = (
        "import atexit, pathlib, runpy, sys\n"
        "status = pathlib.Path('/proc/self/status')\n"
        "lines = lambda: status.read_text().splitlines()\n"
        "peak = lambda: [x for x in lines() if x.startswith('VmHWM')][0]\n"
        "atexit.register(lambda: print(peak()))\n"
        "sys.argv = sys.argv[1:]\n"
        "runpy.run_path(sys.argv[0], run_name='__main__')\n"
    )
    return subprocess.run(
        [sys.executable, "-c", wrapper, str(PATH), *arguments],
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.long
@pytest.mark.skipif(
    not pathlib.Path("/proc/self/status").exists(),
    reason="the peak of memory is read as Linux gives it",
)
def test_the_released_size(tmp_path):
    z_values = {i: str(round(i / 25, 4)) for i in range(26)}
    labels = tuple(f"LABEL_{i}" for i in range(9))
    description = tf1_files.network(400, 26, labels, z_values)
    variables = tf1_files.random_variables(description)
    assert len(variables) == 1252
    variables = tf1_files.with_optimizer(variables, step=984658)
    tf1_files.write(tmp_path / "model.ckpt-984658", variables)
    result = start(
        f"--checkpoint={tmp_path / 'model.ckpt-984658'}",
        f"--output={tmp_path / 'model'}",
    )
    assert result.returncode == 0, result.stderr
    lines = [line.split() for line in result.stdout.splitlines()]
    assert "checkpoint: model.ckpt-984658, step 984658".split() in lines
    assert "all 1252 9,309,480".split() in lines
    assert "of these trainable 9,273,708".split() in lines
    assert lines[-1][0] == "VmHWM:" and lines[-1][2] == "kB"
    assert int(lines[-1][1]) < 2e6
    found = load_description(tmp_path / "model")
    assert found.architecture == CONCORDANCE
    assert (found.num_z, found.labels) == (26, labels)
    assert found.include_autoencoding
