import csv
import dataclasses
import json
import re

import numpy as np
import pytest

from isl.errors import InputError
from isl.evaluation import judging, parts
from isl.evaluation.tables import read_metrics_csv
from isl.images import open_wells, write_ome_tiff
from isl.simulation.dataset import write_dataset
from isl.specs import load_dataset_spec

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
    run_block = json.loads((tmp_path / "metrics.json").read_text())["run"]
    assert not {"precision", "planes"} & set(run_block)


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


def test_precision_and_planes_stand_in_the_report(run, model, tmp_path):
    root = tmp_path / "wells"
    write_dataset(root, 2, 64, 5, 0)
    run(
        model=model,
        data_specs=root / "spec.json",
        image_root=root,
        output_dir=tmp_path / "out",
        region="0-32:0-32",
        precision="mixed_bfloat16",
    )
    page = (tmp_path / "out" / "report.html").read_text()
    content = json.loads((tmp_path / "out" / "metrics.json").read_text())
    for name, value in (
        ("precision", "mixed_bfloat16"),
        ("planes", "planes 0,4 of 0 to 4 (A2)"),
    ):
        assert content["run"][name] == value
        assert f"<dt>{name}</dt><dd class='run'>{value}</dd>" in page


def test_precision_goes_with_a_model(run, wells, tmp_path):
    with pytest.raises(InputError, match="--precision must be left out with"):
        run(
            predictions=tmp_path / "A2.ome.tif",
            data_specs=wells / "spec.json",
            image_root=wells,
            output_dir=tmp_path / "out",
            precision="mixed_bfloat16",
        )


def test_stored_predictions_of_several_wells(run, wells, tmp_path):
    spec = load_dataset_spec(wells / "spec.json")
    labels = ("DAPI_CONFOCAL",)
    folder = tmp_path / "predictions"
    folder.mkdir()
    for split in ("train", "test"):
        for _, well in open_wells(spec, wells, split):
            rows, columns = (slice(0, size) for size in well.shape)
            truth = [well.read_label(x, rows, columns) / 65535 for x in labels]
            write_ome_tiff(
                folder / f"{well.name}.ome.tif",
                np.stack(truth).astype(np.float32),
                "CYX",
                [f"{label}:median" for label in labels],
            )
    flags = {"data_specs": wells / "spec.json", "image_root": wells}
    run(
        predictions=folder,
        output_dir=tmp_path / "out",
        labels=labels[0],
        **flags,
    )
    metrics = json.loads((tmp_path / "out" / "metrics.json").read_text())
    of_wells = metrics["metrics"]["simulated"]
    assert of_wells["pooled"][labels[0]]["pearson"]["value"] > 0.999
    assert set(of_wells) == {"A2", "pooled"}
    assert metrics["run"]["predictions"] == str(folder)
    for label in ("DAPI_CONFOCAL,DEAD_CONFOCAL", "DEAD_CONFOCAL"):
        with pytest.raises(InputError, match="medians of DEAD_CONFOCAL of"):
            run(
                predictions=folder,
                output_dir=tmp_path / "other",
                labels=label,
                **flags,
            )
    assert not (tmp_path / "other").exists()


@pytest.fixture
def damaged(tmp_path):
    """Makes three test wells; the label of one cannot be decoded."""

    def make(well):
        root = tmp_path / "wells"
        write_dataset(root, 3, 64, 2, 0)
        path = root / "spec.json"
        spec = json.loads(path.read_text())
        for one in spec["wells"]:
            one["splits"] = {"test": {}}
        path.write_text(json.dumps(spec))
        (label,) = (root / well).glob("*DAPI_CONFOCAL*")
        content = label.read_bytes()
        # The header and the end are checked when it is opened.
        label.write_bytes(content[:400] + bytes(400) + content[800:])
        return root, label

    return make


def test_a_well_that_fails_does_not_stop_others(
    run, damaged, model, tmp_path, capsys
):
    root, label = damaged("A2")
    out = tmp_path / "out"
    with pytest.raises(SystemExit) as stopped:
        run(
            model=model,
            data_specs=root / "spec.json",
            image_root=root,
            output_dir=out,
        )
    assert stopped.value.code == 1
    output = capsys.readouterr()
    (error,) = [x for x in output.err.splitlines() if x.startswith("error: ")]
    assert error.startswith(f"error: simulated A2: {label}: ")
    assert "simulated DAPI_CONFOCAL pearson: " in output.out
    rows = {
        (row.well, row.metric): (row.value, row.count)
        for row in read_metrics_csv(out / "metrics.csv")
    }
    assert {well for well, _ in rows} == {"pooled", "A1", "A2", "A3"}
    assert [key for key in rows if key[0] == "A2"] == [("A2", "failed")]
    assert rows["A2", "failed"] == (1, 0)
    assert rows["pooled", "pearson"][1] == 2 * 64 * 64
    content = json.loads((out / "metrics.json").read_text())
    assert content["run"]["failed"].startswith(f"simulated A2: {label}: ")
    page = (out / "report.html").read_text()
    notice = "<li>1 of 3 wells failed and are in no number: simulated A2: "
    assert notice in page


