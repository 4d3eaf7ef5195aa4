"""One label of one well on one page: images, errors, heat map."""

import matplotlib.axes
import numpy as np
from matplotlib.figure import Figure

from isl.evaluation import error_panels, pixels
from isl.evaluation.matching import CellErrors
from isl.figures import drawing, heat_map

MAXIMUM_SIZE = 512  # Pixels shown per side, at full resolution.
# The heat map's definition is ours: that of the paper could not be checked.
CAPTION = (
    "Errors: orange is predicted too bright (false positive), blue too dim "
    "(false negative); black (difference) or grey (overlay) is right.\n"
    "Heat map: every evaluated pixel, in cells of 0.1 x 0.1 intensity, as "
    "counts per 1,000 (our definition, after the paper's)."
)

# The page, in inches. Images must not be more elongated than `ELONGATION`.
PAGE_WIDTH, IMAGE_WIDTH, MARGIN, GAP = 11.0, 3.45, 0.15, 0.175
TITLE_HEIGHT, IMAGE_TITLE_HEIGHT, AXIS_HEIGHT = 0.45, 0.3, 0.2
CAPTION_HEIGHT, LINE_HEIGHT = 0.65, 0.17
ELONGATION = 1.25


def label_figure(
    *,
    label: str,
    input_plane: np.ndarray,
    truth: np.ndarray,
    prediction: np.ndarray,
    histogram: pixels.JointHistogram,
    title: str = "",
    pixel_size_um: float | None = None,
    errors: CellErrors | None = None,
) -> Figure:
    """Draws what a reader needs to judge one label of one well.

    Input plane, truth, prediction, two error pictures in the colours of the
    original, and the heat map of true against predicted intensity with r.
    Images larger than 512 pixels, or elongated, are cropped to their centre, so
    that single cells stay visible.

    Args:
        label: Name of the label.
        input_plane: The central plane of the z-stack, intensities in [0, 1],
            [row, column].
        truth: True label, intensities in [0, 1], [row, column].
        prediction: Predicted label, intensities in [0, 1], [row, column].
        histogram: All evaluated pixels, not only those shown.
        title: Written on top, such as the condition and the well.
        pixel_size_um: Width of a pixel; without it there is no scale bar.
        errors: Of the cells of all evaluated pixels; None for a label without
            nuclei.

    Returns:
        The figure.

    Raises:
        ValueError: If the three images differ in shape.
    """
    shapes = [np.shape(image) for image in (input_plane, truth, prediction)]
    if len(set(shapes)) != 1:
        raise ValueError(
            "input_plane, truth and prediction must have the same shape. "
            f"Received: {shapes}"
        )
    crop = central_crop(shapes[0], MAXIMUM_SIZE)
    shown_input = np.asarray(input_plane)[crop]
    limits = drawing.grey_limits(np.asarray(truth)[crop])
    # One grey scale for truth and prediction, and so for their difference.
    shown_truth = drawing.stretch(np.asarray(truth)[crop], limits)
    shown = drawing.stretch(np.asarray(prediction)[crop], limits)

    cells = errors_text(errors)
    figure, axes = _page(shown_truth.shape, LINE_HEIGHT if cells else 0.0)
    images = (
        (shown_input, "Input, central z-plane"),
        (shown_truth, f"True {label}"),
        (shown, f"Predicted {label}"),
        (
            error_panels.subtractive(shown_truth, shown),
            "Difference: predicted − true",
        ),
        (
            error_panels.additive(shown_truth, shown),
            "Overlay: predicted + true",
        ),
    )
    for image_axes, (image, name) in zip(axes, images, strict=False):
        drawing.show_image(image_axes, image, name)
        if pixel_size_um is not None:
            drawing.add_scale_bar(image_axes, image.shape[:2], pixel_size_um)
    heat_map.heat_map(axes[-1], histogram)
    _write_texts(
        figure,
        title,
        f"{cells}{_where(shapes[0], crop)} Truth, prediction "
        f"and errors share one scale: {limits[0]:.2f} is drawn as 0, "
        f"{limits[1]:.2f} as 1.\n"
        f"{CAPTION}",
    )
    return figure


