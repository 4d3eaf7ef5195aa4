import json

import numpy as np
import pytest
from PIL import Image

from isl.errors import InputError
from isl.evaluation import model_scoring
from isl.evaluation.scoring import build_scorer
from isl.figures.comparison import COLUMNS

SCRIPT = "figures"


@pytest.fixture
def files(tmp_path):
    """Inputs of figures that need no model."""
    tenth = {"pixels": 1, "predicted": 0.5, "observed": 0.5}
    detail = {"pit": [1.0] * 20, "reliability": [tenth]}
    text = json.dumps({"details": {"B": {"DAPI": detail}}})
    (tmp_path / "metrics.json").write_text(text)
    (tmp_path / "log.csv").write_text("step,DAPI_loss\n1,0.5\n")
    row = "isl,5,1.0,{},ce,5,no,0,10,1,DAPI,pearson,0.5\n"
    table = ",".join(COLUMNS) + "\n" + row.format("DAPI")
    (tmp_path / "table.csv").write_text(table + row.format("DAPI MAP2"))
    return tmp_path


def names(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize(
    ("figure", "name", "inputs"),
    [
        ("network", "network", {"architecture": "tiny"}),
        ("reliability", "reliability_B_DAPI", {"evaluation": ""}),
        ("training", "training", {"workdirs": ""}),
        ("z_planes", "z_planes", {"table": "table.csv"}),
        ("data_amount", "data_amount", {"table": "table.csv"}),
        ("multi_task", "multi_task", {"table": "table.csv"}),
    ],
)
def test_figures_from_tables(run, files, tmp_path, figure, name, inputs):
    values = {
        flag: value if flag == "architecture" else files / value
        for flag, value in inputs.items()
    }
    run(figure=figure, output_dir=tmp_path / "out", **values)
    assert names(tmp_path / "out") == [f"{name}.pdf", f"{name}.png"]
    with Image.open(tmp_path / "out" / f"{name}.png") as image:
        assert np.ptp(np.asarray(image.convert("L"))) > 200


def test_figures_from_the_data_spec_and_the_model(run, wells, model, tmp_path):
    spec = wells / "spec.json"
    run(figure="conditions", output_dir=tmp_path, data_specs=spec)
    run(figure="network", output_dir=tmp_path, model=model)
    assert names(tmp_path) == [
        "conditions.pdf",
        "conditions.png",
        "network.pdf",
        "network.png",
    ]


@pytest.mark.parametrize(
    ("figure", "expected"),
    [
        ("stack", "stack_A2"),
        ("error_panel", "error_panel_A2_DAPI_CONFOCAL"),
        ("uncertainty", "uncertainty_A2_DAPI_CONFOCAL"),
        ("result", "result_A2_DAPI_CONFOCAL"),
    ],
)
def test_figures_of_predictions(run, wells, model, tmp_path, figure, expected):
    run(
        figure=figure,
        output_dir=tmp_path,
        model=model,
        data_specs=wells / "spec.json",
        image_root=wells,
        **({} if figure == "result" else {"size": 32}),
    )
    assert names(tmp_path) == [f"{expected}.pdf", f"{expected}.png"]
    if figure == "error_panel":
        with Image.open(tmp_path / f"{expected}.png") as image:
            assert image.size == (14 * (32 + 8), 32 + 8)


@pytest.mark.parametrize("figure", ["stack", "result"])
def test_wells_share_one_scorer(
    run, wells, model, tmp_path, monkeypatch, figure
):
    """Each one is compiled anew."""
    spec = json.loads((wells / "spec.json").read_text())
    for well in spec["wells"]:
        well["splits"] = {"test": {"rows": [0, 32], "columns": [0, 32]}}
    (tmp_path / "spec.json").write_text(json.dumps(spec))
    built = []

    def build(*arguments):
        built.append(arguments[1])
        return build_scorer(*arguments)

    monkeypatch.setattr(model_scoring, "build_scorer", build)
    run(
        figure=figure,
        output_dir=tmp_path / "out",
        model=model,
        data_specs=tmp_path / "spec.json",
        image_root=wells,
    )
    assert len(names(tmp_path / "out")) == 4
    assert built == [("DAPI_CONFOCAL",)]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"figure": "conditions"}, "--data_specs must be given"),
        ({"figure": "training"}, "--workdirs must be given"),
        ({"figure": "multi_task"}, "--table must be given"),
        ({"figure": "training", "workdirs": "/nowhere"}, "/nowhere/log.csv"),
        ({"figure": "reliability", "evaluation": "/nowhere"}, "metrics.json"),
        ({"figure": "network", "model": "/nowhere"}, "/nowhere"),
        (
            {
                "figure": "result",
                "model": "x",
                "data_specs": "data_specs/simulated.json",
                "image_root": "/nowhere",
                "size": 9,
            },
            "--size must be left out with --figure=result",
        ),
        (
            {"figure": "conditions", "data_specs": "x", "labels": "DAPI"},
            "--labels must be left out with --figure=conditions",
        ),
        (
            {"figure": "network", "metric": "nll"},
            "--metric must be left out with --figure=network",
        ),
        (
            {"figure": "z_planes", "table": "x", "model": "x"},
            "--model must be left out with --figure=z_planes",
        ),
        (
            {"figure": "training", "workdirs": "x", "region": "0-9:0-9"},
            "--region must be left out with --figure=training",
        ),
        (
            {"figure": "network", "model": "x", "num_z": 3},
            "--num_z must be left out",
        ),
    ],
)
def test_mistakes_are_told(run, tmp_path, values, message):
    with pytest.raises(InputError, match=message):
        run(output_dir=tmp_path / "out", **values)
    assert not (tmp_path / "out").exists()
