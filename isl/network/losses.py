"""Losses of a head, with missing pixels masked.

All follow one rule for weights, the original's (isl/util.py
softmax_cross_entropy): the weighted sum over pixels is divided by the number
of pixels whose weight is not zero, and is 0 where all are zero
(BUILD_NOTES D3).
"""

import math

import keras
from keras import ops

from isl.network.intensity_bins import MAX_UINT16, uint16_to_bins


def pixel_cross_entropy(
    logits: keras.KerasTensor, bins: keras.KerasTensor
) -> keras.KerasTensor:
    """Cross-entropy of each pixel, in units of a uniform guess.

    Args:
        logits: [..., bin].
        bins: True bins, integers, [...].

    Returns:
        float32, [...]: 0 for a certain right answer, 1 for a uniform guess.
    """
    nats = ops.sparse_categorical_crossentropy(
        bins, ops.cast(logits, "float32"), from_logits=True
    )
    return nats / math.log(logits.shape[-1])


def pixel_ranked_probability_score(
    logits: keras.KerasTensor, bins: keras.KerasTensor
) -> keras.KerasTensor:
    """Ranked probability score of each pixel, as an intensity.

    The sum over bins k of (F(k) - [true bin <= k])^2 / 255 (Gneiting and
    Raftery 2007, section 4.2, on a grid of spacing 1 / 255): for a certain
    answer the absolute error of its intensity.

    Args:
        logits: [..., bin].
        bins: True bins, integers, [...].

    Returns:
        float32, [...], between 0 and 1.
    """
    num_bins = logits.shape[-1]
    cumulative = ops.cumsum(
        ops.softmax(ops.cast(logits, "float32"), axis=-1), axis=-1
    )
    reached = ops.cast(
        ops.arange(num_bins) >= ops.cast(bins[..., None], "int32"), "float32"
    )
    return ops.sum((cumulative - reached) ** 2, axis=-1) / (num_bins - 1)


RPS_WEIGHT = 10.0
"""Of the ranked probability score in `pixel_combined_score`: with it, the two
parts are about as large for the labels that we have."""


def pixel_combined_score(
    logits: keras.KerasTensor, bins: keras.KerasTensor
) -> keras.KerasTensor:
    """Cross-entropy and `RPS_WEIGHT` times the ranked probability score.

    Both are proper scores, so their sum is one: no other prediction than the
    true distribution has a better expectation. The first asks for the right
    probability of the very bin, the second for intensities that are not far
    off, which teaches rare bright pixels sooner.

    Args:
        logits: [..., bin].
        bins: True bins, integers, [...].

    Returns:
        float32, [...].
    """
    score = pixel_ranked_probability_score(logits, bins)
    return pixel_cross_entropy(logits, bins) + RPS_WEIGHT * score


def masked_mean(
    values: keras.KerasTensor, weights: keras.KerasTensor
) -> keras.KerasTensor:
    """Weighted sum over the number of non-zero weights; 0 if there is none.

    Args:
        values: Any shape.
        weights: Of a shape that broadcasts to that of `values`.

    Returns:
        A scalar.
    """
    weights = ops.broadcast_to(
        ops.cast(weights, values.dtype), ops.shape(values)
    )
    num_weights = ops.sum(ops.cast(weights != 0, values.dtype))
    return ops.sum(values * weights) / ops.maximum(num_weights, 1.0)


def pixel_squared_error(
    outputs: keras.KerasTensor, truth: keras.KerasTensor
) -> keras.KerasTensor:
    """Squared error of the intensity of each pixel.

    Args:
        outputs: Predicted intensity of a regression head, [..., 1].
        truth: uint16 intensity, [...].

    Returns:
        float32, [...].
    """
    intensity = ops.cast(truth, "float32") / MAX_UINT16
    return (ops.cast(outputs[..., 0], "float32") - intensity) ** 2


REGRESSION_LOSS = "mean_squared_error"
"""The loss of heads that predict the intensity itself; others take bins."""

_BIN_LOSSES = {
    "cross_entropy": pixel_cross_entropy,
    "ranked_probability_score": pixel_ranked_probability_score,
    "combined_score": pixel_combined_score,
}
PIXEL_LOSSES = (*_BIN_LOSSES, REGRESSION_LOSS)
"""Names of losses."""


def pixel_losses(
    name: str, outputs: keras.KerasTensor, truth: keras.KerasTensor
) -> keras.KerasTensor:
    """Computes the loss of each pixel.

    Args:
        name: One of `PIXEL_LOSSES`.
        outputs: Logits, [..., bin], or intensities, [..., 1].
        truth: uint16 intensity, [...].

    Returns:
        float32, [...].
    """
    if name == REGRESSION_LOSS:
        return pixel_squared_error(outputs, truth)
    return _BIN_LOSSES[name](outputs, uint16_to_bins(truth))


class MaskedLoss(keras.losses.Loss):
    """A pixel loss under `masked_mean`.

    The truth is uint16 intensity, [batch, row, column]; the weights, given
    as `sample_weight`, are [batch] or [batch, row, column].
    """

    def __init__(self, pixel_loss: str, name: str | None = None):
        """Chooses one of PIXEL_LOSSES by name."""
        super().__init__(name=name or pixel_loss, reduction=None)
        self.pixel_loss = pixel_loss

    def __call__(self, y_true, y_pred, sample_weight=None):
        """Returns the masked mean of the pixel losses, a scalar."""
        values = pixel_losses(self.pixel_loss, y_pred, y_true)
        if sample_weight is None:
            return ops.mean(values)
        weights = ops.convert_to_tensor(sample_weight)
        while len(weights.shape) < len(values.shape):
            weights = weights[..., None]
        return masked_mean(values, weights)

    def get_config(self):
        """Returns the arguments of the constructor."""
        return {"pixel_loss": self.pixel_loss, "name": self.name}


def head_weights(labels: list[str], autoencoding: list[str]) -> dict:
    """Weight of each head in the total loss.

    Half of the mean over label heads plus half of the mean over
    auto-encoding heads, as in the original (isl/launch.py); without
    auto-encoding heads, the mean over label heads.

    Args:
        labels: Names of the label heads.
        autoencoding: Names of the auto-encoding heads; may be empty.
    """
    share = 0.5 if autoencoding else 1.0
    weights = {name: share / len(labels) for name in labels}
    weights.update({name: 0.5 / len(autoencoding) for name in autoencoding})
    return weights
