"""Writing tables as CSV files."""

import csv
import io
import os
from collections.abc import Iterable, Sequence
from typing import Any

from isl.files import write_text


def write_csv(
    path: str | os.PathLike,
    columns: Sequence[str],
    rows: Iterable[Sequence[Any]],
) -> None:
    """Writes a table as UTF-8 with a line of names, all of it or nothing.

    Args:
        path: The file.
        columns: Names of the columns.
        rows: Their values, row by row; None is an empty cell.

    Raises:
        ValueError: If a row has another number of values.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    for row in rows:
        if len(row) != len(columns):
            raise ValueError(
                f"a row must have {len(columns)} values. Received: {row}"
            )
        writer.writerow(row)
    write_text(path, text.getvalue())
