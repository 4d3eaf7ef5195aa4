"""Divides an image into tiles that a network predicts one at a time.

Index arithmetic only (standard library).

A network with a coarsest scale of `grid` pixels (16 for the released one)
gives a pixel the same value in two tiles only if their origins differ by a
multiple of `grid`; otherwise its pooling has another phase, which is not an
error but is a seam. So all tiles lie on one grid. Their size is
`output_size + k * grid` (8 + 16k), so they step by the largest multiple of
`grid` that is not larger, and what two tiles share is taken from the second.

The grid begins at the first pixel that is predicted:

*   padding "reflect": the first pixel of the image. Tiles read from `margin`
    pixels before it on, and the image is mirrored at its edges.
*   padding "none": the pixel at (margin, margin). An image of n rows gives
    n - 2 * margin. A pixel at phase p of the grid depends on `input_size`
    rows if p < output_size and on `input_size + grid` rows otherwise, so a
    tile on the grid that reached over the edge would depend on rows that do
    not exist in each of its last rows beyond the largest fitting size. These,
    at most grid - 1 rows, come from a tile that ends at the edge instead, off
    the grid. All others equal one pass over the largest part of the image
    that one pass can take.

Either way the value of a pixel depends neither on the size of the tiles nor
on the region that is predicted.

With `exact` stitching (`isl.network.exact`) a tile is made of independent
blocks of `output_size` pixels, its size is a multiple of `grid`, and tiles
lie on a grid of `output_size` pixels. A block that lies inside is right even
if the tile reaches over the edge; with padding "none" the at most
`output_size` - 1 last rows come from a tile that ends at the edge.
"""

import dataclasses
import math

from isl.errors import InputError
from isl.network.networks import Network
from isl.specs import Region

PADDINGS = ("reflect", "none")
STITCHINGS = ("fast", "exact")

# Larger tiles waste less context, but take more memory: 264 pixels take 2 GB
# at the released width, 520 pixels 4 GB (docs/performance.md).
DEFAULT_TILE_SIZE = 264

# Of networks with few features at full resolution, which have the memory: what
# they hold most of are distributions. Less context is computed for nothing.
LIGHT_TILE_SIZE = 528
LIGHT_BANDED_TILE_SIZE = 1024
_SMALL_WIDTH = 32


@dataclasses.dataclass(frozen=True)
class Tile:
    """One evaluation of the network.

    Attributes:
        read_row: First row of the input; may lie outside the image.
        read_column: First column of the input; likewise.
        rows: Where the output goes, in pixels of the image.
        columns: Likewise.
        crop: Rows and columns of the tile's output that go there.
    """

    read_row: int
    read_column: int
    rows: slice
    columns: slice
    crop: tuple[slice, slice]


