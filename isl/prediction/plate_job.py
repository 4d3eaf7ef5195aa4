"""What is to be predicted for a plate, and the folder that it goes into.

The folder holds the predictions, `prediction.json` with what they depend on,
and the hidden folder `.claims` (`isl.prediction.plate`).
"""

import dataclasses
import hashlib
import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import keras

from isl.claims import claim
from isl.errors import InputError
from isl.files import read_json_object, write_json
from isl.images import open_plate_writer
from isl.network.model_folder import (
    ARCHITECTURE_FILE,
    DESCRIPTION_FILE,
    WEIGHTS_FILE,
    load_description,
)
from isl.network.shipped import find_model
from isl.prediction.input_files import FileState, find_change
from isl.prediction.predictor import select_planes
from isl.prediction.request import Request, check_request
from isl.prediction.well_inputs import WellInput
from isl.preprocessing.output import FORMATS, PLATE, WellWriter
from isl.provenance import provenance

SETTINGS_FILE = "prediction.json"
CLAIMS = ".claims"


@dataclasses.dataclass(frozen=True)
class PlateJob:
    """What all workers have to know; can be pickled and hashed.

    Attributes:
        model: The model folder.
        model_digest: Of its files, as of `digest_model`.
        request: What is asked of the model.
        output: Folder to write into.
        backend: Of Keras: results of two differ by rounding.
        num_threads: Of each process, for OpenVINO; None for one a core.
    """

    model: str
    model_digest: str
    request: Request
    output: str
    backend: str
    num_threads: int | None = None

    @property
    def plate(self) -> pathlib.Path:
        """The OME-Zarr plate, where wells are parts of one."""
        return pathlib.Path(self.output, PLATE)

    def lock_of(self, well: str) -> pathlib.Path:
        """Returns the file that who predicts a well has locked."""
        return pathlib.Path(self.output, CLAIMS, f"{well}.lock")


@dataclasses.dataclass(frozen=True)
class PlateWell:
    """A well and where its prediction goes.

    Attributes:
        input: The well.
        output: An OME-TIFF, an OME-Zarr, or a well of a plate, relative to
            the folder of the job.
    """

    input: WellInput
    output: str

    @property
    def is_in_plate(self) -> bool:
        """Whether the output is a well of an OME-Zarr plate."""
        return self.output.startswith(f"{PLATE}/")


def digest_model(folder: str | os.PathLike) -> str:
    """Returns the SHA-256 of the files of a model folder.

    Raises:
        InputError: If one is missing.
    """
    digest = hashlib.sha256()
    for name in (ARCHITECTURE_FILE, DESCRIPTION_FILE, WEIGHTS_FILE):
        path = pathlib.Path(folder, name)
        try:
            digest.update(path.read_bytes())
        except OSError as error:
            raise InputError(
                f"{path}: cannot be read ({error.strerror})."
            ) from error
    return digest.hexdigest()


def open_plate_job(
    model: str | os.PathLike,
    request: Request,
    inputs: Sequence[WellInput],
    source: str,
    output: str | os.PathLike,
    output_format: str,
    num_threads: int | None = None,
) -> tuple[PlateJob, tuple[PlateWell, ...]]:
    """Begins to predict wells into a folder, or goes on.

    The folder gets `prediction.json`: what the predictions depend on.

    Args:
        model: A model folder, or the name of a model that comes with the
            package. Workers on other machines need to find it under the same
            path, likewise inputs and output.
        request: What is asked of it.
        inputs: The wells.
        source: Where they come from, to tell two plates apart.
        output: Folder to write into.
        output_format: One of `FORMATS`: `WELL.ome.tif`; or OME-Zarr, which is
            one plate, `plate.zarr`, if all wells are called as on one (A1,
            B02), and `WELL.zarr` if not.
        num_threads: See `PlateJob`.

    Returns:
        The job, and its wells.

    Raises:
        InputError: If the model is none or cannot answer the request, no
            well has the planes that were asked for, or the folder holds
            predictions by another model, with other settings, of other wells
            or of files that have changed since, or something else.
    """
    description = load_description(model)
    request = check_request(request, description)
    # Workers may have another current directory.
    model = find_model(model).resolve()
    job = PlateJob(
        str(model),
        digest_model(model),
        request,
        str(output),
        keras.backend.backend(),
        num_threads,
    )
    wells = _place_wells(inputs, output, output_format)
    settings = {
        "model": job.model_digest,
        "input": source,
        "format": output_format,
        "is_plate": wells[0].is_in_plate,
        "backend": job.backend,
        **request.to_dict(),
    }
    # Values do not depend on it, and another one may need less memory.
    free = {"tile_size": settings.pop("tile_size"), "model_folder": str(model)}
    _check_settings(output, settings, wells)
    _check_z_planes(request, description.num_z, inputs)
    # Others may begin at the same moment, as the jobs of an array do.
    with claim(pathlib.Path(output, CLAIMS, ".begin.lock"), wait=True):
        stored = _check_settings(output, settings, wells)
        known = stored.get("files", {})
        for well in wells:
            _check_files(job, well, known.get(well.input.name))
        made = settings | free | provenance()
        made["wells"] = stored.get("wells", {}) | _contents(wells)
        made["files"] = known | {
            well.input.name: list(map(dataclasses.asdict, well.input.files))
            for well in wells
        }
        write_json(pathlib.Path(output, SETTINGS_FILE), made)
        if wells[0].is_in_plate:
            open_plate_writer(job.plate)
    return job, wells


