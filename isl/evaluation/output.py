"""Writes what an evaluation found: the tables and the list of cells."""

import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

from isl.evaluation.cell_table import write_cells
from isl.evaluation.details import metric_details
from isl.evaluation.tables import MetricRow, write_metrics
from isl.evaluation.wells import WellScores


def write_tables(
    output_dir: str | os.PathLike,
    wells: Sequence[WellScores],
    rows: Sequence[MetricRow],
    run: Mapping[str, Any],
) -> None:
    """Writes `metrics.csv` and `metrics.json`, and `cells.csv` if any.

    Args:
        output_dir: Folder to write into.
        wells: The scores.
        rows: Their table, from `metric_rows`.
        run: How they were made, for the JSON.
    """
    write_metrics(output_dir, rows, run, metric_details(wells))
    cells = {
        (scores.condition, scores.well, label): found
        for scores in wells
        for label, found in scores.cells.items()
    }
    if cells:
        write_cells(pathlib.Path(output_dir) / "cells.csv", cells)
