import json

import pytest

from isl.errors import InputError
from isl.network.model_folder import ModelDescription, save_model
from isl.simulation.dataset import write_dataset
from tests.tiny_runs import MICRO

SCRIPT = "evaluate"


@pytest.fixture(scope="module")
def wells(tmp_path_factory):
    """Folder of two simulated wells and their spec; the second is a test."""
    root = tmp_path_factory.mktemp("wells")
    write_dataset(root, 2, 64, 2, 0)
    return root


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A network with random weights for two planes and one label."""
    folder = tmp_path_factory.mktemp("model") / "model"
    description = ModelDescription(MICRO, 2, ("DAPI_CONFOCAL",))
    save_model(folder, description.build(), description)
    return folder


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
