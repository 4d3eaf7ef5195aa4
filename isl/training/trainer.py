"""Trains a network in a working folder, and resumes there.

An epoch is a fixed number of steps; after each, the network is validated, the
log is written and everything needed to go on is saved. The batches of a step
and the learning rate of an epoch depend on the seed and the number of the
step only, so a run that was killed ends with the same weights as one that was
not (except under `max_minutes`, where the schedule follows the clock).
"""

import contextlib
import dataclasses
import os
import pathlib
import time
from collections.abc import Iterator, Sequence
from typing import Any

import h5py
import keras
import numpy as np
from tqdm import tqdm

from isl.errors import InputError
from isl.files import atomic_path, read_json, write_json
from isl.images import choose_planes
from isl.network.model_folder import ModelDescription, save_model
from isl.provenance import provenance
from isl.specs import DatasetSpec
from isl.training.averaging import averaged_weights
from isl.training.config import TrainConfig
from isl.training.crops import RECALIBRATION_STREAM, iter_ahead
from isl.training.data import (
    label_normalization,
    open_training_sampler,
    open_validation_sampler,
    resolve,
)
from isl.training.monitoring import RunRecord
from isl.training.normalization import Recalibrator
from isl.training.start import (
    build_optimizer,
    compile_for_training,
    start_weights,
)
from isl.training.validation import Validator

CONFIG_FILE = "config.json"
MODEL_FOLDER = "model"
CHECKPOINT_FILE = "checkpoint.weights.h5"

