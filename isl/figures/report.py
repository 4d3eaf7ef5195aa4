"""One self-contained HTML page that says what a prediction is worth."""

import dataclasses
import html
import os
from collections.abc import Mapping, Sequence
from typing import Any

from isl import files
from isl.evaluation.tables import POOLED, MetricRow
from isl.figures import (
    report_html,
    report_metrics,
    report_tables,
    report_text,
)
from isl.figures.report_html import Comparison, Picture
from isl.figures.report_style import SCRIPT, STYLE

# Nothing may be fetched, whatever the page says.
_POLICY = (
    "default-src 'none'; img-src data:; style-src 'unsafe-inline'; "
    "script-src 'unsafe-inline'"
)
_TILES_TEXT = (
    "Of the tiles that hold more than background, those with the smallest and "
    "the largest mean absolute error, relative to how much the truth varies. "
    "Orange is predicted too bright, blue too dim, black right."
)


@dataclasses.dataclass(frozen=True)
class LabelPictures:
    """What the report shows of one label of one condition.

    Attributes:
        condition: The condition.
        label: The label.
        comparisons: Places of wells, to be compared with a slider.
        overview: The label on one page.
        uncertainty: Whether the distributions are right.
        cells: Cells, alive and dead.
        best: Strips of tiles.
        worst: Strips of tiles.
    """

    condition: str
    label: str
    comparisons: Sequence[Comparison] = ()
    overview: Sequence[Picture] = ()
    uncertainty: Sequence[Picture] = ()
    cells: Sequence[Picture] = ()
    best: Sequence[Picture] = ()
    worst: Sequence[Picture] = ()


def write_report(
    path: str | os.PathLike,
    *,
    title: str,
    rows: Sequence[MetricRow],
    details: Mapping[str, Mapping[str, Any]],
    labels: Sequence[LabelPictures],
    run: Mapping[str, str],
    warnings: Sequence[str] = (),
) -> None:
    """Writes the report. It opens without a network, in light or dark.

    Args:
        path: The file to write, such as `report.html`.
        title: Heading of the page.
        rows: The metrics; those with well `POOLED` are summed up in words.
        details: Condition to label to what words need beyond the rows, from
            `isl.evaluation.details.metric_details`.
        labels: Pictures, label by label.
        run: How the numbers were made (model, wells, region, commit,
            versions, command, ...), shown as it is.
        warnings: Sentences a reader must know.

    Raises:
        ValueError: If the bytes of a picture are not a PNG or WebP file.
    """
    sections = [
        ("In short", _summary(rows, details)),
        ("Please note", _warnings(warnings)),
        ("All numbers", report_tables.pooled_table(rows)),
        *((_name(part, rows), _label(part)) for part in labels),
        ("Each well", report_tables.wells_table(rows)),
        ("How these numbers were made", _run(run)),
        ("What the numbers mean", _definitions(rows)),
    ]
    body = "".join(
        f"<section><h2>{html.escape(name)}</h2>{content}</section>\n"
        for name, content in sections
        if content
    )
    heading = html.escape(title)
    files.write_text(
        path,
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        '<meta name="viewport" content="width=device-width">\n'
        f"<title>{heading}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n"
        f"<h1>{heading}</h1>\n<p class='lead'>{_lead(rows)}</p>\n{body}"
        f"<script>{SCRIPT}</script>\n</body>\n</html>\n",
    )


def _lead(rows: Sequence[MetricRow]) -> str:
    """Says what was evaluated, in one line."""
    wells = {(r.condition, r.well) for r in rows if r.well != POOLED}
    labels = {row.label for row in rows}
    return (
        "Fluorescent labels predicted from transmitted light, compared with "
        f"the true labels: {_count(len(wells), 'well')}, "
        f"{_count(len(labels), 'label')}."
    )


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("" if number == 1 else "s")


def _name(part: LabelPictures, rows: Sequence[MetricRow]) -> str:
    name = report_text.label_name(part.label)
    return report_tables.display_name(part.condition, name, rows)


def _summary(
    rows: Sequence[MetricRow], details: Mapping[str, Mapping[str, Any]]
) -> str:
    parts = []
    pooled = [row for row in rows if row.well == POOLED]
    for key, metrics in report_tables.group_rows(pooled).items():
        condition, label, _ = key
        text = report_text.summarise(metrics, details[condition][label])
        if text:
            name = report_tables.display_name(
                condition, report_text.label_name(label), rows
            )
            parts.append(
                f"<div class='label'><strong>{html.escape(name)}</strong>"
                f"{html.escape(text)}</div>"
            )
    return "".join(parts)


def _warnings(warnings: Sequence[str]) -> str:
    items = "".join(f"<li>{html.escape(text)}</li>" for text in warnings)
    return f"<ul class='warnings'>{items}</ul>" if items else ""


def _label(part: LabelPictures) -> str:
    """Pictures of a label, with headings where there are any."""
    strips = [
        report_html.tiles(title, pictures)
        for title, pictures in (
            ("Best tiles", part.best),
            ("Worst tiles", part.worst),
        )
        if pictures
    ]
    parts = (
        (
            "Truth and prediction",
            _pair(map(report_html.slider, part.comparisons)),
        ),
        ("", "".join(map(report_html.figure, part.overview))),
        (
            "Can its uncertainty be trusted?",
            "".join(map(report_html.figure, part.uncertainty)),
        ),
        ("Cells", "".join(map(report_html.figure, part.cells))),
        (
            "Where it is best and worst",
            f"<p>{_TILES_TEXT}</p>{_pair(strips)}" if strips else "",
        ),
    )
    return "".join(
        (f"<h3>{heading}</h3>" if heading else "") + content
        for heading, content in parts
        if content
    )


def _pair(parts) -> str:
    content = "".join(parts)
    return f"<div class='pair'>{content}</div>" if content else ""


def _run(run: Mapping[str, str]) -> str:
    items = "".join(
        f"<dt>{html.escape(str(name))}</dt>"
        f"<dd class='run'>{html.escape(str(value))}</dd>"
        for name, value in run.items()
    )
    return f"<dl>{items}</dl>" if items else ""


def _definitions(rows: Sequence[MetricRow]) -> str:
    items = []
    for metric in report_tables.metric_names(rows):
        meaning = report_metrics.METRICS.get(metric)
        if meaning:
            items.append(
                f"<dt id='metric-{metric}'>{html.escape(meaning.heading)}</dt>"
                f"<dd>{html.escape(meaning.definition)}</dd>"
            )
    return f"<dl>{''.join(items)}</dl>" if items else ""
