"""Scores a network against the truth, on the device, patch by patch."""

import math
from collections.abc import Callable, Mapping

import keras
import numpy as np
from keras import ops

from isl.evaluation.distributions import (
    BRIGHT_BIN,
    DistributionScores,
    PixelDistributions,
    StatisticScores,
)
from isl.evaluation.pixel_sums import MeanScores
from isl.evaluation.pixels import JointHistogram
from isl.images import Well
from isl.network.intensity_bins import NUM_BINS, statistics, uint16_to_bins
from isl.network.model import with_raw_input

QUANTITIES = (
    "median",
    "mean",
    "nll",
    "crps",
    "below",
    "reached",
    "deviation",
    "probability_bright",
)
"""What the scorer gives of each pixel; see `PixelScores`."""

NUM_POINT_QUANTITIES = 2
"""How many of them, the first ones, are defined without a distribution."""


class PixelScores(keras.layers.Layer):
    """What is needed of the distribution of each pixel to score it."""

    def call(self, logits, truth):
        """Scores predictions.

        Args:
            logits: [batch, row, column, bin]; of a regression head the
                intensity, [batch, row, column, 1].
            truth: uint16 intensity, [batch, row, column].

        Returns:
            float32, [batch, row, column, quantity], in the order of
            `QUANTITIES`: the median and the mean in bins, and what
            `isl.evaluation.distributions.PixelDistributions` holds. Of a
            regression head, which has no distribution, the first two only,
            both of them the intensity that it predicts.
        """
        if logits.shape[-1] == 1:
            both = statistics(logits, ("median", "mean"))
            return both * (NUM_BINS - 1)
        bins = uint16_to_bins(truth)
        median, mean, deviation = ops.unstack(
            statistics(logits, ("median", "mean", "standard_deviation")),
            axis=-1,
        )
        cumulative = ops.cumsum(ops.softmax(logits, axis=-1), axis=-1)
        index = bins[..., None]
        reached = ops.take_along_axis(cumulative, index, axis=-1)[..., 0]
        before = ops.take_along_axis(
            cumulative, ops.maximum(index - 1, 0), axis=-1
        )[..., 0]
        return ops.stack(
            [
                median * (NUM_BINS - 1),
                mean * (NUM_BINS - 1),
                _cross_entropy(logits, index),
                _ranked_probability_score(cumulative, index),
                ops.where(bins > 0, before, 0.0),
                reached,
                deviation,
                1.0 - cumulative[..., BRIGHT_BIN - 1],
            ],
            axis=-1,
        )

    def compute_output_spec(self, logits, truth):
        """Shape of the scores."""
        count = (
            NUM_POINT_QUANTITIES if logits.shape[-1] == 1 else len(QUANTITIES)
        )
        shape = (*logits.shape[:-1], count)
        return keras.KerasTensor(shape, "float32")


# The losses of these names (`isl.network.losses`) would normalise and add up
# each distribution anew, and TensorFlow's would compute its gradient as well.
def _cross_entropy(logits, index):
    """In units of ln 256, [...]; `index` is the true bin, [..., 1]."""
    logarithms = ops.log_softmax(logits, axis=-1)
    true = ops.take_along_axis(logarithms, index, axis=-1)[..., 0]
    return -true / math.log(NUM_BINS)


def _ranked_probability_score(cumulative, index):
    """As an intensity, [...]; `index` is the true bin, [..., 1]."""
    reached = ops.cast(ops.arange(NUM_BINS) >= index, "float32")
    return ops.sum((cumulative - reached) ** 2, axis=-1) / (NUM_BINS - 1)


