"""Reading OME-TIFF (and plain TIFF stacks) by region."""

import dataclasses
import functools
import math
import os
import struct

import numpy as np
import tifffile

from isl.errors import InputError
from isl.images.ome_image import OmeImage
from isl.images.ome_xml import parse_ome_xml
from isl.images.plane import (
    CachingPlane,
    check_region,
    gain_of,
    widen,
    widened_dtype,
)

# Compressed tiles or strips that are kept after decoding, a file; at least
# one a plane, so that a plane in one piece is decoded once.
CACHE_BYTES = 2**28

_JPEG = (
    tifffile.COMPRESSION.OJPEG,
    tifffile.COMPRESSION.JPEG,
    tifffile.COMPRESSION.ALT_JPEG,
    tifffile.COMPRESSION.JPEG_LOSSY,
)

Segment = tuple[int, int, np.ndarray]  # first row, first column, pixels


@dataclasses.dataclass(frozen=True)
class TiffPlane(CachingPlane):
    """One plane of a TIFF.

    Attributes:
        path: The file.
        shape: Rows and columns.
        stored_dtype: Of the file, with its byte order.
        offset: Where the pixels begin, if they lie in one uncompressed run.
        page: Index of the plane's page in the file.
        grid: Rows and columns of a tile (or strip), and tiles in a row.
        decode: Returns a `Segment` by (page, index of the segment).
    """

    path: str
    shape: tuple[int, int]
    stored_dtype: np.dtype
    offset: int | None
    page: int
    grid: tuple[int, int, int]

    @property
    def dtype(self) -> np.dtype:
        """Of what `read` returns; files of 8 bits are read as uint16."""
        return widened_dtype(self.stored_dtype)

    @property
    def gain(self) -> int:
        """What the values of the file are multiplied by: 257 for 8 bits."""
        return gain_of(self.stored_dtype)

    def read(self, rows: slice, columns: slice) -> np.ndarray:
        """Returns a region, [row, column]; 8-bit values times 257.

        Raises:
            InputError: If the file cannot be decoded.
            ValueError: If the region has a step or reaches outside.
        """
        rows, columns = check_region(self.shape, rows, columns)
        if self.offset is not None:
            stored = np.memmap(
                self.path, self.stored_dtype, "r", self.offset, self.shape
            )
            image = np.array(stored[rows, columns])
        else:
            image = self._read_segments(rows, columns)
        return widen(image)

    def _read_segments(self, rows: slice, columns: slice) -> np.ndarray:
        num_rows, num_columns, across = self.grid
        image = np.zeros(
            (rows.stop - rows.start, columns.stop - columns.start),
            self.stored_dtype.newbyteorder("="),
        )
        for down in range(rows.start // num_rows, -(-rows.stop // num_rows)):
            for side in range(
                columns.start // num_columns, -(-columns.stop // num_columns)
            ):
                row, column, pixels = self.decode(
                    self.page, down * across + side
                )
                _paste(image, row - rows.start, column - columns.start, pixels)
        return image


def open_ome_tiff(path: str | os.PathLike) -> OmeImage:
    """Opens an OME-TIFF, or a plain TIFF stack; reads its headers only.

    Axes may be any order of Z and C before rows and columns; T must be of
    length 1. A plain stack of pages is taken for focal positions.

    Raises:
        InputError: If the file is missing, is not a TIFF, is truncated,
            lacks a plane, or holds anything but grey planes of one image.
    """
    path = str(path)
    try:
        with tifffile.TiffFile(path) as tiff:
            return _open(path, tiff)
    except (InputError, MemoryError):
        raise
    except OSError as error:
        raise InputError(
            f"{path}: cannot be read ({error.strerror or error})."
        ) from error
    # A damaged TIFF raises struct.error, KeyError, TypeError and more.
    except Exception as error:
        raise InputError(
            f"{path}: must be a TIFF that can be read. Received: {error}."
        ) from error


def _open(path: str, tiff: tifffile.TiffFile) -> OmeImage:
    if len(tiff.series) != 1:
        raise InputError(
            f"{path}: TIFF must hold one image. "
            f"Received: {len(tiff.series)} images."
        )
    _check_last_page(path, tiff)
    series = tiff.series[0]
    axes = _check_axes(path, series)
    num_channels, num_z = axes.get("C", 1), axes.get("Z", 1)
    order = np.arange(num_channels * num_z).reshape(tuple(axes.values()))
    if list(axes) == ["Z", "C"]:
        order = order.T
    planes = _open_planes(path, series, num_channels * num_z)
    described = parse_ome_xml(path, tiff.ome_metadata)
    names = described.channel_names
    return OmeImage(
        path=path,
        channel_names=names
        if len(names) == num_channels
        else ("",) * num_channels,
        planes=tuple(
            tuple(planes[index] for index in channel)
            for channel in order.reshape(num_channels, num_z)
        ),
        pixel_size_um=described.pixel_size_um,
        annotations=described.annotations,
        z_spacing_um=described.z_spacing_um,
    )


def _check_last_page(path: str, tiff: tifffile.TiffFile) -> None:
    # Pages form a chain. tifffile takes the first broken link for the end,
    # so that a truncated stack would pass for a shorter one.
    form, file, last = tiff.tiff, tiff.filehandle, tiff.pages[-1].offset
    file.seek(last)
    (count,) = struct.unpack(form.tagnoformat, file.read(form.tagnosize))
    file.seek(last + form.tagnosize + count * form.tagsize)
    (link,) = struct.unpack(form.offsetformat, file.read(form.offsetsize))
    if link:
        raise InputError(
            f"{path}: TIFF is truncated: the page after page "
            f"{len(tiff.pages) - 1} must be at byte {link}. "
            f"Received: {os.path.getsize(path)} bytes."
        )


def _check_axes(path: str, series: tifffile.TiffPageSeries) -> dict[str, int]:
    # Leading axes and their lengths, in order; pages without axes are z.
    letters = series.axes
    if "Z" not in letters:
        letters = letters.replace("I", "Z").replace("Q", "Z")
    leading = [
        (letter, size)
        for letter, size in zip(letters[:-2], series.shape[:-2], strict=True)
        if letter in "ZC" or size > 1
    ]
    names = [letter for letter, _ in leading]
    # A letter twice: two axes that nothing tells apart.
    is_known = set(names) <= {"Z", "C"} and len(set(names)) == len(names)
    if not letters.endswith("YX") or not is_known:
        raise InputError(
            f"{path}: TIFF axes must be Z and C, then Y and X, all grey. "
            f"Received: axes {series.axes} of lengths {series.shape}."
        )
    return dict(leading)


def _open_planes(
    path: str, series: tifffile.TiffPageSeries, num_planes: int
) -> list[TiffPlane]:
    first = series.keyframe
    shape = (first.imagelength, first.imagewidth)
    if (
        first.photometric != tifffile.PHOTOMETRIC.MINISBLACK
        or first.bitspersample != 8 * first.dtype.itemsize
        or first.dtype.kind not in "uf"
    ):
        raise InputError(
            f"{path}: TIFF must be grey, of 8, 16 or 32 bits, unsigned or "
            f"floats. Received: "
            f"{first.bitspersample}-bit {first.dtype}, photometric "
            f"{first.photometric}."
        )
    if first.compression not in tifffile.TIFF.DECOMPRESSORS:
        raise InputError(
            f"{path}: TIFF compression must be none or deflate; for others "
            f"the extra `codecs` must be installed (pip install '.[codecs]' "
            f"in the folder of isl). Received: {first.compression!r}."
        )
    num_pixels = math.prod(first.chunks)
    decode = functools.lru_cache(
        max(num_planes, CACHE_BYTES // (num_pixels * first.dtype.itemsize))
    )(functools.partial(_decode_segment, path))
    stored = np.dtype(first.dtype).newbyteorder(first.parent.byteorder)
    plane = TiffPlane(
        path=path,
        shape=shape,
        stored_dtype=stored,
        offset=None,
        page=0,
        grid=(*first.chunks, first.chunked[1]),
        decode=decode,
    )
    size = math.prod(shape) * stored.itemsize
    if series.dataoffset is not None:
        _check_length(path, series.dataoffset + num_planes * size)
        return [
            dataclasses.replace(plane, offset=series.dataoffset + k * size)
            for k in range(num_planes)
        ]
    return [
        _open_page(plane, page, index)
        for index, page in enumerate(series.pages)
    ]


def _open_page(
    plane: TiffPlane, page: tifffile.TiffPage | None, index: int
) -> TiffPlane:
    if page is None:
        raise InputError(
            f"{plane.path}: TIFF must have all its planes. "
            f"Missing: plane {index}."
        )
    if not os.path.samefile(page.parent.filehandle.path, plane.path):
        raise InputError(
            f"{plane.path}: OME-TIFF must be one file. "
            f"Received: a plane in {page.parent.filehandle.path}."
        )
    ends = zip(page.dataoffsets, page.databytecounts, strict=True)
    _check_length(plane.path, max(sum(end) for end in ends))
    offset = page.dataoffsets[0] if page.is_final else None
    return dataclasses.replace(plane, page=page.index, offset=offset)


def _check_length(path: str, expected: int) -> None:
    size = os.path.getsize(path)
    if size < expected:
        raise InputError(
            f"{path}: TIFF is truncated: it must have {expected} bytes. "
            f"Received: {size} bytes."
        )


def _decode_segment(path: str, page_index: int, index: int) -> Segment:
    # The file is opened each time (about a millisecond) rather than kept
    # open, so that threads may read and nothing has to be closed.
    try:
        with tifffile.TiffFile(path) as tiff:
            page = tiff.pages[page_index]
            tiff.filehandle.seek(page.dataoffsets[index])
            data = tiff.filehandle.read(page.databytecounts[index])
            pixels, place, _ = page.decode(data or None, index, **_common(page))
    except MemoryError:
        raise
    except Exception as error:
        raise InputError(
            f"{path}: TIFF cannot be decoded, it may be damaged. "
            f"Received: {error}."
        ) from error
    if pixels is None:  # A tile that was left out, all zeros.
        return place[2], place[3], np.zeros((0, 0), np.uint8)
    return place[2], place[3], pixels[0, :, :, 0]


def _common(page: tifffile.TiffPage) -> dict[str, bytes | None]:
    # What all segments of a JPEG have in common stands in the header.
    if page.compression not in _JPEG:
        return {}
    return {
        "jpegtables": page.jpegtables,
        "jpegheader": page.keyframe.jpegheader,
    }


def _paste(
    image: np.ndarray, row: int, column: int, pixels: np.ndarray
) -> None:
    # Copies the part of `pixels`, placed at row and column, inside `image`.
    top, left = max(row, 0), max(column, 0)
    part = pixels[top - row :, left - column :]
    target = image[top : top + part.shape[0], left : left + part.shape[1]]
    target[...] = part[: target.shape[0], : target.shape[1]]
