"""Planes: two-dimensional images that are read by region."""

import copy
import dataclasses
import functools
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol

import numpy as np

from isl.errors import InputError


class Plane(Protocol):
    """One image of one focal position or one label.

    Attributes:
        shape: Rows and columns.
        path: The file, for messages.
        dtype: Of what `read` returns: uint16 (0 to 65535 stand for
            intensities 0 to 1), or what a TIFF holds besides.
        gain: What the values on disk are multiplied by: 257 for 8 bits.
    """

    shape: tuple[int, int]
    path: str
    dtype: np.dtype
    gain: int

    def read(self, rows: slice, columns: slice) -> np.ndarray:
        """Returns a region, [row, column], that must not be written to.

        Raises:
            InputError: If the file cannot be decoded.
            ValueError: If the region has a step or reaches outside.
        """
        ...


class Stack(Protocol):
    """Planes that share chunks on disk, so that they are read together.

    Attributes:
        shape: Rows and columns.
        path: The file or folder, for messages.
        dtype: Of what `read` returns.
        gain: What the values on disk are multiplied by: 257 for 8 bits.
    """

    shape: tuple[int, int]
    path: str
    dtype: np.dtype
    gain: int

    def read(
        self, planes: Sequence[int], rows: slice, columns: slice
    ) -> np.ndarray:
        """Returns a region of some planes, [row, column, plane].

        Raises:
            InputError: If the file cannot be decoded.
            ValueError: If the region has a step or reaches outside.
        """
        ...

    def read_maximum(
        self, planes: Sequence[int], rows: slice, columns: slice
    ) -> np.ndarray:
        """Returns the maximum of some planes in a region, [row, column].

        Raises:
            InputError: If the file cannot be decoded.
            ValueError: If the region has a step or reaches outside.
        """
        ...


@dataclasses.dataclass(frozen=True)
class StackPlane:
    """One plane of a stack.

    Attributes:
        stack: The stack.
        index: Of the plane.
    """

    stack: Stack
    index: int

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.stack.shape

    @property
    def path(self) -> str:
        """The file or folder of the stack."""
        return self.stack.path

    @property
    def dtype(self) -> np.dtype:
        """As the stack."""
        return self.stack.dtype

    @property
    def gain(self) -> int:
        """As the stack."""
        return self.stack.gain

    def read(self, rows: slice, columns: slice) -> np.ndarray:
        """Returns a region, [row, column]."""
        return self.stack.read((self.index,), rows, columns)[:, :, 0]


def common_stack(planes: Sequence[Plane]) -> tuple[Stack, list[int]] | None:
    """Returns the stack that all planes are of and their indices, or None."""
    parts = [plane for plane in planes if isinstance(plane, StackPlane)]
    if len(parts) < len(planes) or len({id(p.stack) for p in parts}) != 1:
        return None
    return parts[0].stack, [part.index for part in parts]


@dataclasses.dataclass(frozen=True)
class CombinedPlane:
    """What the planes that are made of others have in common.

    Attributes:
        parts: The others, of one size and type.
    """

    parts: tuple[Plane, ...]

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.parts[0].shape

    @property
    def path(self) -> str:
        """The file of the first part."""
        return self.parts[0].path

    @property
    def dtype(self) -> np.dtype:
        """As the first part."""
        return self.parts[0].dtype

    @property
    def gain(self) -> int:
        """As the first part."""
        return self.parts[0].gain


