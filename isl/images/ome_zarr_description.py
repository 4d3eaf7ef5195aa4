"""What an OME-Zarr image is to hold, and how its metadata say so.

As in https://ngff.openmicroscopy.org/0.5/.
"""

import dataclasses
import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from isl.specs import MODALITIES

VERSION = "0.5"

# Of labels, in turn; transmitted light is white.
_COLOURS = ("0000FF", "00FF00", "FF0000", "FF00FF", "00FFFF", "FFFF00")


@dataclasses.dataclass(frozen=True)
class ZarrDescription:
    """What an OME-Zarr image is to hold, but for the pixels.

    Attributes:
        shape: Rows and columns.
        channel_names: Such as `PHASE_CONTRAST` or `DAPI_CONFOCAL:median`.
        num_z: Number of planes of each channel; None for an image without
            the axis z.
        dtype: uint16 or float32.
        pixel_size_um: Side of a pixel in micrometres, None if unknown.
        z_spacing_um: Distance of planes in micrometres, None if unknown.
        annotations: Further facts that JSON can hold; stored as attributes
            under the key `isl`.
    """

    shape: tuple[int, int]
    channel_names: Sequence[str]
    num_z: int | None = None
    dtype: np.dtype | type = np.uint16
    pixel_size_um: float | None = None
    z_spacing_um: float | None = None
    annotations: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def __post_init__(self):
        if min(self.full_shape) < 1:
            raise ValueError(
                f"image must not be empty. Received: {self.full_shape}."
            )
        if self.dtype not in (np.uint16, np.float32):
            raise ValueError(
                f"dtype must be uint16 or float32. Received: {self.dtype}."
            )

    @property
    def axes(self) -> str:
        """One letter an axis."""
        return "cyx" if self.num_z is None else "czyx"

    @property
    def full_shape(self) -> tuple[int, ...]:
        """Length of each axis."""
        planes = () if self.num_z is None else (self.num_z,)
        return (len(self.channel_names), *planes, *self.shape)

    def attributes(self, name: str, num_levels: int) -> dict[str, Any]:
        """Returns the attributes of the Zarr group, for its JSON.

        Args:
            name: Name of the image.
            num_levels: Resolutions, each half the one before, in arrays
                called `0`, `1` and so on.
        """
        datasets = [
            {
                "path": str(level),
                "coordinateTransformations": self._transformations(level),
            }
            for level in range(num_levels)
        ]
        multiscale = {
            "name": name,
            "type": "mean",
            "axes": [self._axis(letter) for letter in self.axes],
            "datasets": datasets,
        }
        ome = {
            "version": VERSION,
            "multiscales": [multiscale],
            "omero": {"channels": self._channels()},
        }
        return {"ome": ome, "isl": dict(self.annotations)}

    def _axis(self, letter: str) -> dict[str, str]:
        if letter == "c":
            return {"name": letter, "type": "channel"}
        known = self.z_spacing_um if letter == "z" else self.pixel_size_um
        unit = {} if known is None else {"unit": "micrometer"}
        return {"name": letter, "type": "space", **unit}

    def _transformations(self, level: int) -> list[dict[str, Any]]:
        # A pixel of a coarser level lies in the middle of those it averages.
        factor = 2**level
        pixel = self.pixel_size_um or 1.0
        z = [] if self.num_z is None else [self.z_spacing_um or 1.0]
        leading = [1.0, *z]
        scale = [*leading, factor * pixel, factor * pixel]
        steps: list[dict[str, Any]] = [{"type": "scale", "scale": scale}]
        if level:
            shift = (factor - 1) / 2 * pixel
            zeros = [0.0] * len(leading)
            steps.append(
                {"type": "translation", "translation": [*zeros, shift, shift]}
            )
        return steps

    def _channels(self) -> list[dict[str, Any]]:
        # How viewers show channels at first.
        brightest = 1 if self.dtype == np.float32 else 65535
        window = {"min": 0, "max": brightest, "start": 0, "end": brightest}
        labels = [n for n in self.channel_names if n not in MODALITIES]
        colours = dict(zip(labels, itertools.cycle(_COLOURS), strict=False))
        return [
            {
                "label": name,
                "color": colours.get(name, "FFFFFF"),
                "active": True,
                "window": window,
            }
            for name in self.channel_names
        ]
