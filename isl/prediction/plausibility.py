"""Tells when an image does not look like what networks learn from.

A network answers whatever it is given, raw camera images too, and its answers
do not show it. So a few windows of the image are measured first.
"""

import itertools
from collections.abc import Iterator, Sequence

from isl.images import Well
from isl.preprocessing.normalization import (
    STORED_MAX,
    TRANSMITTED,
    Statistics,
)

# Rows and columns of a window, pixels.
_WINDOW = 256


def describe_unlikeness(well: Well, planes: Sequence[int | None]) -> str:
    """Says how an image differs from normalised ones.

    Args:
        well: The image.
        planes: Which of its planes are used, from
            `isl.prediction.predictor.select_planes`.

    Returns:
        The text; empty if it does not differ much.

    Raises:
        InputError: If a file cannot be decoded.
    """
    stack = well.with_planes(planes)
    measured = Statistics.merge(
        Statistics.of(stack.read_planes(rows, columns).reshape(1, -1))
        for rows, columns in itertools.product(*map(_iter_windows, well.shape))
    )
    distance = TRANSMITTED.describe_distance(
        measured.mean / STORED_MAX, measured.std / STORED_MAX
    )
    return distance and f"{distance}; normalise with experiments/prepare.py"


def _iter_windows(length: int) -> Iterator[slice]:
    """Yields up to three windows, from the beginning to the end of an axis."""
    count = min(3, max(1, length // _WINDOW))
    last = max(length - _WINDOW, 0)
    for index in range(count):
        start = index * last // max(count - 1, 1)
        yield slice(start, min(start + _WINDOW, length))
