"""Writing OME-Zarr 0.5, also of images that are larger than memory."""

import contextlib
import dataclasses
import itertools
import math
import os
import pathlib
from collections.abc import Iterator

import numpy as np
import zarr
from zarr.codecs import BloscCodec

from isl.errors import InputError
from isl.files import atomic_path
from isl.images.ome_zarr_description import ZarrDescription
from isl.images.plane import check_region

# Rows and columns of a chunk, which has all planes of one channel: a crop of
# 250 x 250 pixels touches four chunks, and a well of 4,600 x 4,600 pixels has
# 324 files a channel. So there is no need of shards, which could be written
# only as a whole.
CHUNK_SIZE = 256

# An image gets levels of half the size until its longer side is this long.
MAX_COARSEST_SIZE = 1024


@dataclasses.dataclass(frozen=True)
class RegionSink:
    """Takes regions of an image in any order; see `streamed_ome_zarr`.

    Regions that begin and end where chunks do (multiples of `CHUNK_SIZE`) are
    written fastest: others read a chunk back to change a part of it.

    Attributes:
        array: The image so far.
        written: Pixels of a plane that each channel has got so far.
    """

    array: zarr.Array
    written: list[int]

    def write(self, rows: slice, columns: slice, values: np.ndarray) -> None:
        """Writes a region of all channels.

        Args:
            rows: Where the region lies, in pixels.
            columns: Likewise.
            values: [channel, z, row, column], without z if the image has
                none.

        Raises:
            ValueError: If the region reaches outside the image, or `values`
                have another shape or a type that the image cannot hold.
        """
        self._write(slice(0, self.array.shape[0]), rows, columns, values)

    def write_channel(
        self, channel: int, rows: slice, columns: slice, values: np.ndarray
    ) -> None:
        """Writes a region of one channel.

        Args:
            channel: Index of the channel.
            rows: Where the region lies, in pixels.
            columns: Likewise.
            values: [z, row, column]; or [row, column] for a label, which is
                put into the first plane of a stack. The others stay 0: a
                label is the maximum over z, and zeros cost next to nothing.

        Raises:
            ValueError: As `write`.
        """
        if self.array.ndim == 4 and values.ndim == 2:
            stack = np.zeros((self.array.shape[1], *values.shape), values.dtype)
            stack[0] = values
            values = stack
        channels = slice(channel, channel + 1)
        self._write(channels, rows, columns, values[np.newaxis])

    def _write(
        self, channels: slice, rows: slice, columns: slice, values: np.ndarray
    ) -> None:
        rows, columns = check_region(self.array.shape[-2:], rows, columns)
        size = (rows.stop - rows.start, columns.stop - columns.start)
        num_channels = channels.stop - channels.start
        expected = (num_channels, *self.array.shape[1:-2], *size)
        if values.shape != expected or not np.can_cast(
            values.dtype, self.array.dtype, "same_kind"
        ):
            raise ValueError(
                f"values must be {self.array.dtype} of the shape {expected}. "
                f"Received: {values.dtype} of the shape {values.shape}."
            )
        self.array[channels, ..., rows, columns] = values
        for channel in range(channels.start, channels.stop):
            self.written[channel] += size[0] * size[1]


@contextlib.contextmanager
def streamed_ome_zarr(
    path: str | os.PathLike, image: ZarrDescription
) -> Iterator[RegionSink]:
    """Writes an OME-Zarr image, axes CZYX or CYX, region by region.

    Chunks are made for random crops: one holds all planes of one channel in
    256 x 256 pixels. Memory is one region of the caller and a few chunks.
    Below full size stand resolutions of half the size, by averaging, as many
    as bring the longer side to 1,024 pixels: viewers need them.
    Nothing appears at `path` unless the block succeeds.

    Args:
        path: Output, ending in `.zarr`.
        image: What it is to hold.

    Yields:
        The sink; its `write(rows, columns, values)` takes a region.

    Raises:
        InputError: If `path` has another suffix.
        ValueError: If the regions do not add up to the image.
    """
    check_zarr_suffix(path)
    with atomic_path(path) as temporary:
        with streamed_image(temporary, image) as sink:
            yield sink


