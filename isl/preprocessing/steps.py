"""The steps that the `preprocessing` list of a data spec may name.

    "preprocessing": [
      {"step": "illumination", "dark": 100},
      {"step": "hot_pixels", "images": "labels"},
      {"step": "stitch", "grid": [5, 5], "order": "rows_snake"},
      {"step": "downscale", "factor": 2},
      {"step": "select_planes", "count": 13},
      {"step": "project"},
      {"step": "register"},
      {"step": "normalize", "scope": "plate"}
    ]

`step_list.parse_steps` reads such a list. Each step is a frozen dataclass:
what is left out takes its default, and `to_dict` records all of it. The
functions that do the work are in the other modules of this folder; a step
knows nothing but its parameters and on which images it works.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, TypeVar

from isl.preprocessing.normalization import (
    FLUORESCENCE,
    SCOPES,
    TRANSMITTED,
    Target,
)
from isl.preprocessing.step_options import (
    option,
    read_files,
    read_images,
    read_index,
    read_integer_pair,
    read_number,
    read_share,
)
from isl.preprocessing.tile_grid import ORDERS
from isl.specs.checks import Item

# Steps of an earlier stage come first; within a stage the order is free.
TILES, MOSAIC, WELLS, REGISTERED, NORMALIZED = range(5)

# Filters and cameras shift a channel by as much in all wells of a plate.
REGISTER_SCOPES = ("well", "plate")


@dataclasses.dataclass(frozen=True)
class Step:
    """What all steps have in common.

    Attributes:
        NAME: What a spec calls the step.
        STAGE: Steps of lower stages come before it; None if it may stand
            anywhere before the registration.
        ONCE: Whether it may be named only once.
    """

    NAME: ClassVar[str]
    STAGE: ClassVar[int | None]
    ONCE: ClassVar[bool] = True

    def to_dict(self) -> dict[str, Any]:
        """Returns the step as JSON, with all its parameters."""
        values = dataclasses.asdict(self)
        lists = {k: list(v) for k, v in values.items() if isinstance(v, tuple)}
        return {"step": self.NAME, **values, **lists}


StepKind = TypeVar("StepKind", bound=Step)


@dataclasses.dataclass(frozen=True)
class IlluminationStep(Step):
    """Divides by the flat field (`illumination.estimate_illumination`).

    Attributes:
        images: One of `step_options.IMAGES`.
        dark: What the camera adds, in its units.
        flat_fields: Modality or label to an image of its flat field, relative
            path, free of what the camera adds. The others are estimated.
        dark_fields: Likewise to an image to use in place of `dark`.
    """

    NAME, STAGE = "illumination", TILES

    images: str = option("all", read_images)
    dark: float = option(0.0, read_number)
    flat_fields: Mapping[str, str] | None = option(None, read_files)
    dark_fields: Mapping[str, str] | None = option(None, read_files)


@dataclasses.dataclass(frozen=True)
class HotPixelsStep(Step):
    """Replaces single deviating pixels (`artifacts.remove_hot_pixels`).

    Attributes:
        images: One of `step_options.IMAGES`.
        threshold: Standard deviations of the noise.
        max_group: Most touching pixels that are removed.
    """

    NAME, STAGE, ONCE = "hot_pixels", TILES, False

    images: str = option("all", read_images)
    threshold: float = option(6.0, Item.positive_number)
    max_group: int = option(2, Item.positive_integer)


@dataclasses.dataclass(frozen=True)
class MedianStep(Step):
    """Median filter until stable (`artifacts.median_until_stable`).

    Attributes:
        images: One of `step_options.IMAGES`.
        max_rounds: Most applications of the filter.
    """

    NAME, STAGE = "median", TILES

    images: str = option("labels", read_images)
    # Paper (recalled, U-med): at most 32 rounds.
    max_rounds: int = option(32, Item.positive_integer)


@dataclasses.dataclass(frozen=True)
class DustStep(Step):
    """Removes spots that stay in place (`artifacts.find_dust`).

    Attributes:
        images: One of `step_options.IMAGES`.
        max_width: Widest spot, pixels.
        threshold: Standard deviations of what is elsewhere.
        min_contrast: Smallest change of the light that counts, a share.
    """

    NAME, STAGE, ONCE = "dust", TILES, False

    images: str = option("all", read_images)
    max_width: int = option(41, Item.positive_integer)
    threshold: float = option(6.0, Item.positive_number)
    min_contrast: float = option(0.02, Item.positive_number)


@dataclasses.dataclass(frozen=True)
class StitchStep(Step):
    """Joins tiles (`tile_placement.place_tiles`, `mosaic.stitch_bands`).

    Attributes:
        grid: Rows and columns of the grid of tiles; None where the files tell
            positions of the stage.
        order: One of `tile_grid.ORDERS`.
        overlap: Share of a tile's side in common with its neighbour.
        max_shift: How far the stage may be wrong between neighbours, as a
            share of the longer side of a tile.
        channel: Channel that the positions are found in; None for the
            transmitted light.
        z: Plane of that channel, from 0; None for the one in focus.
    """

    NAME, STAGE = "stitch", MOSAIC

    grid: tuple[int, int] | None = option(None, read_integer_pair)
    order: str = option("rows", lambda item: item.one_of(ORDERS))
    overlap: float = option(0.1, read_share)
    max_shift: float = option(0.1, read_share)
    channel: str | None = option(None, Item.text)
    z: int | None = option(None, read_index)


@dataclasses.dataclass(frozen=True)
class DownscaleStep(Step):
    """Averages blocks of pixels (`downscaling.downscale`).

    Attributes:
        factor: Side of a block, pixels.
    """

    NAME, STAGE = "downscale", None

    factor: int = option(2, Item.positive_integer)


@dataclasses.dataclass(frozen=True)
class SelectPlanesStep(Step):
    """Takes planes of transmitted light around focus (`focus`).

    Attributes:
        count: Planes to take.
        spacing: Distance between them, in planes.
    """

    NAME, STAGE = "select_planes", WELLS

    count: int = option(13, Item.positive_integer)
    spacing: int = option(1, Item.positive_integer)


@dataclasses.dataclass(frozen=True)
class ProjectStep(Step):
    """Maximum of a label along z (`projection.maximum_projection`)."""

    NAME, STAGE = "project", WELLS


@dataclasses.dataclass(frozen=True)
class RegisterStep(Step):
    """Shifts labels onto the transmitted light (`registration.find_shift`).

    Attributes:
        max_shift: Largest shift, pixels of the image at hand.
        scope: What one shift of a label is found for, one of
            `REGISTER_SCOPES`.
    """

    NAME, STAGE = "register", REGISTERED

    max_shift: int = option(20, Item.positive_integer)
    scope: str = option("well", lambda item: item.one_of(REGISTER_SCOPES))


@dataclasses.dataclass(frozen=True)
class NormalizeStep(Step):
    """Scales intensities (`normalization.normalize`).

    Attributes:
        scope: What one set of statistics is taken over, one of `SCOPES`; of
            each channel by itself in any case.
        transmitted_mean: Target of transmitted light.
        transmitted_std: Likewise.
        label_mean: Target of labels.
        label_std: Likewise.
    """

    NAME, STAGE = "normalize", NORMALIZED

    scope: str = option("well", lambda item: item.one_of(SCOPES))
    transmitted_mean: float = option(TRANSMITTED.mean, read_share)
    transmitted_std: float = option(TRANSMITTED.std, Item.positive_number)
    label_mean: float = option(FLUORESCENCE.mean, read_share)
    label_std: float = option(FLUORESCENCE.std, Item.positive_number)

    @property
    def transmitted(self) -> Target:
        """Target of transmitted light."""
        return Target(self.transmitted_mean, self.transmitted_std)

    @property
    def label(self) -> Target:
        """Target of labels."""
        return Target(self.label_mean, self.label_std)


STEPS: tuple[type[Step], ...] = (
    IlluminationStep,
    HotPixelsStep,
    MedianStep,
    DustStep,
    StitchStep,
    DownscaleStep,
    SelectPlanesStep,
    ProjectStep,
    RegisterStep,
    NormalizeStep,
)


def find_step(steps: Sequence[Step], kind: type[StepKind]) -> StepKind | None:
    """Returns the first step of a kind, or None."""
    return next((step for step in steps if isinstance(step, kind)), None)
