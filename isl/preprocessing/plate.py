"""Prepares the wells of a plate, one after the other, from raw images.

A run that was stopped goes on with the next well: a well that is there is
complete. What was found for each well (positions of tiles, planes, shifts,
statistics) is written beside it and into the images themselves.
"""

import dataclasses
import os
import pathlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from isl.errors import InputError
from isl.files import read_json, write_json
from isl.images import RawWell, find_raw_wells
from isl.preprocessing.corrections import TileSteps, learn_tile_steps
from isl.preprocessing.mosaics import place_well
from isl.preprocessing.output import (
    PreparedImages,
    WellWriter,
    scratch_images,
)
from isl.preprocessing.raw_images import RawImages, lay_out
from isl.preprocessing.scaling import (
    SHARED_SCOPES,
    WellStatistics,
    label_records,
    measure,
    scale_image,
    share,
)
from isl.preprocessing.step_list import parse_steps
from isl.preprocessing.steps import (
    DownscaleStep,
    DustStep,
    HotPixelsStep,
    IlluminationStep,
    MedianStep,
    NormalizeStep,
    Step,
    StitchStep,
)
from isl.provenance import provenance
from isl.specs import DatasetSpec

SETTINGS_FILE = "preparation.json"
RECORDS = "records"
SPEC_FILE = "spec.json"

_TILE_STEPS = (
    IlluminationStep,
    HotPixelsStep,
    MedianStep,
    DustStep,
    DownscaleStep,
)


@dataclasses.dataclass(frozen=True)
class Preparation:
    """A plate and what is to be done with it.

    Attributes:
        spec: With a `source`.
        steps: From its `preprocessing`.
        wells: The raw wells.
        image_root: Folder that its paths are relative to.
        output_dir: Folder to write into.
        writer: Writes wells there.
    """

    spec: DatasetSpec
    steps: tuple[Step, ...]
    wells: tuple[RawWell, ...]
    image_root: pathlib.Path
    output_dir: pathlib.Path
    writer: WellWriter

    @property
    def normalize(self) -> NormalizeStep | None:
        """How intensities are scaled; None to keep those of the camera."""
        return next(
            (s for s in self.steps if isinstance(s, NormalizeStep)), None
        )

    @property
    def scale(self) -> int:
        """By how much pixels grow."""
        factor = 1
        for step in self.steps:
            if isinstance(step, DownscaleStep):
                factor *= step.factor
        return factor

    def settings(self) -> dict[str, Any]:
        """What the result depends on, as JSON."""
        return {
            "spec": self.spec.to_dict(),
            "steps": [step.to_dict() for step in self.steps],
            "image_root": str(self.image_root),
        }


def open_preparation(
    spec: DatasetSpec,
    image_root: str | os.PathLike,
    output_dir: str | os.PathLike,
    image_format: str,
) -> Preparation:
    """Finds the wells; reads no pixel and writes nothing.

    Args:
        spec: With a `source`.
        image_root: Folder that its path is relative to.
        output_dir: Folder to write into.
        image_format: One of `isl.preprocessing.output.FORMATS`.

    Raises:
        InputError: If the spec has no source, a step or its order cannot be
            used, a well or a plane is missing, or `output_dir` holds wells
            that were prepared otherwise.
    """
    if spec.source is None:
        raise InputError(
            f"{spec.name}: spec must have a source of raw images to prepare. "
            f"Received: none"
        )
    steps = parse_steps([dict(step) for step in spec.preprocessing], spec.name)
    wells = find_raw_wells(spec, image_root)
    preparation = Preparation(
        spec,
        steps,
        wells,
        pathlib.Path(image_root),
        pathlib.Path(output_dir),
        WellWriter(output_dir, image_format, [well.name for well in wells]),
    )
    _check_settings(preparation)
    return preparation


def _check_settings(preparation: Preparation) -> None:
    path = preparation.output_dir / SETTINGS_FILE
    if not path.exists():
        return
    stored = read_json(path)
    for name, value in preparation.settings().items():
        if stored.get(name) != value:
            raise InputError(
                f"{path}: output_dir holds wells with another {name}; choose "
                f"a new folder or the same settings. Received: {value}"
            )


