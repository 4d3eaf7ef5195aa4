"""Listing what a data spec describes, whether or not it is there."""

import dataclasses
import os
import pathlib
from collections.abc import Collection, Iterable, Iterator

from isl.errors import InputError
from isl.images import is_one_image, locate, name_folder
from isl.inspection.containers import list_image
from isl.inspection.folders import (
    is_image_name,
    list_published,
)
from isl.inspection.listing import (
    INPUT,
    LABEL,
    Channel,
    Entry,
    Listing,
    find_missing_labels,
    gather,
    merge_listings,
)
from isl.inspection.problems import Problem
from isl.inspection.source_listing import list_source
from isl.specs import (
    MODALITIES,
    DatasetSpec,
    WellSpec,
)


def list_spec(spec: DatasetSpec, image_root: str | os.PathLike) -> Listing:
    """Lists the wells of a spec: those of all splits, or of its source.

    Args:
        spec: The spec.
        image_root: Folder that its paths are relative to.

    Raises:
        InputError: If the folder is not there, or the pattern of the source
            is no regular expression or matches no file.
    """
    root = pathlib.Path(image_root)
    if not root.is_dir():
        raise InputError(
            f"{root}: input must be the folder that the paths of the spec "
            "are relative to."
        )
    parts = [_list_well(spec, well, root) for well in spec.wells]
    for split, folders in spec.well_folders.items():
        parts += [_list_folder(spec, split, root, name) for name in folders]
    if spec.source is not None:
        parts.append(list_source(spec, spec.source, root))
    listing = merge_listings(parts)
    if spec.pixel_size_um is not None:
        wells = {channel.well for channel in listing.channels}
        sizes = dict.fromkeys(wells, spec.pixel_size_um)
        listing = dataclasses.replace(listing, pixel_size_um=sizes)
    return dataclasses.replace(listing, num_z=spec.num_z)


def _list_well(
    spec: DatasetSpec, well: WellSpec, root: pathlib.Path
) -> Listing:
    path = root / well.path
    names = (*(well.planes or ()), *(well.labels or {}).values(), "")
    paths = [os.path.join(well.path, name) for name in names]
    outside = _find_outside(spec, root, well.name, paths)
    if outside is not None:
        return _only(outside)
    alone = is_one_image(path)
    if not path.exists() and not alone:
        what = "the spec lists it, but it is not there"
        return _only(Problem("missing_well", well.name, str(path), what))
    found = Listing(())
    if well.planes is None or well.labels is None:
        found = (
            list_image(path, well.name, spec.labels)
            if alone
            else _find_published(path, well.name)
        )
    folder = path.parent if alone else path
    channels = list(_replace_listed(spec, well, folder, found.channels))
    if not channels and not found.problems:
        what = "the spec lists it, but no image of it is there"
        return _only(Problem("missing_well", well.name, str(path), what))
    labels = spec.labels if well.labels is None else ()
    return dataclasses.replace(
        found,
        channels=tuple(channels),
        problems=(
            *found.problems,
            *find_missing_labels(well.name, path, channels, labels),
            *_find_other_light(spec, channels),
        ),
        regions={well.name: tuple(well.splits.values())},
    )


def _find_outside(
    spec: DatasetSpec, root: pathlib.Path, well: str, paths: Iterable[str]
) -> Problem | None:
    for path in paths:
        try:
            locate(spec.name, root, path)
        except InputError:
            what = "the spec leads out of the folder of the images"
            return Problem("outside", well, os.path.normpath(path), what)
    return None


def _find_published(folder: pathlib.Path, well: str) -> Listing:
    names = [name for name in sorted(os.listdir(folder)) if is_image_name(name)]
    listing, _ = list_published(folder, "", names)
    # Names that tell no well are called after their folder.
    wells = {channel.well for channel in listing.channels}
    wanted = well if well in wells else folder.resolve().name
    return dataclasses.replace(
        listing,
        channels=tuple(
            dataclasses.replace(channel, well=well)
            for channel in listing.channels
            if channel.well == wanted
        ),
    )


def _replace_listed(
    spec: DatasetSpec,
    well: WellSpec,
    folder: pathlib.Path,
    channels: Collection[Channel],
) -> Iterator[Channel]:
    # What the spec lists file by file takes the place of what was found.
    for channel in channels:
        listed = well.planes if channel.role == INPUT else well.labels
        wanted = channel.role == INPUT or channel.name in spec.label_files
        if listed is None and wanted:
            yield channel
    entries = [
        Entry(well.name, "", spec.modality or "", INPUT, str(z), name)
        for z, name in enumerate(well.planes or ())
    ]
    entries += [
        Entry(well.name, "", label, LABEL, None, name)
        for label, name in (well.labels or {}).items()
    ]
    yield from gather(
        dataclasses.replace(entry, path=str(folder / entry.path))
        for entry in entries
    )[0]


def _list_folder(
    spec: DatasetSpec, split: str, root: pathlib.Path, name: str
) -> Listing:
    outside = _find_outside(spec, root, "", (name,))
    if outside is not None:
        return _only(outside)
    folder = root / name
    if not folder.is_dir():
        what = "the spec lists this folder, but it is not there"
        return _only(Problem("missing_well", "", str(folder), what))
    names = [name for name in sorted(os.listdir(folder)) if is_image_name(name)]
    listing, others = list_published(
        folder, f"{split}/{name_folder(folder)}", names
    )
    channels = tuple(
        channel
        for channel in listing.channels
        if channel.role == INPUT or channel.name in spec.label_files
    )
    problems = list(listing.problems)
    if not channels:
        what = "the spec lists this folder, but no image of a well is in it"
        problems.append(Problem("missing_well", "", str(folder), what))
    for well in dict.fromkeys(channel.well for channel in channels):
        of_well = [channel for channel in channels if channel.well == well]
        problems += find_missing_labels(well, folder, of_well, spec.labels)
    problems += _find_other_light(spec, channels)
    return dataclasses.replace(
        listing,
        channels=channels,
        problems=tuple(problems),
        num_other_files=len(others),
    )


def _find_other_light(
    spec: DatasetSpec, channels: Iterable[Channel]
) -> Iterator[Problem]:
    for channel in channels:
        told = channel.role == INPUT and channel.name in MODALITIES
        if told and spec.modality not in (None, channel.name):
            what = f"is {channel.name}, in the spec {spec.modality}"
            path = channel.images[0].path
            yield Problem("modality", channel.well, path, what)


def _only(problem: Problem) -> Listing:
    return Listing((), (problem,))
