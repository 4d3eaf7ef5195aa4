"""What a path holds, a z-stack and labels, whatever the format."""

import dataclasses
import os
import pathlib
from collections.abc import Mapping, Sequence

from isl.errors import InputError
from isl.images.containers import open_inside
from isl.images.numbered_planes import list_numbered_planes
from isl.images.ome_image import OmeImage
from isl.images.ome_tiff import open_ome_tiff
from isl.images.ome_tiff_description import is_tiff_name
from isl.images.ome_zarr import open_ome_zarr
from isl.images.ome_zarr_metadata import is_zarr_folder, name_image
from isl.images.plane import MaximumPlane, Plane
from isl.images.published_png import (
    gather_well,
    group_published_files,
    open_png,
)
from isl.specs import MODALITIES

_TIFF_SIGNATURES = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


@dataclasses.dataclass(frozen=True)
class Found:
    """The images of one well, not checked against one another.

    Attributes:
        name: What its files call the well.
        modality: One of `MODALITIES`, or None if not told.
        planes: The z-stack.
        labels: Label to its image.
        pixel_size_um: Side of a pixel in micrometres, or None if not told.
        z_spacing_um: Distance of planes in micrometres, or None if not told.
    """

    name: str
    modality: str | None = None
    planes: tuple[Plane, ...] = ()
    labels: Mapping[str, Plane] = dataclasses.field(default_factory=dict)
    pixel_size_um: float | None = None
    z_spacing_um: float | None = None


def locate(
    spec_name: str, image_root: str | os.PathLike, relative: str
) -> pathlib.Path:
    """Returns where a path of a spec leads.

    By the text of the path alone: a link inside may lead elsewhere.

    Args:
        spec_name: What error messages call the spec.
        image_root: Folder that the path is relative to.
        relative: The path.

    Raises:
        InputError: If it leaves `image_root`.
    """
    path = pathlib.PurePath(os.path.normpath(relative or "."))
    if path.is_absolute() or path.parts[:1] == ("..",):
        raise InputError(
            f"{spec_name}: path must not leave image_root. "
            f"Received: {relative!r}."
        )
    return pathlib.Path(image_root, relative)


def name_folder(folder: str | os.PathLike) -> str:
    """Returns what a folder is called, `.` as well.

    Args:
        folder: The folder. A link is called by its own name, as `locate`
            takes it.
    """
    return os.path.basename(os.path.abspath(folder))


def find_images(
    path: pathlib.Path, well: str | None, known_labels: Sequence[str]
) -> Found:
    """Finds the z-stack and the labels of a well; reads no pixel.

    Args:
        path: A folder in the published naming or of numbered planes
            (`list_numbered_planes`), an OME-Zarr image, an OME-TIFF, a scene
            of a vendor format or a PNG plane.
        well: Which well of a folder, or None if it holds one.
        known_labels: Channels that are labels. Of the others, the one that
            is named as a modality is the z-stack, or else the only one.

    Raises:
        InputError: If this cannot be opened, or the well or the z-stack
            cannot be told.
    """
    if path.is_dir() and not is_zarr_folder(path):
        return _find_in_folder(path, well)
    image = open_channels(path)
    if image is None:
        return Found(path.stem, planes=(open_png(path),))
    return _find_in_channels(path, image, known_labels)


def open_plane(path: pathlib.Path, page: int | None = None) -> Plane:
    """Opens one plane.

    Args:
        path: A PNG, a TIFF, an OME-Zarr image or a channel of a vendor
            format.
        page: Which focal position, from 0; None if the file holds one.

    Raises:
        InputError: If this cannot be opened, or does not hold one channel
            with this plane.
    """
    image = open_channels(path)
    if image is None:
        return open_png(path)
    planes = [plane for channel in image.planes for plane in channel]
    if page is not None and len(image.planes) == 1 and page < len(planes):
        return planes[page]
    if len(planes) != 1:
        raise InputError(
            f"{path}: image must hold one plane. Received: {len(planes)}."
        )
    return planes[0]


