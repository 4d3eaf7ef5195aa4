"""Opening wells: by a spec, or an image that no spec describes."""

import dataclasses
import os
import pathlib
from collections.abc import Collection, Mapping, Sequence

import numpy as np

from isl.errors import InputError
from isl.images.ome_tiff import open_ome_tiff
from isl.images.plane import (
    MaximumPlane,
    MeanPlane,
    Plane,
    check_same_size,
)
from isl.images.published_png import (
    PublishedWell,
    list_published_wells,
    open_png,
)
from isl.images.well import Well
from isl.specs import (
    MODALITIES,
    NEURITE,
    NEURITE_PARTS,
    PUBLISHED_LABELS,
    DatasetSpec,
    Region,
    WellSpec,
    select_wells,
)

_TIFF_SIGNATURES = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


def open_image(path: str | os.PathLike) -> Well:
    """Opens an image that no spec describes.

    Args:
        path: A folder in the published naming with one well, an OME-TIFF, or
            a single PNG plane.

    Raises:
        InputError: If this cannot be opened, or the folder holds several
            wells.
    """
    found = _find(pathlib.Path(path), None, (*PUBLISHED_LABELS, NEURITE))
    return _build_well(found, str(path), None)


def find_wells(
    spec: DatasetSpec, image_root: str | os.PathLike, split: str
) -> tuple[WellSpec, ...]:
    """Returns the wells of a split, those in `well_folders` included.

    Where a split has several folders, the name of the folder stands before
    the name of the well, because plates share the names of their wells.

    Raises:
        InputError: If no well has this split, or a folder cannot be listed
            or a well in it lacks a label.
    """
    wells = list(select_wells(spec, split))
    folders = spec.well_folders.get(split, ())
    for folder in folders:
        path = pathlib.Path(image_root, folder)
        prefix = f"{path.name}_" if len(folders) > 1 else ""
        for found in list_published_wells(path).values():
            _check_modality(path, found.modality, spec.modality)
            _check_has_labels(spec, path, found.name, found.labels)
            wells.append(
                WellSpec(
                    name=prefix + found.name,
                    path=folder,
                    splits={split: Region()},
                    planes=found.planes,
                    labels={
                        label: name
                        for label, name in found.labels.items()
                        if label in _wanted_files(spec)
                    },
                )
            )
    return tuple(wells)


def open_wells(
    spec: DatasetSpec, image_root: str | os.PathLike, split: str
) -> list[tuple[WellSpec, Well]]:
    """Opens every well of a split; no pixel is read yet.

    Raises:
        InputError: If a well cannot be opened, or its part in the split
            reaches outside the image.
    """
    wells = []
    for well_spec in find_wells(spec, image_root, split):
        well = open_well(spec, well_spec, image_root)
        try:
            well_spec.splits[split].resolve(well.shape)
        except InputError as error:
            raise InputError(
                f"{spec.name}: well {well.name}, split {split}: {error}"
            ) from error
        wells.append((well_spec, well))
    return wells


def open_well(
    spec: DatasetSpec, well_spec: WellSpec, image_root: str | os.PathLike
) -> Well:
    """Opens one well of a spec; no pixel is read yet.

    Raises:
        InputError: If a file is missing or not a grey image, images differ
            in size, or the number of planes, the modality or the labels
            differ from the spec.
    """
    path = pathlib.Path(image_root, well_spec.path)
    folder = path.parent if path.is_file() else path
    found = _Found(well_spec.name, None, (), {}, None)
    if well_spec.planes is None or well_spec.labels is None:
        found = _find(path, well_spec.name, spec.labels)
    if well_spec.planes is not None:
        planes = tuple(_open_plane(folder / p) for p in well_spec.planes)
        found = dataclasses.replace(found, planes=planes)
    if well_spec.labels is None:
        _check_has_labels(spec, path, well_spec.name, found.labels)
    else:
        labels = {
            label: _open_label(folder / name, label)
            for label, name in well_spec.labels.items()
        }
        found = dataclasses.replace(found, labels=labels)
    _check_modality(path, found.modality, spec.modality)
    if spec.num_z is not None and len(found.planes) != spec.num_z:
        raise InputError(
            f"{path}: well {well_spec.name} must have num_z = {spec.num_z} "
            f"planes. Received: {len(found.planes)} planes."
        )
    well = _build_well(found, str(path), spec)
    return dataclasses.replace(well, name=well_spec.name)


@dataclasses.dataclass(frozen=True)
class _Found:
    name: str
    modality: str | None
    planes: tuple[Plane, ...]
    labels: Mapping[str, Plane]
    pixel_size_um: float | None


