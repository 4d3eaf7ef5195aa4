"""How a network is trained: one frozen table, and presets of it."""

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

from isl.errors import InputError
from isl.network.architecture import CONCORDANCE, NARROW, TINY, Architecture
from isl.network.losses import PIXEL_LOSSES
from isl.training.augmentation import IntensityChanges

SCHEDULES = ("constant", "cosine")

_NOT_NEGATIVE = (
    "recalibration_batches",
    "contrast",
    "brightness",
    "blur",
    "focus_shift",
)


@dataclasses.dataclass(frozen=True)
class TrainConfig:
    """Everything that decides the outcome of a training run, beside the data.

    Attributes:
        architecture: The network.
        output_size: Rows and columns that a patch predicts, pixels:
            `architecture.output_size` plus a multiple of its grid.
        batch_size: Patches in a step.
        num_steps: Steps of the whole run.
        steps_per_epoch: Steps between two validations, log rows and
            checkpoints. The learning rate changes between epochs.
        learning_rate: Of Adam, at its highest.
        schedule: "constant", or "cosine": falls to zero over the run.
        warmup_steps: The learning rate rises linearly over these.
        momentum: Of the batch normalisation's moving statistics.
        frozen_norm_share: Share of the run, at its end, in which the batch
            normalisation uses its moving statistics, as in prediction, and no
            longer those of the batch: with few patches in a batch the two
            differ, and a network that relies on the latter predicts worse
            than it trains (BUILD_NOTES D22).
        recalibration_batches: Batches over which the moving statistics are
            averaged anew after each epoch, until they are frozen; 0: they are
            left as they are, as in the original.
        loss: A name of `PIXEL_LOSSES`.
        include_autoencoding: Adds heads that predict the input planes.
        contrast, brightness, blur: How strongly the intensities of training
            patches are changed (`isl.training.augmentation`).
        focus_shift: Largest shift of a training stack along z, planes.
        averaging: Momentum of the exponential moving average of the weights,
            which is what is validated and saved; 0: the weights as they are.
        initialise_head_biases: Starts each head at the histogram of its
            label instead of at a uniform guess.
        num_validation_crops: Fixed patches that are scored every epoch.
        num_z: Planes of the network; None: of the first data set.
        labels: Labels to train; None: all of the data sets.
        train_split: Split to train on.
        validation_split: Split of the validation crops; a data set without
            it is validated on `train_split`.
        seed: Of weights, crops and augmentation.
        max_minutes: The run ends after these minutes of training, whatever
            `num_steps`; the schedule then follows the clock. None: no limit.
        fit_temperature: Whether to fit a temperature for each label on the
            validation patches at the end (`isl.training.temperature`).
        init_from: Model folder to start from: weights that fit are taken
            over (`isl.network.transfer`). None: all weights are new.
        freeze_body: Whether what was taken over of the body stays as it is,
            moving statistics included.
        body_learning_rate: Of what was taken over of the body, at its
            highest. None: `learning_rate`.
    """

    architecture: Architecture
    output_size: int
    batch_size: int
    num_steps: int
    steps_per_epoch: int
    learning_rate: float
    schedule: str = "constant"
    warmup_steps: int = 0
    momentum: float = 0.999
    frozen_norm_share: float = 0.0
    recalibration_batches: int = 0
    loss: str = "cross_entropy"
    include_autoencoding: bool = False
    contrast: float = 0.0
    brightness: float = 0.0
    blur: float = 0.0
    focus_shift: int = 0
    averaging: float = 0.0
    initialise_head_biases: bool = False
    num_validation_crops: int = 8
    num_z: int | None = None
    labels: tuple[str, ...] | None = None
    train_split: str = "train"
    validation_split: str = "validation"
    seed: int = 0
    max_minutes: float | None = None
    fit_temperature: bool = False
    init_from: str | None = None
    freeze_body: bool = False
    body_learning_rate: float | None = None

    @property
    def input_size(self) -> int:
        """Rows and columns of a patch, pixels."""
        return self.output_size + 2 * self.architecture.margin

    def check(self) -> None:
        """Raises InputError if a value cannot be used."""
        if not self.architecture.is_output_size(self.output_size):
            raise InputError(
                f"output_size must be {self.architecture.output_size} plus a "
                f"multiple of {self.architecture.grid}. Received: "
                f"{self.output_size}"
            )
        for name, choices in (("schedule", SCHEDULES), ("loss", PIXEL_LOSSES)):
            if getattr(self, name) not in choices:
                raise InputError(
                    f"{name} must be one of {', '.join(choices)}. "
                    f"Received: {getattr(self, name)}"
                )
        for name in ("batch_size", "num_steps", "steps_per_epoch"):
            if getattr(self, name) < 1:
                raise InputError(
                    f"{name} must be at least 1. Received: "
                    f"{getattr(self, name)}"
                )
        for name in ("frozen_norm_share", "averaging"):
            if not 0 <= getattr(self, name) <= 1:
                raise InputError(
                    f"{name} must lie between 0 and 1. Received: "
                    f"{getattr(self, name)}"
                )
        for name in _NOT_NEGATIVE:
            if getattr(self, name) < 0:
                raise InputError(
                    f"{name} must not be negative. Received: "
                    f"{getattr(self, name)}"
                )
        if self.averaging and not self.recalibration_batches:
            raise InputError(
                "recalibration_batches must be at least 1 with averaging: "
                "averaged weights have no moving statistics of their own. "
                "Received: 0"
            )
        if self.averaging and self.frozen_norm_share:
            raise InputError(
                "frozen_norm_share must be 0 with averaging: moving "
                "statistics belong to the weights as they are. Received: "
                f"{self.frozen_norm_share}"
            )
        for name in ("learning_rate", "body_learning_rate"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise InputError(f"{name} must be positive. Received: {value}")
        self._check_transfer()

    def _check_transfer(self) -> None:
        if self.freeze_body and self.body_learning_rate is not None:
            raise InputError(
                f"body_learning_rate must be left out with freeze_body. "
                f"Received: {self.body_learning_rate}"
            )
        for name in ("freeze_body", "body_learning_rate"):
            if getattr(self, name) and self.init_from is None:
                raise InputError(
                    f"{name} must come with init_from, which has a body to "
                    f"start from. Received: {getattr(self, name)}"
                )

    @property
    def intensity_changes(self) -> IntensityChanges:
        """How strongly the intensities of training patches are changed."""
        return IntensityChanges(self.contrast, self.brightness, self.blur)

    def learning_rate_at(self, step: int, progress: float) -> float:
        """Learning rate of an epoch.

        Args:
            step: Its first step.
            progress: Share of the run that is over, in [0, 1].
        """
        rate = self.learning_rate
        if self.schedule == "cosine":
            rate *= 0.5 * (1 + math.cos(math.pi * min(progress, 1.0)))
        if step < self.warmup_steps:
            rate *= (step + self.steps_per_epoch) / (
                self.warmup_steps + self.steps_per_epoch
            )
        return rate

    def is_norm_frozen_at(self, progress: float) -> bool:
        """Whether moving statistics are used after this share of the run."""
        return progress >= 1 - self.frozen_norm_share

    def to_dict(self) -> dict[str, Any]:
        """Returns JSON-serialisable values."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "TrainConfig":
        """Inverse of `to_dict`."""
        values = dict(values)
        values["architecture"] = Architecture.from_dict(values["architecture"])
        if values["labels"] is not None:
            values["labels"] = tuple(values["labels"])
        return cls(**values)


# The original's settings (isl/launch.py): batches of 16 patches of 250 x 250,
# Adam at 1e-4, heads for the input planes too, 984,658 steps of the published
# checkpoint. Its patches are 4 neighbours from each of several 520 x 520
# crops; ours are drawn one by one (BUILD_NOTES D8).
PAPER = TrainConfig(
    architecture=CONCORDANCE,
    output_size=8,
    batch_size=16,
    num_steps=984_658,
    steps_per_epoch=1000,
    learning_rate=1e-4,
    include_autoencoding=True,
)

# For two CPU cores and about an hour (BUILD_NOTES D20).
FAST = TrainConfig(
    architecture=NARROW,
    output_size=72,
    batch_size=4,
    num_steps=900,
    steps_per_epoch=50,
    learning_rate=3e-3,
    schedule="cosine",
    warmup_steps=50,
    momentum=0.97,
    frozen_norm_share=0.2,
    recalibration_batches=8,
    initialise_head_biases=True,
)

# Two small towers, for tests and the demo: minutes on two CPU cores.
TINY_PRESET = TrainConfig(
    architecture=TINY,
    output_size=72,
    batch_size=4,
    num_steps=400,
    steps_per_epoch=50,
    learning_rate=3e-3,
    schedule="cosine",
    momentum=0.97,
    initialise_head_biases=True,
)

PRESETS = {"paper": PAPER, "fast": FAST, "tiny": TINY_PRESET}
