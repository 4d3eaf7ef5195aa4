"""What an OME-TIFF to be written says about its pixels."""

import dataclasses
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

import isl

TIFF_SUFFIXES = (".tif", ".tiff")


def is_tiff_name(name: str) -> bool:
    """Returns whether a file is called as a TIFF, plain or OME."""
    return name.lower().endswith(TIFF_SUFFIXES)


@dataclasses.dataclass(frozen=True)
class TiffDescription:
    """An OME-TIFF without its pixels.

    Attributes:
        axes: One letter an axis of `shape`: YX after any of C and Z.
        shape: Lengths of the axes.
        dtype: uint8, uint16 or float32.
        channel_names: One a channel; one in all where `axes` has no C.
        pixel_size_um: Side of a pixel in micrometres, None if unknown.
        z_spacing_um: Distance of planes in micrometres, None if unknown.
        annotations: Further facts that JSON can hold, such as the offset of
            the origin; stored as JSON in the description of the image.
    """

    axes: str
    shape: tuple[int, ...]
    dtype: np.dtype
    channel_names: Sequence[str]
    pixel_size_um: float | None = None
    z_spacing_um: float | None = None
    annotations: Mapping[str, Any] | None = None

    def __post_init__(self):
        """Checks the values.

        Raises:
            ValueError: If they do not fit one another.
        """
        sizes = dict(zip(self.axes, self.shape, strict=True))
        known = ("YX", "CYX", "ZYX", "CZYX", "ZCYX")
        if self.axes not in known or not math.prod(self.shape):
            raise ValueError(
                "axes must be YX after any of C and Z, none empty. "
                f"Received: {self.axes!r} {self.shape}."
            )
        if len(self.channel_names) != sizes.get("C", 1):
            raise ValueError(
                f"channel_names must name {sizes.get('C', 1)} channels. "
                f"Received: {self.channel_names}."
            )
        if self.dtype not in (np.uint8, np.uint16, np.float32):
            raise ValueError(
                "image must be uint8, uint16 or float32. "
                f"Received: {self.dtype}."
            )

    def metadata(self) -> dict[str, Any]:
        """Returns what tifffile writes as OME-XML."""
        metadata = {
            "axes": self.axes,
            "Channel": {"Name": list(self.channel_names)},
            "Creator": f"isl {isl.__version__}",
        }
        if "C" not in self.axes:
            metadata["Channel"] = {"Name": self.channel_names[0]}
        sizes = {
            "X": self.pixel_size_um,
            "Y": self.pixel_size_um,
            "Z": self.z_spacing_um,
        }
        for axis, size in sizes.items():
            if size is not None:
                metadata[f"PhysicalSize{axis}"] = size
                metadata[f"PhysicalSize{axis}Unit"] = "µm"
        if self.annotations:
            metadata["Description"] = json.dumps(dict(self.annotations))
        return metadata
