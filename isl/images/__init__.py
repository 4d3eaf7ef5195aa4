"""Pixels on disk to and from arrays."""

from isl.images.discovery import open_label, open_plane
from isl.images.fields import Field, FieldPlane, RawWell, find_raw_wells
from isl.images.name_pattern import FoundFile, index_files, natural_key
from isl.images.ome_image import OmeImage
from isl.images.ome_tiff import OmeTiff, TiffPlane, open_ome_tiff
from isl.images.ome_tiff_writer import (
    TileSink,
    check_tiff_suffix,
    streamed_ome_tiff,
    write_ome_tiff,
)
from isl.images.ome_zarr import OmeZarr, ZarrStack, open_ome_zarr
from isl.images.ome_zarr_description import ZarrDescription
from isl.images.ome_zarr_metadata import Plate, is_plate, is_zarr, open_plate
from isl.images.ome_zarr_plate import PlateWriter, open_plate_writer
from isl.images.ome_zarr_writer import (
    RegionSink,
    check_zarr_suffix,
    streamed_ome_zarr,
)
from isl.images.opening import (
    find_wells,
    open_image,
    open_well,
    open_wells,
)
from isl.images.plane import MaximumPlane, MeanPlane, Plane, StackPlane
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
    "Field",
    "FieldPlane",
    "FoundFile",
    "MaximumPlane",
    "MeanPlane",
    "OmeImage",
    "OmeTiff",
    "OmeZarr",
    "Plane",
    "Plate",
    "PlateWriter",
    "PngPlane",
    "PublishedName",
    "PublishedWell",
    "RawWell",
    "RegionSink",
    "StackPlane",
    "TiffPlane",
    "TileSink",
    "Well",
    "ZarrDescription",
    "ZarrStack",
    "check_tiff_suffix",
    "check_zarr_suffix",
    "choose_planes",
    "find_raw_wells",
    "find_wells",
    "index_files",
    "is_plate",
    "is_zarr",
    "list_published_wells",
    "natural_key",
    "open_image",
    "open_label",
    "open_ome_tiff",
    "open_ome_zarr",
    "open_plane",
    "open_plate",
    "open_plate_writer",
    "open_png",
    "open_well",
    "open_wells",
    "parse_published_name",
    "streamed_ome_tiff",
    "streamed_ome_zarr",
    "write_ome_tiff",
]
