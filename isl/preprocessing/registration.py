"""How far a label lies from the transmitted-light image of the same place.

The two look different, but their edges coincide. So the phase correlation
(Kuglin and Hines, 1975) is taken of edge strengths, averaged over blocks of
the image: a true shift is the same in all, chance is not. Correlations of
several places that are shifted alike can be added for the same reason.
"""

import dataclasses
from collections.abc import Iterator

import numpy as np
from scipy import fft, ndimage

from isl.errors import InputError
from isl.preprocessing.arrays import check_image, check_same_shape

BLOCK = 512  # Largest side of a block, pixels.
MAX_BLOCKS = 8  # Along a side; larger images are sampled evenly.
EDGE_SIGMA = 2.5  # Scale of the edges, pixels.
# Below this many standard deviations the highest value may be chance: the
# largest of 41 x 41 values is often 4, rarely 5.
RELIABLE = 6.0
# Edges of the two kinds lie a pixel or so apart on both sides of an outline;
# a blur of this standard deviation joins their peaks.
PEAK_SIGMA = 1.0
PEAK_RADIUS = 5  # Values this close to the highest belong to its peak.


@dataclasses.dataclass(frozen=True)
class Shift:
    """Translation between two images of one place.

    Attributes:
        rows: What is at row r of the reference is at row r + `rows` of the
            other image, pixels.
        columns: Likewise.
        confidence: Height of the peak above the mean of the correlation, in
            its standard deviations; below `RELIABLE` it may be chance.
    """

    rows: int
    columns: int
    confidence: float

    @property
    def is_reliable(self) -> bool:
        """Whether the shift can be told from chance."""
        return self.confidence >= RELIABLE


def correlate(
    reference: np.ndarray, image: np.ndarray, max_shift: int
) -> np.ndarray:
    """Correlates the edges of two images of one place for every shift.

    Args:
        reference: The transmitted-light image in focus, any real type,
            [row, column].
        image: The label, likewise, of the same size.
        max_shift: Largest shift in rows and in columns, pixels; at most a
            quarter of the smaller side, and of a block.

    Returns:
        float32, [rows + `max_shift`, columns + `max_shift`] of the shift; zero
        where there are no edges. The sum over images that are shifted alike
        weighs each by its number of pixels.

    Raises:
        InputError: If sizes differ or the largest shift is out of range.
    """
    check_image(reference, "reference")
    check_image(image, "image")
    side = _side(reference.shape)
    _check_max_shift(max_shift, side)
    check_same_shape(image, reference.shape, "image")
    spectrum = _phase_spectrum(reference, image)
    correlation = fft.fftshift(
        ndimage.gaussian_filter(
            fft.irfft2(spectrum, (side, side), norm="forward"),
            PEAK_SIGMA,
            mode="wrap",
        )
    )
    near = slice(side // 2 - max_shift, side // 2 + max_shift + 1)
    return correlation[near, near]


def find_shift(correlation: np.ndarray) -> Shift:
    """Finds the shift at which edges coincide best.

    Args:
        correlation: From `correlate`, or the sum of several for the same
            largest shift.

    Returns:
        The shift in whole pixels. Confidence 0 where there are no edges.
    """
    peak = np.unravel_index(correlation.argmax(), correlation.shape)
    height = float(correlation[peak])
    around = tuple(
        slice(max(0, place - PEAK_RADIUS), place + PEAK_RADIUS + 1)
        for place in peak
    )
    others = np.ones(correlation.shape, bool)
    others[around] = False
    rest = correlation[others]
    spread = float(rest.std()) if rest.size else 0.0
    confidence = (height - float(rest.mean())) / spread if spread else 0.0
    centre = len(correlation) // 2
    return Shift(int(peak[0]) - centre, int(peak[1]) - centre, confidence)


def common_parts(
    shape: tuple[int, int], shift: Shift
) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """Returns what two images have in common after a shift.

    Args:
        shape: Rows and columns of both images.
        shift: From `find_shift`.

    Returns:
        Rows and columns of the reference, and those of the other image that
        show the same. Nothing is interpolated.

    Raises:
        InputError: If they have nothing in common.
    """
    spans = []
    for size, step in zip(shape, (shift.rows, shift.columns), strict=True):
        if abs(step) >= size:
            raise InputError(
                f"shift: must be smaller than the image, {shape[0]} rows x "
                f"{shape[1]} columns. Received: {shift.rows} rows, "
                f"{shift.columns} columns."
            )
        spans.append((slice(max(0, -step), size - max(0, step)), step))
    in_reference = tuple(span for span, _ in spans)
    in_image = tuple(
        slice(span.start + step, span.stop + step) for span, step in spans
    )
    return in_reference, in_image


def _check_max_shift(max_shift: int, side: int) -> None:
    if not 1 <= max_shift <= side // 4:
        raise InputError(
            f"max_shift: must be from 1 to {side // 4} pixels, a quarter of "
            f"the image or of {BLOCK}. Received: {max_shift}."
        )


def _side(shape: tuple[int, int]) -> int:
    return min(BLOCK, *shape)


def _phase_spectrum(reference: np.ndarray, image: np.ndarray) -> np.ndarray:
    """Returns the cross-spectrum of phases, summed over blocks."""
    side = _side(image.shape)
    window = np.outer(np.hanning(side), np.hanning(side)).astype(np.float32)
    total = np.zeros((side, side // 2 + 1), np.complex64)
    for block in _blocks(image.shape, side):
        first, second = (
            fft.rfft2(_edges(part[block]) * window)
            for part in (reference, image)
        )
        cross = np.conj(first) * second
        magnitude = np.abs(cross)
        # Frequencies that hold nothing but rounding count nothing.
        total += cross / np.maximum(magnitude, 1e-6 * magnitude.max() + 1e-30)
    return total


def _blocks(shape: tuple[int, int], side: int) -> Iterator[tuple[slice, slice]]:
    """Yields square blocks that overlap by a third where they can cover."""
    starts = []
    for size in shape:
        count = int(np.ceil((size - side) / (side * 2 / 3))) + 1
        count = min(count, MAX_BLOCKS)
        starts.append(np.linspace(0, size - side, count).astype(int))
    for row in starts[0]:
        for column in starts[1]:
            yield slice(row, row + side), slice(column, column + side)


def _edges(block: np.ndarray) -> np.ndarray:
    """Returns edge strengths on a logarithmic scale, mean 0, float32."""
    strength = ndimage.gaussian_gradient_magnitude(
        block.astype(np.float32), EDGE_SIGMA, mode="mirror"
    )
    # Without the logarithm a few bright rims would outweigh all else.
    edges = np.log1p(strength / max(float(strength.mean()), 1e-12))
    return edges - edges.mean()
