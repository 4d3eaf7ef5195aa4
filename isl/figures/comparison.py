"""Performance against planes, data and tasks, from the table of many runs.

The table (CSV) has a row for each run, label and metric, and the columns
`COLUMNS`. `labels` holds the labels that a run was trained on, separated by
spaces, commas or plus signs.
"""

import csv
import dataclasses
import math
import os
import pathlib
import re
from collections import defaultdict
from collections.abc import Sequence

import matplotlib.axes
import numpy as np
from matplotlib.figure import Figure

from isl.errors import InputError
from isl.figures import drawing

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
    from the lowest to the highest.

    Args:
        results: Of one metric.
        setting: "num_z" or "train_share".

    Raises:
        InputError: If a value of the setting is not a number.
    """
    other = [name for name in SETTINGS if name != setting]
    varying = _varying(results, other)
    figure, panels = _panels(results)
    for label, axes in panels.items():
        series = defaultdict(lambda: defaultdict(list))
        for result in results:
            if result.label == label:
                name = _name(result, varying)
                x = _number(setting, result.settings[setting])
                series[name][x].append(result.value)
        for index, (name, points) in enumerate(sorted(series.items())):
            colour = drawing.COLOURS[index % len(drawing.COLOURS)]
            _draw_curve(axes, points, name, colour)
        axes.set_xlabel(AXIS_NAMES[setting], fontsize=9)
        if varying:
            axes.legend(fontsize=7, frameon=False)
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
    varying = _varying([r for group in groups.values() for r in group], other)
    figure, panels = _panels(results)
    for label, axes in panels.items():
        series = defaultdict(lambda: defaultdict(list))
        for place, group in enumerate(groups.values()):
            for result in group:
                if result.label == label:
                    name = _name(result, varying)
                    series[name][place].append(result.value)
        for index, (name, points) in enumerate(sorted(series.items())):
            colour = drawing.COLOURS[index % len(drawing.COLOURS)]
            _draw_curve(axes, points, name, colour)
        axes.set_xticks((0, 1), ["together", "alone"])
        axes.set_xlim(-0.4, 1.4)
        if varying:
            axes.legend(fontsize=7, frameon=False)
    return figure


def _panels(
    results: Sequence[Result],
) -> tuple[Figure, dict[str, matplotlib.axes.Axes]]:
    labels = list(dict.fromkeys(result.label for result in results))
    figure = drawing.new_figure(max(4.0, 3.4 * len(labels)), 3.4)
    all_axes = figure.subplots(1, len(labels), squeeze=False)[0]
    panels = dict(zip(labels, all_axes, strict=True))
    for label, axes in panels.items():
        drawing.style_axes(axes, label)
    all_axes[0].set_ylabel(results[0].metric, fontsize=9)
    figure.suptitle(
        "Line: mean over seeds; dots: seeds; band: lowest to highest",
        fontsize=8,
        color="0.3",
        x=0.01,
        ha="left",
    )
    return figure, panels


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
    points: dict[float, list[float]],
    name: str,
    colour: str,
) -> None:
    places = sorted(points)
    for place in places:
        values = points[place]
        axes.plot(
            [place] * len(values), values, "o", color=colour, markersize=3
        )
    means = [np.mean(points[place]) for place in places]
    axes.plot(places, means, color=colour, linewidth=1.5, label=name)
    axes.fill_between(
        places,
        [min(points[place]) for place in places],
        [max(points[place]) for place in places],
        color=colour,
        alpha=0.15,
        linewidth=0,
    )
