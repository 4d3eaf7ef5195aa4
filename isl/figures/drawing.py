"""What all figures share: a page, images, a scale bar, files.

Figures are made without pyplot, so that the library keeps no global state and
needs no display.
"""

import io
import os
import pathlib

import matplotlib.axes
import numpy as np
from matplotlib import patheffects
from matplotlib.backends import backend_agg
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from isl import files
from isl.errors import InputError

FORMATS = (".png", ".pdf", ".svg")
SCALE_BARS_UM = (1, 2, 5, 10, 20, 40, 50, 100, 200, 500, 1000)
# Okabe and Ito: told apart with any colour vision.
COLOURS = (
    "#0072B2",
    "#D55E00",
    "#009E73",
    "#CC79A7",
    "#E69F00",
    "#56B4E9",
    "#000000",
)


def new_figure(width: float, height: float) -> Figure:
    """Returns an empty figure of a size in inches, with an Agg canvas."""
    figure = Figure(figsize=(width, height), layout="constrained")
    backend_agg.FigureCanvasAgg(figure)
    return figure


def figure_png(figure: Figure, dots_per_inch: int = 120) -> bytes:
    """Returns the figure as the bytes of a PNG file."""
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=dots_per_inch)
    return stream.getvalue()


def save_figure(
    figure: Figure, path: str | os.PathLike, dots_per_inch: int = 200
) -> None:
    """Writes a figure, all of it or nothing.

    Args:
        figure: The figure.
        path: Ends in .png, .pdf or .svg.
        dots_per_inch: Resolution of pixels in the file.

    Raises:
        InputError: If the suffix is another.
    """
    suffix = pathlib.Path(path).suffix.lower()
    if suffix not in FORMATS:
        raise InputError(
            f"{path}: must end in one of {', '.join(FORMATS)}. "
            f"Received: {suffix!r}"
        )
    with files.atomic_path(path) as temporary:
        figure.savefig(temporary, format=suffix[1:], dpi=dots_per_inch)


def show_image(
    axes: matplotlib.axes.Axes,
    image: np.ndarray,
    title: str,
) -> None:
    """Draws an image without ticks.

    Args:
        axes: Where to draw.
        image: Grey [row, column] or colours [row, column, 3], in [0, 1].
        title: Written above.
    """
    axes.imshow(
        image,
        cmap="gray",
        vmin=0.0,
        vmax=1.0,
        interpolation="nearest"
        if max(image.shape[:2]) < 128
        else "antialiased",
    )
    axes.set_title(title, fontsize=10, loc="left")
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_visible(False)


def scale_bar_um(width_um: float) -> float:
    """Returns the longest usual length of at most a third of the width."""
    fitting = [length for length in SCALE_BARS_UM if 3 * length <= width_um]
    return float(fitting[-1] if fitting else width_um / 3)


def add_scale_bar(
    axes: matplotlib.axes.Axes,
    shape: tuple[int, int],
    pixel_size_um: float,
) -> None:
    """Draws a labelled scale bar into the lower right of an image.

    Args:
        axes: Axes that show the image.
        shape: Rows and columns of the image, as drawn.
        pixel_size_um: Width of a drawn pixel, micrometres.
    """
    num_rows, num_columns = shape
    length_um = scale_bar_um(num_columns * pixel_size_um)
    length = length_um / pixel_size_um
    thickness = max(1.0, 0.015 * num_rows)
    right, bottom = 0.96 * num_columns, 0.96 * num_rows
    axes.add_patch(
        Rectangle(
            (right - length, bottom - thickness),
            length,
            thickness,
            facecolor="white",
            edgecolor="black",
            linewidth=0.8,
        )
    )
    text = axes.text(
        right - length / 2,
        bottom - 1.6 * thickness,
        f"{length_um:g} µm",
        color="white",
        fontsize=9,
        fontweight="bold",
        ha="center",
        va="bottom",
    )
    text.set_path_effects(
        [patheffects.withStroke(linewidth=2, foreground="black")]
    )