@dataclasses.dataclass(frozen=True)
class MeanPlane(CombinedPlane):
    """The mean of planes, rounded half up."""

    def read(self, rows: slice, columns: slice) -> np.ndarray:
        """Returns a region, uint16, [row, column]."""
        count = len(self.parts)
        total = sum(
            part.read(rows, columns).astype(np.uint32) for part in self.parts
        )
        return ((2 * total + count) // (2 * count)).astype(np.uint16)


@dataclasses.dataclass(frozen=True)
class MaximumPlane(CombinedPlane):
    """The maximum of planes: the projection of a label along z."""

    def read(self, rows: slice, columns: slice) -> np.ndarray:
        """Returns a region, [row, column]."""
        common = common_stack(self.parts)
        if common is not None:
            stack, indices = common
            return stack.read_maximum(indices, rows, columns)
        image = self.parts[0].read(rows, columns)
        for part in self.parts[1:]:
            image = np.maximum(image, part.read(rows, columns))
        return image


@dataclasses.dataclass(frozen=True, kw_only=True)
class CachingPlane:
    """What planes that share decoded parts of their file have in common.

    Attributes:
        decode: Returns a part; wrapped by `functools.lru_cache`.
    """

    decode: Callable[..., Any]


def copy_planes(planes: Iterable[Plane]) -> tuple[Plane, ...]:
    """Returns the same planes; what they keep of their files goes with them.

    What planes of one file keep together, their copies keep together as well.
    """
    caches = {}
    return tuple(_copy_plane(plane, caches) for plane in planes)


def _copy_plane(plane: Plane, caches: dict[Callable, Callable]) -> Plane:
    # `caches` has the caches of the copies, by those of the originals.
    if isinstance(plane, CombinedPlane):
        parts = tuple(_copy_plane(part, caches) for part in plane.parts)
        return dataclasses.replace(plane, parts=parts)
    if isinstance(plane, CachingPlane):
        kept = plane.decode
        if kept not in caches:
            renew = functools.lru_cache(**kept.cache_parameters())
            caches[kept] = renew(kept.__wrapped__)
        return dataclasses.replace(plane, decode=caches[kept])
    return copy.copy(plane)


def gain_of(stored: np.dtype) -> int:
    """Returns what values on disk are multiplied by: 257 for 8 bits.

    So 255 becomes 65535 (BUILD_NOTES D13).

    Args:
        stored: Type of the values on disk.
    """
    return 257 if stored == np.uint8 else 1


def widened_dtype(stored: np.dtype) -> np.dtype:
    """Returns the type that values on disk are read as: uint16 for 8 bits.

    Args:
        stored: Type of the values on disk, of any byte order.
    """
    is_small = stored == np.uint8
    return np.dtype(np.uint16) if is_small else stored.newbyteorder("=")


def widen(stored: np.ndarray) -> np.ndarray:
    """Returns values as they are read: those of 8 bits times 257, as uint16.

    Args:
        stored: Values on disk; not copied if there is nothing to change.
    """
    image = stored.astype(widened_dtype(stored.dtype), copy=False)
    if gain_of(stored.dtype) != 1:
        image *= image.dtype.type(gain_of(stored.dtype))
    return image


def read_whole(plane: Plane) -> np.ndarray:
    """Returns all of a plane, [row, column], that must not be written to.

    Raises:
        InputError: If the file cannot be decoded.
    """
    return plane.read(*(slice(0, size) for size in plane.shape))


def check_same_size(planes: Iterable[Plane]) -> None:
    """Checks that planes have one size.

    Raises:
        InputError: If a plane differs from the first; names both files.
    """
    first = None
    for plane in planes:
        first = first or plane
        if plane.shape != first.shape:
            raise InputError(
                f"{plane.path}: must have the size of {first.path}, "
                f"{format_shape(first.shape)}. "
                f"Received: {format_shape(plane.shape)}."
            )


def check_region(
    shape: tuple[int, int], rows: slice, columns: slice
) -> tuple[slice, slice]:
    """Fills in open ends of a region and checks that it lies inside.

    Args:
        shape: Rows and columns of the image.
        rows: Rows to read; a step is not allowed.
        columns: Likewise.

    Raises:
        ValueError: If the region has a step or reaches outside.
    """
    filled = []
    for name, span, size in (
        ("rows", rows, shape[0]),
        ("columns", columns, shape[1]),
    ):
        first = 0 if span.start is None else int(span.start)
        end = size if span.stop is None else int(span.stop)
        if span.step not in (None, 1) or not 0 <= first <= end <= size:
            raise ValueError(
                f"{name} must lie inside 0-{size}, without a step. "
                f"Received: {span}."
            )
        filled.append(slice(first, end))
    return filled[0], filled[1]


def format_shape(shape: tuple[int, int]) -> str:
    """Returns a size as text for messages."""
    return f"{shape[0]} rows x {shape[1]} columns"
