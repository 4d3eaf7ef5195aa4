"""Cells and neurites of scored wells, on wells whose truth is known."""

import dataclasses
import sys
import types

import numpy as np
import pytest

from isl.errors import InputError
from isl.evaluation.objects import add_objects, load_segmenter
from isl.evaluation.scoring import read_true_bins
from isl.evaluation.wells import WellScores, empty_scores, metric_rows
from isl.images import Well
from isl.simulation import wells as simulation
from isl.simulation.dataset import EVALUATION, simulated_spec
from isl.specs.evaluation import EvaluationSpec
from tests.tiny_runs import ArrayPlane

SIZE = 192
SPEC = simulated_spec(1, SIZE, 1)
NUCLEI, DEAD = "DAPI_CONFOCAL", "DEAD_CONFOCAL"


@pytest.fixture(scope="module")
def simulated():
    return simulation.simulate_well((5, 0), (SIZE, SIZE), 1)


@pytest.fixture(scope="module")
def well(simulated):
    return as_well(simulated.labels)


def as_well(labels) -> Well:
    planes = {name: ArrayPlane(image) for name, image in labels.items()}
    return Well("A1", "simulated", None, (planes[NUCLEI],), planes, 0.3)


def scored(well: Well, predictions, **spans) -> WellScores:
    """Scores of predicted bins, label -> [row, column]."""
    rows = spans.get("rows", slice(0, SIZE))
    columns = spans.get("columns", slice(0, SIZE))
    scores = empty_scores("c", well, rows, columns, predictions, ())
    for label, bins in predictions.items():
        true = read_true_bins(well, label, rows, columns)
        scores.labels[label].add(true, bins[rows, columns], None)
        scores.predictions[label][:] = bins[rows, columns]
    return scores


def truth(well: Well, *labels: str):
    everything = slice(0, SIZE)
    return {
        label: read_true_bins(well, label, everything, everything)
        for label in labels or well.labels
    }


def test_truth_against_itself_is_perfect(well):
    found = add_objects(scored(well, truth(well)), well, SPEC)
    metrics = found.cells[NUCLEI].metrics()
    assert metrics["cells_true"] == metrics["cells_predicted"] > 10
    for name in ("split", "merged", "added", "missed"):
        assert metrics[f"cell_{name}"] == 0
    for name in ("cell_f1", "cell_precision", "live_dead_accuracy"):
        assert metrics[name] == 1
    assert metrics["cell_area_pearson"] == pytest.approx(1)
    assert set(found.neurites) == {"MAP2_CONFOCAL", "NFH_CONFOCAL"}
    for lines in found.neurites.values():
        assert lines.true_length == lines.predicted_length > 100
        assert lines.metrics()["neurite_completeness"] == pytest.approx(1)


def test_simulated_nuclei_are_found_alive_or_dead(simulated, well):
    found = add_objects(scored(well, truth(well)), well, SPEC)
    cells = [cell for cell, _ in found.cells[NUCLEI].matched]
    for nucleus in simulated.nuclei:
        distances = [
            np.hypot(nucleus.row - cell.row, nucleus.column - cell.column)
            for cell in cells
        ]
        nearest = int(np.argmin(distances))
        assert distances[nearest] < 4
        assert cells[nearest].is_dead == (not nucleus.alive)
    # Besides, only nuclei whose centre lies outside the image.
    inside = [c for c in cells if 10 < min(c.row, c.column, SIZE - c.row)]
    assert len(cells) - len(simulated.nuclei) <= len(cells) - len(inside)


def numbers(image):
    """Nuclei that are told apart by their intensity."""
    return np.rint(image * 255).astype(int)


