"""What a data set asks of its evaluation: nuclei, dead cells, neurites.

The block `evaluation` of a spec, for example

    "evaluation": {
      "nuclei": {"labels": ["DAPI_CONFOCAL"], "min_area_um2": 12},
      "dead": {"label": "DEAD_CONFOCAL"},
      "neurites": {"labels": ["MAP2_CONFOCAL", "NFH_CONFOCAL"]}
    }

Lengths are in micrometres, so they hold at any scale. Contrasts are multiples
of the standard deviation of the true label over the part that is evaluated,
so they hold for labels that are not normalised; the prediction is judged by
the contrast of its truth. Defaults were chosen by looking at outlines on real
truth (BUILD_NOTES D29).
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

from isl.specs import checks


@dataclasses.dataclass(frozen=True)
class NucleiSpec:
    """How nuclei are found, see `isl.evaluation.nuclei`.

    Attributes:
        labels: Labels that show nuclei.
        smoothing_um: Standard deviation of the Gaussian that removes noise.
        window_um: Side of the surroundings that a pixel is compared with;
            larger than a nucleus.
        contrast: How much brighter than its surroundings a nucleus is.
        core_um: Standard deviation of the Gaussian that the core of a
            nucleus is brighter than; about the radius of a nucleus.
        min_area_um2: Smaller regions are dropped.
        min_distance_um: Between the centres of two nuclei.
    """

    labels: tuple[str, ...]
    smoothing_um: float = 0.6
    window_um: float = 45.0
    contrast: float = 0.24
    core_um: float = 3.6
    min_area_um2: float = 9.0
    min_distance_um: float = 1.8


@dataclasses.dataclass(frozen=True)
class DeadSpec:
    """Which nuclei are dead: those that a dye of dead cells has entered.

    Attributes:
        label: Label of the dye.
        contrast: How much brighter than the median of the true label the
            mean over a dead nucleus is.
    """

    label: str
    contrast: float = 1.0


@dataclasses.dataclass(frozen=True)
class NeuritesSpec:
    """How axons and dendrites are found, see `isl.evaluation.neurites`.

    Attributes:
        labels: Labels that show neurites.
        smoothing_um: Standard deviation of the Gaussian that removes noise.
        window_um: Side of the surroundings that a pixel is compared with;
            larger than a neurite is wide.
        contrast: How much brighter than its surroundings a neurite is.
        min_area_um2: Smaller regions are dropped.
        tolerance_um: Largest distance of a line from the one it is found by.
    """

    labels: tuple[str, ...]
    smoothing_um: float = 0.45
    window_um: float = 15.0
    contrast: float = 0.16
    min_area_um2: float = 4.5
    tolerance_um: float = 0.9


@dataclasses.dataclass(frozen=True)
class EvaluationSpec:
    """What to look for besides pixels.

    Attributes:
        nuclei: Nuclei; None to look for none.
        dead: Dead cells among the nuclei; None where no label tells.
        neurites: Axons and dendrites; None to look for none.
        pixel_size_um: Side of a pixel in micrometres for this purpose, where
            neither spec nor files tell it for sure.
    """

    nuclei: NucleiSpec | None = None
    dead: DeadSpec | None = None
    neurites: NeuritesSpec | None = None
    pixel_size_um: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """Returns the block as it stands in JSON, without what is not set."""
        value = {}
        for name in ("nuclei", "dead", "neurites"):
            part = getattr(self, name)
            if part is not None:
                value[name] = dataclasses.asdict(part)
                if "labels" in value[name]:
                    value[name]["labels"] = list(part.labels)
        if self.pixel_size_um is not None:
            value["pixel_size_um"] = self.pixel_size_um
        return value


def parse_evaluation(
    item: checks.Item, labels: Sequence[str]
) -> EvaluationSpec:
    """Reads the block `evaluation` of a spec.

    Args:
        item: The block.
        labels: Labels of the data set.

    Raises:
        InputError: If a key is unknown or missing, a label is not of the data
            set, or a value has a wrong type or range.
    """
    item.check_keys(
        required=(), allowed=("nuclei", "dead", "neurites", "pixel_size_um")
    )
    nuclei = item.get("nuclei").optional(
        lambda part: _parse_part(part, NucleiSpec, labels)
    )
    dead = item.get("dead").optional(
        lambda part: _parse_part(part, DeadSpec, labels)
    )
    if dead is not None and nuclei is None:
        item.get("dead").fail("must come with nuclei, which it is told of")
    return EvaluationSpec(
        nuclei=nuclei,
        dead=dead,
        neurites=item.get("neurites").optional(
            lambda part: _parse_part(part, NeuritesSpec, labels)
        ),
        pixel_size_um=item.get("pixel_size_um").optional(
            checks.Item.positive_number
        ),
    )


def _parse_part(item: checks.Item, part: type, labels: Sequence[str]) -> Any:
    """Reads a part: its label or labels, and numbers above 0."""
    names = [field.name for field in dataclasses.fields(part)]
    item.check_keys(required=names[:1], allowed=names)
    values: dict[str, Any] = {}
    for name in item.value:
        place = item.get(name)
        if name == "label":
            values[name] = place.one_of(labels)
        elif name == "labels":
            values[name] = place.names()
            for label in place.items():
                label.one_of(labels)
        else:
            values[name] = place.positive_number()
    return part(**values)
