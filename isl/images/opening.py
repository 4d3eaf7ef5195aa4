"""Opening wells: by a spec, or an image that no spec describes."""

import dataclasses
import os
import pathlib
from collections.abc import Collection

import numpy as np

from isl.errors import InputError
from isl.images.containers import split_inside
from isl.images.discovery import (
    Found,
    find_images,
    locate,
    name_folder,
    open_label,
    open_plane,
)
from isl.images.fields import source_wells
from isl.images.ome_zarr_metadata import is_zarr_folder
from isl.images.plane import MeanPlane, check_same_size
from isl.images.published_png import list_published_wells
from isl.images.well import Well
from isl.specs import (
    NEURITE,
    NEURITE_PARTS,
    PUBLISHED_LABELS,
    DatasetSpec,
    Region,
    WellSpec,
    select_wells,
)


def open_image(path: str | os.PathLike) -> Well:
    """Opens an image that no spec describes.

    Args:
        path: A folder in the published naming with one well, an OME-TIFF, an
            OME-Zarr image (such as a field of a plate), or a single PNG
            plane.

    Raises:
        InputError: If this cannot be opened, or holds several wells.
    """
    known_labels = (*PUBLISHED_LABELS, NEURITE)
    found = find_images(pathlib.Path(path), None, known_labels)
    return _build_well(found, str(path), None)


def find_wells(
    spec: DatasetSpec, image_root: str | os.PathLike, split: str
) -> tuple[WellSpec, ...]:
    """Returns the wells of a split, found by name or pattern included.

    Where a split has several folders, the name of the folder stands before
    the name of the well, because plates share the names of their wells.

    Raises:
        InputError: If no well has this split, or a folder cannot be listed
            or a well in it lacks a label.
    """
    wells = list(select_wells(spec, split))
    if spec.source is not None:
        wells += source_wells(spec, image_root, split)
    folders = spec.well_folders.get(split, ())
    for folder in folders:
        path = locate(spec.name, image_root, folder)
        prefix = f"{name_folder(path)}_" if len(folders) > 1 else ""
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
                        if label in spec.label_files
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
    path = locate(spec.name, image_root, well_spec.path)
    folder = well_spec.path
    if is_one_image(path):
        folder = os.path.dirname(folder)

    def find(name: str) -> pathlib.Path:
        return locate(spec.name, image_root, os.path.join(folder, name))

    found = Found(well_spec.name)
    if well_spec.planes is None or well_spec.labels is None:
        found = find_images(path, well_spec.name, spec.labels)
    if well_spec.planes is not None:
        planes = tuple(open_plane(find(name)) for name in well_spec.planes)
        found = dataclasses.replace(found, planes=planes)
    if well_spec.labels is None:
        _check_has_labels(spec, path, well_spec.name, found.labels)
    else:
        labels = {
            label: open_label(find(name), label)
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


def is_one_image(path: pathlib.Path) -> bool:
    """Whether a well is one file, OME-Zarr or stack in a container.

    Other files of the well are then looked for beside it, else in it.

    Args:
        path: The path of the well, there or not.
    """
    if path.is_file() or is_zarr_folder(path):
        return True
    return split_inside(path) is not None


def _build_well(found: Found, path: str, spec: DatasetSpec | None) -> Well:
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
    z_spacing_um = found.z_spacing_um
    if spec is not None and spec.z_spacing_um is not None:
        z_spacing_um = spec.z_spacing_um
    return Well(
        name=found.name,
        condition=spec.condition if spec else None,
        modality=found.modality or (spec.modality if spec else None),
        planes=found.planes,
        labels=labels,
        pixel_size_um=pixel_size_um,
        z_spacing_um=z_spacing_um,
    )


def _check_modality(
    path: pathlib.Path, found: str | None, expected: str | None
) -> None:
    if None not in (found, expected) and found != expected:
        raise InputError(
            f"{path}: modality must be {expected}, as in the spec. "
            f"Received: {found}."
        )


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
