"""What is measured: prediction, training steps and the drawing of patches."""

import dataclasses
import functools
import hashlib
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import keras
import numpy as np

from isl.benchmarks import measure
from isl.errors import InputError
from isl.network.architecture import Architecture
from isl.network.cost import (
    convolution_values,
    exact_multiply_adds,
    multiply_adds,
)
from isl.network.model_folder import ModelDescription
from isl.network.networks import Network
from isl.network.precision import BFLOAT16
from isl.prediction.engine import (
    ENGINES,
    KERAS,
    precision_of,
    runs_in_keras,
    with_engine,
)
from isl.prediction.predictor import build_predictor
from isl.specs import DatasetSpec
from isl.training.config import TrainConfig
from isl.training.crops import Batch, CropSampler
from isl.training.data import open_training_sampler, resolve
from isl.training.start import compile_for_training

METHODS = ("patchwise", "fast", "exact")


@dataclasses.dataclass(frozen=True)
class Workload:
    """A piece of work that can be repeated.

    Attributes:
        run: Does it, and waits for the result.
        pixels: Labelled or predicted pixels in it.
        multiply_adds: Of the convolutions in it; None where none are.
        parameters: What it is, JSON-serialisable.
        moved_bytes: What its convolutions read and write at least
            (`isl.network.cost.convolution_values`); None where not counted.
        prepare: Is done before each time, and not timed.
    """

    run: Callable[[], Any]
    pixels: int
    multiply_adds: int | None
    parameters: dict[str, Any]
    moved_bytes: int | None = None
    prepare: Callable[[], Any] | None = None


def _random_input(
    generator: np.random.Generator, batch_size: int, size: int, num_z: int
) -> dict[str, np.ndarray]:
    return {
        "planes": generator.integers(
            0, 65536, (batch_size, size, size, num_z), np.uint16
        ),
        "presence": np.ones((batch_size, num_z), np.float32),
    }


def parse_sizes(texts: Sequence[str], count: int) -> list[int | None]:
    """Reads the output sizes of pieces of work.

    Args:
        texts: None, one for all, or one for each.
        count: Pieces of work.

    Returns:
        `count` sizes, pixels; None: each has its own.

    Raises:
        InputError: If they are something else.
    """
    if len(texts) not in {0, 1, count} or not all(map(str.isdecimal, texts)):
        raise InputError(
            f"output_size must be one whole number, or one for each method "
            f"({count}). Received: {','.join(texts)}"
        )
    sizes = [int(text) for text in texts] or [None]
    return sizes if len(sizes) == count else sizes * count


def prediction_workload(
    description: ModelDescription,
    method: str,
    output_size: int | None = None,
    batch_size: int | None = None,
    statistics: Sequence[str] = ("median",),
    engine: str = KERAS,
) -> Workload:
    """Statistics of one batch of tiles, from uint16 planes in memory.

    Weights are random: they do not matter for the speed.

    Args:
        description: The network.
        method: "patchwise" predicts patches of 8 pixels as the original did,
            "fast" and "exact" tiles (`isl.prediction.tiles`).
        output_size: Pixels a side of a tile; None: 8 for patches, 264 in one
            pass, 256 exact.
        batch_size: Patches or tiles at once; None: 16 patches or 1 tile.
        statistics: To compute for each label.
        engine: One of `isl.prediction.engine.ENGINES`.

    Raises:
        InputError: If there is no such method or size, or the engine cannot
            be used.
    """
    table = description.architecture
    _check_method(method, table, output_size)
    is_exact = method == "exact"
    if output_size is None:
        tile = 16 * table.grid
        output_size = {
            "patchwise": table.output_size,
            "fast": table.output_size + tile,
            "exact": tile,
        }[method]
    if batch_size is None:
        batch_size = 16 if method == "patchwise" else 1
    predictor = build_predictor(
        description.build(precision=precision_of(engine)),
        description,
        statistics=statistics,
        stitching="exact" if is_exact else "fast",
        # A patch is smaller than a band is meant to be.
        in_bands=method == "fast" and runs_in_keras(engine),
    )
    predictor = with_engine(predictor, engine)
    inputs = _random_input(
        np.random.default_rng(0),
        batch_size,
        output_size + 2 * table.margin,
        description.num_z,
    )
    count = exact_multiply_adds if is_exact else multiply_adds
    cost = (
        table,
        2 * description.num_z,
        len(description.labels),
        output_size,
    )
    is_counted = isinstance(table, Architecture) and not is_exact
    value_bytes = 2 if ENGINES[engine] == BFLOAT16 else 4
    return Workload(
        run=lambda: predictor.model.predict_on_batch(inputs),
        pixels=batch_size * output_size**2,
        multiply_adds=batch_size * count(*cost),
        moved_bytes=(
            value_bytes * batch_size * convolution_values(*cost)
            if is_counted
            else None
        ),
        parameters={
            "method": method,
            "engine": engine,
            "precision": ENGINES[engine],
            "output_size": output_size,
            "batch_size": batch_size,
            "statistics": list(statistics),
        },
    )


