"""Tables of the report: all wells together with intervals, each well."""

import html
from collections.abc import Sequence

from isl.evaluation.tables import POOLED, MetricRow
from isl.figures import report_metrics

# (condition, label, well) to metric to row.
Groups = dict[tuple[str, str, str], dict[str, MetricRow]]


def group_rows(rows: Sequence[MetricRow]) -> Groups:
    """Returns (condition, label, well) to metric to row, in order."""
    groups: Groups = {}
    for row in rows:
        key = (row.condition, row.label, row.well)
        groups.setdefault(key, {})[row.metric] = row
    return groups


def metric_names(rows: Sequence[MetricRow]) -> list[str]:
    """Returns the metrics that occur: the known ones first, in our order."""
    present = dict.fromkeys(row.metric for row in rows)
    known = [metric for metric in report_metrics.METRICS if metric in present]
    return known + [metric for metric in present if metric not in known]


def display_name(condition: str, label: str, rows: Sequence[MetricRow]) -> str:
    """Returns the label, after its condition where there are several."""
    several = len({row.condition for row in rows}) > 1
    return f"{condition}: {label}" if several else label


def pooled_table(rows: Sequence[MetricRow]) -> str:
    """Returns the table of all wells together: a column for each label."""
    pooled = [row for row in rows if row.well == POOLED]
    if not pooled:
        return "<p>No label was evaluated.</p>"
    groups = group_rows(pooled)
    head = "".join(
        f"<th scope='col' class='number'>"
        f"{html.escape(display_name(condition, label, rows))}</th>"
        for condition, label, _ in groups
    )
    body, last = [], None
    for metric in metric_names(pooled):
        group = report_metrics.group(metric)
        if group != last:
            body.append(
                f"<tr class='group'><th colspan='{len(groups) + 1}'>"
                f"{html.escape(group)}</th></tr>"
            )
            last = group
        cells = "".join(_cell(values.get(metric)) for values in groups.values())
        body.append(f"<tr><th scope='row'>{_heading(metric)}</th>{cells}</tr>")
    return _table(f"<th scope='col'>Metric</th>{head}", body)


def wells_table(rows: Sequence[MetricRow]) -> str:
    """Returns the table of single wells; empty for fewer than two."""
    single = [row for row in rows if row.well != POOLED]
    if len({(row.condition, row.well) for row in single}) < 2:
        return ""
    metrics = metric_names(single)
    head = "<th scope='col'>Label</th><th scope='col'>Well</th>" + "".join(
        f"<th scope='col' class='number'>{_heading(metric)}</th>"
        for metric in metrics
    )
    body = []
    order = list(dict.fromkeys((row.condition, row.label) for row in single))
    groups = sorted(
        group_rows(single).items(), key=lambda item: order.index(item[0][:2])
    )
    for (condition, label, well), values in groups:
        cells = "".join(
            _cell(values.get(metric), with_interval=False) for metric in metrics
        )
        name = html.escape(display_name(condition, label, rows))
        body.append(
            f"<tr><th scope='row'>{name}</th><td>{html.escape(well)}</td>"
            f"{cells}</tr>"
        )
    return (
        f"<details><summary>Show the {len(groups)} rows</summary>"
        f"{_table(head, body)}</details>"
    )


def _table(head: str, body: Sequence[str]) -> str:
    rows = "\n".join(body)
    return (
        f"<div class='scroll'><table><thead><tr>{head}</tr></thead>"
        f"<tbody>{rows}</tbody></table></div>"
    )


def _heading(metric: str) -> str:
    text = html.escape(report_metrics.heading(metric))
    if metric not in report_metrics.METRICS:
        return text
    return f"<a href='#metric-{metric}'>{text}</a>"


def _cell(row: MetricRow | None, with_interval: bool = True) -> str:
    if row is None:
        return "<td class='number undefined'>–</td>"
    kind = "number undefined" if row.value is None else "number"
    interval = ""
    if with_interval and row.low is not None and row.high is not None:
        low, high = (
            report_metrics.number(row.metric, end)
            for end in (row.low, row.high)
        )
        interval = f"<span class='interval'>{low} to {high}</span>"
    value = report_metrics.number(row.metric, row.value)
    return f"<td class='{kind}'>{value}{interval}</td>"
