"""Files of several stacks, as if they were folders.

An OME-TIFF or an OME-Zarr image counts as a folder of its channels, a plate
as one of its wells, then fields, and a file of a vendor format as one of its
scenes: `raw.ome.tif/DAPI`, `plate.zarr/A1/0/DAPI`, `plate.czi/A1-P1/DAPI`.
"""

import dataclasses
import os
import pathlib
from collections.abc import Iterator

from isl.errors import InputError
from isl.images.ome_image import OmeImage
from isl.images.ome_tiff import open_ome_tiff
from isl.images.ome_tiff_description import TIFF_SUFFIXES
from isl.images.ome_zarr import open_ome_zarr
from isl.images.ome_zarr_metadata import (
    is_in_image,
    is_plate,
    is_zarr,
    list_plate_wells,
    list_well_fields,
    open_plate,
)
from isl.images.vendor import (
    check_part,
    is_vendor_name,
    iter_vendor_channels,
    open_vendor,
    split_vendor_path,
    unique_names,
)

_OME_SUFFIXES = tuple(f".ome{suffix}" for suffix in TIFF_SUFFIXES)


def is_container(path: pathlib.Path) -> bool:
    """Whether a path is a file or folder that may hold several stacks."""
    name = path.name.lower()
    return is_vendor_name(name) or name.endswith(_OME_SUFFIXES) or is_zarr(path)


def iter_stacks(path: pathlib.Path) -> Iterator[tuple[str, int]]:
    """Yields what to call each stack in a container, and its planes.

    Args:
        path: The container.

    Raises:
        InputError: If it cannot be read, or is a plate that lacks a well.
    """
    if is_vendor_name(path.name):
        yield from iter_vendor_channels(path)
        return
    if not is_zarr(path) or not is_plate(path):
        yield from _iter_channels(_open_image(path), "")
        return
    plate = open_plate(path)
    if plate.missing:
        raise InputError(
            f"{path}: plate must have the wells and fields that it lists. "
            f"Missing: {', '.join(plate.missing)}."
        )
    for well, fields in plate.fields.items():
        for field in fields:
            prefix = f"{well}/{pathlib.PurePath(field).name}/"
            yield from _iter_channels(open_ome_zarr(path / field), prefix)


def split_inside(
    path: str | os.PathLike,
) -> tuple[pathlib.Path, tuple[str, ...]] | None:
    """Returns the container of a path and what follows it.

    Args:
        path: Such as `plate.zarr/A1/0/DAPI`.

    Returns:
        The container and one or more names, for a vendor format also none;
        None if the path leads into no container.
    """
    path = pathlib.Path(path)
    vendor = split_vendor_path(path)
    if vendor is not None or (path.exists() and not is_in_image(path)):
        return vendor
    for place in path.parents:
        is_tiff = place.name.lower().endswith(_OME_SUFFIXES)
        if (is_tiff and place.is_file()) or is_zarr(place):
            return place, path.relative_to(place).parts
    return None


def open_inside(path: str | os.PathLike) -> OmeImage | None:
    """Opens a stack in a container, or a scene of a vendor format.

    Args:
        path: As of `split_inside`.

    Returns:
        The image; None if the path leads into no container.

    Raises:
        InputError: If there is no such stack, or it cannot be read.
    """
    split = split_inside(path)
    if split is None:
        return None
    container, inside = split
    if is_vendor_name(container.name):
        return open_vendor(path)
    if is_zarr(container) and is_plate(container) and len(inside) > 1:
        container = container / _find_field(container, *inside[:2])
        inside = inside[2:]
    image = _open_image(container)
    names = unique_names(image.channel_names)
    check_part(path, "channel", "/".join(inside), names)
    channel = names.index(inside[0])
    return dataclasses.replace(
        image,
        path=str(path),
        channel_names=(names[channel],),
        planes=(image.planes[channel],),
    )


def _open_image(path: pathlib.Path) -> OmeImage:
    return open_ome_zarr(path) if is_zarr(path) else open_ome_tiff(path)


def _iter_channels(image: OmeImage, prefix: str) -> Iterator[tuple[str, int]]:
    names = unique_names(image.channel_names)
    for name, planes in zip(names, image.planes, strict=True):
        yield prefix + name, len(planes)


def _find_field(path: pathlib.Path, well: str, name: str) -> str:
    # Of the metadata of wells only those of the one: there may be hundreds,
    # and this is done for each plane that is read.
    wells = list_plate_wells(path)
    check_part(path, "well", well, tuple(wells))
    fields = list_well_fields(path / wells[well])
    by_name = {pathlib.PurePath(field).name: field for field in fields}
    check_part(path, f"field of well {well}", name, tuple(by_name))
    return f"{wells[well]}/{by_name[name]}"
