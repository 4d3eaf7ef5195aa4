"""What a run writes while it trains: `log.csv` and TensorBoard events.

TensorBoard files are written by tensorboardX, which needs none of the
frameworks, so that every back end has them.
"""

import csv
import io
import json
import os
import pathlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from PIL import Image
from tensorboardX import SummaryWriter
from tensorboardX.summary import hparams

from isl.csv_files import write_csv
from isl.errors import InputError
from isl.evaluation.distributions import DistributionScores
from isl.evaluation.scoring import LabelScores
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
LOG_METRICS = ("nll", "pearson", "mean_pearson", "bin_accuracy")
"""Metrics of the validation in the log; TensorBoard has all."""

DrawCalibration = Callable[[DistributionScores, str], bytes]
"""Draws under a title whether distributions are right; returns a PNG file."""


def read_log_rows(path: str | os.PathLike) -> list[dict[str, Any]]:
    """Reads the rows of a `log.csv`, values as text.

    Raises:
        InputError: If it cannot be read, or is another table.
    """
    try:
        with open(path, newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"{path}: must be the log of a run. Received: "
            f"{type(error).__name__}"
        ) from error
    if rows and "step" not in rows[0]:
        raise InputError(
            f"{path}: must have a column step. Received: {', '.join(rows[0])}"
        )
    for row in rows:
        if not (row["step"] or "").isdecimal():
            raise InputError(
                f"{path}: must have whole numbers in the column step. "
                f"Received: {row['step']}"
            )
    return rows


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
            self._rows = read_log_rows(self._path)

    def forget_after(self, step: int) -> None:
        """Drops rows of steps that a resumed run does again."""
        self._rows = [row for row in self._rows if int(row["step"]) <= step]

    def append(self, row: Mapping[str, Any]) -> None:
        """Adds a row and writes the table; None becomes an empty cell."""
        self._rows.append(dict(row))
        rows = ([row.get(name) for name in self._columns] for row in self._rows)
        write_csv(self._path, self._columns, rows)


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

    def write_hyper_parameters(
        self, values: Mapping[str, Any], metrics: Iterable[str]
    ) -> None:
        """Enters the run into the table of hyper-parameters.

        Args:
            values: Name to number, boolean or text.
            metrics: Names of the curves whose last points stand beside them.
        """
        for summary in hparams(dict(values), dict.fromkeys(metrics, 0.0))[:2]:
            self._writer.file_writer.add_summary(summary)

    def write_end(self) -> None:
        """Marks the run as finished in the table of hyper-parameters."""
        self._writer.file_writer.add_summary(hparams({}, {})[2])

    def write_images(self, images: Mapping[str, np.ndarray], step: int) -> None:
        """Shows colours in [0, 1] or uint8, [row, column, 3]."""
        for name, image in images.items():
            self._writer.add_image(name, image, step, dataformats="HWC")

    def write_histograms(
        self, histograms: Mapping[str, np.ndarray], step: int
    ) -> None:
        """Shows how values are distributed; arrays of any shape."""
        for name, values in histograms.items():
            self._writer.add_histogram(name, values, step)

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
        draw_calibration: DrawCalibration | None = None,
    ):
        """Opens the record; what a stopped run wrote after `step` is dropped.

        Args:
            workdir: Folder of the run.
            heads: Heads with a loss.
            labels: Labels that are validated.
            step: Steps done.
            draw_calibration: Draws the calibration of a label; None: it is
                not shown.
        """
        workdir = pathlib.Path(workdir)
        self._heads = list(heads)
        self._labels = list(labels)
        self._draw_calibration = draw_calibration
        columns = [*RUN_COLUMNS, "loss", *(f"{h}_loss" for h in heads)]
        for label in labels:
            columns += [f"validation_{label}_{m}" for m in LOG_METRICS]
        self._log = Log(workdir / LOG_FILE, columns)
        self._log.forget_after(step)
        self._monitor = Monitor(workdir / TENSORBOARD_FOLDER, step)

    def write_start(self, run: Mapping[str, Any]) -> None:
        """Shows in TensorBoard how the run was started.

        Args:
            run: All of it; `config` is `TrainConfig.to_dict`.
        """
        self._monitor.write_config(run)
        metrics = [
            f"validation/{label}/{metric}"
            for label in self._labels
            for metric in LabelScores().metrics()
        ]
        self._monitor.write_hyper_parameters(
            hyper_parameters(run["config"]), ["train/loss", *metrics]
        )

    def write_epoch(
        self,
        state: Mapping[str, float],
        losses: Mapping[str, float | None],
        validation: Validation,
        kernels: Mapping[str, np.ndarray],
    ) -> None:
        """Writes a row of the log and the events of an epoch.

        Args:
            state: Values of `RUN_COLUMNS`.
            losses: Mean losses of the epoch, from `Learner.learn`.
            validation: Scores of the validation patches.
            kernels: Part of the network to its weights, [weight].
        """
        row = {**state, "loss": losses["loss"]}
        for head in self._heads:
            row[f"{head}_loss"] = losses[f"{head}_loss"]
        scalars = {f"run/{name}": state[name] for name in RUN_COLUMNS[2:]}
        for name in ("loss", *(f"{head}_loss" for head in self._heads)):
            scalars[f"train/{name}"] = row[name]
        for label, metrics in validation.metrics.items():
            for metric, value in metrics.items():
                scalars[f"validation/{label}/{metric}"] = value
                row[f"validation_{label}_{metric}"] = value
        self._log.append(row)
        step = int(state["step"])
        self._monitor.write_scalars(scalars, step)
        self._monitor.write_images(self._images(validation), step)
        for kind, parts in (
            ("weights", kernels),
            ("activations", validation.activations),
        ):
            self._monitor.write_histograms(
                {f"{kind}/{part}": values for part, values in parts.items()},
                step,
            )
        self._monitor.flush()

    def _images(self, validation: Validation) -> dict[str, np.ndarray]:
        images = {
            f"validation/{label}": panel
            for label, panel in validation.panels.items()
        }
        if self._draw_calibration is not None:
            for label, scores in validation.distributions.items():
                png = self._draw_calibration(scores, label)
                with Image.open(io.BytesIO(png)) as picture:
                    images[f"calibration/{label}"] = np.asarray(
                        picture.convert("RGB")
                    )
        return images

    def write_end(self) -> None:
        """Marks the run as finished."""
        self._monitor.write_end()

    def close(self) -> None:
        """Closes the event file."""
        self._monitor.close()


def hyper_parameters(config: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the settings that a table of runs can compare.

    Args:
        config: From `TrainConfig.to_dict`.

    Returns:
        Name to number, boolean or text; those of the network begin with
        `architecture.`; settings that are None are left out.
    """
    named = {f"architecture.{k}": v for k, v in config["architecture"].items()}
    values = {
        name: value
        for name, value in {**config, **named}.items()
        if isinstance(value, bool | int | float | str)
    }
    return {**values, "labels": ", ".join(config["labels"])}
