"""From a scene to what a microscope records.

Transmitted light is coherent light through a thin object: the field behind
the object is propagated to each focal position in Fourier space (paraxial
angular spectrum), passes the pupil, and the camera sees its squared modulus.
In focus a phase object is almost invisible in bright field; a few micrometres
away it is not. That is why a stack of planes is worth more than one.
"""

import numpy as np
from scipy import ndimage

from isl.errors import InputError
from isl.specs.dataset_spec import MODALITIES

WAVELENGTH_UM = 0.55
NUMERICAL_APERTURE = 0.6
CONDENSER_APERTURE = 0.1  # Blurs planes far from focus.
RING_UM = 15.0  # Structures larger than this are lost in phase contrast.
Z_RANGE_UM = 5.0  # The outermost planes lie this far from focus.
FLUORESCENCE_BLUR = 1.0  # Standard deviation, pixels.


def focal_positions(num_z: int) -> np.ndarray:
    """Returns the distance of each plane from focus, in micrometres.

    A single plane lies 2.5 micrometres from focus, where unstained cells are
    visible.

    Args:
        num_z: Number of planes, at least 1.

    Returns:
        Equidistant positions, float64, [z].
    """
    if num_z == 1:
        return np.array([Z_RANGE_UM / 2])
    return np.linspace(-Z_RANGE_UM, Z_RANGE_UM, num_z)


def transmitted_light(
    phase: np.ndarray,
    absorption: np.ndarray,
    z_um: float,
    pixel_size_um: float,
    modality: str,
) -> np.ndarray:
    """Returns the intensity that the camera records at one focal position.

    Args:
        phase: Delay of the light, radians, [row, column].
        absorption: Absorbance of the amplitude, [row, column].
        z_um: Distance from focus, micrometres.
        pixel_size_um: Width of a pixel, micrometres.
        modality: One of `MODALITIES`.

    Returns:
        The intensity, float64, [row, column], not negative. The edges wrap
        around.

    Raises:
        InputError: If the modality is unknown.
    """
    frequency_rows = np.fft.fftfreq(phase.shape[0], pixel_size_um)[:, None]
    frequency_columns = np.fft.fftfreq(phase.shape[1], pixel_size_um)[None]
    squared = frequency_rows**2 + frequency_columns**2  # [row, column], 1/um^2
    transfer = np.exp(-1j * np.pi * WAVELENGTH_UM * z_um * squared)
    blur_um = CONDENSER_APERTURE * z_um / 2
    transfer *= np.exp(-2 * (np.pi * blur_um) ** 2 * squared)
    cutoff = NUMERICAL_APERTURE / WAVELENGTH_UM
    transfer *= 1 / (1 + (squared / cutoff**2) ** 8)
    transfer *= _contrast(modality, squared, frequency_columns, pixel_size_um)
    spectrum = np.fft.fft2(np.exp(1j * phase - absorption))
    return np.abs(np.fft.ifft2(spectrum * transfer)) ** 2


def _contrast(
    modality: str,
    squared: np.ndarray,
    frequency_columns: np.ndarray,
    pixel_size_um: float,
) -> np.ndarray | float:
    """Returns what the modality multiplies the spectrum by."""
    if modality == "BRIGHTFIELD":
        return 1.0
    if modality == "PHASE_CONTRAST":
        # The ring dims the undiffracted light and shifts it by a quarter
        # of a wave, so that what delays light looks dark, with a halo.
        return 1 + (-0.5j - 1) * np.exp(-squared * RING_UM**2)
    if modality == "DIC":
        # Two copies, one pixel apart, interfere with a bias of a quarter.
        shear = np.pi * frequency_columns * pixel_size_um
        return np.sin(shear + np.pi / 4)
    raise InputError(
        f"modality: must be one of {', '.join(MODALITIES)}. "
        f"Received: {modality!r}"
    )


def fluorescence(stain: np.ndarray) -> np.ndarray:
    """Returns the stain as the microscope blurs it, [row, column]."""
    return ndimage.gaussian_filter(stain, FLUORESCENCE_BLUR, mode="nearest")
