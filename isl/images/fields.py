"""What a microscope left in a folder: the fields of each well, by file names.

A field is what one position of the stage shows: a z-stack in transmitted
light and its labels. A well is one field, or a mosaic of several (tiles).
"""

import collections
import dataclasses
import os
import pathlib
from collections.abc import Callable, Hashable, Iterable, Mapping
from typing import TypeVar

import numpy as np

from isl.errors import InputError
from isl.images.discovery import (
    locate,
    name_folder,
    open_channels,
    open_plane,
)
from isl.images.name_pattern import FoundFile, index_files
from isl.images.plane import Plane, read_whole
from isl.specs import DatasetSpec, Region, WellSpec
from isl.specs.source import Source

T = TypeVar("T", bound=Hashable)


@dataclasses.dataclass(frozen=True)
class FieldPlane:
    """One plane of a field, opened when it is read.

    A PNG keeps what it decoded as long as it is open; the tiles of a plate
    are too many for that.

    Attributes:
        path: The file.
        page: Page of a TIFF whose pages are the focal positions, or None.
    """

    path: str
    page: int | None

    def open(self) -> Plane:
        """Opens the file; reads no pixel.

        Raises:
            InputError: If it cannot be opened.
        """
        return open_plane(pathlib.Path(self.path), self.page)

    def read(self) -> np.ndarray:
        """Returns the image in units of the camera, [row, column].

        uint16 for files of 8 and 16 bits; others keep their type.

        Raises:
            InputError: If it cannot be decoded.
        """
        plane = self.open()
        image = read_whole(plane)
        return image if plane.gain == 1 else image // np.uint16(plane.gain)

    def read_sizes(self) -> tuple[float | None, float | None]:
        """Returns what the file says about sizes; reads no pixel.

        Returns:
            Side of a pixel and distance of neighbouring planes, micrometres;
            None where the file does not tell.

        Raises:
            InputError: If it cannot be opened.
        """
        image = open_channels(pathlib.Path(self.path))
        if image is None:
            return None, None
        return image.pixel_size_um, image.z_spacing_um


@dataclasses.dataclass(frozen=True)
class Field:
    """What one position of the stage shows.

    Attributes:
        cell: Row and column in the grid, if the names of the files tell.
        planes: The z-stack in transmitted light.
        labels: Label to its z-stack, often of one plane.
    """

    cell: tuple[int, int] | None
    planes: tuple[FieldPlane, ...]
    labels: Mapping[str, tuple[FieldPlane, ...]]


@dataclasses.dataclass(frozen=True)
class RawWell:
    """The fields of one well.

    Attributes:
        name: Name of the well.
        fields: Its fields, in natural order of the names of their tiles.
        splits: Split to the part of the well that belongs to it.
    """

    name: str
    fields: tuple[Field, ...]
    splits: Mapping[str, Region]


def find_raw_wells(
    spec: DatasetSpec, image_root: str | os.PathLike
) -> tuple[RawWell, ...]:
    """Finds the wells of a source; reads no pixel.

    Args:
        spec: With a `source`; of its channels only the modality and the
            labels of the spec have to be there.
        image_root: Folder that its path is relative to.

    Returns:
        The wells that a split names, in natural order.

    Raises:
        InputError: If the path leaves `image_root`, the folder cannot be
            listed, a well or a plane is missing, or planes cannot be told
            apart.
    """
    source = spec.source
    folder = locate(spec.name, image_root, source.path)
    files = [
        file
        for file in index_files(folder, source.pattern, source.pages_are_z)
        if file.channel in source.channels
    ]
    if not files:
        raise InputError(
            f"{folder}: pattern must find the channels "
            f"{', '.join(source.channels)}. Received: none of them"
        )
    grouped = _group(files, lambda file: file.well or name_folder(folder))
    splits = _splits(source, grouped, folder)
    wells = tuple(
        RawWell(name, _fields(spec, folder, name, group), splits[name])
        for name, group in grouped.items()
        if splits[name]
    )
    _check_same_planes(wells, folder)
    return wells


def source_wells(
    spec: DatasetSpec, image_root: str | os.PathLike, split: str
) -> tuple[WellSpec, ...]:
    """Returns the wells of a source that can be read as they are.

    Args:
        spec: With a `source`.
        image_root: Folder that its path is relative to.
        split: The split.

    Raises:
        InputError: As `find_raw_wells`, or if there is something to prepare:
            tiles, labels of several planes, or steps.
    """
    if spec.preprocessing:
        raise InputError(
            f"{spec.name}: raw images must go through prepare.py first, as the "
            f"spec asks for steps. Received: {spec.preprocessing[0]['step']} "
            f"and {len(spec.preprocessing) - 1} more"
        )
    folder = locate(spec.name, image_root, spec.source.path)
    return tuple(
        _as_it_is(spec, well, folder)
        for well in find_raw_wells(spec, image_root)
        if split in well.splits
    )


