"""Writes what an evaluation found: the tables and the list of cells."""

import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

from isl.evaluation.cell_table import CELLS_FILE, write_cells
from isl.evaluation.tables import MetricRow, write_metrics
from isl.evaluation.wells import WellScores


def write_tables(
    output_dir: str | os.PathLike,
    wells: Sequence[WellScores],
    rows: Sequence[MetricRow],
    run: Mapping[str, Any],
    details: Mapping[str, Any],
) -> None:
    """Writes `metrics.csv` and `metrics.json`, and `cells.csv` if any.

    Args:
        output_dir: Folder to write into.
        wells: The scores.
        rows: Their table, from `metric_rows`.
        run: How they were made, for the JSON.
        details: Likewise, from `metric_details`.
    """
    write_metrics(output_dir, rows, run, details)
    cells = {
        (scores.condition, scores.well, label): found
        for scores in wells
        for label, found in scores.cells.items()
    }
    if cells:
        write_cells(pathlib.Path(output_dir) / CELLS_FILE, cells)
