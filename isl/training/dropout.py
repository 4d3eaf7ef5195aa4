"""Leaves out filters of the towers, other ones for each patch and step.

A small network that sees one field for long learns it by heart. Neighbouring
pixels of a filter say nearly the same, so whole filters are left out (Tompson
et al. 2015, arXiv:1411.4280), where the towers meet: the trunk has to predict
without some of what each scale found. In prediction, and where the statistics
of the normalisations are averaged anew or frozen, nothing is left out.
"""

import keras
import numpy as np
from keras import layers

from isl.network.model import MERGE


def build_dropout(rate: float, precision: str) -> layers.Layer | None:
    """Returns what leaves out filters; None if none are.

    Args:
        rate: Share of the filters, in [0, 1).
        precision: Of the features, one of `isl.network.precision.PRECISIONS`.
    """
    if not rate:
        return None
    # The seed only stands there until the first step.
    return layers.SpatialDropout2D(
        rate, seed=0, name="dropout", dtype=precision
    )


def draw_as_in_step(dropout: layers.Layer, seed: int, step: int) -> None:
    """Makes the next filters a function of seed and step, as patches are.

    Args:
        dropout: From `build_dropout`, built.
        seed: Of the run.
        step: Number of the step, or of the part of one.
    """
    # Mixed, as PyTorch adds up the two numbers; of 31 bits, as its are signed.
    mixed = np.random.SeedSequence((seed, step)).generate_state(2) >> 1
    state = dropout.seed_generator.state
    state.assign(mixed.astype(state.dtype))


def with_dropout(network: keras.Model, dropout: layers.Layer) -> keras.Model:
    """Returns a network that leaves out filters in training.

    Args:
        network: With towers, from `isl.network.model.build_model` or
            `isl.training.recomputation`; weights are shared.
        dropout: From `build_dropout`.

    Returns:
        A functional model with the inputs and outputs of `network`.
    """
    merged = network.get_layer(MERGE).output
    trunk = keras.Model(merged, network.output)
    return keras.Model(network.input, trunk(dropout(merged)))
