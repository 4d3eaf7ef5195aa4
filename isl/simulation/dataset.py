"""Simulated wells on disk, named as the published data, with their spec."""

import csv
import io
import os
import pathlib
from collections.abc import Iterable, Mapping

import numpy as np
import tqdm
from PIL import Image

from isl import files
from isl.errors import InputError
from isl.simulation import scene as scenes
from isl.simulation import wells
from isl.specs import dataset_spec
from isl.specs.evaluation import (
    DeadSpec,
    EvaluationSpec,
    NeuritesSpec,
    NucleiSpec,
)
from isl.specs.region import Region

TRUTH_FILE = "nuclei.csv"
SPEC_FILE = "spec.json"
_TRUTH = {
    "value": f"{TRUTH_FILE} in the folder of each well",
    "source": "simulation",
}
TRUTH_COLUMNS = (
    "row",
    "column",
    "alive",
    "kind",
    "semi_major",
    "semi_minor",
    "angle",
)
COLUMNS_PER_PLATE, ROWS_PER_PLATE = 12, 26

# Nuclei are smaller than real ones and their background is even.
EVALUATION = EvaluationSpec(
    nuclei=NucleiSpec(
        labels=("DAPI_CONFOCAL",),
        smoothing_um=0.3,
        window_um=18.0,
        contrast=0.5,
        core_um=1.5,
        min_area_um2=2.7,
        min_distance_um=1.2,
    ),
    dead=DeadSpec("DEAD_CONFOCAL"),
    neurites=NeuritesSpec(("MAP2_CONFOCAL", "NFH_CONFOCAL")),
)


