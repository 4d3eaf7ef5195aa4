"""The table of cells, `cells.csv`."""

import csv
import dataclasses
import io
import os
from collections.abc import Mapping

from isl import files
from isl.evaluation.cells import Cell, CellComparison

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
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(CELL_COLUMNS)
    for key, cells in comparisons.items():
        pairs = [
            *cells.matched,
            *((cell, None) for cell in cells.missed),
            *((None, cell) for cell in cells.added),
        ]
        for one, other in pairs:
            writer.writerow([*key, *_values(one), *_values(other)])
    files.write_text(path, text.getvalue())


def _values(cell: Cell | None) -> list[object]:
    if cell is None:
        return [""] * len(_FIELDS)
    values = dataclasses.astuple(cell)
    return ["" if value is None else value for value in values]
