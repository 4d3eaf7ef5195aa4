"""The parts of wells to look at, checked before the first of them is read."""

import dataclasses
import os
from collections.abc import Iterable, Sequence

from isl.errors import InputError
from isl.evaluation.objects import check_pixel_size
from isl.evaluation.tables import POOLED
from isl.images import Well, align_planes, describe_choice, open_wells
from isl.network.model_folder import ModelDescription
from isl.specs import DatasetSpec, Region


@dataclasses.dataclass(frozen=True)
class Part:
    """What is scored, or drawn, of a well.

    Attributes:
        spec: The data set of the well.
        well: The well; no pixel is read yet.
        region: The pixels.
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
    """Opens the wells of a split with their regions.

    Args:
        specs: Data sets.
        image_root: Folder that their paths are relative to.
        split: Name of the split.
        region: Replaces the region of the split in each well.

    Raises:
        InputError: If there is no such split, a well cannot be opened, two
            of a condition have one name and label, one is called `POOLED`,
            or the region reaches outside.
    """
    parts = []
    seen = set()
    for spec in specs:
        for well_spec, well in open_wells(spec, image_root, split):
            keys = {(spec.condition, well.name, x) for x in well.labels}
            if well.name == POOLED:
                raise InputError(
                    f"{spec.name}: name of a well must not be what tables "
                    f"call all wells together. Received: {POOLED}"
                )
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
            parts.append(Part(spec, well, part))
    return tuple(parts)


def open_scorable_parts(
    specs: Sequence[DatasetSpec],
    image_root: str | os.PathLike,
    split: str,
    region: Region | None = None,
    labels: Iterable[str] = (),
    predicted: Iterable[str] | None = None,
) -> tuple[Part, ...]:
    """Opens parts as `open_parts`; what cannot be scored is found here.

    Args:
        specs: See `open_parts`, likewise what follows.
        image_root: Folder that their paths are relative to.
        split: Name of the split.
        region: Replaces the region of the split in each well.
        labels: Labels that were asked for by name.
        predicted: Labels of the model; None where it is not known yet.

    Returns:
        The parts, but for those of wells that have none of the labels.

    Raises:
        InputError: As `open_parts`; if a label is in no data set, not
            predicted, or named twice; if no well has one; or if a pixel size
            must be known and is not.
    """
    labels = tuple(labels)
    _check_labels(labels, specs, predicted)
    parts = open_parts(specs, image_root, split, region)
    for part in parts:
        check_pixel_size(part.well, part.spec)
    scored = _with_labels(parts, labels, predicted)
    if not scored:
        raise InputError(
            f"split {split}: a well must have a label to score. Received: "
            f"none in {', '.join(part.well.name for part in parts)}"
        )
    return scored


def _with_labels(
    parts: Sequence[Part],
    labels: Sequence[str],
    predicted: Iterable[str] | None,
) -> tuple[Part, ...]:
    """Leaves out wells that lack every label that is to be scored."""
    wanted = set(labels) or {
        name for part in parts for name in part.well.labels
    }
    if predicted is not None:
        wanted &= set(predicted)
    return tuple(part for part in parts if wanted & set(part.well.labels))


def describe_choices(
    description: ModelDescription, parts: Sequence[Part]
) -> str:
    """Says which planes feed a network where a well has other ones.

    Args:
        description: Of the network.
        parts: What it predicts.

    Returns:
        Each choice with the names of its wells; empty if there is none.
    """
    wells: dict[str, list[str]] = {}
    for well in (part.well for part in parts):
        planes = align_planes(
            well.num_z, description.num_z, description.z_alignment
        )
        choice = describe_choice(planes, well.num_z)
        if choice:
            wells.setdefault(choice, []).append(well.name)
    return "; ".join(
        f"{choice} ({', '.join(names)})" for choice, names in wells.items()
    )


def _check_labels(
    labels: Sequence[str],
    specs: Iterable[DatasetSpec],
    predicted: Iterable[str] | None,
) -> None:
    known = {label for spec in specs for label in spec.labels}
    if predicted is not None:
        known &= set(predicted)
    if len(set(labels)) < len(labels):
        raise InputError(
            f"labels must be named once each. Received: {', '.join(labels)}"
        )
    for label in labels:
        if label not in known:
            raise InputError(
                f"labels must be among those of the data specs and of the "
                f"model ({', '.join(sorted(known)) or 'none in common'}). "
                f"Received: {label}"
            )
