"""Scores all labels of a well: by a model, or from a stored prediction."""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence

import keras
import numpy as np
import tqdm

from isl.errors import InputError
from isl.evaluation.pixels import JointHistogram
from isl.evaluation.scoring import (
    LabelScores,
    add_scores,
    build_scorer,
    true_bins,
)
from isl.evaluation.tables import POOLED, MetricRow
from isl.images import OmeTiff, Well, open_ome_tiff
from isl.network.intensity_bins import NUM_BINS
from isl.network.model_folder import ModelDescription
from isl.prediction.predictor import iter_tile_planes, select_planes
from isl.prediction.tiles import Tile, Tiling, plan_tiles
from isl.specs import Region

# Rows of a stored prediction that are read at once.
_BAND_ROWS = 512


@dataclasses.dataclass(frozen=True)
class WellScores:
    """Scores of one well.

    Attributes:
        condition: Name of the condition.
        well: Name of the well.
        rows: Rows of the well that were scored.
        columns: Likewise.
        labels: Label to its scores.
        predictions: Label to the bins of the median, uint8, [row, column],
            of the rows and columns scored.
    """

    condition: str
    well: str
    rows: slice
    columns: slice
    labels: Mapping[str, LabelScores]
    predictions: Mapping[str, np.ndarray]


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


def _empty(
    condition: str, well: Well, rows: slice, columns: slice, labels
) -> WellScores:
    shape = (rows.stop - rows.start, columns.stop - columns.start)
    return WellScores(
        condition=condition,
        well=well.name,
        rows=rows,
        columns=columns,
        labels={label: LabelScores() for label in labels},
        predictions={label: np.zeros(shape, np.uint8) for label in labels},
    )


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
    )
    labels = [label for label in scorer.labels if label in well.labels]
    scores = _empty(condition, well, rows, columns, labels)
    planes = select_planes(description.num_z, well)
    presence = np.ones((1, description.num_z), np.float32)
    for tile, stack in tqdm.tqdm(
        iter_tile_planes(well, tiling, planes),
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
        add_scores(
            scores.labels,
            cropped,
            {label: truth[label][tile.crop] for label in labels},
        )
        for label, values in cropped.items():
            scores.predictions[label][_within(tile, rows, columns)] = np.rint(
                values[..., 0]
            )
    return scores


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


def score_prediction(
    path: str, condition: str, well: Well, labels: Sequence[str], region: Region
) -> WellScores:
    """Scores the medians of a stored prediction of a well.

    Args:
        path: An OME-TIFF as `predict.py` writes it.
        condition: Name of the condition, for the table.
        well: The well.
        labels: Labels to score; those without a channel are left out.
        region: The part to score; what was not predicted is left out.

    Raises:
        InputError: If the file cannot be read, holds none of the labels, or
            reaches outside the well.
    """
    image = open_ome_tiff(path)
    origin = image.annotations.get("origin", {"row": 0, "column": 0})
    first_row, first_column = origin["row"], origin["column"]
    end_row = first_row + image.shape[0]
    end_column = first_column + image.shape[1]
    if end_row > well.shape[0] or end_column > well.shape[1]:
        raise InputError(
            f"{path}: must lie inside well {well.name} "
            f"({well.shape[0]} x {well.shape[1]}). Received: rows up to "
            f"{end_row}, columns up to {end_column}"
        )
    rows, columns = region.resolve(well.shape)
    rows = slice(max(rows.start, first_row), min(rows.stop, end_row))
    columns = slice(
        max(columns.start, first_column), min(columns.stop, end_column)
    )
    found = [
        label
        for label in labels
        if label in well.labels and _channel(label) in image.channel_names
    ]
    if not found or rows.start >= rows.stop or columns.start >= columns.stop:
        raise InputError(
            f"{path}: must hold medians of a label of well {well.name} inside "
            f"the region. Received: channels {', '.join(image.channel_names)}"
        )
    scores = _empty(condition, well, rows, columns, found)
    for label in found:
        _score_channel(scores, image, well, label, (first_row, first_column))
    return scores


def _channel(label: str) -> str:
    return f"{label}:median"


def _score_channel(
    scores: WellScores,
    image: OmeTiff,
    well: Well,
    label: str,
    origin: tuple[int, int],
) -> None:
    (plane,) = image.channel(_channel(label))
    columns = scores.columns
    stored = slice(columns.start - origin[1], columns.stop - origin[1])
    for start in range(scores.rows.start, scores.rows.stop, _BAND_ROWS):
        stop = min(start + _BAND_ROWS, scores.rows.stop)
        values = plane.read(slice(start - origin[0], stop - origin[0]), stored)
        predicted = np.rint(values * (NUM_BINS - 1)).astype(np.int64)
        truth = well.read_label(label, slice(start, stop), columns)
        scores.labels[label].add(true_bins(truth), predicted, None)
        top = start - scores.rows.start
        scores.predictions[label][top : top + stop - start] = predicted


def metric_rows(wells: Iterable[WellScores]) -> list[MetricRow]:
    """Returns the table: pooled rows of each condition and label, then wells.

    Args:
        wells: Scores; wells of one condition and label are pooled by adding
            their pixels.
    """
    wells = list(wells)
    pooled: dict[tuple[str, str], LabelScores] = {}
    for scores in wells:
        for label, label_scores in scores.labels.items():
            key = (scores.condition, label)
            pooled.setdefault(key, LabelScores()).merge(label_scores)
    rows = [
        row
        for (condition, label), label_scores in pooled.items()
        for row in _rows(condition, POOLED, label, label_scores)
    ]
    for scores in wells:
        for label, label_scores in scores.labels.items():
            rows += _rows(scores.condition, scores.well, label, label_scores)
    return rows


def _rows(
    condition: str, well: str, label: str, scores: LabelScores
) -> list[MetricRow]:
    histogram: JointHistogram = scores.histogram
    return [
        MetricRow(condition, well, label, metric, value, histogram.count)
        for metric, value in scores.metrics().items()
    ]
