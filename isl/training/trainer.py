"""Trains a network in a working folder, and resumes there.

An epoch is a fixed number of steps; after each, the network is validated, the
log is written and everything needed to go on is saved. The batches of a step
and the learning rate of an epoch depend on the seed and the number of the
step only, so a run that was killed ends with the same weights as one that was
not (except under `max_minutes`, where the schedule follows the clock).
"""

import dataclasses
import os
import pathlib
import time
from collections.abc import Sequence
from typing import Any

import h5py
import keras
import numpy as np
from tqdm import tqdm

from isl.errors import InputError
from isl.files import atomic_path, read_json, write_json
from isl.images import open_wells
from isl.network.losses import MaskedLoss, head_weights
from isl.network.model import with_raw_input
from isl.network.model_folder import ModelDescription, save_model
from isl.provenance import provenance
from isl.specs import DatasetSpec, list_splits
from isl.training.config import TrainConfig
from isl.training.crops import (
    CropSampler,
    CropSource,
    iter_ahead,
    target_histograms,
)
from isl.training.monitoring import Log, Monitor
from isl.training.validation import Validation, Validator

CONFIG_FILE = "config.json"
LOG_FILE = "log.csv"
MODEL_FOLDER = "model"
TENSORBOARD_FOLDER = "tensorboard"
CHECKPOINT_FILE = "checkpoint.weights.h5"

# A run may be resumed with another value of these.
_BUDGET = ("num_steps", "max_minutes")
_LOG_METRICS = ("nll", "pearson", "bin_accuracy")


def resolve(config: TrainConfig, specs: Sequence[DatasetSpec]) -> TrainConfig:
    """Fills in what the data sets decide: labels and number of planes.

    Raises:
        InputError: If the configuration cannot be used with the data sets.
    """
    config.check()
    known = list(dict.fromkeys(n for spec in specs for n in spec.labels))
    labels = tuple(known) if config.labels is None else config.labels
    for label in labels:
        if label not in known:
            raise InputError(
                f"labels must be among those of the data specs "
                f"({', '.join(known)}). Received: {label}"
            )
    num_z = config.num_z or next((s.num_z for s in specs if s.num_z), None)
    if num_z is None:
        raise InputError(
            f"{specs[0].name}: num_z must be known for training. Received: null"
        )
    return dataclasses.replace(config, labels=labels, num_z=num_z)


def _open_sampler(
    config: TrainConfig,
    specs: Sequence[DatasetSpec],
    image_root: str | os.PathLike,
    splits: Sequence[str],
    augment: bool,
) -> CropSampler:
    sources = []
    for spec, split in zip(specs, splits, strict=True):
        for well_spec, well in open_wells(spec, image_root, split):
            rows, columns = well_spec.splits[split].resolve(well.shape)
            sources.append(CropSource(well, rows, columns))
    output_size = config.output_size
    if not augment:
        output_size = min(output_size, _largest_patch(config, sources))
    sampler = CropSampler(
        sources=tuple(sources),
        labels=config.labels,
        num_z=config.num_z,
        output_size=output_size,
        margin=config.architecture.margin,
        include_autoencoding=config.include_autoencoding,
        augment=augment,
    )
    sampler.check()
    return sampler


def _largest_patch(config: TrainConfig, sources: Sequence[CropSource]) -> int:
    """Returns the largest patch that fits everywhere, pixels.

    Validation regions may be narrower than the patches of training.
    """
    room = min(
        min(s.rows.stop - s.rows.start, s.columns.stop - s.columns.start)
        for s in sources
    )
    smallest, grid = config.architecture.output_size, config.architecture.grid
    return max(smallest, room - (room - smallest) % grid)


def _validation_splits(
    config: TrainConfig, specs: Sequence[DatasetSpec]
) -> list[str]:
    return [
        config.validation_split
        if config.validation_split in list_splits(spec)
        else config.train_split
        for spec in specs
    ]


