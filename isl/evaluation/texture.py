"""A prediction without learning: where there is texture, there are cells.

What a network has to beat. In transmitted light cells stand out by their
texture, so the local standard deviation of the plane in focus correlates with
any label.
"""

from collections.abc import Iterable, Sequence

import numpy as np
from scipy import ndimage

from isl.evaluation.pixel_sums import RunningCorrelation
from isl.images import Well
from isl.network.intensity_bins import MAX_UINT16, NUM_BINS
from isl.preprocessing.focus import best_plane, focus_measure
from isl.specs import Region

RADIUS = 16
"""Of the window, pixels: about a nucleus at 0.3 um."""


# Of uint16 intensities: what `RunningCorrelation` counts in.
_BIN = MAX_UINT16 / (NUM_BINS - 1)


def local_deviation(plane: np.ndarray) -> np.ndarray:
    """Returns the standard deviation around each pixel.

    The window has 2 * `RADIUS` + 1 rows and columns; the plane is mirrored at
    its edges.

    Args:
        plane: Any real type, [row, column].

    Returns:
        float64, [row, column], in units of the plane.
    """
    values = plane.astype(np.float64)
    values -= values.mean()  # Keeps the difference of squares exact.
    size = 2 * RADIUS + 1
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
    found = {label: RunningCorrelation() for label in labels}
    for well, region in wells:
        rows, columns = region.resolve(well.shape)
        plane = well.planes[_plane_in_focus(well)]
        texture = local_deviation(_read_all(plane, well))[rows, columns]
        texture /= _BIN
        for label in found.keys() & well.labels.keys():
            truth = well.read_label(label, rows, columns)
            found[label].add(truth / _BIN, texture)
    return {label: pairs.pearson() for label, pairs in found.items()}


def _plane_in_focus(well: Well) -> int:
    return best_plane(
        [focus_measure(_read_all(plane, well)) for plane in well.planes]
    )


def _read_all(plane, well: Well) -> np.ndarray:
    return plane.read(slice(0, well.shape[0]), slice(0, well.shape[1]))
