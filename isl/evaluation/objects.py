"""Cells and neurites of a scored well, as its data spec asks for them."""

import dataclasses
import functools
import importlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from isl.errors import InputError
from isl.evaluation.cells import CellComparison, compare_cells
from isl.evaluation.neurites import (
    NeuriteComparison,
    NeuriteSettings,
    compare_neurites,
)
from isl.evaluation.nuclei import NucleiSettings, Segmenter, segment_nuclei
from isl.evaluation.scoring import true_bins
from isl.evaluation.viability import DeadImages
from isl.evaluation.wells import WellScores
from isl.images import Well
from isl.network.intensity_bins import NUM_BINS
from isl.preprocessing.normalization import (
    Statistics,
    Target,
    denormalize_spread,
)
from isl.preprocessing.scaling import SHARED_SCOPES
from isl.specs import DatasetSpec
from isl.specs.evaluation import EvaluationSpec

# Bins cannot tell less; without it, rounding would be structure wherever a
# label is constant.
_MIN_DEVIATION = 1 / (NUM_BINS - 1)


def add_objects(
    scores: WellScores,
    well: Well,
    spec: DatasetSpec,
    segmenter: Segmenter | None = None,
) -> WellScores:
    """Adds cells, neurites and units of the camera to the scores of a well.

    Truth and prediction are both taken as bins, so that a perfect prediction
    has no errors.

    Args:
        scores: From `score_model` or `score_prediction`.
        well: The well.
        spec: Its data spec, which names the labels.
        segmenter: Finds nuclei; None for the one of `isl.evaluation.nuclei`
            with the settings of the spec.

    Returns:
        The scores, complete.

    Raises:
        InputError: If the pixel size must be known and is not, or the
            segmenter does not return regions.
    """
    evaluation = spec.evaluation or EvaluationSpec()
    return dataclasses.replace(
        scores,
        cells=_find_cells(scores, well, evaluation, segmenter),
        neurites=_find_neurites(scores, well, evaluation),
        camera_slopes=_camera_slopes(scores, spec.normalization),
        means={},
    )


def check_pixel_size(well: Well, spec: DatasetSpec) -> None:
    """Makes sure that what a data set asks to find in a well can be found.

    Raises:
        InputError: If the pixel size must be known and is not.
    """
    evaluation = spec.evaluation
    if evaluation and (evaluation.nuclei or evaluation.neurites):
        _pixel_size_um(well, evaluation)


def load_segmenter(name: str) -> Segmenter:
    """Imports a segmenter.

    Args:
        name: `package.module:function`, of a package that Python finds. The
            function takes intensities in [0, 1], float32, [row, column], and
            returns whole numbers, [row, column]: 0 is background, each
            nucleus has a positive number.

    Raises:
        InputError: If there is no such function.
    """
    module, _, function = name.partition(":")
    try:
        found = getattr(importlib.import_module(module), function)
    except (ImportError, AttributeError, ValueError) as error:
        raise InputError(
            f"segmenter: must be package.module:function that can be "
            f"imported ({error}). Received: {name!r}"
        ) from error
    return functools.partial(_checked, name, found)


def _checked(name: str, segment: Segmenter, image: np.ndarray) -> np.ndarray:
    regions = np.asarray(segment(image))
    whole = np.issubdtype(regions.dtype, np.integer)
    if not whole or regions.shape != image.shape or regions.min() < 0:
        raise InputError(
            f"segmenter: {name} must return whole numbers of at least 0, of "
            f"shape {image.shape}. Received: {regions.dtype}, "
            f"{regions.shape}"
        )
    return regions


def _find_cells(
    scores: WellScores,
    well: Well,
    evaluation: EvaluationSpec,
    segmenter: Segmenter | None,
) -> dict[str, CellComparison]:
    nuclei = evaluation.nuclei
    labels = [x for x in nuclei.labels if x in scores.labels] if nuclei else []
    if not labels:
        return {}
    dead = _dead_images(scores, well, evaluation)
    cells = {}
    for label in labels:
        segment = segmenter or functools.partial(
            segment_nuclei,
            settings=NucleiSettings.scaled(
                nuclei,
                _pixel_size_um(well, evaluation),
                _deviation(scores, label),
            ),
        )
        cells[label] = compare_cells(
            *_images(scores, well, label),
            segment,
            dead,
            origin=(scores.rows.start, scores.columns.start),
        )
    return cells


def _dead_images(
    scores: WellScores, well: Well, evaluation: EvaluationSpec
) -> DeadImages | None:
    dead = evaluation.dead
    if dead is None or dead.label not in scores.labels:
        return None
    histogram = scores.labels[dead.label].histogram
    threshold = histogram.label_median()
    threshold += dead.contrast * _deviation(scores, dead.label)
    true, predicted = _images(scores, well, dead.label)
    if dead.label in scores.means:
        # Of a mean over a nucleus the expectation is the mean of the pixels'
        # expectations; medians of a dye that few cells have are dark even
        # where it is likely.
        predicted = _intensities(scores.means[dead.label])
    return DeadImages(true, predicted, threshold)


def _find_neurites(
    scores: WellScores, well: Well, evaluation: EvaluationSpec
) -> dict[str, NeuriteComparison]:
    if evaluation.neurites is None:
        return {}
    return {
        label: compare_neurites(
            *_images(scores, well, label),
            NeuriteSettings.scaled(
                evaluation.neurites,
                _pixel_size_um(well, evaluation),
                _deviation(scores, label),
            ),
        )
        for label in evaluation.neurites.labels
        if label in scores.labels
    }


def _deviation(scores: WellScores, label: str) -> float:
    deviation = scores.labels[label].histogram.label_deviation()
    return max(deviation, _MIN_DEVIATION)


def _images(
    scores: WellScores, well: Well, label: str
) -> tuple[np.ndarray, np.ndarray]:
    """Truth and prediction, float32 intensities, [row, column]."""
    truth = well.read_label(label, scores.rows, scores.columns)
    return (
        _intensities(true_bins(truth)),
        _intensities(scores.predictions[label]),
    )


def _intensities(bins: np.ndarray) -> np.ndarray:
    return bins.astype(np.float32) / np.float32(NUM_BINS - 1)


def _pixel_size_um(well: Well, evaluation: EvaluationSpec) -> float:
    size = well.pixel_size_um or evaluation.pixel_size_um
    if size is None:
        raise InputError(
            f"well {well.name}: pixel_size_um must be known to find cells or "
            f"neurites; the data spec can give it under `evaluation`. "
            f"Received: neither"
        )
    return size


def _camera_slopes(
    scores: WellScores, normalization: Mapping[str, Mapping[str, Any]]
) -> dict[str, float]:
    """Units of the camera for an intensity of 1, of labels that have one.

    Where each well or plane was scaled by itself, the record of the spec is
    an average (BUILD_NOTES D27) and is not used.
    """
    slopes = {}
    for label in scores.labels:
        record = normalization.get(label)
        if record is not None and record["scope"] in SHARED_SCOPES:
            statistics = Statistics.from_dict(record["statistics"], label)
            target = Target(**record["target"])
            one = denormalize_spread(np.ones(()), statistics, target)
            slopes[label] = float(one)
    return slopes
