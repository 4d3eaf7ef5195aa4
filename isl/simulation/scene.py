"""Cells with known truth: nuclei, somata, dendrites, axons and debris.

A scene is what lies on the glass, before any microscope looks at it: how much
it delays light (radians), how much it absorbs, and how much of each stain it
holds. Shapes are simple on purpose, so that a tiny network learns them within
minutes, and nuclei are about 14 pixels wide, so that a field of view of 30 to
100 pixels is enough.
"""

import dataclasses
from collections.abc import Mapping

import numpy as np
from scipy import ndimage

from isl.simulation import neurites

LABELS = (
    "DAPI_CONFOCAL",
    "MAP2_CONFOCAL",
    "NFH_CONFOCAL",
    "DEAD_CONFOCAL",
)

# Cells are also placed this many pixels outside the image, so that neurites
# enter from outside and light propagation does not wrap around.
MARGIN = 64
CELLS_PER_MEGAPIXEL = 450
MINIMUM_DISTANCE = 13.0  # Pixels between nuclei: they may touch.
KINDS = ("neuron", "glia", "dead")
KIND_PROBABILITIES = (0.4, 0.35, 0.25)


@dataclasses.dataclass(frozen=True)
class Nucleus:
    """One nucleus. Lengths are in pixels, pixel centres are whole numbers.

    Attributes:
        row: Row of the centre.
        column: Column of the centre.
        kind: "neuron", "glia" or "dead".
        semi_major: Longer half axis.
        semi_minor: Shorter half axis.
        angle: Direction of the longer axis, radians from the row axis towards
            the column axis.
    """

    row: float
    column: float
    kind: str
    semi_major: float
    semi_minor: float
    angle: float

    @property
    def alive(self) -> bool:
        """Whether the cell lives."""
        return self.kind != "dead"


@dataclasses.dataclass(frozen=True)
class Scene:
    """What lies on the glass, `MARGIN` pixels larger on every side.

    Attributes:
        phase: Delay of the light, radians, float64, [row, column].
        absorption: Absorbance of the amplitude, float64, [row, column].
        stains: Label to amount of stain, float64, [row, column], at least 0.
        nuclei: The nuclei whose centre lies inside the image.
    """

    phase: np.ndarray
    absorption: np.ndarray
    stains: Mapping[str, np.ndarray]
    nuclei: tuple[Nucleus, ...]


def random_scene(
    rng: np.random.Generator, num_rows: int, num_columns: int
) -> Scene:
    """Draws a scene. It holds at least one cell of every kind.

    Args:
        rng: Source of every random number.
        num_rows: Rows of the image, without the margin.
        num_columns: Columns of the image, without the margin.

    Returns:
        The scene, [num_rows + 2 * MARGIN, num_columns + 2 * MARGIN].
    """
    shape = (num_rows + 2 * MARGIN, num_columns + 2 * MARGIN)
    nuclei = _place_nuclei(rng, shape)
    phase = _uneven_background(rng, shape)
    absorption = np.zeros(shape)
    stains = {label: np.zeros(shape) for label in LABELS}
    dendrites = neurites.no_neurites(shape)
    axons = neurites.no_neurites(shape)
    for nucleus in nuclei:
        if nucleus.alive:
            _draw_live_cell(rng, nucleus, phase, stains)
        else:
            _draw_dead_cell(rng, nucleus, phase, absorption, stains)
        if nucleus.kind == "neuron":
            neurites.grow(rng, (nucleus.row, nucleus.column), dendrites, axons)
    _draw_debris(rng, phase, absorption)

    dendrite_thickness = neurites.thickness(dendrites)
    axon_thickness = neurites.thickness(axons)
    phase += 0.3 * (dendrite_thickness + axon_thickness)
    stains["MAP2_CONFOCAL"] += dendrite_thickness
    stains["NFH_CONFOCAL"] += axon_thickness + 0.1 * dendrite_thickness
    return Scene(phase, absorption, stains, _inside(nuclei, shape))


