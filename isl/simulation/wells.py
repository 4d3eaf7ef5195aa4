"""One simulated well in memory, normalised as the published data."""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from isl.errors import InputError
from isl.simulation import optics
from isl.simulation import scene as scenes

PIXEL_SIZE_UM = 0.3
# Mean and standard deviation of the published images, before clipping to
# [0, 1].
TRANSMITTED_MEAN, FLUORESCENCE_MEAN, STANDARD_DEVIATION = 0.5, 0.25, 0.125
# Camera noise, in standard deviations of the image without noise.
TRANSMITTED_NOISE, FLUORESCENCE_NOISE = 0.15, 0.015
MINIMUM_SIZE = 32


@dataclasses.dataclass(frozen=True)
class SimulatedWell:
    """One well in memory.

    Attributes:
        modality: Imaging mode of the planes.
        planes: The z-stack, uint16, [row, column, z].
        labels: Label to fluorescence image, uint16, [row, column].
        nuclei: The truth: every nucleus whose centre lies in the image.
    """

    modality: str
    planes: np.ndarray
    labels: Mapping[str, np.ndarray]
    nuclei: tuple[scenes.Nucleus, ...]


def normalise(image: np.ndarray, mean: float) -> np.ndarray:
    """Scales an image to a mean and the published standard deviation.

    Args:
        image: Any intensities, [row, column].
        mean: Mean of the result before clipping, in [0, 1].

    Returns:
        Intensities clipped to [0, 1], as uint16 0 to 65535, [row, column]. An
        image of one value becomes `mean` everywhere.
    """
    deviation = image.std()
    scaled = (image - image.mean()) / (deviation if deviation > 0 else 1.0)
    intensity = np.clip(mean + STANDARD_DEVIATION * scaled, 0.0, 1.0)
    return np.round(65535 * intensity).astype(np.uint16)


def check_geometry(shape: tuple[int, int], num_z: int) -> None:
    """Checks the size of a well.

    Raises:
        InputError: If it has fewer than 32 rows or columns, or no plane.
    """
    if min(shape) < MINIMUM_SIZE:
        raise InputError(
            f"size: must be at least {MINIMUM_SIZE} pixels. "
            f"Received: {min(shape)}"
        )
    if num_z < 1:
        raise InputError(f"num_z: must be at least 1. Received: {num_z}")


def simulate_well(
    seed: int | Sequence[int],
    shape: tuple[int, int],
    num_z: int,
    modality: str = "PHASE_CONTRAST",
) -> SimulatedWell:
    """Simulates one well. The same arguments give the same pixels.

    Args:
        seed: One or more non-negative integers.
        shape: Rows and columns, each at least 32.
        num_z: Number of planes, at least 1, equidistant around the focus.
        modality: One of `optics.MODALITIES`.

    Returns:
        The well.

    Raises:
        InputError: If an argument is out of range or unknown.
    """
    check_geometry(shape, num_z)
    rng = np.random.default_rng(seed)
    scene = scenes.random_scene(rng, *shape)
    focus_um = rng.uniform(-0.3, 0.3)  # No two wells focus alike.
    planes = []
    for z_um in optics.focal_positions(num_z):
        image = optics.transmitted_light(
            scene.phase, scene.absorption, z_um + focus_um, PIXEL_SIZE_UM,
            modality,
        )  # fmt: skip
        noisy = _add_noise(rng, _crop(image), TRANSMITTED_NOISE)
        planes.append(normalise(noisy, TRANSMITTED_MEAN))
    stained = {}
    for label in scenes.LABELS:
        image = _crop(optics.fluorescence(scene.stains[label]))
        noisy = _add_noise(rng, image, FLUORESCENCE_NOISE)
        stained[label] = normalise(noisy, FLUORESCENCE_MEAN)
    return SimulatedWell(
        modality, np.stack(planes, axis=-1), stained, scene.nuclei
    )


def _crop(image: np.ndarray) -> np.ndarray:
    margin = slice(scenes.MARGIN, -scenes.MARGIN)
    return image[margin, margin]


def _add_noise(
    rng: np.random.Generator, image: np.ndarray, relative: float
) -> np.ndarray:
    return image + relative * image.std() * rng.normal(size=image.shape)
