"""Searches for settings of training with Optuna, and stops hopeless trials.

The paper's settings come from a search by Google's internal tuner. Here a
tree-structured Parzen estimator proposes (Bergstra et al. 2011), and a trial
whose validation is worse than the median of the earlier ones at the same step
is stopped (Golovin et al. 2017, section 3.2.1). The study is a file, so that
it can be resumed and shared by processes.
"""

import contextlib
import dataclasses
import json
import os
import pathlib
import types
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from isl.ablation.table import TABLE_FILE
from isl.claims import claim
from isl.csv_files import write_csv
from isl.errors import DivergenceError
from isl.extras import import_extra
from isl.network.networks import NETWORKS
from isl.specs import DatasetSpec
from isl.training.checkpoint import check_run
from isl.training.config import TrainConfig
from isl.training.data import resolve
from isl.training.presets import configure
from isl.training.trainer import Trainer
from isl.training.validation import Validation

if TYPE_CHECKING:
    import optuna

STUDY_FILE = "study.journal"
STUDY_LOCK = "study.lock"
TRIALS_FOLDER = "trials"
# Trials before the first one can be stopped, and epochs before it is.
NUM_STARTUP_TRIALS, NUM_WARMUP_EPOCHS = 4, 2


@dataclasses.dataclass(frozen=True)
class Search:
    """What is searched, and on which data.

    Attributes:
        preset: Settings that are not searched, one of
            `isl.training.presets.PRESETS`.
        changes: Fields of `TrainConfig` that replace those of the preset:
            budget, splits, labels, ...
        network: Name in `isl.network.networks.NETWORKS` that replaces that of
            the preset; None: does not.
        specs: Data sets.
        image_root: Folder that the paths of the specs are relative to.
        output_dir: Folder of the study and its trials.
        seed: Of the proposals.
    """

    preset: str
    changes: Mapping[str, Any]
    network: str | None
    specs: tuple[DatasetSpec, ...]
    image_root: str | os.PathLike
    output_dir: pathlib.Path
    seed: int = 0

    def config(self, values: Mapping[str, Any]) -> TrainConfig:
        """Returns how a trial is trained."""
        return configure(
            self.preset,
            {**self.changes, **as_changes(values)},
            None if self.network is None else NETWORKS[self.network],
        )


def propose(trial: "optuna.Trial") -> dict[str, Any]:
    """Proposes the settings of a trial: rate, batches, what regularises."""
    return {
        "learning_rate": trial.suggest_float(
            "learning_rate", 3e-4, 1e-2, log=True
        ),
        "batch_size": trial.suggest_categorical("batch_size", [2, 4, 8]),
        "momentum": trial.suggest_float("momentum", 0.9, 0.99),
        "averaging": trial.suggest_categorical("averaging", [0.0, 0.9, 0.98]),
        "contrast": trial.suggest_float("contrast", 0.0, 0.4),
        "brightness": trial.suggest_float("brightness", 0.0, 0.1),
        "blur": trial.suggest_float("blur", 0.0, 1.0),
        "focus_shift": trial.suggest_int("focus_shift", 0, 2),
        "noise": trial.suggest_float("noise", 0.0, 0.05),
    }


def as_changes(values: Mapping[str, Any]) -> dict[str, Any]:
    """Returns proposed settings with those that they need to go together."""
    changes = dict(values)
    if changes.get("averaging"):
        # Averaged weights need statistics of their own (TrainConfig.check).
        changes.update(recalibration_batches=8)
    return changes


def mean_validation_pearson(validation: Validation) -> float:
    """Returns Pearson's r on the validation patches, the mean over labels.

    An undefined one, of a constant prediction, counts as 0. Unlike a
    likelihood it is there for every loss.
    """
    metrics = validation.metrics.values()
    return sum(scores["pearson"] or 0.0 for scores in metrics) / len(metrics)


def open_study(search: Search) -> "optuna.Study":
    """Opens the study of a folder, or begins one.

    Raises:
        InputError: If Optuna is not installed, or the folder holds a study
            of other settings or data.
    """
    optuna = _import_optuna()
    config = resolve(search.config({}), search.specs)
    search.output_dir.mkdir(parents=True, exist_ok=True)
    backend = optuna.storages.journal.JournalFileBackend(
        str(search.output_dir / STUDY_FILE)
    )
    study = optuna.create_study(
        storage=optuna.storages.JournalStorage(backend),
        study_name="isl",
        direction="maximize",
        load_if_exists=True,
        pruner=optuna.pruners.MedianPruner(
            n_startup_trials=NUM_STARTUP_TRIALS,
            n_warmup_steps=NUM_WARMUP_EPOCHS,
        ),
    )
    with claim(search.output_dir / STUDY_LOCK, wait=True):
        run = study.user_attrs.get("run")
        if run is None:
            specs = [spec.to_dict() for spec in search.specs]
            run = {"config": config.to_dict(), "specs": specs}
            study.set_user_attr("run", run)
    path = search.output_dir / STUDY_FILE
    check_run(path, json.loads(json.dumps(run)), config, search.specs)
    return study