def test_what_is_wrong_with_the_first_well_is_told_at_once(
    run, damaged, model, tmp_path, monkeypatch
):
    root, label = damaged("A1")
    scored = []
    monkeypatch.setattr(judging, "add_objects", lambda *_: scored.append(1))
    with pytest.raises(InputError, match=re.escape(str(label))):
        run(
            model=model,
            data_specs=root / "spec.json",
            image_root=root,
            output_dir=tmp_path / "out",
        )
    assert not scored
    assert not list((tmp_path / "out").iterdir())


def test_one_prediction_is_not_that_of_two_wells(run, wells, tmp_path):
    spec = json.loads((wells / "spec.json").read_text())
    for well in spec["wells"]:
        well["splits"] = {"test": {}}
    path = tmp_path / "spec.json"
    path.write_text(json.dumps(spec))
    with pytest.raises(InputError, match="cannot be that of 2 wells"):
        run(
            predictions=tmp_path / "A1.ome.tif",
            data_specs=path,
            image_root=wells,
            output_dir=tmp_path / "out",
        )


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"region": "0-40"}, ["0-40"]),
        ({"region": "0-400:"}, ["400"]),
        ({"split": "holdout"}, ["holdout"]),
        ({"labels": "GFP"}, ["GFP"]),
        ({"model": "/nowhere"}, ["/nowhere", "model folder"]),
        ({"predictions": "p.ome.tif"}, ["--predictions", "not both"]),
        ({"data_specs": "/nowhere.json"}, ["/nowhere.json"]),
        ({"labels": "DAPI_CONFOCAL,GFP"}, ["labels", "GFP"]),
        ({"labels": "DAPI_CONFOCAL,DAPI_CONFOCAL"}, ["labels", "once"]),
        ({"data_specs": "twice"}, ["wells of one condition", "A2 twice"]),
        ({"segmenter": "no_such.module:f"}, ["segmenter", "no_such.module"]),
        ({"output_dir": "/dev/null/out"}, ["/dev/null/out", "output_dir"]),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_evaluate_reports_mistakes(run, wells, model, tmp_path, changes, said):
    values = {
        "model": model,
        "data_specs": wells / "spec.json",
        "image_root": wells,
        "output_dir": tmp_path / "out",
    }
    text = (wells / "spec.json").read_text()
    if changes.get("data_specs") == "twice":
        (tmp_path / "again.json").write_text(text)
        changes = {"data_specs": f"{wells}/spec.json,{tmp_path}/again.json"}
    with pytest.raises(InputError) as caught:
        run(**(values | changes))
    assert all(part in str(caught.value) for part in said)
    assert not (tmp_path / "out").exists()


def test_a_well_is_not_called_as_all_together(wells, monkeypatch):
    spec = load_dataset_spec(wells / "spec.json")
    found = [
        (well_spec, dataclasses.replace(well, name="pooled"))
        for well_spec, well in open_wells(spec, wells, "test")
    ]
    monkeypatch.setattr(parts, "open_wells", lambda *_: found)
    with pytest.raises(InputError, match="name of a well.*Received: pooled"):
        parts.open_parts([spec], wells, "test")


def test_wells_without_the_labels_are_left_out(wells, monkeypatch):
    spec = load_dataset_spec(wells / "spec.json")
    ((well_spec, well),) = open_wells(spec, wells, "test")
    one = dataclasses.replace(well, name="B1", labels={"GFP": None})
    found = [(well_spec, well), (well_spec, one)]
    monkeypatch.setattr(parts, "open_wells", lambda *_: found)

    def names(**options):
        scorable = parts.open_scorable_parts([spec], wells, "test", **options)
        return [part.well.name for part in scorable]

    label = spec.labels[0]
    assert names() == ["A2", "B1"]
    assert names(labels=[label]) == ["A2"]
    assert names(predicted=[label, "OTHER"]) == ["A2"]
    with pytest.raises(InputError, match="label to score.*none in A2, B1"):
        names(predicted=["OTHER"])