def errors_text(errors: CellErrors | None) -> str:
    """Returns a line with the four errors; empty without cells.

    Shares are of the true cells (split, missed) or of the predicted ones
    (merged, added).
    """
    if errors is None:
        return ""
    parts = [
        f"{name} {count}" + (f" ({100 * count / total:.0f} %)" if total else "")
        for name, count, total in (
            ("split", errors.split, errors.true),
            ("missed", errors.missed, errors.true),
            ("merged", errors.merged, errors.predicted),
            ("added", errors.added, errors.predicted),
        )
    ]
    return (
        f"Cells: {errors.true} true, {errors.predicted} predicted; "
        f"{', '.join(parts)}.\n"
    )


def central_crop(
    shape: tuple[int, int], maximum_size: int
) -> tuple[slice, slice]:
    """Returns the centre of an image, for display.

    Args:
        shape: Rows and columns of the image.
        maximum_size: Most rows or columns of the crop.

    Returns:
        Rows and columns to show; neither is more than 1.25 times the other.
    """
    longest = min(maximum_size, int(ELONGATION * min(shape)))
    starts = [max(0, (size - longest) // 2) for size in shape]
    return tuple(
        slice(start, min(size, start + longest))
        for start, size in zip(starts, shape, strict=True)
    )


def _page(
    shape: tuple[int, int], extra_height: float
) -> tuple[Figure, list[matplotlib.axes.Axes]]:
    """Returns a page with five places for images and one for the heat map."""
    image_height = IMAGE_WIDTH * shape[0] / shape[1]
    row_height = IMAGE_TITLE_HEIGHT + image_height
    height = TITLE_HEIGHT + 2 * row_height + AXIS_HEIGHT + CAPTION_HEIGHT
    height += extra_height
    figure = drawing.new_figure(PAGE_WIDTH, height)
    figure.set_layout_engine("none")
    axes = []
    for row, column in np.ndindex(2, 3):
        left = MARGIN + column * (IMAGE_WIDTH + GAP)
        bottom = height - TITLE_HEIGHT - (row + 1) * row_height
        axes.append(
            figure.add_axes(
                (
                    left / PAGE_WIDTH,
                    bottom / height,
                    IMAGE_WIDTH / PAGE_WIDTH,
                    image_height / height,
                )
            )
        )
    # The heat map needs room for the numbers and the name of its axis.
    side = min(IMAGE_WIDTH - 0.55, image_height - 0.3)
    axes[-1].set_position(
        (
            (PAGE_WIDTH - MARGIN - side) / PAGE_WIDTH,
            (bottom + image_height - side) / height,
            side / PAGE_WIDTH,
            side / height,
        )
    )
    return figure, axes


def _write_texts(figure: Figure, title: str, caption: str) -> None:
    """Writes the title above and the caption below the images."""
    left, inch = MARGIN / PAGE_WIDTH, 1 / figure.get_figheight()
    figure.text(
        left,
        1 - 0.15 * inch,
        title,
        fontsize=12,
        fontweight="bold",
        va="top",
    )
    figure.text(
        left, 0.1 * inch, caption, fontsize=8, color="0.25", linespacing=1.4
    )


def _where(shape: tuple[int, int], crop: tuple[slice, slice]) -> str:
    bounds = [s.indices(size)[:2] for s, size in zip(crop, shape, strict=True)]
    if bounds == [(0, size) for size in shape]:
        return f"Shown: all {shape[0]} x {shape[1]} pixels."
    (top, bottom), (left, right) = bounds
    return (
        f"Shown: rows {top}-{bottom}, columns {left}-{right} of "
        f"{shape[0]} x {shape[1]} pixels."
    )
