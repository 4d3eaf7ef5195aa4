"""The main job end to end, as separate processes, as users run it."""

import csv
import os
import pathlib
import subprocess
import sys

import pytest

from isl.evaluation.distributions import DistributionScores
from isl.evaluation.pixel_sums import MeanScores

ROOT = pathlib.Path(__file__).parents[1]
SCRIPTS = sorted(path.name for path in (ROOT / "experiments").glob("*.py"))


def run_script(name, *arguments, **values):
    flags = [f"--{key}={value}" for key, value in values.items()]
    return subprocess.run(
        [sys.executable, str(ROOT / "experiments" / name), *arguments, *flags],
        capture_output=True,
        text=True,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
        timeout=500,
    )


def assert_one_line_error(result, *parts):
    """The script failed with one line that holds all parts."""
    assert result.returncode == 1, result.stderr[-2000:]
    assert "Traceback" not in result.stderr
    lines = [x for x in result.stderr.splitlines() if x.startswith("error: ")]
    assert len(lines) == 1, result.stderr
    for part in parts:
        assert part in lines[0]


# To import Keras takes seconds: once is enough for all. Nothing has been
# computed when it forks.
HELP = """
import os, pathlib, runpy, sys

import keras

folder, *paths = sys.argv[1:]
for path in map(pathlib.Path, paths):
    child = os.fork()
    if not child:
        for number, kind in ((1, "out"), (2, "err")):
            name = f"{folder}/{path.name}.{kind}"
            os.dup2(os.open(name, os.O_WRONLY | os.O_CREAT), number)
        sys.argv = [str(path), "--help"]
        runpy.run_path(str(path), run_name="__main__")
        sys.exit()
    os.waitpid(child, 0)
"""


@pytest.fixture(scope="module")
def helped(tmp_path_factory):
    """Folder of what each script prints with --help."""
    folder = tmp_path_factory.mktemp("help")
    paths = [str(ROOT / "experiments" / name) for name in SCRIPTS]
    subprocess.run(
        [sys.executable, "-P", "-c", HELP, str(folder), *paths],
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
        check=True,
        timeout=500,
    )
    return folder


@pytest.mark.parametrize("name", SCRIPTS)
def test_help_works(name, helped):
    assert "flags:" in (helped / f"{name}.out").read_text()
    assert "Traceback" not in (helped / f"{name}.err").read_text()


@pytest.mark.slow
def test_main_job(tmp_path):
    simulated = run_script(
        "simulate.py", output_dir=tmp_path / "wells", num_wells=2, size=96,
        num_z=2, seed=0,
    )  # fmt: skip
    assert simulated.returncode == 0, simulated.stderr
    data = {
        "data_specs": tmp_path / "wells" / "spec.json",
        "image_root": tmp_path / "wells",
    }
    trained = run_script(
        "train.py", **data, preset="tiny", workdir=tmp_path / "run",
        num_steps=4, steps_per_epoch=2, output_size=24,
        labels="DAPI_CONFOCAL,MAP2_CONFOCAL",
    )  # fmt: skip
    assert trained.returncode == 0, trained.stderr
    first, last = trained.stdout.splitlines()
    assert first.startswith("validation: well A1 is trained on")
    assert last.startswith("4 steps in ")
    assert "100%" in trained.stderr
    predicted = run_script(
        "predict.py", model=tmp_path / "run" / "model",
        input=tmp_path / "wells" / "A2", output=tmp_path / "A2.ome.tif",
    )  # fmt: skip
    assert predicted.returncode == 0, predicted.stderr
    values = {}
    for name, source in (
        ("model", {"model": tmp_path / "run" / "model"}),
        ("predictions", {"predictions": tmp_path / "A2.ome.tif"}),
    ):
        output = tmp_path / name
        result = run_script("evaluate.py", **data, **source, output_dir=output)
        assert result.returncode == 0, result.stderr
        assert f"report: {output}/report.html" in result.stdout
        assert {path.name for path in output.iterdir()} == {
            "A2_DAPI_CONFOCAL.png",
            "A2_MAP2_CONFOCAL.png",
            "cells.csv",
            "metrics.csv",
            "metrics.json",
            "report.html",
        }
        with (output / "metrics.csv").open(newline="") as file:
            values[name] = {
                (row["well"], row["label"], row["metric"]): row["value"]
                for row in csv.DictReader(file)
            }
    distribution = {*DistributionScores().metrics(), *MeanScores().metrics()}
    for key, value in values["model"].items():
        # The stored medians are those of the model; its distributions are
        # not stored.
        if key[2] in distribution:
            assert value != ""
            value = ""
        assert values["predictions"][key] == value


@pytest.mark.skipif(
    not pathlib.Path("/dev/full").exists() or os.geteuid() != 0,
    reason="needs to mount a small file system",
)
def test_full_disk_leaves_nothing_half_written(wells, model, tmp_path):
    small = tmp_path / "small"
    small.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=16k", "tmpfs", str(small)],
        capture_output=True,
    )
    if mounted.returncode:
        pytest.skip("cannot mount a small file system")
    try:
        result = run_script(
            "predict.py", model=model, input=wells / "A1",
            output=small / "A1.ome.tif",
        )  # fmt: skip
        assert_one_line_error(result, "No space left")
        assert not list(small.iterdir())
    finally:
        subprocess.run(["umount", str(small)], check=True)


def test_a_mistake_is_one_line_and_no_output(wells, model, tmp_path):
    result = run_script(
        "evaluate.py", model=model, data_specs=wells / "spec.json",
        image_root=wells, output_dir=tmp_path / "out", region="0-40",
    )  # fmt: skip
    assert_one_line_error(result, "0-40")
    assert not (tmp_path / "out").exists()
