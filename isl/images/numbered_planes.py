"""A folder that holds one z-stack as files with numbers in their names."""

import os
import pathlib
import re

from isl.errors import InputError
from isl.images.ome_tiff_description import TIFF_SUFFIXES
from isl.images.published_png import is_published_name, list_folder

# Of files that are taken for planes.
PLANE_SUFFIXES = (".png", *TIFF_SUFFIXES)

# What may stand before the number of a plane. Wells, channels, times and
# tiles are numbered as well: a stack of those would be nonsense that nobody
# notices.
_MARKERS = {
    "z",
    "depth",
    "focus",
    "image",
    "img",
    "plane",
    "section",
    "slice",
    "stack",
}
_NUMBER = re.compile(r"(\d+)")
_WORD = re.compile(r"([a-z]*)[-_ ]*$", re.IGNORECASE)


def list_numbered_planes(folder: str | os.PathLike) -> tuple[str, ...]:
    """Lists the planes of a folder whose names differ in one number.

    Before the number stands `z`, a word such as `slice` or `img`, or nothing:
    `cells_z00.tif`, `img-3.png`, `7.tif`.

    Args:
        folder: The folder.

    Returns:
        File names in the order of the number; none if this is not such a
        folder: there are fewer than two images, some have names of the
        published data, or the names differ elsewhere.

    Raises:
        InputError: If the folder cannot be listed, or a number is missing or
            comes twice.
    """
    names = [
        name
        for name in list_folder(folder)
        if pathlib.Path(name).suffix.lower() in PLANE_SUFFIXES
        and not name.startswith(".")
    ]
    if len(names) < 2 or any(map(is_published_name, names)):
        return ()
    split = [_NUMBER.split(name) for name in names]
    differing = {
        place
        for parts in split
        for place in range(max(len(parts), len(split[0])))
        if parts[place : place + 1] != split[0][place : place + 1]
    }
    if len(differing) != 1:
        return ()
    (place,) = differing
    if place % 2 == 0 or not _marks_planes(split[0][:place]):
        return ()
    return _in_order(
        folder,
        {
            name: int(parts[place])
            for name, parts in zip(names, split, strict=True)
        },
    )


def _marks_planes(before: list[str]) -> bool:
    """Whether what stands before a number makes it that of a plane.

    Nothing does, at the beginning of the name only: in `B02_1.tif` the number
    is that of a tile.
    """
    if not "".join(before).strip("-_ "):
        return True
    word = _WORD.search(before[-1])
    return word is not None and word[1].lower() in _MARKERS


def _in_order(
    folder: str | os.PathLike, numbers: dict[str, int]
) -> tuple[str, ...]:
    names = sorted(numbers, key=numbers.get)
    expected = range(numbers[names[0]], numbers[names[0]] + len(names))
    for name, number in zip(names, expected, strict=True):
        if numbers[name] != number:
            raise InputError(
                f"{folder}: planes must be numbered without a gap, each once. "
                f"Received: {name}, where {number} was expected"
            )
    return tuple(names)
