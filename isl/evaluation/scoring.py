"""Scores a network against the truth, on the device, patch by patch."""

from collections.abc import Mapping

import keras
import numpy as np
from keras import ops

from isl.evaluation.pixels import JointHistogram
from isl.network.intensity_bins import NUM_BINS, statistics, uint16_to_bins
from isl.network.losses import pixel_cross_entropy
from isl.network.model import with_raw_input


class PixelScores(keras.layers.Layer):
    """Median bin and negative log likelihood of each pixel of a label."""

    def call(self, logits, truth):
        """Scores predictions.

        Args:
            logits: [batch, row, column, bin].
            truth: uint16 intensity, [batch, row, column].

        Returns:
            float32, [batch, row, column, 2]: the bin of the median, and the
            negative log likelihood in units of ln 256.
        """
        median = statistics(logits, ("median",))[..., 0]
        nll = pixel_cross_entropy(logits, uint16_to_bins(truth))
        return ops.stack([median * (NUM_BINS - 1), nll], axis=-1)

    def compute_output_spec(self, logits, truth):
        """Shape of the scores."""
        return keras.KerasTensor((*logits.shape[:-1], 2), "float32")


class LabelScores:
    """Running scores of one label over any number of patches."""

    def __init__(self):
        """Starts empty."""
        self.histogram = JointHistogram()
        self.nll_sum = 0.0
        self.nll_count = 0

    def add(
        self,
        true_bins: np.ndarray,
        predicted_bins: np.ndarray,
        nll: np.ndarray | None,
    ) -> None:
        """Adds pixels.

        Args:
            true_bins: Integers, any shape.
            predicted_bins: Integers, same shape: bins of the median.
            nll: Negative log likelihoods in units of ln 256, same shape, or
                None where only a statistic was predicted.
        """
        self.histogram.add(true_bins, predicted_bins)
        if nll is not None:
            self.nll_sum += float(np.sum(nll, dtype=np.float64))
            self.nll_count += nll.size

    def merge(self, other: "LabelScores") -> None:
        """Adds the pixels of another instance."""
        self.histogram.merge(other.histogram)
        self.nll_sum += other.nll_sum
        self.nll_count += other.nll_count

    def metrics(self) -> dict[str, float | None]:
        """Returns metric names to values; None where undefined."""
        nll = self.nll_sum / self.nll_count if self.nll_count else None
        return {**self.histogram.metrics(), "nll": nll}


def build_scorer(model: keras.Model, labels: tuple[str, ...]) -> keras.Model:
    """Builds a model that scores a network.

    Args:
        model: From `isl.network.model.build_model`.
        labels: Labels to score.

    Returns:
        A functional model. Inputs: `planes` and `presence` as
        `with_raw_input` takes them, and `truth`, a dictionary label ->
        uint16 [batch, row, column]. Output: label -> see `PixelScores`.
    """
    network = with_raw_input(model, labels)
    truth = {
        label: keras.Input((None, None), dtype="uint16", name=f"truth_{label}")
        for label in labels
    }
    inputs = {
        "planes": network.input["planes"],
        "presence": network.input["presence"],
    }
    scores = {
        label: PixelScores(name=f"scores_{label}", dtype="float32")(
            network.output[label], truth[label]
        )
        for label in labels
    }
    return keras.Model({**inputs, "truth": truth}, scores)


def true_bins(values: np.ndarray) -> np.ndarray:
    """Returns the bins of uint16 intensities, on the host."""
    return (values.astype(np.uint32) + 128) // 257


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
        predicted = np.rint(values[..., 0]).astype(np.int64)
        totals[label].add(true_bins(truth[label]), predicted, values[..., 1])
