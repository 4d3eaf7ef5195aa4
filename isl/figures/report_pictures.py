"""Pictures of the report, made from wells and their scores."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from isl.evaluation.error_panels import subtractive
from isl.evaluation.scoring import true_bins
from isl.evaluation.tile_scores import TILE_SIZE, TileScores
from isl.evaluation.wells import WellScores, pool_cells
from isl.figures import drawing
from isl.figures.cell_figure import cell_figure
from isl.figures.reliability_figure import reliability_figure
from isl.figures.report import LabelPictures
from isl.figures.report_html import Comparison, Picture
from isl.figures.report_warnings import MIN_TRUE_DEVIATION
from isl.figures.uncertainty_figure import SpreadSums, deviation_figure
from isl.figures.well_figure import (
    picture_place,
    predicted,
    well_figure,
    within,
)
from isl.images import Well
from isl.network.intensity_bins import MAX_UINT16, NUM_BINS

Scored = Sequence[tuple[Well, WellScores]]

# Pictures of more wells would make a page that no browser opens gladly.
MAX_PICTURED_WELLS = 4
_BAND_ROWS = 512
_NUM_TILES = 3
_QUALITY = 70


def label_pictures(
    scored: Scored, label: str, details: Mapping[str, Any]
) -> LabelPictures:
    """Makes all pictures of a label.

    Args:
        scored: Wells of one condition that have the label, with their scores;
            one or more.
        label: The label.
        details: Of the label, from `isl.evaluation.details.metric_details`.
    """
    first_well, first = scored[0]
    overview = drawing.figure_webp(well_figure(first_well, first, label))
    ranked = _ranked_tiles(scored, label)
    count = min(_NUM_TILES, len(ranked) // 2)
    return LabelPictures(
        condition=first.condition,
        label=label,
        comparisons=[
            _comparison(well, scores, label)
            for well, scores in scored[:MAX_PICTURED_WELLS]
        ],
        overview=[Picture(f"{label}, well {first.well}", overview)],
        uncertainty=list(_uncertainty(scored, label, details)),
        cells=list(_cells(scored, label)),
        best=[_strip(*ranked[index], label) for index in range(count)],
        worst=[_strip(*ranked[-1 - index], label) for index in range(count)],
    )


def _comparison(well: Well, scores: WellScores, label: str) -> Comparison:
    rows, columns = picture_place(scores)
    light = well.planes[well.num_z // 2].read(rows, columns)
    truth = well.read_label(label, rows, columns) / np.float32(MAX_UINT16)
    limits = drawing.grey_limits(truth)
    prediction = predicted(scores, label, rows, columns)
    return Comparison(
        f"well {scores.well}, rows {rows.start} to {rows.stop - 1}, columns "
        f"{columns.start} to {columns.stop - 1}",
        truth.shape[1] / truth.shape[0],
        *(
            _grey_webp(image)
            for image in (
                light / np.float32(MAX_UINT16),
                drawing.stretch(truth, limits),
                drawing.stretch(prediction, limits),
            )
        ),
    )


def _grey_webp(image: np.ndarray) -> bytes:
    return drawing.webp(np.rint(255 * image).astype(np.uint8), _QUALITY)


def _uncertainty(
    scored: Scored, label: str, details: Mapping[str, Any]
) -> Iterator[Picture]:
    if "pit" in details:
        figure = reliability_figure(details["reliability"], details["pit"])
        yield Picture(
            f"{label}, all wells: the closer to the dashed lines, the better. "
            "Left: of the pixels said to be bright with some probability, so "
            "many are. Middle: a calibrated histogram is flat, a bowl is too "
            "sure, a hill too cautious, one that falls to the right predicted "
            "too bright, one that rises too dark. Right: intervals "
            "must hold as many pixels as they promise.",
            drawing.figure_png(figure, 80),
        )
    known = [pair for pair in scored if label in pair[1].deviations]
    if known:
        yield _deviation_picture(known, label)


def _deviation_picture(scored: Scored, label: str) -> Picture:
    sums = SpreadSums()
    for well, scores in scored:
        # Otherwise the labels of all wells would stay in memory.
        copied = well.copied()
        for start in range(scores.rows.start, scores.rows.stop, _BAND_ROWS):
            rows = slice(start, min(start + _BAND_ROWS, scores.rows.stop))
            place = (rows, scores.columns)
            sums.add(
                within(scores, scores.deviations[label], *place),
                true_bins(copied.read_label(label, *place)),
                within(scores, scores.predictions[label], *place),
            )
    well, scores = scored[0]
    place = picture_place(scores)
    truth = well.read_label(label, *place) / np.float32(MAX_UINT16)
    deviations = within(scores, scores.deviations[label], *place)
    figure = deviation_figure(
        np.abs(truth - predicted(scores, label, *place)),
        deviations / np.float32(NUM_BINS - 1),
        sums.curve(),
        well.pixel_size_um,
    )
    return Picture(
        f"{label}: error and predicted standard deviation on one colour scale "
        f"(well {scores.well}); right, all wells: groups of pixels by "
        "predicted standard deviation. On the dashed line the prediction is "
        "as far off as it says.",
        drawing.figure_webp(figure, 90),
    )


def _cells(scored: Scored, label: str) -> Iterator[Picture]:
    cells = pool_cells(scores for _, scores in scored).get(label)
    if cells is not None:
        yield Picture(
            f"{label}, all wells: nuclei found in truth and prediction in the "
            "same way and matched one to one.",
            drawing.figure_png(cell_figure(cells), 80),
        )


def _ranked_tiles(
    scored: Scored, label: str
) -> list[tuple[Well, WellScores, TileScores]]:
    """Tiles with something in them, from the smallest to the largest error.

    The error is the mean absolute one over the standard deviation of the
    truth: r alone would praise a prediction that is far too dim. Tiles at the
    edge, smaller than others, only where there are no others.
    """
    found = [
        (well, scores, tile)
        for well, scores in scored
        for tile in scores.tiles.get(label, ())
        if _true_deviation(tile) >= MIN_TRUE_DEVIATION
    ]
    whole = [item for item in found if item[2].sums.count == TILE_SIZE**2]
    if len(whole) > 1:
        found = whole
    return sorted(
        found, key=lambda item: item[2].mae() / _true_deviation(item[2])
    )


def _true_deviation(tile: TileScores) -> float:
    """Standard deviation of the truth, as an intensity."""
    sums = tile.sums
    variance = sums.true_squares / sums.count - (sums.true / sums.count) ** 2
    return math.sqrt(max(0.0, variance)) / (NUM_BINS - 1)


def _strip(
    well: Well, scores: WellScores, tile: TileScores, label: str
) -> Picture:
    place = (tile.rows, tile.columns)
    light = well.planes[well.num_z // 2].read(*place) / np.float32(MAX_UINT16)
    truth = well.read_label(label, *place) / np.float32(MAX_UINT16)
    limits = drawing.grey_limits(truth)
    truth = drawing.stretch(truth, limits)
    prediction = drawing.stretch(predicted(scores, label, *place), limits)
    images = [
        np.repeat(image[..., np.newaxis], 3, axis=2)
        for image in (light, truth, prediction)
    ]
    images.append(subtractive(truth, prediction))
    r = tile.pearson()
    correlation = "r undefined" if r is None else f"r = {r:.2f}"
    # Transparent where there is no pixel.
    strip = np.zeros((TILE_SIZE, 4 * (TILE_SIZE + 2) - 2, 4), np.float32)
    for index, image in enumerate(images):
        left = index * (TILE_SIZE + 2)
        place = strip[: image.shape[0], left : left + image.shape[1]]
        place[..., :3], place[..., 3] = image, 1.0
    return Picture(
        f"{correlation}, mean absolute error {tile.mae():.3f}; well "
        f"{scores.well}, row {tile.rows.start}, column {tile.columns.start}",
        drawing.webp(np.rint(255 * strip).astype(np.uint8), _QUALITY),
    )
