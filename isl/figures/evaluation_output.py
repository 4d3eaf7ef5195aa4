"""Writes what an evaluation leaves: tables, a picture per label, the report."""

import os
import pathlib
from collections.abc import Mapping, Sequence

from isl.evaluation.details import metric_details
from isl.evaluation.output import write_tables
from isl.evaluation.wells import WellScores, metric_rows
from isl.figures.drawing import save_figure, well_names
from isl.figures.report import write_report
from isl.figures.report_pictures import (
    MAX_PICTURED_WELLS,
    label_pictures,
)
from isl.figures.report_warnings import find_warnings
from isl.figures.well_figure import well_figure
from isl.images import Well


def write_evaluation(
    output_dir: str | os.PathLike,
    scored: Sequence[tuple[Well, WellScores]],
    title: str,
    run: Mapping[str, str],
    notes: Sequence[str] = (),
) -> list[pathlib.Path]:
    """Writes tables (`write_tables`), pictures and `report.html`.

    Args:
        output_dir: Folder to write into.
        scored: Wells and their scores.
        title: Heading of the report.
        run: How the numbers were made, shown in the report.
        notes: Sentences a reader must know, beside those that
            `find_warnings` finds.

    Returns:
        The paths of the pictures.
    """
    output_dir = pathlib.Path(output_dir)
    all_scores = [scores for _, scores in scored]
    rows = metric_rows(all_scores)
    # Before the pictures, which need room and can do without.
    write_tables(output_dir, all_scores, rows, run)
    names = well_names([(one.condition, one.well) for one in all_scores])
    paths = []
    named = list(zip(scored, names, strict=True))
    for (well, scores), name in named[:MAX_PICTURED_WELLS]:
        for label in scores.labels:
            paths.append(output_dir / f"{name}_{label}.png")
            save_figure(well_figure(well, scores, label), paths[-1])
    warnings = [*notes, *find_warnings(all_scores, rows)]
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
    details = metric_details(all_scores)
    write_report(
        output_dir / "report.html",
        title=title,
        rows=rows,
        labels=[
            label_pictures(of_label, label, details[condition][label])
            for (condition, label), of_label in parts.items()
        ],
        run=run,
        warnings=warnings,
    )
    return paths
