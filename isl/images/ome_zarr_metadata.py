"""Metadata of OME-Zarr 0.4 and 0.5: images and plates.

As in https://ngff.openmicroscopy.org/0.5/ and 0.4. Both versions say the same;
0.5 keeps it in `zarr.json` under the key `ome`, 0.4 in `.zattrs`.
"""

import dataclasses
import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

from isl.errors import InputError
from isl.files import read_json, read_json_object
from isl.images.ome_image import check_square
from isl.images.suffixes import strip_suffix
from isl.specs.checks import Item

AXES = "tczyx"

# Files of metadata, of which every node of a Zarr hierarchy has one.
_METADATA = ("zarr.json", ".zattrs", ".zgroup", ".zarray")

_UM_PER_UNIT = {
    "angstrom": 1e-4,
    "nanometer": 1e-3,
    "micrometer": 1.0,
    "millimeter": 1e3,
    "centimeter": 1e4,
    "meter": 1e6,
}

# Fields that an error message lists at most.
_MAX_LISTED = 12


@dataclasses.dataclass(frozen=True)
class ImageMetadata:
    """What the metadata of an image say.

    Attributes:
        axes: One letter of `AXES` an axis of the array.
        level: Folder of the array in full size, relative to the image.
        channel_names: As many as are told; not checked against the array.
        pixel_size_um: Side of a pixel in micrometres, or None.
        z_spacing_um: Distance of focal positions in micrometres, or None.
        annotations: What stands under the key `isl`.
        sparse: Whether chunks may be left out, which are all zero. Those of
            images that have the key `isl` are all there.
    """

    axes: str
    level: str
    channel_names: tuple[str, ...]
    pixel_size_um: float | None
    z_spacing_um: float | None
    annotations: Mapping[str, Any]
    sparse: bool


@dataclasses.dataclass(frozen=True)
class Plate:
    """A plate in the layout for high-content screening.

    Attributes:
        path: Folder of the plate.
        fields: Well, such as `A1`, to the folders of its fields, relative to
            the plate, such as `A/1/0`.
        missing: Folders that the plate lists and that are not there: wells,
            or fields of wells.
    """

    path: str
    fields: Mapping[str, tuple[str, ...]]
    missing: tuple[str, ...]


def is_zarr(path: str | os.PathLike) -> bool:
    """Returns whether a path is a folder with metadata of Zarr in it."""
    return any(pathlib.Path(path, name).is_file() for name in _METADATA)


def is_zarr_folder(path: str | os.PathLike) -> bool:
    """Returns whether a folder is, or is called as, an OME-Zarr.

    One of that name is meant as such even if it has lost its metadata.
    """
    path = pathlib.Path(path)
    return is_zarr(path) or (path.suffix == ".zarr" and path.is_dir())


def read_image_metadata(path: str | os.PathLike) -> ImageMetadata:
    """Reads the metadata of an image.

    Raises:
        InputError: If the folder is no image of version 0.4 or 0.5, is a
            plate or a well of one, or breaks a rule of the format.
    """
    attributes = _read_attributes(path)
    if "multiscales" not in attributes.value:
        raise InputError(
            f"{path}: must be one image. "
            f"Received: {_describe(pathlib.Path(path), attributes)}."
        )
    # The fallback of the format where the user names none of several.
    image = _objects(attributes.get("multiscales"))[0]
    _check_version(image)
    units = _parse_axes(image.get("axes"))
    level = _objects(image.get("datasets"))[0]
    sizes_um = _parse_sizes(units, (image, level))
    if "x" in sizes_um and "y" in sizes_um:
        check_square(str(path), sizes_um["y"], sizes_um["x"])
    return ImageMetadata(
        axes="".join(units),
        level=level.get("path").text(),
        channel_names=_parse_channel_names(attributes.get("omero")),
        pixel_size_um=sizes_um.get("x", sizes_um.get("y")),
        z_spacing_um=sizes_um.get("z"),
        annotations=_object(attributes.get("isl")).value,
        sparse="isl" not in attributes.value,
    )


