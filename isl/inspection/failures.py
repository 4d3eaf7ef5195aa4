"""Why an image cannot be read."""

import os

import tifffile

from isl.errors import InputError
from isl.inspection.problems import Problem


def explain_failure(
    well: str, path: str | os.PathLike, error: InputError
) -> Problem:
    """Returns the problem of a file that cannot be opened or decoded.

    Args:
        well: Name of its well, or empty.
        path: The file or folder.
        error: What reading it raised; a path in front is left out.
    """
    kind = "not_grey" if _is_colour(path) else "unreadable"
    what = str(error).removeprefix(f"{path}: ")
    return Problem(kind, well, str(path), what)


def _is_colour(path: str | os.PathLike) -> bool:
    try:
        with open(path, "rb") as file:
            header = file.read(26)
        if header[1:4] == b"PNG":
            return header[25] != 0  # The colour type; 0 is grey.
        with tifffile.TiffFile(path) as tiff:
            page = tiff.pages.first
            palette = page.photometric == tifffile.PHOTOMETRIC.PALETTE
            return page.samplesperpixel > 1 or palette
    # A file that is damaged may raise anything, and has no colour to tell.
    except Exception:
        return False
