"""The main job end to end, as separate processes, as users run it."""

import csv
import json
import os
import pathlib
import shutil
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from isl.network.model_folder import ModelDescription, save_model
from isl.simulation.dataset import write_dataset
from tests.tiny_runs import MICRO

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


@pytest.fixture(scope="module")
def wells(tmp_path_factory):
    """Folder of two simulated wells and their spec; the second is a test."""
    root = tmp_path_factory.mktemp("wells")
    write_dataset(root, 2, 64, 2, 0)
    return root


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A network with random weights for two planes and one label."""
    folder = tmp_path_factory.mktemp("model") / "model"
    description = ModelDescription(MICRO, 2, ("DAPI_CONFOCAL",))
    save_model(folder, description.build(), description)
    return folder


@pytest.mark.parametrize("name", SCRIPTS)
def test_help_works(name):
    result = run_script(name, "--help")
    # absl exits with 1 after --help.
    assert "flags:" in result.stdout
    assert "Traceback" not in result.stderr


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
    assert trained.stdout.startswith("4 steps in ")
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
            "metrics.csv",
            "metrics.json",
            "report.html",
        }
        with (output / "metrics.csv").open(newline="") as file:
            values[name] = {
                (row["well"], row["label"], row["metric"]): row["value"]
                for row in csv.DictReader(file)
            }
    assert values["model"]["pooled", "DAPI_CONFOCAL", "nll"] != ""
    assert values["predictions"]["pooled", "DAPI_CONFOCAL", "nll"] == ""
    for key in values["model"]:
        if key[2] != "nll":  # The stored medians are those of the model.
            assert values["model"][key] == values["predictions"][key]


def test_region_limits_the_pixels(wells, model, tmp_path):
    result = run_script(
        "evaluate.py", model=model, data_specs=wells / "spec.json",
        image_root=wells, output_dir=tmp_path, region="0-40:10-64",
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    metrics = json.loads((tmp_path / "metrics.json").read_text())["metrics"]
    row = metrics["simulated"]["pooled"]["DAPI_CONFOCAL"]["mae"]
    assert row["count"] == 40 * 54


@pytest.mark.parametrize(
    ("changes", "parts"),
    [
        ({"region": "0-40"}, ["0-40"]),
        ({"region": "0-400:"}, ["400"]),
        ({"split": "holdout"}, ["holdout"]),
        ({"labels": "GFP"}, ["GFP"]),
        ({"model": "/nowhere"}, ["/nowhere", "model folder"]),
        ({"predictions": "p.ome.tif"}, ["--predictions", "not both"]),
        ({"data_specs": "/nowhere.json"}, ["/nowhere.json"]),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_evaluate_reports_mistakes(wells, model, tmp_path, changes, parts):
    values = {
        "model": model,
        "data_specs": wells / "spec.json",
        "image_root": wells,
        "output_dir": tmp_path / "out",
    }
    result = run_script("evaluate.py", **(values | changes))
    assert_one_line_error(result, *parts)
    assert not (tmp_path / "out").exists()


def break_rgb(path):
    Image.new("RGB", (64, 64)).save(path)


def break_truncated(path):
    path.write_bytes(path.read_bytes()[:-2000])


def break_size(path):
    Image.fromarray(np.zeros((32, 64), np.uint16)).save(path)


def break_missing(path):
    path.unlink()


@pytest.mark.parametrize(
    "damage",
    [break_rgb, break_truncated, break_size, break_missing],
    ids=lambda damage: damage.__name__,
)
def test_train_reports_broken_planes(wells, tmp_path, damage):
    root = shutil.copytree(wells, tmp_path / "wells")
    plane = next((root / "A1").glob("*z_depth-0*"))
    damage(plane)
    result = run_script(
        "train.py", data_specs=root / "spec.json", image_root=root,
        workdir=tmp_path / "run", preset="tiny", output_size=24,
    )  # fmt: skip
    assert_one_line_error(result, "A1")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("changes", "parts"),
    [
        ({"output_size": 71}, ["output_size", "71"]),
        ({"labels": "GFP"}, ["labels", "GFP"]),
        ({"output_size": 72}, ["72", "64 x 64"]),
        ({"loss": "hinge"}, ["loss", "hinge"]),
        ({"train_split": "fit"}, ["fit"]),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_train_reports_mistakes(wells, tmp_path, changes, parts):
    values = {
        "data_specs": wells / "spec.json",
        "image_root": wells,
        "workdir": tmp_path / "run",
        "preset": "tiny",
        "output_size": 24,
    }
    result = run_script("train.py", **(values | changes))
    assert_one_line_error(result, *parts)
    assert not (tmp_path / "run").exists()


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
