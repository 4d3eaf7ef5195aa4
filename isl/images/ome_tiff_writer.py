"""Writing OME-TIFF, also of images that are larger than memory."""

import contextlib
import dataclasses
import math
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, BinaryIO

import numpy as np
import tifffile

from isl.errors import InputError
from isl.files import atomic_path
from isl.images.ome_tiff_description import TiffDescription, is_tiff_name
from isl.images.plane import check_region

TILE_SIZE = 256

# Above this a classic TIFF could outgrow its 32-bit offsets.
BIGTIFF_BYTES = 2**32 - 2**25


@dataclasses.dataclass(frozen=True)
class TileSink:
    """Takes the tiles of an image in any order; see `streamed_ome_tiff`.

    Attributes:
        scratch: The image so far, float32, uncompressed.
        shape: Channels, rows and columns.
        written: Number of pixels in each tile so far.
    """

    scratch: BinaryIO
    shape: tuple[int, int, int]
    written: list[int]

    def write(self, rows: slice, columns: slice, values: np.ndarray) -> None:
        """Writes one tile. Tiles may come in any order.

        Args:
            rows: Where the tile lies, in pixels.
            columns: Likewise.
            values: All channels, [channel, row, column]; stored as float32.

        Raises:
            ValueError: If the tile reaches outside the image or `values` has
                another shape.
        """
        num_channels, num_rows, num_columns = self.shape
        rows, columns = check_region((num_rows, num_columns), rows, columns)
        size = (rows.stop - rows.start, columns.stop - columns.start)
        if values.shape != (num_channels, *size):
            raise ValueError(
                f"values must have the shape {(num_channels, *size)}. "
                f"Received: {values.shape}."
            )
        values = np.ascontiguousarray(values, np.float32)
        for channel in range(num_channels):
            for row in range(size[0]):
                first = (channel * num_rows + rows.start + row) * num_columns
                self.scratch.seek(4 * (first + columns.start))
                self.scratch.write(values[channel, row].data)
        self.written.append(size[0] * size[1])


@contextlib.contextmanager
def streamed_ome_tiff(
    path: str | os.PathLike,
    shape: tuple[int, int],
    channel_names: Sequence[str],
    pixel_size_um: float | None = None,
    annotations: Mapping[str, Any] | None = None,
) -> Iterator[TileSink]:
    """Writes a float32 OME-TIFF, axes CYX, tile by tile.

    A predictor computes all channels of one tile at a time, whereas a TIFF
    keeps each channel apart, and the size of a compressed tile is known only
    once it is complete. So the tiles go into an uncompressed scratch file
    beside the output first, by plain seek and write. When the block ends,
    each channel is read back in bands of 256 rows and written as compressed
    tiles. Memory is one tile of the caller and one band; the scratch file
    needs 4 bytes per value of free disk until the end. Nothing appears at
    `path` unless the block succeeds.

    Args:
        path: Output, ending in `.ome.tif` or another TIFF suffix.
        shape: Rows and columns of the image.
        channel_names: Such as `DAPI_CONFOCAL:median`.
        pixel_size_um: Side of a pixel in micrometres, None if unknown.
        annotations: Further facts that JSON can hold, such as the offset of
            the origin; stored as JSON in the description of the image.

    Yields:
        The sink; its `write(rows, columns, values)` takes a tile.

    Raises:
        InputError: If `path` has no TIFF suffix.
        ValueError: If the tiles do not add up to the image.
    """
    check_tiff_suffix(path)
    full = (len(channel_names), *shape)
    description = TiffDescription(
        axes="CYX",
        shape=full,
        dtype=np.dtype(np.float32),
        channel_names=channel_names,
        pixel_size_um=pixel_size_um,
        annotations=annotations,
    )
    with atomic_path(path) as temporary:
        scratch_path = temporary.with_name("scratch")
        with open(scratch_path, "w+b") as scratch:
            scratch.truncate(4 * math.prod(full))
            sink = TileSink(scratch, full, [])
            yield sink
            if sum(sink.written) != shape[0] * shape[1]:
                raise ValueError(
                    f"tiles must add up to {shape[0] * shape[1]} pixels. "
                    f"Received: {sum(sink.written)} pixels."
                )
            _write(temporary, _iter_scratch_bands(scratch, full), description)
        scratch_path.unlink()


