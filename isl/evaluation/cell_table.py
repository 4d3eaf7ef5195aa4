"""The table of cells, `cells.csv`."""

import dataclasses
import os
from collections.abc import Mapping

from isl.csv_files import write_csv
from isl.evaluation.cells import Cell, CellComparison

CELLS_FILE = "cells.csv"
_FIELDS = tuple(field.name for field in dataclasses.fields(Cell))
CELL_COLUMNS = (
    "condition",
    "well",
    "label",
    *(f"true_{name}" for name in _FIELDS),
    *(f"predicted_{name}" for name in _FIELDS),
)


def write_cells(
    path: str | os.PathLike,
    comparisons: Mapping[tuple[str, str, str], CellComparison],
) -> None:
    """Writes a table with a row for each cell.

    A missed cell has nothing under the columns of the prediction, an added
    one nothing under those of the truth.

    Args:
        path: The CSV file.
        comparisons: (condition, well, label) to its cells.
    """
    rows = []
    for key, cells in comparisons.items():
        pairs = [
            *cells.matched,
            *((cell, None) for cell in cells.missed),
            *((None, cell) for cell in cells.added),
        ]
        for one, other in pairs:
            rows.append([*key, *_values(one), *_values(other)])
    write_csv(path, CELL_COLUMNS, rows)


def _values(cell: Cell | None) -> tuple[object, ...]:
    if cell is None:
        return (None,) * len(_FIELDS)
    return dataclasses.astuple(cell)
