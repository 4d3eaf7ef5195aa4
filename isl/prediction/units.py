"""Predictions in units of the camera instead of intensities of 0 to 1."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from isl.errors import InputError
from isl.preprocessing.normalization import (
    Statistics,
    Target,
    denormalize,
    denormalize_spread,
)
from isl.preprocessing.scaling import SHARED_SCOPES

UNITS = ("intensity", "original")

# Statistics that have no unit, and those that are differences.
_WITHOUT_UNIT = ("probability_nonzero", "entropy")
_SPREADS = ("standard_deviation",)

Convert = Callable[[np.ndarray], np.ndarray]


def camera_units(
    labels: Sequence[str],
    statistics: Sequence[str],
    normalization: Mapping[str, Mapping[str, Any]],
) -> Convert:
    """Prepares the inverse of the normalisation of the training labels.

    Args:
        labels: Labels of a predictor.
        statistics: Its statistics.
        normalization: Label to what inverts its normalisation, of the model.

    Returns:
        A function of predictions, [label * statistic, row, column], float32
        in [0, 1], to the same in units of the camera. Probabilities and
        entropies stay as they are.

    Raises:
        InputError: If the normalisation of a label is not known, or differs
            from well to well.
    """
    scales = []
    for label in labels:
        if label not in normalization:
            raise InputError(
                f"units: original units of {label} must be known to the "
                f"model, from a training spec that prepare.py wrote. "
                f"Received: {', '.join(normalization) or 'no normalisation'}"
            )
        record = normalization[label]
        scope = record.get("scope")
        if scope not in SHARED_SCOPES:
            raise InputError(
                f"units: original units of {label} must be the same for all "
                f"training wells, which were scaled together (scope "
                f"{' or '.join(SHARED_SCOPES)} of the step normalize). "
                f"Received: scope {scope}"
            )
        scales.append(
            (
                Statistics.from_dict(record["statistics"], label),
                Target(**record["target"]),
            )
        )

    def convert(values: np.ndarray) -> np.ndarray:
        converted = np.array(values, np.float32)
        channels = iter(converted)
        for scale in scales:
            for statistic in statistics:
                channel = next(channels)
                channel[:] = _convert(channel, statistic, *scale)
        return converted

    return convert


def _convert(
    values: np.ndarray, statistic: str, scale: Statistics, target: Target
) -> np.ndarray:
    if statistic in _WITHOUT_UNIT:
        return values
    invert = denormalize_spread if statistic in _SPREADS else denormalize
    return invert(values, scale, target)
