"""Prepares the wells of a plate, one after the other, from raw images.

A run that was stopped goes on with the next well: a well that is there is
complete. What was found for each well (positions of tiles, planes, shifts,
statistics) is written beside it and into the images themselves; flat fields
are written as images.
"""

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from isl.files import read_json, write_json
from isl.images import write_ome_tiff
from isl.preprocessing.output import PreparedImages
from isl.preprocessing.preparation import (
    SETTINGS_FILE,
    SPEC_FILE,
    Preparation,
)
from isl.preprocessing.raw_images import RawImages
from isl.preprocessing.scaling import (
    SHARED_SCOPES,
    WellStatistics,
    label_records,
    measure,
    scale_image,
    share,
)
from isl.preprocessing.scratch import ScratchImages, scratch_images
from isl.provenance import provenance
from isl.specs import DatasetSpec

FLAT_FIELDS = "flat_fields"


def prepare(
    preparation: Preparation,
    report: Callable[[str], None] = lambda line: None,
) -> DatasetSpec:
    """Prepares all wells and writes the spec to train on.

    Memory holds a few planes, whatever the number of planes and wells; the
    output folder needs room for one well more, 4 bytes a pixel.

    Args:
        preparation: From `open_preparation`.
        report: Called with a line on each well.

    Returns:
        The spec that was written, `spec.json`, with paths relative to the
        output folder.

    Raises:
        InputError: If a file cannot be read or used; wells prepared so far
            stay and are not prepared again.
    """
    folder = preparation.output_dir
    write_json(folder / SETTINGS_FILE, preparation.settings() | provenance())
    for line in _prepare_wells(preparation, _common_statistics(preparation)):
        report(line)
    preparation.writer.finish()
    spec = _prepared_spec(preparation)
    write_json(folder / SPEC_FILE, spec.to_dict())
    return spec


def _prepare_wells(
    preparation: Preparation, common: WellStatistics | None
) -> Iterator[str]:
    """Prepares the wells that are not there yet; yields a line on each."""
    for well in preparation.wells:
        if preparation.writer.is_written(well.name):
            yield f"{well.name}: already prepared"
            continue
        images = preparation.open_images(well)
        _write_flat_fields(preparation)
        _prepare_well(preparation, images, common)
        yield f"{well.name}: {_describe(images)}"


def _write_flat_fields(preparation: Preparation) -> None:
    """Writes flat fields that are not there yet, to look at and use again."""
    folder = preparation.output_dir / FLAT_FIELDS
    for channel, flat in preparation.tile_steps.flat_fields().items():
        path = folder / f"{channel}.ome.tif"
        if not path.exists():
            write_ome_tiff(path, flat, "YX", (channel,))


def _common_statistics(preparation: Preparation) -> WellStatistics | None:
    """Statistics of all wells, where the scope asks for them."""
    step = preparation.normalize
    if step is None or step.scope not in SHARED_SCOPES:
        return None
    parts = []
    for well in preparation.wells:
        path = preparation.statistics_path(well.name)
        if not path.is_file():
            images = preparation.open_images(well)
            write_json(path, measure(images).to_dict())
        parts.append(WellStatistics.from_dict(read_json(path), str(path)))
    return share(parts)


def _prepare_well(
    preparation: Preparation,
    images: RawImages,
    common: WellStatistics | None,
) -> None:
    """Writes the record of a well, and the well."""
    name, step = images.mosaics.tiles.well.name, preparation.normalize
    if step is None:
        images.mosaics.tiles.check_whole_numbers()
    with scratch_images(preparation.output_dir, images.shape) as scratch:
        statistics = common
        measured = measure(images, scratch.append)
        if step is None:
            statistics = None
        elif common is None:
            statistics = measured.merged() if step.scope == "well" else measured
        record = {
            "steps": [s.to_dict() for s in preparation.steps],
            "found": images.to_dict(),
            "statistics": statistics and statistics.to_dict(),
        }
        # Before the well: a well that is there is not prepared again.
        write_json(preparation.record_path(name), record)
        prepared = _scaled(preparation, images, scratch, statistics, record)
        preparation.writer.write(name, prepared)


def _scaled(
    preparation: Preparation,
    images: RawImages,
    scratch: ScratchImages,
    statistics: WellStatistics | None,
    record: dict[str, Any],
) -> PreparedImages:
    """The images of a well, scaled while they are read."""
    spec, step = preparation.spec, preparation.normalize
    well, num_z = images.mosaics.tiles.well.name, len(images.planes)

    def read(index: int, rows: slice) -> np.ndarray:
        band = scratch.read(index, rows)
        if index < num_z:
            return scale_image(
                band,
                statistics and statistics.planes[index],
                step and step.transmitted,
                f"well {well}, {spec.modality}",
            )
        label = images.labels[index - num_z]
        return scale_image(
            band,
            statistics and statistics.labels[label],
            step and step.label,
            f"well {well}, {label}",
        )

    return PreparedImages(
        modality=spec.modality,
        labels=images.labels,
        num_z=num_z,
        shape=images.shape,
        read=read,
        pixel_size_um=preparation.pixel_size_um,
        z_spacing_um=preparation.z_spacing_um,
        annotations=record,
    )


def _describe(images: RawImages) -> str:
    rows, columns = images.shape
    planes = ",".join(map(str, images.planes))
    parts = [f"{rows} x {columns} pixels, planes {planes}"]
    for label, shift in images.shifts.items():
        text = f"{label} shifted by ({shift.rows}, {shift.columns})"
        if not shift.is_reliable:
            text = f"{label} not shifted: its shift is uncertain"
        parts.append(text)
    return ", ".join(parts)


def _prepared_spec(preparation: Preparation) -> DatasetSpec:
    """The spec of the wells as they were written."""
    spec, step = preparation.spec, preparation.normalize
    records = [
        read_json(preparation.record_path(well.name))
        for well in preparation.wells
    ]
    normalization = {}
    if step is not None:
        together = share(
            [
                WellStatistics.from_dict(record["statistics"], well.name)
                for record, well in zip(records, preparation.wells, strict=True)
            ]
        )
        normalization = label_records(together.labels, step)
    return dataclasses.replace(
        spec,
        num_z=len(records[0]["found"]["planes"]),
        pixel_size_um=preparation.pixel_size_um,
        z_spacing_um=preparation.z_spacing_um,
        wells=tuple(
            preparation.writer.well_spec(well.name, spec.labels, well.splits)
            for well in preparation.wells
        ),
        source=None,
        preprocessing=(),
        normalization=normalization,
        evaluation=preparation.evaluation,
    )