def prepare(
    preparation: Preparation,
    report: Callable[[str], None] = lambda line: None,
) -> DatasetSpec:
    """Prepares all wells and writes the spec to train on.

    Memory holds a few planes, whatever the number of planes and wells; the
    output folder needs room for one well more, uncompressed.

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
    for _, line in _iter_wells(preparation, _common_statistics(preparation)):
        report(line)
    spec = _prepared_spec(preparation)
    write_json(folder / SPEC_FILE, spec.to_dict())
    return spec


def _split_steps(
    steps: Sequence[Step],
) -> tuple[list[Step], StitchStep | None, list[int]]:
    """Steps on tiles, how tiles are joined, and factors after that."""
    stitch = next((s for s in steps if isinstance(s, StitchStep)), None)
    cut = len(steps) if stitch is None else steps.index(stitch)
    on_tiles = [s for s in steps[:cut] if isinstance(s, _TILE_STEPS)]
    factors = [s.factor for s in steps[cut:] if isinstance(s, DownscaleStep)]
    return on_tiles, stitch, factors


def _open_images(
    preparation: Preparation, well: RawWell, tile_steps: TileSteps
) -> RawImages:
    _, stitch, factors = _split_steps(preparation.steps)
    mosaics = place_well(well, tile_steps, stitch, factors)
    return lay_out(mosaics, preparation.steps)


def _learn(preparation: Preparation) -> TileSteps:
    on_tiles, _, _ = _split_steps(preparation.steps)
    return learn_tile_steps(
        on_tiles,
        preparation.wells,
        preparation.spec.modality,
        preparation.image_root,
    )


def _record_path(preparation: Preparation, name: str) -> pathlib.Path:
    return preparation.output_dir / RECORDS / f"{name}.json"


def _iter_wells(
    preparation: Preparation, common: WellStatistics | None
) -> Iterator[tuple[str, str]]:
    """Prepares the wells that are not there yet; yields name and a line."""
    tile_steps = None
    for well in preparation.wells:
        if preparation.writer.is_written(well.name):
            yield well.name, f"{well.name}: already prepared"
            continue
        # Flat fields are only needed if there is something left to do.
        tile_steps = tile_steps or _learn(preparation)
        images = _open_images(preparation, well, tile_steps)
        line = _prepare_well(preparation, images, common)
        yield well.name, f"{well.name}: {line}"


def _common_statistics(preparation: Preparation) -> WellStatistics | None:
    """Statistics of all wells, where the scope asks for them."""
    step = preparation.normalize
    if step is None or step.scope not in SHARED_SCOPES:
        return None
    tile_steps, parts = None, []
    for well in preparation.wells:
        path = preparation.output_dir / "statistics" / f"{well.name}.json"
        if not path.is_file():
            tile_steps = tile_steps or _learn(preparation)
            images = _open_images(preparation, well, tile_steps)
            write_json(path, measure(images).to_dict())
        parts.append(WellStatistics.from_dict(read_json(path), str(path)))
    return share(parts)


def _prepare_well(
    preparation: Preparation,
    images: RawImages,
    common: WellStatistics | None,
) -> str:
    """Writes a well and its record; returns what was found, in words."""
    spec, step = preparation.spec, preparation.normalize
    name = images.mosaics.well.name
    statistics = None
    if step is not None:
        statistics = common or measure(images)
        if step.scope == "well":
            statistics = statistics.merged()
    record = {
        "steps": [s.to_dict() for s in preparation.steps],
        "found": images.to_dict(),
        "statistics": statistics and statistics.to_dict(),
    }
    count = len(images.planes) + len(images.labels)
    with scratch_images(
        preparation.output_dir, (count, *images.shape)
    ) as pixels:
        for index, (channel, image) in enumerate(images.iter_channels()):
            is_plane = index < len(images.planes)
            pixels[index] = scale_image(
                image,
                statistics
                and (
                    statistics.planes[index]
                    if is_plane
                    else statistics.labels[channel]
                ),
                step and (step.transmitted if is_plane else step.label),
                f"well {name}, {channel}",
            )
        preparation.writer.write(
            name,
            PreparedImages(
                modality=spec.modality,
                labels=images.labels,
                pixels=pixels,
                pixel_size_um=spec.pixel_size_um
                and spec.pixel_size_um * preparation.scale,
                z_spacing_um=spec.z_spacing_um,
                annotations=record,
            ),
        )
    write_json(_record_path(preparation, name), record)
    return _describe(images)


def _describe(images: RawImages) -> str:
    rows, columns = images.shape
    parts = [f"{rows} x {columns} pixels, planes {_span(images.planes)}"]
    for label, shift in images.shifts.items():
        text = f"{label} shifted by ({shift.rows}, {shift.columns})"
        if not shift.is_reliable:
            text = f"{label} not shifted: its shift is uncertain"
        parts.append(text)
    return ", ".join(parts)


def _span(planes: Sequence[int]) -> str:
    return ",".join(map(str, planes))


def _prepared_spec(preparation: Preparation) -> DatasetSpec:
    """The spec of the wells as they were written."""
    spec, step = preparation.spec, preparation.normalize
    records = [
        read_json(_record_path(preparation, well.name))
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
        pixel_size_um=spec.pixel_size_um
        and spec.pixel_size_um * preparation.scale,
        wells=tuple(
            preparation.writer.well_spec(well.name, spec.labels, well.splits)
            for well in preparation.wells
        ),
        source=None,
        preprocessing=(),
        normalization=normalization,
    )
