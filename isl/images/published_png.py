"""PNG planes, and the names that the published data gave them.

Two spellings exist. The test data of the original repository has
`...,well-A4,...,z_depth-3,channel-PHASE_CONTRAST,is_mask-false.png`; the
public bucket has
`...,well-A4,...,z_depth-3,channel,value-PHASE_CONTRAST,...,kind,value-ORIGINAL.png`,
and predictions of the authors beside it, as `kind,value-PREDICTED`.
"""

import collections
import dataclasses
import functools
import os
import struct
from collections.abc import Mapping, Sequence

import numpy as np
from PIL import PngImagePlugin

from isl.errors import InputError
from isl.images.plane import check_region, format_shape, gain_of, widen
from isl.specs import MODALITIES

# A plane of a stitched well has 5 to 21 million pixels. Far more is taken
# for a damaged header rather than given the memory.
MAX_PIXELS = 2**29

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_END = b"\x00\x00\x00\x00IEND\xaeB`\x82"
_COLOUR_TYPES = {
    0: "grey",
    2: "RGB",
    3: "palette",
    4: "grey with alpha",
    6: "RGB with alpha",
}


@dataclasses.dataclass(frozen=True)
class PngPlane:
    """A grey PNG of 8 or 16 bits.

    The file is decoded on the first `read` and kept while this object lives:
    a PNG has no random access.

    Attributes:
        path: The file.
        shape: Rows and columns.
        bits: Of the file, 8 or 16.
    """

    path: str
    shape: tuple[int, int]
    bits: int = 16
    dtype = np.dtype(np.uint16)

    @property
    def gain(self) -> int:
        """What the values of the file are multiplied by: 257 for 8 bits."""
        return gain_of(np.dtype(f"uint{self.bits}"))

    def read(self, rows: slice, columns: slice) -> np.ndarray:
        """Returns a region, uint16, [row, column], not writable.

        Raises:
            InputError: If the file cannot be decoded.
            ValueError: If the region has a step or reaches outside.
        """
        return self._image[check_region(self.shape, rows, columns)]

    @functools.cached_property
    def _image(self) -> np.ndarray:
        try:
            # Not `Image.open`: its limit on the number of pixels warns
            # through a global, and is below a large stitched well.
            with PngImagePlugin.PngImageFile(self.path) as image:
                image.load()
                pixels = np.array(image)
        except MemoryError:
            raise
        # Pillow raises OSError, SyntaxError, ValueError, EOFError,
        # struct.error, zlib.error and more, as the damage may be.
        except Exception as error:
            raise InputError(
                f"{self.path}: PNG cannot be decoded, it may be damaged. "
                f"Received: {error}."
            ) from error
        if pixels.shape != self.shape:
            raise InputError(
                f"{self.path}: PNG must not change while it is in use. "
                f"Received: an array of shape {pixels.shape}."
            )
        if pixels.dtype != np.uint8:  # Pillow may widen 16 bits to 32.
            pixels = pixels.astype(np.uint16, copy=False)
        image = widen(pixels)
        image.flags.writeable = False
        return image


def open_png(path: str | os.PathLike) -> PngPlane:
    """Opens a PNG plane; reads its header only.

    Raises:
        InputError: If the file is missing, is not a grey PNG of 8 or 16
            bits, or ends too early.
    """
    try:
        with open(path, "rb") as file:
            header = file.read(33)
            file.seek(0, os.SEEK_END)
            file.seek(max(0, file.tell() - 4096))
            tail = file.read()
    except OSError as error:
        raise InputError(
            f"{path}: cannot be read ({error.strerror})."
        ) from error
    if header[:8] != _SIGNATURE:
        raise InputError(
            f"{path}: must be a PNG. Received: first bytes {header[:8]!r}."
        )
    if len(header) < 33 or _END not in tail:
        raise InputError(f"{path}: PNG is truncated: it has no end mark.")
    columns, rows, bits, colour_type = struct.unpack(">IIBB", header[16:26])
    if colour_type != 0 or bits not in (8, 16):
        colour = _COLOUR_TYPES.get(colour_type, f"colour type {colour_type}")
        raise InputError(
            f"{path}: must be a grey PNG of 8 or 16 bits. "
            f"Received: {bits}-bit {colour}."
        )
    if not 0 < rows * columns <= MAX_PIXELS:
        raise InputError(
            f"{path}: PNG must have 1 to {MAX_PIXELS} pixels. "
            f"Received: {format_shape((rows, columns))}."
        )
    return PngPlane(str(path), (rows, columns), bits)


@dataclasses.dataclass(frozen=True)
class PublishedName:
    """What a file name in the published naming says.

    Attributes:
        well: Such as `A4`; empty where the name has no well.
        channel: A modality or a label.
        z: Index of the plane for a modality, None for a label.
    """

    well: str
    channel: str
    z: int | None