def is_plate(path: str | os.PathLike) -> bool:
    """Returns whether a folder is an OME-Zarr plate.

    Raises:
        InputError: If its metadata cannot be read.
    """
    return is_zarr(path) and "plate" in _read_attributes(path).value


def open_plate(path: str | os.PathLike) -> Plate:
    """Lists the wells and fields of a plate.

    Raises:
        InputError: If the folder is no plate of version 0.4 or 0.5, or the
            metadata of the plate or of a well break a rule of the format.
    """
    path = pathlib.Path(path)
    fields, missing = {}, []
    for well, folder in list_plate_wells(path).items():
        listed = [folder]
        if is_zarr(path / folder):
            listed = _list_fields(path / folder, f"{folder}/")
            fields[well] = tuple(
                field for field in listed if is_zarr(path / field)
            )
        missing += [node for node in listed if not is_zarr(path / node)]
    return Plate(
        path=str(path),
        fields=fields,
        missing=tuple(missing),
    )


def list_plate_wells(path: str | os.PathLike) -> dict[str, str]:
    """Lists the wells of a plate; reads the metadata of none of them.

    Returns:
        Well, such as `A1`, to its folder, relative to the plate, such as
        `A/1`; one that is not there, too.

    Raises:
        InputError: If the folder is no plate of version 0.4 or 0.5, or its
            metadata break a rule of the format.
    """
    attributes = _read_attributes(path)
    if "plate" not in attributes.value:
        raise InputError(
            f"{path}: must be an OME-Zarr plate. "
            f"Received: {_describe(pathlib.Path(path), attributes)}."
        )
    plate = _object(attributes.get("plate"))
    _check_version(plate)
    folders = [
        _object(well).get("path").text() for well in plate.get("wells").items()
    ]
    return {folder.replace("/", ""): folder for folder in folders}


def list_well_fields(well: str | os.PathLike) -> tuple[str, ...]:
    """Lists the fields of a well of a plate, such as `0`, that are there.

    Raises:
        InputError: If the folder is no well, or its metadata break a rule of
            the format.
    """
    well = pathlib.Path(well)
    return tuple(name for name in _list_fields(well) if is_zarr(well / name))


def is_in_image(path: str | os.PathLike) -> bool:
    """Returns whether a path lies in an OME-Zarr image, there or not.

    Such a path is that of a channel, even if a level has the same name.
    """
    attributes = _told_attributes(pathlib.Path(path).parent)
    return attributes is not None and "multiscales" in attributes


def list_members(path: str | os.PathLike) -> tuple[str, ...]:
    """Lists what is in a group that is only a folder of images.

    Such a group is neither an image nor a plate, but other groups are in it,
    as in what bioformats2raw writes.

    Returns:
        Names of folders of Zarr in it, but for `OME`, which holds metadata;
        none if it is an image, a plate or no group, or cannot be read.
    """
    attributes = _told_attributes(path)
    if attributes is None or {"multiscales", "plate"} & set(attributes):
        return ()
    names = [
        node.name
        for node in pathlib.Path(path).iterdir()
        if is_zarr(node) and not _is_array(node)
    ]
    return tuple(sorted(n for n in names if n != "OME" and n[0] != "."))


def name_image(path: str | os.PathLike) -> str:
    """Returns what to call an image.

    Args:
        path: Folder of the image. In a plate it is called after its well:
            `plate.ome.zarr/A/1/0` is `A1`, further fields are `A1_1` and so
            on. Elsewhere it is the name of the folder without its suffix.

    Raises:
        InputError: If the metadata of the well cannot be read.
    """
    path = pathlib.Path(os.path.abspath(path))
    well = path.parent
    if not is_zarr(well) or "well" not in _read_attributes(well).value:
        return strip_suffix(path.name)
    name = well.parent.name + well.name
    first = _list_fields(well)[0] == path.name
    return name if first else f"{name}_{path.name}"


def _list_fields(well: pathlib.Path, prefix: str = "") -> list[str]:
    images = _object(_read_attributes(well).get("well")).get("images")
    return [prefix + image.get("path").text() for image in _objects(images)]


