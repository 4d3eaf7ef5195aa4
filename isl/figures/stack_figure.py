"""An example: the z-stack that goes in, true and predicted labels."""

from collections.abc import Mapping

import matplotlib.axes
import numpy as np
from matplotlib.figure import Figure

from isl.figures import drawing

_COLUMNS = 7
_IMAGE_INCHES = 1.7


def stack_figure(
    planes: np.ndarray,
    truth: Mapping[str, np.ndarray],
    predictions: Mapping[str, np.ndarray],
    *,
    title: str = "",
    pixel_size_um: float | None = None,
    z_spacing_um: float | None = None,
) -> Figure:
    """Draws all planes of a stack, then truth and prediction of each label.

    Args:
        planes: Intensities in [0, 1], [row, column, z].
        truth: Label to intensities in [0, 1], [row, column].
        predictions: Label to intensities in [0, 1], [row, column].
        title: Written on top.
        pixel_size_um: Width of a pixel; without it there is no scale bar.
        z_spacing_um: Distance of planes; without it they are numbered.

    Returns:
        The figure. Truth and prediction of a label share one grey scale.
    """
    images = [
        (plane, _plane_name(z, planes.shape[2], z_spacing_um))
        for z, plane in enumerate(np.moveaxis(planes, 2, 0))
    ]
    num_plane_rows = -(-len(images) // _COLUMNS)
    images += [(None, "")] * (num_plane_rows * _COLUMNS - len(images))
    for label, true in truth.items():
        limits = drawing.grey_limits(true)
        images.append((drawing.stretch(true, limits), f"{label}\ntrue"))
        predicted = drawing.stretch(predictions[label], limits)
        images.append((predicted, "\npredicted"))
    num_rows = -(-len(images) // _COLUMNS)
    height = _IMAGE_INCHES * planes.shape[0] / planes.shape[1] + 0.35
    figure = drawing.new_figure(
        _IMAGE_INCHES * _COLUMNS, height * num_rows + 0.4
    )
    figure.suptitle(title, x=0.01, ha="left", fontsize=11, fontweight="bold")
    all_axes = figure.subplots(num_rows, _COLUMNS, squeeze=False).ravel()
    for axes in all_axes[len(images) :]:
        axes.set_axis_off()
    for axes, (image, name) in zip(all_axes, images, strict=False):
        _draw(axes, image, name)
    if pixel_size_um is not None:
        shape = planes.shape[:2]
        drawing.add_scale_bar(all_axes[0], shape, pixel_size_um)
    return figure


def _draw(
    axes: matplotlib.axes.Axes, image: np.ndarray | None, name: str
) -> None:
    if image is None:
        axes.set_axis_off()
        return
    drawing.show_image(axes, image, name)
    axes.title.set_fontsize(8)


def _plane_name(z: int, num_z: int, z_spacing_um: float | None) -> str:
    if z_spacing_um is None:
        return f"plane {z + 1} of {num_z}"
    return f"z = {(z - (num_z - 1) / 2) * z_spacing_um:+.1f} µm"
