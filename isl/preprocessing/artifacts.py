"""Hot pixels, salt-and-pepper noise, and dust that stays where it is."""

import dataclasses
from collections.abc import Iterable

import numpy as np
from scipy import ndimage
from skimage import morphology, restoration

from isl.errors import InputError
from isl.preprocessing.arrays import (
    MAD_TO_STD,
    check_image,
    check_same_shape,
    row_blocks,
)

# Paper (recalled, U-med): 5 x 5 median, repeated until nothing changes.
MEDIAN_SIZE = 5
# Dust that lets through less light than this is filled in, not divided out:
# what is behind it is lost in noise.
MIN_TRANSMISSION = 0.5
MIN_TILES = 5
RIM = 2  # Width of the rim of a spot, pixels.
MAJORITY = 0.8  # Share of the tiles that must agree on a spot.


def remove_hot_pixels(
    image: np.ndarray, threshold: float, max_group: int, unit: float
) -> np.ndarray:
    """Replaces single deviating pixels by the median around them.

    A pixel deviates if it differs from the median of its 5 x 5 neighbourhood
    by more than `threshold` standard deviations of the noise. The noise is
    estimated from the median absolute difference, over the neighbourhood or
    over the image, whichever is larger: it grows with the light. Objects
    deviate as well, thin ones strongly, but the optics spread them over
    several pixels: groups of more than `max_group` deviating pixels are kept.

    Args:
        image: uint8, uint16 or float32, [row, column], in units of the
            camera.
        threshold: Standard deviations of the noise, above 0.
        max_group: Most pixels, touching by a side or a corner, of a group
            that is removed.
        unit: Least difference that the camera resolves: 1 for an image from
            a file of whole numbers, 0 where that is unknown.

    Returns:
        The image, same type and shape.
    """
    check_image(image, "image")
    median = ndimage.median_filter(image, MEDIAN_SIZE, mode="mirror")
    difference = image.astype(np.float32)
    difference -= median
    # Noise below what the camera resolves was rounded away, not absent.
    least = max(float(np.median(np.abs(difference))), unit)
    deviates = _deviating(difference, threshold * MAD_TO_STD, least)
    repaired = image.copy()
    for sign in (1, -1):
        brighter_or_darker = deviates & (sign * difference > 0)
        groups, _ = ndimage.label(brighter_or_darker, np.ones((3, 3)))
        small = np.bincount(groups.ravel()) <= max_group
        small[0] = False  # Group 0 is everything that does not deviate.
        removed = small[groups]
        repaired[removed] = median[removed]
    return repaired


def median_until_stable(image: np.ndarray, max_rounds: int) -> np.ndarray:
    """Applies a 5 x 5 median filter until nothing changes.

    The treatment of fluorescence that is recalled of the paper (U-med). It
    removes everything narrower than three pixels, neurites included;
    `remove_hot_pixels` is gentler.

    Args:
        image: uint8, uint16 or float32, [row, column].
        max_rounds: Most applications of the filter.

    Returns:
        The image, same type and shape.
    """
    check_image(image, "image")
    for _ in range(max_rounds):
        filtered = ndimage.median_filter(image, MEDIAN_SIZE, mode="mirror")
        if np.array_equal(filtered, image):
            break
        image = filtered
    return image


@dataclasses.dataclass(frozen=True)
class DustMap:
    """Where dust lies on camera or optics, the same in all tiles.

    Attributes:
        transmission: Share of the light that passes, float32,
            [row, column]; 1 where there is no dust.
        opaque: Where too little passes to be divided out, bool,
            [row, column].
    """

    transmission: np.ndarray
    opaque: np.ndarray