def simulated_spec(
    num_wells: int,
    size: int,
    num_z: int,
    modality: str = "PHASE_CONTRAST",
) -> dataset_spec.DatasetSpec:
    """Returns the spec of simulated wells, paths relative to `output_dir`.

    The last quarter of the wells, at least one, is the test split. A single
    well is split by columns: the first two thirds train, the rest tests.

    Args:
        num_wells: Number of wells, 1 to 312.
        size: Rows and columns of a well, pixels.
        num_z: Number of planes.
        modality: One of `optics.MODALITIES`.

    Returns:
        The spec.

    Raises:
        InputError: If a number is out of range.
    """
    wells.check_geometry((size, size), num_z)
    names = _well_names(num_wells)
    everything = Region(None, None)
    if num_wells == 1:
        boundary = 2 * size // 3
        splits = [
            {
                "train": Region(None, (0, boundary)),
                "test": Region(None, (boundary, size)),
            }
        ]
    else:
        num_test = max(1, num_wells // 4)
        splits = [{"train": everything}] * (num_wells - num_test)
        splits += [{"test": everything}] * num_test
    return dataset_spec.DatasetSpec(
        name="simulated",
        condition="simulated",
        modality=modality,
        num_z=num_z,
        labels=scenes.LABELS,
        pixel_size_um=wells.PIXEL_SIZE_UM,
        wells=tuple(
            dataset_spec.WellSpec(
                name=name, path=name, splits=split, planes=None, labels=None
            )
            for name, split in zip(names, splits, strict=True)
        ),
        well_folders={},
        evaluation=EVALUATION,
        facts={
            "cell_type": {
                "value": "simulated neurons, glia and dead cells",
                "source": "simulation",
            },
            "truth": _TRUTH,
        },
    )


def write_dataset(
    output_dir: str | os.PathLike,
    num_wells: int,
    size: int,
    num_z: int,
    seed: int,
    *,
    modality: str = "PHASE_CONTRAST",
    show_progress: bool = False,
) -> dataset_spec.DatasetSpec:
    """Simulates wells and writes them with their `spec.json`.

    Args:
        output_dir: Where the wells and the spec go: the spec's image root.
        num_wells: Number of wells, 1 to 312.
        size: Rows and columns of a well, pixels.
        num_z: Number of planes.
        seed: Non-negative; well `i` depends on `seed` and `i` only.
        modality: One of `optics.MODALITIES`.
        show_progress: Whether to draw a progress bar on standard error.

    Returns:
        The spec, as written. It is written last.

    Raises:
        InputError: If an argument is out of range or unknown.
    """
    if seed < 0:
        raise InputError(f"seed: must not be negative. Received: {seed}")
    spec = simulated_spec(num_wells, size, num_z, modality)
    spec_path = pathlib.Path(output_dir) / SPEC_FILE
    _check_spec_is_ours(spec_path)
    for well_spec in spec.wells:
        _check_is_ours(pathlib.Path(output_dir) / well_spec.path)
    progress = tqdm.tqdm(
        spec.wells, "simulate", unit="well", disable=not show_progress
    )
    for index, well_spec in enumerate(progress):
        well = wells.simulate_well((seed, index), (size, size), num_z, modality)
        folder = pathlib.Path(output_dir) / well_spec.path
        write_well(folder, well_spec.name, well)
    files.write_json(spec_path, spec.to_dict())
    return spec


def _check_spec_is_ours(path: pathlib.Path) -> None:
    """Raises InputError for a spec of wells that were not simulated."""
    if not path.exists():
        return
    facts = files.read_json_object(path).get("facts")
    if not isinstance(facts, dict) or facts.get("truth") != _TRUTH:
        raise InputError(
            f"{path}: output_dir must not hold the spec of other wells, as it "
            f"would be replaced; choose another. Received: a spec of wells "
            f"that were not simulated"
        )


def _check_is_ours(folder: pathlib.Path) -> None:
    """Raises InputError for a folder that `write_well` did not write."""
    if folder.exists() and not (folder / TRUTH_FILE).is_file():
        raise InputError(
            f"{folder}: output_dir must not hold wells that were not "
            f"simulated; choose another. Received: a folder without "
            f"{TRUTH_FILE}"
        )


def write_well(
    folder: str | os.PathLike, name: str, well: wells.SimulatedWell
) -> None:
    """Writes a well as 16-bit PNG planes and its truth as `nuclei.csv`.

    The folder appears when it is complete; an existing one is replaced.

    Args:
        folder: The folder of this well.
        name: Name of the well, for the file names.
        well: What to write.
    """
    with files.atomic_path(folder) as temporary:
        temporary.mkdir()
        for z in range(well.planes.shape[-1]):
            part = f"z_depth-{z},channel-{well.modality}"
            _write_png(temporary / _file_name(name, part), well.planes[:, :, z])
        for label, image in well.labels.items():
            _write_png(temporary / _label_file(name, label), image)
        (temporary / TRUTH_FILE).write_text(
            _truth_table(well.nuclei), encoding="utf-8"
        )


def read_nuclei(path: str | os.PathLike) -> tuple[scenes.Nucleus, ...]:
    """Reads the truth that `write_well` wrote.

    Args:
        path: A `nuclei.csv`.

    Returns:
        The nuclei, in the order of the file.

    Raises:
        InputError: If the file is not such a table.
    """
    try:
        text = pathlib.Path(path).read_text(encoding="utf-8")
        lines = csv.DictReader(io.StringIO(text))
        if tuple(lines.fieldnames or ()) != TRUTH_COLUMNS:
            raise ValueError(f"columns {lines.fieldnames}")
        return tuple(_nucleus(line) for line in lines)
    except (TypeError, ValueError) as error:
        raise InputError(
            f"{path}: must be a CSV with the columns "
            f"{', '.join(TRUTH_COLUMNS)}. Received: {error}"
        ) from error


def _nucleus(line: Mapping[str, str]) -> scenes.Nucleus:
    return scenes.Nucleus(
        row=float(line["row"]),
        column=float(line["column"]),
        kind=line["kind"],
        semi_major=float(line["semi_major"]),
        semi_minor=float(line["semi_minor"]),
        angle=float(line["angle"]),
    )


def _well_names(num_wells: int) -> list[str]:
    limit = COLUMNS_PER_PLATE * ROWS_PER_PLATE
    if not 1 <= num_wells <= limit:
        raise InputError(
            f"num_wells: must be 1 to {limit}. Received: {num_wells}"
        )
    return [
        f"{chr(ord('A') + index // COLUMNS_PER_PLATE)}"
        f"{index % COLUMNS_PER_PLATE + 1}"
        for index in range(num_wells)
    ]


def _file_name(well_name: str, part: str) -> str:
    return (
        "lab-SIMULATED,condition-SIMULATED,acquisition_date,year-2000,"
        f"month-1,day-1,minute-0,well-{well_name},"
        f"tile_computation-STITCHED,{part},is_mask-false.png"
    )


def _label_file(well_name: str, label: str) -> str:
    return _file_name(
        well_name, f"depth_computation-MAXPROJECT,channel-{label}"
    )


def _write_png(path: pathlib.Path, image: np.ndarray) -> None:
    # Level 1: noise hardly compresses, higher levels only take longer.
    Image.fromarray(image).save(path, compress_level=1)


def _truth_table(nuclei: Iterable[scenes.Nucleus]) -> str:
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(TRUTH_COLUMNS)
    for n in nuclei:
        writer.writerow(
            [
                f"{n.row:.2f}",
                f"{n.column:.2f}",
                int(n.alive),
                n.kind,
                f"{n.semi_major:.2f}",
                f"{n.semi_minor:.2f}",
                f"{n.angle:.3f}",
            ]
        )
    return table.getvalue()