def _place_wells(
    inputs: Sequence[WellInput],
    output: str | os.PathLike,
    output_format: str,
) -> tuple[PlateWell, ...]:
    if output_format not in FORMATS:
        raise ValueError(
            f"output_format must be one of {FORMATS}. "
            f"Received: {output_format!r}."
        )
    writer = WellWriter(output, output_format, [well.name for well in inputs])
    return tuple(
        PlateWell(
            well,
            f"{well.name}.ome.tif"
            if output_format == "ome_tiff"
            else writer.path(well.name),
        )
        for well in inputs
    )


def _contents(wells: Sequence[PlateWell]) -> dict[str, list[str]]:
    return {well.input.name: list(well.input.content) for well in wells}


def _check_settings(
    output: str | os.PathLike,
    settings: Mapping[str, Any],
    wells: Sequence[PlateWell],
) -> dict[str, Any]:
    """Returns what a folder was begun with; empty if it is new."""
    folder = pathlib.Path(output)
    names = {path.name for path in folder.iterdir()} if folder.exists() else {}
    if all(name.startswith(".") for name in names):
        return {}
    path = folder / SETTINGS_FILE
    if path.name not in names:
        raise InputError(
            f"{folder}: output must be a new or empty folder, or one with "
            f"{path.name}. Received: a folder with {sorted(names)[0]}"
        )
    stored = read_json_object(path)
    for name, value in settings.items():
        _check_same(path, name, stored.get(name), value)
    known, contents = stored.get("wells", {}), _contents(wells)
    # Wells may be added, but not become others.
    for name in contents.keys() & known.keys():
        _check_same(path, f"well {name}", known[name], contents[name])
    return stored


def _check_same(path: pathlib.Path, what: str, before: Any, now: Any) -> None:
    if before != now:
        raise InputError(
            f"{path}: output holds predictions with another {what} "
            f"({before}); choose a new folder or the same settings. "
            f"Received: {now}"
        )


def _check_z_planes(
    request: Request, num_z: int, inputs: Sequence[WellInput]
) -> None:
    """Checks that the planes that were asked for are there.

    Wells are opened up to the first that has them; others without them are
    told of when it is their turn, likewise what cannot be opened.

    Args:
        request: What is asked of the model.
        num_z: Planes that it takes.
        inputs: The wells.

    Raises:
        InputError: If no well that can be opened has them.
    """
    if request.z_planes is None:
        return
    first_error = None
    for well in inputs:
        try:
            opened = well.open()
        # As `predict_well`, which says what it is.
        except Exception:
            continue
        try:
            select_planes(num_z, opened, request.z_planes)
        except InputError as error:
            first_error = first_error or error
        else:
            return
    if first_error is not None:
        raise first_error


def _check_files(
    job: PlateJob, well: PlateWell, stored: Sequence[Mapping[str, Any]] | None
) -> None:
    """Checks that what has been predicted has not changed since.

    Args:
        job: The job.
        well: A well.
        stored: States of its files when it was listed before; None if it was
            not, or by a version that did not keep them.

    Raises:
        InputError: If it has.
    """
    if stored is None:
        return
    before = [FileState(**state) for state in stored]
    change = find_change(before, well.input.files)
    # A well that failed may have been mended.
    if change is not None and _is_begun(job, well):
        raise InputError(
            f"{change.path}: must be as it was when {well.output} was "
            f"predicted ({change.before}); choose a new output folder, or "
            f"remove that prediction. Received: {change.now}"
        )


def _is_begun(job: PlateJob, well: PlateWell) -> bool:
    """Whether a well is there, or another process has begun to read it."""
    with claim(job.lock_of(well.input.name)) as is_ours:
        return not is_ours or pathlib.Path(job.output, well.output).exists()
