"""Which images there are; files that are wrong do not end it."""

import collections
import dataclasses
import os
from collections.abc import (
    Callable,
    Collection,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from typing import TypeVar

from isl.images import Plane, natural_key
from isl.inspection.naming import NameGuess, guess_modality, looks_like_label
from isl.inspection.problems import Problem
from isl.specs import (
    MODALITIES,
    NEURITE,
    NEURITE_PARTS,
    PUBLISHED_LABELS,
    Region,
)

# What a channel is: transmitted light, a fluorescent label, or not known.
INPUT = "input"
LABEL = "label"
UNKNOWN = "unknown"

T = TypeVar("T")


@dataclasses.dataclass(frozen=True)
class ImageFile:
    """One image.

    Attributes:
        path: Its file, or the file or folder that it is a plane of.
        z: Focal position as the name tells it, or None.
    """

    path: str
    z: str | None


@dataclasses.dataclass(frozen=True)
class Channel:
    """The images of one channel of a well, or of one tile of it.

    Attributes:
        well: Name of the well.
        tile: Name of the tile; empty if the well is in one piece.
        name: Name of the channel; may be empty.
        role: `INPUT`, `LABEL` or `UNKNOWN`.
        images: In z order, at least one.
        open_planes: Opens the planes of `images` anew where these are in one
            file or OME-Zarr; None where each is a file of its own.
        z_counts: Whether z counts planes from 0, so that each number is due.
    """

    well: str
    tile: str
    name: str
    role: str
    images: tuple[ImageFile, ...]
    open_planes: Callable[[], Sequence[Plane]] | None = None
    z_counts: bool = False


@dataclasses.dataclass(frozen=True)
class Listing:
    """What there is.

    Attributes:
        channels: In order of well, tile and role.
        problems: What was found wrong with names and headers.
        pixel_size_um: Well to the side of a pixel in micrometres, where the
            files or the spec tell it.
        guesses: Folder to what the names in it may mean, where nothing else
            tells it; the first guess was followed.
        num_other_files: Files that were left alone: no images, predictions
            or masks.
        num_z: Planes that every stack must have, if a spec says so.
        regions: Well to the parts that a spec gives to its splits.
    """

    channels: tuple[Channel, ...]
    problems: tuple[Problem, ...] = ()
    pixel_size_um: Mapping[str, float] = dataclasses.field(default_factory=dict)
    guesses: Mapping[str, tuple[NameGuess, ...]] = dataclasses.field(
        default_factory=dict
    )
    num_other_files: int = 0
    num_z: int | None = None
    regions: Mapping[str, tuple[Region, ...]] = dataclasses.field(
        default_factory=dict
    )


@dataclasses.dataclass(frozen=True)
class Entry:
    """What is known of one file before files are gathered to channels.

    Attributes:
        well: Name of the well.
        tile: Name of the tile, or empty.
        channel: Name of the channel.
        role: `INPUT`, `LABEL` or `UNKNOWN`.
        z: Focal position as the name tells it, or None.
        path: The file.
    """

    well: str
    tile: str
    channel: str
    role: str
    z: str | None
    path: str


def gather(
    entries: Iterable[Entry],
) -> tuple[list[Channel], list[Problem]]:
    """Gathers files to channels.

    Returns:
        The channels, and a problem for each file of a plane that another
        file is of, too; the first one is taken.
    """
    groups = collections.defaultdict(dict)
    problems = []
    for entry in entries:
        group = groups[entry.well, entry.tile, entry.channel, entry.role]
        other = group.setdefault(entry.z, entry)
        if other is not entry:
            z = "" if entry.z is None else f", z {entry.z}"
            what = f"{entry.channel or 'the image'}{z} is in {other.path}, too"
            problems.append(Problem("two_files", entry.well, entry.path, what))
    channels = []
    for (well, tile, name, role), group in groups.items():
        images = [ImageFile(entry.path, z) for z, entry in group.items()]
        images.sort(key=lambda image: natural_key(image.z))
        channels.append(Channel(well, tile, name, role, tuple(images)))
    return channels, problems


def merge_listings(listings: Iterable[Listing]) -> Listing:
    """Joins listings, with channels in order of well, tile, role and name."""
    listings = list(listings)
    roles = (INPUT, UNKNOWN, LABEL)
    channels = [channel for part in listings for channel in part.channels]
    channels.sort(
        key=lambda channel: (
            natural_key(channel.well),
            natural_key(channel.tile),
            roles.index(channel.role),
            natural_key(channel.name),
        )
    )
    return Listing(
        channels=tuple(channels),
        problems=tuple(p for part in listings for p in part.problems),
        pixel_size_um=_join(part.pixel_size_um for part in listings),
        guesses=_join(part.guesses for part in listings),
        num_other_files=sum(part.num_other_files for part in listings),
        regions=_join(part.regions for part in listings),
    )


def assign_roles(
    names: Collection[str], known_labels: Sequence[str] = PUBLISHED_LABELS
) -> dict[str, str]:
    """Tells transmitted light from labels by the names of channels.

    A channel that is called as a modality is transmitted light; without one,
    the only channel that is not called as a label is.

    Args:
        names: Names of the channels, all different.
        known_labels: Channels that are labels, whatever they are called.

    Returns:
        Name to role; `UNKNOWN` for those of which any may be the input.
    """
    inputs = [name for name in names if name in MODALITIES] or [
        name
        for name in names
        if name not in known_labels and guess_modality(name)
    ]
    labels = [
        name
        for name in names
        if name in known_labels
        or (name not in inputs and looks_like_label(name))
    ]
    rest = [name for name in names if name not in (*inputs, *labels)]
    roles = dict.fromkeys(inputs, INPUT) | dict.fromkeys(labels, LABEL)
    if inputs:
        return roles | dict.fromkeys(rest, LABEL)
    return roles | dict.fromkeys(rest, INPUT if len(rest) == 1 else UNKNOWN)


def find_missing_labels(
    well: str,
    path: str | os.PathLike,
    channels: Collection[Channel],
    labels: Collection[str],
) -> Iterator[Problem]:
    """Finds labels that a spec has and a well has not.

    Args:
        well: Name of the well.
        path: Its file or folder.
        channels: Its channels.
        labels: The labels that it must have.
    """
    names = {channel.name for channel in channels}
    if set(NEURITE_PARTS) <= names:
        names.add(NEURITE)
    for label in labels:
        if label not in names:
            what = f"the spec has the label {label}, but it is not there"
            yield Problem("missing_label", well, str(path), what)


def _join(mappings: Iterable[Mapping[str, T]]) -> dict[str, T]:
    return {key: value for part in mappings for key, value in part.items()}
