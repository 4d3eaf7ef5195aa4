r"""Folders of planes whose files are told apart by a pattern for their names.

For example `(?P<well>[A-H]\d+)_s(?P<tile>\d+)_z(?P<z>\d+)_(?P<channel>.+)\.tif`
reads `B02_s3_z10_DAPI.tif`. OME-TIFF, OME-Zarr and vendor formats count as
folders of stacks (`containers`): `(?P<well>.+)\.nd2/.+/(?P<channel>.+)`.
"""

import dataclasses
import os
import pathlib
import re
from collections.abc import Callable, Iterator

from isl.errors import InputError
from isl.images.containers import is_container, iter_stacks
from isl.images.ome_tiff import open_ome_tiff
from isl.images.ome_tiff_description import is_tiff_name
from isl.images.ome_zarr_metadata import is_zarr, list_members

# Named groups that a pattern may have.
GROUPS = ("well", "tile", "row", "column", "channel", "z")
_NAMES = ("well", "tile", "channel")  # The others are positions.

_NUMBER = re.compile(r"[+-]?\d+(\.\d+)?")


@dataclasses.dataclass(frozen=True)
class FoundFile:
    """One plane, by what the name of its file says.

    Attributes:
        path: The file, relative to the folder, with forward slashes.
        channel: Name of the channel.
        well: Name of the well, or None if the name does not tell; likewise
            what follows.
        tile: Name or number of the tile.
        row: Row of the tile in a grid.
        column: Column of the tile in a grid.
        z: Focal position, as a number or a name.
        page: Page of a TIFF whose pages are the focal positions, or plane of
            a stack in a container, from 0; None for a file of one plane.
    """

    path: str
    channel: str
    well: str | None = None
    tile: str | None = None
    row: str | None = None
    column: str | None = None
    z: str | None = None
    page: int | None = None

    @property
    def plane_key(self) -> tuple:
        """Differs for different planes, and sorts them in natural order.

        Names differ by their texts (`A1` and `A01` are two wells), positions
        by their numbers (z 1 is z 01).
        """
        groups = []
        for group in GROUPS:
            text = getattr(self, group)
            groups.append(natural_key(text))
            if group in _NAMES:
                groups.append(text or "")
        return (*groups, -1 if self.page is None else self.page)


def index_files(
    folder: str | os.PathLike, pattern: str, pages_are_z: bool = False
) -> tuple[FoundFile, ...]:
    """Finds the planes of a folder by the names of their files.

    Args:
        folder: The folder; folders in it are searched as well, hidden ones
            and hidden files are not.
        pattern: Regular expression for a whole name: the path of a file from
            `folder` on, with forward slashes. Has a named group `channel`,
            and may have `well`, `tile`, `row` and `column` (of a tile in a
            grid) and `z`. Files that it does not match are left out.
        pages_are_z: Whether the pages of a TIFF are focal positions.

    Returns:
        The planes, sorted by well, tile, row, column, channel and z. Numbers
        in names sort as numbers: `A2` stands before `A10`, -1.5 before 2.

    Raises:
        InputError: If the folder cannot be listed, the pattern is no regular
            expression, has other groups or matches no file, or two files are
            of one plane.
    """
    compiled = _compile(pattern, pages_are_z)
    names = list_names(folder, compiled)
    matches = [m for m in map(compiled.fullmatch, names) if m is not None]
    if not matches:
        raise InputError(
            f"{folder}: pattern must match a file. Received: {pattern} for "
            f"{len(names)} files"
            + (f" such as {min(names)}." if names else ".")
        )
    found = {}
    for match in matches:
        count = names[match.string]
        for file in _read_match(folder, match, count, pages_are_z):
            other = found.setdefault(file.plane_key, file)
            if other is not file:
                raise InputError(
                    f"{folder}: pattern must tell all planes apart. Received: "
                    f"one plane, {_describe(file)}, in {other.path} and "
                    f"{file.path}."
                )
    return tuple(found[key] for key in sorted(found))