def write_ome_tiff(
    path: str | os.PathLike,
    image: np.ndarray,
    axes: str,
    channel_names: Sequence[str],
    pixel_size_um: float | None = None,
    annotations: Mapping[str, Any] | None = None,
    z_spacing_um: float | None = None,
) -> None:
    """Writes an array as an OME-TIFF, tiled and compressed.

    Args:
        path: Output, ending in `.ome.tif` or another TIFF suffix.
        image: uint8, uint16 or float32; may be a memory map.
        axes: One letter an axis of `image`: YX after any of C and Z.
        channel_names: One a channel; one in all where `axes` has no C.
        pixel_size_um: Side of a pixel in micrometres, None if unknown.
        annotations: Further facts that JSON can hold.
        z_spacing_um: Distance of planes in micrometres, None if unknown.

    Raises:
        InputError: If `path` has no TIFF suffix.
        ValueError: If the arguments do not fit one another.
    """
    check_tiff_suffix(path)
    description = TiffDescription(
        axes=axes,
        shape=image.shape,
        dtype=image.dtype,
        channel_names=channel_names,
        pixel_size_um=pixel_size_um,
        z_spacing_um=z_spacing_um,
        annotations=annotations,
    )
    bands = (
        plane[row : row + TILE_SIZE]
        for plane in image.reshape(-1, *image.shape[-2:])
        for row in range(0, plane.shape[0], TILE_SIZE)
    )
    write_ome_tiff_bands(path, bands, description)


def write_ome_tiff_bands(
    path: str | os.PathLike,
    bands: Iterable[np.ndarray],
    description: TiffDescription,
) -> None:
    """Writes an OME-TIFF, tiled and compressed, from bands made one by one.

    Args:
        path: Output, ending in `.ome.tif` or another TIFF suffix.
        bands: Plane after plane in the order of the axes, each from top to
            bottom, `TILE_SIZE` rows at a time, [row, column]; the last band
            of a plane may have fewer.
        description: What they are.

    Raises:
        InputError: If `path` has no TIFF suffix.
    """
    check_tiff_suffix(path)
    with atomic_path(path) as temporary:
        _write(temporary, bands, description)


def check_tiff_suffix(path: str | os.PathLike) -> None:
    """Checks that a path ends in `.tif` or `.tiff`.

    Raises:
        InputError: If not.
    """
    if not is_tiff_name(str(path)):
        raise InputError(
            f"{path}: output must end in .ome.tif, .ome.tiff, .tif or .tiff."
        )


def _write(
    path: str | os.PathLike,
    bands: Iterable[np.ndarray],
    description: TiffDescription,
) -> None:
    shape, dtype = description.shape, description.dtype
    metadata = description.metadata()
    big = math.prod(shape) * dtype.itemsize > BIGTIFF_BYTES
    with tifffile.TiffWriter(path, bigtiff=big, ome=True) as tiff:
        tiff.write(
            _iter_tiles(bands, dtype),
            shape=shape,
            dtype=dtype,
            tile=(TILE_SIZE, TILE_SIZE),
            photometric="minisblack",
            compression="adobe_deflate",
            # A higher level saves little on predictions and takes twice
            # the time (measured: 6 % against 8 % of a median's size).
            compressionargs={"level": 1},
            software=metadata["Creator"],
            metadata=metadata,
            maxworkers=1,  # More would collect tiles in memory.
        )


def _iter_tiles(
    bands: Iterable[np.ndarray], dtype: np.dtype
) -> Iterator[np.ndarray]:
    # Cuts bands of up to TILE_SIZE rows into tiles, padded to full size.
    for band in bands:
        for column in range(0, band.shape[1], TILE_SIZE):
            part = band[:, column : column + TILE_SIZE]
            tile = np.zeros((TILE_SIZE, TILE_SIZE), dtype)
            tile[: part.shape[0], : part.shape[1]] = part
            yield tile


def _iter_scratch_bands(
    scratch: BinaryIO, shape: tuple[int, int, int]
) -> Iterator[np.ndarray]:
    num_channels, num_rows, num_columns = shape
    scratch.seek(0)  # From here on the file is read in its own order.
    for _ in range(num_channels):
        for row in range(0, num_rows, TILE_SIZE):
            size = (min(TILE_SIZE, num_rows - row), num_columns)
            band = scratch.read(4 * math.prod(size))
            yield np.frombuffer(band, np.float32).reshape(size)