def _as_it_is(
    spec: DatasetSpec, well: RawWell, folder: pathlib.Path
) -> WellSpec:
    field, *others = well.fields
    stacks = [label for label, z in field.labels.items() if len(z) > 1]
    if others or stacks or field.planes[0].page is not None:
        raise InputError(
            f"{folder}: well {well.name} must go through prepare.py first: it "
            f"has tiles, labels of several planes, or planes as pages. "
            f"Received: {len(well.fields)} tiles, stacks of "
            f"{', '.join(stacks) or 'no label'}"
        )

    def name(plane: FieldPlane) -> str:
        return pathlib.Path(plane.path).relative_to(folder).as_posix()

    return WellSpec(
        name=well.name,
        path=spec.source.path,
        splits=well.splits,
        planes=tuple(name(plane) for plane in field.planes),
        labels={label: name(z[0]) for label, z in field.labels.items()},
    )


def _splits(
    source: Source, names: Iterable[str], folder: pathlib.Path
) -> dict[str, dict[str, Region]]:
    """Well to its splits; none for a well that no split names."""
    splits: dict[str, dict[str, Region]] = {name: {} for name in names}
    for split, rule in source.splits.items():
        for name in splits if rule.wells is None else rule.wells:
            if name not in splits:
                raise InputError(
                    f"{folder}: wells of split {split} must be among those "
                    f"found ({', '.join(splits)}). Received: {name}"
                )
            splits[name][split] = rule.region
    return splits


def _fields(
    spec: DatasetSpec,
    folder: pathlib.Path,
    well: str,
    files: tuple[FoundFile, ...],
) -> tuple[Field, ...]:
    groups = _group(files, lambda file: (file.tile, file.row, file.column))
    return tuple(
        _field(spec, folder, f"well {well}, {_tile_name(key)}", group)
        for key, group in groups.items()
    )


def _group(
    files: Iterable[FoundFile], key: Callable[[FoundFile], T]
) -> dict[T, tuple[FoundFile, ...]]:
    # In the order of appearance; those of a group need not be neighbours.
    groups = collections.defaultdict(list)
    for file in files:
        groups[key(file)].append(file)
    return {name: tuple(group) for name, group in groups.items()}


def _tile_name(key: tuple[str | None, ...]) -> str:
    names = ("tile", "row", "column")
    told = [
        f"{name} {value}"
        for name, value in zip(names, key, strict=True)
        if value is not None
    ]
    return " ".join(told) or "its only field"


def _field(
    spec: DatasetSpec,
    folder: pathlib.Path,
    place: str,
    files: tuple[FoundFile, ...],
) -> Field:
    stacks: dict[str, list[FieldPlane]] = {}
    for file in files:
        meaning = spec.source.channels[file.channel]
        plane = FieldPlane(str(folder / file.path), file.page)
        stacks.setdefault(meaning, []).append(plane)
    wanted = (spec.modality, *spec.labels)
    for channel, meaning in spec.source.channels.items():
        if meaning in wanted and meaning not in stacks:
            raise InputError(
                f"{folder}: {place} must have a file of channel {channel} "
                f"({meaning}). Received: {', '.join(stacks)}"
            )
    planes = tuple(stacks.pop(spec.modality))
    if spec.num_z is not None and len(planes) != spec.num_z:
        raise InputError(
            f"{folder}: {place} must have num_z = {spec.num_z} planes of "
            f"{spec.modality}. Received: {len(planes)}"
        )
    return Field(
        cell=_cell(files[0], folder),
        planes=planes,
        labels={label: tuple(stacks[label]) for label in spec.labels},
    )


def _cell(file: FoundFile, folder: pathlib.Path) -> tuple[int, int] | None:
    if file.row is None or file.column is None:
        return None
    try:
        return int(file.row), int(file.column)
    except ValueError as error:
        raise InputError(
            f"{folder}: row and column of a tile must be whole numbers. "
            f"Received: {file.row} and {file.column} in {file.path}"
        ) from error


def _check_same_planes(wells: Iterable[RawWell], folder: pathlib.Path) -> None:
    """Checks that all fields have as many planes of each kind."""
    first = None
    for well in wells:
        for field in well.fields:
            counts = {"planes": len(field.planes)} | {
                label: len(stack) for label, stack in field.labels.items()
            }
            if first is None:
                first, first_well = counts, well.name
            if counts != first:
                raise InputError(
                    f"{folder}: all fields must have as many planes as those "
                    f"of well {first_well} ({first}). Received: {counts} in "
                    f"well {well.name}, {field.planes[0].path}"
                )
