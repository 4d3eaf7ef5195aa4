"""A preparation held against what is known of its plate.

Where tiles lie and how uneven the light is are estimates. Some data sets come
with the answer; here both are compared.
"""

import csv
import dataclasses
import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from skimage import transform

from isl.errors import InputError
from isl.files import read_json
from isl.images import natural_key, open_plane, read_whole
from isl.preprocessing.plate import FLAT_FIELDS
from isl.preprocessing.preparation import RECORDS


@dataclasses.dataclass(frozen=True)
class NeighbourStep:
    """How tiles of a well lie to their neighbours in one direction.

    Attributes:
        direction: `right` or `lower`, of the second tile of each pair.
        offset: Median offset, (row, column), pixels.
        largest_deviation: Of a pair from it along one axis, pixels.
        num_pairs: Number of pairs.
    """

    direction: str
    offset: tuple[float, float]
    largest_deviation: float
    num_pairs: int


def read_placements(
    prepared: str | os.PathLike,
) -> dict[str, Mapping[str, Any]]:
    """Reads where the tiles of each prepared well lie.

    Args:
        prepared: Folder that `plate.prepare` wrote.

    Returns:
        Well to its `Placement` as JSON; wells of one tile are left out.

    Raises:
        InputError: If there are no records, or one cannot be read.
    """
    folder = pathlib.Path(prepared, RECORDS)
    # A well whose name has a slash in it is recorded in a folder.
    paths = sorted(folder.rglob("*.json"))
    if not paths:
        raise InputError(
            f"{prepared}: must be a folder that prepare.py wrote. "
            f"Received: no {RECORDS}."
        )
    found = {}
    for path in paths:
        well = path.relative_to(folder).with_suffix("").as_posix()
        found[well] = read_json(path)["found"]["tiles"]
    return {well: tiles for well, tiles in found.items() if tiles}


def neighbour_steps(placement: Mapping[str, Any]) -> tuple[NeighbourStep, ...]:
    """Returns how neighbouring tiles lie to one another.

    Args:
        placement: A `Placement` as JSON.

    Returns:
        Right neighbours, then lower ones; none where no tiles overlap.
    """
    positions = np.array(placement["positions"])
    pairs = [(pair["first"], pair["second"]) for pair in placement["pairs"]]
    offsets = np.array([positions[b] - positions[a] for a, b in pairs])
    offsets = offsets.reshape(-1, 2)
    is_right = offsets[:, 1] > offsets[:, 0]
    steps = []
    for direction, chosen in (("right", is_right), ("lower", ~is_right)):
        part = offsets[chosen]
        if len(part):
            median = np.median(part, axis=0)
            worst = float(np.abs(part - median).max())
            offset = (float(median[0]), float(median[1]))
            steps.append(NeighbourStep(direction, offset, worst, len(part)))
    return tuple(steps)


def read_true_positions(
    path: str | os.PathLike,
) -> tuple[tuple[float, float], ...]:
    """Reads the true positions of tiles.

    Args:
        path: CSV with the columns `tile`, `x` and `y`: of the first column
            and row of a tile in the mosaic, pixels.

    Returns:
        (row, column) of each tile, in natural order of their names.

    Raises:
        InputError: If it cannot be read or a column or number is missing.
    """
    try:
        with open(path, newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        rows.sort(key=lambda row: natural_key(row["tile"]))
        return tuple((float(row["y"]), float(row["x"])) for row in rows)
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"{path}: must be a CSV with the columns tile, x and y, the "
            f"latter numbers. Received: {error!r}"
        ) from error


def position_errors(
    found: Sequence[Sequence[float]], true: Sequence[Sequence[float]]
) -> tuple[float, float]:
    """Compares positions of tiles; where the mosaic begins does not count.

    Args:
        found: (row, column) of each tile, pixels.
        true: Likewise.

    Returns:
        Root mean square and largest distance of the two, after the shift
        that makes their means agree, pixels.

    Raises:
        InputError: If their numbers differ.
    """
    if len(found) != len(true):
        raise InputError(
            f"positions: must be of as many tiles as were placed, "
            f"{len(found)}. Received: {len(true)}"
        )
    errors = np.asarray(found, float) - np.asarray(true, float)
    errors -= errors.mean(axis=0)
    distances = np.hypot(errors[:, 0], errors[:, 1])
    return float(np.sqrt((distances**2).mean())), float(distances.max())


def flat_field_correlation(
    prepared: str | os.PathLike, channel: str, reference: str | os.PathLike
) -> float:
    """Compares the flat field of a channel with another one.

    Args:
        prepared: Folder that `plate.prepare` wrote.
        channel: The modality or a label.
        reference: Image of the other flat field, brought to the same size.

    Returns:
        Pearson's r over all positions, -1 to 1.

    Raises:
        InputError: If either image cannot be read or is constant.
    """
    path = pathlib.Path(prepared, FLAT_FIELDS, f"{channel}.ome.tif")
    ours, other = _read(path), _read(pathlib.Path(reference))
    other = transform.resize(other, ours.shape, order=1, anti_aliasing=True)
    for name, image in ((path, ours), (reference, other)):
        if not image.std() > 0:
            raise InputError(
                f"{name}: flat field must not be constant. "
                f"Received: {image.flat[0]} everywhere."
            )
    return float(np.corrcoef(ours.ravel(), other.ravel())[0, 1])


def _read(path: pathlib.Path) -> np.ndarray:
    return read_whole(open_plane(path)).astype(float)
