"""Labels of some pixels of a patch only, spread evenly over it.

Neighbouring pixels of an image teach nearly the same. Heads of 256 bins and
their loss cost as much as all that comes before them in a small network, so
they look at one pixel of each cell of a few pixels. Which one differs from
cell to cell, because a fixed place would leave weights of the last transposed
convolution untrained; the patches themselves lie at random places.
"""

import functools

import keras
import numpy as np
from keras import layers, ops

from isl.network.model import body_output
from isl.network.networks import Network


@functools.cache
def chosen_pixels(size: int, stride: int) -> np.ndarray:
    """Chooses a pixel of each cell, always the same ones.

    Args:
        size: Rows and columns of a patch, a multiple of `stride`.
        stride: Rows and columns of a cell.

    Returns:
        Indices into the pixels of a patch, row by row, int32,
        [size / stride, size / stride].
    """
    num_cells = size // stride
    generator = np.random.default_rng(0)
    rows, columns = generator.integers(stride, size=(2, num_cells, num_cells))
    corners = stride * np.arange(num_cells)
    rows += corners[:, np.newaxis]
    columns += corners
    return (rows * size + columns).astype(np.int32)


def select_targets(image: np.ndarray, stride: int) -> np.ndarray:
    """Returns the chosen pixels of patches.

    Args:
        image: [batch, row, column].
        stride: Rows and columns of a cell.

    Returns:
        [batch, row / stride, column / stride].
    """
    if stride == 1:
        return image
    batch, size, _ = image.shape
    return image.reshape(batch, -1)[:, chosen_pixels(size, stride)]


class SelectPixels(layers.Layer):
    """Keeps the chosen pixels of features."""

    def __init__(self, size: int, stride: int, **kwargs):
        """Takes patches of `size` pixels, one pixel in each `stride`."""
        super().__init__(**kwargs)
        self.size = size
        self.stride = stride

    def call(self, x):
        """Maps [batch, size, size, filter] to one pixel for each cell."""
        filters = x.shape[-1]
        num_cells = self.size // self.stride
        pixels = ops.reshape(x, (-1, self.size**2, filters))
        chosen = chosen_pixels(self.size, self.stride).ravel()
        return ops.reshape(
            ops.take(pixels, chosen, axis=1),
            (-1, num_cells, num_cells, filters),
        )

    def compute_output_shape(self, input_shape):
        """Shape of the chosen pixels."""
        num_cells = self.size // self.stride
        return (input_shape[0], num_cells, num_cells, input_shape[-1])


def with_sparse_heads(
    model: keras.Model, architecture: Network, size: int, stride: int
) -> keras.Model:
    """Returns a network whose heads look at the chosen pixels only.

    Args:
        model: From `isl.network.unet_body.for_training`; weights are shared.
        architecture: Its table.
        size: Rows and columns of what it predicts from a patch, pixels.
        stride: Rows and columns of a cell.

    Returns:
        A functional model with the inputs of `model`; heads of
        [batch, size / stride, size / stride, bin].
    """
    features = body_output(model, architecture)
    heads = keras.Model(features, model.output)
    chosen = SelectPixels(size, stride, name="chosen_pixels")(features)
    return keras.Model(model.input, heads(chosen))
