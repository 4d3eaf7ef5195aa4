"""What is measured of each image, in one pass and bounded memory."""

import dataclasses
import hashlib
from collections.abc import Iterator, Sequence

import numpy as np

from isl.images.plane import MaximumPlane, Plane, common_stack
from isl.preprocessing.focus import focus_measure, thumbnail

NUM_LEVELS = 2**16
WHITE = NUM_LEVELS - 1

# Least length of the longer side of a thumbnail in pixels, and half of the
# greatest, unless the image itself is smaller.
THUMBNAIL_SIZE = 160

# Pixels that are read at a time, over all planes of a stack.
_BLOCK_PIXELS = 2**24

# Side of the part in the middle of an image that focus is judged by, pixels:
# some tens of cells.
_MIDDLE_SIZE = 1024

# A thumbnail shows what lies between these shares of the pixels.
_STRETCH = (0.005, 0.995)


@dataclasses.dataclass(frozen=True)
class Measurements:
    """What an image is like. Intensities are in [0, 1], 65535 being 1.

    Attributes:
        shape: Rows and columns.
        bits: Of the file, 8 or 16.
        minimum: Least intensity.
        mean: Mean intensity.
        standard_deviation: Of the intensities.
        maximum: Greatest intensity.
        share_at_0: Share of the pixels that are 0.
        share_at_maximum: Share of the pixels that are at `maximum`.
        digest: The same for images of the same pixels, and for no others.
        focus: `focus_measure` of the middle of the image.
        likeness: `thumbnail` of the middle, by which planes are put in order.
        thumbnail: A small copy, uint8, stretched in contrast.
    """

    shape: tuple[int, int]
    bits: int
    minimum: float
    mean: float
    standard_deviation: float
    maximum: float
    share_at_0: float
    share_at_maximum: float
    digest: bytes
    focus: np.ndarray
    likeness: np.ndarray
    thumbnail: np.ndarray


def measure_planes(planes: Sequence[Plane]) -> list[Measurements]:
    """Measures planes of one size, reading each pixel about once.

    Planes that share chunks on disk are read together, others one by one.

    Args:
        planes: Planes of uint16, at least one.

    Raises:
        InputError: If a file cannot be decoded.
    """
    common = common_stack(planes)
    if common is None:
        return [_measure_plane(plane) for plane in planes]
    stack, indices = common
    sums = [_Sums(plane) for plane in planes]
    for rows in _iter_bands(stack.shape, len(planes), sums[0].step):
        block = stack.read(indices, rows, slice(0, stack.shape[1]))
        for z, plane_sums in enumerate(sums):
            plane_sums.add(block[:, :, z])
    middle = stack.read(indices, *_middle(stack.shape))
    return [
        plane_sums.result(middle[:, :, z]) for z, plane_sums in enumerate(sums)
    ]


def _measure_plane(plane: Plane) -> Measurements:
    sums = _Sums(plane)
    for rows in _iter_bands(plane.shape, 1, sums.step):
        sums.add(plane.read(rows, slice(0, plane.shape[1])))
    return sums.result(plane.read(*_middle(plane.shape)))


class _Sums:
    # What is added up over the blocks of an image, from top to bottom.

    def __init__(self, plane: Plane) -> None:
        self.shape = shape = plane.shape
        stored = plane.parts[0] if isinstance(plane, MaximumPlane) else plane
        self.bits = 16 if stored.gain == 1 else 8
        self.step = max(1, max(shape) // THUMBNAIL_SIZE)
        self.histogram = np.zeros(NUM_LEVELS, np.int64)
        self.digest = hashlib.blake2b(repr(shape).encode(), digest_size=16)
        self.small = []

    def add(self, block: np.ndarray) -> None:
        self.histogram += np.bincount(block.ravel(), minlength=NUM_LEVELS)
        self.digest.update(np.ascontiguousarray(block, "<u2").data)
        self.small.append(_average(block, self.step))

    def result(self, middle: np.ndarray) -> Measurements:
        levels = np.flatnonzero(self.histogram)
        counts = self.histogram[levels]
        total = counts.sum()
        mean = (levels * counts).sum() / total
        variance = ((levels - mean) ** 2 * counts).sum() / total
        # The last band may end in a square that is not whole.
        num_rows = max(1, self.shape[0] // self.step)
        small = np.concatenate(self.small)[:num_rows]
        return Measurements(
            shape=self.shape,
            bits=self.bits,
            minimum=float(levels[0] / WHITE),
            mean=float(mean / WHITE),
            standard_deviation=float(variance**0.5 / WHITE),
            maximum=float(levels[-1] / WHITE),
            share_at_0=float(self.histogram[0] / total),
            share_at_maximum=float(counts[-1] / total),
            digest=self.digest.digest(),
            focus=focus_measure(middle),
            likeness=thumbnail(middle),
            thumbnail=_stretch(small, levels, counts.cumsum() / total),
        )


def _iter_bands(
    shape: tuple[int, int], num_planes: int, step: int
) -> Iterator[slice]:
    # Bands of whole steps, so that blocks of thumbnails are not cut.
    rows = _BLOCK_PIXELS // (shape[1] * num_planes)
    rows = max(step, rows // step * step)
    for first in range(0, shape[0], rows):
        yield slice(first, min(first + rows, shape[0]))


def _middle(shape: tuple[int, int]) -> tuple[slice, slice]:
    firsts = [max(0, (size - _MIDDLE_SIZE) // 2) for size in shape]
    rows, columns = (
        slice(first, min(first + _MIDDLE_SIZE, size))
        for first, size in zip(firsts, shape, strict=True)
    )
    return rows, columns


def _average(block: np.ndarray, step: int) -> np.ndarray:
    # Means of squares; those that are not whole are left out, unless the
    # block is smaller than one.
    rows, columns = (max(1, size // step) for size in block.shape)
    part = block[: rows * step, : columns * step]
    squares = part.reshape(rows, -1, columns, part.shape[1] // columns)
    return squares.mean(axis=(1, 3), dtype=np.float32)


def _stretch(
    small: np.ndarray, levels: np.ndarray, cumulative: np.ndarray
) -> np.ndarray:
    low, high = levels[np.searchsorted(cumulative, _STRETCH)]
    scaled = (small - low) / max(1, high - low)
    return (255 * scaled.clip(0, 1)).round().astype(np.uint8)
