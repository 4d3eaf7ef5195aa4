"""Images of a small region for figures: stack, truth, all statistics."""

import dataclasses
from collections.abc import Mapping, Sequence

import keras
import numpy as np
from keras import ops

from isl.errors import InputError
from isl.evaluation.error_panels import error_panel
from isl.evaluation.model_scoring import (
    ModelScorer,
    build_model_scorer,
    iter_scored_tiles,
)
from isl.evaluation.scoring import QUANTITIES, score_pixels
from isl.images import Well
from isl.network.intensity_bins import MAX_UINT16, STATISTICS
from isl.network.model_folder import ModelDescription
from isl.prediction.pixel_statistics import PixelStatistics
from isl.specs import Region


@dataclasses.dataclass(frozen=True)
class RegionImages:
    """What the network sees of a region, what is true, what it predicts.

    Attributes:
        well: The well.
        rows: Rows of the well.
        columns: Columns of the well.
        planes: All planes, intensities in [0, 1], [row, column, z].
        truth: Label to intensities in [0, 1], [row, column].
        statistics: Label to statistic (`STATISTICS`) to values in [0, 1],
            [row, column].
        cross_entropy: Label to surprise over ln 256, 0 to 1 (that of a
            uniform guess, or more) as the original shows it, [row, column].
    """

    well: Well
    rows: slice
    columns: slice
    planes: np.ndarray
    truth: Mapping[str, np.ndarray]
    statistics: Mapping[str, Mapping[str, np.ndarray]]
    cross_entropy: Mapping[str, np.ndarray]

    def error_panel(self, label: str) -> np.ndarray:
        """Returns the panel of a label as the original draws it.

        Mode, median, mean, standard deviation and entropy, then truth,
        cross-entropy and errors; see `isl.evaluation.error_panels`.

        Args:
            label: One of `truth`.

        Returns:
            Colours, float32 in [0, 1], [row, column, 3].
        """
        return error_panel(
            self.truth[label],
            self.statistics[label],
            cross_entropy_image=self.cross_entropy[label],
        )


def central_region(region: Region, shape: tuple[int, int], size: int) -> Region:
    """Returns the centre of a region.

    Args:
        region: Part of an image.
        shape: Rows and columns of the image.
        size: Most rows and columns of the centre, pixels.
    """
    spans = []
    for span in region.resolve(shape):
        first = span.start + max(0, span.stop - span.start - size) // 2
        spans.append((first, min(span.stop, first + size)))
    return Region(*spans)


def build_region_scorer(
    model: keras.Model, description: ModelDescription, labels: Sequence[str]
) -> ModelScorer:
    """Prepares a network for `predict_region`.

    Args:
        model: From `isl.network.model_folder.load_model`.
        description: Likewise.
        labels: Labels to predict; others than those of the model are left
            out.

    Raises:
        InputError: If no label is left, or the model predicts no
            distributions.
    """
    if description.architecture.num_bins is None:
        raise InputError(
            "model must predict distributions to be shown in this figure. "
            "Received: a model with regression heads"
        )
    return build_model_scorer(model, description, labels, _describe_pixels)


def _describe_pixels(
    label: str, logits: keras.KerasTensor, truth: keras.KerasTensor
) -> keras.KerasTensor:
    """All statistics and the likelihood of the truth of each pixel."""
    statistics = PixelStatistics(
        STATISTICS, name=f"statistics_{label}", dtype="float32"
    )
    likelihood = QUANTITIES.index("nll")
    scores = score_pixels(label, logits, truth)
    return ops.concatenate(
        [statistics(logits), scores[..., likelihood : likelihood + 1]], axis=-1
    )


def predict_region(
    scorer: ModelScorer, well: Well, region: Region
) -> RegionImages:
    """Predicts a region of a well, with every statistic.

    Args:
        scorer: From `build_region_scorer`.
        well: The well.
        region: Its part; all of it is kept in memory as float32.

    Raises:
        InputError: If the well has none of the labels or is too small for the
            model, or a file cannot be decoded.
    """
    found = [label for label in scorer.labels if label in well.labels]
    if not found:
        raise InputError(
            f"labels must be among those of well {well.name} "
            f"({', '.join(well.labels)}). Received: {', '.join(scorer.labels)}"
        )
    rows, columns = region.resolve(well.shape)
    # What a copy decodes goes with it: the images refer to the well, and all
    # of its planes would stay with it.
    decoded = well.copied()
    planes = decoded.read_planes(rows, columns) / np.float32(MAX_UINT16)
    shape = (*planes.shape[:2], len(STATISTICS) + 1)
    values = {label: np.zeros(shape, np.float32) for label in found}
    truth = {label: np.zeros(shape[:2], np.float32) for label in found}
    for tile in iter_scored_tiles(scorer, decoded, rows, columns):
        for label in found:
            values[label][tile.place] = tile.values[label]
            truth[label][tile.place] = tile.truth[label]
    return RegionImages(
        well=well,
        rows=rows,
        columns=columns,
        planes=planes,
        truth={k: image / np.float32(MAX_UINT16) for k, image in truth.items()},
        statistics={
            label: {
                name: image[..., index] for index, name in enumerate(STATISTICS)
            }
            for label, image in values.items()
        },
        cross_entropy={
            label: np.clip(image[..., -1], 0.0, 1.0)
            for label, image in values.items()
        },
    )
