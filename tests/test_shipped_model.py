"""The models that come with the package, as a user gets them."""

import pathlib

import numpy as np
import pytest

from isl.evaluation.model_scoring import build_model_scorer, score_model
from isl.images import open_wells
from isl.network.model_folder import load_model
from isl.network.shipped import find_model, shipped_models
from isl.specs import load_dataset_spec

SPEC = pathlib.Path(__file__).parents[1] / "data_specs/condition_b_sample.json"
MAX_BYTES = 20e6

# Of the means on the test columns; what was measured is in docs/results.md.
LEAST_PEARSON = {
    "DAPI_CONFOCAL": 0.70,
    "MAP2_CONFOCAL": 0.80,
    "NFH_CONFOCAL": 0.55,
}


def test_what_comes_with_the_package():
    assert shipped_models() == ("condition_b_small",)


@pytest.mark.parametrize("name", shipped_models())
def test_a_model_is_small_and_has_its_papers(name):
    folder = find_model(name)
    names = {path.name for path in folder.iterdir()}
    assert {
        "README.md",
        "LICENSE-CC-BY-4.0.txt",
        "metrics.csv",
        "report.html",
    } <= names
    assert sum(path.stat().st_size for path in folder.iterdir()) < MAX_BYTES
    text = (folder / "README.md").read_text(encoding="utf-8")
    assert "one field" in text and "doi:10.1016/j.cell.2018.03.040" in text


def test_condition_b_small_predicts_without_data():
    model, description = load_model("condition_b_small")
    size = description.architecture.input_size
    planes = np.full((1, size, size, 26), 0.5, np.float32)
    for logits in model(planes, training=False).values():
        assert np.isfinite(np.asarray(logits)).all()
        assert logits.shape[-1] == 256


@pytest.mark.slow
def test_condition_b_small_is_as_good_as_its_report_says(shared_data):
    spec = load_dataset_spec(SPEC)
    model, description = load_model("condition_b_small")
    scorer = build_model_scorer(model, description, spec.labels)
    ((well_spec, well),) = open_wells(spec, shared_data, "test")
    scores = score_model(scorer, "B", well, well_spec.splits["test"])
    for label, least in LEAST_PEARSON.items():
        assert scores.labels[label].metrics()["mean_pearson"] > least
