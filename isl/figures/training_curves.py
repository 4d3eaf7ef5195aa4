"""How training went: loss and correlation against steps."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.axes
from matplotlib.figure import Figure

from isl.figures import drawing

LOSS_WORDS = ("loss", "nll", "cross_entropy")
CORRELATION_WORDS = ("pearson",)


def training_curves(rows: Sequence[Mapping[str, Any]]) -> Figure:
    """Draws the curves of a training log.

    Columns are chosen by name: those that contain "loss", "nll" or
    "cross_entropy" go into one panel, those that contain "pearson" into
    another; the rest is ignored. Columns of validation are dashed.

    Args:
        rows: Rows of `log.csv`, as from `csv.DictReader`: "step" and any other
            columns, values as numbers or text. Empty, missing and undefined
            values are left out.

    Returns:
        The figure.
    """
    panels = (
        ("Loss (1 is a uniform guess; lower is better)", LOSS_WORDS),
        ("Pearson r (1 is perfect)", CORRELATION_WORDS),
    )
    columns = {column: None for row in rows for column in row}
    chosen = [
        (title, [c for c in columns if any(word in c for word in words)])
        for title, words in panels
    ]
    chosen = [panel for panel in chosen if panel[1]] or [(panels[0][0], [])]
    figure = drawing.new_figure(11.0, 3.8)
    all_axes = figure.subplots(1, len(chosen), squeeze=False)[0]
    for axes, (title, names) in zip(all_axes, chosen, strict=True):
        for index, name in enumerate(names):
            _draw_curve(axes, rows, name, index)
        axes.set_title(title, fontsize=10, loc="left")
        axes.set_xlabel("Step", fontsize=9)
        axes.tick_params(labelsize=8)
        axes.grid(color="0.9", linewidth=0.8)
        axes.spines[["top", "right"]].set_visible(False)
        if axes.lines:
            axes.legend(fontsize=8, frameon=False)
        else:
            axes.text(
                0.5,
                0.5,
                "no values in the log yet",
                transform=axes.transAxes,
                ha="center",
            )
    return figure


def _draw_curve(
    axes: matplotlib.axes.Axes,
    rows: Sequence[Mapping[str, Any]],
    name: str,
    index: int,
) -> None:
    points = [
        (_number(row.get("step")), _number(row.get(name))) for row in rows
    ]
    points = [point for point in points if None not in point]
    if not points:
        return
    steps, values = zip(*points, strict=True)
    axes.plot(
        steps,
        values,
        label=name,
        color=drawing.COLOURS[index % len(drawing.COLOURS)],
        linestyle="--" if "val" in name else "-",
        linewidth=1.5,
        # A curve of few points would otherwise be hard or impossible to see.
        marker="o" if len(points) < 30 else None,
        markersize=3,
    )


def _number(value: Any) -> float | None:
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None
