"""Leaves out filters of the towers, other ones for each patch and step.

A small network that sees one field for long learns it by heart. Neighbouring
pixels of a filter say nearly the same, so whole filters are left out (Tompson
et al. 2015, arXiv:1411.4280), where the towers meet: the trunk has to predict
without some of what each scale found. In prediction, and where the statistics
of the normalisations are averaged anew, nothing is left out.
"""

import keras
import numpy as np
from keras import layers

from isl.network.model import MERGE


def build_dropout(rate: float, seed: int) -> layers.Layer | None:
    """Returns what leaves out filters; None if none are.

    Args:
        rate: Share of the filters, in [0, 1).
        seed: Of the run.
    """
    if not rate:
        return None
    return layers.SpatialDropout2D(rate, seed=seed, name="dropout")


def draw_as_in_step(dropout: layers.Layer, seed: int, step: int) -> None:
    """Makes the next filters a function of seed and step, as patches are.

    Args:
        dropout: From `build_dropout`, built.
        seed: Of the run.
        step: Number of the step, or of the part of one.
    """
    state = dropout.seed_generator.state
    state.assign(np.array([seed, step], state.dtype))


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
