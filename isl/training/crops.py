"""Patches at random places of random wells, as batches for the device.

Patches travel as uint16: the network scales them (`PlanesToInput`), the
losses find the bins. A batch is a function of (seed, step) alone, so that a
run that was stopped goes on as if it had not been.
"""

import concurrent.futures
import dataclasses
import math
from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np

from isl.errors import InputError
from isl.evaluation.scoring import true_bins
from isl.images import Well, align_planes, fill_absent, plane_presence
from isl.network.model import autoencoding_head_name
from isl.training.augmentation import (
    IntensityChanges,
    add_noise,
    offset_labels,
    shift_focus,
)
from isl.training.supervision import select_targets
from isl.training.warping import Warp, draw_warp

# Streams of random numbers that must not meet those of the steps.
VALIDATION_STREAM = 2**62
HISTOGRAM_STREAM = 2**62 + 1
RECALIBRATION_STREAM = 2**62 + 2  # And those that follow, one a batch.

Batch = tuple[dict, dict, dict]


@dataclasses.dataclass(frozen=True)
class CropSource:
    """The part of a well that patches come from.

    Attributes:
        well: The well.
        rows: Rows whose labels may be used.
        columns: Columns whose labels may be used.
    """

    well: Well
    rows: slice
    columns: slice

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of the part, pixels."""
        return (
            self.rows.stop - self.rows.start,
            self.columns.stop - self.columns.start,
        )


@dataclasses.dataclass(frozen=True)
class Crop:
    """One patch, before it becomes part of a batch.

    Attributes:
        planes: uint16, [row, column, z], label region plus margin.
        presence: 1 where a plane exists, 0 where not, float32, [z].
        labels: Label to uint16, [row, column]; missing labels are absent.
    """

    planes: np.ndarray
    presence: np.ndarray
    labels: dict[str, np.ndarray]


@dataclasses.dataclass(frozen=True)
class CropSampler:
    """Draws patches.

    Attributes:
        sources: Where patches come from; each is as likely.
        labels: Labels of a batch, in order.
        num_z: Planes of a patch.
        output_size: Rows and columns with labels, pixels.
        margin: Pixels of context on each side.
        include_autoencoding: Whether planes are targets too.
        augment: Whether patches are changed at random, as what follows says.
        flips: Whether they are flipped and turned by quarter turns.
        changes: How their intensities change, on the device; None: batches
            hold no changes.
        focus_shift: Largest shift along z, planes.
        noise: Strongest noise of the planes, in intensities.
        label_offset: Standard deviation of what is added to each label of a
            patch, in intensities.
        rotation: Largest turn beside those by quarters, degrees.
        zoom: Largest logarithm of the zoom.
        z_alignment: How a stack with another number of planes feeds a patch.
        label_stride: Targets of `batch` are one pixel of each cell of this
            many rows and columns.
        left_out: Names of wells of the split that patches do not come from,
            as they have none of the labels.
    """

    sources: tuple[CropSource, ...]
    labels: tuple[str, ...]
    num_z: int
    output_size: int
    margin: int
    include_autoencoding: bool = False
    augment: bool = True
    flips: bool = True
    changes: IntensityChanges | None = None
    focus_shift: int = 0
    noise: float = 0.0
    label_offset: float = 0.0
    rotation: float = 0.0
    zoom: float = 0.0
    z_alignment: str = "spread"
    label_stride: int = 1
    left_out: tuple[str, ...] = ()

    @property
    def distinct_sources(self) -> tuple[CropSource, ...]:
        """The sources, each once; more likely ones stand there repeatedly."""
        return tuple({id(source): source for source in self.sources}.values())

    @property
    def largest_window(self) -> int:
        """Most rows and columns of labels that a patch is made of, pixels."""
        if not (self.augment and (self.rotation or self.zoom)):
            return self.output_size
        # A square needs most room when it stands on a corner.
        angle = math.radians(min(self.rotation, 45.0))
        return self._window(Warp(angle, math.exp(self.zoom)))

    def check(self) -> None:
        """Raises InputError if a patch cannot be drawn somewhere."""
        field_of_view = self.output_size + 2 * self.margin
        for source in self.sources:
            well = source.well
            size = source.shape
            if min(size) < self.output_size:
                raise InputError(
                    f"{well.planes[0].path}: the part of well {well.name} to "
                    f"draw patches from must be at least {self.output_size} x "
                    f"{self.output_size} pixels (output_size). Received: "
                    f"{size[0]} x {size[1]}"
                )
            if min(well.shape) < self.margin + 1:
                raise InputError(
                    f"{well.planes[0].path}: well {well.name} must not be "
                    f"smaller than half the field of view ({field_of_view} "
                    f"pixels). Received: {well.shape[0]} x {well.shape[1]}"
                )

    def batch(self, seed: int, step: int, batch_size: int) -> Batch:
        """Draws a batch.

        Args:
            seed: Of the run.
            step: Number of the step.
            batch_size: Patches.

        Returns:
            Inputs `{"planes": uint16 [batch, row, column, z], "presence":
            float32 [batch, z]}`, and with `changes` "changes", float32
            [batch, 3], targets head -> uint16 [batch, row, column]
            and weights head -> float32 [batch], 0 where the label is missing.
        """
        generator = np.random.default_rng([seed, step])
        inputs, targets, weights = self.collate(
            [self.draw(generator) for _ in range(batch_size)]
        )
        targets = {
            head: select_targets(values, self.label_stride)
            for head, values in targets.items()
        }
        if self.changes:
            inputs["changes"] = self.changes.draw(generator, batch_size)
        return inputs, targets, weights

    def draw(self, generator: np.random.Generator) -> Crop:
        """Draws one patch."""
        source = self.sources[generator.integers(len(self.sources))]
        warp = None
        if self.augment:
            warp = draw_warp(generator, self.rotation, self.zoom)
        if warp is not None and not self._has_room(source, warp):
            warp = None
        size = self._window(warp)
        row = int(
            generator.integers(
                source.rows.start, source.rows.stop - size, endpoint=True
            )
        )
        column = int(
            generator.integers(
                source.columns.start, source.columns.stop - size, endpoint=True
            )
        )
        if not self.augment:
            return self.read(source.well, row, column)
        turns, flip = 0, False
        if self.flips:
            turns = int(generator.integers(4))
            flip = bool(generator.integers(2))
        shift = 0
        if self.focus_shift:
            shift = generator.integers(
                -self.focus_shift, self.focus_shift, endpoint=True
            )
        crop = self.read(source.well, row, column, int(shift), warp)
        planes = add_noise(crop.planes, self.noise, generator)
        labels = offset_labels(crop.labels, self.label_offset, generator)
        return Crop(
            turn_and_flip(planes, turns, flip),
            crop.presence,
            {
                label: turn_and_flip(image, turns, flip)
                for label, image in labels.items()
            },
        )

    def _window(self, warp: Warp | None) -> int:
        """Rows and columns of labels that a patch is made of, pixels."""
        size = self.output_size
        return size if warp is None else warp.extent(size)

    def _has_room(self, source: CropSource, warp: Warp) -> bool:
        """Whether a warped patch uses labels of its region only."""
        return self._window(warp) <= min(source.shape)

    def read(
        self,
        well: Well,
        row: int,
        column: int,
        shift: int = 0,
        warp: Warp | None = None,
    ) -> Crop:
        """Reads the patch whose labels begin at (row, column).

        Args:
            well: The well.
            row: First row of the labels.
            column: First column of the labels.
            shift: Of the stack along z, planes.
            warp: What the patch is made by; None: it is read as it is.
        """
        size, window, margin = (
            self.output_size,
            self._window(warp),
            self.margin,
        )
        input_size = size + 2 * margin
        if warp is not None:  # As much on each side of the labels.
            margin = -((window - warp.extent(input_size)) // 2)
        planes = well.read_planes_padded(
            row - margin,
            column - margin,
            window + 2 * margin,
            window + 2 * margin,
        )
        planes = shift_focus(planes, shift)
        chosen = align_planes(well.num_z, self.num_z, self.z_alignment)
        if chosen != tuple(range(well.num_z)):
            planes = planes[..., fill_absent(chosen)]
        labels = {
            label: well.read_label(
                label, slice(row, row + window), slice(column, column + window)
            )
            for label in self.labels
            if label in well.labels
        }
        if warp is not None:
            planes = warp.apply(planes, input_size)
            labels = {
                label: warp.apply(image, size, interpolate=False)
                for label, image in labels.items()
            }
        return Crop(planes, plane_presence(chosen), labels)

    def collate(self, crops: Sequence[Crop]) -> Batch:
        """Joins patches into a batch; see `batch`."""
        planes = np.stack([crop.planes for crop in crops])
        presence = np.stack([crop.presence for crop in crops])
        missing = np.zeros((self.output_size, self.output_size), np.uint16)
        targets, weights = {}, {}
        for label in self.labels:
            targets[label] = np.stack(
                [crop.labels.get(label, missing) for crop in crops]
            )
            weights[label] = np.array(
                [label in crop.labels for crop in crops], np.float32
            )
        if self.include_autoencoding:
            inner = slice(self.margin, self.margin + self.output_size)
            for z in range(self.num_z):
                name = autoencoding_head_name(z)
                targets[name] = planes[:, inner, inner, z]
                weights[name] = presence[:, z]
        return {"planes": planes, "presence": presence}, targets, weights


def turn_and_flip(image: np.ndarray, turns: int, flip: bool) -> np.ndarray:
    """Turns by quarters, then flips left and right.

    Args:
        image: [row, column, ...], square.
        turns: Quarter turns, counter-clockwise.
        flip: Whether to flip.
    """
    image = np.rot90(image, turns)
    return image[:, ::-1] if flip else image


def iter_ahead(
    batch_of_step: Callable[[int], Batch], steps: Iterable[int]
) -> Iterator[Batch]:
    """Yields the batches of steps; the next one is drawn meanwhile.

    Args:
        batch_of_step: Draws the batch of a step; runs in a thread.
        steps: Numbers of the steps, in order.
    """
    with concurrent.futures.ThreadPoolExecutor(max_workers=1) as executor:
        following = None
        for step in steps:
            ready, following = (
                following,
                executor.submit(batch_of_step, step),
            )
            if ready is not None:
                yield ready.result()
        if following is not None:
            yield following.result()


def target_histograms(
    sampler: CropSampler, seed: int, num_crops: int = 64
) -> dict[str, np.ndarray]:
    """Counts the bins of the targets of some patches.

    Args:
        sampler: Draws the patches.
        seed: Of the run.
        num_crops: Patches to look at.

    Returns:
        Head to int64 counts, [bin]; all zero for a label that is missing.
    """
    counts: dict[str, np.ndarray] = {}
    generator = np.random.default_rng([seed, HISTOGRAM_STREAM])
    for _ in range(num_crops):
        _, targets, weights = sampler.collate([sampler.draw(generator)])
        for head, values in targets.items():
            bins = np.bincount(true_bins(values).ravel())
            total = counts.setdefault(head, np.zeros(256, np.int64))
            total[: bins.size] += bins * int(weights[head][0])
    return counts
