"""What is asked of a model, and a model that is ready to answer."""

import dataclasses
import os
from collections.abc import Sequence
from typing import Any

from isl.images import Well
from isl.network.model_folder import (
    ModelDescription,
    load_description,
    load_model,
)
from isl.prediction.engine import (
    KERAS,
    check_engine,
    precision_of,
    runs_in_keras,
    with_engine,
)
from isl.prediction.predictor import (
    Predictor,
    build_predictor,
    check_names,
    parse_z_planes,
    select_planes,
)
from isl.prediction.tiles import (
    LIGHT_BANDED_TILE_SIZE,
    LIGHT_TILE_SIZE,
    Tiling,
    plan_tiles,
)
from isl.prediction.units import Convert, camera_units


@dataclasses.dataclass(frozen=True)
class Request:
    """What is asked of a model, whatever the image.

    Attributes:
        labels: Labels to predict; None for all labels of the model.
        statistics: Of the distribution of each pixel.
        stitching: One of `isl.prediction.tiles.STITCHINGS`.
        padding: One of `isl.prediction.tiles.PADDINGS`.
        units: One of `isl.prediction.units.UNITS`.
        z_planes: Indices of the planes to use, from 0, as texts or numbers;
            None for those of `select_planes`.
        tile_size: Rows and columns of the largest tile, pixels; None for
            what suits the network (`isl.prediction.tiles.plan_tiles`).
        engine: One of `isl.prediction.engine.ENGINES`.
    """

    labels: Sequence[str] | None = None
    statistics: Sequence[str] = ("median",)
    stitching: str = "fast"
    padding: str = "reflect"
    units: str = "intensity"
    z_planes: Sequence[int | str] | None = None
    tile_size: int | None = None
    engine: str = KERAS

    def to_dict(self) -> dict[str, Any]:
        """Returns the request as JSON can hold it."""
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in dataclasses.asdict(self).items()
        }


@dataclasses.dataclass(frozen=True)
class ReadyModel:
    """A model that is ready to answer a request.

    Attributes:
        name: The model folder.
        request: What is asked.
        predictor: The network.
        convert: To units of the camera; None for intensities.
    """

    name: str
    request: Request
    predictor: Predictor
    convert: Convert | None

    def plan(
        self, well: Well, path: str | os.PathLike
    ) -> tuple[tuple[int | None, ...], Tiling]:
        """Plans the prediction of an image.

        Args:
            well: The image.
            path: The same, for messages.

        Returns:
            The planes to read, and the tiles.

        Raises:
            InputError: If the image has no such planes or is too small.
        """
        planes = select_planes(
            self.predictor.num_z,
            well,
            self.request.z_planes,
            self.predictor.z_alignment,
        )
        tiling = plan_tiles(
            self.predictor.architecture,
            well.shape,
            padding=self.request.padding,
            tile_size=self.request.tile_size,
            path=str(path),
            stitching=self.request.stitching,
            light_tile_size=LIGHT_TILE_SIZE
            if self.predictor.holds_distributions
            else LIGHT_BANDED_TILE_SIZE,
        )
        return planes, tiling


def check_request(request: Request, description: ModelDescription) -> Request:
    """Checks what can be checked without building the model.

    Args:
        request: What is asked.
        description: Of the model.

    Returns:
        The request with the labels spelled out and tuples for lists, so that
        it can be hashed.

    Raises:
        InputError: If a label, a statistic, the size of tiles or the number
            of planes cannot be used, the engine is not there, or original
            units are not known.
    """
    check_engine(request.engine)
    labels, statistics = check_names(
        description, request.labels, request.statistics
    )
    smallest = description.architecture.input_size
    plan_tiles(
        description.architecture,
        (smallest, smallest),
        padding=request.padding,
        tile_size=request.tile_size,
        stitching=request.stitching,
    )
    z_planes = request.z_planes
    if z_planes is not None:
        parse_z_planes(description.num_z, z_planes)
    request = dataclasses.replace(
        request,
        labels=labels,
        statistics=statistics,
        z_planes=None if z_planes is None else tuple(z_planes),
    )
    _conversion(request, description)
    return request


def load_ready_model(
    folder: str | os.PathLike, request: Request, num_threads: int | None = None
) -> ReadyModel:
    """Loads a model to answer a request.

    Args:
        folder: A model folder.
        request: What is asked.
        num_threads: See `isl.prediction.engine.with_engine`.

    Raises:
        InputError: If the folder is no model, or cannot answer the request.
    """
    description = load_description(folder)
    request = check_request(request, description)
    model, _ = load_model(folder, precision_of(request.engine))
    predictor = build_predictor(
        model,
        description,
        request.labels,
        request.statistics,
        request.stitching,
        in_bands=runs_in_keras(request.engine),
    )
    return ReadyModel(
        str(folder),
        request,
        with_engine(predictor, request.engine, num_threads),
        _conversion(request, description),
    )


def _conversion(
    request: Request, description: ModelDescription
) -> Convert | None:
    if request.units == "intensity":
        return None
    return camera_units(
        request.labels, request.statistics, description.normalization
    )
