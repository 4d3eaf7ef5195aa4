"""Is the predicted distribution right? Reliability, PIT, coverage."""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.axes
import numpy as np
from matplotlib.figure import Figure

from isl.errors import InputError
from isl.evaluation.details import distribution_details
from isl.evaluation.distributions import DistributionScores
from isl.figures import drawing

# Below the PIT histogram: what a slope means.
PIT_LABEL = (
    "Predicted probability of a darker pixel\n"
    "high at the left: predicted too bright; at the right: too dark"
)


def reliability_figures(
    details: Mapping[str, Mapping[str, Any]],
) -> dict[str, Figure]:
    """Draws a figure for each label whose distributions were scored.

    Args:
        details: From `isl.evaluation.tables.read_details`.

    Returns:
        Name of the file, without suffix, to figure.

    Raises:
        InputError: If no distribution was predicted.
    """
    figures = {
        f"reliability_{condition}_{label}": reliability_figure(
            values["reliability"], values["pit"], f"{condition}, {label}"
        )
        for condition, labels in details.items()
        for label, values in labels.items()
        if "pit" in values
    }
    if not figures:
        raise InputError(
            "evaluation must be one of a model that predicts distributions. "
            "Received: one without any"
        )
    return figures


def reliability_figure(
    reliability: Sequence[Mapping[str, Any]],
    pit: Sequence[float],
    title: str = "",
) -> Figure:
    """Draws three views of whether distributions are right.

    Args:
        reliability: See `isl.evaluation.details.metric_details`.
        pit: Likewise.
        title: Written on top.
    """
    figure = drawing.new_figure(11.0, 3.9)
    figure.suptitle(title, x=0.01, ha="left", fontsize=11, fontweight="bold")
    all_axes = figure.subplots(1, 3)
    draw_reliability(all_axes[0], reliability)
    draw_pit(all_axes[1], np.asarray(pit, np.float64))
    draw_coverage(all_axes[2], np.asarray(pit, np.float64))
    return figure


def reliability_png(scores: DistributionScores, title: str = "") -> bytes:
    """Returns the figure of one label's scores as a PNG file.

    Args:
        scores: The scores, of at least one pixel.
        title: Written on top.
    """
    details = distribution_details(scores)
    return drawing.figure_png(reliability_figure(**details, title=title))


def draw_reliability(
    axes: matplotlib.axes.Axes, reliability: Sequence[Mapping[str, Any]]
) -> None:
    """Draws how often pixels are bright against how likely that was said.

    Args:
        axes: Where to draw.
        reliability: For each tenth of the probability `pixels`, `predicted`
            and `observed`, see `isl.evaluation.details.metric_details`.
    """
    drawing.style_axes(axes, "Reliability of “this pixel is bright”")
    tenths = [tenth for tenth in reliability if tenth["pixels"]]
    counts = np.array([tenth["pixels"] for tenth in tenths], np.float64)
    predicted = [tenth["predicted"] for tenth in tenths]
    observed = [tenth["observed"] for tenth in tenths]
    axes.plot([0, 1], [0, 1], "--", color="0.6", linewidth=0.8)
    axes.plot(predicted, observed, "-", color=drawing.COLOURS[0])
    axes.scatter(
        predicted,
        observed,
        s=12 + 250 * counts / max(1.0, counts.sum()),
        color=drawing.COLOURS[0],
        alpha=0.8,
        zorder=3,
    )
    axes.set_xlim(-0.02, 1.02)
    axes.set_ylim(-0.02, 1.02)
    axes.set_xlabel("Predicted probability (area of a dot: pixels)", fontsize=9)
    axes.set_ylabel("Share that is bright", fontsize=9)


def draw_pit(axes: matplotlib.axes.Axes, pit: np.ndarray) -> None:
    """Draws where the truth lies in the predicted distribution.

    A truth that often lies low in it was predicted too bright, one that
    often lies high too dark.

    Args:
        axes: Where to draw.
        pit: Pixels by the predicted probability of less, [bin].
    """
    drawing.style_axes(axes, "Where the truth lies in the distribution (PIT)")
    density = pit * len(pit) / max(1e-9, pit.sum())
    edges = np.linspace(0, 1, len(pit) + 1)
    axes.bar(
        edges[:-1],
        density,
        1 / len(pit),
        align="edge",
        color=drawing.COLOURS[5],
        edgecolor="white",
        linewidth=0.5,
    )
    axes.axhline(1.0, linestyle="--", color="0.4", linewidth=0.8)
    axes.set_xlim(0, 1)
    axes.set_xlabel(PIT_LABEL, fontsize=9)
    axes.set_ylabel("Pixels, relative to calibrated", fontsize=9)


def draw_coverage(axes: matplotlib.axes.Axes, pit: np.ndarray) -> None:
    """Draws how many pixels central intervals hold.

    Args:
        axes: Where to draw.
        pit: Pixels by the predicted probability of less, [bin], an even
            number of bins.
    """
    drawing.style_axes(axes, "Pixels inside central intervals")
    half = len(pit) // 2
    inside = np.cumsum(pit[half:] + pit[:half][::-1])
    shares = np.arange(1, half + 1) / half
    axes.plot([0, 1], [0, 1], "--", color="0.6", linewidth=0.8)
    axes.plot(
        [0, *shares],
        [0, *(inside / max(1e-9, pit.sum()))],
        "o-",
        color=drawing.COLOURS[2],
        markersize=4,
    )
    axes.set_xlim(0, 1.02)
    axes.set_ylim(0, 1.02)
    axes.set_xlabel("Predicted probability of the interval", fontsize=9)
    axes.set_ylabel("Share of the truth inside", fontsize=9)