def _read_attributes(path: str | os.PathLike) -> Item:
    # Those of OME stand beside the others, as in version 0.4.
    file = pathlib.Path(path, "zarr.json")
    if file.is_file():
        node = _object(Item(read_json(file), str(file)))
        attributes = _object(node.get("attributes"))
        ome = _object(attributes.get("ome"))
        _check_version(ome)
        return Item({**attributes.value, **ome.value}, str(file))
    if not is_zarr(path):
        raise InputError(
            f"{path}: must be a folder of OME-Zarr. "
            f"Received: a folder without {' or '.join(_METADATA)}."
        )
    file = pathlib.Path(path, ".zattrs")
    return _object(Item(read_json(file) if file.is_file() else {}, str(file)))


def _is_array(path: pathlib.Path) -> bool:
    file = path / "zarr.json"
    if not file.is_file():
        return (path / ".zarray").is_file()
    try:
        return read_json_object(file).get("node_type") == "array"
    except InputError:
        return False  # As in `_told_attributes`.


def _told_attributes(path: str | os.PathLike) -> Mapping[str, Any] | None:
    # None if there are none, or they cannot be read: opening the node tells
    # what is wrong with it.
    try:
        return _read_attributes(path).value if is_zarr(path) else None
    except InputError:
        return None


def _describe(path: pathlib.Path, attributes: Item) -> str:
    # What a node is that is not the one that was asked for.
    if "multiscales" in attributes.value:
        return "an image"
    if "plate" in attributes.value:
        fields = open_plate(path).fields.values()
        return f"a plate; {_list([f for well in fields for f in well])}"
    if "well" in attributes.value:
        return f"a well of a plate; {_list(_list_fields(path))}"
    nodes = sorted(node.name for node in path.iterdir() if is_zarr(node))
    return f"a group or array without multiscales; {_list(nodes)}"


def _list(names: Sequence[str]) -> str:
    more = [f"... ({len(names)} in all)"] * (len(names) > _MAX_LISTED)
    shown = ", ".join([*names[:_MAX_LISTED], *more])
    return f"in it are {shown or 'no images'}"


def _parse_axes(item: Item) -> dict[str, str | None]:
    # Letters of the axes, in order, and their units. A type tells more than
    # a name, which may be any text for channels.
    letters = {"time": "t", "channel": "c"}
    units = {}
    for axis in _objects(item):
        name = axis.get("name").text().lower()
        letter = letters.get(axis.get("type").value, name)
        if letter not in AXES or letter in units:
            axis.fail(f"must be one of {', '.join(AXES)}, each once")
        units[letter] = axis.get("unit").value
    if not {"y", "x"} <= set(units):
        item.fail("must have y and x")
    return units


def _parse_sizes(
    units: Mapping[str, str | None], items: Sequence[Item]
) -> dict[str, float]:
    # Micrometres from one pixel to the next along axes whose unit is told.
    sizes_um = {
        axis: _UM_PER_UNIT[unit]
        for axis, unit in units.items()
        if unit in _UM_PER_UNIT
    }
    for item in items:
        for step in item.get("coordinateTransformations").items():
            if _object(step).get("type").value != "scale":
                continue
            scale = step.get("scale")
            factors = [factor.positive_number() for factor in scale.items()]
            if len(factors) != len(units):
                scale.fail(f"must hold {len(units)} numbers, one an axis")
            for axis, factor in zip(units, factors, strict=True):
                if axis in sizes_um:
                    sizes_um[axis] *= factor
    return sizes_um


def _parse_channel_names(item: Item) -> tuple[str, ...]:
    channels = _object(item).get("channels").items()
    labels = (_object(channel).get("label").value for channel in channels)
    return tuple("" if label is None else str(label) for label in labels)


def _check_version(item: Item) -> None:
    version = item.get("version")
    if version.value not in (None, "0.4", "0.5"):
        version.fail("must be 0.4 or 0.5")


def _object(item: Item) -> Item:
    # An object; one that is not there is empty.
    if item.value is None:
        return Item({}, item.source, item.key)
    if not isinstance(item.value, dict):
        item.fail("must be an object")
    return item


def _objects(item: Item) -> list[Item]:
    items = [_object(place) for place in item.items()]
    if not items:
        item.fail("must be a list of at least one object")
    return items
