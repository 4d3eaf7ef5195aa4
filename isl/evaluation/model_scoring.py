"""Scores all labels of a well by a network."""

import dataclasses
import functools
from collections.abc import Mapping, Sequence

import keras
import numpy as np
import tqdm

from isl.errors import InputError
from isl.evaluation.scoring import (
    NUM_POINT_QUANTITIES,
    QUANTITIES,
    add_scores,
    build_scorer,
    read_true_bins,
    true_bins,
)
from isl.evaluation.tile_scoring import DistributionSums, score_tiles
from isl.evaluation.wells import WellScores, empty_scores
from isl.images import Well, plane_presence
from isl.network.intensity_bins import NUM_BINS
from isl.network.model_folder import ModelDescription
from isl.prediction.predictor import iter_tile_planes, select_planes
from isl.prediction.tiles import Tile, Tiling, plan_tiles
from isl.specs import Region


@dataclasses.dataclass(frozen=True)
class ModelScorer:
    """A network, ready to be scored.

    Attributes:
        model: See `build_scorer`.
        description: Of the network.
        labels: Labels to score.
    """

    model: keras.Model
    description: ModelDescription
    labels: tuple[str, ...]


def build_model_scorer(
    model: keras.Model,
    description: ModelDescription,
    labels: Sequence[str],
) -> ModelScorer:
    """Prepares a network for `score_model`.

    Args:
        model: From `isl.network.model_folder.load_model`.
        description: Likewise.
        labels: Labels to score.

    Raises:
        InputError: If the network has none of the labels.
    """
    found = tuple(label for label in labels if label in description.labels)
    if not found:
        raise InputError(
            f"labels must be among those of the model "
            f"({', '.join(description.labels)}). Received: "
            f"{', '.join(labels)}"
        )
    scorer = build_scorer(model, found, description.temperatures)
    return ModelScorer(scorer, description, found)


def score_model(
    scorer: ModelScorer,
    condition: str,
    well: Well,
    region: Region,
    show_progress: bool = False,
) -> WellScores:
    """Predicts a region of a well, mirrored at the edges, and scores it.

    Only the tiles that the region needs are evaluated; distributions stay on
    the device.

    Args:
        scorer: From `build_model_scorer`.
        condition: Name of the condition, for the table.
        well: The well.
        region: The part to score.
        show_progress: Shows a progress bar on standard error.

    Raises:
        InputError: If the well is too small or a file cannot be decoded.
    """
    description = scorer.description
    rows, columns = region.resolve(well.shape)
    tiling = plan_tiles(
        description.architecture,
        well.shape,
        Region((rows.start, rows.stop), (columns.start, columns.stop)),
        path=well.planes[0].path,
        holds_distributions=True,
    )
    labels = [label for label in scorer.labels if label in well.labels]
    # A regression head has no distribution.
    uncertain = [
        label
        for label in labels
        if scorer.model.output[label].shape[-1] > NUM_POINT_QUANTITIES
    ]
    scores = empty_scores(condition, well, rows, columns, labels, uncertain)
    sums = {label: DistributionSums(rows, columns) for label in labels}
    planes = select_planes(
        description.num_z, well, alignment=description.z_alignment
    )
    presence = plane_presence(planes)[np.newaxis]
    # Their files are needed no longer than here.
    for tile, stack in tqdm.tqdm(
        iter_tile_planes(well.copied(), tiling, planes),
        f"evaluate {well.name}",
        total=len(tiling.tiles),
        unit="tile",
        disable=not show_progress,
    ):
        truth = {
            label: _tile_truth(well, label, tile, tiling)
            for label in scorer.labels
        }
        output = scorer.model.predict_on_batch(
            {
                "planes": stack[np.newaxis],
                "presence": presence,
                "truth": {k: v[np.newaxis] for k, v in truth.items()},
            }
        )
        cropped = {label: output[label][0][tile.crop] for label in labels}
        known = {label: truth[label][tile.crop] for label in labels}
        add_scores(scores.labels, cropped, known)
        _keep(scores, sums, tile, cropped, known)
    tiles = {
        label: score_tiles(
            rows,
            columns,
            functools.partial(read_true_bins, well, label),
            scores.predictions[label],
            sums[label],
        )
        for label in labels
    }
    return dataclasses.replace(scores, tiles=tiles)


def _keep(
    scores: WellScores,
    sums: Mapping[str, DistributionSums],
    tile: Tile,
    cropped: Mapping[str, np.ndarray],
    truth: Mapping[str, np.ndarray],
) -> None:
    """Keeps what images and small tiles need of the scorer's output.

    Args:
        scores: Images that are filled in.
        sums: Label to sums that are added to.
        tile: The place.
        cropped: Label to output of the scorer, [row, column, quantity].
        truth: Label to uint16 intensities of the same pixels.
    """
    place = _within(tile, scores.rows, scores.columns)
    for label, values in cropped.items():
        found = dict(zip(QUANTITIES, np.moveaxis(values, -1, 0), strict=False))
        scores.predictions[label][place] = np.rint(found["median"])
        if label in scores.deviations:
            scores.deviations[label][place] = np.rint(
                found["deviation"] * (NUM_BINS - 1)
            )
        sums[label].add(
            tile.rows,
            tile.columns,
            true_bins(truth[label]),
            **{k: found[k] for k in ("mean", "nll", "crps") if k in found},
        )


def _tile_truth(
    well: Well, label: str, tile: Tile, tiling: Tiling
) -> np.ndarray:
    """Returns the truth where the tile is used, zero elsewhere."""
    truth = np.zeros(tiling.tile_shape, np.uint16)
    if label in well.labels:
        truth[tile.crop] = well.read_label(label, tile.rows, tile.columns)
    return truth


def _within(tile: Tile, rows: slice, columns: slice) -> tuple[slice, slice]:
    return (
        slice(tile.rows.start - rows.start, tile.rows.stop - rows.start),
        slice(
            tile.columns.start - columns.start,
            tile.columns.stop - columns.start,
        ),
    )
