"""The planes of one well, its tiles joined, made one at a time."""

import dataclasses

import numpy as np

from isl.errors import InputError
from isl.images import RawWell
from isl.preprocessing.downscaling import downscale
from isl.preprocessing.mosaic import covered_region, stitch
from isl.preprocessing.steps import StitchStep
from isl.preprocessing.tile_grid import grid_indices, nominal_positions
from isl.preprocessing.tile_placement import Placement, place_tiles
from isl.preprocessing.well_tiles import WellTiles
from isl.specs import Region


@dataclasses.dataclass(frozen=True)
class Layout:
    """How the tiles of a well are joined.

    Attributes:
        placement: Where they lie.
        tile_shape: Rows and columns of a tile.
        region: The part of the mosaic that tiles cover without a hole.
    """

    placement: Placement
    tile_shape: tuple[int, int]
    region: Region


@dataclasses.dataclass(frozen=True)
class Mosaics:
    """The planes of a well before registration and normalisation.

    Attributes:
        tiles: Its tiles.
        factor: By which planes are made smaller; 1 for not at all.
        layout: Of the tiles; None for a well of one field.
    """

    tiles: WellTiles
    factor: int
    layout: Layout | None

    def read(self, channel: str, z: int) -> np.ndarray:
        """Returns a plane in units of the camera, float32, [row, column].

        Args:
            channel: The modality or a label.
            z: Plane, from 0.

        Raises:
            InputError: If a file cannot be read, or tiles differ in size.
        """
        if self.layout is None:
            image = self.tiles.read(channel, z, 0)
        else:
            image = stitch(
                lambda index: self.tiles.read(channel, z, index),
                self.layout.placement.positions,
                self.layout.tile_shape,
                self.layout.region,
            )
        return downscale(image, self.factor)


def place_well(
    tiles: WellTiles, step: StitchStep | None, factor: int
) -> Mosaics:
    """Finds where the tiles of a well lie.

    Args:
        tiles: The tiles.
        step: How they are joined; None for wells of one field.
        factor: By which planes are made smaller; 1 for not at all.

    Raises:
        InputError: If there are several tiles and nothing says how they lie,
            or a file cannot be read.
    """
    well = tiles.well
    if step is None:
        if len(well.fields) > 1:
            raise InputError(
                f"well {well.name}: preprocessing must name the step stitch, "
                f"as there are tiles. Received: {len(well.fields)} of them"
            )
        return Mosaics(tiles, factor, None)
    channel = step.channel or tiles.modality
    if channel not in (tiles.modality, *tiles.labels):
        raise InputError(
            f"step stitch: channel must be {tiles.modality} or a label. "
            f"Received: {channel}"
        )
    z = tiles.plane_in_focus(channel) if step.z is None else step.z
    if z >= tiles.num_planes(channel):
        raise InputError(
            f"step stitch: z must be below the number of planes, "
            f"{tiles.num_planes(channel)}. Received: {z}"
        )

    def read_tile(index: int) -> np.ndarray:
        return tiles.read(channel, z, index)

    tile_shape = read_tile(0).shape
    nominal = nominal_positions(_cells(well, step), tile_shape, step.overlap)
    placement = place_tiles(read_tile, nominal, tile_shape, step.max_shift)
    region = covered_region(placement.positions, tile_shape)
    layout = Layout(placement, tile_shape, region)
    return Mosaics(tiles, factor, layout)


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