def _sampler(search: Search, number: int) -> "optuna.samplers.BaseSampler":
    """Returns what proposes a trial: its own random numbers for each one.

    A sampler of the study would begin anew in each process that opens it, and
    all of them would propose the same.
    """
    seeds = np.random.SeedSequence((search.seed, number))
    seed = int(seeds.generate_state(1)[0])
    return _import_optuna().samplers.TPESampler(seed=seed)


def _import_optuna() -> types.ModuleType:
    optuna = import_extra("optuna", "tune", "tune")
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna


def iter_trials(
    search: Search,
    study: "optuna.Study",
    num_trials: int,
    show_progress: bool = False,
) -> Iterator["optuna.trial.FrozenTrial"]:
    """Does trials until the study has `num_trials` that ended.

    Args:
        search: What is searched.
        study: From `open_study`.
        num_trials: Trials of all processes together.
        show_progress: Shows progress bars on standard error.

    Yields:
        Each trial that this process did; `table.csv` has it then.

    Raises:
        InputError: If the data cannot be used.
    """
    study_lock = search.output_dir / STUDY_LOCK
    with claim(study_lock, wait=True):
        _repeat_lost_trials(search, study)
    while True:
        with contextlib.ExitStack() as stack:
            # A trial without its lock would look lost to other processes.
            with claim(study_lock, wait=True):
                if _num_taken(study) >= num_trials:
                    return
                study.sampler = _sampler(search, len(study.trials))
                trial = study.ask()
                stack.enter_context(claim(_lock_file(search, trial.number)))
            ended = _do(search, study, trial, show_progress)
            with claim(study_lock, wait=True):
                _write_table(search, study)
            yield ended


def _do(
    search: Search,
    study: "optuna.Study",
    trial: "optuna.Trial",
    show_progress: bool,
) -> "optuna.trial.FrozenTrial":
    optuna = _import_optuna()
    value = 0.0

    def after_epoch(step: int, validation: Validation) -> None:
        nonlocal value
        value = mean_validation_pearson(validation)
        trial.report(value, step // trainer.config.steps_per_epoch)
        if trial.should_prune():
            raise optuna.TrialPruned

    config = search.config(propose(trial))
    workdir = search.output_dir / TRIALS_FOLDER / str(trial.number)
    trainer = Trainer(config, search.specs, search.image_root, workdir)
    try:
        trainer.train(show_progress, after_epoch=after_epoch)
    except optuna.TrialPruned:
        return study.tell(trial, state=optuna.trial.TrialState.PRUNED)
    except DivergenceError:
        value = 0.0
    return study.tell(trial, value)


def _write_table(search: Search, study: "optuna.Study") -> None:
    """Writes the trials so far, one in a row: what was set and what came."""
    trials = study.trials
    settings = list(dict.fromkeys(k for t in trials for k in t.params))
    rows = [
        (t.number, t.state.name, t.value, *map(t.params.get, settings))
        for t in trials
    ]
    columns = ("trial", "state", "value", *settings)
    write_csv(search.output_dir / TABLE_FILE, columns, rows)


def _num_taken(study: "optuna.Study") -> int:
    optuna = _import_optuna()
    lost = optuna.trial.TrialState.FAIL, optuna.trial.TrialState.WAITING
    return sum(trial.state not in lost for trial in study.trials)


def _lock_file(search: Search, number: int) -> pathlib.Path:
    return search.output_dir / TRIALS_FOLDER / f"{number}.lock"


def _repeat_lost_trials(search: Search, study: "optuna.Study") -> None:
    """Proposes the settings of trials anew whose process was killed."""
    optuna = _import_optuna()
    running = (optuna.trial.TrialState.RUNNING,)
    for trial in study.get_trials(states=running):
        with claim(_lock_file(search, trial.number)) as is_ours:
            if is_ours:
                study.tell(trial.number, state=optuna.trial.TrialState.FAIL)
                study.enqueue_trial(trial.params)


def as_flags(search: Search, values: Mapping[str, Any]) -> list[str]:
    """Returns settings as flags of train.py, without data and folder.

    Args:
        search: What was searched.
        values: Of a trial.
    """
    changes = {**search.changes, **as_changes(values)}
    flags = {"preset": search.preset, "model": search.network, **changes}
    return [
        f"--{name}={','.join(value) if isinstance(value, tuple) else value}"
        for name, value in flags.items()
        if value is not None
    ]
