"""Fewer, larger pixels: the mean of each block."""

import numpy as np

from isl.errors import InputError
from isl.preprocessing.arrays import check_image


def downscale(image: np.ndarray, factor: int) -> np.ndarray:
    """Averages blocks of `factor` x `factor` pixels.

    Paper: condition A by 2 in each dimension (P: Table 1); by averaging,
    which lowers shot noise (U-med). Rows and columns that do not fill a block
    are dropped at the bottom and at the right.

    Args:
        image: uint8, uint16 or floating, [row, column].
        factor: Side of a block, pixels, at least 1; 1 changes nothing.

    Returns:
        The same type, [row // factor, column // factor]. Means of integers
        are rounded half up.

    Raises:
        InputError: If the factor is below 1 or leaves no pixel.
    """
    check_image(image, "image")
    if not 1 <= factor <= min(image.shape):
        raise InputError(
            f"downscaling factor: must be from 1 to {min(image.shape)}, the "
            f"smaller side of the image. Received: {factor}."
        )
    rows, columns = (size // factor for size in image.shape)
    blocks = image[: rows * factor, : columns * factor].reshape(
        rows, factor, columns, factor
    )
    if image.dtype.kind != "u":
        return blocks.mean(axis=(1, 3), dtype=image.dtype)
    count = factor * factor
    total = blocks.sum(axis=(1, 3), dtype=np.uint64)
    return ((2 * total + count) // (2 * count)).astype(image.dtype)