def parse_published_name(file_name: str) -> PublishedName | None:
    """Reads a file name in either published spelling.

    Args:
        file_name: Name without its folder.

    Returns:
        The parts, or None if this is not an original image in the published
        naming: another file, a mask, or a prediction of the authors.

    Raises:
        InputError: If a plane of a modality lacks its `z_depth`, or a label
            has one.
    """
    stem, suffix = os.path.splitext(file_name)
    if suffix.lower() != ".png":
        return None
    fields = _parse_fields(stem)
    if (
        "channel" not in fields
        or fields.get("kind", "ORIGINAL") != "ORIGINAL"
        or fields.get("is_mask", "false") != "false"
    ):
        return None
    channel = fields["channel"]
    depth = fields.get("z_depth")
    if (channel in MODALITIES) != (depth is not None and depth.isdecimal()):
        raise InputError(
            f"{file_name}: name must have z_depth-NUMBER for "
            f"{', '.join(MODALITIES)}, and no z_depth for a label. "
            f"Received: channel {channel}, z_depth {depth}."
        )
    well = fields.get("well", "")
    return PublishedName(well, channel, int(depth) if depth else None)


def is_published_name(file_name: str) -> bool:
    """Returns whether a file is called as an original image, well or badly.

    Opening a folder with a bad name tells what is wrong with it.
    """
    try:
        return parse_published_name(file_name) is not None
    except InputError:
        return True


def list_folder(folder: str | os.PathLike) -> list[str]:
    """Returns the names in a folder, sorted.

    Raises:
        InputError: If it cannot be listed.
    """
    try:
        return sorted(os.listdir(folder))
    except OSError as error:
        raise InputError(
            f"{folder}: folder cannot be listed ({error.strerror})."
        ) from error


def _parse_fields(stem: str) -> dict[str, str]:
    # "a-1,b,value-2,c-3" is a=1, b=2, c=3.
    fields = {}
    prefix = None
    for field in stem.split(","):
        key, dash, value = field.partition("-")
        if not dash:
            prefix = key
            continue
        if key == "value" and prefix:
            key, prefix = prefix, None
        fields[key] = value
    return fields


@dataclasses.dataclass(frozen=True)
class PublishedWell:
    """The files of one well in a folder.

    Attributes:
        name: The well, as the file names spell it.
        modality: One of `MODALITIES`, or None if there is no plane.
        planes: File names in z order.
        labels: Label to file name.
    """

    name: str
    modality: str | None
    planes: tuple[str, ...]
    labels: Mapping[str, str]


def list_published_wells(
    folder: str | os.PathLike,
) -> dict[str, PublishedWell]:
    """Finds the wells of a folder by the names of its files.

    Returns:
        Well name to its files, sorted by name.

    Raises:
        InputError: If the folder cannot be listed or holds no image in the
            published naming; or a well has two modalities, a plane or label
            twice, or a gap in z.
    """
    groups = group_published_files(folder)
    return {well: gather_well(folder, well, groups[well]) for well in groups}


def group_published_files(
    folder: str | os.PathLike,
) -> dict[str, list[tuple[PublishedName, str]]]:
    """Groups the files of a folder by well; wells may be incomplete.

    Returns:
        Well name to what the names of its files say and these names, sorted
        by well.

    Raises:
        InputError: If the folder cannot be listed or holds no image in the
            published naming.
    """
    names = list_folder(folder)
    files = collections.defaultdict(list)
    for name in names:
        parsed = parse_published_name(name)
        if parsed is not None:
            files[parsed.well].append((parsed, name))
    if not files:
        raise InputError(
            f"{folder}: no planes found; names must look like "
            "well-A4,z_depth-0,channel-PHASE_CONTRAST,is_mask-false.png, or "
            "differ in one number after z (cells_z00.tif, cells_z01.tif). "
            f"Received: {len(names)} files."
        )
    return {well: files[well] for well in sorted(files)}


def gather_well(
    folder: str | os.PathLike,
    well: str,
    files: Sequence[tuple[PublishedName, str]],
) -> PublishedWell:
    """Puts the files of a well in order.

    Args:
        folder: Their folder, for messages.
        well: Name of the well.
        files: From `group_published_files`.

    Raises:
        InputError: If the well has two modalities, a plane or label twice, or
            a gap in z.
    """
    found = {}
    for parsed, name in files:
        key = (parsed.channel, parsed.z)
        if key in found:
            z = "" if parsed.z is None else f" z_depth {parsed.z}"
            raise InputError(
                f"{folder}: well {well} must have {parsed.channel}{z} once. "
                f"Received: {found[key]} and {name}."
            )
        found[key] = name
    modalities = sorted({channel for channel, z in found if z is not None})
    if len(modalities) > 1:
        raise InputError(
            f"{folder}: well {well} must have one modality. "
            f"Received: {', '.join(modalities)}."
        )
    depths = sorted(z for _, z in found if z is not None)
    missing = sorted(set(range(max(depths, default=0))) - set(depths))
    if missing:
        raise InputError(
            f"{folder}: well {well} must have planes 0 to {depths[-1]} "
            f"without a gap. Missing: z_depth {', '.join(map(str, missing))}."
        )
    modality = modalities[0] if modalities else None
    return PublishedWell(
        name=well,
        modality=modality,
        planes=tuple(found[modality, z] for z in depths),
        labels={
            channel: name for (channel, z), name in found.items() if z is None
        },
    )
