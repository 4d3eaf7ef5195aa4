"""Charts of distributions, uncertainty and cells, by their numbers."""

import numpy as np
import pytest

from isl.evaluation.cells import Cell, CellComparison
from isl.evaluation.distributions import pit_histogram
from isl.evaluation.matching import CellErrors
from isl.figures import drawing
from isl.figures.cell_figure import cell_figure
from isl.figures.reliability_figure import (
    draw_coverage,
    draw_pit,
    draw_reliability,
    reliability_figures,
)
from isl.figures.uncertainty_figure import SpreadSums, uncertainty_figure


@pytest.fixture
def axes():
    return drawing.new_figure(4, 4).subplots()


def points(line):
    return np.asarray(line.get_xydata())


def test_reliability_leaves_out_tenths_without_pixels(axes):
    empty = {"pixels": 0, "predicted": None, "observed": None}
    draw_reliability(
        axes,
        [
            {"pixels": 30, "predicted": 0.05, "observed": 0.1},
            empty,
            {"pixels": 10, "predicted": 0.95, "observed": 0.8},
        ],
    )
    np.testing.assert_allclose(
        points(axes.lines[1]), [[0.05, 0.1], [0.95, 0.8]]
    )
    small, large = sorted(axes.collections[0].get_sizes())
    assert (large - 12) / (small - 12) == pytest.approx(3)  # As the pixels.


def test_pit_of_a_calibrated_prediction_is_one_everywhere(axes):
    draw_pit(axes, np.full(20, 7.0))
    assert [bar.get_height() for bar in axes.patches] == [1.0] * 20


def test_a_slope_of_the_pit_says_which_way_a_prediction_is_off(axes):
    # No probability at the true bin or below it: all of it is brighter.
    pit = pit_histogram(np.zeros(64), np.zeros(64))
    draw_pit(axes, pit)
    assert axes.patches[0].get_height() == pytest.approx(20)
    left, right = axes.get_xlabel().split("\n")[1].split(";")
    assert "left" in left and left.endswith("too bright")
    assert "right" in right and right.endswith("too dark")


def test_coverage_grows_from_the_median_outwards(axes):
    pit = np.zeros(20)
    pit[[9, 10]] = 1, 2  # Inside the central tenth.
    pit[0] = 1  # Only inside all of it.
    draw_coverage(axes, pit)
    found = points(axes.lines[1])
    np.testing.assert_allclose(found[:, 0], np.arange(11) / 10)
    np.testing.assert_allclose(found[:, 1], [0, *[0.75] * 9, 1])


def test_reliability_figures_of_labels_with_distributions():
    tenth = {"pixels": 1, "predicted": 0.5, "observed": 0.5}
    details = {
        "B": {
            "DAPI": {"pit": [1.0] * 20, "reliability": [tenth]},
            "stored": {"joint_histogram": []},
        }
    }
    assert list(reliability_figures(details)) == ["reliability_B_DAPI"]


def test_spread_of_a_known_error():
    sums = SpreadSums()
    # 100 pixels with deviation 10 and error 3 or 4; 100 with 20 and 20.
    deviations = np.repeat([10, 20], 100).astype(np.uint8)
    true = np.full(200, 100)
    predicted = true + np.repeat([3, -4, 20, -20], 50)
    sums.add(deviations, true, predicted)
    curve = sums.curve()
    np.testing.assert_array_equal(curve.counts, [100, 100])
    np.testing.assert_allclose(255 * curve.predicted, [10, 20])
    np.testing.assert_allclose(255 * curve.actual, [np.sqrt(12.5), 20])


def test_spread_groups_hold_about_equally_many_pixels():
    rng = np.random.default_rng(0)
    deviations = rng.integers(0, 100, 12_000).astype(np.uint8)
    sums = SpreadSums()
    for part in np.split(deviations, 3):  # Added in parts.
        sums.add(part, np.zeros(part.shape, int), part)
    curve = sums.curve()
    assert len(curve.counts) == 12 and curve.counts.sum() == 12_000
    assert curve.counts.min() > 700 and curve.counts.max() < 1300
    # The error of each pixel is its deviation.
    np.testing.assert_allclose(curve.actual, curve.predicted)


def test_spread_of_few_pixels_is_empty():
    sums = SpreadSums()
    assert sums.curve().counts.size == 0
    sums.add(np.zeros(49, np.uint8), np.zeros(49, int), np.zeros(49, int))
    assert sums.curve().counts.size == 0


def test_uncertainty_figure_shows_error_and_deviation_on_one_scale():
    rng = np.random.default_rng(0)
    truth, median = rng.uniform(size=(2, 40, 50))
    deviation, entropy = rng.uniform(0, 0.3, size=(2, 40, 50))
    figure = uncertainty_figure(
        label="DAPI",
        truth=truth,
        median=median,
        standard_deviation=deviation,
        entropy=entropy,
        pixel_size_um=1.0,
    )
    images = [axes.images[0] for axes in figure.axes[:5]]
    np.testing.assert_allclose(
        images[2].get_array(), np.abs(truth - median), atol=1e-6
    )
    np.testing.assert_array_equal(images[3].get_array(), deviation)
    np.testing.assert_array_equal(images[4].get_array(), entropy)
    assert images[2].get_clim() == images[3].get_clim()
    drawing.figure_png(figure)


def cell(area, dead=None):
    return Cell(0.0, 0.0, area, 0.5, None if dead is None else 1.0, dead)


def comparison(**changes):
    values = {
        "errors": CellErrors(true=4, predicted=5),
        "matched": (
            (cell(10, False), cell(12, True)),
            (cell(20, True), cell(18, True)),
        ),
        "missed": (cell(5, False),) * 2,
        "added": (cell(5, False),) * 3,
        "curve": {0.5: 2, 0.9: 0},
    }
    return CellComparison(**(values | changes))


def test_cells_are_drawn():
    curve, areas, table = cell_figure(comparison()).axes
    named = {line.get_label(): points(line) for line in curve.lines}
    np.testing.assert_allclose(named["precision"], [[0.5, 0.4], [0.9, 0]])
    np.testing.assert_allclose(named["recall"], [[0.5, 0.5], [0.9, 0]])
    np.testing.assert_allclose(named["F1"], [[0.5, 4 / 9], [0.9, 0]])
    np.testing.assert_array_equal(
        areas.collections[0].get_offsets(), [[10, 12], [20, 18]]
    )
    written = {
        text.get_position(): text.get_text() for text in table.texts
    }  # (predicted, true): alive called dead once, dead called dead once.
    assert written[1, 0] == "1\n100 %" and written[1, 1] == "1\n100 %"
    assert written[0, 0] == written[0, 1] == "0\n0 %"


def test_no_confusion_without_a_label_of_dead_cells():
    pairs = ((cell(10), cell(12)),)
    assert len(cell_figure(comparison(matched=pairs)).axes) == 2


def test_no_cells_at_all():
    figure = cell_figure(
        comparison(
            errors=CellErrors(), matched=(), missed=(), added=(), curve={0.5: 0}
        )
    )
    assert len(figure.axes) == 2
    drawing.figure_png(figure)
