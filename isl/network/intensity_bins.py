"""Intensities as 256 bins, and statistics of distributions over them.

A bin stands for the intensity bin / 255. Intensities come as uint16, where
65535 is 1.0; as 65535 = 255 * 257, the bin of a uint16 value v is exactly
round(v / 257), without ties, in integers.
"""

import contextlib
import contextvars
import math
from collections.abc import Iterator

import keras
import numpy as np
from keras import ops

NUM_BINS = 256
MAX_UINT16 = 65535

STATISTICS = (
    "mode",
    "median",
    "mean",
    "standard_deviation",
    "probability_nonzero",
    "entropy",
)
"""Statistics by name; quantiles are named `q05`, `q95`, ... besides."""

REGRESSION_STATISTICS = ("median", "mean")
"""Of a head that predicts the intensity itself: both are its value."""

# Bins that `quantile` adds up first.
_BLOCK = 16

_may_use_products = contextvars.ContextVar("may_use_products", default=True)

# Original: isl/ops.py adds this to a probability before its logarithm.
_ENTROPY_EPSILON = 1e-7


def uint16_to_bins(values: keras.KerasTensor) -> keras.KerasTensor:
    """Returns the bins, int32, of uint16 intensities of any shape."""
    return (ops.cast(values, "int32") + 128) // 257


def is_statistic(name: str) -> bool:
    """Whether `name` is one of STATISTICS or a quantile from q01 to q99."""
    return name in STATISTICS or _quantile(name) is not None


def _quantile(name: str) -> float | None:
    digits = name[1:]
    if not (name[:1] == "q" and len(digits) == 2 and digits.isdecimal()):
        return None
    return int(digits) / 100 or None


def _values(probabilities) -> np.ndarray:
    # As NumPy: a tensor would become a further input of an exported graph.
    num_bins = probabilities.shape[-1]
    return np.arange(num_bins, dtype=np.float32) / np.float32(num_bins - 1)


def quantile(
    probabilities: keras.KerasTensor, probability: float
) -> keras.KerasTensor:
    """Number of bins with a cumulative probability below `probability`.

    Found in two steps, first among blocks of bins, then in the block that
    reaches it: adding up all bins one by one takes much longer on a CPU.

    Args:
        probabilities: [..., bin].
        probability: Between 0 and 1.

    Returns:
        The quantile as an intensity, a multiple of 1 / 255, [...]. The
        median of the original is the quantile of one half (original:
        isl/ops.py distribution_statistics).
    """
    num_bins = probabilities.shape[-1]
    size = _BLOCK if num_bins % _BLOCK == 0 else num_bins
    num_blocks = num_bins // size
    blocks = ops.reshape(probabilities, (-1, num_blocks, size))
    sums = ops.sum(blocks, axis=-1)
    reached = _cumulative(sums)
    # Rounding may leave the last cumulative probability below 1.
    block = ops.minimum(_count_below(reached, probability), num_blocks - 1)
    # Rows of all pixels below each other: taking rows is much faster than
    # taking along an axis.
    row = ops.arange(ops.shape(block)[0], dtype="int32") * num_blocks + block
    before = ops.take(ops.reshape(reached - sums, (-1,)), row)
    inside = ops.take(ops.reshape(blocks, (-1, size)), row, axis=0)
    cumulative = before[:, None] + _cumulative(inside)
    below = block * size + _count_below(cumulative, probability)
    values = ops.minimum(ops.cast(below, "float32") / (num_bins - 1), 1.0)
    return ops.reshape(values, ops.shape(probabilities)[:-1])


def _plain_quantile(probabilities, probability):
    """Computes `quantile` in one step, whatever sizes are unknown."""
    cumulative = ops.cumsum(probabilities, axis=-1)
    below = ops.sum(ops.cast(cumulative < probability, "float32"), axis=-1)
    return ops.minimum(below / (probabilities.shape[-1] - 1), 1.0)


def _mode(probabilities):
    return ops.cast(ops.argmax(probabilities, axis=-1), "float32")


def _plain_mode(probabilities):
    """Does what `argmax` does, which Keras makes of bits of floats."""
    highest = ops.max(probabilities, axis=-1, keepdims=True)
    bins = np.arange(probabilities.shape[-1], dtype=np.float32)
    is_lower = ops.cast(probabilities < highest, "float32")
    return ops.min(ops.add(bins, is_lower * bins.size), axis=-1)


