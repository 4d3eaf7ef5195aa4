"""Does the predicted uncertainty say where the prediction is wrong?"""

import dataclasses

import matplotlib.axes
import numpy as np
from matplotlib.figure import Figure

from isl.evaluation.pixels import NUM_BINS
from isl.figures import drawing

_NUM_GROUPS = 12
_MIN_GROUP_SIZE = 50
_MAP_COLOURS = "viridis"


@dataclasses.dataclass(frozen=True)
class SpreadCurve:
    """Pixels in groups of similar predicted standard deviation.

    Attributes:
        predicted: Root mean square of the predicted standard deviation, as an
            intensity, [group].
        actual: Root mean square of prediction minus truth, as an intensity,
            [group].
        counts: Pixels, [group].
    """

    predicted: np.ndarray
    actual: np.ndarray
    counts: np.ndarray


class SpreadSums:
    """Running sums of squared errors over predicted standard deviations."""

    def __init__(self):
        """Starts empty."""
        self._counts = np.zeros(NUM_BINS, np.int64)
        self._squares = np.zeros(NUM_BINS, np.int64)

    def add(
        self,
        deviations: np.ndarray,
        true_bins: np.ndarray,
        predicted_bins: np.ndarray,
    ) -> None:
        """Adds pixels.

        Args:
            deviations: Predicted standard deviation, round(255 x intensity),
                uint8, any shape.
            true_bins: Integers 0 to 255, same shape.
            predicted_bins: Likewise.
        """
        errors = true_bins.astype(np.int64) - predicted_bins
        index = np.ravel(deviations)
        self._counts += np.bincount(index, minlength=NUM_BINS)
        # Sums of squares of bins stay far below 2^53: exact as floats.
        squares = np.bincount(index, np.ravel(errors**2), NUM_BINS)
        self._squares += squares.astype(np.int64)

    def curve(self) -> SpreadCurve:
        """Returns at most 12 groups with about equally many pixels each.

        Groups of fewer than 50 pixels are left out.
        """
        total = self._counts.sum()
        before = np.cumsum(self._counts) - self._counts / 2
        group = (before * _NUM_GROUPS / max(1, total)).astype(np.int64)
        group = np.minimum(group, _NUM_GROUPS - 1)
        counts = np.bincount(group, self._counts, _NUM_GROUPS)
        variances = self._counts * np.arange(NUM_BINS) ** 2
        predicted = np.bincount(group, variances, _NUM_GROUPS)
        actual = np.bincount(group, self._squares, _NUM_GROUPS)
        kept = counts >= _MIN_GROUP_SIZE
        return SpreadCurve(
            *(
                np.sqrt(sums[kept] / counts[kept]) / (NUM_BINS - 1)
                for sums in (predicted, actual)
            ),
            counts[kept].astype(np.int64),
        )


def draw_spread(axes: matplotlib.axes.Axes, curve: SpreadCurve) -> None:
    """Draws actual error against predicted standard deviation.

    Args:
        axes: Where to draw.
        curve: From `SpreadSums.curve`; may be empty.
    """
    drawing.style_axes(axes, "Predicted spread against actual error")
    largest = max([0.01, *curve.predicted, *curve.actual]) * 1.08
    axes.plot([0, largest], [0, largest], "--", color="0.6", linewidth=0.8)
    axes.plot(
        curve.predicted,
        curve.actual,
        "o-",
        color=drawing.COLOURS[0],
        markersize=4,
    )
    axes.set_xlim(0, largest)
    axes.set_ylim(0, largest)
    axes.set_aspect("equal")
    axes.set_xlabel("Predicted standard deviation", fontsize=9)
    axes.set_ylabel("Actual error (root mean square)", fontsize=9)
    for x, y, text, side in (
        (0.04, 0.96, "too sure", "left"),
        (0.96, 0.04, "too cautious", "right"),
    ):
        axes.text(
            x,
            y,
            text,
            transform=axes.transAxes,
            color="0.45",
            fontsize=8,
            ha=side,
            va="top" if y > 0.5 else "bottom",
        )


