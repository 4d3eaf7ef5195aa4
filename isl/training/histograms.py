"""Weights and activations by part of the network: stem, towers, trunk, heads.

A part whose weights or activations collapse or grow without bound is seen
here long before the loss shows it.
"""

from collections.abc import Mapping

import keras
import numpy as np
from keras import ops

from isl.network.model import with_raw_input
from isl.network.transfer import is_body, part_of


def kernels_by_part(model: keras.Model) -> dict[str, np.ndarray]:
    """Returns the kernels of the convolutions of each part of a network.

    Biases and normalisations are left out: their few values lie elsewhere.

    Args:
        model: From `isl.network.model.build_model`.

    Returns:
        Part to float32, [weight].
    """
    kernels: dict[str, list[np.ndarray]] = {}
    for layer in model.layers:
        for weight in layer.weights:
            if weight.name == "kernel":
                values = ops.convert_to_numpy(weight).ravel()
                kernels.setdefault(part_of(layer.name), []).append(values)
    return {part: np.concatenate(values) for part, values in kernels.items()}


class ActivationProbe:
    """Looks at what the parts that all heads share hand on."""

    def __init__(self, model: keras.Model):
        """Prepares the forward pass.

        Args:
            model: From `isl.network.model.build_model`; weights are shared.
        """
        # Layers come in the order of the graph: the last of a part is kept.
        outputs = {
            part_of(layer.name): layer.output
            for layer in model.layers
            if is_body(layer.name)
        }
        self._forward = with_raw_input(
            keras.Model(model.inputs, outputs), tuple(outputs)
        )

    def run(self, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Returns the outputs of each part, in prediction.

        Args:
            inputs: Of `isl.network.model.with_raw_input`.

        Returns:
            Part to float32, [activation]: all pixels and filters.
        """
        outputs = self._forward.predict_on_batch(dict(inputs))
        return {
            part: np.asarray(values, np.float32).ravel()
            for part, values in outputs.items()
        }
