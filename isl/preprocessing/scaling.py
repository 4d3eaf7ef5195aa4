"""From units of the camera to stored intensities, and what is kept of it."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from isl.errors import InputError
from isl.preprocessing.arrays import round_to
from isl.preprocessing.normalization import Statistics, Target, normalize
from isl.preprocessing.raw_images import RawImages
from isl.preprocessing.steps import NormalizeStep

# Scopes whose statistics need all wells before the first one is written.
SHARED_SCOPES = ("plate", "condition")


@dataclasses.dataclass(frozen=True)
class WellStatistics:
    """Statistics of the images of a well, in units of the camera.

    Attributes:
        planes: Of each plane of transmitted light, in z order.
        labels: Label to its statistics.
    """

    planes: tuple[Statistics, ...]
    labels: Mapping[str, Statistics]

    def merged(self) -> "WellStatistics":
        """Returns the same with all planes taken together."""
        together = Statistics.merge(self.planes)
        return WellStatistics((together,) * len(self.planes), self.labels)

    def to_dict(self) -> dict[str, Any]:
        """Returns the statistics as JSON; `from_dict` reads them back."""
        return {
            "planes": [plane.to_dict() for plane in self.planes],
            "labels": {k: v.to_dict() for k, v in self.labels.items()},
        }

    @classmethod
    def from_dict(
        cls, value: Mapping[str, Any], source: str
    ) -> "WellStatistics":
        """Reads statistics from JSON.

        Raises:
            InputError: If something is missing or out of range.
        """
        try:
            planes, labels = value["planes"], dict(value["labels"])
            return cls(
                tuple(Statistics.from_dict(item, source) for item in planes),
                {
                    label: Statistics.from_dict(item, source)
                    for label, item in labels.items()
                },
            )
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(
                f"{source}: must hold the statistics of planes and labels. "
                f"Received: {error!r}"
            ) from error


def measure(
    images: RawImages,
    keep: Callable[[np.ndarray], None] = lambda image: None,
) -> WellStatistics:
    """Returns the statistics of a well; makes each image once.

    Args:
        images: The well.
        keep: Called with each image, planes in z order, then labels.

    Raises:
        InputError: If a file cannot be read or holds what is no number.
    """
    well, found = images.mosaics.tiles.well.name, []
    for channel, image in images.iter_channels():
        keep(image)
        try:
            found.append(Statistics.of(image))
        except InputError as error:
            raise InputError(f"well {well}, {channel}: {error}") from error
    num_z = len(images.planes)
    of_labels = zip(images.labels, found[num_z:], strict=True)
    return WellStatistics(tuple(found[:num_z]), dict(of_labels))


def share(wells: Sequence[WellStatistics]) -> WellStatistics:
    """Returns the statistics of all wells together, planes too.

    Args:
        wells: One or more, with the same labels.
    """
    planes = Statistics.merge(plane for well in wells for plane in well.planes)
    return WellStatistics(
        (planes,) * max(len(well.planes) for well in wells),
        {
            label: Statistics.merge(well.labels[label] for well in wells)
            for label in wells[0].labels
        },
    )


def scale_image(
    image: np.ndarray,
    statistics: Statistics | None,
    target: Target | None,
    name: str,
) -> np.ndarray:
    """Returns an image as it is stored, uint16, [row, column].

    Args:
        image: In units of the camera, [row, column].
        statistics: What it is scaled by; None to keep its units, rounded.
        target: Mean and standard deviation to scale to.
        name: What error messages call it.

    Raises:
        InputError: If the statistics are those of a constant image.
    """
    if statistics is None:
        return round_to(image, np.uint16)
    try:
        return normalize(image, statistics, target)
    except InputError as error:
        raise InputError(f"{name}: {error}") from error


def label_records(
    statistics: Mapping[str, Statistics], step: NormalizeStep
) -> dict[str, dict[str, Any]]:
    """Returns what inverts the normalisation of labels, for a spec.

    Args:
        statistics: Label to its statistics.
        step: The normalisation.

    Returns:
        Label to `statistics`, `target` and `scope`, JSON-serialisable.
    """
    return {
        label: {
            "statistics": value.to_dict(),
            "target": dataclasses.asdict(step.label),
            "scope": step.scope,
        }
        for label, value in statistics.items()
    }
