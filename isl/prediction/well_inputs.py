"""Which wells there are to predict: of a plate, a folder or a data spec."""

import collections
import dataclasses
import functools
import os
import pathlib
import re
from collections.abc import Callable, Iterable, Iterator, Sequence

from isl.errors import InputError
from isl.images import (
    Well,
    count_tiff_planes,
    find_wells,
    group_published_files,
    is_plate,
    is_published_name,
    is_vendor_name,
    is_zarr,
    is_zarr_folder,
    list_numbered_planes,
    list_vendor_scenes,
    name_image,
    natural_key,
    open_image,
    open_plate,
    open_well,
    strip_suffix,
)
from isl.inspection.folders import is_image_name, iter_folders
from isl.prediction.input_files import (
    FileState,
    list_files,
    list_spec_files,
    plane_names,
    read_states,
)
from isl.preprocessing.output import PLANES_FILE
from isl.specs import DatasetSpec, WellSpec, list_splits, load_dataset_spec

# Of wells: what file systems and the shell take as a name of a file.
_FILE_NAME = re.compile(r"[^./\\\0][^/\\\0]*")


@dataclasses.dataclass(frozen=True)
class WellInput:
    """A well to predict, opened by the process that predicts it.

    Attributes:
        name: What to call it; may be the name of a file.
        path: Its file or folder, for messages.
        open: Opens it; can be pickled.
        planes: Files of the planes, where a data spec names them.
        files: What its files were when it was listed, as of `list_files`.
    """

    name: str
    path: str
    open: Callable[[], Well]
    planes: tuple[str, ...] = ()
    files: tuple[FileState, ...] = ()

    @property
    def content(self) -> tuple[str, ...]:
        """What the well is made of, to tell when it is made of others."""
        return (self.path, *self.planes)


def find_inputs(
    path: str | None,
    data_spec: str | None,
    image_root: str | None,
    output: str | os.PathLike,
) -> tuple[str, tuple[WellInput, ...]]:
    """Finds the wells to predict, in a path or by a data spec.

    Args:
        path: See `list_well_inputs`; None for a data spec.
        data_spec: A data spec, instead of a path.
        image_root: Folder that its paths are relative to.
        output: Where predictions go.

    Returns:
        Where the wells come from, in words, and the wells.

    Raises:
        InputError: If neither a path nor a spec with its folder is given, or
            both, and as the functions below.
    """
    if path is not None and data_spec is image_root is None:
        path = pathlib.Path(path).resolve()
        return str(path), list_well_inputs(path, output)
    if path is None and data_spec is not None and image_root is not None:
        root = pathlib.Path(image_root).resolve()
        spec = load_dataset_spec(data_spec)
        return f"{spec.name} in {root}", list_spec_inputs(spec, root)
    raise InputError(
        f"--input, or --data_spec and --image_root, must be given. "
        f"Received: {path}, {data_spec}, {image_root}"
    )


def list_well_inputs(
    path: str | os.PathLike, output: str | os.PathLike
) -> tuple[WellInput, ...]:
    """Lists the wells of a plate or a folder; reads no pixel.

    A well is each field of an OME-Zarr plate, each OME-Zarr image, each TIFF
    of several planes, each scene of a vendor's file, each folder of numbered
    planes, and each well of PNG planes in the published naming.
    Folders in a folder are searched, hidden ones are not; a well in them is
    called `FOLDER_WELL`, or `WELL` if its folder has its name.

    A well that is damaged is listed: opening it tells what is wrong.

    Args:
        path: An OME-Zarr plate, a folder, or a single image.
        output: Where predictions go: not into `path`, where they would be
            listed the next time.

    Returns:
        The wells, in natural order of their names.

    Raises:
        InputError: If there is none, two have one name, or `output` lies in
            `path`.
    """
    path = pathlib.Path(path)
    if not path.exists():
        raise InputError(f"{path}: input must be there.")
    if pathlib.Path(output).resolve().is_relative_to(path.resolve()):
        raise InputError(
            f"output must lie outside the input, {path}. Received: {output}"
        )
    if path.is_dir():
        wells = [
            well
            for folder, names in iter_folders(path)
            for well in _list_folder(path, folder, names)
        ]
    elif is_vendor_name(path.name):
        wells = list(_list_scenes((), path))
    else:
        wells = [_image(strip_suffix(path.name), path)]
    if not wells:
        raise InputError(
            f"{path}: input must hold wells: OME-Zarr, TIFF of several "
            f"planes, folders of numbered planes, or PNG in the published "
            f"naming; --data_spec can name "
            f"others. Received: none of them"
        )
    return _sorted(wells)


def list_spec_inputs(
    spec: DatasetSpec, image_root: str | os.PathLike
) -> tuple[WellInput, ...]:
    """Lists the wells of all splits of a data spec; reads no pixel.

    Args:
        spec: The data spec. Labels need not be there: they are not opened.
        image_root: Folder that its paths are relative to.

    Returns:
        The wells, in natural order of their names.

    Raises:
        InputError: If a folder cannot be listed, or a name cannot be the
            name of a file.
    """
    unlabelled = dataclasses.replace(spec, labels=())
    # A well may be in several splits; other wells of its name stay, so that
    # they are refused.
    found = {
        (well.name, well.path, well.planes): well
        for split in list_splits(spec)
        for well in find_wells(unlabelled, image_root, split)
    }
    return _sorted(
        WellInput(
            name=well.name,
            path=str(pathlib.Path(image_root, well.path)),
            open=functools.partial(
                open_well,
                spec,
                dataclasses.replace(well, labels={}),
                image_root,
            ),
            planes=tuple(well.planes or ()),
            files=read_states(list_spec_files(well, image_root)),
        )
        for well in found.values()
    )