def natural_key(text: str | None) -> tuple[tuple[int, float, str], ...]:
    """Returns a key that sorts numbers in texts as numbers.

    Args:
        text: Any text. If it is a number as a whole, it may have a sign and
            a fraction; inside a text, digits are whole numbers. None stands
            before all texts.
    """
    if text is None:
        return ()
    if _NUMBER.fullmatch(text):
        return ((0, float(text), ""),)
    return tuple(
        (0, float(part), "") if part.isdecimal() else (1, 0.0, part)
        for part in re.split(r"(\d+)", text)
        if part
    )


def _compile(pattern: str, pages_are_z: bool) -> re.Pattern:
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise InputError(
            f"pattern must be a regular expression ({error}). "
            f"Received: {pattern}"
        ) from error
    groups = set(compiled.groupindex)
    if "channel" not in groups or not groups <= set(GROUPS):
        raise InputError(
            "pattern must have the named group channel and no others than "
            f"{', '.join(GROUPS)}. Received: {pattern}"
        )
    if pages_are_z and "z" in groups:
        raise InputError(
            "pattern must have no group z where the pages of a TIFF are focal "
            f"positions. Received: {pattern}"
        )
    return compiled


def list_names(
    folder: str | os.PathLike,
    pattern: re.Pattern,
    on_failure: Callable[[pathlib.Path, InputError], None] | None = None,
) -> dict[str, int | None]:
    """Lists what a pattern is to match.

    Args:
        folder: The folder.
        pattern: A file or folder that it does not match itself, and that
            holds stacks, is replaced by these.
        on_failure: Called with a container that cannot be read, and why; by
            default that is raised.

    Returns:
        Names, relative to the folder, with forward slashes, to the number of
        planes of a stack in a container, None for a file.

    Raises:
        InputError: If the folder cannot be listed or a container cannot be
            read.
    """
    names: dict[str, int | None] = {}
    for path in _iter_paths(pathlib.Path(folder)):
        name = path.relative_to(folder).as_posix()
        if pattern.fullmatch(name) or not is_container(path):
            names[name] = None
            continue
        try:
            stacks = list(iter_stacks(path))
        except InputError as error:
            if on_failure is None:
                raise
            on_failure(path, error)
            continue
        names |= {f"{name}/{stack}": count for stack, count in stacks}
    return names


def _iter_paths(folder: pathlib.Path) -> Iterator[pathlib.Path]:
    # Files, and Zarr images and plates as if they were files.
    def refuse(error: OSError) -> None:
        raise InputError(
            f"{error.filename}: folder cannot be listed ({error.strerror})."
        ) from error

    for root, folders, files in os.walk(folder, onerror=refuse):
        place = pathlib.Path(root)
        visible = sorted(f for f in folders if not f.startswith("."))
        members = list_members(place)
        if members:
            # A group of images is a folder; its metadata are no files of it.
            visible, files = members, []
        zarrs = [
            name
            for name in visible
            if is_zarr(place / name) and not list_members(place / name)
        ]
        folders[:] = [name for name in visible if name not in zarrs]
        names = sorted(f for f in files if not f.startswith("."))
        yield from (place / name for name in [*zarrs, *names])


def _read_match(
    folder: str | os.PathLike,
    match: re.Match,
    num_pages: int | None,
    pages_are_z: bool,
) -> Iterator[FoundFile]:
    groups = match.groupdict()
    if not groups["channel"]:
        raise InputError(
            f"{folder}: pattern must find a channel in the name. "
            f"Received: {match.string}."
        )
    file = FoundFile(path=match.string, **groups)
    if num_pages is None and pages_are_z:
        num_pages = _count_pages(pathlib.Path(folder, file.path))
    if num_pages is None:
        yield file
        return
    for page in range(num_pages):
        yield dataclasses.replace(file, page=page)


def _count_pages(path: pathlib.Path) -> int | None:
    # None for a file that is no TIFF.
    if not is_tiff_name(path.name):
        return None
    tiff = open_ome_tiff(path)
    if len(tiff.planes) != 1:
        raise InputError(
            f"{tiff.path}: TIFF must hold one channel. "
            f"Received: {len(tiff.planes)}."
        )
    return len(tiff.planes[0])


def _describe(file: FoundFile) -> str:
    told = {group: getattr(file, group) for group in GROUPS}
    return ", ".join(f"{k} {v}" for k, v in told.items() if v is not None)
