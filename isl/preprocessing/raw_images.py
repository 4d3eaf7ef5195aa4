"""The images of one well after all steps but the normalisation.

Which planes are used and how labels are shifted is found first; images are
then made one at a time, so that memory holds a few planes, however many a
well has.
"""

import dataclasses
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from isl.errors import InputError
from isl.images.plane import format_shape
from isl.preprocessing.focus import planes_around
from isl.preprocessing.projection import maximum_projection
from isl.preprocessing.registration import (
    Shift,
    common_parts,
    correlate,
    find_shift,
)
from isl.preprocessing.steps import (
    ProjectStep,
    RegisterStep,
    SelectPlanesStep,
    Step,
    find_step,
)
from isl.preprocessing.well_mosaics import Mosaics
from isl.preprocessing.well_tiles import WellTiles

Slices = tuple[slice, slice]


@dataclasses.dataclass(frozen=True)
class RawImages:
    """Makes the images of one well, one at a time.

    Attributes:
        mosaics: Its planes.
        planes: Those of the transmitted light that are used, in order.
        shifts: Label to its shift against the transmitted light; empty if
            labels are not registered.
        size: Rows and columns of every mosaic.
        parts: Channel to the rows and columns of its mosaic that all
            channels have in common.
        shape: Rows and columns of all images.
    """

    mosaics: Mosaics
    planes: tuple[int, ...]
    shifts: Mapping[str, Shift]
    size: tuple[int, int]
    parts: Mapping[str, Slices]
    shape: tuple[int, int]

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels, in order."""
        return self.mosaics.tiles.labels

    def read_plane(self, index: int) -> np.ndarray:
        """Returns a plane of transmitted light.

        Args:
            index: Place in `planes`.

        Returns:
            float32, [row, column], in units of the camera.

        Raises:
            InputError: If it cannot be read or has another size than others.
        """
        modality = self.mosaics.tiles.modality
        image = _read(self.mosaics, modality, self.planes[index], self.size)
        return image[self.parts[modality]]

    def read_label(self, label: str) -> np.ndarray:
        """Returns a label, projected along z; as `read_plane`."""
        return _project(self.mosaics, label, self.size)[self.parts[label]]

    def iter_channels(self) -> Iterator[tuple[str, np.ndarray]]:
        """Yields (modality, plane) in z order, then (label, image)."""
        for index in range(len(self.planes)):
            yield self.mosaics.tiles.modality, self.read_plane(index)
        for label in self.labels:
            yield label, self.read_label(label)

    def to_dict(self) -> dict[str, Any]:
        """Returns what was found, as JSON."""
        layout = self.mosaics.layout
        return {
            "tiles": layout
            and layout.placement.to_dict()
            | {"region": layout.region.to_dict()},
            "planes": list(self.planes),
            "shifts": {
                label: dataclasses.asdict(shift)
                for label, shift in self.shifts.items()
            },
        }


def _read(
    mosaics: Mosaics, channel: str, z: int, size: tuple[int, int]
) -> np.ndarray:
    image = mosaics.read(channel, z)
    if image.shape != size:
        raise InputError(
            f"well {mosaics.tiles.well.name}: all images must have one size, "
            f"{format_shape(size)} as those of {mosaics.tiles.modality}. "
            f"Received: {format_shape(image.shape)} of {channel}, plane {z}"
        )
    return image


def _project(mosaics: Mosaics, label: str, size: tuple[int, int]) -> np.ndarray:
    return maximum_projection(
        _read(mosaics, label, z, size)
        for z in range(mosaics.tiles.num_planes(label))
    )


def lay_out(
    mosaics: Mosaics,
    steps: Sequence[Step],
    shifts: Mapping[str, Shift] | None = None,
) -> RawImages:
    """Chooses planes and finds the shifts of labels.

    Args:
        mosaics: The planes of a well.
        steps: All steps of the spec.
        shifts: Those of the plate, from `find_common_shifts`; None to find
            those of the well, if `steps` register at all.

    Raises:
        InputError: If a label has several planes and is not projected, the
            stack is too short, or a file cannot be read.
    """
    modality, labels = mosaics.tiles.modality, mosaics.tiles.labels
    planes, reference = _choose_reference(mosaics, steps)
    register = find_step(steps, RegisterStep)
    if register is None:
        shifts = {}
    elif shifts is None:
        shifts = {
            label: find_shift(correlation)
            for label, correlation in _iter_correlations(
                mosaics, reference, register
            )
        }
    parts, shape = _common(reference.shape, shifts, modality, labels)
    return RawImages(mosaics, planes, shifts, reference.shape, parts, shape)


def find_common_shifts(
    wells: Iterable[Mosaics], steps: Sequence[Step]
) -> dict[str, Shift]:
    """Finds the one shift that a label has in all wells.

    It can often be told from chance where that of a single well cannot.
    Memory holds two images of a well, whatever the number of wells.

    Args:
        wells: The planes of each; one or more, with the same labels.
        steps: All steps of the spec, of which one registers.

    Returns:
        Label to its shift.

    Raises:
        InputError: As `lay_out`.
    """
    register = find_step(steps, RegisterStep)
    totals = {}
    for mosaics in wells:
        _, reference = _choose_reference(mosaics, steps)
        for label, correlation in _iter_correlations(
            mosaics, reference, register
        ):
            totals[label] = totals.get(label, 0.0) + correlation
    return {label: find_shift(total) for label, total in totals.items()}


def _choose_reference(
    mosaics: Mosaics, steps: Sequence[Step]
) -> tuple[tuple[int, ...], np.ndarray]:
    """Returns the planes that are used, and the image of the middle one."""
    _check_projected(mosaics.tiles, steps)
    planes = _choose(mosaics.tiles, find_step(steps, SelectPlanesStep))
    middle = planes[len(planes) // 2]
    return planes, mosaics.read(mosaics.tiles.modality, middle)


def _iter_correlations(
    mosaics: Mosaics, reference: np.ndarray, register: RegisterStep
) -> Iterator[tuple[str, np.ndarray]]:
    """Yields each label and how it correlates with the reference."""
    for label in mosaics.tiles.labels:
        image = _project(mosaics, label, reference.shape)
        yield label, correlate(reference, image, register.max_shift)


def _check_projected(tiles: WellTiles, steps: Sequence[Step]) -> None:
    for label in tiles.labels:
        count = tiles.num_planes(label)
        if count > 1 and find_step(steps, ProjectStep) is None:
            raise InputError(
                f"well {tiles.well.name}: preprocessing must name the step "
                f"project, as {label} is a stack. Received: {count} planes"
            )


def _choose(tiles: WellTiles, step: SelectPlanesStep | None) -> tuple[int, ...]:
    count = tiles.num_planes(tiles.modality)
    if step is None:
        return tuple(range(count))
    best = tiles.plane_in_focus(tiles.modality)
    return planes_around(best, count, step.count, step.spacing)


def _common(
    shape: tuple[int, int],
    shifts: Mapping[str, Shift],
    modality: str,
    labels: Sequence[str],
) -> tuple[dict[str, Slices], tuple[int, int]]:
    """What all channels show, by channel, and its size.

    A shift that cannot be told from chance is not applied.
    """
    trusted = {k: shift for k, shift in shifts.items() if shift.is_reliable}
    spans = []
    for axis, size in enumerate(shape):
        inside = [
            common_parts(shape, shift)[0][axis] for shift in trusted.values()
        ]
        start = max([0, *(span.start for span in inside)])
        stop = min([size, *(span.stop for span in inside)])
        if start >= stop:
            raise InputError(
                f"step register: channels must have a part in common. "
                f"Received: {dict(shifts)}"
            )
        spans.append(slice(start, stop))
    parts = {modality: tuple(spans)}
    for label in labels:
        moves = (0, 0)
        if label in trusted:
            moves = (trusted[label].rows, trusted[label].columns)
        parts[label] = tuple(
            slice(span.start + move, span.stop + move)
            for span, move in zip(spans, moves, strict=True)
        )
    size = (spans[0].stop - spans[0].start, spans[1].stop - spans[1].start)
    return parts, size