# A run may be resumed with another value of these.
_BUDGET = ("num_steps", "max_minutes", "frozen_norm_share")


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
        self._sampler = open_training_sampler(self.config, specs, image_root)
        validation_sampler = open_validation_sampler(
            self.config, specs, image_root
        )
        self._check_workdir()
        keras.utils.set_random_seed(self.config.seed)
        self._description = ModelDescription(
            architecture=self.config.architecture,
            num_z=self.config.num_z,
            labels=self.config.labels,
            include_autoencoding=self.config.include_autoencoding,
            momentum=self.config.momentum,
            normalization=label_normalization(specs, self.config.labels),
        )
        self.model = self._description.build()
        self._heads = list(self.model.output)
        self.transfer = start_weights(
            self.config, self.model, self._description, self._sampler
        )
        self._trained = self._compile(
            build_optimizer(self.config, self.model, self.transfer)
        )
        self._frozen = None
        if self.config.frozen_norm_share:  # Shares weights and optimizer.
            self._frozen = self._compile(
                self._trained.optimizer, training=False
            )
        self._recalibrator = None
        if self.config.recalibration_batches:
            self._recalibrator = Recalibrator(self.model)
        self.minutes = 0.0
        if self._checkpoint.is_file():
            self._load_checkpoint()
        self.run = {
            "config": self.config.to_dict(),
            "specs": [spec.to_dict() for spec in specs],
            "image_root": str(image_root),
            "backend": keras.backend.backend(),
            "initialised_from": self.transfer
            and dataclasses.asdict(self.transfer),
            **provenance(),
        }
        if not self._config_file.is_file():
            write_json(self._config_file, self.run)
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

    @property
    def _config_file(self) -> pathlib.Path:
        return self.workdir / CONFIG_FILE

    def describe(self) -> list[str]:
        """Says what was decided without being asked for, a line each.

        What was taken over from another network, and which planes feed the
        network where a well has another number of them.
        """
        lines = [] if self.transfer is None else self.transfer.lines()
        for well in (source.well for source in self._sampler.sources):
            if well.num_z != self.config.num_z:
                planes = choose_planes(well.num_z, self.config.num_z)
                lines.append(
                    f"well {well.name}: planes {','.join(map(str, planes))} "
                    f"of 0 to {well.num_z - 1}"
                )
        return list(dict.fromkeys(lines))

    def _check_workdir(self) -> None:
        path = self._config_file
        if not path.is_file():
            return
        stored = read_json(path)
        config = self.config.to_dict()
        for name, value in _without_budget(config).items():
            if stored["config"].get(name) != _as_json(value):
                raise InputError(
                    f"{path}: workdir holds a run with another {name} "
                    f"({stored['config'].get(name)}); choose a new workdir or "
                    f"the same settings. Received: {value}"
                )

    def _compile(
        self, optimizer: keras.Optimizer, training: bool | None = None
    ) -> keras.Model:
        return compile_for_training(
            self.model, self.config, self.config.labels, optimizer, training
        )

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
        record = RunRecord(
            self.workdir, self._heads, self.config.labels, self.step
        )
        record.write_config(self.run)
        bar = tqdm(
            total=self.config.num_steps,
            initial=self.step,
            desc="train",
            unit="step",
            disable=not show_progress,
        )
        try:
            while self._progress() < 1.0:
                self._train_epoch(bar, record)
        finally:
            bar.close()
            record.close()
        # Statistics of unaveraged weights are already those of the end.
        with self._judged(recalibrate=self.config.averaging > 0):
            self._finish()

    def _finish(self) -> None:
        if self.config.fit_temperature:
            self._description = dataclasses.replace(
                self._description,
                temperatures=self._validator.fit_temperatures(),
            )
        self._save_model()

    def _train_epoch(self, bar: tqdm, record: RunRecord) -> None:
        started = time.monotonic()
        first = self.step
        count = min(self.config.steps_per_epoch, self.config.num_steps - first)
        progress = self._progress()
        rate = self.config.learning_rate_at(first, progress)
        self._trained.optimizer.learning_rate = rate
        is_frozen = self.config.is_norm_frozen_at(progress)
        trained = self._frozen if is_frozen else self._trained
        trained.reset_metrics()
        for batch in iter_ahead(self._batch, range(first, first + count)):
            losses = trained.train_on_batch(*batch, return_dict=True)
            bar.update()
        seconds = time.monotonic() - started
        losses = {name: float(value) for name, value in losses.items()}
        if not np.isfinite(losses["loss"]):
            raise InputError(
                f"learning_rate must be small enough to train with: the loss "
                f"was not finite in steps {first} to {self.step}; the "
                f"checkpoint before is kept. Received: {rate}"
            )
        with self._judged(recalibrate=not is_frozen):
            validation = self._validator.run()
            self.minutes += (time.monotonic() - started) / 60
            self._save_model()
        # A row without its checkpoint is dropped on resuming; a checkpoint
        # without its row would leave a gap. So the record goes first.
        record.write_epoch(
            {
                "step": self.step,
                "minutes": round(self.minutes, 3),
                "learning_rate": rate,
                "steps_per_second": count / seconds,
                "labelled_pixels_per_second": count
                * self.config.batch_size
                * self.config.output_size**2
                / seconds,
            },
            losses,
            validation,
        )
        self._save_checkpoint()
        bar.set_postfix(loss=f"{losses['loss']:.3f}")

    @contextlib.contextmanager
    def _judged(self, recalibrate: bool) -> Iterator[None]:
        """Gives the network the weights and statistics it is judged with."""
        with contextlib.ExitStack() as stack:
            if self.config.averaging:
                stack.enter_context(
                    averaged_weights(self.model, self._trained.optimizer)
                )
            if recalibrate and self._recalibrator is not None:
                self._recalibrator.run(self._recalibration_inputs())
            yield

    def _batch(self, step: int):
        return self._sampler.batch(
            self.config.seed, step, self.config.batch_size
        )

    def _recalibration_inputs(self) -> Iterator[dict[str, np.ndarray]]:
        """The same training patches each time, so that epochs compare."""
        for index in range(self.config.recalibration_batches):
            inputs, _, _ = self._batch(RECALIBRATION_STREAM + index)
            inputs.pop("changes", None)  # Statistics are those of prediction.
            yield inputs

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


def _without_budget(config: dict[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in config.items() if k not in _BUDGET}


def _as_json(value: Any) -> Any:
    """Returns the value as it comes back from JSON: tuples are lists."""
    if isinstance(value, dict):
        return {key: _as_json(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [_as_json(item) for item in value]
    return value


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
