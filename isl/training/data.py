"""Opens the wells of a run and decides what the configuration left open."""

import dataclasses
import math
import os
from collections.abc import Mapping, Sequence
from typing import Any

from isl.errors import InputError
from isl.images import Well, align_planes, describe_choice, open_wells
from isl.network.networks import fit_output_size
from isl.specs import DatasetSpec, list_splits
from isl.training.config import TrainConfig
from isl.training.crops import CropSampler, CropSource


def resolve(config: TrainConfig, specs: Sequence[DatasetSpec]) -> TrainConfig:
    """Fills in what the data sets decide: labels and number of planes.

    Raises:
        InputError: If the configuration cannot be used with the data sets.
    """
    config.check()
    splits = {split for spec in specs for split in list_splits(spec)}
    default = TrainConfig.validation_split
    if config.validation_split not in splits | {default}:
        raise InputError(
            f"validation_split must be a split of the data specs "
            f"({', '.join(sorted(splits))}). Received: "
            f"{config.validation_split}"
        )
    known = list(dict.fromkeys(n for spec in specs for n in spec.labels))
    labels = tuple(known) if config.labels is None else config.labels
    for label in labels:
        if label not in known:
            raise InputError(
                f"labels must be among those of the data specs "
                f"({', '.join(known)}). Received: {label}"
            )
    num_z = config.num_z or next((s.num_z for s in specs if s.num_z), None)
    if num_z is None:
        raise InputError(
            f"{specs[0].name}: num_z must be known for training. Received: null"
        )
    return dataclasses.replace(config, labels=labels, num_z=num_z)


def label_normalization(
    specs: Sequence[DatasetSpec], labels: Sequence[str]
) -> dict[str, Mapping[str, Any]]:
    """Returns what inverts the normalisation of labels, where it is known.

    A label that several data sets have in different units has none.

    Args:
        specs: Data sets.
        labels: Labels of the network.
    """
    records = {}
    for label in labels:
        found = [
            spec.normalization.get(label)
            for spec in specs
            if label in spec.labels
        ]
        if found and found[0] and all(one == found[0] for one in found):
            records[label] = found[0]
    return records


