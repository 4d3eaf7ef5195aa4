"""What all figures share: a page, images, a scale bar, files.

Figures are made without pyplot, so that the library keeps no global state and
needs no display.
"""

import io
import logging
import os
import pathlib
from collections.abc import Iterable, Iterator, Sequence

import matplotlib
import matplotlib.axes
import numpy as np
from matplotlib import patheffects, ticker
from matplotlib.backends import backend_agg
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from PIL import Image

from isl import files
from isl.errors import InputError

FILE_DPI = 200
FORMATS = (".png", ".pdf", ".svg")
# Text stays text (TrueType, not outlines): searchable and editable.
_VECTOR_TEXT = {"pdf.fonttype": 42, "svg.fonttype": "none"}
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


def well_names(wells: Sequence[tuple[str, str]]) -> list[str]:
    """Names wells in the names of files.

    Args:
        wells: Condition and name of each.

    Returns:
        Their names; with the condition before them where there are several.
    """
    if len({condition for condition, _ in wells}) == 1:
        return [name for _, name in wells]
    return [f"{condition}_{name}" for condition, name in wells]


def new_figure(width: float, height: float) -> Figure:
    """Returns an empty figure of a size in inches, with an Agg canvas."""
    figure = Figure(figsize=(width, height), layout="constrained")
    backend_agg.FigureCanvasAgg(figure)
    return figure


def pixel_figure(image: np.ndarray) -> Figure:
    """Returns a figure that is nothing but an image, pixel for pixel.

    Args:
        image: Colours in [0, 1], [row, column, 3].
    """
    num_rows, num_columns = image.shape[:2]
    figure = new_figure(num_columns / FILE_DPI, num_rows / FILE_DPI)
    figure.set_layout_engine("none")
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    axes.imshow(image, interpolation="none", aspect="auto")
    return figure


def figure_png(figure: Figure, dots_per_inch: int = 120) -> bytes:
    """Returns the figure as the bytes of a PNG file."""
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=dots_per_inch)
    return stream.getvalue()


def figure_webp(figure: Figure, dots_per_inch: int = 100) -> bytes:
    """Returns the figure as the bytes of a small, lossy WebP file."""
    image = Image.open(io.BytesIO(figure_png(figure, dots_per_inch)))
    return webp(np.asarray(image.convert("RGB")))


def webp(image: np.ndarray, quality: int = 80) -> bytes:
    """Returns an image as the bytes of a lossy WebP file.

    Args:
        image: uint8, grey [row, column], colours [row, column, 3], or with
            opacity [row, column, 4].
        quality: 0 to 100.
    """
    stream = io.BytesIO()
    # Method 6 takes 3 to 25 times as long, for 2 to 5 % fewer bytes.
    Image.fromarray(image).save(stream, "WEBP", quality=quality, method=4)
    return stream.getvalue()


def save_figure(figure: Figure, path: str | os.PathLike) -> None:
    """Writes a figure, all of it or nothing; pixels at `FILE_DPI`.

    Args:
        figure: The figure.
        path: Ends in .png, .pdf or .svg.

    Raises:
        InputError: If the suffix is another.
    """
    suffix = pathlib.Path(path).suffix.lower()
    if suffix not in FORMATS:
        raise InputError(
            f"{path}: must end in one of {', '.join(FORMATS)}. "
            f"Received: {suffix!r}"
        )
    # Some sixty lines on each font that a PDF embeds.
    logging.getLogger("fontTools").setLevel(logging.WARNING)
    with (
        files.atomic_path(path) as temporary,
        matplotlib.rc_context(_VECTOR_TEXT),
    ):
        figure.savefig(temporary, format=suffix[1:], dpi=FILE_DPI)


def save_figures(
    output_dir: str | os.PathLike, figures: Iterable[tuple[str, Figure]]
) -> Iterator[pathlib.Path]:
    """Writes each figure as PNG and as PDF before it takes the next one.

    Args:
        output_dir: Folder to write into.
        figures: Name of the files, without suffix, and figure; it is empty
            once it is written.

    Yields:
        The paths written, as soon as they are.
    """
    for name, figure in figures:
        for suffix in (".png", ".pdf"):
            path = pathlib.Path(output_dir) / f"{name}{suffix}"
            save_figure(figure, path)
            yield path
        # Its parts refer to each other, so the images in it would stay in
        # memory until Python next looks for such cycles.
        figure.clear()


def style_axes(axes: matplotlib.axes.Axes, title: str) -> None:
    """Gives axes of a chart the look that all charts share."""
    axes.set_title(title, fontsize=10, loc="left")
    axes.tick_params(labelsize=8)
    axes.grid(color="0.9", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def set_whole_ticks(axes: matplotlib.axes.Axes) -> None:
    """Lets the horizontal axis of a chart have ticks at whole numbers only."""
    axes.xaxis.set_major_locator(
        ticker.MaxNLocator(8, steps=[1, 2, 5, 10], integer=True)
    )


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


def grey_limits(truth: np.ndarray) -> tuple[float, float]:
    """Returns the intensities to draw black and white: nearly all there are.

    Args:
        truth: Intensities in [0, 1]; may be empty.
    """
    low, high = np.quantile(truth, (0.001, 0.998)) if truth.size else (0, 1)
    return (float(low), float(max(high, low + 0.05)))


def stretch(image: np.ndarray, limits: tuple[float, float]) -> np.ndarray:
    """Returns an image with `limits` mapped to 0 and 1, clipped to [0, 1]."""
    return np.clip((image - limits[0]) / (limits[1] - limits[0]), 0.0, 1.0)


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
