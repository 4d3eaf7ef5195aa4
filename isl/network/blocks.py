"""Residual blocks, the stem and the heads, as functions of Keras tensors.

A block is a pre-activation residual block (He et al. 2016, version 2) with a
concatenation of ReLU and tanh where others have one activation (original:
isl/models/model_util.py). Shapes are [batch, row, column, filter].
"""

import keras
from keras import layers, ops

from isl.network.architecture import DOWNSCALE, IN_SCALE, UPSCALE, Block

BATCH_NORM_EPSILON = 1e-3  # TF-Slim's default, which the original keeps.

# Kernel size and stride of the spatial convolution of each kind of block.
_KERNEL_AND_STRIDE = {IN_SCALE: (3, 1), DOWNSCALE: (4, 2), UPSCALE: (4, 2)}


@keras.saving.register_keras_serializable(package="isl")
class CropMargin(layers.Layer):
    """Crops the same margin on each side.

    `Cropping2D` does the same, but the gradient of its strided slice takes
    15 times as long as this one's on a CPU under TensorFlow, which made half
    of a training step (BUILD_NOTES D6).
    """

    def __init__(self, margin: int, **kwargs):
        """Crops `margin` pixels, rows and columns alike."""
        super().__init__(**kwargs)
        self.margin = margin

    def call(self, x):
        """Maps [batch, n, m, filter] to n and m less two margins."""
        batch, rows, columns, filters = ops.shape(x)
        return ops.slice(
            x,
            (0, self.margin, self.margin, 0),
            (batch, rows - 2 * self.margin, columns - 2 * self.margin, filters),
        )

    def compute_output_shape(self, input_shape):
        """Shape after cropping; unknown sizes stay unknown."""
        batch, rows, columns, filters = input_shape
        return (
            batch,
            None if rows is None else rows - 2 * self.margin,
            None if columns is None else columns - 2 * self.margin,
            filters,
        )

    def get_config(self):
        """Returns the arguments of the constructor."""
        return {**super().get_config(), "margin": self.margin}


def interleave(
    one: keras.KerasTensor, other: keras.KerasTensor
) -> keras.KerasTensor:
    """Returns filters of two tensors in turn, [..., 2 * filter]."""
    count = one.shape[-1]
    order = [index + part for index in range(count) for part in (0, count)]
    return ops.take(ops.concatenate([one, other], axis=-1), order, axis=-1)


def activate(
    x: keras.KerasTensor, momentum: float, name: str
) -> keras.KerasTensor:
    """Normalises, then concatenates ReLU and tanh: the filters double.

    Args:
        x: Features.
        momentum: How much of the moving statistics of the batch
            normalisation a training step keeps, between 0 and 1.
        name: Prefix of the layer names.
    """
    x = layers.BatchNormalization(
        momentum=momentum, epsilon=BATCH_NORM_EPSILON, name=f"{name}_norm"
    )(x)
    positive = layers.Activation("relu", name=f"{name}_relu")(x)
    bounded = layers.Activation("tanh", name=f"{name}_tanh")(x)
    return layers.Concatenate(name=f"{name}_activated")([positive, bounded])


def _expand(x, block: Block, momentum: float, initializer: str):
    """Spatial convolution, beside a max-pool of the raw input.

    An upscale block has no max-pool; its transposed convolution yields two
    pixels more on each side than the block does.
    """
    name = f"{block.name}_expand"
    kernel_size, strides = _KERNEL_AND_STRIDE[block.kind]
    activated = activate(x, momentum, name)
    if block.kind == UPSCALE:
        return layers.Conv2DTranspose(
            block.expansion_filters,
            kernel_size,
            strides=strides,
            use_bias=False,
            kernel_initializer=initializer,
            name=name,
        )(activated)
    expanded = layers.Conv2D(
        block.expansion_filters,
        kernel_size,
        strides=strides,
        use_bias=False,
        kernel_initializer=initializer,
        name=name,
    )(activated)
    # The pool reads the raw input, not the normalised one.
    pooled = layers.MaxPooling2D(
        kernel_size, strides=strides, name=f"{name}_pool"
    )(x)
    return layers.Concatenate(name=f"{name}_merge")([expanded, pooled])


def _reduce(x, block: Block, momentum: float, initializer: str):
    name = f"{block.name}_reduce"
    activated = activate(x, momentum, name)
    reduced = layers.Conv2D(
        block.reduction_filters,
        1,
        use_bias=False,
        kernel_initializer=initializer,
        name=name,
    )(activated)
    if block.kind == UPSCALE:
        # Cropped after the normalisation, whose batch statistics in the
        # original include the border.
        reduced = CropMargin(2, name=f"{name}_crop")(reduced)
    return reduced


def _shortcut(x, block: Block):
    """The input at the size of the output, without parameters.

    The original pads the enlarged shortcut by one pixel and crops two after
    the addition, which is to crop one.
    """
    name = f"{block.name}_shortcut"
    if block.kind == UPSCALE:
        x = layers.UpSampling2D(2, name=f"{name}_enlarge")(x)
    x = CropMargin(1, name=name)(x)
    if block.kind == DOWNSCALE:
        x = layers.AveragePooling2D(2, name=f"{name}_shrink")(x)
    return x


def _match_filters(x, num_filters: int):
    """Crops the filters, or pads them with zeros, at the end."""
    missing = num_filters - x.shape[-1]
    if missing > 0:
        return ops.pad(x, ((0, 0), (0, 0), (0, 0), (0, missing)))
    return x if missing == 0 else x[..., :num_filters]


def residual_block(
    x: keras.KerasTensor, block: Block, momentum: float, initializer: str
) -> keras.KerasTensor:
    """Applies one residual block.

    Args:
        x: [batch, row, column, block.input_filters].
        block: Its kind and its numbers of filters.
        momentum: See `activate`.
        initializer: Of the convolutions, by its Keras name.

    Returns:
        [batch, row, column, block.output_filters]; n rows become n - 2
        (in-scale), n / 2 - 1 (downscale) or 2n - 2 (upscale).
    """
    expanded = _expand(x, block, momentum, initializer)
    residual = _reduce(expanded, block, momentum, initializer)
    residual = _match_filters(residual, block.output_filters)
    shortcut = _match_filters(_shortcut(x, block), block.output_filters)
    return layers.Add(name=block.name)([shortcut, residual])


def head(
    x: keras.KerasTensor,
    num_bins: int | None,
    momentum: float,
    initializer: str,
    name: str,
) -> keras.KerasTensor:
    """Applies an output branch of the network of the paper.

    Args:
        x: Output of the trunk.
        num_bins: Intensity bins; None for the intensity itself.
        momentum: See `activate`.
        initializer: Of the convolution, by its Keras name.
        name: Name of the head: a label, or `autoencoding_head_name`.

    Returns:
        See `head_convolution`.
    """
    activated = activate(x, momentum, f"{name}_head")
    return head_convolution(activated, num_bins, initializer, name)


def head_convolution(
    x: keras.KerasTensor, num_bins: int | None, initializer: str, name: str
) -> keras.KerasTensor:
    """Maps features to logits of the intensity bins of each pixel.

    Args:
        x: Features after their activation.
        num_bins: Intensity bins; None for the intensity itself.
        initializer: Of the convolution, by its Keras name.
        name: Name of the layer, which is that of the head.

    Returns:
        Logits, float32, [batch, row, column, bin]; for a regression head the
        intensity, not limited to [0, 1], [batch, row, column, 1].
    """
    return layers.Conv2D(
        num_bins or 1,
        1,
        kernel_initializer=initializer,
        dtype="float32",
        name=name,
    )(x)
