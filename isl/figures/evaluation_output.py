"""Writes what an evaluation leaves: tables, a picture per label, the report."""

import os
import pathlib
from collections.abc import Mapping, Sequence

import numpy as np

from isl.evaluation.tables import write_metrics
from isl.evaluation.wells import WellScores, metric_rows
from isl.figures.drawing import save_figure
from isl.figures.label_figure import label_figure
from isl.figures.report import write_report
from isl.figures.report_text import label_name
from isl.images import Well
from isl.network.intensity_bins import MAX_UINT16, NUM_BINS

# Pictures of more wells would make a report that no browser opens gladly.
_MAX_PICTURED_WELLS = 4
# Pictures show the centre; reading all of a large well would not fit memory.
_PICTURE_SIZE = 512


def write_evaluation(
    output_dir: str | os.PathLike,
    scored: Sequence[tuple[Well, WellScores]],
    title: str,
    run: Mapping[str, str],
    notes: Sequence[str] = (),
) -> list[pathlib.Path]:
    """Writes `metrics.csv`, `metrics.json`, pictures and `report.html`.

    Args:
        output_dir: Folder to write into.
        scored: Wells and their scores.
        title: Heading of the report.
        run: How the numbers were made, shown in the report.
        notes: Sentences a reader must know.

    Returns:
        The paths of the pictures.
    """
    output_dir = pathlib.Path(output_dir)
    rows = metric_rows(scores for _, scores in scored)
    figures, paths = {}, []
    for well, scores in scored[:_MAX_PICTURED_WELLS]:
        for label in scores.labels:
            figure = _picture(well, scores, label)
            path = output_dir / f"{scores.well}_{label}.png"
            save_figure(figure, path)
            paths.append(path)
            figures[f"{label_name(label)}, well {scores.well}"] = figure
    write_metrics(output_dir, rows, run)
    if len(scored) > _MAX_PICTURED_WELLS:
        notes = (
            *notes,
            f"Pictures show the first {_MAX_PICTURED_WELLS} of "
            f"{len(scored)} wells.",
        )
    write_report(
        output_dir / "report.html",
        title=title,
        rows=rows,
        figures=figures,
        run=run,
        notes=notes,
    )
    return paths


def _picture(well: Well, scores: WellScores, label: str):
    rows, top = _central(scores.rows)
    columns, left = _central(scores.columns)
    plane = well.planes[well.num_z // 2].read(rows, columns)
    truth = well.read_label(label, rows, columns)
    shown = (
        slice(top, top + rows.stop - rows.start),
        slice(left, left + columns.stop - columns.start),
    )
    prediction = scores.predictions[label][shown]
    return label_figure(
        label=label,
        input_plane=plane / np.float32(MAX_UINT16),
        truth=truth / np.float32(MAX_UINT16),
        prediction=prediction / np.float32(NUM_BINS - 1),
        histogram=scores.labels[label].histogram,
        title=f"{scores.condition}, well {scores.well}",
        pixel_size_um=well.pixel_size_um,
    )


def _central(span: slice) -> tuple[slice, int]:
    """Returns at most `_PICTURE_SIZE` pixels, and where they begin in span."""
    offset = max(0, span.stop - span.start - _PICTURE_SIZE) // 2
    size = min(span.stop - span.start, _PICTURE_SIZE)
    return slice(span.start + offset, span.start + offset + size), offset
