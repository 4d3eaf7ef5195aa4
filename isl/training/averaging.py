"""Averaged weights: what is judged and saved instead of the last ones.

With a high learning rate weights wander around a minimum, and their mean lies
nearer to it than any of them (Polyak and Juditsky 1992; Izmailov et al. 2018,
arXiv:1803.05407). Keras keeps the exponential moving average in the optimizer.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import keras
from keras import ops


@contextmanager
def averaged_weights(
    model: keras.Model, optimizer: keras.Optimizer
) -> Iterator[None]:
    """Gives a network its averaged weights, and its own back at the end.

    The moving statistics of its normalisations are given back too, so they
    may be replaced meanwhile.

    Args:
        model: The network.
        optimizer: Made with `use_ema`, built for the trainable variables of
            `model`.
    """
    kept = [ops.convert_to_numpy(weight).copy() for weight in model.weights]
    optimizer.finalize_variable_values(model.trainable_variables)
    for variable in model.trainable_variables:
        # Under JAX it shares memory with its average until now, and a
        # prediction gives its memory away.
        variable.assign(ops.convert_to_numpy(variable).copy())
    try:
        yield
    finally:
        for weight, values in zip(model.weights, kept, strict=True):
            weight.assign(values)
