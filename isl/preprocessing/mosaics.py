"""The planes of one well, tiles corrected and joined, made one at a time."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from isl.errors import InputError
from isl.images import Field, FieldPlane, RawWell
from isl.preprocessing.corrections import TileSteps
from isl.preprocessing.downscaling import downscale
from isl.preprocessing.focus import best_plane, focus_measure
from isl.preprocessing.mosaic import covered_region, stitch
from isl.preprocessing.steps import StitchStep
from isl.preprocessing.tile_grid import grid_indices, nominal_positions
from isl.preprocessing.tile_placement import Placement, place_tiles
from isl.specs import Region

# Tiles of a well whose planes vote for the one in focus.
_FOCUS_TILES = 9


@dataclasses.dataclass(frozen=True)
class Mosaics:
    """The planes of a well before registration and normalisation.

    Attributes:
        well: Its files.
        tile_steps: What is done to each tile.
        factors: By which planes are made smaller, one after the other.
        placement: Of the tiles; None for a well of one field.
        region: The part of the mosaic that tiles cover without a hole.
    """

    well: RawWell
    tile_steps: TileSteps
    factors: tuple[int, ...]
    placement: Placement | None
    region: Region

    def num_planes(self, channel: str) -> int:
        """Number of planes of a channel."""
        return len(_stack(self.well.fields[0], channel, self.tile_steps))

    def read(self, channel: str, z: int) -> np.ndarray:
        """Returns a plane in units of the camera, float32, [row, column].

        Args:
            channel: The modality or a label.
            z: Plane, from 0.

        Raises:
            InputError: If a file cannot be read, or tiles differ in size.
        """

        def read_tile(index: int) -> np.ndarray:
            return _read_tile(self.well, self.tile_steps, channel, z, index)

        first = read_tile(0)
        image = first
        if self.placement is not None:
            image = stitch(
                read_tile, self.placement.positions, first.shape, self.region
            )
        for factor in self.factors:
            image = downscale(image, factor)
        return image


def _stack(
    field: Field, channel: str, tile_steps: TileSteps
) -> tuple[FieldPlane, ...]:
    if channel == tile_steps.modality:
        return field.planes
    return field.labels[channel]


def _read_tile(
    well: RawWell, tile_steps: TileSteps, channel: str, z: int, index: int
) -> np.ndarray:
    plane = _stack(well.fields[index], channel, tile_steps)[z]
    try:
        return tile_steps.apply(plane.read(), channel)
    except InputError as error:
        if plane.path in str(error):
            raise
        raise InputError(f"{plane.path}: {error}") from error


def place_well(
    well: RawWell,
    tile_steps: TileSteps,
    step: StitchStep | None,
    factors: Sequence[int],
) -> Mosaics:
    """Finds where the tiles of a well lie.

    Args:
        well: Its files.
        tile_steps: What is done to each tile.
        step: How they are joined; None for wells of one field.
        factors: By which planes are made smaller, one after the other.

    Raises:
        InputError: If there are several tiles and nothing says how they lie,
            or a file cannot be read.
    """
    if step is None:
        if len(well.fields) > 1:
            raise InputError(
                f"well {well.name}: preprocessing must name the step stitch, "
                f"as there are tiles. Received: {len(well.fields)} of them"
            )
        return Mosaics(well, tile_steps, tuple(factors), None, Region())
    channel = step.channel or tile_steps.modality
    if channel not in (tile_steps.modality, *well.fields[0].labels):
        raise InputError(
            f"step stitch: channel must be {tile_steps.modality} or a label. "
            f"Received: {channel}"
        )
    z = step.z
    if z is None:
        z = plane_in_focus(well, tile_steps, channel)

    def read_tile(index: int) -> np.ndarray:
        return _read_tile(well, tile_steps, channel, z, index)

    tile_shape = read_tile(0).shape
    nominal = nominal_positions(_cells(well, step), tile_shape, step.overlap)
    placement = place_tiles(read_tile, nominal, tile_shape, step.max_shift)
    region = covered_region(placement.positions, tile_shape)
    return Mosaics(well, tile_steps, tuple(factors), placement, region)


def _cells(well: RawWell, step: StitchStep) -> np.ndarray:
    """Row and column in the grid of each tile, [tile, 2]."""
    told = [field.cell for field in well.fields]
    if step.grid is None:
        if None in told:
            raise InputError(
                "step stitch: grid must be given where the names of the files "
                "have no row and column. Received: null"
            )
        return np.array(told)
    rows, columns = step.grid
    if rows * columns != len(well.fields):
        raise InputError(
            f"step stitch: grid must hold the tiles of well {well.name}, "
            f"{len(well.fields)} of them. Received: {rows} x {columns}"
        )
    return grid_indices(rows, columns, step.order)


def plane_in_focus(well: RawWell, tile_steps: TileSteps, channel: str) -> int:
    """Returns the plane that is in focus in most of some tiles of a well."""
    count = len(_stack(well.fields[0], channel, tile_steps))
    if count == 1:
        return 0
    num_tiles = min(_FOCUS_TILES, len(well.fields))
    tiles = np.linspace(0, len(well.fields) - 1, num_tiles).round().astype(int)
    return best_plane(
        [
            np.concatenate(
                [
                    focus_measure(
                        _read_tile(well, tile_steps, channel, z, tile)
                    ).ravel()
                    for tile in tiles
                ]
            )[None]
            for z in range(count)
        ]
    )
