"""Cells whose areas, brightness and death are known."""

import csv

import numpy as np
import pytest
from scipy import ndimage

from isl.evaluation.cell_table import CELL_COLUMNS, write_cells
from isl.evaluation.cells import (
    Cell,
    compare_cells,
    count_pairs,
    measure_cells,
    pearson,
)
from isl.evaluation.viability import DeadImages, Viability, viability_metrics

SHAPE = (60, 90)


def draw(*boxes):
    """An image of boxes (row, column, size, intensity)."""
    image = np.full(SHAPE, 0.1)
    for row, column, size, intensity in boxes:
        image[row : row + size, column : column + size] = intensity
    return image


def segment(image):
    return ndimage.label(image > 0.2)[0]


NUCLEI = (
    (5, 5, 8, 0.5),
    (5, 30, 10, 0.6),
    (5, 60, 12, 0.9),
    (35, 5, 14, 0.7),
)
TRUE = draw(*NUCLEI)
DEAD = draw((5, 30, 10, 0.8), (35, 5, 14, 0.8))
SAME_DEAD = DeadImages(DEAD, DEAD, 0.5)


def test_cells_are_measured():
    cells = measure_cells(segment(TRUE), TRUE, DEAD, dead_threshold=0.5)
    assert len(cells) == 4
    assert cells[1] == Cell(
        row=9.5,
        column=34.5,
        area=100,
        intensity=pytest.approx(0.6),
        dead_intensity=pytest.approx(0.8),
        is_dead=True,
    )
    assert [cell.is_dead for cell in cells] == [False, True, False, True]
    assert measure_cells(segment(TRUE), TRUE)[1].is_dead is None
    assert measure_cells(np.zeros(SHAPE, int), TRUE) == []


def test_threshold_of_death():
    cells = measure_cells(segment(TRUE), TRUE, DEAD, dead_threshold=0.85)
    assert not any(cell.is_dead for cell in cells)


def test_truth_against_itself_is_perfect():
    metrics = compare_cells(TRUE, TRUE, segment, SAME_DEAD).metrics()
    for name in (
        "cell_precision",
        "cell_recall",
        "cell_f1",
        "live_dead_accuracy",
    ):
        assert metrics[name] == 1
    assert metrics["cell_area_pearson"] == pytest.approx(1)
    assert metrics["cell_intensity_pearson"] == pytest.approx(1)
    for name in ("split", "merged", "added", "missed"):
        assert metrics[f"cell_{name}"] == 0
    assert metrics["dead_true"] == metrics["dead_predicted"] == 2


def test_known_errors_are_found():
    # The first is missed, one is added, the last shrinks below half.
    predicted = draw(*NUCLEI[1:3], (35, 5, 9, 0.7), (40, 60, 10, 0.5))
    cells = compare_cells(TRUE, predicted, segment)
    metrics = cells.metrics()
    assert metrics["cell_missed"] == 1
    assert metrics["cell_added"] == 1
    assert metrics["cell_precision"] == 0.5
    assert metrics["cell_recall"] == 0.5
    assert len(cells.matched) == len(cells.missed) == len(cells.added) == 2
    assert "live_dead_accuracy" not in metrics


def test_curve_falls_with_strictness():
    predicted = draw(*NUCLEI[1:3], (35, 5, 9, 0.7))
    curve = compare_cells(TRUE, predicted, segment).curve
    assert curve[0.1] == curve[0.4] == 3  # 9^2 / 14^2 = 0.41.
    assert curve[0.45] == curve[0.95] == 2


def test_confusion_of_life_and_death():
    predicted_dead = draw((5, 30, 10, 0.8), (5, 60, 12, 0.8))
    cells = compare_cells(
        TRUE, TRUE, segment, DeadImages(DEAD, predicted_dead, 0.5)
    )
    # Alive and right, alive called dead; dead called alive, dead and right.
    np.testing.assert_array_equal(cells.confusion(), [[1, 1], [1, 1]])
    metrics = cells.metrics()
    assert metrics["live_dead_accuracy"] == 0.5
    assert metrics["live_dead_balanced_accuracy"] == 0.5
    assert metrics["live_dead_majority"] == 0.5


def test_always_guessing_the_larger_class():
    one_dead = draw((5, 30, 10, 0.8))
    metrics = compare_cells(
        TRUE, TRUE, segment, DeadImages(one_dead, draw(), 0.5)
    ).metrics()
    assert (
        metrics["live_dead_accuracy"] == metrics["live_dead_majority"] == 0.75
    )
    assert metrics["dead_true"] == 1 and metrics["dead_predicted"] == 0


def test_balanced_accuracy_needs_both_kinds():
    alive = draw()
    metrics = compare_cells(
        TRUE, TRUE, segment, DeadImages(alive, alive, 0.5)
    ).metrics()
    assert metrics["live_dead_accuracy"] == 1
    assert metrics["live_dead_balanced_accuracy"] is None


