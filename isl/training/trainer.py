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
from collections.abc import Callable, Iterator, Sequence

import keras
import numpy as np
from tqdm import tqdm

from isl.claims import claim
from isl.errors import DivergenceError, InputError
from isl.files import remove_leftovers
from isl.network.model_folder import (
    ModelDescription,
    assign_weights,
    read_weights,
    save_model,
)
from isl.specs import DatasetSpec
from isl.training.checkpoint import (
    CHECKPOINT_FILE,
    Position,
    check_settings,
    describe_run,
    keep_first_run,
    load_checkpoint,
    read_position,
    save_checkpoint,
)
from isl.training.config import TrainConfig
from isl.training.crops import Batch, iter_ahead
from isl.training.data import (
    describe_left_out,
    describe_lost_changes,
    describe_stacks,
    find_overlap,
    label_normalization,
    open_training_sampler,
    open_validation_sampler,
    resolve,
)
from isl.training.distribution import Distribution, OneDevice
from isl.training.histograms import ActivationProbe, kernels_by_part
from isl.training.learner import Learner
from isl.training.monitoring import DrawCalibration, RunRecord
from isl.training.normalization import iter_recalibration_inputs
from isl.training.selection import BestEpoch
from isl.training.start import start_weights
from isl.training.validation import Validation, Validator

MODEL_FOLDER = "model"
LOCK_FILE = ".lock"


