"""Listing the raw images of the source of a data spec."""

import collections
import dataclasses
import pathlib
import re
from collections.abc import Iterable, Iterator

from isl.errors import InputError
from isl.images import (
    is_tiff_name,
    list_names,
    locate,
    name_folder,
    split_inside,
)
from isl.inspection.containers import list_image
from isl.inspection.failures import explain_failure
from isl.inspection.listing import (
    INPUT,
    LABEL,
    Entry,
    Listing,
    find_missing_labels,
    gather,
    merge_listings,
)
from isl.inspection.naming import parse_names
from isl.inspection.problems import Problem
from isl.specs import DatasetSpec, Region
from isl.specs.source import Source


def list_source(
    spec: DatasetSpec, source: Source, root: pathlib.Path
) -> Listing:
    """Lists the files that the source of a spec matches.

    Args:
        spec: The spec.
        source: Its source.
        root: Folder that its paths are relative to.

    Raises:
        InputError: If the path of the source leaves `root`, or the pattern
            is no regular expression or matches no file.
    """
    folder = locate(spec.name, root, source.path)
    names, unreadable = _list_names(spec, source, folder)
    entries = list(_read_names(spec, source, folder, names))
    if not entries and not unreadable:
        raise InputError(
            f"{folder}: pattern must match a file of a channel of the source. "
            f"Received: {source.pattern} for {len(names)} files."
        )
    stacks = [entry for entry in entries if _has_pages(source, entry)]
    channels, problems = gather(e for e in entries if e not in stacks)
    listing = merge_listings(
        [
            Listing(tuple(channels), tuple(problems)),
            *(_list_pages(entry) for entry in stacks),
        ]
    )
    problems = list(_find_missing_wells(source, folder, entries))
    fields = collections.defaultdict(list)
    for channel in listing.channels:
        fields[channel.well, channel.tile].append(channel)
    for (well, _), of_field in fields.items():
        problems += find_missing_labels(well, folder, of_field, spec.labels)
    return dataclasses.replace(
        listing,
        problems=(*listing.problems, *problems, *unreadable),
        num_other_files=len(names) - len(entries),
        # Steps may change the size, as stitching does.
        regions={} if spec.preprocessing else _list_regions(source, entries),
    )


def _list_names(
    spec: DatasetSpec, source: Source, folder: pathlib.Path
) -> tuple[list[str], list[Problem]]:
    # What the pattern is to match; containers that cannot be read.
    try:
        pattern = re.compile(source.pattern)
    except re.error as error:
        raise InputError(
            f"{spec.name}: pattern must be a regular expression ({error}). "
            f"Received: {source.pattern}"
        ) from error
    problems = []

    def note(path: pathlib.Path, error: InputError) -> None:
        problems.append(explain_failure("", path, error))

    return list(list_names(folder, pattern, note)), problems


def _find_missing_wells(
    source: Source, folder: pathlib.Path, entries: Iterable[Entry]
) -> Iterator[Problem]:
    found = {entry.well for entry in entries}
    wells = [
        well for rule in source.splits.values() for well in rule.wells or ()
    ]
    what = "the spec lists it, but no file is called so"
    for well in dict.fromkeys(wells):
        if well not in found:
            yield Problem("missing_well", well, str(folder), what)


def _list_regions(
    source: Source, entries: Iterable[Entry]
) -> dict[str, tuple[Region, ...]]:
    return {
        entry.well: tuple(
            rule.region
            for rule in source.splits.values()
            if rule.wells is None or entry.well in rule.wells
        )
        for entry in entries
    }


def _read_names(
    spec: DatasetSpec,
    source: Source,
    folder: pathlib.Path,
    names: Iterable[str],
) -> Iterator[Entry]:
    # Channels that the source does not list are left out.
    fields = parse_names(source.pattern, names)
    for name, field in fields.items():
        channel = source.channels.get(field.channel)
        if channel is not None:
            yield Entry(
                well=field.well or name_folder(folder),
                tile=field.tile,
                channel=channel,
                role=INPUT if channel == spec.modality else LABEL,
                z=field.z,
                path=str(folder / name),
            )


def _has_pages(source: Source, entry: Entry) -> bool:
    in_file = split_inside(entry.path) is not None
    return in_file or (source.pages_are_z and is_tiff_name(entry.path))


def _list_pages(entry: Entry) -> Listing:
    # A stack of one channel in one file, called as its name says.
    listing = list_image(pathlib.Path(entry.path), entry.well)
    if len(listing.channels) > 1:
        what = f"must hold one channel, but holds {len(listing.channels)}"
        problem = Problem("unreadable", entry.well, entry.path, what)
        return Listing((), (problem,))
    channels = tuple(
        dataclasses.replace(
            channel, tile=entry.tile, name=entry.channel, role=entry.role
        )
        for channel in listing.channels
    )
    return dataclasses.replace(listing, channels=channels)
