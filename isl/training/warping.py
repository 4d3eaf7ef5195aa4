"""Patches turned by any angle and enlarged or reduced a little.

Flips and quarter turns show a network eight versions of each place; with few
fields it soon knows them by heart. Between those, planes are interpolated,
which takes noise and the finest texture away: a network has to see some patches
as they are. Labels are not interpolated: without their noise a network would
learn to be too sure (BUILD_NOTES D61).
"""

import dataclasses
import math

import numpy as np
from scipy import ndimage

from isl.network.intensity_bins import MAX_UINT16

# A pixel on each side for interpolation.
_RIM = 2

# Of patches that stay as they are.
_UNCHANGED_SHARE = 0.5


@dataclasses.dataclass(frozen=True)
class Warp:
    """A turn about the middle of a patch, and a change of its size.

    Attributes:
        angle: Clockwise, radians.
        zoom: Pixels of the image for one of the patch.
    """

    angle: float
    zoom: float

    def extent(self, size: int) -> int:
        """Rows and columns of the image that a square patch needs, pixels."""
        turned = abs(math.cos(self.angle)) + abs(math.sin(self.angle))
        return math.ceil(size * self.zoom * turned) + _RIM

    def apply(
        self, image: np.ndarray, size: int, interpolate: bool = True
    ) -> np.ndarray:
        """Cuts the patch out of the middle of a part of the image.

        Args:
            image: uint16, [row, column] or [row, column, z], at least
                `extent(size)` pixels a side.
            size: Rows and columns of the patch.
            interpolate: Whether values are interpolated linearly; otherwise
                those of the nearest pixels are taken.

        Returns:
            uint16, [size, size] or [size, size, z].
        """
        cosine = self.zoom * math.cos(self.angle)
        sine = self.zoom * math.sin(self.angle)
        matrix = np.array([[cosine, -sine], [sine, cosine]])
        middle = (np.array(image.shape[:2]) - 1) / 2
        offset = middle - matrix @ np.full(2, (size - 1) / 2)
        planes = image.reshape(*image.shape[:2], -1)
        warped = np.empty((size, size, planes.shape[-1]), np.uint16)
        for z in range(planes.shape[-1]):
            values = ndimage.affine_transform(
                planes[..., z].astype(np.float32),
                matrix,
                offset,
                (size, size),
                order=int(interpolate),
                mode="nearest",
            )
            warped[..., z] = np.clip(np.rint(values), 0, MAX_UINT16)
        return warped.reshape(size, size, *image.shape[2:])


def draw_warp(
    generator: np.random.Generator, rotation: float, zoom: float
) -> Warp | None:
    """Draws a warp.

    Args:
        generator: Draws.
        rotation: Largest angle either way, degrees.
        zoom: Largest logarithm of the zoom, of either sign.

    Returns:
        Angle and logarithm are drawn evenly; None if there is nothing to
        draw, and in half of the cases.
    """
    if not rotation and not zoom:
        return None
    if generator.random() < _UNCHANGED_SHARE:
        return None
    angle = math.radians(generator.uniform(-rotation, rotation))
    return Warp(angle, math.exp(generator.uniform(-zoom, zoom)))