def open_published_well(folder: str, well: str) -> Well:
    """Opens the z-stack of one of several wells of a folder.

    Args:
        folder: Folder of PNG planes in the published naming.
        well: Name of the well, as the files spell it.

    Raises:
        InputError: If a file cannot be opened.
    """
    spec = DatasetSpec(
        folder, condition="", modality=None, num_z=None, labels=()
    )
    return open_well(spec, WellSpec(well, "", {}, labels={}), folder)


def _list_folder(
    root: pathlib.Path, folder: pathlib.Path, names: Sequence[str]
) -> Iterator[WellInput]:
    inside = folder.relative_to(root).parts
    if is_zarr_folder(folder):
        yield from _list_zarr(inside, folder)
        return
    if any(map(is_published_name, names)):
        yield from _list_published(inside, folder)
    if PLANES_FILE in names:  # What `prepare.py --format=ome_tiff` writes.
        yield _image(_name(inside, "") or folder.name, folder / PLANES_FILE)
        return
    if _holds_numbered_planes(folder, names):
        yield _image(_name(inside, "") or folder.name, folder)
        return
    for name in names:
        if is_vendor_name(name):
            yield from _list_scenes(inside, folder / name)
        elif is_image_name(name) and _holds_stack(folder / name):
            well = _name(inside, strip_suffix(name))
            yield _image(well, folder / name)


def _list_zarr(
    inside: Sequence[str], folder: pathlib.Path
) -> Iterator[WellInput]:
    try:
        plate = open_plate(folder) if is_plate(folder) else None
    except InputError:
        plate = None  # Opening it as an image tells what is wrong.
    if plate is None:
        # Of fields of a plate the well has the name.
        is_field = is_zarr(folder.parent)
        name = name_image(folder) if is_field else strip_suffix(folder.name)
        yield _image(_name(inside[:-1], name), folder)
        return
    place = [*inside[:-1], strip_suffix(folder.name)] if inside else []
    for field in (f for well in plate.fields.values() for f in well):
        yield _image(_name(place, name_image(folder / field)), folder / field)
    for missing in plate.missing:
        row, column, *field = missing.split("/")
        well = "_".join([row + column, *field])
        yield _image(_name(place, well), folder / missing)


def _list_published(
    inside: Sequence[str], folder: pathlib.Path
) -> Iterator[WellInput]:
    try:
        wells = group_published_files(folder)
    except InputError:
        wells = {"": []}  # Opening it raises this again.
    for well, files in wells.items():
        name = _name(inside, well) or folder.name
        if len(wells) == 1:
            yield _image(name, folder)
        else:
            opener = functools.partial(open_published_well, str(folder), well)
            states = read_states(folder / file for file in plane_names(files))
            yield WellInput(name, str(folder), opener, files=states)


def _list_scenes(
    inside: Sequence[str], file: pathlib.Path
) -> Iterator[WellInput]:
    name = _name(inside, strip_suffix(file.name))
    try:
        scenes = list_vendor_scenes(file)
    except InputError:
        scenes = ()  # Opening it raises this again.
    if len(scenes) < 2:
        yield _image(name, file)
        return
    for scene in scenes:
        yield _image(_name([name], scene), file / scene)


def _holds_numbered_planes(folder: pathlib.Path, names: Sequence[str]) -> bool:
    try:
        if not list_numbered_planes(folder):
            return False
    except InputError:
        pass  # Opening it raises this again.
    # Stacks may be numbered as well: those are wells.
    return not any(
        is_image_name(name) and _holds_stack(folder / name) for name in names
    )


def _holds_stack(path: pathlib.Path) -> bool:
    # A TIFF of one plane is a label or a part of a well that a spec has to
    # name. One that is damaged is told of when it is opened.
    count = count_tiff_planes(path)
    return count is None or count > 1


def _image(name: str, path: pathlib.Path) -> WellInput:
    opener = functools.partial(open_image, str(path))
    states = read_states(list_files(path))
    return WellInput(name, str(path), opener, files=states)


def _name(inside: Sequence[str], well: str) -> str:
    repeated = not well or inside[-1:] == (well,)
    return "_".join(inside if repeated else [*inside, well])


def _sorted(wells: Iterable[WellInput]) -> tuple[WellInput, ...]:
    wells = sorted(wells, key=lambda well: natural_key(well.name))
    paths = collections.defaultdict(list)
    for well in wells:
        paths[well.name].append(well.path)
        if not _FILE_NAME.fullmatch(well.name):
            raise InputError(
                f"{well.path}: well must have a name that a file can have. "
                f"Received: {well.name!r}"
            )
    for name, same in paths.items():
        if len(same) > 1:
            raise InputError(
                f"{same[1]}: name of a well must differ from the others. "
                f"Received: {name}, as {same[0]}"
            )
    return tuple(wells)
