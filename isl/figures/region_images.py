"""Images of a small region for figures: stack, truth, all statistics."""

import dataclasses
from collections.abc import Mapping, Sequence

import keras
import numpy as np
from keras import ops

from isl.errors import InputError
from isl.evaluation.error_panels import EPSILON, error_panel
from isl.evaluation.scoring import QUANTITIES, PixelScores
from isl.images import Well, plane_presence
from isl.network.intensity_bins import MAX_UINT16, NUM_BINS, STATISTICS
from isl.network.model import with_raw_input
from isl.network.model_folder import ModelDescription
from isl.prediction.predictor import (
    PixelStatistics,
    iter_tile_planes,
    select_planes,
)
from isl.prediction.tiles import plan_tiles
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
        cross_entropy: Label to surprise over ln 256, clipped to [0, 1] as the
            original clips it, [row, column].
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


def predict_region(
    model: keras.Model,
    description: ModelDescription,
    well: Well,
    region: Region,
    labels: Sequence[str],
) -> RegionImages:
    """Predicts a region of a well, with every statistic.

    Args:
        model: From `isl.network.model_folder.load_model`.
        description: Likewise.
        well: The well.
        region: Its part; all of it is kept in memory as float32.
        labels: Labels to predict; others than those of the well and of the
            model are left out.

    Raises:
        InputError: If no label is left, the well is too small for the model,
            the model predicts no distributions, or a file cannot be decoded.
    """
    if description.architecture.num_bins is None:
        raise InputError(
            "model must predict distributions to be shown in this figure. "
            "Received: a model with regression heads"
        )
    found = [
        label
        for label in labels
        if label in well.labels and label in description.labels
    ]
    if not found:
        raise InputError(
            f"labels must be among those of well {well.name} and of the model "
            f"({', '.join(description.labels)}). Received: {', '.join(labels)}"
        )
    rows, columns = region.resolve(well.shape)
    shape = (rows.stop - rows.start, columns.stop - columns.start)
    tiling = plan_tiles(
        description.architecture,
        well.shape,
        Region((rows.start, rows.stop), (columns.start, columns.stop)),
        path=well.planes[0].path,
        holds_distributions=True,
    )
    truth = {label: well.read_label(label, rows, columns) for label in found}
    values = {
        label: np.zeros((*shape, len(STATISTICS) + 1), np.float32)
        for label in found
    }
    combined = _build(model, description, found)
    planes = select_planes(
        description.num_z, well, alignment=description.z_alignment
    )
    presence = plane_presence(planes)[np.newaxis]
    for tile, stack in iter_tile_planes(well, tiling, planes):
        place = tuple(
            slice(span.start - whole.start, span.stop - whole.start)
            for span, whole in zip(
                (tile.rows, tile.columns), (rows, columns), strict=True
            )
        )
        inputs = {"planes": stack[np.newaxis], "presence": presence}
        inputs["truth"] = {
            label: np.zeros((1, *tiling.tile_shape), np.uint16)
            for label in found
        }
        for label in found:
            inputs["truth"][label][0][tile.crop] = truth[label][place]
        output = combined.predict_on_batch(inputs)
        for label in found:
            values[label][place] = output[label][0][tile.crop]
    stack = well.read_planes(rows, columns)
    return RegionImages(
        well=well,
        rows=rows,
        columns=columns,
        planes=stack / np.float32(MAX_UINT16),
        truth={k: v / np.float32(MAX_UINT16) for k, v in truth.items()},
        statistics={
            label: {
                name: image[..., index] for index, name in enumerate(STATISTICS)
            }
            for label, image in values.items()
        },
        cross_entropy={
            label: _as_the_original(image[..., -1])
            for label, image in values.items()
        },
    )


def _build(
    model: keras.Model, description: ModelDescription, labels: Sequence[str]
) -> keras.Model:
    """Gives all statistics and the likelihood of the truth of each pixel."""
    network = with_raw_input(
        model, tuple(labels), temperatures=description.temperatures
    )
    truth = {
        label: keras.Input((None, None), dtype="uint16", name=f"truth_{label}")
        for label in labels
    }
    likelihood = QUANTITIES.index("nll")
    outputs = {}
    for label in labels:
        logits = network.output[label]
        statistics = PixelStatistics(STATISTICS, name=f"statistics_{label}")
        scores = PixelScores(name=f"scores_{label}", dtype="float32")
        outputs[label] = ops.concatenate(
            [
                statistics(logits),
                scores(logits, truth[label])[..., likelihood : likelihood + 1],
            ],
            axis=-1,
        )
    inputs = {name: network.input[name] for name in ("planes", "presence")}
    return keras.Model({**inputs, "truth": truth}, outputs)


def _as_the_original(nll: np.ndarray) -> np.ndarray:
    """The cross-entropy of `error_panels.cross_entropy`, from likelihoods."""
    probability = np.exp(-nll * np.log(NUM_BINS))
    surprise = -np.log(probability + EPSILON) / np.log(NUM_BINS)
    return np.clip(surprise, 0.0, 1.0)
