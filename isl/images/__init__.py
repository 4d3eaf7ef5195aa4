"""Pixels on disk to and from arrays."""

from isl.images.ome_tiff import OmeTiff, TiffPlane, open_ome_tiff
from isl.images.ome_tiff_writer import (
    TileSink,
    check_tiff_suffix,
    streamed_ome_tiff,
    write_ome_tiff,
)
from isl.images.opening import (
    find_wells,
    open_image,
    open_well,
    open_wells,
)
from isl.images.plane import MaximumPlane, MeanPlane, Plane
from isl.images.published_png import (
    PngPlane,
    PublishedName,
    PublishedWell,
    list_published_wells,
    open_png,
    parse_published_name,
)
from isl.images.well import Well
from isl.images.z_selection import choose_planes

__all__ = [
    "MaximumPlane",
    "MeanPlane",
    "OmeTiff",
    "Plane",
    "PngPlane",
    "PublishedName",
    "PublishedWell",
    "TiffPlane",
    "TileSink",
    "Well",
    "check_tiff_suffix",
    "choose_planes",
    "find_wells",
    "list_published_wells",
    "open_image",
    "open_ome_tiff",
    "open_png",
    "open_well",
    "open_wells",
    "parse_published_name",
    "streamed_ome_tiff",
    "write_ome_tiff",
]
