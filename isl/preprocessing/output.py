"""Writes prepared wells, each complete or not at all."""

import contextlib
import dataclasses
import os
import pathlib
import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from isl.files import atomic_path
from isl.images import (
    RegionSink,
    ZarrDescription,
    open_plate_writer,
    streamed_ome_zarr,
    write_ome_tiff,
)
from isl.specs import WellSpec

FORMATS = ("ome_tiff", "ome_zarr")
PLATE = "plate.zarr"

_BAND_ROWS = 256  # As the chunks of a Zarr: each is written once.
_PLATE_WELL = re.compile(r"([A-Za-z]+)([0-9]+)")


@dataclasses.dataclass(frozen=True)
class PreparedImages:
    """The images of a well as they are to be written.

    Attributes:
        modality: Of the planes.
        labels: Names of the labels, in order.
        pixels: uint16, [image, row, column]: the planes, then the labels;
            usually a memory map.
        pixel_size_um: Side of a pixel in micrometres, or None.
        z_spacing_um: Distance of planes in micrometres, or None.
        annotations: How they were made; JSON-serialisable.
    """

    modality: str
    labels: tuple[str, ...]
    pixels: np.ndarray
    pixel_size_um: float | None
    z_spacing_um: float | None
    annotations: Mapping[str, Any]

    @property
    def num_z(self) -> int:
        """Number of planes."""
        return len(self.pixels) - len(self.labels)


@contextlib.contextmanager
def scratch_images(
    folder: str | os.PathLike, shape: tuple[int, int, int]
) -> Iterator[np.ndarray]:
    """Yields images on disk, uint16, that vanish when the block ends.

    Args:
        folder: Where there is room for them.
        shape: Images, rows and columns.
    """
    with tempfile.TemporaryFile(dir=folder) as file:
        yield np.memmap(file, np.uint16, "w+", shape=shape)


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
            _PLATE_WELL.fullmatch(name) for name in names
        )

    def path(self, name: str) -> str:
        """Returns where a well goes, relative to the folder."""
        if self._is_plate:
            row, column = _PLATE_WELL.fullmatch(name).groups()
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
                f"{path}/planes.ome.tif",
                splits,
                labels=dict.fromkeys(labels, "labels.ome.tif"),
            )
        return WellSpec(name, f"{path}/0" if self._is_plate else path, splits)

    def write(self, name: str, images: PreparedImages) -> None:
        """Writes a well, or nothing."""
        if self._format == "ome_tiff":
            self._write_tiff(name, images)
            return
        description = ZarrDescription(
            shape=images.pixels.shape[1:],
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

    def _write_tiff(self, name: str, images: PreparedImages) -> None:
        with atomic_path(self._folder / name) as temporary:
            temporary.mkdir()
            write_ome_tiff(
                temporary / "planes.ome.tif",
                images.pixels[: images.num_z],
                "ZYX",
                (images.modality,),
                images.pixel_size_um,
                images.annotations,
                images.z_spacing_um,
            )
            if images.labels:
                write_ome_tiff(
                    temporary / "labels.ome.tif",
                    images.pixels[images.num_z :],
                    "CYX",
                    images.labels,
                    images.pixel_size_um,
                    images.annotations,
                )


def _fill(sink: RegionSink, images: PreparedImages) -> None:
    """Writes band by band, so that each chunk is written once."""
    _, rows, columns = images.pixels.shape
    across = slice(0, columns)
    stack, labels = np.split(images.pixels, [images.num_z])
    for start in range(0, rows, _BAND_ROWS):
        band = slice(start, min(start + _BAND_ROWS, rows))
        sink.write_channel(0, band, across, stack[:, band])
        for index, label in enumerate(labels, start=1):
            sink.write_channel(index, band, across, label[band])
