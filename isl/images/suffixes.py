"""Names of images without the suffixes of their formats."""

import os

from isl.images.numbered_planes import PLANE_SUFFIXES
from isl.images.vendor import is_vendor_name


def strip_suffix(name: str) -> str:
    """Returns the name of an image without the suffix of its format.

    Other dots are part of the name: `20x_0.75NA_A1.ome.tif` is
    `20x_0.75NA_A1`.

    Args:
        name: Of a file, or of a folder of OME-Zarr.
    """
    stem, suffix = os.path.splitext(name)
    if suffix.lower() not in (*PLANE_SUFFIXES, ".zarr") and (
        not is_vendor_name(name)
    ):
        return name
    return stem[:-4] if stem.lower().endswith(".ome") else stem
