"""A plate of raw images, its steps, and where the prepared wells go."""

import dataclasses
import functools
import os
import pathlib
from collections.abc import Sequence
from typing import Any

from isl.errors import InputError
from isl.files import read_json_object
from isl.images import RawWell, find_raw_wells
from isl.preprocessing.corrections import (
    TileSteps,
    applies_to,
    check_fields,
    learn_tile_steps,
    sample_evenly,
)
from isl.preprocessing.output import WellWriter
from isl.preprocessing.raw_images import (
    RawImages,
    find_common_shifts,
    lay_out,
)
from isl.preprocessing.registration import Shift
from isl.preprocessing.scaling import SHARED_SCOPES
from isl.preprocessing.stated_sizes import settle_sizes
from isl.preprocessing.step_list import parse_steps
from isl.preprocessing.steps import (
    DownscaleStep,
    DustStep,
    HotPixelsStep,
    IlluminationStep,
    MedianStep,
    NormalizeStep,
    RegisterStep,
    SelectPlanesStep,
    Step,
    StitchStep,
    find_step,
)
from isl.preprocessing.well_mosaics import Mosaics, place_well
from isl.preprocessing.well_tiles import WellTiles
from isl.specs import DatasetSpec
from isl.specs.evaluation import EvaluationSpec

SETTINGS_FILE = "preparation.json"
SPEC_FILE = "spec.json"
RECORDS = "records"
STATISTICS = "statistics"

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
        spec: With a `source`, and sizes from the files where it gave none.
        steps: From its `preprocessing`.
        wells: The raw wells.
        image_root: Folder that its paths are relative to.
        output_dir: Folder to write into.
        writer: Writes wells there.
        remarks: Lines on sizes that files state otherwise than the spec.
    """

    spec: DatasetSpec
    steps: tuple[Step, ...]
    wells: tuple[RawWell, ...]
    image_root: pathlib.Path
    output_dir: pathlib.Path
    writer: WellWriter
    remarks: tuple[str, ...] = ()
    _placed: dict[str, Mosaics] = dataclasses.field(
        default_factory=dict, init=False, repr=False, compare=False
    )
    _opened: dict[str, RawImages] = dataclasses.field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    @property
    def normalize(self) -> NormalizeStep | None:
        """How intensities are scaled; None to keep those of the camera."""
        return find_step(self.steps, NormalizeStep)

    @property
    def pixel_size_um(self) -> float | None:
        """Side of a pixel of the prepared wells in micrometres, or None."""
        if self.spec.pixel_size_um is None:
            return None
        return self.spec.pixel_size_um * self._downscale_factor

    @property
    def evaluation(self) -> EvaluationSpec | None:
        """What to look for in the prepared wells; None for nothing.

        Its lengths are micrometres and stay; its size of a pixel grows.
        """
        evaluation = self.spec.evaluation
        if evaluation is None or evaluation.pixel_size_um is None:
            return evaluation
        return dataclasses.replace(
            evaluation,
            pixel_size_um=evaluation.pixel_size_um * self._downscale_factor,
        )

    @property
    def z_spacing_um(self) -> float | None:
        """Distance of planes of the prepared wells in micrometres, or None."""
        if self.spec.z_spacing_um is None:
            return None
        select = find_step(self.steps, SelectPlanesStep)
        return self.spec.z_spacing_um * (select.spacing if select else 1)

    @property
    def _downscale_factor(self) -> int:
        """Raw pixels along the side of a prepared one."""
        downscale = find_step(self.steps, DownscaleStep)
        return downscale.factor if downscale else 1

    @functools.cached_property
    def tile_steps(self) -> TileSteps:
        """The steps on tiles, with flat fields and dust of the plate.

        Raises:
            InputError: If they cannot be learned, or a file cannot be read.
        """
        on_tiles, _, _ = _split_steps(self.steps)
        return learn_tile_steps(
            on_tiles, self.wells, self.spec, self.image_root
        )

    @functools.cached_property
    def common_shifts(self) -> dict[str, Shift] | None:
        """Label to its shift in all wells; None if each has its own.

        Raises:
            InputError: If a well cannot be placed, or a file cannot be read.
        """
        register = find_step(self.steps, RegisterStep)
        if register is None or register.scope == "well":
            return None
        wells = sample_evenly(self.wells)
        return find_common_shifts(map(self._place, wells), self.steps)

    def open_images(self, well: RawWell) -> RawImages:
        """Places the tiles of a well and chooses its planes, once.

        Raises:
            InputError: If this is impossible, or a file cannot be read.
        """
        if well.name not in self._opened:
            self._opened[well.name] = lay_out(
                self._place(well), self.steps, self.common_shifts
            )
        return self._opened[well.name]

    def _place(self, well: RawWell) -> Mosaics:
        """Finds where the tiles of a well lie, once."""
        if well.name not in self._placed:
            _, stitch, factor = _split_steps(self.steps)
            tiles = WellTiles(well, self.tile_steps)
            self._placed[well.name] = place_well(tiles, stitch, factor)
        return self._placed[well.name]

    def record_path(self, name: str) -> pathlib.Path:
        """Where it is written what was found for a well."""
        return self.output_dir / RECORDS / f"{name}.json"

    def statistics_path(self, name: str) -> pathlib.Path:
        """Where statistics of a well wait for those of the others."""
        return self.output_dir / STATISTICS / f"{name}.json"

    def settings(self) -> dict[str, Any]:
        """What the result depends on, as JSON."""
        settings = {
            "spec": self.spec.to_dict(),
            "steps": [step.to_dict() for step in self.steps],
            "image_root": str(self.image_root.resolve()),
        }
        if any(_learns_from_all(step, self.spec) for step in self.steps):
            settings["wells"] = [well.name for well in self.wells]
        return settings


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
            used, a field is given for no channel, a well or a plane is
            missing, files differ in a size that the spec leaves open, or
            `output_dir` holds wells that were prepared otherwise.
    """
    if spec.source is None:
        raise InputError(
            f"{spec.name}: spec must have a source of raw images to prepare. "
            f"Received: none"
        )
    steps = parse_steps([dict(step) for step in spec.preprocessing], spec.name)
    illumination = find_step(steps, IlluminationStep)
    if illumination is not None:
        check_fields(illumination, spec)
    wells = find_raw_wells(spec, image_root)
    spec, remarks = settle_sizes(spec, wells)
    preparation = Preparation(
        spec,
        steps,
        wells,
        pathlib.Path(image_root),
        pathlib.Path(output_dir),
        WellWriter(output_dir, image_format, [well.name for well in wells]),
        remarks,
    )
    _check_settings(preparation)
    return preparation


