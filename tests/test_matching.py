"""Cells with known errors, and IoU against full arrays."""

import tracemalloc

import numpy as np
import pytest

from isl.evaluation.matching import (
    CellErrors,
    count_errors,
    detection,
    match,
    overlaps,
)


def canvas(*boxes, shape=(60, 80)):
    """Regions 1, 2, ... as boxes (row, column, rows, columns)."""
    image = np.zeros(shape, np.int32)
    for number, (row, column, rows, columns) in enumerate(boxes, start=1):
        image[row : row + rows, column : column + columns] = number
    return image


TRUE = canvas((5, 5, 10, 10), (5, 30, 10, 10), (5, 42, 10, 10), (30, 5, 10, 20))


def test_truth_against_itself_has_no_errors():
    found = overlaps(TRUE, TRUE)
    assert count_errors(found) == CellErrors(true=4, predicted=4)
    assert match(found) == [(0, 0), (1, 1), (2, 2), (3, 3)]
    np.testing.assert_array_equal(found.iou(), 1)


def test_each_error_is_counted():
    predicted = canvas(
        (5, 30, 10, 22),  # Two cells merged.
        (30, 5, 10, 9),  # One cell split ...
        (30, 15, 10, 10),  # ... in two.
        (50, 60, 8, 8),  # Added; the first cell is missed.
    )
    assert count_errors(overlaps(TRUE, predicted)) == CellErrors(
        true=4, predicted=4, split=1, merged=1, added=1, missed=1
    )


def test_a_shifted_cell_is_no_error_until_half_is_lost():
    true = canvas((10, 10, 10, 10))
    near = canvas((10, 15, 10, 10))
    far = canvas((10, 16, 10, 10))
    assert count_errors(overlaps(true, near)) == CellErrors(1, 1)
    assert count_errors(overlaps(true, far)) == CellErrors(
        1, 1, added=1, missed=1
    )


def test_iou_is_that_of_full_arrays():
    generator = np.random.default_rng(0)
    true = generator.integers(0, 5, (20, 20))
    predicted = generator.integers(0, 4, (20, 20))
    found = overlaps(true, predicted)
    iou = found.iou()
    assert iou.size == 4 * 3
    for pair, value in enumerate(iou):
        one = true == found.true_ids[found.shared.row[pair]]
        other = predicted == found.predicted_ids[found.shared.col[pair]]
        assert value == pytest.approx((one & other).sum() / (one | other).sum())


def test_matches_are_one_to_one_and_best():
    true = canvas((0, 0, 10, 10), (0, 10, 10, 10))
    # The first lies over both; the second over the second only.
    predicted = canvas((0, 2, 10, 10), (0, 12, 10, 8))
    found = overlaps(true, predicted)
    assert match(found, min_iou=0.05) == [(0, 0), (1, 1)]
    assert match(found, min_iou=0.75) == [(1, 1)]
    assert match(found, min_iou=0.9) == []


def test_a_lower_threshold_gives_up_a_good_match_for_two():
    true = canvas((0, 0, 10, 10), (0, 10, 10, 10))
    predicted = canvas((0, 4, 10, 10))
    # 0.43 with the first, 0.25 with the second.
    assert match(overlaps(true, predicted), min_iou=0.2) == [(0, 0)]


def test_groups_of_cells_are_matched_by_themselves():
    cells = canvas(*[(r, c, 8, 8) for r in (0, 10, 20) for c in (0, 20, 40)])
    halves = canvas(
        *[
            (r, c + k, 8, 4)
            for r in (0, 10, 20)
            for c in (0, 20, 40)
            for k in (0, 4)
        ]
    )
    pairs = match(overlaps(cells, halves), 0.4)
    assert [one for one, _ in pairs] == list(range(9))
    assert all(other // 2 == one for one, other in pairs)


def test_many_cells_need_no_table_of_all_pairs():
    row = np.repeat(np.arange(1, 20_001, dtype=np.int32), 3)
    tracemalloc.start()
    pairs = match(overlaps(row[np.newaxis], row[np.newaxis]), 0.1)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert pairs == [(k, k) for k in range(20_000)]
    assert peak < 100e6  # The table would take 3.2 GB.


def test_numbers_of_regions_may_have_gaps():
    true = canvas((5, 5, 10, 10)) * 1000
    found = overlaps(true, true // 10)
    assert found.true_ids.tolist() == [1000]
    assert found.predicted_ids.tolist() == [100]
    assert match(found) == [(0, 0)]


def test_empty_images():
    nothing = np.zeros((10, 10), np.int32)
    found = overlaps(nothing, nothing)
    assert count_errors(found) == CellErrors()
    assert match(found) == []


def test_all_missed_and_all_added():
    nothing = np.zeros_like(TRUE)
    assert count_errors(overlaps(TRUE, nothing)) == CellErrors(true=4, missed=4)
    assert count_errors(overlaps(nothing, TRUE)) == CellErrors(
        predicted=4, added=4
    )


def test_errors_of_images_add_up():
    assert CellErrors(1, 2, 3, 4, 5, 6) + CellErrors(
        1, 1, 1, 1, 1, 1
    ) == CellErrors(2, 3, 4, 5, 6, 7)


def test_detection_by_hand():
    assert detection(10, 8, 6) == {
        "precision": 0.75,
        "recall": 0.6,
        "f1": pytest.approx(2 / 3),
    }
    assert detection(0, 0, 0) == {"precision": None, "recall": None, "f1": None}


def test_shapes_must_agree():
    with pytest.raises(ValueError, match="same shape"):
        overlaps(TRUE, TRUE[:5])