def find_dust(
    tiles: Iterable[np.ndarray],
    max_width: int,
    threshold: float,
    min_contrast: float,
) -> DustMap:
    """Finds spots that stay in place while the specimen changes.

    Each tile is divided by its blurred self; the median of these ratios over
    the tiles is what they have in common. A spot is where it deviates from 1
    by more than `threshold` standard deviations of what it is elsewhere, by
    more than `min_contrast`, and by half as much in four of five tiles.

    Args:
        tiles: Images of one channel, corrected for uneven illumination,
            [row, column]; five or more, taken one by one, two bytes a pixel
            are kept of each. Fifty are plenty.
        max_width: Widest spot, pixels; wider ones belong to the flat field.
        threshold: Standard deviations, above 0.
        min_contrast: Smallest change of the light that counts, a share.

    Returns:
        The map, at the size of the tiles.

    Raises:
        InputError: If there are fewer than five tiles, or sizes differ.
    """
    ratios = []
    for tile in tiles:
        check_image(tile, "tile")
        ratios.append(_local_ratio(tile.astype(np.float32), max_width))
        check_same_shape(tile, ratios[0].shape, "tile")
    if len(ratios) < MIN_TILES:
        raise InputError(
            f"dust: at least {MIN_TILES} tiles are needed to tell it from the "
            f"specimen. Received: {len(ratios)}."
        )
    low, pattern, high = _quantiles(ratios, (1 - MAJORITY, 0.5, MAJORITY))
    deviation = np.abs(pattern - 1)
    noise = MAD_TO_STD * float(np.median(deviation))
    spots = deviation > max(threshold * noise, min_contrast)
    spots &= (high < 1 - deviation / 2) | (low > 1 + deviation / 2)
    # Rims are fainter, but part of a spot; those of an opaque one would spoil
    # what is filled in from them.
    rim = morphology.disk(RIM)
    spots = morphology.dilation(spots, rim)
    opaque = spots & morphology.dilation(pattern < MIN_TRANSMISSION, rim)
    return DustMap(np.where(spots, pattern, np.float32(1)), opaque)


def remove_dust(tile: np.ndarray, dust: DustMap) -> np.ndarray:
    """Divides dust out of a tile and fills in what is behind opaque spots.

    Args:
        tile: Any real type, [row, column], corrected for uneven illumination.
        dust: Its map.

    Returns:
        float32, [row, column], neither rounded nor clipped.

    Raises:
        InputError: If the sizes differ.
    """
    check_image(tile, "tile")
    check_same_shape(tile, dust.transmission.shape, "tile")
    cleaned = tile.astype(np.float32)
    if dust.opaque.any():
        cleaned /= np.where(dust.opaque, 1, dust.transmission)
        return restoration.inpaint_biharmonic(
            cleaned, dust.opaque, split_into_regions=True
        ).astype(np.float32)
    cleaned /= dust.transmission
    return cleaned


def _deviating(
    difference: np.ndarray, factor: float, least: float
) -> np.ndarray:
    """Returns where a difference exceeds `factor` times that around it.

    Args:
        difference: Of each pixel to the median around it, [row, column].
        factor: Times the median absolute difference in the neighbourhood.
        least: Smallest such median that counts.

    Returns:
        bool, [row, column].
    """
    size = np.abs(difference)
    around = np.lib.stride_tricks.sliding_window_view(
        np.pad(size, MEDIAN_SIZE // 2, mode="reflect"), (MEDIAN_SIZE,) * 2
    )  # [row, column, 5, 5]
    deviates = size > factor * least
    # Few pixels pass so far, and only those need their neighbourhood.
    for rows in row_blocks(size.shape):
        places = np.nonzero(deviates[rows])
        patches = around[rows][places].reshape(-1, MEDIAN_SIZE**2)
        noise = np.median(patches, axis=1)
        deviates[rows][places] = size[rows][places] > factor * noise
    return deviates


def _local_ratio(tile: np.ndarray, max_width: int) -> np.ndarray:
    """Returns a tile over its surroundings, float16: 1 is their brightness."""
    surroundings = tile
    for _ in range(2):  # Two boxes are nearly a bell, and far quicker.
        surroundings = ndimage.uniform_filter(
            surroundings, 2 * max_width + 1, mode="mirror"
        )
    ratio = np.zeros_like(tile)  # 0 where there is no light.
    np.divide(tile, surroundings, out=ratio, where=surroundings > 0)
    ratio = ndimage.gaussian_filter(ratio, 1, mode="mirror")  # Less noise.
    return np.clip(ratio, 0, np.finfo(np.float16).max).astype(np.float16)


def _quantiles(
    images: list[np.ndarray], levels: tuple[float, ...]
) -> np.ndarray:
    """Returns quantiles at each position, float32, [level, row, column]."""
    shape = images[0].shape
    quantiles = np.empty((len(levels), *shape), np.float32)
    for rows in row_blocks((shape[0], shape[1] * len(images))):
        block = np.stack([image[rows] for image in images]).astype(np.float32)
        quantiles[:, rows] = np.quantile(block, levels, axis=0)
    return quantiles
