"""A network while it learns: how a step is done and what is judged."""

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import keras
import numpy as np
from keras import ops

from isl.network.transfer import Transfer
from isl.network.unet_body import for_training
from isl.training.averaging import averaged_weights
from isl.training.batch_parts import split_batch
from isl.training.config import TrainConfig
from isl.training.crops import Batch
from isl.training.distribution import Distribution
from isl.training.dropout import build_dropout, draw_as_in_step
from isl.training.normalization import Recalibrator
from isl.training.start import build_optimizer, compile_for_training


class Learner:
    """A network, its optimizer and the ways in which it is run.

    Attributes:
        model: The network.
        trained: Compiled; shares weights with `model`. All that must be kept
            to go on with a run is in it.
    """

    def __init__(
        self,
        config: TrainConfig,
        model: keras.Model,
        transfer: Transfer | None,
        distribution: Distribution,
    ):
        """Prepares the steps.

        Args:
            config: The run.
            model: From `isl.network.model.build_model`, made in the scope of
                the distribution.
            transfer: From `isl.training.start.start_weights`.
            distribution: How a step is shared between devices.
        """
        self.model = model
        self._config = config
        self._distribution = distribution
        with distribution.scope():
            self._dropout = build_dropout(config.dropout, config.precision)
            distribution.prepare(model)
            optimizer = build_optimizer(config, model, transfer)
            self.trained = self._compile(optimizer)
            self._frozen = None
            if config.frozen_norm_share:  # Shares weights and optimizer.
                self._frozen = self._compile(optimizer, training=False)
        self._recalibrator = None
        if config.recalibration_batches:
            self._recalibrator = Recalibrator(for_training(model))

    def _compile(
        self, optimizer: keras.Optimizer, training: bool | None = None
    ) -> keras.Model:
        return compile_for_training(
            self.model,
            self._config,
            self._config.labels,
            optimizer,
            training,
            self._dropout,
        )

    @property
    def step(self) -> int:
        """Steps done."""
        return int(ops.convert_to_numpy(self.trained.optimizer.iterations))

    def learn(
        self,
        batches: Iterable[Batch],
        learning_rate: float,
        is_frozen: bool = False,
        after_step: Callable[[], Any] | None = None,
    ) -> dict[str, float | None]:
        """Does a step with each batch.

        Args:
            batches: From `isl.training.crops.CropSampler.batch`; at least
                one.
            learning_rate: Of these steps.
            is_frozen: Whether the batch normalisation uses its moving
                statistics; `config.frozen_norm_share` is not 0 then.
            after_step: Called after each.

        Returns:
            Mean of `loss`, and of `HEAD_loss` over the steps that had the
            label; None if none had.
        """
        trained = self._frozen if is_frozen else self.trained
        with self._distribution.scope():
            trained.optimizer.learning_rate = learning_rate
        losses, of_heads = [], {}
        for batch in batches:
            parts = self._step(trained, batch)
            loss = float(np.mean([part["loss"] for part in parts]))
            losses.append(loss)
            for head, weights in batch[2].items():
                # Keras does not name the loss of an only head.
                name = f"{head}_loss"
                values = [part.get(name, part["loss"]) for part in parts]
                of_head = of_heads.setdefault(name, [])
                if np.any(weights):
                    of_head.append(float(np.mean(values)))
            if after_step is not None:
                after_step()
        return {
            "loss": float(np.mean(losses)),
            **{
                name: float(np.mean(values)) if values else None
                for name, values in of_heads.items()
            },
        }

    def _step(
        self, trained: keras.Model, batch: Batch
    ) -> list[dict[str, float]]:
        """Updates the weights once; returns the losses of each part."""
        num_parts = self._config.accumulation_steps
        with self._distribution.scope():
            if self._dropout is not None:
                draw_as_in_step(
                    self._dropout, self._config.seed, self.step * num_parts
                )
            return [
                trained.train_on_batch(
                    *self._distribution.share(part), return_dict=True
                )
                for part in split_batch(batch, num_parts)
            ]

    def renew_statistics(
        self, inputs: Iterable[Mapping[str, np.ndarray]]
    ) -> None:
        """Averages the moving statistics anew, if the run does so at all.

        Args:
            inputs: Training patches to average them over.
        """
        if self._recalibrator is not None:
            self._recalibrator.run(inputs)

    @contextlib.contextmanager
    def judged(
        self, inputs: Iterable[Mapping[str, np.ndarray]] | None
    ) -> Iterator[None]:
        """Gives the network the weights and statistics it is judged with.

        Args:
            inputs: Training patches over which its moving statistics are
                averaged anew, if the run does so; None: they are left.
        """
        with contextlib.ExitStack() as stack:
            if self._config.averaging:
                averaged = averaged_weights(
                    self.trained, self.trained.optimizer
                )
                with self._distribution.scope():
                    stack.enter_context(averaged)
            if inputs is not None:
                self.renew_statistics(inputs)
            yield