@dataclasses.dataclass(frozen=True)
class Tiling:
    """The tiles of one image, all of one size; each pixel is in one tile.

    Attributes:
        rows: The part of the image that is predicted, pixels.
        columns: Likewise.
        padding: One of `PADDINGS`.
        tile_shape: Rows and columns of the output of the network.
        input_shape: Rows and columns of its input.
        tiles: The tiles, row by row.
    """

    rows: slice
    columns: slice
    padding: str
    tile_shape: tuple[int, int]
    input_shape: tuple[int, int]
    tiles: tuple[Tile, ...]

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of the prediction."""
        return (
            self.rows.stop - self.rows.start,
            self.columns.stop - self.columns.start,
        )


@dataclasses.dataclass(frozen=True)
class _Geometry:
    """What tiles are possible, pixels."""

    smallest: int  # Tile; larger ones by multiples of `step`.
    step: int
    grid: int  # Of the origins of tiles.
    unit: int  # Smallest output that is right by itself.
    may_overhang: bool  # Whether units inside stay right.

    def is_tile_size(self, size: int) -> bool:
        return size >= self.smallest and not (size - self.smallest) % self.step


def _geometry(architecture: Network, stitching: str) -> _Geometry:
    size, grid = architecture.output_size, architecture.grid
    if stitching == "fast":
        return _Geometry(size, grid, grid, size, may_overhang=False)
    step = math.lcm(size, grid)
    return _Geometry(step, step, size, size, may_overhang=True)


@dataclasses.dataclass(frozen=True)
class _Span:
    """A tile along one axis, in output pixels from the start of the grid."""

    start: int  # Of the tile.
    first: int  # Of what is taken from it.
    end: int


def plan_tiles(
    architecture: Network,
    shape: tuple[int, int],
    region: Region | None = None,
    padding: str = "reflect",
    tile_size: int | None = None,
    path: str = "image",
    stitching: str = "fast",
    light_tile_size: int = DEFAULT_TILE_SIZE,
) -> Tiling:
    """Divides an image, or a region of it, into tiles.

    Args:
        architecture: The network.
        shape: Rows and columns of the image.
        region: The part to predict; `None` for all that `padding` allows.
        padding: What lies outside the image: "reflect" for its mirror
            image, "none" to predict only pixels whose field of view lies
            inside.
        tile_size: Rows and columns of the largest tile output, pixels;
            `None` for about 264, or `light_tile_size` for one pass of a
            network of a width of at most 32. Tiles are smaller if fewer
            pixels do, or if the same number of smaller tiles does.
        path: The image, for messages.
        stitching: "fast" for the network itself, "exact" for that of
            `isl.network.exact.build_exact_model`.
        light_tile_size: See `tile_size`.

    Raises:
        InputError: If the image is smaller than the field of view, the
            region reaches outside what can be predicted, or no network
            output has this size.
        ValueError: If `padding` or `stitching` is unknown.
    """
    if stitching not in STITCHINGS:
        raise ValueError(
            f"stitching must be one of {STITCHINGS}. Received: {stitching!r}."
        )
    if padding not in PADDINGS:
        raise ValueError(
            f"padding must be one of {PADDINGS}. Received: {padding!r}."
        )
    geometry = _geometry(architecture, stitching)
    if tile_size is None:
        is_light = architecture.base_filters <= _SMALL_WIDTH
        tile_size = _largest_tile_size(
            geometry,
            light_tile_size
            if is_light and stitching == "fast"
            else DEFAULT_TILE_SIZE,
        )
    _check_tile_size(geometry, tile_size)
    size = architecture.input_size
    if min(shape) < size:
        raise InputError(
            f"{path}: must be at least {size} rows x {size} columns, the "
            f"model's field of view. "
            f"Received: {shape[0]} rows x {shape[1]} columns."
        )
    anchor = 0 if padding == "reflect" else architecture.margin
    rows, columns = _resolve(region or Region(), shape, anchor, padding, path)
    num_rows, row_spans = _plan_axis(
        geometry, rows, anchor, shape[0], tile_size
    )
    num_columns, column_spans = _plan_axis(
        geometry, columns, anchor, shape[1], tile_size
    )
    margin = architecture.margin
    return Tiling(
        rows=rows,
        columns=columns,
        padding=padding,
        tile_shape=(num_rows, num_columns),
        input_shape=(num_rows + 2 * margin, num_columns + 2 * margin),
        tiles=tuple(
            _tile(row, column, anchor, margin)
            for row in row_spans
            for column in column_spans
        ),
    )


def _smallest_tile_size(geometry: _Geometry) -> int:
    # Smaller ones leave gaps on the grid.
    size, grid = geometry.smallest, geometry.grid
    return size + _round_up(max(0, grid - size), geometry.step)


def _largest_tile_size(geometry: _Geometry, wanted: int) -> int:
    smallest = _smallest_tile_size(geometry)
    spare = max(0, wanted - smallest)
    return smallest + _round_down(spare, geometry.step)


def _check_tile_size(geometry: _Geometry, tile_size: int) -> None:
    smallest = _smallest_tile_size(geometry)
    if tile_size < smallest or not geometry.is_tile_size(tile_size):
        raise InputError(
            f"tile_size: must be {smallest} plus a multiple of "
            f"{geometry.step}. Received: {tile_size}."
        )


def _resolve(
    region: Region,
    shape: tuple[int, int],
    anchor: int,
    padding: str,
    path: str,
) -> tuple[slice, slice]:
    slices = []
    for name, span, size in (
        ("rows", region.rows, shape[0]),
        ("columns", region.columns, shape[1]),
    ):
        first, end = span or (anchor, size - anchor)
        if not anchor <= first < end <= size - anchor:
            raise InputError(
                f"{path}: region {name} must lie inside {anchor}-"
                f"{size - anchor} with padding={padding}. "
                f"Received: {first}-{end}."
            )
        slices.append(slice(first, end))
    return slices[0], slices[1]


def _plan_axis(
    geometry: _Geometry,
    wanted: slice,
    anchor: int,
    image_size: int,
    tile_size: int,
) -> tuple[int, list[_Span]]:
    """Returns the size of the tiles along one axis, and the tiles."""
    grid = geometry.grid
    first, end = wanted.start - anchor, wanted.stop - anchor
    available = image_size - 2 * anchor
    fit = available  # How far tiles on the grid may reach.
    if anchor:
        fit -= (available - geometry.unit) % grid
        if not geometry.may_overhang:
            tile_size = min(tile_size, fit)
    size = geometry.smallest
    spans = []
    if first < fit:
        length = min(end, fit) - _round_down(first, grid)
        size = _balance(geometry, length, tile_size)
    if end > fit:
        length = min(available - max(first, fit), tile_size)
        size = max(size, _balance(geometry, length, tile_size))
    if first < fit:
        spans = _spans_on_grid(first, min(end, fit), size, grid)
        first = spans[-1].end
    while first < end:  # What tiles that end at the edge have to give.
        start = available - _round_up(available - first, size)
        stop = min(start + size, end)
        spans.append(_Span(start, first, stop))
        first = stop
    return size, spans


def _balance(geometry: _Geometry, length: int, tile_size: int) -> int:
    """Returns the smallest size of which no more tiles are needed."""
    grid = geometry.grid
    beyond = max(0, length - tile_size)
    num_steps = beyond and -(-beyond // _round_down(tile_size, grid))
    size = geometry.smallest
    while num_steps * _round_down(size, grid) + size < length:
        size += geometry.step
    return size


def _spans_on_grid(first: int, end: int, size: int, grid: int) -> list[_Span]:
    # The last tile is moved back, by steps of the grid, to overhang least.
    last = max(0, _round_up(end - size, grid))
    spans = []
    while first < end:
        start = min(_round_down(first, grid), last)
        stop = start + size
        if stop < end:
            stop = start + _round_down(size, grid)
        spans.append(_Span(start, first, min(stop, end)))
        first = stop
    return spans


def _tile(row: _Span, column: _Span, anchor: int, margin: int) -> Tile:
    return Tile(
        read_row=row.start + anchor - margin,
        read_column=column.start + anchor - margin,
        rows=slice(row.first + anchor, row.end + anchor),
        columns=slice(column.first + anchor, column.end + anchor),
        crop=(
            slice(row.first - row.start, row.end - row.start),
            slice(column.first - column.start, column.end - column.start),
        ),
    )


def _round_down(value: int, step: int) -> int:
    return value // step * step


def _round_up(value: int, step: int) -> int:
    return -(-value // step) * step
