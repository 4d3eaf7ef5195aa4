"""Cells of truth and prediction: found, measured, alive or dead."""

import matplotlib.axes
import numpy as np
from matplotlib.figure import Figure

from isl.evaluation.cells import CellComparison
from isl.figures import drawing


def cell_figure(cells: CellComparison) -> Figure:
    """Draws how well cells are found, measured and called alive or dead.

    Args:
        cells: The cells of one label.

    Returns:
        The figure; without a label of dead cells it has no confusion matrix.
    """
    table = cells.confusion()
    figure = drawing.new_figure(11.0, 3.9)
    axes = figure.subplots(1, 2 if table is None else 3)
    draw_iou_curve(axes[0], cells)
    draw_areas(axes[1], cells)
    if table is not None:
        draw_confusion(axes[2], table)
    return figure


def draw_iou_curve(axes: matplotlib.axes.Axes, cells: CellComparison) -> None:
    """Draws precision, recall and F1 against the overlap asked for."""
    drawing.style_axes(axes, "Nuclei found, by the overlap asked for")
    names = {"precision": "precision", "recall": "recall", "f1": "F1"}
    for (name, text), colour, style in zip(
        names.items(), drawing.COLOURS, ("-", "--", ":"), strict=False
    ):
        points = [
            (row["iou"], row[name])
            for row in cells.iou_curve()
            if row[name] is not None
        ]
        if points:
            axes.plot(
                *zip(*points, strict=True),
                style,
                color=colour,
                linewidth=2,
                label=text,
            )
    axes.axvline(0.5, color="0.75", linewidth=0.8)
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1.02)
    axes.set_xlabel("Smallest intersection over union", fontsize=9)
    axes.set_ylabel("Share of nuclei", fontsize=9)
    if len(axes.lines) > 1:
        axes.legend(fontsize=8, frameon=False, loc="lower left")


def draw_areas(axes: matplotlib.axes.Axes, cells: CellComparison) -> None:
    """Draws predicted against true area of the nuclei that were matched."""
    drawing.style_axes(axes, f"Area of {len(cells.matched)} matched nuclei")
    pairs = np.array(
        [(one.area, other.area) for one, other in cells.matched], np.float64
    ).reshape(-1, 2)
    largest = 1.08 * max(1.0, pairs.max(initial=0))
    axes.plot([0, largest], [0, largest], "--", color="0.6", linewidth=0.8)
    axes.scatter(*pairs.T, s=10, alpha=0.5, color=drawing.COLOURS[0])
    axes.set_xlim(0, largest)
    axes.set_ylim(0, largest)
    axes.set_xlabel("True area, pixels", fontsize=9)
    axes.set_ylabel("Predicted area, pixels", fontsize=9)


def draw_confusion(axes: matplotlib.axes.Axes, table: np.ndarray) -> None:
    """Draws how many matched cells are alive or dead in both.

    Args:
        axes: Where to draw.
        table: Cells, [true, predicted], alive before dead.
    """
    shares = table / np.maximum(1, table.sum(axis=1, keepdims=True))
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for row, column in np.ndindex(2, 2):
        axes.text(
            column,
            row,
            f"{table[row, column]}\n{100 * shares[row, column]:.0f} %",
            ha="center",
            va="center",
            fontsize=11,
            color="white" if shares[row, column] > 0.6 else "black",
        )
    names = ("alive", "dead")
    axes.set_xticks((0, 1), names)
    axes.set_yticks((0, 1), names)
    axes.set_xlabel("Predicted", fontsize=9)
    axes.set_ylabel("True", fontsize=9)
    axes.set_title("Alive or dead (matched cells)", fontsize=10, loc="left")
