import json

import pytest

from isl.errors import InputError
from isl.evaluation import tables

ROWS = (
    tables.MetricRow(
        "b", "A4", "DAPI_CONFOCAL", "pearson", 0.1 + 0.2, 100, 0.25, 0.5
    ),
    tables.MetricRow("b", "A4", "DAPI_CONFOCAL", "nll", None, 0),
    tables.MetricRow("b", tables.POOLED, "MAP2_CONFOCAL", "mae", 1.0, 7),
)


def test_csv_text(tmp_path):
    tables.write_metrics(tmp_path, ROWS, {})
    assert (tmp_path / "metrics.csv").read_text().splitlines() == [
        "condition,well,label,metric,value,count,low,high",
        "b,A4,DAPI_CONFOCAL,pearson,0.30000000000000004,100,0.25,0.5",
        "b,A4,DAPI_CONFOCAL,nll,,0,,",
        "b,pooled,MAP2_CONFOCAL,mae,1.0,7,,",
    ]


def test_json_is_nested(tmp_path):
    tables.write_metrics(tmp_path, ROWS, {"commit": "abc"})
    content = json.loads((tmp_path / "metrics.json").read_text())
    assert content["run"] == {"commit": "abc"}
    assert content["metrics"]["b"]["A4"]["DAPI_CONFOCAL"] == {
        "pearson": {
            "value": 0.1 + 0.2,
            "count": 100,
            "low": 0.25,
            "high": 0.5,
        },
        "nll": {"value": None, "count": 0, "low": None, "high": None},
    }


def test_a_csv_reads_back(tmp_path):
    tables.write_metrics(tmp_path, ROWS, {})
    assert tables.read_metrics_csv(tmp_path / "metrics.csv") == ROWS


def test_a_csv_without_intervals_can_be_read(tmp_path):
    path = tmp_path / "metrics.csv"
    path.write_text(
        "condition,well,label,metric,value,count\nb,A4,DAPI,mae,0.5,7\n"
    )
    row = tables.MetricRow("b", "A4", "DAPI", "mae", 0.5, 7, None, None)
    assert tables.read_metrics_csv(path) == (row,)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_values_that_are_not_finite_are_rejected(tmp_path, value):
    row = tables.MetricRow("b", "A4", "DAPI_CONFOCAL", "pearson", value, 1)
    with pytest.raises(ValueError, match="must be finite"):
        tables.write_metrics(tmp_path, [row], {})
    assert not list(tmp_path.iterdir())


def test_ends_of_an_interval_must_be_finite(tmp_path):
    row = tables.MetricRow("b", "A4", "A", "mae", 1.0, 1, 0.5, float("nan"))
    with pytest.raises(ValueError, match="must be finite"):
        tables.write_metrics(tmp_path, [row], {})


def test_details_read_back(tmp_path):
    details = {"b": {"DAPI_CONFOCAL": {"pit": [1.0, 2.0]}}}
    tables.write_metrics(tmp_path, ROWS, {}, details)
    assert tables.read_details(tmp_path / "metrics.json") == details


def test_a_json_without_details_is_rejected(tmp_path):
    path = tmp_path / "metrics.json"
    path.write_text("[]")
    with pytest.raises(InputError, match="must hold `details`"):
        tables.read_details(path)


def test_a_row_that_occurs_twice_is_rejected(tmp_path):
    with pytest.raises(ValueError, match="must occur once"):
        tables.write_metrics(tmp_path, [ROWS[0], ROWS[0]], {})


@pytest.mark.parametrize(
    "text, message",
    [
        ("", "must have the columns condition,well"),
        ("well,label\n", "Received: 'well,label'"),
        (",".join(tables.COLUMNS) + "\na,b,c,d,high,1,,\n", "line 2 must be"),
        (",".join(tables.COLUMNS) + "\na,b,c\n", "line 2 must be"),
        (",".join(tables.COLUMNS) + "\na,b,c,d,1,1\n", "line 2 must be"),
        (",".join(tables.COLUMNS[:6]) + "\na,b,c,d,1,1,,\n", "line 2 must"),
    ],
)
def test_a_wrong_csv_is_rejected(tmp_path, text, message):
    path = tmp_path / "metrics.csv"
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        tables.read_metrics_csv(path)


def test_a_missing_csv_is_rejected(tmp_path):
    with pytest.raises(InputError, match="missing.csv: cannot be read"):
        tables.read_metrics_csv(tmp_path / "missing.csv")
