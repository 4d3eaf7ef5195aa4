"""What an OME file holds, whatever the format."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from isl.errors import InputError
from isl.images.plane import Plane


@dataclasses.dataclass(frozen=True)
class OmeImage:
    """One image of channels and focal positions.

    Attributes:
        path: The file, or the folder of an OME-Zarr.
        channel_names: Names of the channels; empty texts where not told.
        planes: The planes, [channel][z].
        pixel_size_um: Side of a pixel in micrometres, or None if not told.
        annotations: What the writer was given, else what the format calls
            the description.
        z_spacing_um: Distance of neighbouring focal positions in
            micrometres, or None if not told.
    """

    path: str
    channel_names: tuple[str, ...]
    planes: tuple[tuple[Plane, ...], ...]
    pixel_size_um: float | None
    annotations: Mapping[str, Any]
    z_spacing_um: float | None = None

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.planes[0][0].shape

    def channel(self, name: str) -> tuple[Plane, ...]:
        """Returns the planes of a channel, in z order.

        Raises:
            InputError: If there is no such channel, or more than one.
        """
        if self.channel_names.count(name) != 1:
            raise InputError(
                f"{self.path}: channel must be one of "
                f"{', '.join(self.channel_names)}. Received: {name!r}."
            )
        return self.planes[self.channel_names.index(name)]


def check_square(path: str, row_um: float, column_um: float) -> None:
    """Checks that pixels are as wide as they are high, to 1 %.

    Raises:
        InputError: If not.
    """
    if abs(row_um - column_um) > 0.01 * max(row_um, column_um):
        raise InputError(
            f"{path}: pixels must be square. Received: {column_um} x "
            f"{row_um} micrometres."
        )
