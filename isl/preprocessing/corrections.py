"""What is wrong with every tile of a plate in the same way, and its cure.

Uneven illumination and dust are found from images of many places of one
channel, once for all wells; the other steps on tiles need the tile alone.
"""

import dataclasses
import pathlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TypeVar

import numpy as np

from isl.errors import InputError
from isl.images import RawWell, locate, open_plane, read_whole
from isl.preprocessing.artifacts import (
    DustMap,
    find_dust,
    median_until_stable,
    remove_dust,
    remove_hot_pixels,
)
from isl.preprocessing.downscaling import downscale
from isl.preprocessing.illumination import (
    Illumination,
    correct_illumination,
    estimate_illumination,
    normalize_flat,
)
from isl.preprocessing.steps import (
    DownscaleStep,
    DustStep,
    HotPixelsStep,
    IlluminationStep,
    MedianStep,
    Step,
)
from isl.specs import DatasetSpec

# Tiles that a flat field or the dust is found from, and wells that the shift
# of a channel is found from.
MAX_SAMPLES = 64

# What is known of a step before it sees a tile: channel to fields.
Known = Mapping[str, Illumination | DustMap]
# Where a path of the spec leads.
Find = Callable[[str], pathlib.Path]
Sampled = TypeVar("Sampled")


@dataclasses.dataclass(frozen=True)
class TileSteps:
    """The steps on single tiles, with what they had to learn.

    Attributes:
        steps: In the order in which they are carried out.
        known: What each of them learned; empty for those that learn nothing.
        modality: The channel of the transmitted light.
    """

    steps: tuple[Step, ...]
    known: tuple[Known, ...]
    modality: str

    def apply(self, tile: np.ndarray, channel: str) -> np.ndarray:
        """Corrects a tile.

        Args:
            tile: In units of the camera, [row, column], of the type that its
                file has.
            channel: The modality or a label.

        Returns:
            float32, [row, column], in units of the camera.

        Raises:
            InputError: If it has another size than the tiles before.
        """
        # Nobody says in which steps a file of fractions counts.
        unit = 1.0 if np.issubdtype(tile.dtype, np.integer) else 0.0
        image = tile.astype(np.float32)
        for step, known in zip(self.steps, self.known, strict=True):
            if applies_to(step, channel, self.modality):
                image = _apply(step, image, known.get(channel), unit)
        return image

    def flat_fields(self) -> dict[str, np.ndarray]:
        """Returns channel to its flat field, float32, [row, column]."""
        return {
            channel: value.flat
            for known in self.known
            for channel, value in known.items()
            if isinstance(value, Illumination)
        }


def applies_to(step: Step, channel: str, modality: str) -> bool:
    """Whether a step is for a channel: the modality or a label."""
    images = getattr(step, "images", "all")
    wanted = "transmitted" if channel == modality else "labels"
    return images in ("all", wanted)


def check_fields(step: IlluminationStep, spec: DatasetSpec) -> None:
    """Checks that the fields a step is given are of channels it corrects.

    Args:
        step: The step.
        spec: Of the plate.

    Raises:
        InputError: If a key is another name, such as that in the files.
    """
    known = [
        channel
        for channel in (spec.modality, *spec.labels)
        if applies_to(step, channel, spec.modality)
    ]
    for name in ("flat_fields", "dark_fields"):
        for channel in getattr(step, name) or {}:
            if channel not in known:
                raise InputError(
                    f"{spec.name}: step {step.NAME}: {name} must be of "
                    f"channels that the step corrects "
                    f"({', '.join(known) or 'none'}). Received: {channel}"
                )


def _apply(
    step: Step,
    image: np.ndarray,
    known: Illumination | DustMap | None,
    unit: float,
) -> np.ndarray:
    if isinstance(step, IlluminationStep):
        return correct_illumination(image, known)
    if isinstance(step, DustStep):
        return remove_dust(image, known)
    if isinstance(step, HotPixelsStep):
        return remove_hot_pixels(image, step.threshold, step.max_group, unit)
    if isinstance(step, MedianStep):
        return median_until_stable(image, step.max_rounds)
    if isinstance(step, DownscaleStep):
        return downscale(image, step.factor)
    raise TypeError(f"a step on tiles is needed. Received: {step}")


def sample_evenly(items: Sequence[Sampled]) -> list[Sampled]:
    """Returns `MAX_SAMPLES` items from all over a plate, or all if fewer."""
    count = min(MAX_SAMPLES, len(items))
    indices = np.linspace(0, len(items) - 1, count).round().astype(int)
    return [items[index] for index in indices]


def learn_tile_steps(
    steps: Sequence[Step],
    wells: Sequence[RawWell],
    spec: DatasetSpec,
    image_root: pathlib.Path,
) -> TileSteps:
    """Finds flat fields and dust of all channels of a plate.

    Each step sees tiles that went through the steps before it.

    Args:
        steps: Steps on tiles, in order.
        wells: The plate.
        spec: Of the plate.
        image_root: Folder that its paths are relative to.

    Raises:
        InputError: If there are too few tiles, a file cannot be read, or the
            path of a field leaves `image_root`.
    """
    modality = spec.modality
    channels = (modality, *wells[0].fields[0].labels)
    learned = TileSteps((), (), modality)

    def find(path: str) -> pathlib.Path:
        return locate(spec.name, image_root, path)

    for step in steps:
        known = {}
        for channel in channels:
            if applies_to(step, channel, modality):
                value = _learn(step, channel, wells, learned, find)
                if value is not None:
                    known[channel] = value
        learned = TileSteps(
            (*learned.steps, step), (*learned.known, known), modality
        )
    return learned


def _learn(
    step: Step,
    channel: str,
    wells: Sequence[RawWell],
    before: TileSteps,
    find: Find,
) -> Illumination | DustMap | None:
    tiles = _sample(wells, channel, before)
    try:
        if isinstance(step, IlluminationStep):
            return _illumination(step, channel, tiles, find)
        if isinstance(step, DustStep):
            return find_dust(
                tiles, step.max_width, step.threshold, step.min_contrast
            )
    except InputError as error:
        raise InputError(f"step {step.NAME}, {channel}: {error}") from error
    return None


def _sample(
    wells: Sequence[RawWell], channel: str, before: TileSteps
) -> Iterator[np.ndarray]:
    """Yields tiles from all over the plate, the middle plane of each."""
    stacks = [
        field.planes if channel == before.modality else field.labels[channel]
        for well in wells
        for field in well.fields
    ]
    for stack in sample_evenly(stacks):
        yield before.apply(stack[len(stack) // 2].read(), channel)


def _illumination(
    step: IlluminationStep,
    channel: str,
    tiles: Iterator[np.ndarray],
    find: Find,
) -> Illumination:
    dark: np.ndarray | float = step.dark
    if channel in (step.dark_fields or {}):
        dark = _read(find(step.dark_fields[channel]))
    if channel in (step.flat_fields or {}):
        flat = _read(find(step.flat_fields[channel]))
        return Illumination(normalize_flat(flat), dark)
    return estimate_illumination(tiles, dark)


def _read(path: pathlib.Path) -> np.ndarray:
    plane = open_plane(path)
    # Tiles are corrected in units of the camera too.
    return read_whole(plane).astype(np.float32) / plane.gain