def uncertainty_figure(
    *,
    label: str,
    truth: np.ndarray,
    median: np.ndarray,
    standard_deviation: np.ndarray,
    entropy: np.ndarray,
    title: str = "",
    pixel_size_um: float | None = None,
) -> Figure:
    """Draws standard deviation and entropy beside the error to be expected.

    Args:
        label: Name of the label.
        truth: Intensities in [0, 1], [row, column].
        median: Predicted, likewise.
        standard_deviation: Of the predicted distributions, likewise.
        entropy: Likewise, in units of the uniform distribution's.
        title: Written on top.
        pixel_size_um: Width of a pixel; without it there is no scale bar.
    """
    sums = SpreadSums()
    sums.add(
        *(
            np.rint(np.asarray(image) * (NUM_BINS - 1)).astype(np.uint8)
            for image in (standard_deviation, truth, median)
        )
    )
    error = np.abs(np.asarray(truth, np.float32) - median)
    limits = drawing.grey_limits(truth)
    ratio = error.shape[0] / error.shape[1]
    figure = drawing.new_figure(11.0, 6.6 * ratio + 0.9)
    figure.suptitle(title, x=0.01, ha="left", fontsize=11, fontweight="bold")
    axes = figure.subplots(2, 3).ravel()
    drawing.show_image(axes[0], drawing.stretch(truth, limits), f"True {label}")
    drawing.show_image(
        axes[1], drawing.stretch(median, limits), f"Predicted {label}"
    )
    # One colour scale for the error and the deviation that should foresee it.
    largest = float(max(0.05, np.quantile(error, 0.995)))
    _show_map(figure, axes[2], error, largest, "Absolute error")
    _show_map(
        figure,
        axes[3],
        standard_deviation,
        largest,
        "Predicted standard deviation",
    )
    highest = float(max(0.05, np.max(entropy)))
    _show_map(figure, axes[4], entropy, highest, "Entropy (1 is uniform)")
    draw_spread(axes[5], sums.curve())
    if pixel_size_um is not None:
        for image_axes in axes[:5]:
            drawing.add_scale_bar(image_axes, error.shape, pixel_size_um)
    return figure


def deviation_figure(
    error: np.ndarray,
    standard_deviation: np.ndarray,
    curve: SpreadCurve,
    pixel_size_um: float | None = None,
) -> Figure:
    """Draws the error, the standard deviation that should foresee it, a curve.

    Args:
        error: Absolute difference of intensities, [row, column].
        standard_deviation: Predicted, as an intensity, [row, column].
        curve: Of these pixels, or of more.
        pixel_size_um: Width of a pixel; without it there is no scale bar.
    """
    ratio = error.shape[0] / error.shape[1]
    figure = drawing.new_figure(11.0, max(3.7, min(4.6, 3.0 * ratio + 0.4)))
    axes = figure.subplots(1, 3)
    largest = float(max(0.05, np.quantile(error, 0.995)))
    _show_map(figure, axes[0], error, largest, "Absolute error")
    _show_map(
        figure,
        axes[1],
        standard_deviation,
        largest,
        "Predicted standard deviation",
    )
    draw_spread(axes[2], curve)
    if pixel_size_um is not None:
        for image_axes in axes[:2]:
            drawing.add_scale_bar(image_axes, error.shape, pixel_size_um)
    return figure


def _show_map(
    figure: Figure,
    axes: matplotlib.axes.Axes,
    values: np.ndarray,
    largest: float,
    title: str,
) -> None:
    drawing.show_image(axes, values, title)
    image = axes.images[0]
    image.set_cmap(_MAP_COLOURS)
    image.set_clim(0.0, largest)
    bar = figure.colorbar(image, ax=axes, fraction=0.046, pad=0.02)
    bar.ax.tick_params(labelsize=7)
