"""How training went: loss and correlation against steps, label by label."""

import math
import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from isl.errors import InputError
from isl.figures import drawing
from isl.training.monitoring import LOG_FILE, read_log_rows

# Of the training and of the validation patches, {} is the label.
LOSS = "{}_loss"
VALIDATION_LOSS = "validation_{}_nll"
VALIDATION_CORRELATION = "validation_{}_pearson"
# The loss may be another one; the log does not say which.
_CAPTION = (
    "Thin: the loss of training patches; dots: cross-entropy / ln 256 (above) "
    "and r (below)\nof fixed validation patches"
)


def read_log(workdir: str | os.PathLike) -> list[dict[str, str]]:
    """Reads the rows of `log.csv` of a run.

    Raises:
        InputError: If there is none, it cannot be read, or has no epoch yet.
    """
    path = pathlib.Path(workdir) / LOG_FILE
    rows = read_log_rows(path)
    if not rows:
        raise InputError(
            f"{path}: must have an epoch to draw. Received: none finished yet"
        )
    return rows


def training_curves(logs: Mapping[str, Sequence[Mapping[str, Any]]]) -> Figure:
    """Draws the curves of one or several training logs.

    A column of panels for each label: above the loss of training patches
    (thin) and validation patches (thick, dots), below Pearson's r of
    validation patches. Runs differ by colour.

    Args:
        logs: Name of a run to the rows of its `log.csv`, values as numbers or
            text. Empty, missing and undefined values are left out.

    Returns:
        The figure.
    """
    labels = _labels(logs)
    figure = drawing.new_figure(max(4.5, 3.6 * len(labels)), 5.8)
    all_axes = figure.subplots(
        2, max(1, len(labels)), sharex="col", squeeze=False
    )
    for column, label in enumerate(labels):
        above, below = all_axes[:, column]
        drawing.style_axes(above, label)
        drawing.style_axes(below, "")
        for index, rows in enumerate(logs.values()):
            colour = _colour(index)
            _draw(above, rows, LOSS.format(label), colour, thin=True)
            _draw(above, rows, VALIDATION_LOSS.format(label), colour)
            key = VALIDATION_CORRELATION.format(label)
            _draw(below, rows, key, colour)
        for axes in (above, below):
            drawing.set_whole_ticks(axes)
            if not axes.lines:
                _say(axes, "undefined so far")
        below.set_xlabel("Step", fontsize=9)
    if not labels:
        _say(all_axes[0, 0], "no values in the log yet")
        return figure
    all_axes[0, 0].set_ylabel("Loss", fontsize=9)
    all_axes[1, 0].set_ylabel("Pearson r", fontsize=9)
    figure.suptitle(_CAPTION, fontsize=8, color="0.3", x=0.01, ha="left")
    figure.legend(
        handles=[
            Line2D([], [], color=_colour(index), label=name)
            for index, name in enumerate(logs)
        ],
        loc="outside lower left",
        ncols=len(labels),
        fontsize=8,
        frameon=False,
    )
    return figure


def _colour(index: int) -> str:
    return drawing.COLOURS[index % len(drawing.COLOURS)]


def _say(axes: matplotlib.axes.Axes, text: str) -> None:
    """Writes in the middle of axes that have nothing to show."""
    axes.text(
        0.5, 0.5, text, transform=axes.transAxes, ha="center", color="0.45"
    )
    axes.set_yticks([])


def _labels(logs: Mapping[str, Sequence[Mapping[str, Any]]]) -> list[str]:
    """Labels with a loss of their own, in the order of the logs."""
    suffix = LOSS.format("")
    columns = [
        column
        for rows in logs.values()
        for column in (rows[0] if rows else ())
        if column.endswith(suffix)
    ]
    return list(dict.fromkeys(c.removesuffix(suffix) for c in columns))


def _draw(
    axes: matplotlib.axes.Axes,
    rows: Sequence[Mapping[str, Any]],
    name: str,
    colour: str,
    thin: bool = False,
) -> None:
    points = [
        (_number(row.get("step")), _number(row.get(name))) for row in rows
    ]
    points = [point for point in points if None not in point]
    if points:
        axes.plot(
            *zip(*points, strict=True),
            color=colour,
            linewidth=0.8 if thin else 1.5,
            # A curve of few points would be hard or impossible to see.
            marker=None if thin and len(points) > 1 else "o",
            markersize=3,
        )


def _number(value: Any) -> float | None:
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None
