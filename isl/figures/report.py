"""One self-contained HTML page that says what a prediction is worth."""

import base64
import html
import os
from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure

from isl import files
from isl.evaluation.tables import POOLED, MetricRow
from isl.figures import drawing, report_text
from isl.figures.report_style import STYLE

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"


def write_report(
    path: str | os.PathLike,
    *,
    title: str,
    rows: Sequence[MetricRow],
    figures: Mapping[str, Figure | bytes],
    run: Mapping[str, str],
    notes: Sequence[str] = (),
) -> None:
    """Writes the report. It opens without a network, in light or dark.

    Args:
        path: The file to write, such as `report.html`.
        title: Heading of the page.
        rows: The metrics; those with well `POOLED` are summed up in words.
        figures: Caption to figure, or to the bytes of a PNG file, in order.
        run: How the numbers were made (model, wells, region, commit,
            versions, command, ...), shown as it is.
        notes: Sentences a reader must know, such as warnings.

    Raises:
        ValueError: If the bytes of a figure are not a PNG file.
    """
    sections = (
        ("In short", _summary(rows)),
        ("Please note", _notes(notes)),
        ("Metrics", _table(rows)),
        ("Pictures", "".join(_figure(*item) for item in figures.items())),
        ("How these numbers were made", _run(run)),
        ("What the metrics mean", _definitions(rows)),
    )
    body = "".join(
        f"<section><h2>{name}</h2>{content}</section>\n"
        for name, content in sections
        if content
    )
    heading = html.escape(title)
    files.write_text(
        path,
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width">\n'
        f"<title>{heading}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n"
        f"<h1>{heading}</h1>\n<p class='lead'>{_lead(rows)}</p>\n{body}"
        "</body>\n</html>\n",
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


def _groups(
    rows: Sequence[MetricRow],
) -> dict[tuple[str, str, str], dict[str, MetricRow]]:
    """Returns (condition, label, well) to metric to row; pooled wells first."""
    groups: dict[tuple[str, str, str], dict[str, MetricRow]] = {}
    order = list(dict.fromkeys((row.condition, row.label) for row in rows))
    ordered = sorted(
        rows,
        key=lambda row: (
            order.index((row.condition, row.label)),
            row.well != POOLED,
        ),
    )
    for row in ordered:
        key = (row.condition, row.label, row.well)
        groups.setdefault(key, {})[row.metric] = row
    return groups


def _summary(rows: Sequence[MetricRow]) -> str:
    several = len({row.condition for row in rows}) > 1
    parts = []
    for (condition, label, well), metrics in _groups(rows).items():
        text = report_text.summarise(metrics) if well == POOLED else ""
        if text:
            name = report_text.label_name(label)
            name = f"{condition}: {name}" if several else name
            parts.append(
                f"<div class='label'><strong>{html.escape(name)}</strong>"
                f"{html.escape(text)}</div>"
            )
    return "".join(parts)


def _notes(notes: Sequence[str]) -> str:
    items = "".join(f"<li>{html.escape(note)}</li>" for note in notes)
    return f"<ul>{items}</ul>" if items else ""


def _metric_names(rows: Sequence[MetricRow]) -> list[str]:
    """Returns the metrics that occur: the known ones first, in our order."""
    present = dict.fromkeys(row.metric for row in rows)
    known = [metric for metric in report_text.METRICS if metric in present]
    return known + [metric for metric in present if metric not in known]


def _table(rows: Sequence[MetricRow]) -> str:
    if not rows:
        return "<p>No label was evaluated.</p>"
    metrics = _metric_names(rows)
    head = "".join(f"<th scope='col'>{n}</th>" for n in ("Label", "Well"))
    head += "".join(
        f"<th scope='col' class='number'>{html.escape(name)}</th>"
        for name in [report_text.heading(m) for m in metrics] + ["Pixels"]
    )
    several = len({row.condition for row in rows}) > 1
    body = []
    for (condition, label, well), group in _groups(rows).items():
        name = f"{condition}: {label}" if several else label
        kind = " class='pooled'" if well == POOLED else ""
        shown = "all, pooled" if well == POOLED else well
        cells = "".join(_cell(group.get(metric)) for metric in metrics)
        count = max(row.count for row in group.values())
        body.append(
            f"<tr{kind}><th scope='row'>{html.escape(name)}</th>"
            f"<td>{html.escape(shown)}</td>{cells}"
            f"<td class='number'>{count:,}</td></tr>\n"
        )
    return (
        f"<div class='scroll'><table><thead><tr>{head}</tr></thead>"
        f"<tbody>{''.join(body)}</tbody></table></div>"
    )


def _cell(row: MetricRow | None) -> str:
    if row is None:
        return "<td class='number undefined'>–</td>"
    kind = "number undefined" if row.value is None else "number"
    return f"<td class='{kind}'>{report_text.number(row.value)}</td>"


def _figure(caption: str, figure: Figure | bytes) -> str:
    if isinstance(figure, Figure):
        figure = drawing.figure_png(figure)
    if not figure.startswith(PNG_SIGNATURE):
        raise ValueError(
            f"figures: {caption!r} must be a figure or the bytes of a PNG. "
            f"Received: {figure[:8]!r}"
        )
    data = base64.b64encode(figure).decode("ascii")
    text = html.escape(caption)
    return (
        f"<figure><img alt='{text}' src='data:image/png;base64,{data}'>"
        f"<figcaption>{text}</figcaption></figure>\n"
    )


def _run(run: Mapping[str, str]) -> str:
    items = "".join(
        f"<dt>{html.escape(str(name))}</dt>"
        f"<dd class='run'>{html.escape(str(value))}</dd>"
        for name, value in run.items()
    )
    return f"<dl>{items}</dl>" if items else ""


def _definitions(rows: Sequence[MetricRow]) -> str:
    items = "".join(
        f"<dt>{html.escape(report_text.heading(metric))}</dt>"
        f"<dd>{html.escape(report_text.METRICS[metric][1])}</dd>"
        for metric in _metric_names(rows)
        if metric in report_text.METRICS
    )
    return f"<dl>{items}</dl>" if items else ""
