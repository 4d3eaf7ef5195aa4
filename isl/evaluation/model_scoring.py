"""Scores all labels of a well by a network."""

import dataclasses
from collections.abc import Collection, Iterator, Mapping, Sequence

import keras
import numpy as np
import tqdm

from isl.errors import InputError
from isl.evaluation.scoring import (
    NUM_POINT_QUANTITIES,
    QUANTITIES,
    PixelFunction,
    add_scores,
    build_scorer,
    score_pixels,
    true_bins,
)
from isl.evaluation.tile_scores import place_within
from isl.evaluation.tile_scoring import DistributionSums, with_tiles
from isl.evaluation.wells import WellScores, empty_scores
from isl.images import Well, plane_presence
from isl.network.intensity_bins import NUM_BINS
from isl.network.model_folder import ModelDescription
from isl.prediction.predictor import iter_tile_planes, select_planes
from isl.prediction.tiles import Tile, Tiling, plan_tiles
from isl.specs import Region


@dataclasses.dataclass(frozen=True)
class ModelScorer:
    """A network, ready to be compared with the truth.

    Attributes:
        model: See `build_scorer`.
        description: Of the network.
        labels: Labels to score.
    """

    model: keras.Model
    description: ModelDescription
    labels: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class ScoredTile:
    """What a scorer gives of a tile of a region of a well.

    Attributes:
        rows: Rows of the well.
        columns: Columns of the well.
        place: Rows and columns of the region.
        values: Label of the well to its quantities,
            [row, column, quantity]; see `build_scorer`.
        truth: Label to uint16 intensities, [row, column].
    """

    rows: slice
    columns: slice
    place: tuple[slice, slice]
    values: Mapping[str, np.ndarray]
    truth: Mapping[str, np.ndarray]


def build_model_scorer(
    model: keras.Model,
    description: ModelDescription,
    labels: Sequence[str],
    score: PixelFunction = score_pixels,
) -> ModelScorer:
    """Prepares a network for `score_model` or `iter_scored_tiles`.

    Args:
        model: From `isl.network.model_folder.load_model`.
        description: Likewise.
        labels: Labels to score.
        score: See `build_scorer`; `score_model` needs this one.

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
    scorer = build_scorer(model, found, description.temperatures, score)
    return ModelScorer(scorer, description, found)


def score_model(
    scorer: ModelScorer,
    condition: str,
    well: Well,
    region: Region,
    show_progress: bool = False,
    averaged: Collection[str] = (),
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
        averaged: Labels whose means are kept as images.

    Raises:
        InputError: If the well is too small or a file cannot be decoded.
    """
    rows, columns = region.resolve(well.shape)
    labels = [label for label in scorer.labels if label in well.labels]
    # A regression head has no distribution.
    uncertain = [
        label
        for label in labels
        if scorer.model.output[label].shape[-1] > NUM_POINT_QUANTITIES
    ]
    means = [label for label in labels if label in averaged]
    scores = empty_scores(
        condition, well, rows, columns, labels, uncertain, means
    )
    sums = {label: DistributionSums(rows, columns) for label in labels}
    for tile in iter_scored_tiles(scorer, well, rows, columns, show_progress):
        add_scores(scores.labels, tile.values, tile.truth)
        _keep(scores, sums, tile)
    return with_tiles(scores, well, sums)


def iter_scored_tiles(
    scorer: ModelScorer,
    well: Well,
    rows: slice,
    columns: slice,
    show_progress: bool = False,
) -> Iterator[ScoredTile]:
    """Predicts a region of a well tile by tile and compares it with the truth.

    Args:
        scorer: From `build_model_scorer`.
        well: The well; mirrored at the edges.
        rows: Rows of the region.
        columns: Columns of the region.
        show_progress: Shows a progress bar on standard error.

    Yields:
        The tiles; each pixel of the region comes once.

    Raises:
        InputError: If the well is too small or a file cannot be decoded.
    """
    description = scorer.description
    tiling = plan_tiles(
        description.architecture,
        well.shape,
        Region((rows.start, rows.stop), (columns.start, columns.stop)),
        path=well.planes[0].path,
    )
    labels = [label for label in scorer.labels if label in well.labels]
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
        values = scorer.model.predict_on_batch(
            {
                "planes": stack[np.newaxis],
                "presence": presence,
                "truth": {k: v[np.newaxis] for k, v in truth.items()},
            }
        )
        yield ScoredTile(
            rows=tile.rows,
            columns=tile.columns,
            place=place_within(tile.rows, tile.columns, rows, columns),
            values={label: values[label][0][tile.crop] for label in labels},
            truth={label: truth[label][tile.crop] for label in labels},
        )


def _keep(
    scores: WellScores, sums: Mapping[str, DistributionSums], tile: ScoredTile
) -> None:
    """Keeps what images and small tiles need of the scorer's output.

    Args:
        scores: Images that are filled in.
        sums: Label to sums that are added to.
        tile: The output.
    """
    for label, values in tile.values.items():
        found = dict(zip(QUANTITIES, np.moveaxis(values, -1, 0), strict=False))
        scores.predictions[label][tile.place] = np.rint(found["median"])
        if label in scores.means:
            scores.means[label][tile.place] = np.rint(found["mean"])
        if label in scores.deviations:
            scores.deviations[label][tile.place] = np.rint(
                found["deviation"] * (NUM_BINS - 1)
            )
        sums[label].add(
            tile.rows,
            tile.columns,
            true_bins(tile.truth[label]),
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
