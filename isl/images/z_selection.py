"""Which planes of a stack feed a network that takes another number.

Aligned by "spread", planes at equal distances from the first to the last, some
of them twice if the stack has too few, as in the original. Aligned by
"centred", the middle plane of the stack is the middle plane of the network:
planes beyond its ends are left out, planes that it lacks are absent.
"""

from collections.abc import Sequence

import numpy as np

Z_ALIGNMENTS = ("spread", "centred")


def align_planes(
    num_available: int, num_wanted: int, alignment: str
) -> tuple[int | None, ...]:
    """Chooses planes.

    Args:
        num_available: Planes of the stack, at least 1.
        num_wanted: Planes that the network takes, at least 1.
        alignment: One of `Z_ALIGNMENTS`.

    Returns:
        For each plane of the network that of the stack, ascending; None for
        an absent one.
    """
    if alignment == "spread":
        return choose_planes(num_available, num_wanted)
    first = (num_available - num_wanted) // 2
    planes = range(first, first + num_wanted)
    return tuple(z if 0 <= z < num_available else None for z in planes)


def choose_planes(num_available: int, num_wanted: int) -> tuple[int, ...]:
    """Chooses planes as the original does.

    Plane round((num_available - 1) * z) for each of `num_wanted` relative
    positions z, equidistant from 0 to 1 and rounded to 4 digits: 13 planes
    feed a network of 26 each twice in a row (original: isl/data_provider.py).

    Args:
        num_available: Planes of the stack, at least 1.
        num_wanted: Planes that the network takes, at least 1.

    Returns:
        Indices of planes, ascending, `num_wanted` of them.
    """
    last = max(num_wanted - 1, 1)
    positions = (round(z / last, 4) for z in range(num_wanted))
    return tuple(round((num_available - 1) * z) for z in positions)


def fill_absent(planes: Sequence[int | None]) -> tuple[int, ...]:
    """Returns which planes to read where some are absent.

    In place of an absent one its nearest neighbour, so that the mean of the
    stack stays what it is; the network does not see it (`plane_presence`).

    Args:
        planes: From `align_planes`; at least one is there.
    """
    present = [z for z in planes if z is not None]
    first = planes.index(present[0])
    return tuple(
        present[min(max(z - first, 0), len(present) - 1)]
        if plane is None
        else plane
        for z, plane in enumerate(planes)
    )


def plane_presence(planes: Sequence[int | None]) -> np.ndarray:
    """Returns 1 for planes that are there and 0 for absent ones, float32."""
    return np.array([plane is not None for plane in planes], np.float32)


def describe_choice(planes: Sequence[int | None], num_z: int) -> str:
    """Returns which planes of a stack are used: `planes 4,5,- of 0 to 5`.

    Args:
        planes: From `align_planes`; None, an absent one, is a `-`.
        num_z: Planes of the stack.

    Returns:
        The text; empty if it is all of them in their order.
    """
    if tuple(planes) == tuple(range(num_z)):
        return ""
    names = ",".join("-" if z is None else str(z) for z in planes)
    return f"planes {names} of 0 to {num_z - 1}"
