import json
import shutil

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


@pytest.fixture
def two_tests(wells, tmp_path):
    """A copy of the wells whose test split has both of them."""
    root = shutil.copytree(wells, tmp_path / "two")
    spec = json.loads((root / "spec.json").read_text())
    for well in spec["wells"]:
        well["splits"] = {"test": {"rows": [0, 32], "columns": [0, 32]}}
    (root / "spec.json").write_text(json.dumps(spec))
    return root


def label_file(root, well, label="DAPI_CONFOCAL"):
    (path,) = (root / well).glob(f"*{label}*")
    return path


def leave_one_label(root, index):
    """Changes the spec: the well has nothing but MAP2."""
    spec = json.loads((root / "spec.json").read_text())
    well = spec["wells"][index]
    name = label_file(root, well["name"], "MAP2_CONFOCAL").name
    well["labels"] = {"MAP2_CONFOCAL": name}
    (root / "spec.json").write_text(json.dumps(spec))


def of_wells(root, model, **values):
    return {
        "model": model,
        "data_specs": root / "spec.json",
        "image_root": root,
        **values,
    }


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
    run, two_tests, model, tmp_path, monkeypatch, figure
):
    """Each one is compiled anew."""
    built = []

    def build(*arguments):
        built.append(arguments[1])
        return build_scorer(*arguments)

    monkeypatch.setattr(model_scoring, "build_scorer", build)
    run(
        figure=figure,
        output_dir=tmp_path / "out",
        **of_wells(two_tests, model),
    )
    assert len(names(tmp_path / "out")) == 4
    assert built == [("DAPI_CONFOCAL",)]


@pytest.mark.usefixtures("eagerly")
@pytest.mark.parametrize("values", [{}, {"labels": "DAPI_CONFOCAL"}])
@pytest.mark.parametrize("figure", ["error_panel", "result"])
def test_wells_without_the_label_are_left_out(
    run, two_tests, model, tmp_path, capsys, figure, values
):
    leave_one_label(two_tests, 0)
    run(
        figure=figure,
        output_dir=tmp_path / "out",
        **of_wells(two_tests, model, **values),
    )
    name = f"{figure}_A2_DAPI_CONFOCAL"
    assert names(tmp_path / "out") == [f"{name}.pdf", f"{name}.png"]
    printed = capsys.readouterr()
    assert "A2" in printed.out
    line = "warning: A1: left out, as it has no DAPI_CONFOCAL\n"
    assert printed.err.count(line) == 1 and "A2" not in printed.err


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ({}, r"\(none in common\). Received: MAP2_CONFOCAL$"),
        (
            {"labels": "DAPI_CONFOCAL"},
            r"\(none in common\). Received: DAPI_CONFOCAL$",
        ),
    ],
)
def test_a_well_must_have_the_label(
    run, two_tests, model, tmp_path, labels, message
):
    for index in (0, 1):
        leave_one_label(two_tests, index)
    with pytest.raises(InputError, match=message):
        run(
            figure="result",
            output_dir=tmp_path / "out",
            **of_wells(two_tests, model, **labels),
        )
    assert not (tmp_path / "out").exists()


def test_each_label_must_be_one_of_the_model(run, two_tests, model, tmp_path):
    labels = "DAPI_CONFOCAL,MAP2_CONFOCAL"
    message = r"\(DAPI_CONFOCAL\). Received: MAP2_CONFOCAL$"
    with pytest.raises(InputError, match=message):
        run(
            figure="stack",
            output_dir=tmp_path,
            **of_wells(two_tests, model, labels=labels),
        )


@pytest.mark.usefixtures("eagerly")
@pytest.mark.parametrize("figure", ["stack", "result"])
def test_figures_are_there_before_the_next_well_fails(
    run, two_tests, model, tmp_path, figure
):
    path = label_file(two_tests, "A2")
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 255  # Seen when it is decoded only.
    path.write_bytes(content)
    with pytest.raises(InputError, match="A2"):
        run(
            figure=figure,
            output_dir=tmp_path / "out",
            **of_wells(two_tests, model),
        )
    found = names(tmp_path / "out")
    assert len(found) == 2 and all("A1" in name for name in found)


def test_the_output_folder_is_tried_before_the_work(
    run, two_tests, model, tmp_path, monkeypatch
):
    monkeypatch.delattr(model_scoring, "iter_tile_planes")
    (tmp_path / "out").write_text("mine")
    with pytest.raises(InputError, match="output_dir must be a folder"):
        run(
            figure="stack",
            output_dir=tmp_path / "out",
            **of_wells(two_tests, model),
        )


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
