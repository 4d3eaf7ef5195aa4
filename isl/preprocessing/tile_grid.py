"""Where the tiles of a mosaic lie if the stage is believed.

Positions are those of a tile's first pixel, (row, column) in pixels, growing
down and to the right; only their differences matter.
"""

import dataclasses

import numpy as np

from isl.errors import InputError

ORDERS = ("rows", "rows_snake", "columns", "columns_snake")


@dataclasses.dataclass(frozen=True)
class Neighbours:
    """Two tiles that overlap along a side.

    Attributes:
        first: Index of the upper or left tile.
        second: Index of the lower or right tile.
        axis: 0 if the second lies below the first, 1 if to its right.
    """

    first: int
    second: int
    axis: int


def grid_indices(num_rows: int, num_columns: int, order: str) -> np.ndarray:
    """Returns the place in the grid of each tile, in order of acquisition.

    Args:
        num_rows: Rows of the grid.
        num_columns: Columns of the grid.
        order: One of `ORDERS`: row by row or column by column, each from the
            left or the top, or, as a snake, in alternating direction.

    Returns:
        int64, [tile, 2]: row and column.

    Raises:
        InputError: If the order is unknown or the grid is empty.
    """
    if order not in ORDERS:
        raise InputError(
            f"order of tiles: must be one of {', '.join(ORDERS)}. "
            f"Received: {order!r}."
        )
    if num_rows < 1 or num_columns < 1:
        raise InputError(
            "grid of tiles: must have a row and a column. "
            f"Received: {num_rows} x {num_columns}."
        )
    by_columns = order.startswith("columns")
    lines = (num_columns, num_rows) if by_columns else (num_rows, num_columns)
    slow, fast = np.indices(lines)
    if order.endswith("snake"):
        fast[1::2] = fast[1::2, ::-1].copy()
    pair = (fast, slow) if by_columns else (slow, fast)
    return np.stack([axis.ravel() for axis in pair], axis=1)


def nominal_positions(
    indices: np.ndarray, tile_shape: tuple[int, int], overlap: float
) -> np.ndarray:
    """Returns where tiles lie if all overlap by the same share.

    Args:
        indices: Row and column of each tile in the grid, [tile, 2].
        tile_shape: Rows and columns of a tile.
        overlap: Share of a tile's side that it has in common with its
            neighbour, at least 0 and below 1.

    Returns:
        float64, [tile, 2], pixels.

    Raises:
        InputError: If the overlap is out of range.
    """
    if not 0 <= overlap < 1:
        raise InputError(
            "overlap: must be a share of the tile, at least 0 and below 1. "
            f"Received: {overlap}."
        )
    return np.asarray(indices) * np.array(tile_shape) * (1.0 - overlap)


def find_neighbours(
    nominal: np.ndarray, tile_shape: tuple[int, int]
) -> tuple[Neighbours, ...]:
    """Returns the pairs of tiles that overlap along a side.

    Along the common side the tiles share at least half of it, so tiles that
    touch with a corner do not count.

    Args:
        nominal: Where the tiles lie, [tile, 2], pixels.
        tile_shape: Rows and columns of a tile.

    Returns:
        The pairs, sorted by their later tile.
    """
    shape = np.array(tile_shape, float)
    pairs = []
    for second in range(len(nominal)):
        for first in range(second):
            step = (nominal[second] - nominal[first]) / shape
            axis = int(np.argmax(np.abs(step)))
            if abs(step[axis]) >= 1 or abs(step[1 - axis]) > 0.5:
                continue
            pair = (first, second) if step[axis] > 0 else (second, first)
            pairs.append(Neighbours(*pair, axis))
    return tuple(pairs)
