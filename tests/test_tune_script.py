"""The search for settings: trials, pruning, resuming, what is printed."""

import csv
import dataclasses
import shlex
import sys

import optuna
import pytest

from isl.ablation import search as search_module
from isl.ablation.search import (
    Search,
    as_changes,
    as_flags,
    iter_trials,
    mean_validation_pearson,
    open_study,
)
from isl.errors import DivergenceError, InputError
from isl.simulation.dataset import write_dataset
from isl.training.trainer import Trainer
from isl.training.validation import Validation

SCRIPT = "tune"
BUDGET = {
    "num_steps": 2,
    "steps_per_epoch": 1,
    "output_size": 16,
    "num_validation_crops": 1,
}
VALUES = {
    "learning_rate": 0.001,
    "batch_size": 2,
    "momentum": 0.95,
    "averaging": 0.9,
    "contrast": 0.1,
    "brightness": 0.05,
    "blur": 0.5,
    "focus_shift": 1,
    "noise": 0.01,
}


@pytest.fixture(scope="module")
def wells(tmp_path_factory):
    root = tmp_path_factory.mktemp("wells")
    return write_dataset(root, 2, 64, 2, 0), root


@pytest.fixture
def search(wells, tmp_path):
    spec, root = wells
    return Search(
        preset="tiny",
        changes={**BUDGET, "labels": ("DAPI_CONFOCAL",)},
        network="tiny_fnet",
        specs=(spec,),
        image_root=root,
        output_dir=tmp_path / "out",
    )


@pytest.fixture
def curves(monkeypatch):
    """Replaces training by validation curves, one for each trial."""

    def set_curves(*curves):
        remaining = iter(curves)

        def train(trainer, show_progress=False, after_epoch=None):
            for step, value in enumerate(next(remaining), start=1):
                if isinstance(value, BaseException):
                    raise value
                metrics = {"DAPI_CONFOCAL": {"pearson": value}}
                after_epoch(step, Validation(metrics, {}, {}, {}))

        monkeypatch.setattr(Trainer, "train", train)

    return set_curves


def test_the_score_is_the_mean_over_labels():
    metrics = {"A": {"pearson": 0.5}, "B": {"pearson": None}}
    assert mean_validation_pearson(Validation(metrics, {}, {}, {})) == 0.25


def test_the_last_epoch_counts_and_hopeless_trials_are_stopped(search, curves):
    good, bad = [0.1, 0.6, 0.5, 0.5], [0.0, 0.1, 0.1, 0.1]
    curves(good, good, good, good, bad)
    trials = list(iter_trials(search, open_study(search), 5))
    assert [trial.value for trial in trials[:4]] == [0.5] * 4
    assert trials[4].state == optuna.trial.TrialState.PRUNED
    assert list(trials[4].intermediate_values) == [1, 2]  # Not before.


def test_a_study_goes_on_where_it_was_stopped(search, curves):
    curves([0.5], [KeyboardInterrupt()])
    with pytest.raises(KeyboardInterrupt):
        list(iter_trials(search, open_study(search), 3))
    curves([0.2], [0.3], [0.4])
    study = open_study(search)
    lost = study.trials[1].params
    trials = list(iter_trials(search, study, 3))
    assert [trial.value for trial in trials] == [0.2, 0.3]
    assert trials[0].params == lost
    assert not list(iter_trials(search, open_study(search), 3))


def test_trials_are_in_a_table(search, curves):
    curves([0.5], [0.2])
    trials = list(iter_trials(search, open_study(search), 2))
    path = search.output_dir / search_module.TABLE_FILE
    with path.open() as file:
        rows = list(csv.DictReader(file))
    assert [(r["trial"], r["state"], r["value"]) for r in rows] == [
        ("0", "COMPLETE", "0.5"),
        ("1", "COMPLETE", "0.2"),
    ]
    for row, trial in zip(rows, trials, strict=True):
        assert float(row["momentum"]) == trial.params["momentum"]


