"""A trained network as other programs run it: one input, layers of Keras.

Other programs load a file without `isl`, so nothing in it may be ours: our
layers are replaced by those of Keras, and statistics are part of the graph, as
256 bins of each pixel are more than most programs can hold.
"""

from collections.abc import Sequence

import keras
from keras import layers, ops

from isl.network.blocks import CropMargin, interleave
from isl.network.intensity_bins import statistics
from isl.network.model_folder import ModelDescription
from isl.network.unet_body import StandardizePlanes, standardize_planes
from isl.prediction.predictor import check_names

INPUT_NAME = "planes"


def build_exported(
    model: keras.Model,
    description: ModelDescription,
    labels: Sequence[str] | None = None,
    names: Sequence[str] = ("median", "standard_deviation"),
) -> keras.Model:
    """Builds a network of one input that predicts statistics.

    Args:
        model: From `isl.network.model_folder.load_model`; weights are shared.
        description: Likewise.
        labels: Labels to predict; None for all.
        names: Statistics, see `isl.network.intensity_bins.statistics`.

    Returns:
        A functional model. Input: intensities in [0, 1], float32, [batch,
        row, column, z]; rows and columns are
        `description.architecture.input_size` plus a multiple of its grid.
        Output: a list with, for each label, statistics in [0, 1], [batch,
        row - 2 * margin, column - 2 * margin, statistic], of a layer that has
        the name of the label; of one label only that.

    Raises:
        InputError: If a label or statistic is unknown or named twice, or a
            regression head has no such statistic.
    """
    labels, names = check_names(description, labels or None, names)
    plain = keras.models.clone_model(
        keras.Model(model.input, [model.output[label] for label in labels]),
        clone_function=lambda layer: layer,
        call_function=_call,
    )
    planes = keras.Input((None, None, description.num_z), name=INPUT_NAME)
    outputs = []
    # All planes are there.
    pairs = interleave(planes, ops.ones_like(planes))
    for label, logits in zip(labels, plain(pairs), strict=True):
        logits = logits / description.temperatures.get(label, 1.0)
        values = statistics(logits, names, plain=True)
        outputs.append(layers.Identity(name=label)(values))
    return keras.Model(planes, outputs, name="isl")


def _call(layer: keras.Operation, *args, **kwargs):
    """Applies a layer, or what Keras has in its place."""
    if isinstance(layer, CropMargin):
        return layers.Cropping2D(layer.margin, name=layer.name)(*args)
    if isinstance(layer, StandardizePlanes):
        return standardize_planes(*args)
    return layer(*args, **kwargs)
