"""How sure a trained network should be: one temperature for each label.

A network that was trained to the end is often too sure of itself. Dividing
its logits by a temperature, fitted on patches it was not trained on, corrects
that without changing which bin is likeliest (Guo et al. 2017,
arXiv:1706.04599).
"""

from collections.abc import Iterable, Sequence

import keras
import numpy as np
from keras import ops

from isl.network.intensity_bins import uint16_to_bins
from isl.network.losses import masked_mean, pixel_cross_entropy
from isl.network.model import with_raw_input
from isl.training.crops import Batch

# Temperatures from 1/4 to 4, twice: coarsely, then around the best.
_NUM_TEMPERATURES = 17
_MAX_LOG2 = 2.0


class _CrossEntropies(keras.layers.Layer):
    """Mean cross-entropy of a label at several temperatures."""

    def call(self, logits, truth, weights, log2_temperatures):
        """Maps to float32, [temperature].

        Args:
            logits: [batch, row, column, bin].
            truth: uint16 intensity, [batch, row, column].
            weights: 0 where the label is missing, [batch].
            log2_temperatures: [1, temperature].
        """
        bins = uint16_to_bins(truth)
        weights = ops.reshape(weights, (-1, 1, 1))
        values = [
            masked_mean(
                pixel_cross_entropy(
                    logits / 2 ** log2_temperatures[0, k], bins
                ),
                weights,
            )
            for k in range(_NUM_TEMPERATURES)
        ]
        return ops.stack(values)[None]

    def compute_output_spec(self, logits, truth, weights, log2_temperatures):
        """Shape of the means."""
        return keras.KerasTensor((1, _NUM_TEMPERATURES), "float32")


def fit_temperatures(
    model: keras.Model, labels: Sequence[str], batches: Iterable[Batch]
) -> dict[str, float]:
    """Finds the temperatures at which patches are likeliest.

    Args:
        model: From `isl.network.model.build_model`.
        labels: Labels to fit.
        batches: From `isl.training.crops`, all of one size; patches that the
            network was not trained on.

    Returns:
        Label to temperature, from 1/4 to 4; above 1 if the network was too
        sure. 1 for a label that no patch has.
    """
    batches = list(batches)
    scorer = _build_scorer(model, labels)
    centers = dict.fromkeys(labels, 0.0)
    reach = _MAX_LOG2
    for _ in range(2):
        steps = np.linspace(-reach, reach, _NUM_TEMPERATURES)
        grids = {label: centers[label] + steps for label in labels}
        means = _mean_cross_entropies(scorer, labels, batches, grids)
        for label in labels:
            # A label without pixels has the same mean, 0, everywhere.
            if np.ptp(means[label]) > 0:
                best = grids[label][int(means[label].argmin())]
                centers[label] = float(np.clip(best, -_MAX_LOG2, _MAX_LOG2))
        reach = steps[1] - steps[0]
    return {label: 2.0 ** centers[label] for label in labels}


def _build_scorer(model: keras.Model, labels: Sequence[str]) -> keras.Model:
    network = with_raw_input(model, tuple(labels))
    inputs = {
        label: {
            "truth": keras.Input((None, None), dtype="uint16"),
            "weights": keras.Input(()),
            "log2_temperatures": keras.Input((_NUM_TEMPERATURES,)),
        }
        for label in labels
    }
    outputs = {
        label: _CrossEntropies(dtype="float32")(
            network.output[label], **inputs[label]
        )
        for label in labels
    }
    return keras.Model({"network": network.input, "labels": inputs}, outputs)


def _mean_cross_entropies(
    scorer: keras.Model,
    labels: Sequence[str],
    batches: Sequence[Batch],
    grids: dict[str, np.ndarray],
) -> dict[str, np.ndarray]:
    """Label to the mean over patches that have it, [temperature]."""
    totals = {label: np.zeros(_NUM_TEMPERATURES) for label in labels}
    counts = dict.fromkeys(labels, 0.0)
    for inputs, targets, weights in batches:
        means = scorer.predict_on_batch(
            {
                "network": inputs,
                "labels": {
                    label: {
                        "truth": targets[label],
                        "weights": weights[label],
                        "log2_temperatures": np.tile(
                            grids[label], (len(weights[label]), 1)
                        ).astype(np.float32),
                    }
                    for label in labels
                },
            }
        )
        for label in labels:
            present = float(weights[label].sum())
            totals[label] += present * means[label][0]
            counts[label] += present
    return {label: totals[label] / max(counts[label], 1) for label in labels}
