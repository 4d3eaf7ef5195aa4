"""Predicts labels of a whole image, tile by tile, in bounded memory."""

import concurrent.futures
import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

import keras
import numpy as np
import tqdm

from isl.errors import InputError
from isl.images import Well, align_planes, plane_presence
from isl.network import intensity_bins
from isl.network.exact import build_exact_model
from isl.network.folding import fold_normalization
from isl.network.model import autoencoding_head_name
from isl.network.model_folder import ModelDescription
from isl.network.networks import Network
from isl.prediction.pixel_statistics import rows_of_a_band, with_statistics
from isl.prediction.tiles import Tile, Tiling


class Engine(Protocol):
    """What computes statistics: a Keras model, or what stands for it."""

    def predict_on_batch(self, inputs: Mapping[str, np.ndarray]) -> np.ndarray:
        """Predicts one batch; see `Predictor.model`."""


@dataclasses.dataclass(frozen=True)
class Predictor:
    """A network together with what is asked of it.

    Attributes:
        model: From `planes`, uint16, [batch, row, column, z], and
            `presence`, [batch, z], to float32 in [0, 1],
            [batch, row, column, label * statistic].
        architecture: The table of the network.
        num_z: Input planes.
        labels: The labels predicted.
        statistics: Of the distribution of each pixel.
        stitching: "fast" or "exact", see `isl.prediction.tiles`; tiles have
            to be planned for the same.
        z_alignment: How a stack with another number of planes feeds the model.
        holds_distributions: Whether those of all pixels of a tile are in
            memory at the same time.
    """

    model: Engine
    architecture: Network
    num_z: int
    labels: tuple[str, ...]
    statistics: tuple[str, ...]
    stitching: str
    z_alignment: str = "spread"
    holds_distributions: bool = True

    @property
    def channel_names(self) -> tuple[str, ...]:
        """`LABEL:statistic` of each channel; statistics vary fastest."""
        return tuple(
            f"{label}:{statistic}"
            for label in self.labels
            for statistic in self.statistics
        )


def build_predictor(
    model: keras.Model,
    description: ModelDescription,
    labels: Sequence[str] | None = None,
    statistics: Sequence[str] = ("median",),
    stitching: str = "fast",
    in_bands: bool = True,
) -> Predictor:
    """Wraps a network so that only statistics leave the device.

    Args:
        model: From `isl.network.model_folder.load_model` or `build_model`;
            weights are copied as they are now.
        description: Of the model.
        labels: Heads to evaluate, others cost nothing; `None` for all labels
            of the model.
        statistics: From `isl.network.intensity_bins.STATISTICS`, or
            quantiles such as `q05`.
        stitching: "fast" for one pass over each tile, "exact" for what the
            original's patches of 250 pixels at a stride of 8 give.
        in_bands: Whether distributions may be computed for a band of rows at
            a time, which takes less memory.

    Raises:
        InputError: If a label or a statistic is unknown, appears twice, or
            there is none; or the network cannot be stitched exactly.
    """
    labels, statistics = check_names(description, labels, statistics)
    model = fold_normalization(model)
    if stitching == "exact":
        model = build_exact_model(model, description.architecture)
    num_rows = None
    if stitching == "fast" and in_bands:
        num_rows = rows_of_a_band(description.architecture)
    return Predictor(
        model=with_statistics(model, description, labels, statistics, num_rows),
        architecture=description.architecture,
        num_z=description.num_z,
        labels=labels,
        statistics=statistics,
        stitching=stitching,
        z_alignment=description.z_alignment,
        holds_distributions=num_rows is None,
    )