def _find(
    path: pathlib.Path, well: str | None, known_labels: Sequence[str]
) -> _Found:
    # Opens a folder of the published naming, a TIFF or a PNG.
    if path.is_dir():
        return _find_in_folder(path, well)
    if _is_tiff(path):
        return _find_in_tiff(path, known_labels)
    return _Found(path.stem, None, (open_png(path),), {}, None)


def _find_in_folder(folder: pathlib.Path, well: str | None) -> _Found:
    wells = list_published_wells(folder)
    published = _pick_well(folder, wells, well)
    return _Found(
        name=published.name or folder.resolve().name,
        modality=published.modality,
        planes=tuple(open_png(folder / name) for name in published.planes),
        labels={
            label: open_png(folder / name)
            for label, name in published.labels.items()
        },
        pixel_size_um=None,
    )


def _pick_well(
    folder: pathlib.Path, wells: Mapping[str, PublishedWell], well: str | None
) -> PublishedWell:
    if well is None and len(wells) > 1:
        raise InputError(
            f"{folder}: folder must hold one well, unless a spec names the "
            f"well. Received: {', '.join(wells)}."
        )
    if well is None or list(wells) == [""]:
        return next(iter(wells.values()))
    if well not in wells:
        raise InputError(
            f"{folder}: well must be one of {', '.join(wells)}, as the file "
            f"names spell it. Received: {well!r}."
        )
    return wells[well]


def _find_in_tiff(path: pathlib.Path, known_labels: Sequence[str]) -> _Found:
    # The channel that is named as a modality is the z-stack, and all others
    # are labels. Without one, it is the one channel that is no known label.
    tiff = open_ome_tiff(path)
    names = tiff.channel_names
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
    return _Found(
        name=path.name.split(".")[0],
        modality=modality if modality in MODALITIES else None,
        planes=tiff.planes[stacks[0]],
        labels={
            name: _project(tiff.channel(name))
            for k, name in enumerate(names)
            if k != stacks[0]
        },
        pixel_size_um=tiff.pixel_size_um,
    )


def _open_plane(path: pathlib.Path) -> Plane:
    if not _is_tiff(path):
        return open_png(path)
    planes = [plane for z in open_ome_tiff(path).planes for plane in z]
    if len(planes) != 1:
        raise InputError(
            f"{path}: TIFF must hold one plane. Received: {len(planes)}."
        )
    return planes[0]


def _open_label(path: pathlib.Path, label: str) -> Plane:
    if not _is_tiff(path):
        return open_png(path)
    tiff = open_ome_tiff(path)
    if len(tiff.planes) == 1:
        return _project(tiff.planes[0])
    return _project(tiff.channel(label))


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


def _build_well(found: _Found, path: str, spec: DatasetSpec | None) -> Well:
    if not found.planes:
        raise InputError(f"{path}: no planes found for well {found.name}.")
    labels = dict(found.labels)
    if spec is not None:
        if NEURITE not in labels and set(NEURITE_PARTS) <= set(labels):
            parts = tuple(labels[part] for part in NEURITE_PARTS)
            labels[NEURITE] = MeanPlane(parts)
        labels = {k: labels[k] for k in spec.labels if k in labels}
    images = (*found.planes, *labels.values())
    check_same_size(images)
    for plane in images:
        if plane.dtype != np.uint16:
            raise InputError(
                f"{plane.path}: image must be grey, of 8 or 16 bits. "
                f"Received: {plane.dtype}."
            )
    pixel_size_um = found.pixel_size_um
    if spec is not None and spec.pixel_size_um is not None:
        pixel_size_um = spec.pixel_size_um
    return Well(
        name=found.name,
        condition=spec.condition if spec else None,
        modality=found.modality or (spec.modality if spec else None),
        planes=found.planes,
        labels=labels,
        pixel_size_um=pixel_size_um,
    )


def _check_modality(
    path: pathlib.Path, found: str | None, expected: str | None
) -> None:
    if None not in (found, expected) and found != expected:
        raise InputError(
            f"{path}: modality must be {expected}, as in the spec. "
            f"Received: {found}."
        )


def _wanted_files(spec: DatasetSpec) -> tuple[str, ...]:
    return spec.labels + (NEURITE_PARTS if NEURITE in spec.labels else ())


def _check_has_labels(
    spec: DatasetSpec, path: pathlib.Path, well: str, found: Collection[str]
) -> None:
    for label in spec.labels:
        synthetic = label == NEURITE and set(NEURITE_PARTS) <= set(found)
        if label not in found and not synthetic:
            raise InputError(
                f"{path}: well {well} must have a file of label {label}, as "
                f"in the spec. Received: {', '.join(sorted(found))}."
            )
