"""Finds nuclei in a label, the same way in truth and in prediction.

A nucleus is brighter than its surroundings: smoothing, a local threshold,
seeds at the centres of the blobs (maxima of the distance to the background),
and a watershed that parts those that touch (Beucher and Lantuejoul 1979;
scikit-image). Another segmenter may take its place: anything that maps an
image to labelled regions.
"""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from scipy import ndimage
from skimage import feature, filters, measure, morphology, segmentation

from isl.errors import InputError

# Intensities in [0, 1], [row, column], to regions: 0 is background, each
# nucleus has a positive number.
Segmenter = Callable[[np.ndarray], np.ndarray]


@dataclasses.dataclass(frozen=True)
class NucleiSettings:
    """How nuclei are found; lengths in pixels.

    The defaults fit nuclei some 20 to 50 pixels wide in labels normalised as
    published (mean 0.25, standard deviation 0.125).

    Attributes:
        smoothing: Standard deviation of the Gaussian that removes noise.
        window: Side of the surroundings that a pixel is compared with; odd,
            and larger than a nucleus.
        contrast: How much brighter than its surroundings a nucleus is, as an
            intensity.
        min_area: Smaller regions are dropped, pixels.
        min_distance: Between the centres of two nuclei.
    """

    smoothing: float = 2.0
    window: int = 151
    contrast: float = 0.03
    min_area: int = 100
    min_distance: int = 8

    def __post_init__(self) -> None:
        """Raises InputError for a value that cannot be used."""
        for name in ("window", "min_area", "min_distance"):
            value = getattr(self, name)
            if type(value) is not int or value < 1:
                raise InputError(
                    f"nuclei: {name} must be a whole number of at least 1. "
                    f"Received: {value!r}"
                )
        if self.window % 2 == 0:
            raise InputError(
                f"nuclei: window must be odd. Received: {self.window}"
            )
        for name in ("smoothing", "contrast"):
            if not getattr(self, name) > 0:
                raise InputError(
                    f"nuclei: {name} must be positive. Received: "
                    f"{getattr(self, name)!r}"
                )

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "NucleiSettings":
        """Reads the settings of a data spec.

        Raises:
            InputError: If a name is unknown or a value cannot be used.
        """
        known = {field.name for field in dataclasses.fields(cls)}
        for name in values:
            if name not in known:
                raise InputError(
                    f"nuclei: must be from {', '.join(sorted(known))}. "
                    f"Received: {name!r}"
                )
        return cls(**values)


def segment_nuclei(
    image: np.ndarray, settings: NucleiSettings = NucleiSettings()
) -> np.ndarray:
    """Finds the nuclei of an image.

    Args:
        image: Intensities in [0, 1], [row, column].
        settings: How.

    Returns:
        int32, [row, column]: 0 is background, nuclei are 1, 2, ...
    """
    smooth = filters.gaussian(
        image.astype(np.float32), settings.smoothing, preserve_range=True
    )
    surroundings = ndimage.uniform_filter(smooth, settings.window)
    mask = smooth > surroundings + settings.contrast
    mask = ndimage.binary_fill_holes(mask)
    mask = morphology.remove_small_objects(mask, max_size=settings.min_area - 1)
    return _part(mask, settings)


def _part(mask: np.ndarray, settings: NucleiSettings) -> np.ndarray:
    """Parts regions that hold several nuclei."""
    distance = ndimage.distance_transform_edt(mask)
    # A plateau of the distance would be several seeds.
    distance = filters.gaussian(distance, 1.0, preserve_range=True)
    blobs = measure.label(mask)
    peaks = feature.peak_local_max(
        distance,
        min_distance=settings.min_distance,
        labels=blobs,
        exclude_border=False,
    )
    seeds = np.zeros(mask.shape, np.int32)
    seeds[tuple(peaks.T)] = np.arange(1, len(peaks) + 1)
    return segmentation.watershed(-distance, seeds, mask=mask).astype(np.int32)
