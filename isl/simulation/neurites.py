"""Dendrites and axons as branching random walks."""

from collections.abc import Iterator

import numpy as np
from scipy import ndimage

WIDTHS = (2.0, 1.4, 0.9)  # Standard deviation of the profile, pixels.


def no_neurites(shape: tuple[int, int]) -> np.ndarray:
    """Returns empty centre lines, float64, [width, row, column]."""
    return np.zeros((len(WIDTHS), *shape))


def grow(
    rng: np.random.Generator,
    start: tuple[float, float],
    dendrites: np.ndarray,
    axons: np.ndarray,
) -> None:
    """Adds the centre lines of one neuron's dendrites and axon.

    Args:
        rng: Source of every random number.
        start: Row and column of the nucleus, pixels.
        dendrites: Changed in place, from `no_neurites`.
        axons: Changed in place, from `no_neurites`.
    """
    num_dendrites = int(rng.integers(2, 5))
    first = rng.uniform(0, 2 * np.pi)
    for index in range(num_dendrites + 1):
        angle = first + 2 * np.pi * index / (num_dendrites + 1)
        angle += rng.normal(0.0, 0.2)
        if index == num_dendrites:
            length = int(rng.integers(120, 300))
            branches = _branches(rng, start, angle, length, 2, 0.04)
            for width, path in branches:
                _deposit(axons[width], path)
        else:
            length = int(rng.integers(25, 50))
            for width, path in _branches(rng, start, angle, length, 0, 0.08):
                _deposit(dendrites[width], path)


def _branches(
    rng: np.random.Generator,
    start: tuple[float, float],
    angle: float,
    length: int,
    width: int,
    wander: float,
) -> Iterator[tuple[int, np.ndarray]]:
    """Yields (index into WIDTHS, path [point, 2]), thick ones first."""
    angles = angle + np.cumsum(rng.normal(0.0, wander, size=length))
    steps = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    path = np.array(start) + np.cumsum(steps, axis=0)
    yield width, path
    if width + 1 < len(WIDTHS):
        for turn in (-0.45, 0.45):
            yield from _branches(
                rng,
                tuple(path[-1]),
                float(angles[-1]) + turn + rng.normal(0.0, 0.1),
                int(0.8 * length),
                width + 1,
                wander,
            )


def _deposit(density: np.ndarray, path: np.ndarray) -> None:
    """Adds one unit per point, shared among its four pixels."""
    corner = np.floor(path).astype(int)
    fraction = path - corner
    for row, column in ((0, 0), (0, 1), (1, 0), (1, 1)):
        index = corner + (row, column)
        weight = np.abs(1 - row - fraction[:, 0])
        weight = weight * np.abs(1 - column - fraction[:, 1])
        inside = np.all((index >= 0) & (index < density.shape), axis=1)
        np.add.at(density, tuple(index[inside].T), weight[inside])


def thickness(densities: np.ndarray) -> np.ndarray:
    """Returns neurites with round profiles.

    Args:
        densities: Centre lines, [width, row, column].

    Returns:
        The thickness, float64, [row, column]: about 1 where a single neurite
        of the widest kind lies.
    """
    total = np.zeros(densities.shape[1:])
    for density, width in zip(densities, WIDTHS, strict=True):
        # A straight line of unit density then peaks at `width / widest`.
        scale = np.sqrt(2 * np.pi) * width * width / WIDTHS[0]
        total += scale * ndimage.gaussian_filter(density, width)
    return total
