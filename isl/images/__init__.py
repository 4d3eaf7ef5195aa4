"""Pixels on disk to and from arrays."""

from isl.images.containers import open_inside, split_inside
from isl.images.discovery import locate, open_label, open_plane
from isl.images.fields import Field, FieldPlane, RawWell, find_raw_wells
from isl.images.name_pattern import (
    FoundFile,
    index_files,
    list_names,
    natural_key,
)
from isl.images.ome_image import OmeImage
from isl.images.ome_tiff import OmeTiff, TiffPlane, open_ome_tiff
from isl.images.ome_tiff_description import TiffDescription
from isl.images.ome_tiff_writer import (
    TileSink,
    check_tiff_suffix,
    streamed_ome_tiff,
    write_ome_tiff,
    write_ome_tiff_bands,
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
    "describe_choice",
    "fill_absent",
    "find_raw_wells",
    "find_wells",
    "index_files",
    "is_plate",
    "is_vendor_name",
    "is_zarr",
    "list_names",
    "list_published_wells",
    "list_vendor_scenes",
    "locate",
    "natural_key",
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
    "split_inside",
    "split_vendor_path",
    "streamed_ome_tiff",
    "streamed_ome_zarr",
    "write_ome_tiff",
    "write_ome_tiff_bands",
]