def test_every_true_nucleus_is_judged_by_its_own_outline():
    found = draw(*NUCLEI[1:])  # The prediction does not show the first.
    predicted_dead = draw((5, 30, 10, 0.8), (5, 60, 12, 0.6))
    predicted_dead[predicted_dead == 0.1] = 0  # Means of 0.1 are not all 0.1.
    dead = DeadImages(DEAD, predicted_dead, 0.5)
    cells = compare_cells(TRUE, found, segment, dead)
    (judged,) = cells.viability
    assert [x.true_margin for x in judged] == pytest.approx(
        [-0.4, 0.3, -0.4, 0.3]
    )
    assert [x.predicted_margin for x in judged] == pytest.approx(
        [-0.5, 0.3, 0.1, -0.5]
    )
    metrics = cells.metrics()
    assert metrics["viability_accuracy"] == 0.5
    assert metrics["viability_balanced_accuracy"] == 0.5
    assert metrics["viability_majority"] == 0.5
    assert metrics["viability_dead_true"] == 2
    assert metrics["viability_dead_predicted"] == 2
    # Pairs of dead and living: two right, one wrong, one tie.
    assert metrics["viability_auc"] == pytest.approx(2.5 / 4)
    assert cells.judged == 4
    assert (cells + cells).judged == 8
    assert (cells + cells).metrics()["viability_dead_true"] == 4


def test_area_under_the_curve_needs_both_kinds():
    nuclei = [Viability(-0.2, 0.1), Viability(-0.1, -0.3)]
    metrics = viability_metrics([nuclei])
    assert metrics["viability_auc"] is None
    assert metrics["viability_balanced_accuracy"] is None
    assert metrics["viability_accuracy"] == 0.5
    assert viability_metrics([]) == viability_metrics([()]) == {}


def test_nuclei_of_two_images_are_not_ranked_together():
    # One prediction for all: margins differ by the thresholds alone, and the
    # image of the lower one has more dead nuclei.
    low = [Viability(0.1, 0.2)] * 3 + [Viability(-0.1, 0.2)]
    high = [Viability(0.1, -0.2)] + [Viability(-0.1, -0.2)] * 3
    metrics = viability_metrics([low, high])
    assert metrics["viability_auc"] == 0.5
    right = [Viability(0.1, 0.3), Viability(-0.1, 0.2)]
    assert viability_metrics([low, high, right])["viability_auc"] == (
        pytest.approx(4 / 7)
    )


def test_images_add_up():
    one = compare_cells(TRUE, TRUE, segment, SAME_DEAD)
    other = compare_cells(TRUE, draw(*NUCLEI[1:]), segment, SAME_DEAD)
    both = one + other
    assert both.metrics()["cell_recall"] == pytest.approx(7 / 8)
    assert both.curve[0.5] == 7
    assert both.confusion().sum() == 7


def test_correlations_by_hand():
    assert pearson([(1, 2), (2, 4), (3, 7)]) == pytest.approx(
        np.corrcoef([1, 2, 3], [2, 4, 7])[0, 1]
    )
    assert pearson([]) is None
    assert pearson([(1, 2)]) is None
    assert pearson([(1, 2), (1, 3)]) is None


def test_table_has_a_row_for_each_cell(tmp_path):
    predicted = draw(*NUCLEI[1:], (35, 60, 10, 0.5))
    cells = compare_cells(TRUE, predicted, segment, SAME_DEAD)
    path = tmp_path / "cells.csv"
    write_cells(path, {("B", "A1", "DAPI_CONFOCAL"): cells})
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0]) == CELL_COLUMNS
    assert len(rows) == 5
    assert {row["well"] for row in rows} == {"A1"}
    (missed,) = [row for row in rows if not row["predicted_area"]]
    assert missed["true_area"] == "64"
    (added,) = [row for row in rows if not row["true_area"]]
    assert added["predicted_area"] == "100"
    assert rows[0]["true_is_dead"] == "True"


def test_places_are_those_of_the_well():
    cells = compare_cells(TRUE, TRUE, segment, origin=(100, 200))
    assert {(c.row, c.column) for c, _ in cells.matched} >= {(109.5, 234.5)}
    assert cells.matched[0][1] == cells.matched[0][0]


def test_cells_of_tiles_are_counted_by_their_centres():
    predicted = draw(*NUCLEI[1:], (35, 60, 10, 0.5))
    cells = compare_cells(TRUE, predicted, segment)
    halves = [(slice(0, 30), slice(0, 90)), (slice(30, 60), slice(0, 90))]
    assert count_pairs(cells, halves) == [(3, 2), (1, 2)]


def test_curve_as_rows():
    predicted = draw(*NUCLEI[1:3], (35, 5, 9, 0.7))
    curve = compare_cells(TRUE, predicted, segment).iou_curve()
    assert curve[0] == {
        "iou": 0.1,
        "matched": 3,
        "precision": 1.0,
        "recall": 0.75,
        "f1": pytest.approx(6 / 7),
    }
    assert curve[-1]["recall"] == 0.5
