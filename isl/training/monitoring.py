"""What a run writes while it trains: `log.csv` and TensorBoard events.

TensorBoard files are written by tensorboardX, which needs none of the
frameworks, so that every back end has them.
"""

import csv
import io
import json
import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from tensorboardX import SummaryWriter

from isl.files import write_text
from isl.training.validation import Validation

LOG_FILE = "log.csv"
TENSORBOARD_FOLDER = "tensorboard"

RUN_COLUMNS = (
    "step",
    "minutes",
    "learning_rate",
    "steps_per_second",
    "labelled_pixels_per_second",
)
LOG_METRICS = ("nll", "pearson", "bin_accuracy")
"""Metrics of the validation in the log; TensorBoard has all."""


class Log:
    """The table `log.csv`: a row an epoch."""

    def __init__(self, path: str | os.PathLike, columns: Sequence[str]):
        """Opens a table, with the rows of an earlier part of the run.

        Args:
            path: The file.
            columns: Names of the columns; the first is `step`.
        """
        self._path = pathlib.Path(path)
        self._columns = list(columns)
        self._rows: list[dict[str, Any]] = []
        if self._path.is_file():
            with self._path.open(newline="", encoding="utf-8") as file:
                self._rows = list(csv.DictReader(file))

    def forget_after(self, step: int) -> None:
        """Drops rows of steps that a resumed run does again."""
        self._rows = [row for row in self._rows if int(row["step"]) <= step]

    def append(self, row: Mapping[str, Any]) -> None:
        """Adds a row and writes the table; None becomes an empty cell."""
        self._rows.append(dict(row))
        text = io.StringIO()
        writer = csv.DictWriter(
            text, self._columns, extrasaction="ignore", lineterminator="\n"
        )
        writer.writeheader()
        writer.writerows(self._rows)
        write_text(self._path, text.getvalue())


class Monitor:
    """TensorBoard events of a run."""

    def __init__(self, folder: str | os.PathLike, first_step: int):
        """Opens an event file.

        Args:
            folder: Where TensorBoard looks.
            first_step: Events of later steps, from a part of the run that
                was lost, are hidden.
        """
        self._writer = SummaryWriter(
            str(folder),
            purge_step=first_step + 1,
            # Two files of one second would have the same name.
            filename_suffix=f".{first_step}",
        )

    def write_config(self, config: Mapping[str, Any]) -> None:
        """Shows the configuration as text."""
        text = json.dumps(config, indent=2)
        self._writer.add_text("config", f"```json\n{text}\n```", 0)

    def write_scalars(
        self, scalars: Mapping[str, float | None], step: int
    ) -> None:
        """Adds points to curves; undefined values are left out."""
        for name, value in scalars.items():
            if value is not None:
                self._writer.add_scalar(name, value, step)

    def write_panels(self, panels: Mapping[str, np.ndarray], step: int) -> None:
        """Shows error panels, float32 in [0, 1], [row, column, 3]."""
        for label, panel in panels.items():
            self._writer.add_image(
                f"validation/{label}", panel, step, dataformats="HWC"
            )

    def close(self) -> None:
        """Writes what is left and closes the file."""
        self._writer.close()

    def flush(self) -> None:
        """Makes what was written visible."""
        self._writer.flush()


class RunRecord:
    """Both at once: the record of a run in its working folder."""

    def __init__(
        self,
        workdir: str | os.PathLike,
        heads: Sequence[str],
        labels: Sequence[str],
        step: int,
    ):
        """Opens the record; what a stopped run wrote after `step` is dropped.

        Args:
            workdir: Folder of the run.
            heads: Heads with a loss.
            labels: Labels that are validated.
            step: Steps done.
        """
        workdir = pathlib.Path(workdir)
        self._heads = list(heads)
        columns = [*RUN_COLUMNS, "loss", *(f"{h}_loss" for h in heads)]
        for label in labels:
            columns += [f"validation_{label}_{m}" for m in LOG_METRICS]
        self._log = Log(workdir / LOG_FILE, columns)
        self._log.forget_after(step)
        self._monitor = Monitor(workdir / TENSORBOARD_FOLDER, step)

    def write_config(self, config: Mapping[str, Any]) -> None:
        """Shows the configuration as text in TensorBoard."""
        self._monitor.write_config(config)

    def write_epoch(
        self,
        state: Mapping[str, float],
        losses: Mapping[str, float],
        validation: Validation,
    ) -> None:
        """Writes a row of the log and the events of an epoch.

        Args:
            state: Values of `RUN_COLUMNS`.
            losses: Mean losses of the epoch, as Keras names them.
            validation: Scores of the validation patches.
        """
        row = {**state, "loss": losses["loss"]}
        for head in self._heads:
            # Keras does not name the only output of a model in its losses.
            row[f"{head}_loss"] = losses.get(f"{head}_loss", losses["loss"])
        scalars = {f"run/{name}": state[name] for name in RUN_COLUMNS[2:]}
        for name in ("loss", *(f"{head}_loss" for head in self._heads)):
            scalars[f"train/{name}"] = row[name]
        for label, metrics in validation.metrics.items():
            for metric, value in metrics.items():
                scalars[f"validation/{label}/{metric}"] = value
                row[f"validation_{label}_{metric}"] = value
        self._log.append(row)
        self._monitor.write_scalars(scalars, int(state["step"]))
        self._monitor.write_panels(validation.panels, int(state["step"]))
        self._monitor.flush()

    def close(self) -> None:
        """Closes the event file."""
        self._monitor.close()
