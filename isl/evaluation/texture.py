"""A prediction without learning: where there is texture, there are cells.

What a network has to beat. In transmitted light cells stand out by their
texture, so the local standard deviation of the plane in focus correlates with
any label.
"""

from collections.abc import Iterable, Sequence

import numpy as np
from scipy import ndimage

from isl.images import Well
from isl.preprocessing.focus import best_plane, focus_measure
from isl.specs import Region

RADIUS = 16
"""Of the window, pixels: about a nucleus at 0.3 um."""


def local_deviation(plane: np.ndarray, radius: int = RADIUS) -> np.ndarray:
    """Returns the standard deviation around each pixel.

    Args:
        plane: Any real type, [row, column].
        radius: The window has 2 * radius + 1 rows and columns; the plane is
            mirrored at its edges.

    Returns:
        float64, [row, column], in units of the plane.
    """
    values = plane.astype(np.float64)
    values -= values.mean()  # Keeps the difference of squares exact.
    size = 2 * radius + 1
    mean = ndimage.uniform_filter(values, size, mode="mirror")
    square = ndimage.uniform_filter(values**2, size, mode="mirror")
    return np.sqrt(np.maximum(square - mean**2, 0))


def texture_pearson(
    wells: Iterable[tuple[Well, Region]], labels: Sequence[str]
) -> dict[str, float | None]:
    """Correlates the texture of the plane in focus with labels.

    Args:
        wells: Wells with the part to look at; their pixels are pooled.
        labels: Labels.

    Returns:
        Label to Pearson's r; None where no well has it, or one of both images
        is constant.
    """
    pixels: dict[str, list[np.ndarray]] = {label: [] for label in labels}
    for well, region in wells:
        rows, columns = region.resolve(well.shape)
        plane = well.planes[_plane_in_focus(well)]
        texture = local_deviation(_read_all(plane, well))[rows, columns]
        for label in well.labels:
            if label in pixels:
                truth = well.read_label(label, rows, columns)
                pixels[label].append(np.stack([texture.ravel(), truth.ravel()]))
    return {label: _pearson(parts) for label, parts in pixels.items()}


def _plane_in_focus(well: Well) -> int:
    return best_plane(
        [focus_measure(_read_all(plane, well)) for plane in well.planes]
    )


def _read_all(plane, well: Well) -> np.ndarray:
    return plane.read(slice(0, well.shape[0]), slice(0, well.shape[1]))


def _pearson(parts: Sequence[np.ndarray]) -> float | None:
    if not parts:
        return None
    pixels = np.concatenate(parts, axis=1)
    if not pixels.std(axis=1).all():
        return None
    return float(np.corrcoef(pixels)[0, 1])
