"""Finds out which network the variables of an original checkpoint are of.

Nothing is guessed: width, planes, heads and bins are read from the shapes.
Single variables may be missing or damaged; `isl.network.tf1_variables.check`
names them.
"""

import collections
import dataclasses
import math
import statistics
from collections.abc import Mapping

from isl.errors import InputError
from isl.network.architecture import CONCORDANCE, Architecture, with_width
from isl.network.tf1_variables import (
    MAX_PROJECTION,
    STEM_SCOPE,
    TRANSMISSION,
    Description,
    Shape,
    iter_scoped_blocks,
)

# Heads write relative z with four decimals.
_Z_TOLERANCE = 1e-4


def describe(shapes: Mapping[str, Shape]) -> Description:
    """Finds out which network the variables belong to.

    Args:
        shapes: Shape of each model variable.

    Raises:
        InputError: If they are not those of the released network at any
            width.
    """
    stem = shapes.get(f"{STEM_SCOPE}/weights")
    if stem is None or len(stem) != 4 or stem[2] % 2 or not stem[2]:
        raise InputError(
            f"variable {STEM_SCOPE}/weights: must be the 1x1 projection of "
            f"pairs of planes. Received: {stem or 'none'}"
        )
    num_z = stem[2] // 2
    width = _find_width(shapes, stem[3], stem[2])
    architecture = dataclasses.replace(
        _at_width(width, stem[3]), num_bins=_find_num_bins(shapes)
    )
    heads = {tuple(n.split("/")[1:3]) for n in shapes if n.startswith("head/")}
    labels = sorted(name for z, name in heads if z == MAX_PROJECTION)
    z_values = [z for z, name in heads if name == TRANSMISSION and _is_z(z)]
    return Description(
        architecture, num_z, tuple(labels), _match_planes(z_values, num_z)
    )


def _is_z(text: str) -> bool:
    try:
        return 0 <= float(text) <= 1
    except ValueError:
        return False


def _match_planes(z_values: list[str], num_z: int) -> dict[int, str]:
    """Numbers the auto-encoded planes.

    If there are as many as planes, their order says it. If not, the planes
    are equally spaced (original: isl/launch.py).
    """
    z_values = sorted(z_values, key=float)
    if len(z_values) == num_z:
        return dict(enumerate(z_values))
    planes = {}
    for z in z_values:
        index = round(float(z) * (num_z - 1))
        position = index / max(num_z - 1, 1)
        if abs(position - float(z)) > _Z_TOLERANCE or index in planes:
            raise InputError(
                f"variables head/{z}/{TRANSMISSION}/...: z must be that of "
                f"one of {num_z} equally spaced planes. Received: {z}"
            )
        planes[index] = z
    return planes


def _find_num_bins(shapes: Mapping[str, Shape]) -> int:
    """Returns the number of intensity bins that most heads agree on."""
    bins = collections.Counter(
        shape[-1]
        for name, shape in shapes.items()
        if name.startswith("head/") and len(shape) == 4
    )
    if not bins:
        raise InputError(
            "variables head/...: there must be at least one head. "
            "Received: none"
        )
    return bins.most_common(1)[0][0]


def _find_width(
    shapes: Mapping[str, Shape], stem_filters: int, num_planes: int
) -> int:
    """Returns the largest width whose blocks have the filters found.

    Neighbouring widths can give the same filters (399 and 400); the largest
    is the one people choose. The width that fits most blocks is taken, so
    that a damaged variable can be named.
    """
    found = {}
    bounds = []
    for _, scope, block in iter_scoped_blocks(CONCORDANCE, num_planes):
        filters = _filters(shapes, scope)
        if filters != (None, None):
            found[scope] = filters
        if filters[0]:
            # The expansion is at least ratio * width / rows.
            ratio = CONCORDANCE.expansion_ratio
            bounds.append(block.output_size * filters[0] / ratio)
    best, best_width = 0, None
    # The median, because a damaged variable may give any bound.
    for width in range(math.ceil(statistics.median(bounds or [0])), 4, -1):
        matches = sum(
            found.get(scope)
            in (
                (block.expansion_filters, block.reduction_filters),
                (None, block.reduction_filters),
                (block.expansion_filters, None),
            )
            for _, scope, block in iter_scoped_blocks(
                _at_width(width, stem_filters), num_planes
            )
        )
        if matches > best:
            best, best_width = matches, width
        if matches == len(found):
            break
    if 2 * best <= len(found):
        raise InputError(
            "variables must be those of the released network at some width. "
            "Received: numbers of filters that no width gives"
        )
    return best_width


def _at_width(width: int, stem_filters: int) -> Architecture:
    return dataclasses.replace(
        with_width(CONCORDANCE, width), stem_filters=stem_filters
    )


def _filters(
    shapes: Mapping[str, Shape], scope: str
) -> tuple[int | None, int | None]:
    """Returns filters of expansion and reduction, as far as there are any."""
    expansion = shapes.get(f"{scope}/expand_rv2/Conv/weights")
    reduction = shapes.get(f"{scope}/reduce_rv2/Conv/weights")
    return (
        expansion[-1] if expansion else None,
        reduction[-1] if reduction else None,
    )
