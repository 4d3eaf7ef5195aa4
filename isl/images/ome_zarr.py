"""Reading OME-Zarr 0.4 and 0.5 by region."""

import dataclasses
import math
import os
import pathlib
from collections.abc import Iterator, Sequence

import numpy as np
import zarr

from isl.errors import InputError
from isl.images.ome_image import OmeImage
from isl.images.ome_zarr_metadata import AXES, read_image_metadata
from isl.images.plane import (
    StackPlane,
    check_region,
    gain_of,
    widen,
    widened_dtype,
)


@dataclasses.dataclass(frozen=True)
class ZarrStack:
    """The focal positions of one channel.

    Attributes:
        path: The folder of the image.
        array: Its array in full size, of one time point.
        axes: One letter of `AXES` an axis of the array.
        channel: Index of the channel.
    """

    path: str
    array: zarr.Array
    axes: str
    channel: int

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self._length("y"), self._length("x")

    @property
    def num_z(self) -> int:
        """Number of planes."""
        return self._length("z")

    @property
    def dtype(self) -> np.dtype:
        """Of what `read` returns; arrays of 8 bits are read as uint16."""
        return widened_dtype(self.array.dtype)

    @property
    def gain(self) -> int:
        """What the values on disk are multiplied by: 257 for 8 bits."""
        return gain_of(self.array.dtype)

    def read(
        self, planes: Sequence[int], rows: slice, columns: slice
    ) -> np.ndarray:
        """Returns a region of some planes, [row, column, plane].

        Each chunk that holds a part of it is read and decoded once. 8-bit
        values are multiplied by 257.

        Raises:
            InputError: If a chunk cannot be decoded.
            ValueError: If the region has a step or reaches outside.
        """
        rows, columns = check_region(self.shape, rows, columns)
        wanted, places = np.unique(planes, return_inverse=True)
        region = self._read_chunks(wanted, rows, columns)
        image = widen(np.ascontiguousarray(np.moveaxis(region, 0, -1)))
        in_order = np.array_equal(places, np.arange(len(wanted)))
        return image if in_order else image[:, :, places]

    def read_maximum(
        self, planes: Sequence[int], rows: slice, columns: slice
    ) -> np.ndarray:
        """Returns the maximum of some planes in a region, [row, column].

        Each chunk is read once; memory holds the planes of one row of chunks.

        Raises:
            InputError: If a chunk cannot be decoded.
            ValueError: If the region has a step or reaches outside.
        """
        rows, columns = check_region(self.shape, rows, columns)
        wanted = np.unique(planes)
        bands = [
            self._read_chunks(wanted, band, columns).max(axis=0)
            for band in self._iter_bands(rows)
        ]
        return widen(np.concatenate(bands))

    def _read_chunks(
        self, planes: np.ndarray, rows: slice, columns: slice
    ) -> np.ndarray:
        # [plane, row, column], as stored; planes ascend.
        first, end = int(planes[0]), int(planes[-1]) + 1
        selection = {
            "t": slice(0, 1),
            "c": slice(self.channel, self.channel + 1),
            "z": slice(first, end) if end - first == len(planes) else planes,
            "y": rows,
            "x": columns,
        }
        try:
            region = self.array.oindex[tuple(selection[k] for k in self.axes)]
        except MemoryError:
            raise
        # A damaged chunk raises what its codec raises.
        except Exception as error:
            raise InputError(
                f"{self.path}: OME-Zarr cannot be decoded, it may be damaged. "
                f"Received: {error}."
            ) from error
        order = [self.axes.index(k) for k in AXES if k in self.axes]
        return region.transpose(order).reshape(
            len(planes), rows.stop - rows.start, columns.stop - columns.start
        )

    def _iter_bands(self, rows: slice) -> Iterator[slice]:
        # Cuts rows where chunks end.
        size = self.array.chunks[self.axes.index("y")]
        cuts = range(rows.start // size * size + size, rows.stop, size)
        edges = [rows.start, *cuts, rows.stop]
        for first, end in zip(edges, edges[1:], strict=False):
            yield slice(first, end)

    def _length(self, axis: str) -> int:
        if axis not in self.axes:
            return 1
        return self.array.shape[self.axes.index(axis)]


def open_ome_zarr(path: str | os.PathLike) -> OmeImage:
    """Opens an OME-Zarr image; reads its metadata only.

    Axes may be any of t, c and z beside y and x, in any order; t must be of
    length 1. Of several resolutions the one in full size is opened.

    Args:
        path: Folder of an image, such as `image.ome.zarr` or
            `plate.ome.zarr/A/1/0`.

    Raises:
        InputError: If the folder is no image of version 0.4 or 0.5, is a
            plate or a well of one, breaks a rule of the format, or holds
            anything but grey planes of one time point.
    """
    path = str(path)
    metadata = read_image_metadata(path)
    array = _open_array(path, metadata.level)
    _check_array(path, array, metadata.axes)
    if not metadata.sparse:
        _check_chunks(path, array, metadata.level)
    first = ZarrStack(path, array, metadata.axes, 0)
    sizes = dict(zip(metadata.axes, array.shape, strict=True))
    stacks = [
        dataclasses.replace(first, channel=channel)
        for channel in range(sizes.get("c", 1))
    ]
    names = metadata.channel_names
    return OmeImage(
        path=path,
        channel_names=names
        if len(names) == len(stacks)
        else ("",) * len(stacks),
        planes=tuple(
            tuple(StackPlane(stack, z) for z in range(stack.num_z))
            for stack in stacks
        ),
        pixel_size_um=metadata.pixel_size_um,
        annotations=metadata.annotations,
        z_spacing_um=metadata.z_spacing_um,
    )


def _open_array(path: str, level: str) -> zarr.Array:
    try:
        return zarr.open_array(str(pathlib.Path(path, level)), mode="r")
    # Damaged metadata raise KeyError, TypeError, JSONDecodeError and more.
    except Exception as error:
        raise InputError(
            f"{path}: level {level!r} must be an array that can be read. "
            f"Received: {error}."
        ) from error


def _check_array(path: str, array: zarr.Array, axes: str) -> None:
    if array.ndim != len(axes) or 0 in array.shape:
        raise InputError(
            f"{path}: array must have the axes {', '.join(axes)}, none empty. "
            f"Received: the shape {array.shape}."
        )
    if "t" in axes and array.shape[axes.index("t")] != 1:
        raise InputError(
            f"{path}: array must hold one time point. "
            f"Received: {array.shape[axes.index('t')]}."
        )
    if array.dtype.kind not in "uf":
        raise InputError(
            f"{path}: array must hold unsigned integers or floats. "
            f"Received: {array.dtype}."
        )


def _check_chunks(path: str, array: zarr.Array, level: str) -> None:
    # Zarr reads zeros where a chunk is missing, and so an image that was
    # copied in part would pass for whole.
    files = [
        name
        for _, _, names in os.walk(pathlib.Path(path, level))
        for name in names
        if name != "zarr.json"
    ]
    grid = zip(array.shape, array.shards or array.chunks, strict=True)
    expected = math.prod(-(-size // chunk) for size, chunk in grid)
    if len(files) < expected:
        raise InputError(
            f"{path}: image is incomplete: level {level!r} must have "
            f"{expected} chunks. Received: {len(files)}."
        )