def test_a_mistake_leaves_no_folder(search):
    changes = {**search.changes, "labels": ("GFP",)}
    with pytest.raises(InputError, match="labels must be.*: GFP"):
        open_study(dataclasses.replace(search, changes=changes))
    assert not search.output_dir.exists()


def test_processes_propose_different_settings(search):
    proposed = []
    for _ in range(3):  # As many processes, each of which opens the study.
        study = open_study(search)
        study.sampler = search_module._sampler(search, len(study.trials))
        trial = study.ask()
        search_module.propose(trial)
        proposed.append(trial.params["learning_rate"])
        study.tell(trial, 0.5)
    assert len(set(proposed)) == 3


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"preset": "fast"}, "another architecture|another "),
        ({"changes": {**BUDGET, "num_steps": 3}}, "another "),
    ],
)
def test_a_study_of_other_settings_is_refused(search, changes, message):
    open_study(search)
    open_study(search)
    with pytest.raises(InputError, match=message):
        open_study(dataclasses.replace(search, **changes))


def test_a_diverged_trial_counts_as_nothing(search, curves):
    curves([DivergenceError("not finite")])
    (trial,) = iter_trials(search, open_study(search), 1)
    assert trial.value == 0.0


def test_other_mistakes_end_the_search(search, curves):
    curves([InputError("a file is gone")])
    with pytest.raises(InputError, match="a file is gone"):
        list(iter_trials(search, open_study(search), 1))


def test_averaging_brings_what_it_needs(search):
    config = search.config(VALUES)
    config.check()
    assert (config.averaging, config.recalibration_batches) == (0.9, 8)
    plain = as_changes({**VALUES, "averaging": 0.0})
    assert "recalibration_batches" not in plain


def test_settings_as_flags(search):
    flags = as_flags(search, VALUES)
    for flag in (
        "--preset=tiny",
        "--model=tiny_fnet",
        "--num_steps=2",
        "--labels=DAPI_CONFOCAL",
        "--learning_rate=0.001",
        "--recalibration_batches=8",
    ):
        assert flag in flags
    search = dataclasses.replace(search, network=None)
    flags = as_flags(search, VALUES)
    assert not [flag for flag in flags if flag.startswith("--model")]


def test_without_optuna_the_extra_is_named(search, monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(InputError, match=r"install .\.\[tune\]. in the folder"):
        open_study(search)


def test_the_command_can_be_given_to_a_shell(
    run, wells, tmp_path, curves, capsys
):
    _, root = wells
    curves([0.5])
    run(
        trials=1,
        data_specs=root / "spec.json",
        image_root=root,
        output_dir=tmp_path / "our runs",
        preset="tiny",
        model="tiny_fnet",
        **BUDGET,
    )
    words = shlex.split(capsys.readouterr().out.splitlines()[-1])
    assert words[:2] == ["python", "experiments/train.py"]
    assert words[-1] == f"--workdir={tmp_path / 'our runs' / 'best'}"


@pytest.mark.long
def test_the_best_settings_are_printed_as_a_command(
    run, wells, tmp_path, capsys
):
    _, root = wells
    flags = {
        "data_specs": root / "spec.json",
        "image_root": root,
        "output_dir": tmp_path / "out",
        "preset": "tiny",
        "model": "tiny_fnet",
        "labels": "DAPI_CONFOCAL",
    }
    run(trials=2, **flags, **BUDGET)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:2] for line in lines[:2]] == [
        ["0", "COMPLETE"],
        ["1", "COMPLETE"],
    ]
    words = shlex.split(lines[-1])
    assert words[:2] == ["python", "experiments/train.py"]
    assert "--model=tiny_fnet" in words
    assert f"--workdir={tmp_path / 'out' / 'best'}" in words
    assert (tmp_path / "out" / search_module.STUDY_FILE).is_file()
