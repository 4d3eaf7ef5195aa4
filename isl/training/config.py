"""How a network is trained: one frozen table."""

import dataclasses
import inspect
import math
import re
from collections.abc import Iterable
from typing import Any

from isl.errors import InputError
from isl.images.z_selection import Z_ALIGNMENTS
from isl.network.architecture import (
    Architecture,
)
from isl.network.intensity_bins import NUM_BINS
from isl.network.losses import PIXEL_LOSSES, REGRESSION_LOSS
from isl.network.networks import (
    Network,
    fit_output_size,
    has_batch_norm,
)
from isl.network.precision import PRECISIONS
from isl.training.augmentation import IntensityChanges

SCHEDULES = ("constant", "cosine")

_OF_BATCH_NORM = ("momentum", "frozen_norm_share", "recalibration_batches")

_AT_LEAST_ONE = (
    "batch_size",
    "num_steps",
    "steps_per_epoch",
    "accumulation_steps",
    "label_stride",
    "num_validation_crops",
)
_POSITIVE = (
    "learning_rate",
    "body_learning_rate",
    "max_minutes",
    "num_z",
    "patience",
)
_NOT_NEGATIVE = (
    "recalibration_batches",
    "warmup_steps",
    "seed",
    "contrast",
    "brightness",
    "blur",
    "focus_shift",
    "noise",
    "label_offset",
    "rotation",
    "zoom",
    "weight_decay",
)
# Name, largest value, reason.
_AT_MOST = (
    ("seed", 2**32 - 1, "that of NumPy has 32 bits"),
    ("zoom", 0.7, "it is a logarithm, and 0.7 stands for a factor of 2"),
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
        schedule: constant, or cosine: falls to zero over the run.
        warmup_steps: The learning rate rises linearly over these.
        momentum: Of the batch normalisation's moving statistics.
        frozen_norm_share: Share of the run, at its end, in which the batch
            normalisation uses its moving statistics, as in prediction, and no
            longer those of the batch: with few patches in a batch the two
            differ, and a network that relies on the latter predicts worse
            than it trains (BUILD_NOTES D22).
        recalibration_batches: Batches over which the moving statistics are
            averaged anew after each epoch, and once more when they are
            frozen; 0: they are left as they are, as in the original.
        loss: cross_entropy, ranked_probability_score, combined_score (both,
            see `isl.network.losses.pixel_combined_score`) or
            mean_squared_error; it decides the heads, see `with_loss`.
        label_stride: Heads learn from one pixel of each cell of this many
            rows and columns (`isl.training.supervision`); 1: from all.
        include_autoencoding: Adds heads that predict the input planes.
        flips: Whether training patches are flipped and turned by quarter
            turns; not where the light comes from one side, as in DIC.
        contrast: How strongly that of training patches is changed: standard
            deviation of the logarithm of a factor.
        brightness: Likewise: standard deviation of what is added, in
            intensities.
        blur: Largest share of a blurred patch that replaces a training patch
            (`isl.training.augmentation`); as large a negative one sharpens.
        focus_shift: Largest shift of a training stack along z, planes.
        noise: Strongest noise added to the planes of training patches,
            before their intensities change: standard deviation, in
            intensities. Heads that predict planes learn the noise too.
        label_offset: Standard deviation of a constant that is added to each
            label of a training patch, in intensities: how unsure networks
            shall be of the level where nothing glows.
        rotation: Training patches are turned by up to this, beside the
            quarter turns of `flips`, degrees (`isl.training.warping`).
        zoom: They are enlarged or reduced by up to this, as a logarithm.
        dropout: Share of the filters of the towers that the trunk does not
            get in a training step, others for each patch, as long as the
            statistics are not frozen (`isl.training.dropout`).
        weight_decay: In each step kernels shrink by this times the learning
            rate, as a share (Loshchilov and Hutter 2019, arXiv:1711.05101).
        averaging: Momentum of the exponential moving average of the weights,
            which is what is validated and saved; 0: the weights as they are.
        initialise_head_biases: Starts each head at the histogram of its
            label instead of at a uniform guess.
        num_validation_crops: Fixed patches that are scored every epoch.
        num_z: Planes of the network; None: of the first data set.
        z_alignment: How a stack with another number of planes feeds them:
            spread (at equal distances) or centred (those around its middle).
        labels: Labels to train; None: all of the data sets.
        train_split: Split to train on.
        balance_data_sets: Whether patches come as often from each data set,
            however many wells it has; otherwise as often from each well.
        train_share: Share of the pixels of this split that is used: the first
            part of the longer side of each well's part of it.
        validation_split: Split of the validation crops; a data set without
            it is validated on `train_split`.
        seed: Of weights, crops and augmentation.
        max_minutes: The run ends with the epoch in which these minutes of
            training are over, or after `num_steps` if that is sooner; the
            schedule follows whichever is nearer. None: no limit.
        keep_best: Whether the run saves the network of the epoch that did best
            on the validation patches (`isl.training.selection`), instead of
            the last; `train_split` must not contain `validation_split`.
        patience: The run ends when this many epochs in a row were no better
            than the best one, which `keep_best` must save. None: it does not
            end sooner.
        fit_temperature: Whether to fit a temperature for each label on the
            validation patches at the end (`isl.training.temperature`).
        init_from: Model folder to start from: weights that fit are taken
            over (`isl.network.transfer`). None: all weights are new.
        freeze_body: Whether what was taken over of the body stays as it is,
            moving statistics included.
        body_learning_rate: Of what was taken over of the body, at its
            highest. None: `learning_rate`.
        precision: What the features are computed in: float32 or
            mixed_bfloat16. Weights, statistics, logits and losses are float32
            in any case.
        remat: Whether blocks are computed again for their gradients instead
            of kept in memory (`isl.training.recomputation`).
        accumulation_steps: Parts into which the batch of a step is split;
            memory is needed for one. Unless frozen, the batch normalisation
            uses the statistics of the part.
        activation_histograms: Whether TensorBoard shows the activations of
            each tower, on one validation patch.
    """

    architecture: Network
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
    label_stride: int = 1
    include_autoencoding: bool = False
    flips: bool = True
    contrast: float = 0.0
    brightness: float = 0.0
    blur: float = 0.0
    focus_shift: int = 0
    noise: float = 0.0
    label_offset: float = 0.0
    rotation: float = 0.0
    zoom: float = 0.0
    dropout: float = 0.0
    weight_decay: float = 0.0
    averaging: float = 0.0
    initialise_head_biases: bool = False
    num_validation_crops: int = 8
    num_z: int | None = None
    z_alignment: str = "spread"
    labels: tuple[str, ...] | None = None
    train_split: str = "train"
    balance_data_sets: bool = False
    train_share: float = 1.0
    validation_split: str = "validation"
    seed: int = 0
    max_minutes: float | None = None
    keep_best: bool = False
    patience: int | None = None
    fit_temperature: bool = False
    init_from: str | None = None
    freeze_body: bool = False
    body_learning_rate: float | None = None
    precision: str = "float32"
    remat: bool = False
    accumulation_steps: int = 1
    activation_histograms: bool = True

    @property
    def input_size(self) -> int:
        """Rows and columns of a patch, pixels."""
        return self.output_size + 2 * self.architecture.training_margin

    def check(self) -> None:
        """Raises InputError if a value cannot be used."""
        if not self.architecture.is_output_size(self.output_size):
            raise InputError(
                f"output_size must be {self.architecture.output_size} plus a "
                f"multiple of {self.architecture.grid}. Received: "
                f"{self.output_size}"
            )
        for name, choices in (
            ("schedule", SCHEDULES),
            ("loss", PIXEL_LOSSES),
            ("z_alignment", Z_ALIGNMENTS),
            ("precision", PRECISIONS),
        ):
            if getattr(self, name) not in choices:
                raise InputError(
                    f"{name} must be one of {', '.join(choices)}. "
                    f"Received: {getattr(self, name)}"
                )
        for name in _AT_LEAST_ONE:
            if getattr(self, name) < 1:
                raise InputError(
                    f"{name} must be at least 1. Received: "
                    f"{getattr(self, name)}"
                )
        if not 0 <= self.frozen_norm_share <= 1:
            raise InputError(
                f"frozen_norm_share must lie between 0 and 1. Received: "
                f"{self.frozen_norm_share}"
            )
        for name in ("momentum", "averaging", "dropout"):
            if not 0 <= getattr(self, name) < 1:
                raise InputError(
                    f"{name} must be at least 0 and below 1. Received: "
                    f"{getattr(self, name)}"
                )
        if self.output_size % self.label_stride:
            raise InputError(
                f"label_stride must divide output_size ({self.output_size}). "
                f"Received: {self.label_stride}"
            )
        if not 0 < self.train_share <= 1:
            raise InputError(
                f"train_share must be above 0 and at most 1. Received: "
                f"{self.train_share}"
            )
        for name in _NOT_NEGATIVE:
            if not 0 <= getattr(self, name) < math.inf:
                raise InputError(
                    f"{name} must not be negative. Received: "
                    f"{getattr(self, name)}"
                )
        for name, largest, reason in _AT_MOST:
            if getattr(self, name) > largest:
                raise InputError(
                    f"{name} must be at most {largest}: {reason}. Received: "
                    f"{getattr(self, name)}"
                )
        for name in _POSITIVE:
            value = getattr(self, name)
            if value is not None and not 0 < value < math.inf:
                raise InputError(f"{name} must be positive. Received: {value}")
        if self.patience is not None and not self.keep_best:
            raise InputError(
                f"patience must come with keep_best, which saves the epoch "
                f"that it goes back to. Received: {self.patience}"
            )
        if self.batch_size % self.accumulation_steps:
            raise InputError(
                f"accumulation_steps must divide batch_size "
                f"({self.batch_size}). Received: {self.accumulation_steps}"
            )
        labels = self.labels
        if labels is not None and not 0 < len(set(labels)) == len(labels):
            raise InputError(
                f"labels must be at least one, each once. Received: "
                f"{','.join(labels) or 'none'}"
            )
        self._check_statistics()
        self._check_dropout()
        self._check_heads()
        self._check_transfer()
        self._check_towers()

    def _check_statistics(self) -> None:
        if self.recalibration_batches or not has_batch_norm(self.architecture):
            return
        for name, reason in (
            ("averaging", "averaged weights have no statistics of their own"),
            ("dropout", "those of training lack what is left out"),
        ):
            if getattr(self, name):
                raise InputError(
                    f"recalibration_batches must be at least 1 with {name}: "
                    f"{reason}. Received: 0"
                )

    def _check_dropout(self) -> None:
        if self.dropout and self.frozen_norm_share == 1:
            raise InputError(
                f"dropout must be 0 with frozen_norm_share=1: nothing is left "
                f"out once statistics are frozen. Received: {self.dropout}"
            )

    def _check_heads(self) -> None:
        is_regression = self.loss == REGRESSION_LOSS
        if is_regression != (self.architecture.num_bins is None):
            raise InputError(
                f"loss must be {REGRESSION_LOSS} for a network without "
                f"intensity bins, and another one for a network with them. "
                f"Received: {self.loss}"
            )
        if is_regression and self.fit_temperature:
            raise InputError(
                f"fit_temperature must be off with {REGRESSION_LOSS}: there "
                f"is no distribution. Received: {self.fit_temperature}"
            )

    def _check_transfer(self) -> None:
        if self.freeze_body and self.body_learning_rate is not None:
            raise InputError(
                f"body_learning_rate must be left out with freeze_body. "
                f"Received: {self.body_learning_rate}"
            )
        if self.weight_decay and self.body_learning_rate is not None:
            raise InputError(
                f"weight_decay must be 0 with body_learning_rate, as Keras "
                f"would let the body shrink at the rate of the heads. "
                f"Received: {self.weight_decay}"
            )
        for name in ("freeze_body", "body_learning_rate"):
            if getattr(self, name) and self.init_from is None:
                raise InputError(
                    f"{name} must come with init_from, which has a body to "
                    f"start from. Received: {getattr(self, name)}"
                )

    def _check_towers(self) -> None:
        if isinstance(self.architecture, Architecture):
            return
        for name, off in (("remat", "off"), ("dropout", "0")):
            if getattr(self, name):
                raise InputError(
                    f"{name} must be {off} for a network without towers of "
                    f"residual blocks. Received: {getattr(self, name)}"
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


def describe_setting(name: str) -> str:
    """Returns what `TrainConfig` says of one of its attributes."""
    text = inspect.getdoc(TrainConfig) or ""
    meaning = re.search(
        rf"^    {name}: (.*?)(?=^    \w|\Z)", text, re.MULTILINE | re.DOTALL
    )
    if meaning is None:
        raise KeyError(name)
    return " ".join(meaning.group(1).split())


def describe_unused(
    config: TrainConfig, settings: Iterable[str]
) -> dict[str, str]:
    """Says which settings do nothing for the network.

    Args:
        config: The run.
        settings: Names of those that were asked for.

    Returns:
        Each of them that does nothing, to the reason.
    """
    if has_batch_norm(config.architecture):
        return {}
    reason = "no effect, as the network has no batch normalisation"
    return {name: reason for name in settings if name in _OF_BATCH_NORM}


def with_network(config: TrainConfig, network: Network) -> TrainConfig:
    """Returns the same run of another network.

    Patches become as large as the network allows, at most as they were, and
    its heads those that the loss takes.
    """
    output_size = fit_output_size(network, config.output_size)
    config = dataclasses.replace(
        config, architecture=network, output_size=output_size
    )
    return with_loss(config, config.loss)


def with_loss(config: TrainConfig, loss: str) -> TrainConfig:
    """Returns the same run with another loss, and the heads that it takes.

    Args:
        config: The run.
        loss: `REGRESSION_LOSS` for heads that predict the intensity itself,
            another one for heads of 256 intensity bins.
    """
    num_bins = None if loss == REGRESSION_LOSS else NUM_BINS
    network = dataclasses.replace(config.architecture, num_bins=num_bins)
    return dataclasses.replace(config, loss=loss, architecture=network)
