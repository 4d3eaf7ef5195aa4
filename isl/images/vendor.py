"""Vendor formats (CZI, ND2, LIF and others), read by the extra `bioio`.

A file counts as a folder of its scenes, and a scene as a folder of its
channels: `plate.czi/A1-P1/DAPI` is a z-stack.
"""

import collections
import dataclasses
import functools
import os
import pathlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from isl.errors import InputError
from isl.images.ome_image import OmeImage, check_square
from isl.images.plane import check_region, gain_of, widen, widened_dtype
from isl.images.vendor_readers import PLUGINS, READERS


@dataclasses.dataclass(frozen=True)
class VendorPlane:
    """One plane, decoded as a whole when it is first read, and then kept.

    Attributes:
        path: The file, with scene and channel if these were named.
        shape: Rows and columns.
        stored_dtype: Of the file.
        load: Returns all of its pixels, [row, column].
    """

    path: str
    shape: tuple[int, int]
    stored_dtype: np.dtype
    load: Callable[[], np.ndarray]

    @property
    def dtype(self) -> np.dtype:
        """Of what `read` returns; files of 8 bits are read as uint16."""
        return widened_dtype(self.stored_dtype)

    @property
    def gain(self) -> int:
        """What the values of the file are multiplied by: 257 for 8 bits."""
        return gain_of(self.stored_dtype)

    def read(self, rows: slice, columns: slice) -> np.ndarray:
        """Returns a region, [row, column]; 8-bit values times 257.

        Raises:
            InputError: If the file cannot be decoded.
            ValueError: If the region has a step or reaches outside.
        """
        rows, columns = check_region(self.shape, rows, columns)
        return self._image[rows, columns]

    @functools.cached_property
    def _image(self) -> np.ndarray:
        try:
            stored = self.load()
        except (InputError, MemoryError):
            raise
        # Each plugin raises what its own library raises.
        except Exception as error:
            raise InputError(
                f"{self.path}: cannot be decoded, it may be damaged. "
                f"Received: {error!r}."
            ) from error
        # A copy, as a reader may take back what it has lent.
        return widen(np.array(stored, self.stored_dtype))


def is_vendor_name(name: str) -> bool:
    """Whether a file is of a vendor format, by its name."""
    return pathlib.PurePath(name).suffix.lower() in PLUGINS


def split_vendor_path(
    path: str | os.PathLike,
) -> tuple[pathlib.Path, tuple[str, ...]] | None:
    """Returns the file of a path and the scene and channel behind it.

    Args:
        path: Such as `plate.czi/A1-P1/DAPI`.

    Returns:
        The file and up to two names; None if there is no such file.
    """
    path = pathlib.Path(path)
    for file in (path, *path.parents):
        if is_vendor_name(file.name) and file.is_file():
            return file, path.relative_to(file).parts
    return None


def open_vendor(path: str | os.PathLike) -> OmeImage:
    """Opens a scene of a file; reads no pixel.

    Args:
        path: The file, followed by the name of a scene if it has several,
            and by the name of a channel if only that one is wanted.

    Raises:
        InputError: If the extra or its plugin is not installed, the file
            cannot be read, there is no such scene or channel, or it holds
            anything but grey planes of one time point.
    """
    file, inside = split_vendor_path(path)
    scenes = list_vendor_scenes(file)
    if not inside and len(scenes) > 1:
        raise InputError(
            f"{path}: a scene must be named, as in {file.name}/{scenes[0]}. "
            f"Received: a file of {len(scenes)} scenes, {_list(scenes)}."
        )
    scene = inside[0] if inside else scenes[0]
    check_part(path, "scene", scene, scenes)
    index = scenes.index(scene)
    with READERS.lend(file, index) as reader:
        _check_dimensions(path, reader)
        channels = _channel_names(reader)
        wanted = inside[1:2] or channels
        for name in wanted:
            check_part(path, "channel", name, channels)
        sizes = reader.physical_pixel_sizes
        planes = tuple(
            _planes(path, reader, file, index, channels.index(name))
            for name in wanted
        )
    if sizes.Y and sizes.X:
        check_square(str(path), sizes.Y, sizes.X)
    return OmeImage(
        path=str(path),
        channel_names=tuple(wanted),
        planes=planes,
        pixel_size_um=sizes.X or sizes.Y or None,
        annotations={},
        z_spacing_um=sizes.Z or None,
    )


def iter_vendor_channels(
    file: str | os.PathLike,
) -> Iterator[tuple[str, int]]:
    """Yields each `scene/channel` of a file and its number of planes.

    Raises:
        InputError: As `open_vendor`.
    """
    file = pathlib.Path(file)
    for index, scene in enumerate(list_vendor_scenes(file)):
        with READERS.lend(file, index) as reader:
            _check_dimensions(file, reader)
            channels, num_z = _channel_names(reader), reader.dims.Z
        for channel in channels:
            yield f"{scene}/{channel}", num_z


def list_vendor_scenes(file: str | os.PathLike) -> tuple[str, ...]:
    """Returns the names of the scenes of a file.

    Raises:
        InputError: As `open_vendor`.
    """
    with READERS.lend(pathlib.Path(file)) as reader:
        return unique_names(reader.scenes)


def unique_names(names: Sequence[str]) -> tuple[str, ...]:
    """Returns names as parts of a path: no slash, none empty or twice.

    Args:
        names: Of scenes or channels; may be empty texts.
    """
    names = [str(name).replace("/", "_") for name in names]
    counts = collections.Counter(names)
    return tuple(
        name if name and counts[name] == 1 else f"{name}_{index}".lstrip("_")
        for index, name in enumerate(names)
    )


def _channel_names(reader: Any) -> tuple[str, ...]:
    return unique_names(reader.channel_names or [""] * reader.dims.C)


def _planes(
    path: str | os.PathLike,
    reader: Any,
    file: pathlib.Path,
    scene: int,
    channel: int,
) -> tuple[VendorPlane, ...]:
    stack = reader.get_image_dask_data("ZYX", T=0, C=channel)
    return tuple(
        VendorPlane(
            path=str(path),
            shape=stack.shape[1:],
            stored_dtype=np.dtype(stack.dtype).newbyteorder("="),
            load=functools.partial(_decode, file, scene, channel, z),
        )
        for z in range(len(stack))
    )


def _decode(file: pathlib.Path, scene: int, channel: int, z: int) -> np.ndarray:
    # Names the plane instead of holding a reader, so that it can be pickled.
    with READERS.lend(file, scene) as reader:
        plane = reader.get_image_dask_data("YX", T=0, C=channel, Z=z)
        return plane.compute(scheduler="synchronous")


def _check_dimensions(path: str | os.PathLike, reader: Any) -> None:
    sizes = dict(reader.dims.items())
    if sizes.get("T", 1) != 1 or sizes.get("S", 1) != 1:
        raise InputError(
            f"{path}: must hold grey planes of one time point. "
            f"Received: axes {', '.join(f'{k} {v}' for k, v in sizes.items())}."
        )


def check_part(
    path: str | os.PathLike, kind: str, name: str, names: Sequence[str]
) -> None:
    """Checks that a part of a path is there.

    Args:
        path: The path, for messages.
        kind: What the part is called in them.
        name: The part.
        names: Those that there are.

    Raises:
        InputError: If it is not.
    """
    if name not in names:
        raise InputError(
            f"{path}: {kind} must be one of {_list(names)}. Received: {name!r}."
        )


def _list(names: Sequence[str], most: int = 12) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
