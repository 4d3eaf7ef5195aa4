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