def open_label(path: pathlib.Path, label: str) -> Plane:
    """Opens a label; of several focal positions it is the maximum.

    Args:
        path: A PNG, a TIFF, an OME-Zarr image or a scene of a vendor
            format.
        label: Name of the channel, if there are several.

    Raises:
        InputError: If this cannot be opened or has no such channel.
    """
    image = open_channels(path)
    if image is None:
        return open_png(path)
    if len(image.planes) == 1:
        return _project(image.planes[0])
    return _project(image.channel(label))


def open_channels(path: pathlib.Path) -> OmeImage | None:
    """Opens an image of any format that tells its channels.

    Args:
        path: A TIFF, an OME-Zarr image or a scene of a vendor format, or a
            stack in one of these.

    Returns:
        The image; None if it is a PNG, which has one plane and says nothing
        about it.

    Raises:
        InputError: If this cannot be opened.
    """
    inside = open_inside(path)
    if inside is not None:
        return inside
    if is_zarr_folder(path):
        return open_ome_zarr(path)
    return open_ome_tiff(path) if _is_tiff(path) else None


def count_tiff_planes(path: pathlib.Path) -> int | None:
    """Counts the planes of a TIFF, over all its channels.

    Returns:
        0 if the file is not called as a TIFF; None if it cannot be read.
    """
    if not is_tiff_name(path.name):
        return 0
    try:
        return sum(map(len, open_ome_tiff(path).planes))
    except InputError:
        return None


def _find_in_folder(folder: pathlib.Path, well: str | None) -> Found:
    planes = () if well is not None else list_numbered_planes(folder)
    if planes:
        return Found(
            name=folder.resolve().name,
            planes=tuple(open_plane(folder / name) for name in planes),
        )
    groups = group_published_files(folder)
    name = _pick_well(folder, list(groups), well)
    published = gather_well(folder, name, groups[name])
    return Found(
        name=published.name or folder.resolve().name,
        modality=published.modality,
        planes=tuple(open_png(folder / name) for name in published.planes),
        labels={
            label: open_png(folder / name)
            for label, name in published.labels.items()
        },
    )


def _pick_well(
    folder: pathlib.Path, wells: Sequence[str], well: str | None
) -> str:
    if well is None and len(wells) > 1:
        raise InputError(
            f"{folder}: folder must hold one well, unless a spec names the "
            f"well. Received: {', '.join(wells)}."
        )
    if well is None or wells == [""]:
        return wells[0]
    if well not in wells:
        raise InputError(
            f"{folder}: well must be one of {', '.join(wells)}, as the file "
            f"names spell it. Received: {well!r}."
        )
    return well


def _find_in_channels(
    path: pathlib.Path, image: OmeImage, known_labels: Sequence[str]
) -> Found:
    names = image.channel_names
    stacks = [k for k, name in enumerate(names) if name in MODALITIES] or [
        k for k, name in enumerate(names) if name not in known_labels
    ]
    if len(stacks) != 1:
        raise InputError(
            f"{path}: one channel must be transmitted light, named "
            f"{', '.join(MODALITIES)} or else unlike a label. "
            f"Received: channels {', '.join(map(repr, names))}."
        )
    modality = names[stacks[0]]
    return Found(
        name=name_image(path),
        modality=modality if modality in MODALITIES else None,
        planes=image.planes[stacks[0]],
        labels={
            name: _project(image.channel(name))
            for k, name in enumerate(names)
            if k != stacks[0]
        },
        pixel_size_um=image.pixel_size_um,
        z_spacing_um=image.z_spacing_um,
    )


def _project(planes: tuple[Plane, ...]) -> Plane:
    # A label is the maximum over z (original: one 2-D image a label).
    return planes[0] if len(planes) == 1 else MaximumPlane(planes)


def _is_tiff(path: pathlib.Path) -> bool:
    try:
        with open(path, "rb") as file:
            start = file.read(4)
    except OSError as error:
        raise InputError(
            f"{path}: cannot be read ({error.strerror})."
        ) from error
    if start in _TIFF_SIGNATURES:
        return True
    if start == b"\x89PNG":
        return False
    raise InputError(
        f"{path}: must be a PNG or a TIFF. Received: first bytes {start!r}."
    )