def _count_below(cumulative, probability):
    below = ops.cast(cumulative < probability, "int32")
    return ops.sum(below, axis=-1)


def _cumulative(values):
    """Adds up along the last axis, [pixel, bin].

    On a CPU TensorFlow is much faster at a product with a triangle of ones
    (BUILD_NOTES D37); accelerators may round the factors of a product.
    """
    if not (_may_use_products.get() and is_tensorflow_on_cpu()):
        return ops.cumsum(values, axis=-1)
    size = values.shape[-1]
    return ops.matmul(values, np.triu(np.ones((size, size), np.float32)))


def is_tensorflow_on_cpu() -> bool:
    """Whether TensorFlow computes, and on processors alone."""
    return keras.backend.backend() == "tensorflow" and all(
        device.startswith("cpu") for device in keras.distribution.list_devices()
    )


@contextlib.contextmanager
def without_products() -> Iterator[None]:
    """Quantiles that are traced in this context contain no matrix product.

    An engine may compute products, and what comes before the last of them, in
    less than float32.
    """
    token = _may_use_products.set(False)
    try:
        yield
    finally:
        _may_use_products.reset(token)


def mean(probabilities: keras.KerasTensor) -> keras.KerasTensor:
    """Returns the expected intensity, [...], of distributions [..., bin]."""
    return ops.sum(ops.multiply(probabilities, _values(probabilities)), axis=-1)


def _standard_deviation(probabilities):
    deviation = ops.subtract(
        _values(probabilities), mean(probabilities)[..., None]
    )
    return ops.sqrt(ops.sum(probabilities * deviation**2, axis=-1))


def _entropy(probabilities):
    logarithms = ops.log(probabilities + _ENTROPY_EPSILON)
    uniform = math.log(probabilities.shape[-1])
    return -ops.sum(probabilities * logarithms, axis=-1) / uniform


def statistics(
    logits: keras.KerasTensor,
    names: tuple[str, ...],
    plain: bool = False,
) -> keras.KerasTensor:
    """Computes statistics of the distribution of each pixel.

    Args:
        logits: [..., bin]; of a regression head the intensity, [..., 1].
        names: From `STATISTICS`, or quantiles such as `q05`; of a regression
            head from `REGRESSION_STATISTICS`.
        plain: Whether only operations are used that other programs know, and
            that take tensors of unknown size; slower.

    Returns:
        float32, [..., statistic], in the order of `names`. All lie in
        [0, 1]; entropy is in units of the uniform distribution's. An
        intensity outside [0, 1] is moved to its nearer end.

    Raises:
        ValueError: If a name is unknown.
    """
    if logits.shape[-1] == 1:
        return _regression_statistics(logits, names)
    probabilities = ops.softmax(ops.cast(logits, "float32"), axis=-1)
    num_bins = probabilities.shape[-1]
    find_quantile = _plain_quantile if plain else quantile
    find_mode = _plain_mode if plain else _mode

    def one(name):
        if name == "mode":
            return find_mode(probabilities) / (num_bins - 1)
        if name == "median":
            return find_quantile(probabilities, 0.5)
        if name == "mean":
            return mean(probabilities)
        if name == "standard_deviation":
            return _standard_deviation(probabilities)
        if name == "probability_nonzero":
            return 1.0 - probabilities[..., 0]
        if name == "entropy":
            return _entropy(probabilities)
        probability = _quantile(name)
        if probability is None:
            raise ValueError(
                f"A statistic must be one of {STATISTICS} or a quantile "
                f"such as q05. Received: {name}"
            )
        return find_quantile(probabilities, probability)

    # The entropy's epsilon and rounding may leave [0, 1] by 1e-7.
    return ops.clip(ops.stack([one(name) for name in names], axis=-1), 0.0, 1.0)


def _regression_statistics(intensity, names: tuple[str, ...]):
    for name in names:
        if name not in REGRESSION_STATISTICS:
            raise ValueError(
                f"A statistic of a regression head must be one of "
                f"{REGRESSION_STATISTICS}. Received: {name}"
            )
    values = ops.clip(ops.cast(intensity, "float32"), 0.0, 1.0)
    return ops.repeat(values, len(names), axis=-1)
