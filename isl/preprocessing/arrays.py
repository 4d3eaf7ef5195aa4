"""Checks and small helpers that all steps share."""

from collections.abc import Iterator

import numpy as np

from isl.errors import InputError

# Pixels that a step turns into float64 at a time: 8 MiB.
BLOCK_PIXELS = 2**20
# The median absolute deviation of normal noise, times this, is its standard
# deviation.
MAD_TO_STD = 1.4826


def check_image(image: np.ndarray, name: str) -> None:
    """Checks that an array is one plane with pixels.

    Args:
        image: The array.
        name: What error messages call it.

    Raises:
        InputError: If it is not two-dimensional or is empty.
    """
    if image.ndim != 2 or not image.size:
        raise InputError(
            f"{name}: must be an image of rows and columns. "
            f"Received: shape {image.shape}."
        )


def check_same_shape(
    image: np.ndarray, shape: tuple[int, ...], name: str
) -> None:
    """Checks that an image has the size of those before it.

    Args:
        image: The image, [row, column].
        shape: The size it must have.
        name: What error messages call it.

    Raises:
        InputError: If the sizes differ.
    """
    if image.shape != tuple(shape):
        raise InputError(
            f"{name}: all must have one size, {shape[0]} rows x {shape[1]} "
            f"columns. Received: {image.shape[0]} x {image.shape[1]}."
        )


def row_blocks(shape: tuple[int, int]) -> Iterator[slice]:
    """Yields slices of rows that together cover an image once.

    Args:
        shape: Rows and columns of the image.

    Yields:
        Rows of about `BLOCK_PIXELS` pixels, from top to bottom.
    """
    rows = max(1, BLOCK_PIXELS // max(1, shape[1]))
    for first in range(0, shape[0], rows):
        yield slice(first, min(first + rows, shape[0]))


def round_to(image: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Returns an image as unsigned integers: rounded half up, clipped.

    Args:
        image: Real values, [row, column].
        dtype: An unsigned integer type of at most 16 bits.

    Returns:
        `dtype`, [row, column].
    """
    highest = np.iinfo(dtype).max
    rounded = np.empty(image.shape, dtype)
    for rows in row_blocks(image.shape):
        block = np.floor(image[rows] + 0.5)
        rounded[rows] = np.clip(block, 0, highest)
    return rounded
