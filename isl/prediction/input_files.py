"""Which files a well is read from, and whether they have changed.

Nothing is read but names, sizes and times. Time is that of the last change of
the content, which is the same on all machines that share a file system, and
which copies that preserve times keep.
"""

import dataclasses
import os
import pathlib
from collections.abc import Iterable, Sequence

import numpy as np

from isl.errors import InputError
from isl.images import (
    PublishedName,
    group_published_files,
    is_one_image,
    is_well_name,
    is_zarr,
    is_zarr_folder,
    list_numbered_planes,
    split_inside,
    split_well_name,
)
from isl.specs import WellSpec

_ZARR_METADATA = ("zarr.json", ".zattrs", ".zgroup", ".zarray")


@dataclasses.dataclass(frozen=True)
class FileState:
    """A file as it was at some time.

    Attributes:
        path: The file.
        num_bytes: Its size.
        modified_ns: When its content was last changed, nanoseconds since
            1970.
    """

    path: str
    num_bytes: int
    modified_ns: int

    def __str__(self) -> str:
        time = np.datetime64(self.modified_ns, "ns")
        return f"{self.num_bytes} bytes, modified {time} UTC"


@dataclasses.dataclass(frozen=True)
class Change:
    """A file that is not as it was.

    Attributes:
        path: The file.
        before: What it was, in words.
        now: What it is.
    """

    path: str
    before: str
    now: str


def list_files(path: str | os.PathLike, well: str | None = None) -> list[str]:
    """Lists the files that tell whether the z-stack of a well has changed.

    These are all of its planes. Of an OME-Zarr image, which may have
    thousands of files, these are its metadata and one chunk.

    Args:
        path: As `isl.images.open_image` takes it.
        well: Which one of a folder in the published naming, as its files
            spell it; None if there is one.

    Returns:
        Paths, of which some may not be there; none if the image is damaged,
        which opening it tells.
    """
    try:
        return [str(file) for file in _list_files(pathlib.Path(path), well)]
    except InputError:
        return []


def list_spec_files(well: WellSpec, image_root: str | os.PathLike) -> list[str]:
    """Lists the files of a well of a data spec, as `list_files`.

    Args:
        well: The well.
        image_root: Folder that its path is relative to.
    """
    path = pathlib.Path(image_root, well.path)
    if well.planes is None:
        return list_files(path, well.name)
    folder = path.parent if is_one_image(path) else path
    return [file for name in well.planes for file in list_files(folder / name)]


def read_states(files: Iterable[str | os.PathLike]) -> tuple[FileState, ...]:
    """Returns the present state of files, each once, of those there are."""
    states = []
    for file in dict.fromkeys(map(str, files)):
        try:
            status = os.stat(file)
        except OSError:
            continue
        states.append(FileState(file, status.st_size, status.st_mtime_ns))
    return tuple(states)


def find_change(
    before: Sequence[FileState], now: Sequence[FileState]
) -> Change | None:
    """Returns the first file that differs; None if all are the same."""
    old, new = ({state.path: state for state in one} for one in (before, now))
    for path in sorted(old.keys() | new.keys()):
        if old.get(path) != new.get(path):
            states = (states.get(path, "no file") for states in (old, new))
            return Change(path, *map(str, states))
    return None


def plane_names(files: Iterable[tuple[PublishedName, str]]) -> list[str]:
    """Returns the names of those files of a published well that are planes.

    Args:
        files: Of one well, from `isl.images.group_published_files`.
    """
    return [name for parsed, name in files if parsed.z is not None]


def _list_files(
    path: pathlib.Path, well: str | None
) -> Iterable[str | os.PathLike]:
    container = split_inside(path)
    if container is not None:
        path = _find_image(*container)
    if is_zarr_folder(path):
        return _list_zarr_files(path)
    if not path.is_dir():
        return [path]
    names = () if well is not None else list_numbered_planes(path)
    return [path / name for name in names or _published_planes(path, well)]


def _find_image(container: pathlib.Path, inside: Sequence[str]) -> pathlib.Path:
    """Returns the field of a plate that names lead to, or the container.

    Not the plate: its metadata change when wells are added.
    """
    if len(inside) > 1 and is_well_name(inside[0]):
        field = container.joinpath(*split_well_name(inside[0]), inside[1])
        if is_zarr(field):
            return field
    return container


def _list_zarr_files(folder: pathlib.Path) -> list[pathlib.Path]:
    files = [folder / name for name in _ZARR_METADATA]
    for place, folders, names in os.walk(folder):
        # Masks, which others may add to an image later, are none of its pixels.
        folders[:] = sorted(_visible(folders) - {"labels"})
        chunks = sorted(_visible(names) - {*_ZARR_METADATA})
        if chunks:
            # Writing into an array leaves its metadata as they are.
            return [*files, pathlib.Path(place, chunks[0])]
    return files


def _visible(names: Iterable[str]) -> set[str]:
    return {name for name in names if not name.startswith(".")}


def _published_planes(folder: pathlib.Path, well: str | None) -> list[str]:
    wells = group_published_files(folder)
    if well is None or list(wells) == [""]:
        well = next(iter(wells))
    return plane_names(wells.get(well, ()))
