"""What the features of a network are computed in."""

import contextlib
from collections.abc import Iterator

import keras

FLOAT32 = "float32"
BFLOAT16 = "mixed_bfloat16"
PRECISIONS = (FLOAT32, BFLOAT16)
"""Weights, statistics, logits and losses are float32 in either."""


@contextlib.contextmanager
def precision_scope(precision: str) -> Iterator[None]:
    """Layers made in this context compute in a precision.

    Args:
        precision: One of `PRECISIONS`, which are Keras dtype policies.
    """
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(precision)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)
