import dataclasses
import shutil

import numpy as np
import pytest
from absl import flags
from PIL import Image

from isl.errors import InputError
from isl.training.config import TrainConfig

SCRIPT = "train"


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
def test_train_reports_broken_planes(run, wells, tmp_path, damage):
    root = shutil.copytree(wells, tmp_path / "wells")
    plane = next((root / "A1").glob("*z_depth-0*"))
    damage(plane)
    with pytest.raises(InputError, match="A1"):
        run(
            data_specs=root / "spec.json",
            image_root=root,
            workdir=tmp_path / "run",
            preset="tiny",
            output_size=24,
        )
    assert not (tmp_path / "run").exists()


@pytest.mark.usefixtures("script")
def test_every_setting_is_a_flag():
    names = {field.name for field in dataclasses.fields(TrainConfig)}
    assert names - {"architecture"} <= set(flags.FLAGS)


def test_flips_can_be_switched_off(run, script, wells, tmp_path, monkeypatch):
    def trainer(config, *arguments):
        raise InputError(f"flips={config.flips}")

    monkeypatch.setattr(script, "Trainer", trainer)
    with pytest.raises(InputError, match="flips=False"):
        run(
            data_specs=wells / "spec.json",
            image_root=wells,
            workdir=tmp_path,
            flips="false",
        )


@pytest.mark.parametrize(
    ("flags_given", "unused"),
    [
        ({"model": "unet", "momentum": 0.9, "zoom": 0.1}, ["momentum"]),
        (
            {
                "preset": "unet",
                "recalibration_batches": 0,
                "frozen_norm_share": 0.2,
            },
            ["recalibration_batches", "frozen_norm_share"],
        ),
        ({"preset": "unet"}, []),
        ({"model": "fnet", "momentum": 0.9}, []),
        ({"model": "narrow", "frozen_norm_share": 0.1}, []),
    ],
    ids=str,
)
def test_flags_that_do_nothing_are_told(
    run, script, wells, tmp_path, monkeypatch, capsys, flags_given, unused
):
    def trainer(*arguments):
        raise InputError("far enough")

    monkeypatch.setattr(script, "Trainer", trainer)
    with pytest.raises(InputError, match="far enough"):
        run(
            data_specs=wells / "spec.json",
            image_root=wells,
            workdir=tmp_path,
            **flags_given,
        )
    told = capsys.readouterr().err.splitlines()
    assert sorted(told) == sorted(
        f"warning: --{name}: no effect, as the network has no batch "
        f"normalisation"
        for name in unused
    )


@pytest.mark.parametrize(
    ("changes", "parts"),
    [
        ({"output_size": 71}, ["output_size", "71"]),
        ({"labels": "GFP"}, ["labels", "GFP"]),
        ({"output_size": 72}, ["72", "64 x 64"]),
        ({"loss": "hinge"}, ["loss", "hinge"]),
        ({"train_split": "fit"}, ["fit"]),
        ({"init_from": "nowhere"}, ["nowhere", "no such folder"]),
        ({"init_from": "x", "model": "tiny"}, ["model must be left out"]),
        ({"freeze_body": "true"}, ["freeze_body", "init_from"]),
        ({"accumulation_steps": 3}, ["accumulation_steps", "batch_size"]),
        ({"model": "tiny_unet", "remat": "true"}, ["remat", "True"]),
        ({"model": "tiny_unet", "dropout": 0.1}, ["dropout", "0.1"]),
        ({"distribution": "data_parallel"}, ["KERAS_BACKEND=jax"]),
        ({"num_processes": 2}, ["job_address", "None"]),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_train_reports_mistakes(run, wells, tmp_path, changes, parts):
    values = {
        "data_specs": wells / "spec.json",
        "image_root": wells,
        "workdir": tmp_path / "run",
        "preset": "tiny",
        "output_size": 24,
    }
    with pytest.raises(InputError) as caught:
        run(**(values | changes))
    assert all(part in str(caught.value) for part in parts)
    assert not (tmp_path / "run").exists()