def _check_settings(preparation: Preparation) -> None:
    path = preparation.output_dir / SETTINGS_FILE
    if not path.exists():
        _check_nothing_foreign(preparation)
        return
    stored = read_json_object(path)
    for name, value in preparation.settings().items():
        if stored.get(name) != value:
            raise InputError(
                f"{path}: output_dir holds wells with another {name}; choose "
                f"a new folder or the same settings. Received: {value}"
            )


def _check_nothing_foreign(preparation: Preparation) -> None:
    """Refuses what would be replaced, or taken for a prepared well."""
    writer = preparation.writer
    wells = [writer.path(well.name) for well in preparation.wells]
    for name in (SPEC_FILE, *wells):
        if (preparation.output_dir / name).exists():
            raise InputError(
                f"{preparation.output_dir / name}: output_dir must not hold a "
                f"spec or wells that were not prepared here; choose a new "
                f"folder. Received: a folder without {SETTINGS_FILE}"
            )


def _learns_from_all(step: Step, spec: DatasetSpec) -> bool:
    """Whether what a step does to a well depends on the other wells."""
    if isinstance(step, NormalizeStep | RegisterStep):
        return step.scope in SHARED_SCOPES
    known = getattr(step, "flat_fields", None) or {}
    return isinstance(step, IlluminationStep | DustStep) and any(
        applies_to(step, channel, spec.modality) and channel not in known
        for channel in (spec.modality, *spec.labels)
    )


def _split_steps(
    steps: Sequence[Step],
) -> tuple[list[Step], StitchStep | None, int]:
    """Steps on tiles, how tiles are joined, and the factor after that."""
    stitch = find_step(steps, StitchStep)
    cut = len(steps) if stitch is None else steps.index(stitch)
    on_tiles = [s for s in steps[:cut] if isinstance(s, _TILE_STEPS)]
    downscale = find_step(steps[cut:], DownscaleStep)
    return on_tiles, stitch, downscale.factor if downscale else 1
