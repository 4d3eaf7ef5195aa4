"""The table of scored wells, pooled and one by one."""

import dataclasses

import numpy as np
import pytest
from scipy import ndimage

from isl.evaluation.cells import compare_cells
from isl.evaluation.details import metric_details
from isl.evaluation.distributions import PixelDistributions
from isl.evaluation.neurites import NeuriteComparison
from isl.evaluation.output import write_tables
from isl.evaluation.scoring import read_true_bins
from isl.evaluation.tables import POOLED, read_details, read_metrics_csv
from isl.evaluation.tile_scores import bootstrap_intervals, pool
from isl.evaluation.tile_scoring import score_tiles
from isl.evaluation.viability import DeadImages
from isl.evaluation.wells import WellScores, empty_scores, metric_rows
from tests.tiny_runs import disks

SHAPE = (300, 270)


def segment(image):
    return ndimage.label(image > 0.5)[0]


def scored(seed=0, num_rows=SHAPE[0], condition="c", name="A1") -> WellScores:
    """DISK, predicted with noise and with its cells moved a little."""
    well = disks(seed, SHAPE, name=name)
    rows, columns = slice(0, num_rows), slice(0, SHAPE[1])
    scores = empty_scores(condition, well, rows, columns, ["DISK"], ["DISK"])
    true = read_true_bins(well, "DISK", rows, columns)
    noise = np.random.default_rng(seed).normal(0, 9, true.shape)
    predicted = np.clip(np.roll(true, 1, 1) + noise, 0, 255).astype(np.uint8)
    ones = np.full(true.shape, 0.25)
    scores.labels["DISK"].add(
        true,
        predicted,
        PixelDistributions(
            ones, ones, ones - 0.25, ones, ones, ones / 2, true > 96
        ),
    )
    scores.predictions["DISK"][:] = predicted
    one, other = true / 255, predicted / 255
    return dataclasses.replace(
        scores,
        tiles={
            "DISK": score_tiles(
                rows,
                columns,
                lambda r, c: true[r, c],
                predicted,
                None,
            )
        },
        cells={
            "DISK": compare_cells(
                one, other, segment, DeadImages(one, other, 0.69)
            )
        },
        neurites={"DISK": NeuriteComparison(10.0, 20.0, 5.0, 15.0)},
        camera_slopes={"DISK": 2000.0},
    )


@pytest.fixture(scope="module")
def pair():
    return [scored(1, 200), scored(2, 100, name="A2")]


def table(wells):
    return {(r.well, r.metric): r for r in metric_rows(wells)}


def test_pooled_rows_add_the_pixels_of_wells(pair):
    rows = table(pair)
    for metric in ("mae", "nll", "bin_accuracy", "mae_camera"):
        one, two, pooled = (rows[well, metric] for well in ("A1", "A2", POOLED))
        assert pooled.count == one.count + two.count == 300 * SHAPE[1]
        expected = (2 * one.value + two.value) / 3
        assert pooled.value == pytest.approx(expected, rel=1e-9)


def test_conditions_are_not_pooled_with_each_other():
    wells = [scored(1, 40, name) for name in ("B", "C")]
    pooled = [r for r in metric_rows(wells) if r.well == POOLED]
    assert {r.condition for r in pooled} == {"B", "C"}
    assert {r.count for r in pooled if r.metric == "mae"} == {40 * SHAPE[1]}


def test_intervals_come_from_the_tiles(pair):
    rows = table(pair)
    tiles = [tile for one in pair for tile in one.tiles["DISK"]]
    low, high = bootstrap_intervals(tiles)["pearson"]
    row = rows[POOLED, "pearson"]
    assert (row.low, row.high) == (low, high)
    assert low < row.value < high
    of_well = bootstrap_intervals(pair[0].tiles["DISK"])["mae"]
    assert (rows["A1", "mae"].low, rows["A1", "mae"].high) == of_well
    camera, mae = rows["A1", "mae_camera"], rows["A1", "mae"]
    assert camera.value == pytest.approx(2000 * mae.value)
    assert camera.low == pytest.approx(2000 * mae.low)
    assert rows["A2", "mae"].low is None  # Three tiles are too few.
    assert rows[POOLED, "coverage_50"].low is None
    assert rows[POOLED, "cell_f1"].low is None


def test_similarity_and_noise_ratio_come_from_the_tiles(pair):
    rows = table(pair)
    expected = pool(pair[0].tiles["DISK"])
    assert rows["A1", "ssim"].value == pytest.approx(float(expected.ssim()))
    assert rows["A1", "psnr"].value == pytest.approx(float(expected.psnr()))
    assert rows["A1", "ssim"].low < rows["A1", "ssim"].value