class Trainer:
    """A run: its data, its network and its folder."""

    def __init__(
        self,
        config: TrainConfig,
        specs: Sequence[DatasetSpec],
        image_root: str | os.PathLike,
        workdir: str | os.PathLike,
    ):
        """Opens the data, builds the network, resumes if there is a run.

        Args:
            config: How to train.
            specs: Data sets; wells of all of them are mixed.
            image_root: Folder that the paths of the specs are relative to.
            workdir: Folder of the run.

        Raises:
            InputError: If the data or the configuration cannot be used, or
                the folder holds another run.
        """
        self.config = resolve(config, specs)
        self.workdir = pathlib.Path(workdir)
        self._sampler = _open_sampler(
            self.config,
            specs,
            image_root,
            [config.train_split] * len(specs),
            augment=True,
        )
        validation_sampler = _open_sampler(
            self.config,
            specs,
            image_root,
            _validation_splits(config, specs),
            augment=False,
        )
        self.run = {
            "config": self.config.to_dict(),
            "specs": [spec.to_dict() for spec in specs],
            "image_root": str(image_root),
            "backend": keras.backend.backend(),
            **provenance(),
        }
        self._check_workdir()
        keras.utils.set_random_seed(self.config.seed)
        self._description = ModelDescription(
            architecture=self.config.architecture,
            num_z=self.config.num_z,
            labels=self.config.labels,
            include_autoencoding=self.config.include_autoencoding,
            momentum=self.config.momentum,
        )
        self.model = self._description.build()
        self._heads = list(self.model.output)
        self._trained = self._compile()
        self.minutes = 0.0
        if self._checkpoint.is_file():
            self._load_checkpoint()
        elif self.config.initialise_head_biases:
            initialise_head_biases(
                self.model,
                target_histograms(self._sampler, self.config.seed),
            )
        self._validator = Validator(
            self.model,
            validation_sampler,
            self.config.seed,
            self.config.num_validation_crops,
        )

    @property
    def step(self) -> int:
        """Steps done."""
        return int(self._trained.optimizer.iterations.numpy())

    @property
    def _checkpoint(self) -> pathlib.Path:
        return self.workdir / CHECKPOINT_FILE

    def _check_workdir(self) -> None:
        path = self.workdir / CONFIG_FILE
        if not path.is_file():
            write_json(path, self.run)
            return
        stored = read_json(path)
        for name, value in _without_budget(self.run["config"]).items():
            if stored["config"].get(name) != _as_json(value):
                raise InputError(
                    f"{path}: workdir holds a run with another {name} "
                    f"({stored['config'].get(name)}); choose a new workdir or "
                    f"the same settings. Received: {value}"
                )

    def _compile(self) -> keras.Model:
        labels = list(self.config.labels)
        others = [name for name in self._heads if name not in labels]
        trained = with_raw_input(self.model, tuple(self._heads))
        trained.compile(
            optimizer=keras.optimizers.Adam(self.config.learning_rate),
            loss={name: MaskedLoss(self.config.loss) for name in self._heads},
            loss_weights=head_weights(labels, others),
        )
        _create_variables(trained)
        return trained

    def _save_checkpoint(self) -> None:
        # One file, replaced in one move: a kill leaves the old or the new.
        with atomic_path(self._checkpoint) as temporary:
            self._trained.save_weights(temporary)
            with h5py.File(temporary, "a") as file:
                file.attrs["minutes"] = self.minutes

    def _load_checkpoint(self) -> None:
        try:
            self._trained.load_weights(self._checkpoint)
            with h5py.File(self._checkpoint) as file:
                self.minutes = float(file.attrs["minutes"])
        except (KeyError, OSError, ValueError) as error:
            reason = " ".join(str(error).split())
            raise InputError(
                f"{self._checkpoint}: must be a checkpoint of this run. "
                f"Received: {reason}"
            ) from error

    def _progress(self) -> float:
        """Share of the run that is over, in [0, 1]."""
        share = self.step / self.config.num_steps
        if self.config.max_minutes:
            share = max(share, self.minutes / self.config.max_minutes)
        return min(share, 1.0)

    def train(self, show_progress: bool = False) -> None:
        """Trains until the steps or the minutes are used up.

        Args:
            show_progress: Shows a progress bar on standard error.
        """
        log = Log(self.workdir / LOG_FILE, self._log_columns())
        log.forget_after(self.step)
        monitor = Monitor(self.workdir / TENSORBOARD_FOLDER, self.step)
        monitor.write_config(self.run)
        bar = tqdm(
            total=self.config.num_steps,
            initial=self.step,
            desc="train",
            unit="step",
            disable=not show_progress,
        )
        try:
            while self._progress() < 1.0:
                self._train_epoch(bar, log, monitor)
        finally:
            bar.close()
            monitor.close()
        self._save_model()

    def _train_epoch(self, bar: tqdm, log: Log, monitor: Monitor) -> None:
        started = time.monotonic()
        first = self.step
        count = min(self.config.steps_per_epoch, self.config.num_steps - first)
        rate = self.config.learning_rate_at(first, self._progress())
        self._trained.optimizer.learning_rate = rate
        self._trained.reset_metrics()
        for batch in iter_ahead(self._batch, range(first, first + count)):
            losses = self._trained.train_on_batch(*batch, return_dict=True)
            bar.update()
        seconds = time.monotonic() - started
        losses = {name: float(value) for name, value in losses.items()}
        validation = self._validator.run()
        self.minutes += (time.monotonic() - started) / 60
        row = self._log_row(losses, rate, count / seconds, validation)
        self._save_checkpoint()
        log.append(row)
        self._save_model()
        self._write_events(monitor, row, validation)
        bar.set_postfix(loss=f"{losses['loss']:.3f}")

    def _batch(self, step: int):
        return self._sampler.batch(
            self.config.seed, step, self.config.batch_size
        )

    def _log_columns(self) -> list[str]:
        columns = [
            "step",
            "minutes",
            "learning_rate",
            "steps_per_second",
            "labelled_pixels_per_second",
            "loss",
        ]
        columns += [f"{head}_loss" for head in self._heads]
        for label in self.config.labels:
            columns += [f"validation_{label}_{m}" for m in _LOG_METRICS]
        return columns

    def _log_row(
        self,
        losses: dict[str, float],
        rate: float,
        steps_per_second: float,
        validation: Validation,
    ) -> dict[str, Any]:
        pixels = self.config.batch_size * self.config.output_size**2
        row = {
            "step": self.step,
            "minutes": round(self.minutes, 3),
            "learning_rate": rate,
            "steps_per_second": steps_per_second,
            "labelled_pixels_per_second": steps_per_second * pixels,
            "loss": losses["loss"],
        }
        for head in self._heads:
            # Keras does not name the only output of a model in its losses.
            row[f"{head}_loss"] = losses.get(f"{head}_loss", losses["loss"])
        for label, metrics in validation.metrics.items():
            for metric in _LOG_METRICS:
                row[f"validation_{label}_{metric}"] = metrics[metric]
        return row

    def _write_events(
        self, monitor: Monitor, row: dict[str, Any], validation: Validation
    ) -> None:
        scalars = {
            f"train/{name}": row[name]
            for name in ("loss", *(f"{head}_loss" for head in self._heads))
        }
        for name in (
            "learning_rate",
            "steps_per_second",
            "labelled_pixels_per_second",
        ):
            scalars[f"run/{name}"] = row[name]
        for label, metrics in validation.metrics.items():
            for metric, value in metrics.items():
                scalars[f"validation/{label}/{metric}"] = value
        monitor.write_scalars(scalars, self.step)
        monitor.write_panels(validation.panels, self.step)
        monitor.flush()

    def _save_model(self) -> None:
        description = dataclasses.replace(
            self._description,
            provenance={
                **self.run,
                "steps": self.step,
                "minutes": self.minutes,
            },
        )
        save_model(self.workdir / MODEL_FOLDER, self.model, description)