def _open_sampler(
    config: TrainConfig,
    specs: Sequence[DatasetSpec],
    image_root: str | os.PathLike,
    splits: Sequence[str],
    augment: bool,
) -> CropSampler:
    parts = []  # Of each data set.
    left_out = []
    for spec, split in zip(specs, splits, strict=True):
        parts.append([])
        for well_spec, well in open_wells(spec, image_root, split):
            if not _has_targets(config, well):
                left_out.append(well.name)
                continue
            rows, columns = well_spec.splits[split].resolve(well.shape)
            if augment:
                rows, columns = take_share(rows, columns, config.train_share)
            parts[-1].append(CropSource(well, rows, columns))
    parts = [part for part in parts if part]
    if not parts:
        raise InputError(
            f"labels must be in at least one well of the splits "
            f"{', '.join(dict.fromkeys(splits))}. Received: "
            f"{', '.join(config.labels)}"
        )
    if config.balance_data_sets:
        # A source that stands there twice is drawn twice as often.
        count = math.lcm(*map(len, parts))
        parts = [count // len(part) * part for part in parts]
    sources = [source for part in parts for source in part]
    output_size = config.output_size
    if not augment:
        output_size = min(output_size, _largest_patch(config, sources))
    sampler = CropSampler(
        sources=tuple(sources),
        labels=config.labels,
        num_z=config.num_z,
        output_size=output_size,
        margin=(
            config.architecture.training_margin
            if augment
            else config.architecture.margin
        ),
        include_autoencoding=config.include_autoencoding,
        augment=augment,
        flips=config.flips,
        changes=config.intensity_changes if augment else None,
        focus_shift=config.focus_shift if augment else 0,
        noise=config.noise,
        label_offset=config.label_offset,
        rotation=config.rotation,
        zoom=config.zoom,
        z_alignment=config.z_alignment,
        label_stride=config.label_stride if augment else 1,
        left_out=tuple(left_out),
    )
    sampler.check()
    return sampler


def _has_targets(config: TrainConfig, well: Well) -> bool:
    """Whether patches of a well have something to learn or to score."""
    return config.include_autoencoding or any(
        label in well.labels for label in config.labels
    )


def _largest_patch(config: TrainConfig, sources: Sequence[CropSource]) -> int:
    """Returns the largest patch that fits everywhere, pixels.

    Validation regions may be narrower than the patches of training.
    """
    room = min(min(source.shape) for source in sources)
    return fit_output_size(config.architecture, room)


def take_share(
    rows: slice, columns: slice, share: float
) -> tuple[slice, slice]:
    """Returns the first part of a region, cut across its longer side.

    Args:
        rows: Rows of the region.
        columns: Columns of the region.
        share: Of its pixels, above 0 and at most 1; at least one row or
            column is left.
    """
    num_rows, num_columns = rows.stop - rows.start, columns.stop - columns.start
    if num_columns >= num_rows:
        kept = max(1, round(share * num_columns))
        return rows, slice(columns.start, columns.start + kept)
    kept = max(1, round(share * num_rows))
    return slice(rows.start, rows.start + kept), columns


def open_training_sampler(
    config: TrainConfig,
    specs: Sequence[DatasetSpec],
    image_root: str | os.PathLike,
) -> CropSampler:
    """Returns what draws the patches of the steps.

    Args:
        config: From `resolve`.
        specs: Data sets; wells of all of them are mixed.
        image_root: Folder that the paths of the specs are relative to.

    Raises:
        InputError: If a well cannot be opened or is smaller than a patch, or
            no well has a label.
    """
    splits = [config.train_split] * len(specs)
    sampler = _open_sampler(config, specs, image_root, splits, augment=True)
    wells = [source.well for source in sampler.sources]
    known = {label for well in wells for label in well.labels}
    for label in config.labels:
        if label not in known:
            raise InputError(
                f"labels must be in at least one well of the split "
                f"{config.train_split} ({', '.join(sorted(known))}). "
                f"Received: {label}"
            )
    return sampler


def open_validation_sampler(
    config: TrainConfig,
    specs: Sequence[DatasetSpec],
    image_root: str | os.PathLike,
) -> CropSampler:
    """Returns what draws the patches of the validation.

    A data set without the validation split is validated on the training
    split. For arguments and errors see `open_training_sampler`.
    """
    splits = [
        config.validation_split
        if config.validation_split in list_splits(spec)
        else config.train_split
        for spec in specs
    ]
    return _open_sampler(config, specs, image_root, splits, augment=False)


def find_overlap(one: CropSampler, other: CropSampler) -> str | None:
    """Returns the name of a well of which both draw the same labels, if any."""
    other_sources = other.distinct_sources
    for source in one.distinct_sources:
        for other_source in other_sources:
            is_same = source.well.planes[0].path == (
                other_source.well.planes[0].path
            )
            if is_same and all(
                max(a.start, b.start) < min(a.stop, b.stop)
                for a, b in (
                    (source.rows, other_source.rows),
                    (source.columns, other_source.columns),
                )
            ):
                return source.well.name
    return None


def describe_left_out(sampler: CropSampler) -> list[str]:
    """Says how many wells have none of the labels, in a line or none.

    Args:
        sampler: From `open_training_sampler`.
    """
    if not sampler.left_out:
        return []
    first, *others = sampler.left_out
    more = f" and {len(others)} more" if others else ""
    return [
        f"labels: none in well {first}{more}; no patches are drawn from there"
    ]


def describe_stacks(config: TrainConfig, sampler: CropSampler) -> list[str]:
    """Says which planes feed the network where a well has other ones.

    Args:
        config: From `resolve`.
        sampler: From `open_training_sampler`.

    Returns:
        A line for each well with another number of planes.
    """
    lines = []
    for well in (source.well for source in sampler.distinct_sources):
        if well.num_z != config.num_z:
            planes = align_planes(well.num_z, config.num_z, config.z_alignment)
            choice = describe_choice(planes, well.num_z)
            lines.append(f"well {well.name}: {choice}")
    return list(dict.fromkeys(lines))


def describe_lost_changes(sampler: CropSampler) -> list[str]:
    """Says which changes of training patches do nothing, or not everywhere.

    Args:
        sampler: From `open_training_sampler`.

    Returns:
        A line for each of them.
    """
    lines = []
    sources = sampler.distinct_sources
    if sampler.focus_shift and all(s.well.num_z == 1 for s in sources):
        lines.append("focus_shift: no effect, as all wells have one plane")
    needed = sampler.largest_window
    narrow = [source for source in sources if min(source.shape) < needed]
    if narrow:
        rows, columns = narrow[0].shape
        others = f" (so in {len(narrow) - 1} more)" if narrow[1:] else ""
        lines.append(
            f"rotation, zoom: well {narrow[0].well.name} has {rows} x "
            f"{columns} pixels to draw from, and a patch may need {needed} x "
            f"{needed}; one that does not fit keeps its angle and size{others}"
        )
    return lines
