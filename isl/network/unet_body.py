"""Builds a U-Net from its table, as functions of Keras tensors."""

import keras
from keras import layers

from isl.network.blocks import BATCH_NORM_EPSILON, CropMargin, interleave
from isl.network.unet import (
    CONVOLUTION,
    MAX_POOL,
    SHRINK,
    Step,
    UNet,
    plan_unet,
)

# What zero padding can reach is cropped by a layer of this name.
CONTEXT_CROP = "context_crop"


# Mean and standard deviation of the planes as published (0.5, 0.125).
_MEAN, _DEVIATION = 0.5, 0.125


@keras.saving.register_keras_serializable(package="isl")
class StandardizePlanes(layers.Layer):
    """Gives planes mean 0 and standard deviation 1, as fnet has them.

    A zero, with which convolutions pad, then is a pixel of average brightness
    of a plane that is there; otherwise the edges of a patch would outshine
    everything in it. An absent plane is 0 too, but its presence is -1.
    """

    def call(self, pairs):
        """Maps pairs of intensity and presence, [..., 2 * z], to the same."""
        return standardize_planes(pairs)

    def compute_output_spec(self, pairs):
        """Shape of the pairs."""
        return keras.KerasTensor(pairs.shape, pairs.dtype)


def standardize_planes(pairs: keras.KerasTensor) -> keras.KerasTensor:
    """Does what `StandardizePlanes` does, with operations of Keras."""
    intensity, presence = pairs[..., ::2], pairs[..., 1::2]
    standard = (intensity - _MEAN * presence) / _DEVIATION
    return interleave(standard, presence - 1.0)


def build_unet_body(
    inputs: keras.KerasTensor, unet: UNet, momentum: float, initializer: str
) -> keras.KerasTensor:
    """Applies all of a U-Net but its heads.

    Args:
        inputs: float32, [batch, row, column, plane].
        unet: The table.
        momentum: Of the batch normalisation's moving statistics.
        initializer: Of the convolutions, by its Keras name.

    Returns:
        What every head reads, [batch, row - 2 * margin, column - 2 * margin,
        base_filters].
    """
    x, skips = StandardizePlanes(name="standardize")(inputs), []
    for step in plan_unet(unet, inputs.shape[-1]):
        if step.kind == SHRINK:
            skips.append((x, step.input_size))
        x = _apply(x, step, unet, momentum, initializer)
        if step.kind not in (CONVOLUTION, SHRINK):
            skip, size = skips.pop()
            x = _join(skip, x, (size - step.output_size) // 2, step.name)
    margin = unet.margin - unet.training_margin
    return CropMargin(margin, name=CONTEXT_CROP)(x) if margin else x


def _apply(x, step: Step, unet: UNet, momentum: float, initializer: str):
    if step.kind == SHRINK and unet.shrink == MAX_POOL:
        return layers.MaxPooling2D(2, name=step.name)(x)
    kind = (
        layers.Conv2D
        if step.kind in (CONVOLUTION, SHRINK)
        else (layers.Conv2DTranspose)
    )
    spatial = (
        {"kernel_size": 3, "padding": unet.padding}
        if step.kind == CONVOLUTION
        else {"kernel_size": 2, "strides": 2}
    )
    x = kind(
        step.filters,
        **spatial,
        use_bias=not unet.batch_norm,  # The normalisation has one.
        kernel_initializer=initializer,
        name=step.name,
    )(x)
    if unet.batch_norm:
        x = layers.BatchNormalization(
            momentum=momentum,
            epsilon=BATCH_NORM_EPSILON,
            name=f"{step.name}_norm",
        )(x)
    if unet.batch_norm or step.kind == CONVOLUTION:
        x = layers.Activation("relu", name=f"{step.name}_relu")(x)
    return x


def _join(skip, x, margin: int, name: str):
    """Concatenates the way down, cropped to the same size, and the way up."""
    if margin:
        skip = CropMargin(margin, name=f"{name}_crop")(skip)
    return layers.Concatenate(name=f"{name}_merge")([skip, x])


def for_training(model: keras.Model) -> keras.Model:
    """Returns the network as it is trained: no context is cropped away.

    Args:
        model: From `isl.network.model.build_model`.

    Returns:
        A functional model that shares layers and weights; [batch, row,
        column, plane] gives outputs of row - 2 * training_margin rows.
        `model` itself if it crops nothing.
    """
    crops = [layer for layer in model.layers if layer.name == CONTEXT_CROP]
    if not crops:
        return model
    outputs = {
        head: model.get_layer(head)(crops[0].input) for head in model.output
    }
    return keras.Model(model.input, outputs, name=model.name)
