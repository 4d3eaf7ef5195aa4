"""Tiles at known positions become one image, without visible seams.

Where tiles overlap, each counts the more, the farther a pixel is from its
edge. Tiles are placed to whole pixels: interpolating between pixels would
blur some places of the mosaic and not others.
"""

from collections.abc import Iterator, Sequence

import numpy as np

from isl.preprocessing.arrays import check_same_shape
from isl.preprocessing.tile_offsets import ReadTile
from isl.specs.region import Region

BAND_ROWS = 256  # The last band of a mosaic may have fewer.


def covered_region(
    positions: Sequence[tuple[float, float]], tile_shape: tuple[int, int]
) -> Region:
    """Returns the largest rectangle of the mosaic without a hole.

    The outline of a mosaic is ragged; pixels outside it are no data.

    Args:
        positions: (row, column) of each tile, pixels, one or more.
        tile_shape: Rows and columns of a tile.

    Returns:
        The region, in pixels of the mosaic that `stitch_bands` makes.
    """
    starts = _whole_positions(positions)
    ends = starts + tile_shape
    # Only edges of tiles matter, so the mosaic is cut along all of them.
    rows, columns = (
        np.unique([starts[:, axis], ends[:, axis]]) for axis in range(2)
    )
    covered = np.zeros((len(rows) - 1, len(columns) - 1), bool)
    for start, end in zip(starts, ends, strict=True):
        first_row, end_row = np.searchsorted(rows, (start[0], end[0]))
        first_column, end_column = np.searchsorted(columns, (start[1], end[1]))
        covered[first_row:end_row, first_column:end_column] = True
    best, region = 0, None
    for top in range(len(covered)):
        usable = np.ones(covered.shape[1], bool)
        for bottom in range(top, len(covered)):
            usable &= covered[bottom]
            left, right = _widest_run(usable, columns)
            height = int(rows[bottom + 1] - rows[top])
            if height * (right - left) > best:
                best = height * (right - left)
                span = int(rows[top]), int(rows[bottom + 1])
                region = Region(span, (left, right))
    return region


def mosaic_shape(
    positions: Sequence[tuple[float, float]], tile_shape: tuple[int, int]
) -> tuple[int, int]:
    """Returns rows and columns of the mosaic of all tiles."""
    rows, columns = _whole_positions(positions).max(axis=0) + tile_shape
    return int(rows), int(columns)


def stitch_bands(
    read_tile: ReadTile,
    positions: Sequence[tuple[float, float]],
    tile_shape: tuple[int, int],
    region: Region | None = None,
) -> Iterator[np.ndarray]:
    """Yields a mosaic from top to bottom, in bands of `BAND_ROWS` rows.

    Holds a band and the tiles that reach into it or were not finished by it.

    Args:
        read_tile: Index to tile, [row, column], any real type. Each is read
            at most once.
        positions: (row, column) of each tile, pixels, as in `Placement`.
        tile_shape: Rows and columns of a tile.
        region: Part of the mosaic to return, or None for all of it.

    Yields:
        float32, [row, column]. Pixels that no tile covers are 0.

    Raises:
        InputError: If a tile has another size, or the region reaches outside.
    """
    starts = _whole_positions(positions)
    shape = mosaic_shape(positions, tile_shape)
    rows, columns = (region or Region()).resolve(shape)
    feather = _feather(tile_shape)
    held: dict[int, np.ndarray] = {}
    for first in range(rows.start, rows.stop, BAND_ROWS):
        band = slice(first, min(first + BAND_ROWS, rows.stop))
        size = band.stop - first, columns.stop - columns.start
        total = np.zeros(size, np.float32)
        weight = np.zeros_like(total)
        for index, start in enumerate(starts):
            in_band, in_tile = _intersect((band, columns), start, tile_shape)
            if in_band is None:
                continue
            if index not in held:
                held[index] = read_tile(index)
                check_same_shape(held[index], tile_shape, f"tile {index}")
            total[in_band] += feather[in_tile] * held[index][in_tile]
            weight[in_band] += feather[in_tile]
            if start[0] + tile_shape[0] <= band.stop:
                del held[index]
        yield np.divide(total, weight, out=total, where=weight > 0)


def stitch(
    read_tile: ReadTile,
    positions: Sequence[tuple[float, float]],
    tile_shape: tuple[int, int],
    region: Region | None = None,
) -> np.ndarray:
    """Returns a mosaic as one image.

    Args:
        read_tile: As in `stitch_bands`, as are `positions`, `tile_shape` and
            `region`.
        positions: (row, column) of each tile, pixels.
        tile_shape: Rows and columns of a tile.
        region: Part of the mosaic to return, or None for all of it.

    Returns:
        float32, [row, column].

    Raises:
        InputError: If a tile has another size, or the region reaches outside.
    """
    shape = mosaic_shape(positions, tile_shape)
    rows, columns = (region or Region()).resolve(shape)
    size = rows.stop - rows.start, columns.stop - columns.start
    image = np.zeros(size, np.float32)
    first = 0
    for band in stitch_bands(read_tile, positions, tile_shape, region):
        image[first : first + len(band)] = band
        first += len(band)
    return image


def _whole_positions(positions: Sequence[tuple[float, float]]) -> np.ndarray:
    """Returns positions rounded to pixels, [tile, 2], smallest 0."""
    whole = np.floor(np.asarray(positions, float) + 0.5).astype(int)
    return whole - whole.min(axis=0)


def _feather(tile_shape: tuple[int, int]) -> np.ndarray:
    """Returns the distance to the nearest edge plus 1, float32."""
    rows, columns = (
        np.minimum(np.arange(size), np.arange(size)[::-1]) + 1.0
        for size in tile_shape
    )
    return np.minimum.outer(rows, columns).astype(np.float32)


Slices = tuple[slice, slice]


def _intersect(
    part: Slices, start: np.ndarray, tile_shape: tuple[int, int]
) -> tuple[Slices, Slices] | tuple[None, None]:
    """Returns what a part of the mosaic and a tile share.

    Returns:
        The common pixels as slices of the part and of the tile, or None
        twice.
    """
    in_part, in_tile = [], []
    for span, first, size in zip(part, start, tile_shape, strict=True):
        low, high = max(span.start, first), min(span.stop, first + size)
        if low >= high:
            return None, None
        in_part.append(slice(low - span.start, high - span.start))
        in_tile.append(slice(low - first, high - first))
    return tuple(in_part), tuple(in_tile)


def _widest_run(usable: np.ndarray, edges: np.ndarray) -> tuple[int, int]:
    """Returns the widest run of usable columns, (0, 0) if there is none.

    Args:
        usable: Whether each column between two edges is usable.
        edges: The edges, pixels; one more than columns.
    """
    best = (0, 0)
    left = None
    for index, good in enumerate([*usable, False]):
        if good and left is None:
            left = index
        elif not good and left is not None:
            run = int(edges[left]), int(edges[index])
            best = max(best, run, key=lambda span: span[1] - span[0])
            left = None
    return best