class Trainer:
    """A run: its data, its network and its folder.

    Attributes:
        config: How it is trained, with all that the data decide.
        workdir: Its folder.
        model: The network.
        transfer: What was taken over from another network; None without one.
        learner: Does the steps.
        minutes: Spent on training so far.
    """

    def __init__(
        self,
        config: TrainConfig,
        specs: Sequence[DatasetSpec],
        image_root: str | os.PathLike,
        workdir: str | os.PathLike,
        distribution: Distribution | None = None,
    ):
        """Opens the data, builds the network, resumes if there is a run.

        Args:
            config: How to train.
            specs: Data sets; wells of all of them are mixed.
            image_root: Folder that the paths of the specs are relative to.
            workdir: Folder of the run.
            distribution: How steps are shared between devices; None: on one.

        Raises:
            InputError: If the data or the configuration cannot be used, or
                the folder holds another run.
        """
        self.config = resolve(config, specs)
        self.workdir = pathlib.Path(workdir)
        self._distribution = distribution or OneDevice()
        self._distribution.check(self.config)
        self._sampler = open_training_sampler(self.config, specs, image_root)
        validation_sampler = open_validation_sampler(
            self.config, specs, image_root
        )
        self._overlap = find_overlap(self._sampler, validation_sampler)
        if self.config.keep_best and self._overlap is not None:
            raise InputError(
                f"train_split must leave out validation_split with keep_best, "
                f"or the best epoch would be that which knows its patches by "
                f"heart; well {self._overlap} is in both. Received: "
                f"{self.config.train_split} and {self.config.validation_split}"
            )
        self._open_folder(specs)
        keras.utils.set_random_seed(self.config.seed)
        self._description = ModelDescription(
            architecture=self.config.architecture,
            num_z=self.config.num_z,
            labels=self.config.labels,
            include_autoencoding=self.config.include_autoencoding,
            momentum=self.config.momentum,
            z_alignment=self.config.z_alignment,
            normalization=label_normalization(specs, self.config.labels),
        )
        with self._distribution.scope():
            self.model = self._description.build(
                precision=self.config.precision
            )
        self.transfer = start_weights(
            self.config, self.model, self._description, self._sampler
        )
        self.learner = Learner(
            self.config, self.model, self.transfer, self._distribution
        )
        position = load_checkpoint(self.workdir, self.learner.trained)
        self.minutes = position.minutes
        self._is_frozen = position.is_norm_frozen
        self.run = describe_run(
            self.config,
            specs,
            image_root,
            self._distribution.num_devices,
            self.transfer,
        )
        self._best = None
        if self.config.keep_best:
            self._best = BestEpoch(self.workdir / MODEL_FOLDER, self.step)
        probe = None
        if self.config.activation_histograms:
            probe = ActivationProbe(self.model)
        self._validator = Validator(
            self.model,
            validation_sampler,
            self.config.seed,
            self.config.num_validation_crops,
            probe=probe,
        )

    @property
    def step(self) -> int:
        """Steps done."""
        return self.learner.step

    def describe(self) -> list[str]:
        """Says what was decided without being asked for, a line each.

        What was taken over from another network, wells that are left out,
        whether it is validated on
        what it is trained on, which changes of patches have no effect, and
        which planes feed it where a well has another number of them.
        """
        lines = [] if self.transfer is None else self.transfer.lines()
        if self._overlap is not None:
            lines.append(
                f"validation: well {self._overlap} is trained on where it is "
                f"validated; its scores are no better than those of training"
            )
        if self.config.fit_temperature and self._overlap is not None:
            lines.append(
                f"fit_temperature: well {self._overlap} is trained on where "
                f"it is validated; distributions will stay too sure"
            )
        lines += describe_left_out(self._sampler)
        lines += describe_lost_changes(self._sampler)
        return [*lines, *describe_stacks(self.config, self._sampler)]

    def _progress(self) -> float:
        """Share of the run that is over, in [0, 1]."""
        share = self.step / self.config.num_steps
        if self.config.max_minutes:
            share = max(share, self.minutes / self.config.max_minutes)
        return min(share, 1.0)

    def _is_over(self) -> bool:
        """Tells whether steps, minutes or patience are used up."""
        patience = self.config.patience
        if self._best is not None and patience is not None:
            age = self._best.age(self.step)
            if age >= patience * self.config.steps_per_epoch:
                return True
        return self._progress() >= 1.0

    def train(
        self,
        show_progress: bool = False,
        draw_calibration: DrawCalibration | None = None,
        after_epoch: Callable[[int, Validation], None] | None = None,
    ) -> None:
        """Trains until the steps, the minutes or the patience are used up.

        Args:
            show_progress: Shows a progress bar on standard error.
            draw_calibration: Draws calibration for TensorBoard.
            after_epoch: Told the steps done and the scores of the validation
                patches when an epoch has been saved; what it raises ends the
                run.

        Raises:
            InputError: If another process trains in the folder, or has done
                so since this run was opened.
        """
        with self._claimed():
            self._check_nobody_went_on()
            if self._distribution.is_chief:
                keep_first_run(self.workdir, self.run)
            self._train(show_progress, draw_calibration, after_epoch)

    @contextlib.contextmanager
    def _claimed(self) -> Iterator[None]:
        """Keeps others, who would write the same files, out of the folder."""
        if not self._distribution.is_chief:
            yield
            return
        with claim(self.workdir / LOCK_FILE) as is_ours:
            if not is_ours:
                raise InputError(
                    f"{self.workdir}: must be trained in by one process at a "
                    f"time; choose a new folder or wait. Received: another "
                    f"one holds {LOCK_FILE}"
                )
            yield

    def _open_folder(self, specs: Sequence[DatasetSpec]) -> None:
        if not self.workdir.is_dir():  # Nor is it made before all is checked.
            return
        with self._claimed():
            check_settings(self.workdir, self.config, specs)
            if self._distribution.is_chief:
                for name in (CHECKPOINT_FILE, MODEL_FOLDER):
                    remove_leftovers(self.workdir / name)

    def _check_nobody_went_on(self) -> None:
        stored = read_position(self.workdir)
        if stored != Position(self.minutes, self._is_frozen):
            raise InputError(
                f"{self.workdir}: must not be trained in by another process "
                f"meanwhile; start again, to go on from where that one ended. "
                f"Received: a checkpoint after {stored.minutes:.1f} minutes"
            )

    def _train(
        self,
        show_progress: bool,
        draw_calibration: DrawCalibration | None,
        after_epoch: Callable[[int, Validation], None] | None,
    ) -> None:
        record = None
        if self._distribution.is_chief:
            record = RunRecord(
                self.workdir,
                list(self.model.output),
                self.config.labels,
                self.step,
                draw_calibration,
            )
            record.write_start(self.run)
        bar = tqdm(
            total=None if self.config.max_minutes else self.config.num_steps,
            initial=self.step,
            desc="train",
            unit="step",
            disable=not show_progress,
        )
        try:
            while not self._is_over():
                validation = self._train_epoch(bar, record)
                if after_epoch is not None:
                    after_epoch(self.step, validation)
            if record is not None:
                record.write_end()
        finally:
            bar.close()
            if record is not None:
                record.close()
        if self._best is not None:
            best = read_weights(self.workdir / MODEL_FOLDER)
            assign_weights(self.model, best)
            self._finish()
            return
        # Statistics of unaveraged weights are already those of the end, and
        # frozen ones are those that the network learned with.
        recalibrate = self.config.averaging > 0 and not self._is_frozen
        with self._judged(recalibrate):
            self._finish()

    def _finish(self) -> None:
        if self.config.fit_temperature:
            self._description = dataclasses.replace(
                self._description,
                temperatures=self._validator.fit_temperatures(),
            )
        self._save_model()

    def _train_epoch(self, bar: tqdm, record: RunRecord | None) -> Validation:
        started = time.monotonic()
        first = self.step
        count = min(self.config.steps_per_epoch, self.config.num_steps - first)
        progress = self._progress()
        rate = self.config.learning_rate_at(first, progress)
        self._freeze_from(progress)
        losses = self.learner.learn(
            iter_ahead(self._batch, range(first, first + count)),
            rate,
            self._is_frozen,
            after_step=bar.update,
        )
        seconds = time.monotonic() - started
        if not np.isfinite(losses["loss"]):
            kept = "; the checkpoint before is kept" if first else ""
            raise DivergenceError(
                f"learning_rate must be small enough to train with: the loss "
                f"was not finite in steps {first} to {self.step}{kept}. "
                f"Received: {rate}"
            )
        with self._judged(recalibrate=not self._is_frozen):
            validation = self._validator.run()
            self.minutes += (time.monotonic() - started) / 60
            if self._best is None or self._best.improves(
                validation, self.step, self.minutes
            ):
                self._save_model()
        state = {
            "step": self.step,
            "minutes": round(self.minutes, 3),
            "learning_rate": rate,
            "steps_per_second": count / seconds,
            "labelled_pixels_per_second": count
            * self.config.batch_size
            * (self.config.output_size // self.config.label_stride) ** 2
            / seconds,
        }
        if record is not None:
            self._write_epoch(record, state, losses, validation)
        minutes = f"{self.minutes:.1f}"
        if self.config.max_minutes:
            minutes += f" of {self.config.max_minutes:g}"
        bar.set_postfix(loss=f"{losses['loss']:.3f}", minutes=minutes)
        return validation

    def _write_epoch(
        self,
        record: RunRecord,
        state: dict[str, float],
        losses: dict[str, float | None],
        validation: Validation,
    ) -> None:
        # A row without its checkpoint is dropped on resuming; a checkpoint
        # without its row would leave a gap. So the record goes first.
        record.write_epoch(
            state, losses, validation, kernels_by_part(self.model)
        )
        save_checkpoint(
            self.workdir,
            self.learner.trained,
            Position(self.minutes, self._is_frozen),
        )

    def _freeze_from(self, progress: float) -> None:
        was_frozen = self._is_frozen
        self._is_frozen = self.config.is_norm_frozen_at(progress)
        if self._is_frozen and not was_frozen:
            inputs = iter_recalibration_inputs(self._sampler, self.config)
            self.learner.renew_statistics(inputs)

    def _judged(
        self, recalibrate: bool
    ) -> contextlib.AbstractContextManager[None]:
        inputs = iter_recalibration_inputs(self._sampler, self.config)
        return self.learner.judged(inputs if recalibrate else None)

    def _batch(self, step: int) -> Batch:
        return self._sampler.batch(
            self.config.seed, step, self.config.batch_size
        )

    def _save_model(self) -> None:
        if not self._distribution.is_chief:
            return
        facts = {"steps": self.step, "minutes": self.minutes}
        if self._best is not None:
            facts = self._best.facts
        description = dataclasses.replace(
            self._description, provenance={**self.run, **facts}
        )
        save_model(self.workdir / MODEL_FOLDER, self.model, description)


def train(
    config: TrainConfig,
    specs: Sequence[DatasetSpec],
    image_root: str | os.PathLike,
    workdir: str | os.PathLike,
    distribution: Distribution | None = None,
) -> Trainer:
    """Trains a network and writes `workdir`; resumes a run found there.

    Args:
        config: How to train.
        specs: Data sets.
        image_root: Folder that the paths of the specs are relative to.
        workdir: Folder of the run: `config.json`, `log.csv`, `model/`,
            `tensorboard/` and the checkpoint to resume from.
        distribution: How steps are shared between devices; None: on one.

    Returns:
        The finished run.

    Raises:
        InputError: If the data or the configuration cannot be used, or the
            folder holds another run.
    """
    trainer = Trainer(config, specs, image_root, workdir, distribution)
    trainer.train()
    return trainer
