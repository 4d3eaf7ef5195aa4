"""Pixels on disk to and from arrays."""

from isl.images.containers import open_inside, split_inside
from isl.images.discovery import (
    count_tiff_planes,
    locate,
    name_folder,
    open_channels,
    open_label,
    open_plane,
)
from isl.images.fields import Field, FieldPlane, RawWell, find_raw_wells
from isl.images.name_pattern import (
    FoundFile,
    index_files,
    list_names,
    natural_key,
)
from isl.images.numbered_planes import PLANE_SUFFIXES, list_numbered_planes
from isl.images.ome_image import OmeImage
from isl.images.ome_tiff import TiffPlane, open_ome_tiff
from isl.images.ome_tiff_description import TiffDescription, is_tiff_name
from isl.images.ome_tiff_writer import (
    TILE_SIZE,
    TileSink,
    check_tiff_suffix,
    streamed_ome_tiff,
    write_ome_tiff,
    write_ome_tiff_bands,
)
from isl.images.ome_zarr import ZarrStack, open_ome_zarr
from isl.images.ome_zarr_description import ZarrDescription
from isl.images.ome_zarr_metadata import (
    Plate,
    is_plate,
    is_zarr,
    is_zarr_folder,
    list_members,
    name_image,
    open_plate,
)
from isl.images.ome_zarr_plate import (
    PlateWriter,
    is_well_name,
    open_plate_writer,
    split_well_name,
)
from isl.images.ome_zarr_writer import (
    CHUNK_SIZE,
    RegionSink,
    check_zarr_suffix,
    streamed_ome_zarr,
)
from isl.images.opening import (
    find_wells,
    is_one_image,
    open_image,
    open_well,
    open_wells,
)
from isl.images.plane import (
    MaximumPlane,
    MeanPlane,
    Plane,
    StackPlane,
    read_whole,
)
from isl.images.published_png import (
    PngPlane,
    PublishedName,
    PublishedWell,
    group_published_files,
    is_published_name,
    list_published_wells,
    open_png,
    parse_published_name,
)
from isl.images.suffixes import strip_suffix
from isl.images.vendor import (
    is_vendor_name,
    list_vendor_scenes,
    open_vendor,
    split_vendor_path,
)
from isl.images.well import Well
from isl.images.z_selection import (
    align_planes,
    choose_planes,
    describe_choice,
    fill_absent,
    plane_presence,
)

__all__ = [
    "CHUNK_SIZE",
    "PLANE_SUFFIXES",
    "TILE_SIZE",
    "Field",
    "FieldPlane",
    "FoundFile",
    "MaximumPlane",
    "MeanPlane",
    "OmeImage",
    "Plane",
    "Plate",
    "PlateWriter",
    "PngPlane",
    "PublishedName",
    "PublishedWell",
    "RawWell",
    "RegionSink",
    "StackPlane",
    "TiffDescription",
    "TiffPlane",
    "TileSink",
    "Well",
    "ZarrDescription",
    "ZarrStack",
    "align_planes",
    "check_tiff_suffix",
    "check_zarr_suffix",
    "choose_planes",
    "count_tiff_planes",
    "describe_choice",
    "fill_absent",
    "find_raw_wells",
    "find_wells",
    "group_published_files",
    "index_files",
    "is_one_image",
    "is_plate",
    "is_published_name",
    "is_tiff_name",
    "is_vendor_name",
    "is_well_name",
    "is_zarr",
    "is_zarr_folder",
    "list_members",
    "list_names",
    "list_published_wells",
    "list_numbered_planes",
    "list_vendor_scenes",
    "locate",
    "name_folder",
    "name_image",
    "natural_key",
    "open_channels",
    "open_image",
    "open_inside",
    "open_label",
    "open_ome_tiff",
    "open_ome_zarr",
    "open_plane",
    "open_plate",
    "open_plate_writer",
    "open_png",
    "open_vendor",
    "open_well",
    "open_wells",
    "parse_published_name",
    "plane_presence",
    "read_whole",
    "split_inside",
    "split_vendor_path",
    "split_well_name",
    "streamed_ome_tiff",
    "streamed_ome_zarr",
    "strip_suffix",
    "write_ome_tiff",
    "write_ome_tiff_bands",
]