def _place_nuclei(
    rng: np.random.Generator, shape: tuple[int, int]
) -> list[Nucleus]:
    """Draws nuclei that keep their distance; a third grow beside another."""
    target = max(
        len(KINDS), round(shape[0] * shape[1] * CELLS_PER_MEGAPIXEL / 1e6)
    )
    nuclei: list[Nucleus] = []
    for _ in range(20 * target):
        if len(nuclei) == target:
            break
        if len(nuclei) < len(KINDS):  # One of each kind inside the image.
            kind = KINDS[len(nuclei)]
            low, high = MARGIN, np.array(shape) - MARGIN
            centre = rng.uniform(low, high - 1)
        else:
            kind = str(rng.choice(KINDS, p=KIND_PROBABILITIES))
            centre = rng.uniform(0, np.array(shape) - 1)
            if rng.random() < 0.3:
                neighbour = nuclei[rng.integers(len(nuclei))]
                direction = rng.uniform(0, 2 * np.pi)
                centre = np.array([neighbour.row, neighbour.column])
                centre = centre + rng.uniform(13, 18) * np.array(
                    [np.cos(direction), np.sin(direction)]
                )
        others = np.array([[n.row, n.column] for n in nuclei])
        if len(others) >= len(KINDS) and (
            np.hypot(*(others - centre).T).min() < MINIMUM_DISTANCE
        ):
            continue
        nuclei.append(_random_nucleus(rng, centre, kind))
    return nuclei


def _random_nucleus(
    rng: np.random.Generator, centre: np.ndarray, kind: str
) -> Nucleus:
    if kind == "dead":  # Shrunken and round.
        semi_major = rng.uniform(4.5, 5.5)
        semi_minor = semi_major * rng.uniform(0.9, 1.0)
    else:
        semi_major = rng.uniform(6.8, 8.2)
        semi_minor = semi_major * rng.uniform(0.75, 0.95)
    return Nucleus(
        float(centre[0]),
        float(centre[1]),
        kind,
        float(semi_major),
        float(semi_minor),
        float(rng.uniform(0, np.pi)),
    )


def _inside(
    nuclei: list[Nucleus], shape: tuple[int, int]
) -> tuple[Nucleus, ...]:
    """Returns the nuclei inside the image, in its coordinates."""
    moved = (
        dataclasses.replace(n, row=n.row - MARGIN, column=n.column - MARGIN)
        for n in nuclei
    )
    num_rows, num_columns = shape[0] - 2 * MARGIN, shape[1] - 2 * MARGIN
    return tuple(
        n
        for n in moved
        if 0 <= n.row <= num_rows - 1 and 0 <= n.column <= num_columns - 1
    )


def _window(
    shape: tuple[int, int], row: float, column: float, radius: float
) -> tuple[tuple[slice, slice], np.ndarray, np.ndarray]:
    """Returns a window around a point, and the distances to it, in pixels."""
    reach = int(np.ceil(radius)) + 2
    bounds = [
        (
            max(0, int(centre) - reach),
            max(0, min(size, int(centre) + reach + 1)),
        )
        for centre, size in ((row, shape[0]), (column, shape[1]))
    ]
    rows, columns = np.ogrid[slice(*bounds[0]), slice(*bounds[1])]
    return (slice(*bounds[0]), slice(*bounds[1])), rows - row, columns - column


def _ellipsoid(
    shape: tuple[int, int], nucleus: Nucleus, scale: float
) -> tuple[tuple[slice, slice], np.ndarray]:
    """Returns the thickness (0 to 1) of an ellipsoid, in a window."""
    window, rows, columns = _window(
        shape, nucleus.row, nucleus.column, scale * nucleus.semi_major
    )
    along = rows * np.cos(nucleus.angle) + columns * np.sin(nucleus.angle)
    across = columns * np.cos(nucleus.angle) - rows * np.sin(nucleus.angle)
    squared = (along / nucleus.semi_major) ** 2
    squared += (across / nucleus.semi_minor) ** 2
    return window, np.sqrt(np.maximum(0.0, 1.0 - squared / scale**2))


