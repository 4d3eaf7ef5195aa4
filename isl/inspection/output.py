"""An inspection as files: tables and a contact sheet."""

import dataclasses
import os
import pathlib
from collections.abc import Mapping
from typing import Any

from isl.csv_files import write_csv
from isl.errors import InputError
from isl.files import atomic_path
from isl.inspection.contact_sheet import draw_contact_sheet
from isl.inspection.inspection import Inspection
from isl.inspection.text import shorten
from isl.inspection.well_report import ImageReport

IMAGE_COLUMNS = (
    "well",
    "tile",
    "channel",
    "role",
    "z",
    "file",
    "rows",
    "columns",
    "bits",
    "pixel_size_um",
    "minimum",
    "mean",
    "standard_deviation",
    "maximum",
    "share_at_0",
    "share_at_maximum",
    "sharpness",
)
PROBLEM_COLUMNS = ("level", "kind", "well", "file", "what", "advice")


def check_output_dir(
    output_dir: str | os.PathLike, root: str | os.PathLike
) -> None:
    """Checks that nothing would be written into what is inspected.

    Raises:
        InputError: If the folder for the output is that of the input, or
            lies in it.
    """
    output = pathlib.Path(output_dir).resolve()
    if output.is_relative_to(pathlib.Path(root).resolve()):
        raise InputError(
            f"output_dir: must lie outside of the input, {root}. "
            f"Received: {output_dir}."
        )


def write_inspection(
    output_dir: str | os.PathLike,
    inspection: Inspection,
    root: str | os.PathLike,
) -> None:
    """Writes `images.csv`, `problems.csv` and `contact_sheet.png`.

    `images.csv` has a row for each image, with the columns `IMAGE_COLUMNS`
    (intensities in [0, 1]); of images that cannot be read, cells are empty.
    `problems.csv` has a row for each problem, with `PROBLEM_COLUMNS`.

    Args:
        output_dir: Folder of the files.
        inspection: The inspection.
        root: What was inspected; files are named from there on.

    Raises:
        InputError: If `output_dir` is inside of `root`.
    """
    check_output_dir(output_dir, root)
    folder = pathlib.Path(output_dir)
    images = [
        _image_row(report, inspection.pixel_size_um, root)
        for well in inspection.wells
        for report in well.images
    ]
    problems = [
        {
            "level": problem.level,
            "kind": problem.kind,
            "well": problem.well,
            "file": shorten(problem.path, root),
            "what": problem.what,
            "advice": problem.advice,
        }
        for problem in inspection.problems
    ]
    for name, columns, rows in (
        ("images.csv", IMAGE_COLUMNS, images),
        ("problems.csv", PROBLEM_COLUMNS, problems),
    ):
        cells = ([row.get(column) for column in columns] for row in rows)
        write_csv(folder / name, columns, cells)
    sheet = draw_contact_sheet(inspection, os.path.basename(root))
    with atomic_path(folder / "contact_sheet.png") as temporary:
        sheet.save(temporary)


def _image_row(
    report: ImageReport,
    pixel_size_um: Mapping[str, float],
    root: str | os.PathLike,
) -> dict[str, Any]:
    channel, values = report.channel, report.measured
    row = {
        "well": channel.well,
        "tile": channel.tile,
        "channel": channel.name,
        "role": channel.role,
        "z": report.image.z,
        "file": shorten(report.image.path, root),
        "pixel_size_um": pixel_size_um.get(channel.well),
    }
    if values is None:
        return row
    row |= {"rows": values.shape[0], "columns": values.shape[1]}
    row |= {"bits": values.bits, "sharpness": float(values.focus.mean())}
    fields = {field.name for field in dataclasses.fields(values)}
    return row | {
        name: getattr(values, name) for name in IMAGE_COLUMNS if name in fields
    }
