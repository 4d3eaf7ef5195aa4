"""The parts of wells to score, checked before the first of them is scored."""

import dataclasses
import os
from collections.abc import Iterable

from isl.errors import InputError
from isl.evaluation.objects import check_pixel_size
from isl.images import Well, open_wells
from isl.specs import DatasetSpec, Region


@dataclasses.dataclass(frozen=True)
class Part:
    """What is scored of a well.

    Attributes:
        spec: The data set of the well.
        well: The well; no pixel is read yet.
        region: The pixels to score.
    """

    spec: DatasetSpec
    well: Well
    region: Region


def open_parts(
    specs: Iterable[DatasetSpec],
    image_root: str | os.PathLike,
    split: str,
    region: Region | None = None,
) -> tuple[Part, ...]:
    """Opens the wells of a split; what cannot be scored is found here.

    Args:
        specs: Data sets.
        image_root: Folder that their paths are relative to.
        split: Name of the split.
        region: Replaces the region of the split in each well.

    Raises:
        InputError: If a well cannot be opened, two of a condition have one
            name and label, the region reaches outside, or the pixel size must
            be known and is not.
    """
    parts = []
    seen = set()
    for spec in specs:
        for well_spec, well in open_wells(spec, image_root, split):
            keys = {(spec.condition, well.name, x) for x in well.labels}
            if keys & seen:
                raise InputError(
                    f"{spec.name}: wells of one condition and label must have "
                    f"names of their own. Received: {well.name} twice in "
                    f"{spec.condition}"
                )
            seen |= keys
            part = region or well_spec.splits[split]
            try:
                part.resolve(well.shape)
            except InputError as error:
                raise InputError(f"well {well.name}: {error}") from error
            check_pixel_size(well, spec)
            parts.append(Part(spec, well, part))
    return tuple(parts)
