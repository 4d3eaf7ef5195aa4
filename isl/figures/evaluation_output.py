"""Writes what an evaluation leaves: tables, a picture per label, the report."""

import os
import pathlib
from collections.abc import Mapping, Sequence

from isl.errors import InputError
from isl.evaluation.cell_table import CELLS_FILE
from isl.evaluation.details import metric_details
from isl.evaluation.output import write_tables
from isl.evaluation.tables import (
    FAILED,
    METRICS_CSV,
    POOLED,
    MetricRow,
    read_metrics_csv,
)
from isl.evaluation.wells import (
    FailedWell,
    WellScores,
    failed_rows,
    metric_rows,
)
from isl.figures.drawing import save_figure, well_names
from isl.figures.report import write_report
from isl.figures.report_pictures import (
    MAX_PICTURED_WELLS,
    label_pictures,
)
from isl.figures.report_warnings import find_missing, find_warnings
from isl.figures.well_figure import well_figure
from isl.images import Well

_REPORT = "report.html"


def write_evaluation(
    output_dir: str | os.PathLike,
    scored: Sequence[tuple[Well, WellScores]],
    title: str,
    run: Mapping[str, str],
    failures: Sequence[FailedWell] = (),
) -> list[MetricRow]:
    """Writes tables (`write_tables`), pictures and `report.html`.

    What an older evaluation left there goes first, so that a failure leaves
    no report beside the numbers of another run.

    Args:
        output_dir: Folder to write into.
        scored: Wells and their scores.
        title: Heading of the report.
        run: How the numbers were made, shown in the report.
        failures: Wells that could not be scored; all of what is written says
            that they are missing.

    Returns:
        The table, from `metric_rows`.
    """
    output_dir = pathlib.Path(output_dir)
    all_scores = [scores for _, scores in scored]
    rows = metric_rows(all_scores)
    details = metric_details(all_scores)
    if failures:
        run = {**run, FAILED: "; ".join(map(str, failures))}
    _remove_older(output_dir)
    # Before the pictures, which need room and can do without.
    table = [*rows, *failed_rows(failures)]
    write_tables(output_dir, all_scores, table, run, details)
    names = _picture_names([(one.condition, one.well) for one in all_scores])
    for (well, scores), name in zip(scored, names, strict=False):
        for label in scores.labels:
            figure = well_figure(well, scores, label)
            save_figure(figure, output_dir / f"{name}_{label}.png")
    warnings = [
        *find_missing(failures, len(scored)),
        *find_warnings(all_scores, rows),
    ]
    if len(scored) > MAX_PICTURED_WELLS:
        warnings.append(
            f"Pictures show the first {MAX_PICTURED_WELLS} of "
            f"{len(scored)} wells."
        )
    parts: dict[tuple[str, str], list[tuple[Well, WellScores]]] = {}
    for well, scores in scored:
        for label in scores.labels:
            key = (scores.condition, label)
            parts.setdefault(key, []).append((well, scores))
    write_report(
        output_dir / _REPORT,
        title=title,
        rows=rows,
        details=details,
        labels=[
            label_pictures(of_label, label, details[condition][label])
            for (condition, label), of_label in parts.items()
        ],
        run=run,
        warnings=warnings,
    )
    return rows


def _picture_names(wells: Sequence[tuple[str, str]]) -> list[str]:
    """Names the wells that have pictures, by condition and name of each."""
    return well_names(wells)[:MAX_PICTURED_WELLS]


def _remove_older(output_dir: pathlib.Path) -> None:
    """Removes what an older evaluation wrote, but for its tables.

    These tell which pictures are its own; the new ones replace them.
    """
    (output_dir / _REPORT).unlink(missing_ok=True)
    try:
        rows = read_metrics_csv(output_dir / METRICS_CSV)
    except InputError:
        return  # There was none.
    (output_dir / CELLS_FILE).unlink(missing_ok=True)
    labels: dict[tuple[str, str], dict[str, None]] = {}
    for row in rows:
        if row.well != POOLED and row.metric != FAILED:
            labels.setdefault((row.condition, row.well), {})[row.label] = None
    wells = list(labels)
    for well, name in zip(wells, _picture_names(wells), strict=False):
        for label in labels[well]:
            (output_dir / f"{name}_{label}.png").unlink(missing_ok=True)