def test_a_perfect_prediction_has_no_noise_ratio(pair):
    tiles = tuple(
        dataclasses.replace(
            tile,
            sums=dataclasses.replace(
                tile.sums,
                predicted_squares=tile.sums.true_squares,
                products=tile.sums.true_squares,
            ),
        )
        for tile in pair[0].tiles["DISK"]
    )
    perfect = dataclasses.replace(pair[0], tiles={"DISK": tiles})
    row = table([perfect])[POOLED, "psnr"]
    assert row.value is None and row.low is None


def test_camera_units_need_one_scale(pair):
    other = dataclasses.replace(pair[1], camera_slopes={"DISK": 1000.0})
    rows = table([pair[0], other])
    assert (POOLED, "mae_camera") not in rows
    assert ("A1", "mae_camera") in rows


def test_wells_without_the_label_have_no_say_in_camera_units(pair):
    nothing = dict.fromkeys(
        ("labels", "tiles", "cells", "neurites", "camera_slopes"), {}
    )
    other = dataclasses.replace(pair[1], **nothing)
    assert (POOLED, "mae_camera") in table([pair[0], other])


def test_cells_and_lines_are_pooled(pair):
    rows = table(pair)
    numbers = [one.cells["DISK"].metrics() for one in pair]
    for metric in ("cells_true", "cell_missed", "cell_added", "dead_true"):
        assert rows[POOLED, metric].value == sum(n[metric] for n in numbers)
    assert rows[POOLED, "cell_f1"].count == rows[POOLED, "cells_true"].value
    assert rows[POOLED, "neurite_length_true"].value == 20
    assert rows["A1", "neurite_completeness"].value == 0.5


def test_counts_of_whole_tiles_correlate():
    wells = [scored(seed, name=f"A{seed}") for seed in range(4)]
    true, predicted = [], []
    for one in wells:
        found = one.cells["DISK"]
        for tile in one.tiles["DISK"]:
            if tile.sums.count < 128**2:  # Fewer cells, whatever is predicted.
                continue
            for counts, cells in (
                (true, [a for a, _ in found.matched] + [*found.missed]),
                (predicted, [b for _, b in found.matched] + [*found.added]),
            ):
                counts.append(
                    sum(
                        round(c.row) in range(tile.rows.start, tile.rows.stop)
                        and round(c.column)
                        in range(tile.columns.start, tile.columns.stop)
                        for c in cells
                    )
                )
    row = table(wells)[POOLED, "cell_count_pearson"]
    assert row.value == pytest.approx(np.corrcoef(true, predicted)[0, 1])


def test_details_hold_what_figures_draw(pair):
    details = metric_details(pair)["c"]["DISK"]
    pixels = 300 * SHAPE[1]
    assert sum(map(sum, details["joint_histogram"])) == pixels
    # All pixels lie evenly between 0 and 0.25.
    assert details["pit"] == pytest.approx([pixels / 5] * 5 + [0] * 15)
    tenth = details["reliability"][1]
    assert tenth["pixels"] == pixels
    assert tenth["predicted"] == pytest.approx(0.125)
    assert 0 < tenth["observed"] < 1
    assert details["reliability"][0]["predicted"] is None
    cells = [one.cells["DISK"] for one in pair]
    matched = sum(len(found.matched) for found in cells)
    half = next(row for row in details["iou_curve"] if row["iou"] == 0.5)
    assert half["matched"] == matched
    confusion = sum(found.confusion() for found in cells)
    assert details["confusion"] == confusion.tolist()
    assert confusion.sum() == matched


def test_details_leave_out_what_is_not_known(pair):
    plain = dataclasses.replace(pair[0], cells={})
    stored = empty_scores("c", disks(), slice(0, 9), slice(0, 9), ["DISK"], [])
    assert "iou_curve" not in metric_details([plain])["c"]["DISK"]
    assert set(metric_details([stored])["c"]["DISK"]) == {"joint_histogram"}


def test_tables_are_written(pair, tmp_path):
    rows = metric_rows(pair)
    write_tables(tmp_path, pair, rows, {"commit": "abc"}, metric_details(pair))
    assert read_metrics_csv(tmp_path / "metrics.csv") == tuple(rows)
    details = read_details(tmp_path / "metrics.json")
    assert details == metric_details(pair)
    cells = (tmp_path / "cells.csv").read_text().splitlines()
    assert {line.split(",")[1] for line in cells[1:]} == {"A1", "A2"}
    plain = [dataclasses.replace(one, cells={}) for one in pair]
    write_tables(tmp_path / "plain", plain, metric_rows(plain), {}, {})
    assert not (tmp_path / "plain" / "cells.csv").exists()
