import csv
import json

import pytest

from isl.errors import InputError

SCRIPT = "evaluate"


def test_region_limits_the_pixels(run, wells, model, tmp_path):
    run(
        model=model,
        data_specs=wells / "spec.json",
        image_root=wells,
        output_dir=tmp_path,
        region="0-40:10-64",
    )
    metrics = json.loads((tmp_path / "metrics.json").read_text())["metrics"]
    row = metrics["simulated"]["pooled"]["DAPI_CONFOCAL"]["mae"]
    assert row["count"] == 40 * 54


def test_cells_and_curves_are_written(run, wells, model, tmp_path):
    run(
        model=model,
        data_specs=wells / "spec.json",
        image_root=wells,
        output_dir=tmp_path,
        segmenter="tests.tiny_runs:quarters",
    )
    with (tmp_path / "cells.csv").open(newline="") as file:
        cells = list(csv.DictReader(file))
    assert [(row["well"], row["true_area"]) for row in cells] == [
        ("A2", str(32 * 32))
    ] * 4
    content = json.loads((tmp_path / "metrics.json").read_text())
    pooled = content["metrics"]["simulated"]["pooled"]["DAPI_CONFOCAL"]
    assert pooled["cells_true"]["value"] == 4
    assert pooled["cell_f1"]["value"] == 1
    assert content["run"]["segmenter"] == "tests.tiny_runs:quarters"
    details = content["details"]["simulated"]["DAPI_CONFOCAL"]
    assert sum(details["pit"]) == pytest.approx(64 * 64)
    assert {row["f1"] for row in details["iou_curve"]} == {1.0}


@pytest.mark.parametrize(
    ("changes", "parts"),
    [
        ({"region": "0-40"}, ["0-40"]),
        ({"region": "0-400:"}, ["400"]),
        ({"split": "holdout"}, ["holdout"]),
        ({"labels": "GFP"}, ["GFP"]),
        ({"model": "/nowhere"}, ["/nowhere", "model folder"]),
        ({"predictions": "p.ome.tif"}, ["--predictions", "not both"]),
        ({"data_specs": "/nowhere.json"}, ["/nowhere.json"]),
        ({"labels": "DAPI_CONFOCAL,GFP"}, ["labels", "GFP"]),
        ({"segmenter": "no_such.module:f"}, ["segmenter", "no_such.module"]),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_evaluate_reports_mistakes(run, wells, model, tmp_path, changes, parts):
    values = {
        "model": model,
        "data_specs": wells / "spec.json",
        "image_root": wells,
        "output_dir": tmp_path / "out",
    }
    with pytest.raises(InputError) as caught:
        run(**(values | changes))
    assert all(part in str(caught.value) for part in parts)
    assert not (tmp_path / "out").exists()
