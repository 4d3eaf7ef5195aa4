"""Averages the statistics of the batch normalisation anew.

The moving averages of training belong to weights that have changed since, and
64 normalisations in a row amplify the error (BUILD_NOTES D22). So a network
is judged and saved with statistics of its weights as they are (the "precise"
batch normalisation of Wu and Johnson 2021, arXiv:2105.07576).
"""

import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager

import keras
import numpy as np
from keras import layers, ops

from isl.network.model import with_raw_input
from isl.training.config import TrainConfig
from isl.training.crops import RECALIBRATION_STREAM, CropSampler


class Recalibrator:
    """Replaces moving statistics by those of some batches."""

    def __init__(self, model: keras.Model):
        """Prepares the forward passes.

        Args:
            model: From `isl.network.model.build_model`; its moving
                statistics are what `run` replaces.
        """
        self._norms = [
            layer
            for layer in model.layers
            if isinstance(layer, layers.BatchNormalization)
        ]
        raw = with_raw_input(model, tuple(model.output), training=True)
        # The logits of a batch are large and not looked at.
        self._forward = keras.Model(
            raw.input,
            [ops.mean(logits) for logits in raw.output.values()],
        )

    def run(self, batches: Iterable[Mapping[str, np.ndarray]]) -> None:
        """Sets the moving statistics to those of the batches taken together.

        Args:
            batches: Inputs of `isl.network.model.with_raw_input`, all of the
                same size. At least one. Of a network without
                normalisations none is drawn.
        """
        if not self._norms:
            return
        with _statistics_of_one_batch(self._norms):
            statistics = [self._statistics(batch) for batch in batches]
        for index, norm in enumerate(self._norms):
            means = np.stack([mean[index] for mean, _ in statistics])
            variances = np.stack([var[index] for _, var in statistics])
            norm.moving_mean.assign(means.mean(axis=0))
            # Law of total variance: within the batches and between them.
            norm.moving_variance.assign(
                variances.mean(axis=0) + means.var(axis=0)
            )

    def _statistics(
        self, batch: Mapping[str, np.ndarray]
    ) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """Mean and variance of each normalisation's input, [filter]."""
        self._forward.predict_on_batch(dict(batch))
        return (
            [_as_float64(norm.moving_mean) for norm in self._norms],
            [_as_float64(norm.moving_variance) for norm in self._norms],
        )


def iter_recalibration_inputs(
    sampler: CropSampler, config: TrainConfig
) -> Iterator[dict[str, np.ndarray]]:
    """Yields the same training patches each time, so that epochs compare.

    Args:
        sampler: Draws patches of the training split.
        config: The run.
    """
    # Statistics are those of prediction.
    sampler = dataclasses.replace(
        sampler,
        changes=None,
        focus_shift=0,
        noise=0.0,
        label_offset=0.0,
        rotation=0.0,
        zoom=0.0,
    )
    for index in range(config.recalibration_batches):
        inputs, _, _ = sampler.batch(
            config.seed, RECALIBRATION_STREAM + index, config.batch_size
        )
        yield inputs


def _as_float64(variable: keras.Variable) -> np.ndarray:
    return ops.convert_to_numpy(variable).astype(np.float64)


@contextmanager
def _statistics_of_one_batch(
    norms: Iterable[layers.BatchNormalization],
) -> Iterator[None]:
    """Lets a training pass store what it saw instead of mixing it in."""
    momenta = [(norm, norm.momentum) for norm in norms]
    try:
        for norm, _ in momenta:
            norm.momentum = 0.0
        yield
    finally:
        for norm, momentum in momenta:
            norm.momentum = momentum
