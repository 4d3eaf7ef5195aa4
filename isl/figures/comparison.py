"""Performance against planes, data and tasks, from the table of many runs.

The table (CSV) has a row for each run, label and metric, and the columns
`COLUMNS`. `labels` holds the labels that a run was trained on, separated by
spaces, commas or plus signs.
"""

import csv
import dataclasses
import itertools
import math
import os
import pathlib
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence

import matplotlib.axes
import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from isl.errors import InputError
from isl.figures import drawing, report_metrics

SETTINGS = (
    "model",
    "num_z",
    "train_share",
    "labels",
    "loss",
    "towers",
    "autoencoding",
)
COLUMNS = (*SETTINGS, "seed", "steps", "minutes", "label", "metric", "value")
AXIS_NAMES = {
    "num_z": "z-planes",
    "train_share": "Share of the training data",
}
_LEGEND_ROW_HEIGHT = 0.25
_MARKERS = "os^Dv<>"
_BASELINE_STYLES = tuple(
    {"color": "0.4", "linewidth": 1.2, "linestyle": style}
    for style in ("--", ":", "-.")
)
TOGETHER, ALONE = "all labels together", "one label alone"


@dataclasses.dataclass(frozen=True)
class Result:
    """One number of one run.

    Attributes:
        settings: The columns `SETTINGS`, as text.
        seed: Of the run, as text.
        label: The label that was scored.
        metric: Name of the metric.
        value: The number.
    """

    settings: dict[str, str]
    seed: str
    label: str
    metric: str
    value: float

    @property
    def trained_labels(self) -> tuple[str, ...]:
        """Labels that the run was trained on."""
        return tuple(re.findall(r"[^\s,+]+", self.settings["labels"]))


def read_results(path: str | os.PathLike, metric: str) -> list[Result]:
    """Reads the rows of one metric; rows without a value are left out.

    Raises:
        InputError: If the file is not such a table, or has no such row.
    """
    try:
        with pathlib.Path(path).open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read. {error}") from error
    missing = set(COLUMNS) - set(rows[0] if rows else ())
    if missing:
        raise InputError(
            f"{path}: must have a row and the columns {', '.join(COLUMNS)}. "
            f"Received: no {', '.join(sorted(missing))}"
        )
    results = [
        Result(
            settings={name: row[name] for name in SETTINGS},
            seed=row["seed"],
            label=row["label"],
            metric=row["metric"],
            value=_number(path, row["value"]),
        )
        for row in rows
        if row["metric"] == metric and row["value"]
    ]
    if not results:
        known = ", ".join(dict.fromkeys(row["metric"] for row in rows))
        raise InputError(
            f"{path}: metric must be one of {known}. Received: {metric!r}"
        )
    return results