def _draw_live_cell(
    rng: np.random.Generator,
    nucleus: Nucleus,
    phase: np.ndarray,
    stains: Mapping[str, np.ndarray],
) -> None:
    window, thickness = _ellipsoid(phase.shape, nucleus, 1.0)
    nucleoli = np.zeros_like(thickness)
    for _ in range(rng.integers(1, 4)):
        offset = rng.normal(0.0, 0.3 * nucleus.semi_minor, size=2)
        _, rows, columns = _window(
            phase.shape, nucleus.row, nucleus.column, nucleus.semi_major
        )
        squared = (rows - offset[0]) ** 2 + (columns - offset[1]) ** 2
        nucleoli += np.exp(-squared / (2 * 1.2**2))
    nucleoli = np.minimum(nucleoli, 1.0)
    # A nucleolus is dense but holds little DNA.
    phase[window] += 0.5 * thickness + 0.4 * nucleoli
    dna = rng.uniform(0.85, 1.15) * thickness * (1.0 - 0.6 * nucleoli)
    stains["DAPI_CONFOCAL"][window] += dna

    window, thickness = _ellipsoid(phase.shape, nucleus, 1.7)
    is_neuron = nucleus.kind == "neuron"
    phase[window] += (0.35 if is_neuron else 0.1) * thickness
    if is_neuron:
        stains["MAP2_CONFOCAL"][window] += 1.2 * thickness
        stains["NFH_CONFOCAL"][window] += 0.4 * thickness


def _draw_dead_cell(
    rng: np.random.Generator,
    nucleus: Nucleus,
    phase: np.ndarray,
    absorption: np.ndarray,
    stains: Mapping[str, np.ndarray],
) -> None:
    window, thickness = _ellipsoid(phase.shape, nucleus, 1.0)
    phase[window] += 1.8 * thickness
    absorption[window] += 0.25 * thickness
    stains["DAPI_CONFOCAL"][window] += rng.uniform(1.6, 2.0) * thickness
    stains["DEAD_CONFOCAL"][window] += rng.uniform(0.85, 1.15) * thickness
    for _ in range(rng.integers(1, 4)):  # Blebs of cytoplasm, without DNA.
        direction = rng.uniform(0, 2 * np.pi)
        bleb = Nucleus(
            nucleus.row + 1.3 * nucleus.semi_major * np.cos(direction),
            nucleus.column + 1.3 * nucleus.semi_major * np.sin(direction),
            "dead",
            *(rng.uniform(1.5, 3.0),) * 2,
            0.0,
        )
        window, thickness = _ellipsoid(phase.shape, bleb, 1.0)
        phase[window] += 0.8 * thickness


def _draw_debris(
    rng: np.random.Generator, phase: np.ndarray, absorption: np.ndarray
) -> None:
    """Draws small specks that no label shows."""
    for _ in range(round(phase.size * 400 / 1e6)):
        row, column = rng.uniform(0, np.array(phase.shape) - 1)
        radius = rng.uniform(0.8, 1.8)
        speck = Nucleus(row, column, "dead", radius, radius, 0.0)
        window, thickness = _ellipsoid(phase.shape, speck, 1.0)
        phase[window] += rng.uniform(0.4, 1.2) * thickness
        absorption[window] += 0.1 * thickness


def _uneven_background(
    rng: np.random.Generator, shape: tuple[int, int]
) -> np.ndarray:
    """Returns slow and fine variations of the glass and medium, radians."""
    background = np.zeros(shape)
    for amplitude, sigma in ((0.1, 20.0), (0.02, 1.5)):
        noise = ndimage.gaussian_filter(
            rng.normal(size=shape), sigma, mode="wrap"
        )
        background += amplitude * noise / noise.std()
    return background
