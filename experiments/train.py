r"""Trains the network on one or more data sets.

    python experiments/train.py --preset=fast \
        --data_specs=data_specs/condition_b_sample.json \
        --image_root=../shared/data --workdir=runs/condition_b

Writes `workdir/{config.json, log.csv, model/, tensorboard/}`; the same command
resumes a run that was stopped. How long it takes: README.md.

`--init_from=MODEL_FOLDER` starts from another network (its architecture
replaces the preset's) with what fits of its weights: all but new heads, and
but the stem if the number of planes changes. `--freeze_body` then leaves the
body as it is, `--body_learning_rate` trains it at a rate of its own.
"""

import dataclasses

from absl import flags

from isl.command_line import run
from isl.network.architecture import with_width
from isl.network.model_folder import load_description
from isl.specs import load_dataset_spec
from isl.training.config import PRESETS, TrainConfig
from isl.training.trainer import Trainer

_DATA_SPECS = flags.DEFINE_list(
    "data_specs", None, "Data specs to train on.", required=True
)
_IMAGE_ROOT = flags.DEFINE_string(
    "image_root",
    None,
    "Folder that the paths of the specs are relative to.",
    required=True,
)
_WORKDIR = flags.DEFINE_string(
    "workdir", None, "Folder of the run.", required=True
)
_PRESET = flags.DEFINE_enum(
    "preset", "fast", sorted(PRESETS), "Settings to start from."
)
_LABELS = flags.DEFINE_list(
    "labels", None, "Labels to train. Default: all of the specs."
)
_WIDTH = flags.DEFINE_integer(
    "width", None, "Replaces the preset's width.", lower_bound=8
)
_REPLACED = {
    name: define(name, None, f"Replaces the preset's {name}.")
    for define, names in (
        (
            flags.DEFINE_integer,
            "batch_size focus_shift num_steps num_validation_crops num_z "
            "output_size recalibration_batches seed steps_per_epoch "
            "warmup_steps",
        ),
        (
            flags.DEFINE_float,
            "averaging blur body_learning_rate brightness contrast "
            "frozen_norm_share learning_rate max_minutes momentum",
        ),
        (
            flags.DEFINE_string,
            "init_from loss train_split validation_split",
        ),
        (
            flags.DEFINE_boolean,
            "fit_temperature freeze_body initialise_head_biases",
        ),
    )
    for name in names.split()
}


def _config() -> TrainConfig:
    """The preset, with what the flags replace."""
    config = PRESETS[_PRESET.value]
    replaced = {
        name: flag.value
        for name, flag in _REPLACED.items()
        if flag.value is not None
    }
    if _LABELS.value:
        replaced["labels"] = tuple(_LABELS.value)
    if "init_from" in replaced:
        description = load_description(replaced["init_from"])
        replaced["architecture"] = description.architecture
    if _WIDTH.value:
        replaced["architecture"] = with_width(config.architecture, _WIDTH.value)
    return dataclasses.replace(config, **replaced)


def main() -> None:
    trainer = Trainer(
        _config(),
        [load_dataset_spec(path) for path in _DATA_SPECS.value],
        _IMAGE_ROOT.value,
        _WORKDIR.value,
    )
    for line in trainer.describe():
        print(line, flush=True)
    trainer.train(show_progress=True)
    print(
        f"{trainer.step} steps in {trainer.minutes:.1f} minutes: "
        f"{trainer.workdir / 'model'}"
    )


if __name__ == "__main__":
    run(main)
