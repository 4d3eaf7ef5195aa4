"""Finds nuclei in a label, the same way in truth and in prediction.

A nucleus is brighter than its surroundings: smoothing, a local threshold,
seeds at the centres of the cores (maxima of the distance to their border), and
a watershed that parts those that touch (Beucher and Lantuejoul 1979;
scikit-image). The core is what is also brighter than its close surroundings,
so that the dark seams between nuclei of a clump count. Another segmenter may
take its place: anything that maps an image to labelled regions.
"""

import dataclasses
from collections.abc import Callable

import numpy as np
from scipy import ndimage
from skimage import feature, filters, measure, morphology, segmentation

from isl.specs.evaluation import NucleiSpec

# Intensities in [0, 1], [row, column], to regions: 0 is background, each
# nucleus has a positive number.
Segmenter = Callable[[np.ndarray], np.ndarray]

# Of the Gaussian over distances: a plateau would be several seeds.
_DISTANCE_SMOOTHING = 1.0


@dataclasses.dataclass(frozen=True)
class NucleiSettings:
    """How nuclei are found; lengths in pixels.

    Attributes:
        smoothing: Standard deviation of the Gaussian that removes noise.
        window: Side of the surroundings that a pixel is compared with.
        contrast: How much brighter than its surroundings a nucleus is, as an
            intensity.
        core: Standard deviation of the Gaussian that the core of a nucleus
            is brighter than.
        min_area: Smaller regions are dropped, pixels.
        min_distance: Between the centres of two nuclei.
    """

    smoothing: float
    window: int
    contrast: float
    core: float
    min_area: int
    min_distance: int

    @classmethod
    def scaled(
        cls, spec: NucleiSpec, pixel_size_um: float, deviation: float
    ) -> "NucleiSettings":
        """Takes the settings of a data spec to pixels and intensities.

        Args:
            spec: The settings.
            pixel_size_um: Side of a pixel in micrometres.
            deviation: Standard deviation of the true label, an intensity.
        """
        return cls(
            smoothing=spec.smoothing_um / pixel_size_um,
            window=max(1, round(spec.window_um / pixel_size_um)),
            contrast=spec.contrast * deviation,
            core=spec.core_um / pixel_size_um,
            min_area=max(1, round(spec.min_area_um2 / pixel_size_um**2)),
            min_distance=max(1, round(spec.min_distance_um / pixel_size_um)),
        )


def segment_nuclei(image: np.ndarray, settings: NucleiSettings) -> np.ndarray:
    """Finds the nuclei of an image.

    Args:
        image: Intensities in [0, 1], [row, column].
        settings: How.

    Returns:
        int32, [row, column]: 0 is background, nuclei are 1, 2, ...
    """
    mask, core = _outlines(image, settings)
    return _part(mask, _distances(core), settings.min_distance)


def _outlines(
    image: np.ndarray, settings: NucleiSettings
) -> tuple[np.ndarray, np.ndarray]:
    """Returns what belongs to nuclei, and their cores, bool, [row, column]."""
    smooth = filters.gaussian(
        image.astype(np.float32, copy=False),
        settings.smoothing,
        preserve_range=True,
    )
    surroundings = ndimage.uniform_filter(smooth, settings.window)
    mask = smooth > surroundings + np.float32(settings.contrast)
    close = filters.gaussian(smooth, settings.core, preserve_range=True)
    core = smooth > close
    del smooth, surroundings, close  # What follows takes memory of its own.
    mask = ndimage.binary_fill_holes(mask)
    # Thin bridges between nuclei are not part of either.
    mask = ndimage.binary_opening(
        mask, morphology.disk(max(1, round(settings.smoothing)))
    )
    mask = morphology.remove_small_objects(mask, max_size=settings.min_area - 1)
    return mask, ndimage.binary_fill_holes(mask & core)


def _distances(core: np.ndarray) -> np.ndarray:
    """Distance of each pixel of a core to the next one outside of it.

    Core by core, as one pass over a well would take 33 bytes for each pixel.
    The next pixel outside touches the core, so the distances are the same.

    Args:
        core: bool, [row, column].

    Returns:
        float32, smoothed, [row, column].
    """
    numbers, _ = ndimage.label(core)
    distance = np.zeros(core.shape, np.float32)
    for number, place in enumerate(ndimage.find_objects(numbers), start=1):
        wide = tuple(slice(max(0, s.start - 1), s.stop + 1) for s in place)
        inside = numbers[wide] == number
        found = ndimage.distance_transform_edt(core[wide])
        distance[wide][inside] = found[inside]
    return filters.gaussian(distance, _DISTANCE_SMOOTHING, preserve_range=True)


def _part(
    mask: np.ndarray, distance: np.ndarray, min_distance: int
) -> np.ndarray:
    """Parts regions that hold several nuclei, one region at a time."""
    blobs = measure.label(mask).astype(np.int32, copy=False)
    nuclei = np.zeros(mask.shape, np.int32)
    count = 0
    for number, place in enumerate(ndimage.find_objects(blobs), start=1):
        inside = blobs[place] == number
        peaks = feature.peak_local_max(
            distance[place],
            min_distance=min_distance,
            threshold_abs=_DISTANCE_SMOOTHING,
            labels=inside.astype(np.int32),
            exclude_border=False,
        )
        seeds = np.zeros(inside.shape, np.int32)
        seeds[tuple(peaks.T)] = np.arange(count + 1, count + 1 + len(peaks))
        count += len(peaks)
        found = segmentation.watershed(-distance[place], seeds, mask=inside)
        nuclei[place][inside] = found[inside]
    return nuclei
