"""Reading what the OME-XML of a TIFF says about its image."""

import dataclasses
import json
import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping
from typing import Any

from isl.errors import InputError
from isl.images.ome_image import check_square

_UM_PER_UNIT = {"m": 1e6, "mm": 1e3, "µm": 1.0, "um": 1.0, "nm": 1e-3}


@dataclasses.dataclass(frozen=True)
class OmeDescription:
    """What is said.

    Attributes:
        channel_names: Names of the channels; empty texts where not told.
        pixel_size_um: Side of a pixel in micrometres, or None if not told.
        z_spacing_um: Distance of neighbouring focal positions in
            micrometres, or None if not told.
        annotations: What the writer was given, else the description.
    """

    channel_names: tuple[str, ...] = ()
    pixel_size_um: float | None = None
    z_spacing_um: float | None = None
    annotations: Mapping[str, Any] = dataclasses.field(default_factory=dict)


def parse_ome_xml(path: str, text: str | None) -> OmeDescription:
    """Reads the first image of an OME-XML.

    Args:
        path: The file, for messages.
        text: The XML; None says nothing.

    Raises:
        InputError: If it cannot be parsed, or pixels are not square.
    """
    if text is None:
        return OmeDescription()
    try:
        root = ElementTree.fromstring(text)
    except ElementTree.ParseError as error:
        raise InputError(
            f"{path}: OME-XML cannot be read. Received: {error}."
        ) from error
    pixels = root.find("./{*}Image/{*}Pixels")
    if pixels is None:
        return OmeDescription()
    sizes_um = {axis: _parse_size(pixels, axis) for axis in "XYZ"}
    if sizes_um["X"] and sizes_um["Y"]:
        check_square(path, sizes_um["Y"], sizes_um["X"])
    description = root.findtext("./{*}Image/{*}Description", "")
    return OmeDescription(
        channel_names=tuple(
            channel.get("Name", "") for channel in pixels.findall("{*}Channel")
        ),
        pixel_size_um=sizes_um["X"] or sizes_um["Y"],
        z_spacing_um=sizes_um["Z"],
        annotations=_parse_description(description),
    )


def _parse_size(pixels: ElementTree.Element, axis: str) -> float | None:
    # Micrometres from one pixel to the next along an axis.
    value = pixels.get(f"PhysicalSize{axis}")
    unit = pixels.get(f"PhysicalSize{axis}Unit", "µm")
    if value is None or unit not in _UM_PER_UNIT:
        return None
    return float(value) * _UM_PER_UNIT[unit]


def _parse_description(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError:
        value = None
    if isinstance(value, dict):
        return value
    return {"description": text} if text else {}