def _create_variables(trained: keras.Model) -> None:
    """Creates the variables of the optimizer and of the running losses.

    Those made inside the first step would make TensorFlow trace it twice,
    which takes a minute for the released network.
    """
    trained.optimizer.build(trained.trainable_variables)
    nothing = {name: np.zeros((1, 1, 1)) for name in trained.output}
    trained.compute_loss(
        y=nothing,
        y_pred={
            name: keras.ops.zeros((1, 1, 1, logits.shape[-1]))
            for name, logits in trained.output.items()
        },
        sample_weight=nothing,
    )
    trained.reset_metrics()


def _without_budget(config: dict[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in config.items() if k not in _BUDGET}


def _as_json(value: Any) -> Any:
    """Returns the value as it comes back from JSON: tuples are lists."""
    if isinstance(value, dict):
        return {key: _as_json(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [_as_json(item) for item in value]
    return value


def initialise_head_biases(
    model: keras.Model, histograms: dict[str, np.ndarray]
) -> None:
    """Starts each head at the distribution of its targets.

    A network with zero biases first spends steps on learning which
    intensities occur at all.

    Args:
        model: From `isl.network.model.build_model`.
        histograms: Head to counts, [bin]. One is added to each bin.
    """
    for head, counts in histograms.items():
        frequencies = (counts + 1) / (counts.sum() + counts.size)
        model.get_layer(head).bias.assign(
            np.log(frequencies).astype(np.float32)
        )


def train(
    config: TrainConfig,
    specs: Sequence[DatasetSpec],
    image_root: str | os.PathLike,
    workdir: str | os.PathLike,
    show_progress: bool = False,
) -> Trainer:
    """Trains a network and writes `workdir`; resumes a run found there.

    Args:
        config: How to train.
        specs: Data sets.
        image_root: Folder that the paths of the specs are relative to.
        workdir: Folder of the run: `config.json`, `log.csv`, `model/`,
            `tensorboard/` and the checkpoint to resume from.
        show_progress: Shows a progress bar on standard error.

    Returns:
        The finished run.

    Raises:
        InputError: If the data or the configuration cannot be used, or the
            folder holds another run.
    """
    trainer = Trainer(config, specs, image_root, workdir)
    trainer.train(show_progress)
    return trainer
