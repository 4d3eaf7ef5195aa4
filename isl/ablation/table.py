"""The table of a grid: a row for each run, label and metric."""

import dataclasses
import os
import pathlib
from collections.abc import Iterable, Sequence
from typing import Any

from isl.claims import claim
from isl.csv_files import write_csv
from isl.errors import InputError
from isl.evaluation.scoring import LabelScores
from isl.files import read_json_object, write_json

TABLE_FILE = "table.csv"
RESULT_SUFFIX = ".result.json"


@dataclasses.dataclass(frozen=True)
class TableRow:
    """One number; the attributes are the columns.

    Attributes:
        model: Name of the network in the grid; `local_deviation` is the
            prediction without learning.
        num_z: Planes of the network; None without one, as in what follows.
        train_share: Share of the training pixels.
        labels: Labels of the network, joined by `+`.
        loss: Loss of the training.
        towers: Towers of the network; None for a U-Net.
        autoencoding: Whether there was a head for each input plane.
        seed: Of the run.
        steps: Steps of training.
        minutes: Minutes of training.
        parameters: Trainable parameters.
        multiply_adds_per_pixel: See
            `isl.network.cost.multiply_adds_per_pixel`.
        label: The label that was judged.
        metric: Name of the metric, as in `metrics.csv`.
        value: The number; None if it is undefined.
    """

    model: str
    num_z: int | None
    train_share: float | None
    labels: str | None
    loss: str | None
    towers: int | None
    autoencoding: bool | None
    seed: int | None
    steps: int
    minutes: float
    parameters: int
    multiply_adds_per_pixel: float
    label: str
    metric: str
    value: float | None


COLUMNS = tuple(field.name for field in dataclasses.fields(TableRow))


def check_metrics(metrics: Iterable[str]) -> None:
    """Raises InputError if a metric is none of those of a table."""
    # Those of tiles and of the camera are not defined everywhere.
    known = (*LabelScores().metrics(), "ssim", "psnr", "mae_camera")
    unknown = [name for name in metrics if name not in known]
    if unknown:
        raise InputError(
            f"metrics must be from {', '.join(known)}. Received: "
            f"{', '.join(unknown)}"
        )


def write_result(
    path: str | os.PathLike, rows: Sequence[TableRow], run: dict[str, Any]
) -> None:
    """Writes the rows of a finished run, and how it was made."""
    values = [dataclasses.asdict(row) for row in rows]
    write_json(path, {"rows": values, "run": run})


def read_result(path: str | os.PathLike) -> tuple[TableRow, ...]:
    """Reads the rows of a finished run.

    Raises:
        InputError: If the file is not from `write_result`.
    """
    try:
        return tuple(TableRow(**row) for row in read_json_object(path)["rows"])
    except (KeyError, TypeError) as error:
        raise InputError(
            f"{path}: must hold the rows of a run. Received: {error}"
        ) from error


def read_run(path: str | os.PathLike, needed: Iterable[str]) -> dict[str, Any]:
    """Reads how a finished run was made.

    Args:
        path: File of `write_result`.
        needed: What it must say.

    Raises:
        InputError: If the file does not say so.
    """
    run = read_json_object(path, {"run": dict})["run"]
    if missing := set(needed) - set(run):
        raise InputError(
            f"{path}: must say how the run was made. Received: a file without "
            f"{', '.join(sorted(missing))}"
        )
    return run


def collect_table(
    output_dir: str | os.PathLike, results: Iterable[pathlib.Path]
) -> tuple[TableRow, ...]:
    """Writes `table.csv` from what is finished; returns its rows.

    Args:
        output_dir: Folder of the grid.
        results: Files of `write_result` in the order of the table; those that
            are not there yet are left out.
    """
    output_dir = pathlib.Path(output_dir)
    # One process after another, so that the last one has seen all results.
    with claim(output_dir / f".{TABLE_FILE}.lock", wait=True):
        rows = tuple(
            row
            for path in results
            if path.is_file()
            for row in read_result(path)
        )
        write_csv(
            output_dir / TABLE_FILE, COLUMNS, map(dataclasses.astuple, rows)
        )
    return rows
