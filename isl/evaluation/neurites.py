"""Axons and dendrites as lines: how long, and how much of them is found.

A neurite is brighter than its surroundings; its skeleton is its line.
Completeness and correctness with a tolerance are those of road extraction
(Heipke et al. 1997), usual for traced neurites too.
"""

import dataclasses

import numpy as np
from scipy import ndimage
from skimage import filters, morphology

from isl.specs.evaluation import NeuritesSpec


@dataclasses.dataclass(frozen=True)
class NeuriteSettings:
    """How neurites are found; lengths in pixels.

    Attributes:
        smoothing: Standard deviation of the Gaussian that removes noise.
        window: Side of the surroundings that a pixel is compared with.
        contrast: How much brighter than its surroundings a neurite is, as an
            intensity.
        min_area: Smaller regions are dropped, pixels.
        tolerance: Largest distance of a line from the one it is found by.
    """

    smoothing: float
    window: int
    contrast: float
    min_area: int
    tolerance: float

    @classmethod
    def scaled(
        cls, spec: NeuritesSpec, pixel_size_um: float, deviation: float
    ) -> "NeuriteSettings":
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
            min_area=max(1, round(spec.min_area_um2 / pixel_size_um**2)),
            tolerance=spec.tolerance_um / pixel_size_um,
        )


@dataclasses.dataclass(frozen=True)
class NeuriteComparison:
    """Lines of one image, or of several; lengths in pixels.

    Attributes:
        true_length: Of the true skeleton.
        predicted_length: Of the predicted one.
        true_found: Of the true skeleton that lies near the predicted one.
        predicted_right: Of the predicted skeleton that lies near the true one.
    """

    true_length: float = 0.0
    predicted_length: float = 0.0
    true_found: float = 0.0
    predicted_right: float = 0.0

    def __add__(self, other: "NeuriteComparison") -> "NeuriteComparison":
        """Adds the lines of another image."""
        pairs = zip(
            dataclasses.astuple(self), dataclasses.astuple(other), strict=True
        )
        return NeuriteComparison(*(one + two for one, two in pairs))

    def metrics(self) -> dict[str, float | None]:
        """Returns metric names to values; None where undefined."""
        return {
            "neurite_length_true": self.true_length,
            "neurite_length_predicted": self.predicted_length,
            "neurite_completeness": _share(self.true_found, self.true_length),
            "neurite_correctness": _share(
                self.predicted_right, self.predicted_length
            ),
        }


def _share(part: float, whole: float) -> float | None:
    return part / whole if whole else None


def skeleton(image: np.ndarray, settings: NeuriteSettings) -> np.ndarray:
    """Finds the lines of an image.

    Args:
        image: Intensities in [0, 1], [row, column].
        settings: How.

    Returns:
        bool, [row, column]: lines one pixel wide.
    """
    smooth = filters.gaussian(
        image.astype(np.float32, copy=False),
        settings.smoothing,
        preserve_range=True,
    )
    surroundings = ndimage.uniform_filter(smooth, settings.window)
    mask = smooth > surroundings + np.float32(settings.contrast)
    del smooth, surroundings  # What follows takes memory of its own.
    mask = morphology.remove_small_objects(mask, max_size=settings.min_area - 1)
    return morphology.skeletonize(mask)


def lengths(lines: np.ndarray) -> np.ndarray:
    """Length that each pixel of a skeleton stands for.

    Half of the way to each neighbour: 1/2 straight, sqrt(2)/2 diagonally, but
    not diagonally where the corner between is a pixel of the line too.

    Args:
        lines: bool, [row, column].

    Returns:
        float64, [pixel], in the order of `lines.nonzero()`; the sum is the
        length in pixels.
    """
    inside = np.pad(lines, 1).astype(bool)
    rows, columns = inside.nonzero()
    total = np.zeros(rows.size)
    for down in (-1, 0, 1):
        for right in (-1, 0, 1):
            neighbour = inside[rows + down, columns + right]
            if down and right:
                neighbour &= ~inside[rows + down, columns]
                neighbour &= ~inside[rows, columns + right]
            total += 0.5 * np.hypot(down, right) * neighbour
    return total


def compare_neurites(
    true: np.ndarray,
    predicted: np.ndarray,
    settings: NeuriteSettings,
) -> NeuriteComparison:
    """Compares the lines of a true and a predicted label.

    Args:
        true: Intensities in [0, 1], [row, column].
        predicted: Likewise.
        settings: How lines are found, in both.
    """
    one, other = skeleton(true, settings), skeleton(predicted, settings)
    one_lengths, other_lengths = lengths(one), lengths(other)
    return NeuriteComparison(
        true_length=float(one_lengths.sum()),
        predicted_length=float(other_lengths.sum()),
        true_found=float(
            one_lengths[_near(other, settings.tolerance)[one]].sum()
        ),
        predicted_right=float(
            other_lengths[_near(one, settings.tolerance)[other]].sum()
        ),
    )


def _near(lines: np.ndarray, tolerance: float) -> np.ndarray:
    """Pixels at most `tolerance` from a line, bool, [row, column]."""
    radius = int(tolerance)
    offsets = np.arange(-radius, radius + 1)
    disk = np.hypot(offsets[:, np.newaxis], offsets) <= tolerance
    return ndimage.binary_dilation(lines, disk)