def check_names(
    description: ModelDescription,
    labels: Sequence[str] | None,
    statistics: Sequence[str],
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Checks what is asked of a model against its description.

    Args:
        description: Of the model.
        labels: Heads to evaluate; `None` for all labels of the model.
        statistics: See `build_predictor`.

    Returns:
        Labels and statistics.

    Raises:
        InputError: If a label or a statistic is unknown, appears twice, or
            there is none, or a statistic is asked of a regression head that
            has no distribution.
    """
    labels = tuple(description.labels if labels is None else labels)
    statistics = tuple(statistics)
    known = description.labels
    if description.include_autoencoding:
        known += tuple(map(autoencoding_head_name, range(description.num_z)))
    _check_each("labels", labels, [n in known for n in labels], known)
    if description.architecture.num_bins is None:
        possible = intensity_bins.REGRESSION_STATISTICS
        valid = [name in possible for name in statistics]
    else:
        possible = (*intensity_bins.STATISTICS, "quantiles q01 to q99")
        valid = [intensity_bins.is_statistic(name) for name in statistics]
    _check_each("statistics", statistics, valid, possible)
    return labels, statistics


def _check_each(
    flag: str, names: Sequence[str], valid: Sequence[bool], known: Sequence[str]
) -> None:
    for name, is_valid in zip(names, valid, strict=True):
        if not is_valid:
            raise InputError(
                f"{flag}: must be from {', '.join(known)}. Received: {name!r}."
            )
    if not names or len(set(names)) < len(names):
        raise InputError(
            f"{flag}: must name one or more, each once. "
            f"Received: {', '.join(names) or 'none'}."
        )


def select_planes(
    num_z: int,
    well: Well,
    z_planes: Sequence[int | str] | None = None,
    alignment: str = "spread",
) -> tuple[int | None, ...]:
    """Selects the planes of a stack that feed a model.

    Args:
        num_z: Planes that the model takes.
        well: The stack.
        z_planes: Indices of planes to take, from 0, as numbers or texts;
            `None` for all planes, or, if the stack has another number, those
            of `isl.images.align_planes`, where None stands for a plane that
            the stack lacks.
        alignment: See there.

    Raises:
        InputError: If `z_planes` are not `num_z` planes of the stack.
    """
    if z_planes is None:
        return align_planes(well.num_z, num_z, alignment)
    indices = parse_z_planes(num_z, z_planes)
    if max(indices) >= well.num_z:
        raise InputError(
            f"z_planes: must be from 0 to {well.num_z - 1}, the planes of "
            f"{well.planes[0].path}. Received: {','.join(map(str, indices))}."
        )
    return indices


def parse_z_planes(
    num_z: int, z_planes: Sequence[int | str]
) -> tuple[int, ...]:
    """Returns the planes that feed a model, whatever the stack.

    Args:
        num_z: Planes that the model takes.
        z_planes: Indices of planes, from 0, as numbers or texts.

    Raises:
        InputError: If these are not `num_z` indices.
    """
    received = ",".join(map(str, z_planes))
    try:
        indices = tuple(int(z) for z in z_planes)
    except ValueError as error:
        raise InputError(
            f"z_planes: must be whole numbers. Received: {received}."
        ) from error
    if len(indices) != num_z or min(indices) < 0:
        raise InputError(
            f"z_planes: must be as many planes as the model takes, {num_z}, "
            f"counted from 0. Received: {received}."
        )
    return indices


def iter_tile_planes(
    well: Well, tiling: Tiling, planes: Sequence[int | None]
) -> Iterator[tuple[Tile, np.ndarray]]:
    """Reads the input of each tile while the caller uses the one before.

    Args:
        well: The image.
        tiling: Its tiles.
        planes: Planes to read, in the order in which the model takes them;
            what stands for absent ones does not matter.

    Yields:
        A tile, and its planes: uint16, [row, column, z].
    """
    stack = well.with_planes(planes)

    def read(tile: Tile) -> np.ndarray:
        return stack.read_planes_padded(
            tile.read_row, tile.read_column, *tiling.input_shape
        )

    with concurrent.futures.ThreadPoolExecutor(max_workers=1) as executor:
        following = executor.submit(read, tiling.tiles[0])
        for index, tile in enumerate(tiling.tiles, start=1):
            stack_of_tile = following.result()
            if index < len(tiling.tiles):
                following = executor.submit(read, tiling.tiles[index])
            yield tile, stack_of_tile


def iter_predictions(
    predictor: Predictor,
    well: Well,
    tiling: Tiling,
    planes: Sequence[int | None] | None = None,
    show_progress: bool = False,
) -> Iterator[tuple[slice, slice, np.ndarray]]:
    """Predicts an image tile by tile.

    Memory holds two tiles of input and one of output, whatever the size of
    the image (beside what the planes of `well` keep of their files).

    Args:
        predictor: The network and what is asked of it.
        well: The image.
        tiling: From `plan_tiles` for `predictor.architecture`.
        planes: From `select_planes`, which is asked if this is `None`.
        show_progress: Whether to draw a progress bar on standard error.

    Yields:
        Rows and columns of the image, and their prediction: float32 in
        [0, 1], [label * statistic, row, column]. Each pixel comes once.

    Raises:
        InputError: If a file cannot be decoded.
    """
    if planes is None:
        planes = select_planes(
            predictor.num_z, well, alignment=predictor.z_alignment
        )
    presence = plane_presence(planes)[np.newaxis]
    inputs = iter_tile_planes(well, tiling, planes)
    for tile, stack in tqdm.tqdm(
        inputs,
        "predict",
        total=len(tiling.tiles),
        unit="tile",
        disable=not show_progress,
    ):
        values = predictor.model.predict_on_batch(
            {"planes": stack[np.newaxis], "presence": presence}
        )
        cropped = np.moveaxis(values[0][tile.crop], -1, 0)
        yield tile.rows, tile.columns, np.ascontiguousarray(cropped)
