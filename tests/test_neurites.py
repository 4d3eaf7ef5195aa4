"""Lines of known length and place."""

import numpy as np
import pytest

from isl.evaluation.neurites import (
    NeuriteComparison,
    NeuriteSettings,
    compare_neurites,
    lengths,
    skeleton,
)
from isl.specs.evaluation import NeuritesSpec

SHAPE = (120, 160)
SETTINGS = NeuriteSettings(
    smoothing=1.5, window=51, contrast=0.02, min_area=50, tolerance=3.0
)


def line_image(rows=(40,), first=20, last=140, thickness=5):
    """Bright horizontal bars."""
    image = np.full(SHAPE, 0.2)
    for row in rows:
        top = row - thickness // 2
        image[top : top + thickness, first:last] = 0.5
    return image


def test_length_of_a_straight_line():
    lines = np.zeros(SHAPE, bool)
    lines[10, 5:26] = True
    assert lengths(lines).sum() == pytest.approx(20)
    assert lengths(lines.T).sum() == pytest.approx(20)


def test_length_of_a_diagonal():
    for step in (1, -1):
        lines = np.eye(20, dtype=bool)[::step]
        assert lengths(lines).sum() == pytest.approx(19 * np.sqrt(2))


def test_length_of_a_corner_is_not_cut():
    lines = np.zeros(SHAPE, bool)
    lines[10, 5:11] = True
    lines[10:16, 10] = True
    assert lengths(lines).sum() == pytest.approx(10)


def test_lines_at_the_border_do_not_meet_the_other_side():
    lines = np.zeros((10, 10), bool)
    lines[:, 0] = lines[:, -1] = True
    assert lengths(lines).sum() == pytest.approx(18)


def test_lengths_are_in_the_order_of_the_pixels():
    lines = np.zeros(SHAPE, bool)
    lines[10, 5:8] = True  # Ends count half.
    lines[20, 5] = True  # A dot has no length.
    np.testing.assert_allclose(lengths(lines), [0.5, 1, 0.5, 0])


def test_skeleton_is_the_middle_of_a_bar():
    lines = skeleton(line_image(), SETTINGS)
    rows, columns = np.nonzero(lines)
    assert abs(np.median(rows) - 40) <= 1
    assert lengths(lines).sum() == pytest.approx(120, abs=12)
    assert columns.min() < 30 and columns.max() > 130


def test_truth_against_itself_is_found_and_right():
    image = line_image((30, 80))
    metrics = compare_neurites(image, image, SETTINGS).metrics()
    assert metrics["neurite_completeness"] == pytest.approx(1)
    assert metrics["neurite_correctness"] == pytest.approx(1)
    assert metrics["neurite_length_true"] == metrics["neurite_length_predicted"]


def test_half_found_and_half_right():
    true, predicted = line_image((30, 80)), line_image((30, 105))
    metrics = compare_neurites(true, predicted, SETTINGS).metrics()
    assert metrics["neurite_completeness"] == pytest.approx(0.5, abs=0.03)
    assert metrics["neurite_correctness"] == pytest.approx(0.5, abs=0.03)


def test_a_small_shift_is_tolerated_and_a_large_one_is_not():
    true = line_image((40,))
    near, far = line_image((42,)), line_image((50,))
    near_metrics = compare_neurites(true, near, SETTINGS).metrics()
    assert near_metrics["neurite_completeness"] == pytest.approx(1)
    # The ends of the lines are forked and reach further.
    far_metrics = compare_neurites(true, far, SETTINGS).metrics()
    assert far_metrics["neurite_completeness"] < 0.05


def test_nothing_to_find_is_undefined():
    flat = np.full(SHAPE, 0.2)
    metrics = compare_neurites(flat, line_image(), SETTINGS).metrics()
    assert metrics["neurite_completeness"] is None
    assert metrics["neurite_correctness"] == 0
    assert compare_neurites(flat, flat, SETTINGS) == NeuriteComparison()


def test_images_add_up():
    one = NeuriteComparison(10.0, 20.0, 5.0, 15.0)
    both = one + NeuriteComparison(10.0, 0.0, 10.0, 0.0)
    assert both.metrics() == {
        "neurite_length_true": 20.0,
        "neurite_length_predicted": 20.0,
        "neurite_completeness": 0.75,
        "neurite_correctness": 0.75,
    }


def test_settings_of_a_spec_are_scaled():
    spec = NeuritesSpec(("A",), contrast=0.5, min_area_um2=4.0)
    assert NeuriteSettings.scaled(spec, 0.5, 0.1) == NeuriteSettings(
        smoothing=pytest.approx(0.9),
        window=30,
        contrast=pytest.approx(0.05),
        min_area=16,
        tolerance=pytest.approx(1.8),
    )
