"""How often each true intensity got each predicted intensity.

The definition is ours, after the paper's, which could not be checked: counts
per 1,000 pixels in 10 x 10 cells of width 0.1 (BUILD_NOTES D18).
"""

import matplotlib.axes
import numpy as np
from matplotlib import colors, patheffects

from isl.evaluation import pixels

NUM_CELLS = 10


def heat_map(
    axes: matplotlib.axes.Axes, histogram: pixels.JointHistogram
) -> None:
    """Draws how often each true intensity got each predicted intensity.

    Args:
        axes: Where to draw.
        histogram: The evaluated pixels; may be empty.
    """
    counts = histogram.coarse(NUM_CELLS)
    per_thousand = 1000 * counts / max(1, histogram.count)
    axes.imshow(
        np.ma.masked_equal(per_thousand.T, 0),
        origin="lower",
        extent=(0, 1, 0, 1),
        cmap="YlGnBu",
        norm=colors.LogNorm(vmin=0.01, vmax=1000),
    )
    axes.plot([0, 1], [0, 1], color="0.6", linewidth=0.6, linestyle="--")
    for true_cell, predicted_cell in zip(*np.nonzero(counts), strict=True):
        value = per_thousand[true_cell, predicted_cell]
        axes.text(
            (true_cell + 0.5) / NUM_CELLS,
            (predicted_cell + 0.5) / NUM_CELLS,
            cell_text(value),
            fontsize=6,
            color="white" if value > 15 else "black",
            ha="center",
            va="center",
        )
    r = histogram.pearson()
    inset = axes.text(
        0.04,
        0.96,
        "r undefined" if r is None else f"r = {r:.3f}",
        transform=axes.transAxes,
        fontsize=11,
        fontweight="bold",
        va="top",
    )
    inset.set_path_effects(
        [patheffects.withStroke(linewidth=3, foreground="white")]
    )
    axes.set_title(
        f"Counts per 1,000 of {histogram.count:,} pixels",
        fontsize=10,
        loc="left",
    )
    axes.set_xlabel("True intensity", fontsize=9)
    axes.set_ylabel("Predicted intensity", fontsize=9)
    ticks = np.linspace(0, 1, 6)
    axes.set_xticks(ticks)
    axes.set_yticks(ticks)
    axes.tick_params(labelsize=8)


def cell_text(per_thousand: float) -> str:
    """Returns a count per 1,000 in at most three characters.

    Args:
        per_thousand: More than 0, at most 1,000.

    Returns:
        A whole number from 10, one digit after the point below, "<.1" for
        less than 0.05.
    """
    if per_thousand < 0.05:
        return "<.1"
    if per_thousand < 9.95:
        return f"{per_thousand:.1f}"
    return f"{per_thousand:.0f}"
