"""The page of a label of a scored well, and what pictures show of a well."""

import numpy as np
from matplotlib.figure import Figure

from isl.evaluation.tile_scores import place_within
from isl.evaluation.wells import WellScores
from isl.figures.label_figure import label_figure
from isl.figures.region_images import central_region
from isl.images import Well
from isl.network.intensity_bins import MAX_UINT16, NUM_BINS
from isl.specs import Region

# Reading all of a large well would not fit memory.
_PICTURE_SIZE = 512


def well_figure(well: Well, scores: WellScores, label: str) -> Figure:
    """Draws the centre of a label of a well on one page; see `label_figure`."""
    rows, columns = picture_place(scores)
    cells = scores.cells.get(label)
    plane = well.planes[well.num_z // 2].read(rows, columns)
    return label_figure(
        label=label,
        input_plane=plane / np.float32(MAX_UINT16),
        truth=well.read_label(label, rows, columns) / np.float32(MAX_UINT16),
        prediction=predicted(scores, label, rows, columns),
        histogram=scores.labels[label].histogram,
        title=f"{scores.condition}, well {scores.well}",
        pixel_size_um=well.pixel_size_um,
        errors=None if cells is None else cells.errors,
    )


def picture_place(scores: WellScores) -> tuple[slice, slice]:
    """Returns rows and columns of the well that pictures show: its centre."""
    stops = (scores.rows.stop, scores.columns.stop)
    region = Region(
        (scores.rows.start, stops[0]), (scores.columns.start, stops[1])
    )
    return central_region(region, stops, _PICTURE_SIZE).resolve(stops)


def predicted(
    scores: WellScores, label: str, rows: slice, columns: slice
) -> np.ndarray:
    """Returns predicted intensities in [0, 1] of a part of the well."""
    bins = within(scores, scores.predictions[label], rows, columns)
    return bins / np.float32(NUM_BINS - 1)


def within(
    scores: WellScores, image: np.ndarray, rows: slice, columns: slice
) -> np.ndarray:
    """Returns rows and columns of the well, of an image of what was scored."""
    return image[place_within(rows, columns, scores.rows, scores.columns)]
