"""Writes prepared wells, each complete or not at all."""

import dataclasses
import os
import pathlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from isl.files import atomic_path
from isl.images import (
    CHUNK_SIZE,
    TILE_SIZE,
    RegionSink,
    TiffDescription,
    ZarrDescription,
    is_well_name,
    open_plate_writer,
    split_well_name,
    streamed_ome_zarr,
    write_ome_tiff_bands,
)
from isl.specs import WellSpec

PLANES_FILE = "planes.ome.tif"
LABELS_FILE = "labels.ome.tif"
"""Of a well as OME-TIFF."""
FORMATS = ("ome_tiff", "ome_zarr")
PLATE = "plate.zarr"


@dataclasses.dataclass(frozen=True)
class PreparedImages:
    """The images of a well as they are to be written.

    Attributes:
        modality: Of the planes.
        labels: Names of the labels, in order.
        num_z: Number of planes.
        shape: Rows and columns.
        read: Returns rows of an image, uint16, [row, column]; images count
            from 0, the planes, then the labels.
        pixel_size_um: Side of a pixel in micrometres, or None.
        z_spacing_um: Distance of planes in micrometres, or None.
        annotations: How they were made; JSON-serialisable.
    """

    modality: str
    labels: tuple[str, ...]
    num_z: int
    shape: tuple[int, int]
    read: Callable[[int, slice], np.ndarray]
    pixel_size_um: float | None
    z_spacing_um: float | None
    annotations: Mapping[str, Any]

    def iter_bands(self, size: int) -> Iterator[slice]:
        """Yields rows from top to bottom, `size` at a time."""
        num_rows = self.shape[0]
        for start in range(0, num_rows, size):
            yield slice(start, min(start + size, num_rows))


class WellWriter:
    """Writes wells into a folder, in one of `FORMATS`."""

    def __init__(
        self,
        folder: str | os.PathLike,
        image_format: str,
        names: Sequence[str],
    ):
        """Decides where wells go.

        Args:
            folder: The folder.
            image_format: One of `FORMATS`.
            names: Of all wells. OME-Zarr makes a plate of them if they are
                called as on a plate (A1, B02), and an image of each if not.
        """
        self._folder = pathlib.Path(folder)
        self._format = image_format
        self._is_plate = image_format == "ome_zarr" and all(
            map(is_well_name, names)
        )

    def path(self, name: str) -> str:
        """Returns where a well goes, relative to the folder."""
        if self._is_plate:
            row, column = split_well_name(name)
            return f"{PLATE}/{row}/{column}"
        return name if self._format == "ome_tiff" else f"{name}.zarr"

    def is_written(self, name: str) -> bool:
        """Whether a well is there; if so, it is complete."""
        return (self._folder / self.path(name)).exists()

    def well_spec(
        self, name: str, labels: Sequence[str], splits: Mapping[str, Any]
    ) -> WellSpec:
        """Returns the entry of a well in a data spec."""
        path = self.path(name)
        if self._format == "ome_tiff":
            return WellSpec(
                name,
                f"{path}/{PLANES_FILE}",
                splits,
                labels=dict.fromkeys(labels, LABELS_FILE),
            )
        return WellSpec(name, f"{path}/0" if self._is_plate else path, splits)

    def write(self, name: str, images: PreparedImages) -> None:
        """Writes a well, or nothing."""
        if self._format == "ome_tiff":
            self._write_tiff(name, images)
            return
        description = ZarrDescription(
            shape=images.shape,
            channel_names=(images.modality, *images.labels),
            num_z=images.num_z,
            pixel_size_um=images.pixel_size_um,
            z_spacing_um=images.z_spacing_um,
            annotations=images.annotations,
        )
        if self._is_plate:
            plate = open_plate_writer(self._folder / PLATE)
            with plate.streamed_well(name, description) as sink:
                _fill(sink, images)
            return
        path = self._folder / self.path(name)
        with streamed_ome_zarr(path, description) as sink:
            _fill(sink, images)

    def finish(self) -> None:
        """Lists all wells that are there, where they make a plate.

        `write` does so as well, but not if it is killed just before.
        """
        if self._is_plate:
            open_plate_writer(self._folder / PLATE)

    def _write_tiff(self, name: str, images: PreparedImages) -> None:
        with atomic_path(self._folder / name) as temporary:
            temporary.mkdir()
            planes = TiffDescription(
                axes="ZYX",
                shape=(images.num_z, *images.shape),
                dtype=np.dtype(np.uint16),
                channel_names=(images.modality,),
                pixel_size_um=images.pixel_size_um,
                z_spacing_um=images.z_spacing_um,
                annotations=images.annotations,
            )
            write_ome_tiff_bands(
                temporary / PLANES_FILE,
                _iter_bands(images, range(images.num_z)),
                planes,
            )
            if images.labels:
                labels = dataclasses.replace(
                    planes,
                    axes="CYX",
                    shape=(len(images.labels), *images.shape),
                    channel_names=images.labels,
                    z_spacing_um=None,
                )
                last = images.num_z + len(images.labels)
                write_ome_tiff_bands(
                    temporary / LABELS_FILE,
                    _iter_bands(images, range(images.num_z, last)),
                    labels,
                )


def _iter_bands(
    images: PreparedImages, indices: Sequence[int]
) -> Iterator[np.ndarray]:
    """Yields images one after the other, each from top to bottom."""
    for index in indices:
        for rows in images.iter_bands(TILE_SIZE):
            yield images.read(index, rows)


def _fill(sink: RegionSink, images: PreparedImages) -> None:
    """Writes band by band, so that each chunk is written once."""
    across = slice(0, images.shape[1])
    for rows in images.iter_bands(CHUNK_SIZE):
        stack = [images.read(z, rows) for z in range(images.num_z)]
        sink.write_channel(0, rows, across, np.stack(stack))
        for index in range(len(images.labels)):
            band = images.read(images.num_z + index, rows)
            sink.write_channel(1 + index, rows, across, band)
