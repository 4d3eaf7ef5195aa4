"""Real images from their folders to training, with one spec file each."""

import json
import pathlib
import subprocess
import sys

import pytest

from isl.specs import load_dataset_spec

ROOT = pathlib.Path(__file__).parents[1]

# Spec to the planes and labels of its wells, and to the problems that
# check_images.py is right to find.
CASES = {
    "sephace": (6, 1, set()),
    "cellpainting_bf_u": (1, 5, set()),
    "arcadia_brightfield": (1, 3, set()),
}


def run_script(name, **values):
    flags = [f"--{key}={value}" for key, value in values.items()]
    return subprocess.run(
        [sys.executable, ROOT / "experiments" / f"{name}.py", *flags],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
    )


@pytest.mark.long
@pytest.mark.parametrize("name", CASES)
def test_a_spec_takes_images_to_training(shared_data, tmp_path, name):
    num_z, num_labels, expected = CASES[name]
    spec = ROOT / "data_specs" / f"{name}.json"
    checked = run_script(
        "check_images",
        input=shared_data,
        data_spec=spec,
        output_dir=tmp_path / "checked",
    )
    assert checked.returncode == 0, checked.stdout
    problems = (tmp_path / "checked" / "problems.csv").read_text()
    kinds = {line.split(",")[1] for line in problems.splitlines()[1:]}
    assert kinds == expected
    prepared = run_script(
        "prepare",
        data_spec=spec,
        image_root=shared_data,
        output_dir=tmp_path / "prepared",
    )
    assert prepared.returncode == 0, prepared.stderr
    written = load_dataset_spec(tmp_path / "prepared" / "spec.json")
    assert (written.num_z, len(written.labels)) == (num_z, num_labels)
    trained = run_script(
        "train",
        preset="tiny",
        num_steps=5,
        data_specs=tmp_path / "prepared" / "spec.json",
        image_root=tmp_path / "prepared",
        workdir=tmp_path / "run",
    )
    assert trained.returncode == 0, trained.stderr
    model = json.loads((tmp_path / "run" / "model" / "model.json").read_text())
    assert model["labels"] == list(written.labels)
    assert model["num_z"] == num_z