def _number(path: str | os.PathLike, text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise InputError(f"{path}: must be finite numbers. Received: {text!r}")
    return number


def curve_figure(results: Sequence[Result], setting: str) -> Figure:
    """Draws a metric against the number of planes or the share of data.

    A panel for each label. Runs that differ in nothing but the setting and
    the seed form a curve: the mean over seeds, each seed as a dot, and a band
    from the lowest to the highest. What has no such setting, a prediction
    without learning, is a dashed line.

    Args:
        results: Of one metric.
        setting: "num_z" or "train_share".

    Raises:
        InputError: If a value of the setting is not a number, or no run has
            one.
    """
    runs = [result for result in results if result.settings[setting]]
    if not runs:
        raise InputError(
            f"the table must have runs with {setting}. Received: none"
        )
    other = [name for name in SETTINGS if name != setting]
    placed = [(_number(setting, run.settings[setting]), run) for run in runs]
    baselines = [run for run in results if not run.settings[setting]]
    figure, all_axes = _draw_panels(placed, _varying(runs, other), baselines)
    for axes in all_axes:
        axes.set_xlabel(AXIS_NAMES[setting], fontsize=9)
        if setting == "num_z":  # There is no half of a plane.
            drawing.set_whole_ticks(axes)
    return figure


def multi_task_figure(results: Sequence[Result]) -> Figure:
    """Draws, for each label, training together against training alone.

    Args:
        results: Of one metric. Runs on one label are "alone"; of the others
            those with most labels are "together".

    Raises:
        InputError: If there is no run of either kind.
    """
    most = max(len(result.trained_labels) for result in results)
    groups = {
        TOGETHER: [r for r in results if len(r.trained_labels) == most > 1],
        ALONE: [r for r in results if r.trained_labels == (r.label,)],
    }
    for name, group in groups.items():
        if not group:
            raise InputError(
                f"the table must have runs with {name}. Received: none"
            )
    other = [name for name in SETTINGS if name != "labels"]
    placed = [
        (float(place), result)
        for place, group in enumerate(groups.values())
        for result in group
    ]
    varying = _varying([result for _, result in placed], other)
    figure, all_axes = _draw_panels(placed, varying)
    for axes in all_axes:
        axes.set_xticks((0, 1), ["together", "alone"])
        axes.set_xlim(-0.4, 1.4)
    return figure


def _draw_panels(
    placed: Sequence[tuple[float, Result]],
    varying: Sequence[str],
    baselines: Sequence[Result] = (),
) -> tuple[Figure, list[matplotlib.axes.Axes]]:
    """Draws a panel for each label, and a curve for each kind of run.

    Args:
        placed: Where on the horizontal axis each result stands.
        varying: Settings that tell kinds of runs apart.
        baselines: Results that stand nowhere on it: lines across the panel.
    """
    series = defaultdict(lambda: defaultdict(list))
    for place, result in placed:
        key = (result.label, _name(result, varying))
        series[key][place].append(result.value)
    labels = list(dict.fromkeys(label for label, _ in series))
    names = sorted({name for _, name in series})
    lines = dict.fromkeys(result.settings["model"] for result in baselines)
    styles = dict(zip(lines, itertools.cycle(_BASELINE_STYLES), strict=False))
    handles = [
        Line2D([], [], label=name, **_style(index))
        for index, name in enumerate(names)
        if varying
    ]
    handles += [
        Line2D([], [], label=f"{name} (without learning)", **style)
        for name, style in styles.items()
    ]
    num_rows = -(-len(handles) // len(labels))
    figure = drawing.new_figure(
        max(4.0, 3.4 * len(labels)), 3.4 + _LEGEND_ROW_HEIGHT * num_rows
    )
    all_axes = list(figure.subplots(1, len(labels), squeeze=False)[0])
    for label, axes in zip(labels, all_axes, strict=True):
        drawing.style_axes(axes, label)
        for index, name in enumerate(names):
            if (label, name) in series:
                _draw_curve(axes, series[label, name], _style(index))
        for result in baselines:
            if result.label == label:
                style = styles[result.settings["model"]]
                axes.axhline(result.value, **style)
    metric = placed[0][1].metric
    all_axes[0].set_ylabel(report_metrics.heading(metric), fontsize=9)
    figure.suptitle(
        "Line: mean over seeds; dots: seeds; band: lowest to highest",
        fontsize=8,
        color="0.3",
        x=0.01,
        ha="left",
    )
    if handles:
        # One legend, where it hides nothing.
        figure.legend(
            handles=handles,
            loc="outside lower left",
            ncols=len(labels),
            fontsize=8,
            frameon=False,
        )
    return figure, all_axes


def _style(index: int) -> dict[str, str | float]:
    """Colour and marker of a kind of run: told apart without colours, too."""
    return {
        "color": drawing.COLOURS[index % len(drawing.COLOURS)],
        "marker": _MARKERS[index % len(_MARKERS)],
        "markersize": 4,
        "linewidth": 1.5,
    }


def _varying(results: Sequence[Result], names: Sequence[str]) -> list[str]:
    return [
        name
        for name in names
        if len({result.settings[name] for result in results}) > 1
    ]


def _name(result: Result, varying: Sequence[str]) -> str:
    return ", ".join(f"{name} {result.settings[name]}" for name in varying)


def _draw_curve(
    axes: matplotlib.axes.Axes,
    points: Mapping[float, Sequence[float]],
    style: Mapping[str, str | float],
) -> None:
    places = sorted(points)
    for place in places:
        values = points[place]
        axes.plot(
            [place] * len(values), values, **{**style, "linestyle": "none"}
        )
    means = [np.mean(points[place]) for place in places]
    axes.plot(places, means, **{**style, "marker": None})
    axes.fill_between(
        places,
        [min(points[place]) for place in places],
        [max(points[place]) for place in places],
        color=style["color"],
        alpha=0.15,
        linewidth=0,
    )