def test_injected_errors_are_found_exactly():
    bins = np.zeros((SIZE, SIZE), np.uint8)
    for index in range(16):
        row, column = 8 + 45 * (index // 4), 8 + 45 * (index % 4)
        bins[row : row + 24, column : column + 24] = 10 + index
    bins[8:32, 32:56] = 11  # The second touches the first.
    true = as_well({NUCLEI: bins.astype(np.uint16) * 257})
    predicted = bins.copy()
    for missed in (12, 13, 25):
        predicted[bins == missed] = 0
    predicted[bins == 11] = 10  # Merged with the first.
    predicted[8 + 45 : 20 + 45, 8:32] = 99  # The fifth is split.
    predicted[186:192, 60:66] = 100  # Added.
    scores = scored(true, {NUCLEI: predicted})
    cells = add_objects(scores, true, SPEC, numbers).cells[NUCLEI]
    metrics = cells.metrics()
    assert metrics["cells_true"] == 16
    assert metrics["cells_predicted"] == 14  # -3 missed, -1 merged, +1, +1.
    assert metrics["cell_missed"] == 3
    assert metrics["cell_merged"] == 1
    assert metrics["cell_split"] == 1
    assert metrics["cell_added"] == 1
    # Ten are untouched; halves of the split one and of the merge match too.
    assert len(cells.matched) == 12


def test_places_in_the_well_and_the_region(well):
    rows, columns = slice(32, 160), slice(64, 192)
    scores = scored(well, truth(well, NUCLEI), rows=rows, columns=columns)
    cells = add_objects(scores, well, SPEC).cells[NUCLEI]
    for cell, _ in cells.matched:
        assert rows.start <= cell.row < rows.stop
        assert columns.start <= cell.column < columns.stop


def test_threshold_of_death_is_that_of_the_truth(well):
    labels = truth(well, NUCLEI, DEAD)
    found = add_objects(scored(well, labels), well, SPEC).cells[NUCLEI]
    assert found.metrics()["dead_true"] > 0
    # A prediction that is half as bright over its background calls fewer.
    median = int(np.median(labels[DEAD]))
    dim = median + (labels[DEAD].astype(int) - median) // 8
    labels[DEAD] = dim.clip(0, 255).astype(np.uint8)
    dimmed = add_objects(scored(well, labels), well, SPEC).cells[NUCLEI]
    assert dimmed.metrics()["dead_predicted"] == 0
    assert dimmed.metrics()["dead_true"] == found.metrics()["dead_true"]


def test_dead_cells_are_told_by_means_where_they_are_known(well):
    labels = truth(well, NUCLEI, DEAD)
    scores = scored(well, labels)
    # Rarely bright pixels: their medians are dark, their means are not.
    scores.predictions[DEAD][:] = 0
    dark = add_objects(scores, well, SPEC).cells[NUCLEI].metrics()
    assert dark["dead_predicted"] == dark["viability_dead_predicted"] == 0
    told = dataclasses.replace(scores, means={DEAD: labels[DEAD]})
    judged = add_objects(told, well, SPEC)
    metrics = judged.cells[NUCLEI].metrics()
    assert metrics["dead_predicted"] == metrics["dead_true"] > 0
    assert metrics["viability_accuracy"] == metrics["viability_auc"] == 1
    assert not judged.means


def test_without_a_block_or_labels_there_is_nothing(well):
    scores = scored(well, truth(well, "MAP2_CONFOCAL"))
    plain = dataclasses.replace(SPEC, evaluation=None)
    found = add_objects(scores, well, plain)
    assert not found.cells and not found.neurites and not found.camera_slopes
    assert not add_objects(scores, well, SPEC).cells


def test_labels_of_constant_value_have_no_cells():
    flat = as_well({NUCLEI: np.full((SIZE, SIZE), 16000, np.uint16)})
    found = add_objects(scored(flat, truth(flat)), flat, SPEC)
    metrics = found.cells[NUCLEI].metrics()
    assert metrics["cells_true"] == metrics["cells_predicted"] == 0
    assert metrics["cell_f1"] is None


def test_pixel_size_of_the_block_stands_in(well):
    unknown = dataclasses.replace(well, pixel_size_um=None)
    scores = scored(well, truth(well, NUCLEI))
    with pytest.raises(InputError, match="well A1: pixel_size_um must be"):
        add_objects(scores, unknown, SPEC)
    block = dataclasses.replace(EVALUATION, pixel_size_um=0.3)
    told = dataclasses.replace(SPEC, evaluation=block)
    assert add_objects(scores, unknown, told) == add_objects(scores, well, SPEC)


def record(scope):
    return {
        NUCLEI: {
            "statistics": {"count": 9, "mean": 700.0, "std": 250.0},
            "target": {"mean": 0.25, "std": 0.125},
            "scope": scope,
        }
    }


@pytest.mark.parametrize(("scope", "known"), [("plate", 1), ("well", 0)])
def test_errors_in_units_of_the_camera(well, scope, known):
    spec = dataclasses.replace(
        SPEC, evaluation=EvaluationSpec(), normalization=record(scope)
    )
    labels = truth(well, NUCLEI)
    labels[NUCLEI] = np.roll(labels[NUCLEI], 3)
    found = add_objects(scored(well, labels), well, spec)
    rows = {r.metric: r for r in metric_rows([found]) if r.well == "A1"}
    assert ("mae_camera" in rows) == known
    if known:
        expected = rows["mae"].value * 250 / 0.125
        assert rows["mae_camera"].value == pytest.approx(expected)


@pytest.fixture
def package(monkeypatch):
    """A module with segmenters, as a user would have it."""
    module = types.ModuleType("my_package")
    module.whole = lambda image: np.ones(image.shape, int)
    module.floats = lambda image: image
    module.cut = lambda image: np.ones((2, 2), int)
    module.negative = lambda image: -np.ones(image.shape, int)
    monkeypatch.setitem(sys.modules, "my_package", module)
    return module


def test_another_segmenter_is_used(package, well):
    segment = load_segmenter("my_package:whole")
    scores = scored(well, truth(well, NUCLEI))
    cells = add_objects(scores, well, SPEC, segment).cells[NUCLEI]
    assert cells.matched[0][0].area == SIZE * SIZE


@pytest.mark.parametrize(
    "name", ["my_package", "my_package:", "my_package:no", "no_such:f", ":f"]
)
def test_a_segmenter_that_does_not_exist(package, name):
    with pytest.raises(InputError, match=f"segmenter: .*{name}"):
        load_segmenter(name)


@pytest.mark.parametrize("name", ["floats", "cut", "negative"])
def test_a_segmenter_must_return_regions(package, name):
    segment = load_segmenter(f"my_package:{name}")
    with pytest.raises(InputError, match=f"my_package:{name} must return"):
        segment(np.zeros((8, 8), np.float32))