class LabelScores:
    """Running scores of one label over any number of patches.

    Attributes:
        histogram: Of the medians.
        means: Of the means; empty where only statistics were predicted.
        distribution: Of the distributions; empty where only statistics were
            predicted.
        statistics: Of the stored statistics; empty where distributions were
            predicted.
    """

    def __init__(self):
        """Starts empty."""
        self.histogram = JointHistogram()
        self.means = MeanScores()
        self.distribution = DistributionScores()
        self.statistics = StatisticScores()

    def add(
        self,
        true_bins: np.ndarray,
        predicted_bins: np.ndarray,
        distributions: PixelDistributions | None,
    ) -> None:
        """Adds pixels.

        Args:
            true_bins: Integers, any shape.
            predicted_bins: Integers, same shape: bins of the median.
            distributions: Of the same pixels, or None where only a statistic
                was predicted.
        """
        self.histogram.add(true_bins, predicted_bins)
        if distributions is not None:
            self.distribution.add(distributions)

    def merge(self, other: "LabelScores") -> None:
        """Adds the pixels of another instance."""
        self.histogram.merge(other.histogram)
        self.means.merge(other.means)
        self.distribution.merge(other.distribution)
        self.statistics.merge(other.statistics)

    def metrics(self) -> dict[str, float | None]:
        """Returns metric names to values; None where undefined."""
        return {
            **self.histogram.metrics(),
            **self.means.metrics(),
            **self.distribution.metrics(),
            **self.statistics.metrics(),
        }


# From a label, its logits, [batch, row, column, bin], and its truth, uint16,
# [batch, row, column], to quantities, float32, [batch, row, column, quantity].
PixelFunction = Callable[
    [str, keras.KerasTensor, keras.KerasTensor], keras.KerasTensor
]


def score_pixels(
    label: str, logits: keras.KerasTensor, truth: keras.KerasTensor
) -> keras.KerasTensor:
    """Applies `PixelScores` to a label."""
    return PixelScores(name=f"scores_{label}", dtype="float32")(logits, truth)


def build_scorer(
    model: keras.Model,
    labels: tuple[str, ...],
    temperatures: Mapping[str, float] | None = None,
    score: PixelFunction = score_pixels,
) -> keras.Model:
    """Builds a model that scores a network.

    Args:
        model: From `isl.network.model.build_model`.
        labels: Labels to score.
        temperatures: See `with_raw_input`.
        score: What is wanted of each pixel.

    Returns:
        A functional model. Inputs: `planes` and `presence` as
        `with_raw_input` takes them, and `truth`, a dictionary label ->
        uint16 [batch, row, column]. Output: label -> what `score` gives.
    """
    network = with_raw_input(model, labels, temperatures=temperatures)
    truth = {
        label: keras.Input((None, None), dtype="uint16", name=f"truth_{label}")
        for label in labels
    }
    inputs = {
        "planes": network.input["planes"],
        "presence": network.input["presence"],
    }
    scores = {
        label: score(label, network.output[label], truth[label])
        for label in labels
    }
    return keras.Model({**inputs, "truth": truth}, scores)


def true_bins(values: np.ndarray) -> np.ndarray:
    """Returns the bins of uint16 intensities, on the host."""
    return (values.astype(np.uint32) + 128) // 257


def read_true_bins(
    well: Well, label: str, rows: slice, columns: slice
) -> np.ndarray:
    """Reads a region of a label as bins, uint8, [row, column].

    Raises:
        InputError: If the file cannot be decoded.
    """
    return true_bins(well.read_label(label, rows, columns)).astype(np.uint8)


def add_scores(
    totals: Mapping[str, LabelScores],
    scores: Mapping[str, np.ndarray],
    truth: Mapping[str, np.ndarray],
) -> None:
    """Adds the output of a scorer to running scores.

    Args:
        totals: Label to running scores, changed in place.
        scores: Label to output of the scorer, any number of pixels.
        truth: Label to uint16 intensities of the same pixels.
    """
    for label, values in scores.items():
        bins = true_bins(truth[label])
        predicted = np.rint(values[..., 0]).astype(np.int64)
        totals[label].add(bins, predicted, _distributions(values, bins))
        totals[label].means.add(bins, values[..., QUANTITIES.index("mean")])


def _distributions(
    values: np.ndarray, bins: np.ndarray
) -> PixelDistributions | None:
    """What a scorer says of distributions; None of a regression head."""
    if values.shape[-1] == NUM_POINT_QUANTITIES:
        return None
    return PixelDistributions(
        *(values[..., k] for k in range(NUM_POINT_QUANTITIES, len(QUANTITIES))),
        is_bright=bins >= BRIGHT_BIN,
    )
