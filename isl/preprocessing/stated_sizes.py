"""Pixel size and distance of planes, as raw files themselves state them.

A spec may leave them open; then the files decide. The first tile of each
well is asked: its planes for both, its labels for the pixel size only, as
they may have been focused at other distances.
"""

import dataclasses
import math
from collections.abc import Iterable, Sequence

from isl.errors import InputError
from isl.images import RawWell
from isl.specs import DatasetSpec

# Largest difference of sizes that count as equal, as a share of the larger.
TOLERANCE = 0.01


@dataclasses.dataclass(frozen=True)
class StatedSize:
    """A size that a file states.

    Attributes:
        value_um: The size, micrometres.
        well: The well that the file belongs to.
        path: The file.
    """

    value_um: float
    well: str
    path: str


def settle_sizes(
    spec: DatasetSpec, wells: Sequence[RawWell]
) -> tuple[DatasetSpec, tuple[str, ...]]:
    """Fills in the sizes that a spec leaves open; reads no pixel.

    Args:
        spec: What it gives is kept.
        wells: Its raw wells.

    Returns:
        The spec with `pixel_size_um` and `z_spacing_um` of the raw images,
        None where neither it nor a file tells, and a line on each of the two
        that files state otherwise than the spec.

    Raises:
        InputError: If files of a size that the spec leaves open differ by
            more than `TOLERANCE`, or a file cannot be opened.
    """
    pixel_sizes, spacings = _read_sizes(wells)
    settled, remarks = {}, []
    for name, stated in (
        ("pixel_size_um", pixel_sizes),
        ("z_spacing_um", spacings),
    ):
        given = getattr(spec, name)
        if given is None:
            settled[name] = _agreed(spec.name, name, stated)
        else:
            remarks += _contradictions(spec.name, name, given, stated)
    return dataclasses.replace(spec, **settled), tuple(remarks)


def _read_sizes(
    wells: Iterable[RawWell],
) -> tuple[list[StatedSize], list[StatedSize]]:
    """Sides of a pixel and distances of planes that files state."""
    pixel_sizes, spacings = [], []
    for well in wells:
        field = well.fields[0]
        for stack in (field.planes, *field.labels.values()):
            pixel_size_um, z_spacing_um = stack[0].read_sizes()
            place = well.name, stack[0].path
            if _is_size(pixel_size_um):
                pixel_sizes.append(StatedSize(pixel_size_um, *place))
            # A single plane has no distance, whatever its file says.
            is_stack = stack is field.planes and len(stack) > 1
            if is_stack and _is_size(z_spacing_um):
                spacings.append(StatedSize(z_spacing_um, *place))
    return pixel_sizes, spacings


def _is_size(value_um: float | None) -> bool:
    # Programs that know no size write 0 or what is no number.
    return value_um is not None and 0 < value_um < math.inf


def _agreed(
    spec_name: str, name: str, stated: Sequence[StatedSize]
) -> float | None:
    if not stated:
        return None
    low = min(stated, key=lambda size: size.value_um)
    high = max(stated, key=lambda size: size.value_um)
    if _differ(low.value_um, high.value_um):
        raise InputError(
            f"{spec_name}: {name} must be given by the spec where files "
            f"differ by more than {TOLERANCE:.0%}. Received: "
            f"{_describe(low)}, {_describe(high)}"
        )
    return stated[0].value_um


def _contradictions(
    spec_name: str, name: str, given: float, stated: Sequence[StatedSize]
) -> list[str]:
    """One line if any file says something else than the spec, else none."""
    others = [size for size in stated if _differ(size.value_um, given)]
    if not others:
        return []
    wells = {size.well for size in others}
    return [
        f"{spec_name}: {name} is {given:g} as the spec says, though files of "
        f"{len(wells)} wells say otherwise: {_describe(others[0])}"
    ]


def _differ(first: float, second: float) -> bool:
    return abs(first - second) > TOLERANCE * max(first, second)


def _describe(size: StatedSize) -> str:
    return f"{size.value_um:g} in well {size.well} ({size.path})"
