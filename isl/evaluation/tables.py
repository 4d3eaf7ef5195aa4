"""Tables of metrics: `metrics.csv` for people, `metrics.json` for programs."""

import csv
import dataclasses
import io
import math
import os
import pathlib
from collections.abc import Iterable, Mapping
from typing import Any

from isl import files
from isl.csv_files import write_csv
from isl.errors import InputError

METRICS_CSV = "metrics.csv"
METRICS_JSON = "metrics.json"
POOLED = "pooled"
FAILED = "failed"
"""The only metric of a well that could not be scored."""
COLUMNS = (
    "condition",
    "well",
    "label",
    "metric",
    "value",
    "count",
    "low",
    "high",
)
_NUM_NEEDED = 6  # All but the ends of the interval.


@dataclasses.dataclass(frozen=True)
class MetricRow:
    """One number.

    Attributes:
        condition: Condition of the data set; may be empty.
        well: Name of the well, or `POOLED` for all wells together.
        label: The label, such as DAPI_CONFOCAL.
        metric: Name of the metric, such as pearson.
        value: The number; None if it is undefined.
        count: Number of pixels (or objects) it rests on.
        low: Lower end of its 95 % interval
            (`isl.evaluation.tile_scores.bootstrap_intervals`); None without.
        high: Upper end, likewise.
    """

    condition: str
    well: str
    label: str
    metric: str
    value: float | None
    count: int
    low: float | None = None
    high: float | None = None


def write_metrics(
    output_dir: str | os.PathLike,
    rows: Iterable[MetricRow],
    run: Mapping[str, Any],
    details: Mapping[str, Any] | None = None,
) -> None:
    """Writes `metrics.csv` and `metrics.json`.

    The CSV has the columns `COLUMNS`; an undefined value is an empty cell.
    The JSON is {"run": ..., "metrics": {condition: {well: {label: {metric:
    {"value": ..., "count": ..., "low": ..., "high": ...}}}}}, "details":
    ...}; an undefined value is null.

    Args:
        output_dir: Folder of both files.
        rows: The numbers, in the order to be written.
        run: How they were made (model, commit, command, ...), for the JSON.
        details: From `isl.evaluation.details.metric_details`, for the JSON.

    Raises:
        ValueError: If a value is not finite or a row occurs twice.
    """
    rows = tuple(rows)
    nested = _nested(rows)
    output_dir = pathlib.Path(output_dir)
    write_csv(output_dir / METRICS_CSV, COLUMNS, map(_values, rows))
    files.write_json(
        output_dir / METRICS_JSON,
        {
            "run": dict(run),
            "metrics": nested,
            "details": dict(details or {}),
        },
    )


def _values(row: MetricRow) -> tuple[Any, ...]:
    """The cells of `COLUMNS`; numbers look the same, whatever their type."""
    value, low, high = (
        None if number is None else float(number)
        for number in (row.value, row.low, row.high)
    )
    place = (row.condition, row.well, row.label, row.metric)
    return (*place, value, row.count, low, high)


def read_metrics_csv(path: str | os.PathLike) -> tuple[MetricRow, ...]:
    """Reads the rows of a `metrics.csv`, in order.

    Args:
        path: The file; it may lack the intervals, the last two columns.

    Raises:
        InputError: If the file cannot be read or is not such a table.
    """
    try:
        text = pathlib.Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read. {error}") from error
    reader = csv.reader(io.StringIO(text))
    header = tuple(next(reader, ()))
    if header not in (COLUMNS, COLUMNS[:_NUM_NEEDED]):
        raise InputError(
            f"{path}: must have the columns {','.join(COLUMNS)}. "
            f"Received: {','.join(header)!r}"
        )
    return tuple(_parse(path, reader.line_num, header, x) for x in reader)


def read_details(path: str | os.PathLike) -> dict[str, Any]:
    """Reads the `details` of a `metrics.json`.

    Args:
        path: The file.

    Returns:
        See `isl.evaluation.details.metric_details`.

    Raises:
        InputError: If the file cannot be read or is not such a table.
    """
    content = files.read_json(path)
    details = content.get("details") if isinstance(content, dict) else None
    if not isinstance(details, dict):
        raise InputError(
            f"{path}: must hold `details`, as evaluate.py writes them. "
            f"Received: {type(details).__name__}"
        )
    return details


def _nested(rows: tuple[MetricRow, ...]) -> dict[str, Any]:
    nested: dict[str, Any] = {}
    for row in rows:
        for number in (row.value, row.low, row.high):
            if number is not None and not math.isfinite(number):
                raise ValueError(
                    f"value must be finite, or None if undefined. "
                    f"Received: {row}"
                )
        of_well = nested.setdefault(row.condition, {}).setdefault(row.well, {})
        of_label = of_well.setdefault(row.label, {})
        if row.metric in of_label:
            raise ValueError(f"Every row must occur once. Received: {row}")
        of_label[row.metric] = {
            "value": None if row.value is None else float(row.value),
            "count": int(row.count),
            "low": None if row.low is None else float(row.low),
            "high": None if row.high is None else float(row.high),
        }
    return nested


def _parse(
    path: str | os.PathLike,
    line_number: int,
    header: tuple[str, ...],
    line: list[str],
) -> MetricRow:
    try:
        cells = dict(zip(header, line, strict=True))
        condition, well, label, metric, value, count = line[:_NUM_NEEDED]
        low, high = cells.get("low"), cells.get("high")
        return MetricRow(
            condition,
            well,
            label,
            metric,
            float(value) if value else None,
            int(count),
            float(low) if low else None,
            float(high) if high else None,
        )
    except ValueError as error:
        raise InputError(
            f"{path}: line {line_number} must be {','.join(header)}. "
            f"Received: {','.join(line)!r}"
        ) from error