def check_zarr_suffix(path: str | os.PathLike) -> None:
    """Checks that a path ends in `.zarr`.

    Raises:
        InputError: If not.
    """
    if not str(path).lower().endswith(".zarr"):
        raise InputError(f"{path}: output must end in .ome.zarr or .zarr.")


@contextlib.contextmanager
def streamed_image(
    folder: pathlib.Path, image: ZarrDescription
) -> Iterator[RegionSink]:
    """Writes an image into a folder that is not there yet.

    In contrast to `streamed_ome_zarr` a failure leaves half an image.
    """
    excess = max(image.shape) / MAX_COARSEST_SIZE
    num_levels = 1 + max(0, math.ceil(math.log2(excess)))
    group = zarr.create_group(
        str(folder), attributes=image.attributes(folder.name, num_levels)
    )
    array = _create_level(group, "0", image, image.full_shape)
    sink = RegionSink(array, [0] * len(image.channel_names))
    yield sink
    for name, written in zip(image.channel_names, sink.written, strict=True):
        if written != math.prod(image.shape):
            raise ValueError(
                f"regions must add up to {math.prod(image.shape)} pixels. "
                f"Received: {written} pixels of channel {name}."
            )
    for level in range(1, num_levels):
        shape = tuple(-(-size // 2) for size in array.shape[-2:])
        coarser = _create_level(
            group, str(level), image, (*array.shape[:-2], *shape)
        )
        _average(array, coarser)
        array = coarser


def _create_level(
    group: zarr.Group, name: str, image: ZarrDescription, shape: tuple[int, ...]
) -> zarr.Array:
    chunk = (1, *shape[1:-2], *(min(CHUNK_SIZE, size) for size in shape[-2:]))
    return group.create_array(
        name,
        shape=shape,
        chunks=chunk,
        dtype=np.dtype(image.dtype),
        dimension_names=list(image.axes),
        # Measured on wells of 13 planes: as fast as no compression where
        # noise fills 16 bits, and three quarters of the size for 12 bits.
        compressors=BloscCodec(cname="zstd", clevel=3, shuffle="bitshuffle"),
        # So that a reader knows that a chunk is lost (`open_ome_zarr`).
        config={"write_empty_chunks": True},
    )


def _average(finer: zarr.Array, coarser: zarr.Array) -> None:
    # Block by block, so that each chunk of `coarser` is written once.
    size = CHUNK_SIZE
    for channel, row, column in itertools.product(
        range(coarser.shape[0]),
        range(0, coarser.shape[-2], size),
        range(0, coarser.shape[-1], size),
    ):
        rows = slice(row, row + size)
        columns = slice(column, column + size)
        block = finer[channel, ..., _double(rows), _double(columns)]
        coarser[channel, ..., rows, columns] = average_pairs(block)


def _double(span: slice) -> slice:
    return slice(2 * span.start, 2 * span.stop)


def average_pairs(block: np.ndarray) -> np.ndarray:
    """Returns an image at half the size, each pixel the mean of 2 x 2.

    Args:
        block: uint16 or float32, [..., row, column]. A last row or column
            without a neighbour is averaged with itself.

    Returns:
        The same type; integers are rounded half up.
    """
    odd = [(0, size % 2) for size in block.shape[-2:]]
    padded = np.pad(block, [(0, 0)] * (block.ndim - 2) + odd, mode="edge")
    wide = padded.astype(np.uint32 if block.dtype.kind == "u" else np.float32)
    pairs = wide[..., 0::2, :] + wide[..., 1::2, :]
    total = pairs[..., 0::2] + pairs[..., 1::2]
    mean = (total + 2) // 4 if block.dtype.kind == "u" else total / 4
    return mean.astype(block.dtype)
