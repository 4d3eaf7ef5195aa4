r"""Searches for settings of training: rate, batch, averaging, augmentation.

    python experiments/tune.py --trials=30 --max_minutes=10 \
        --data_specs=data_specs/condition_b_sample.json --train_split=fit \
        --image_root=$DATA --output_dir=runs/tune

Needs the extra `tune` (Optuna). A trial is a run of train.py with proposed
settings; it is judged by the mean Pearson correlation of the validation
patches, never by a test split, and stopped early where it falls behind. The
study lies in `output_dir/study.journal`: the same command goes on where it was
stopped, and several processes share the trials. Writes them to
`output_dir/table.csv` and prints the best settings as a command for train.py.
"""

import pathlib
import shlex

from absl import flags

from isl.ablation.search import Search, as_flags, iter_trials, open_study
from isl.command_line import run
from isl.errors import InputError
from isl.network.networks import NETWORKS
from isl.specs import load_dataset_specs
from isl.training.presets import PRESETS

_TRIALS = flags.DEFINE_integer(
    "trials", None, "Trials in all.", lower_bound=1, required=True
)
_DATA_SPECS = flags.DEFINE_list(
    "data_specs", None, "Data specs to train on.", required=True
)
_IMAGE_ROOT = flags.DEFINE_string(
    "image_root",
    None,
    "Folder that the paths of the specs are relative to.",
    required=True,
)
_OUTPUT_DIR = flags.DEFINE_string(
    "output_dir", None, "Folder of the study and its trials.", required=True
)
_PRESET = flags.DEFINE_enum(
    "preset", "fast", sorted(PRESETS), "Settings that are not searched."
)
_MODEL = flags.DEFINE_enum(
    "model", None, sorted(NETWORKS), "Replaces the preset's network."
)
_LABELS = flags.DEFINE_list("labels", None, "Labels. Default: all.")
_SEED = flags.DEFINE_integer("seed", 0, "Of proposals and training.")
_SETTINGS = {
    "num_steps": flags.DEFINE_integer("num_steps", None, "Steps of a trial."),
    "max_minutes": flags.DEFINE_float(
        "max_minutes", None, "When a trial ends: with the epoch then."
    ),
    "steps_per_epoch": flags.DEFINE_integer(
        "steps_per_epoch", None, "Steps between two validations."
    ),
    "output_size": flags.DEFINE_integer(
        "output_size", None, "Pixels a side of a patch."
    ),
    "num_validation_crops": flags.DEFINE_integer(
        "num_validation_crops", None, "Patches that are judged."
    ),
    "train_split": flags.DEFINE_string(
        "train_split", None, "Split to train on."
    ),
}


def _search() -> Search:
    changes = {k: f.value for k, f in _SETTINGS.items() if f.value is not None}
    changes["seed"] = _SEED.value
    if _LABELS.value:
        changes["labels"] = tuple(_LABELS.value)
    return Search(
        preset=_PRESET.value,
        changes=changes,
        network=_MODEL.value,
        specs=load_dataset_specs(_DATA_SPECS.value),
        image_root=_IMAGE_ROOT.value,
        output_dir=pathlib.Path(_OUTPUT_DIR.value),
        seed=_SEED.value,
    )


def main() -> None:
    search = _search()
    study = open_study(search)
    for trial in iter_trials(search, study, _TRIALS.value, show_progress=True):
        value = "" if trial.value is None else f" {trial.value:.4f}"
        print(f"{trial.number} {trial.state.name}{value}: {trial.params}")
    try:
        best = study.best_trial
    except ValueError as error:
        raise InputError(
            "trials must leave one that was not stopped. Received: none"
        ) from error
    command = [
        *("python", "experiments/train.py"),
        *as_flags(search, best.params),
        f"--data_specs={','.join(_DATA_SPECS.value)}",
        f"--image_root={_IMAGE_ROOT.value}",
        f"--workdir={search.output_dir / 'best'}",
    ]
    print(f"best: trial {best.number}, mean r {best.value:.4f}")
    print(shlex.join(command))


if __name__ == "__main__":
    run(main)
