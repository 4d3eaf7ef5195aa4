r"""Trains the network on one or more data sets.

    python experiments/train.py --preset=compact \
        --data_specs=data_specs/condition_b_sample.json \
        --image_root=$DATA --workdir=runs/condition_b

Writes `workdir/{config.json, log.csv, model/, tensorboard/}`; the same command
resumes a run that was stopped. How long it takes: README.md.

`--model=fnet` or `unet` trains a baseline, `--init_from=FOLDER` starts from
another network. These, little memory, several devices: docs/training.md.
"""

from absl import flags

from isl.command_line import run, warn
from isl.figures.reliability_figure import reliability_png
from isl.network.networks import NETWORKS
from isl.specs import load_dataset_specs
from isl.training.config import TrainConfig, describe_setting, describe_unused
from isl.training.distribution import KINDS, start_distribution
from isl.training.distribution_rules import Hosts
from isl.training.presets import PRESETS, configure
from isl.training.trainer import Trainer

_DATA_SPECS = flags.DEFINE_list(
    "data_specs", None, "Data specs to train on.", required=True
)
_IMAGE_ROOT = flags.DEFINE_string(
    "image_root", None, "What paths in specs are relative to.", required=True
)
_WORKDIR = flags.DEFINE_string(
    "workdir", None, "Folder of the run.", required=True
)
_PRESET = flags.DEFINE_enum(
    "preset", "fast", sorted(PRESETS), "Settings to start from."
)
_MODEL = flags.DEFINE_enum(
    "model", None, sorted(NETWORKS), "Replaces the preset's network."
)
_LABELS = flags.DEFINE_list("labels", None, "Labels to train. Default: all.")
_WIDTH = flags.DEFINE_integer(
    "width", None, "Replaces the preset's width.", lower_bound=8
)
_REPLACED = {
    name: define(name, None, f"{describe_setting(name)} Default: the preset's.")
    for define, names in (
        (
            flags.DEFINE_integer,
            "accumulation_steps batch_size focus_shift label_stride num_steps "
            "num_validation_crops num_z output_size patience "
            "recalibration_batches seed steps_per_epoch warmup_steps",
        ),
        (
            flags.DEFINE_float,
            "averaging blur body_learning_rate brightness contrast dropout "
            "frozen_norm_share label_offset learning_rate max_minutes "
            "momentum noise rotation train_share weight_decay zoom",
        ),
        (
            flags.DEFINE_string,
            "init_from loss precision schedule train_split validation_split "
            "z_alignment",
        ),
        (
            flags.DEFINE_boolean,
            "activation_histograms balance_data_sets fit_temperature flips "
            "freeze_body include_autoencoding initialise_head_biases "
            "keep_best remat",
        ),
    )
    for name in names.split()
}
_DISTRIBUTION = flags.DEFINE_enum(
    "distribution", "none", KINDS, "How devices share the steps."
)
_DEVICES = flags.DEFINE_list("devices", None, "Which devices. Default: all.")
_HOSTS = (
    flags.DEFINE_string("job_address", None, "host:port of process 0."),
    flags.DEFINE_integer("num_processes", 1, "Processes of the run."),
    flags.DEFINE_integer("process_id", 0, "Number of this process."),
)


def _config() -> TrainConfig:
    """The preset, with what the flags replace."""
    changes = {
        name: flag.value
        for name, flag in _REPLACED.items()
        if flag.value is not None
    }
    if _LABELS.value:
        changes["labels"] = tuple(_LABELS.value)
    network = NETWORKS.get(_MODEL.value)
    config = configure(_PRESET.value, changes, network, _WIDTH.value)
    for name, reason in describe_unused(config, changes).items():
        warn(f"--{name}", reason)
    return config


def main() -> None:
    hosts = Hosts(*(flag.value for flag in _HOSTS))
    trainer = Trainer(
        _config(),
        load_dataset_specs(_DATA_SPECS.value),
        _IMAGE_ROOT.value,
        _WORKDIR.value,
        start_distribution(_DISTRIBUTION.value, _DEVICES.value, hosts),
    )
    for line in trainer.describe():
        print(line, flush=True)
    trainer.train(show_progress=True, draw_calibration=reliability_png)
    print(
        f"{trainer.step} steps in {trainer.minutes:.1f} minutes: "
        f"{trainer.workdir / 'model'}"
    )


if __name__ == "__main__":
    run(main)
