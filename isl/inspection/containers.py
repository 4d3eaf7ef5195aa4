"""Listing files that hold several planes: TIFF, OME-Zarr, vendor formats."""

import pathlib
from collections.abc import Callable, Iterator, Sequence

from isl.errors import InputError
from isl.images import (
    MaximumPlane,
    Plane,
    is_plate,
    list_vendor_scenes,
    open_channels,
    open_plate,
    split_vendor_path,
    strip_suffix,
)
from isl.inspection.failures import explain_failure
from isl.inspection.listing import (
    INPUT,
    LABEL,
    Channel,
    ImageFile,
    Listing,
    assign_roles,
)
from isl.inspection.problems import Problem
from isl.specs import PUBLISHED_LABELS


def list_image(
    path: pathlib.Path,
    well: str,
    known_labels: Sequence[str] = PUBLISHED_LABELS,
) -> Listing:
    """Lists the channels of a TIFF, OME-Zarr image, vendor scene or PNG.

    Args:
        path: The file or folder, or a stack in one.
        well: What to call the well.
        known_labels: Channels that are labels, whatever they are called.
    """
    try:
        image = open_channels(path)
    except InputError as error:
        return Listing((), (explain_failure(well, path, error),))
    if image is None:
        alone = (ImageFile(str(path), None),)
        return Listing((Channel(well, "", "", INPUT, alone),))
    names = image.channel_names
    if "" in names or len(set(names)) < len(names):
        names = tuple(f"channel {k}" for k in range(len(names)))
    roles = assign_roles(names, known_labels)
    channels = tuple(
        Channel(
            well=well,
            tile="",
            name=name,
            role=roles[name],
            images=_list_planes(path, roles[name], len(image.planes[index])),
            open_planes=_channel_opener(path, roles[name], index),
        )
        for index, name in enumerate(names)
    )
    sizes = {} if image.pixel_size_um is None else {well: image.pixel_size_um}
    return Listing(channels, pixel_size_um=sizes)


def list_vendor(path: pathlib.Path, well: str) -> Iterator[Listing]:
    """Lists the scenes of a file of a vendor format, or the one it names.

    Args:
        path: The file, or a scene or channel in it.
        well: What to call it; several scenes are called `well/scene`.
    """
    file, inside = split_vendor_path(path)
    if inside:
        yield list_image(path, well)
        return
    try:
        scenes = list_vendor_scenes(file)
    except InputError as error:
        yield Listing((), (explain_failure(well, path, error),))
        return
    for scene in scenes:
        name = f"{well}/{scene}" if len(scenes) > 1 else well
        yield list_image(file / scene, name)


def list_zarr(path: pathlib.Path, inside: str) -> Iterator[Listing]:
    """Lists an OME-Zarr image, or the wells of a plate.

    Args:
        path: Folder of the image or plate.
        inside: Its path in the folder that is inspected, or empty.
    """
    try:
        plate = open_plate(path) if is_plate(path) else None
    except InputError as error:
        yield Listing((), (explain_failure("", path, error),))
        return
    if plate is None:
        yield list_image(path, inside or strip_suffix(path.name))
        return
    prefix = f"{inside}/" if inside else ""
    for well, fields in plate.fields.items():
        for index, field in enumerate(fields):
            name = f"{well}_{index}" if index else well
            yield list_image(path / field, prefix + name)
    what = "the plate lists it, but it is not there"
    for field in plate.missing:
        well = prefix + "".join(field.split("/")[:2])
        problem = Problem("missing_well", well, str(path / field), what)
        yield Listing((), (problem,))


def _list_planes(
    path: pathlib.Path, role: str, num_z: int
) -> tuple[ImageFile, ...]:
    if num_z == 1 or role == LABEL:
        return (ImageFile(str(path), None),)
    return tuple(ImageFile(str(path), str(z)) for z in range(num_z))


def _channel_opener(
    path: pathlib.Path, role: str, index: int
) -> Callable[[], Sequence[Plane]]:
    # Opened anew for each use, so that what is decoded does not pile up. A
    # label is the maximum over z, as wherever wells are read.
    def open_planes() -> Sequence[Plane]:
        planes = open_channels(path).planes[index]
        if role == LABEL and len(planes) > 1:
            return (MaximumPlane(planes),)
        return planes

    return open_planes