def _check_method(method: str, table: Network, size: int | None) -> None:
    if method not in METHODS:
        raise InputError(
            f"method must be from {', '.join(METHODS)}. Received: {method}"
        )
    step = size if method == "exact" else (size or 0) - table.output_size
    if size is not None and (size < table.output_size or step % table.grid):
        raise InputError(
            f"output_size must be a multiple of {table.grid} (exact) or "
            f"{table.output_size} plus one (fast). Received: {size}"
        )


def training_workload(
    description: ModelDescription, config: TrainConfig
) -> Workload:
    """One step of training on random patches.

    A step counts as three forward passes of multiply-adds: the gradients of
    weights and of features cost one each.

    Args:
        description: The network.
        config: Batch, patch, loss, precision, and what saves memory.

    Raises:
        InputError: If the configuration cannot be used.
    """
    config.check()
    model = description.build(precision=config.precision)
    trained = compile_for_training(
        model, config, description.labels, keras.optimizers.Adam(1e-4)
    )
    generator = np.random.default_rng(0)
    size, batch_size = config.output_size, config.batch_size
    inputs = _random_input(
        generator, batch_size, config.input_size, description.num_z
    )
    num_targets = size // config.label_stride
    shape = (batch_size, num_targets, num_targets)
    targets = {
        head: generator.integers(0, 65536, shape, np.uint16)
        for head in model.output
    }
    weights = {head: np.ones(batch_size, np.float32) for head in model.output}
    return Workload(
        run=lambda: trained.train_on_batch(inputs, targets, weights),
        pixels=batch_size * num_targets**2,
        multiply_adds=3
        * batch_size
        * multiply_adds(
            config.architecture,
            2 * description.num_z,
            len(model.output),
            size,
            in_training=True,
            label_stride=config.label_stride,
        ),
        parameters={
            "output_size": size,
            "batch_size": batch_size,
            "label_stride": config.label_stride,
            "remat": config.remat,
            "precision": config.precision,
        },
    )


def input_workloads(
    config: TrainConfig,
    specs: Iterable[DatasetSpec],
    image_root: str | os.PathLike,
) -> Iterator[Workload]:
    """Yields `input_workload` of each data set, warm and cold.

    Args:
        config: Batch and patch.
        specs: Data sets; each by itself.
        image_root: Folder that the paths of the specs are relative to.

    Raises:
        InputError: As `input_workload`.
    """
    for spec in specs:
        for cold in (False, True):
            yield input_workload(config, [spec], image_root, cold)


def input_workload(
    config: TrainConfig,
    specs: Sequence[DatasetSpec],
    image_root: str | os.PathLike,
    cold: bool = False,
) -> Workload:
    """Drawing the batch of one step from images on disk.

    Args:
        config: Batch and patch.
        specs: Data sets.
        image_root: Folder that the paths of the specs are relative to.
        cold: Whether files are opened anew for each batch, and taken out of
            the system's cache before.

    Raises:
        InputError: If a well cannot be opened or is smaller than a patch.
    """
    config = resolve(config, specs)
    steps = iter(range(2**32))

    def open_sampler() -> CropSampler:
        return open_training_sampler(config, specs, image_root)

    sampler = open_sampler()
    planes = sampler.batch(0, next(steps), config.batch_size)[0]["planes"]
    digest = hashlib.blake2b(planes.tobytes(), digest_size=8).hexdigest()

    def draw() -> Batch:
        if not cold:
            return sampler.batch(0, next(steps), config.batch_size)
        return open_sampler().batch(0, next(steps), config.batch_size)

    return Workload(
        run=draw,
        prepare=functools.partial(measure.evict, image_root) if cold else None,
        pixels=config.batch_size * config.output_size**2,
        multiply_adds=None,
        parameters={
            "data": [spec.name for spec in specs],
            "output_size": config.output_size,
            "batch_size": config.batch_size,
            "patches": config.batch_size,
            "cold": cold,
            # The same for data sets that hold the same pixels.
            "digest": digest,
        },
    )
