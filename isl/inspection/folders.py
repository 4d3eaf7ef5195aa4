"""Listing what no spec describes: a folder, a file or a plate."""

import dataclasses
import os
import pathlib
import re
from collections.abc import Iterator, Sequence

from isl.errors import InputError
from isl.images import (
    PLANE_SUFFIXES,
    count_tiff_planes,
    is_tiff_name,
    is_vendor_name,
    is_zarr_folder,
    list_members,
    parse_published_name,
    split_vendor_path,
    strip_suffix,
)
from isl.inspection.containers import list_image, list_vendor, list_zarr
from isl.inspection.listing import (
    INPUT,
    LABEL,
    Entry,
    Listing,
    assign_roles,
    gather,
    merge_listings,
)
from isl.inspection.naming import guess_patterns, parse_names
from isl.inspection.problems import Problem
from isl.specs import MODALITIES

# Published names of what is no image to train on: predictions and masks.
_DERIVED = re.compile(r"(?:^|,)(?:kind(?:,value)?-PREDICTED|is_mask-true)")


def list_path(path: str | os.PathLike) -> Listing:
    """Lists the images of a folder (with the folders in it), file or plate.

    A well of a folder inside is called `folder/well`, or `folder` if it has
    no other name.

    Args:
        path: A folder of PNG or TIFF planes, in the published naming or any
            other; an OME-Zarr image or plate; a PNG or TIFF file; a file of a
            vendor format or a scene in it.

    Raises:
        InputError: If there is no such path, or no image in it.
    """
    path = pathlib.Path(path)
    if not path.exists() and split_vendor_path(path) is None:
        raise InputError(f"{path}: input must be there.")
    listing = merge_listings(_iter_parts(path))
    if not listing.channels and not listing.problems:
        raise InputError(
            f"{path}: input must hold images: PNG, TIFF, OME-Zarr or a vendor "
            f"format. "
            f"Received: {listing.num_other_files} other files."
        )
    return listing


def is_image_name(name: str) -> bool:
    """Returns whether a file is taken for an image, by its name.

    Args:
        name: Name of the file without its folder.
    """
    suffix = pathlib.PurePath(name).suffix.lower()
    return (
        suffix in PLANE_SUFFIXES
        and not name.startswith(".")
        and not _DERIVED.search(name)
    )


def iter_folders(
    root: pathlib.Path,
) -> Iterator[tuple[pathlib.Path, list[str]]]:
    """Yields folders, visible ones only, with the names of their files.

    An OME-Zarr image or plate is yielded as a folder; what is inside it is
    not. A Zarr group of several is not yielded, but what is inside it is.
    """
    for place, folders, names in os.walk(root):
        visible = sorted(f for f in folders if not f.startswith("."))
        folder = pathlib.Path(place)
        members = list_members(folder)
        if members:
            folders[:] = members
            continue
        folders[:] = [] if is_zarr_folder(folder) else visible
        yield folder, sorted(names)


def list_published(
    folder: pathlib.Path, inside: str, names: Sequence[str]
) -> tuple[Listing, list[str]]:
    """Lists files in the published naming.

    Args:
        folder: Folder of the files.
        inside: Its path in the folder that is inspected, or empty.
        names: Names of files.

    Returns:
        The images, and the names that are not in the published naming.
    """
    entries, problems, others = [], [], []
    for name in names:
        path = str(folder / name)
        try:
            parsed = parse_published_name(name)
        except InputError as error:
            what = str(error).removeprefix(f"{name}: ")
            problems.append(Problem("wrong_name", "", path, what))
            continue
        if parsed is None:
            others.append(name)
            continue
        entries.append(
            Entry(
                well=_name_well(folder, inside, parsed.well),
                tile="",
                channel=parsed.channel,
                role=INPUT if parsed.channel in MODALITIES else LABEL,
                z=None if parsed.z is None else str(parsed.z),
                path=path,
            )
        )
    channels, twice = gather(entries)
    counted = (dataclasses.replace(c, z_counts=True) for c in channels)
    return Listing(tuple(counted), (*problems, *twice)), others


def _iter_parts(path: pathlib.Path) -> Iterator[Listing]:
    if split_vendor_path(path) is not None:
        yield from list_vendor(path, strip_suffix(path.name))
        return
    if path.is_file():
        yield _list_file(path)
        return
    for folder, names in iter_folders(path):
        inside = "" if folder == path else folder.relative_to(path).as_posix()
        if is_zarr_folder(folder):
            yield from list_zarr(folder, inside)
            continue
        images = [name for name in names if is_image_name(name)]
        vendor = [name for name in names if is_vendor_name(name)]
        num_others = len(names) - len(images) - len(vendor)
        yield Listing((), num_other_files=num_others)
        for name in vendor:
            well = _name_well(folder, inside, strip_suffix(name))
            yield from list_vendor(folder / name, well)
        published, others = list_published(folder, inside, images)
        yield published
        stacks = [name for name in others if _is_stack(folder / name)]
        for name in stacks:
            well = _name_well(folder, inside, strip_suffix(name))
            yield list_image(folder / name, well)
        single = [name for name in others if name not in stacks]
        if single:
            yield _list_by_guess(folder, inside, single)


def _list_file(path: pathlib.Path) -> Listing:
    well = strip_suffix(path.name)
    if is_tiff_name(path.name):
        return list_image(path, well)
    channels, _ = gather([Entry(well, "", "", INPUT, None, str(path))])
    return Listing(tuple(channels))


def _is_stack(path: pathlib.Path) -> bool:
    # Whether a file is a well of its own, with several planes.
    count = count_tiff_planes(path)
    if count is None:
        # A plane that is damaged is told of when its pixels are read.
        return path.stem.lower().endswith(".ome")
    return count > 1


def _list_by_guess(
    folder: pathlib.Path, inside: str, names: Sequence[str]
) -> Listing:
    guesses = tuple(guess_patterns(names))
    fields = parse_names(guesses[0].pattern, names)
    roles = assign_roles({field.channel for field in fields.values()})
    channels, problems = gather(
        Entry(
            well=_name_well(folder, inside, field.well),
            tile=field.tile,
            channel=field.channel,
            role=roles[field.channel],
            z=field.z,
            path=str(folder / name),
        )
        for name, field in fields.items()
    )
    problems += [
        Problem(
            "unmatched_name",
            "",
            str(folder / name),
            f"name does not fit {guesses[0].pattern} as the others do",
        )
        for name in names
        if name not in fields
    ]
    return Listing(
        tuple(channels), tuple(problems), guesses={str(folder): guesses}
    )


def _name_well(folder: pathlib.Path, inside: str, well: str) -> str:
    if not inside:
        return well or folder.resolve().name
    repeated = not well or inside.split("/")[-1] == well
    return inside if repeated else f"{inside}/{well}"
