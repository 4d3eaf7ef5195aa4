"""Scores of tiles against the same computed on arrays of all pixels."""

import numpy as np
import pytest
from skimage import metrics

from isl.evaluation import tile_scores
from isl.evaluation.pixel_sums import PixelSums
from isl.evaluation.similarity import structural_similarity
from isl.evaluation.tile_scores import (
    TILE_SIZE,
    TileScores,
    bootstrap_intervals,
    iter_tiles,
    pool,
)
from isl.evaluation.tile_scoring import DistributionSums, score_tiles

# A region that begins anywhere and ends in tiles of 64, 4 and 3 pixels.
ROWS, COLUMNS = slice(37, 37 + 2 * TILE_SIZE + 3), slice(11, 11 + 196)
SHAPE = (ROWS.stop - ROWS.start, COLUMNS.stop - COLUMNS.start)


@pytest.fixture(scope="module")
def pair():
    rng = np.random.default_rng(0)
    true = rng.integers(0, 256, SHAPE).astype(np.uint8)
    predicted = true + rng.normal(0, 20, SHAPE)
    return true, np.clip(predicted, 0, 255).astype(np.uint8)


def reader(true):
    def read(rows, columns):
        return true[
            rows.start - ROWS.start : rows.stop - ROWS.start,
            columns.start - COLUMNS.start : columns.stop - COLUMNS.start,
        ]

    return read


def part(image, tile):
    return reader(image)(tile.rows, tile.columns)


@pytest.fixture(scope="module")
def tiles(pair):
    return score_tiles(ROWS, COLUMNS, reader(pair[0]), pair[1], None)


def test_tiles_cover_the_region_once(tiles):
    covered = np.zeros((400, 400), int)
    for tile in tiles:
        covered[tile.rows, tile.columns] += 1
        assert tile.sums.count == part(covered[ROWS, COLUMNS], tile).size
    assert (covered[ROWS, COLUMNS] == 1).all()
    assert covered.sum() == SHAPE[0] * SHAPE[1]
    assert [(t.rows, t.columns) for t in tiles] == list(
        iter_tiles(ROWS, COLUMNS)
    )


def test_metrics_of_each_tile_equal_numpy(pair, tiles):
    for tile in tiles:
        true, predicted = (part(image, tile).astype(int) for image in pair)
        expected = np.corrcoef(true.ravel(), predicted.ravel())[0, 1]
        assert tile.pearson() == pytest.approx(expected, abs=1e-10)
        assert tile.mae() == pytest.approx(
            np.abs(true - predicted).mean() / 255
        )
        assert np.isnan(tile.sums.metrics()["nll"])


def test_pooled_similarity_is_that_of_the_whole_image(pair, tiles):
    expected = metrics.structural_similarity(
        *(image / 255 for image in pair),
        data_range=1.0,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
    )
    assert pool(tiles).ssim() == pytest.approx(expected, abs=1e-12)
    whole = structural_similarity(*pair)
    assert np.nanmean(whole) == pytest.approx(expected, abs=1e-12)
    assert np.isnan(whole[4]).all() and np.isfinite(whole[5, 5])
    # The last row of tiles lies within the margin.
    assert np.isnan(tiles[-1].sums.metrics()["ssim"])


def test_images_smaller_than_the_window_have_no_similarity():
    small = np.zeros((10, 30), np.uint8)
    assert np.isnan(structural_similarity(small, small)).all()


def test_distributions_fall_into_their_tiles(pair):
    rng = np.random.default_rng(1)
    nll, crps, mean = (rng.random(SHAPE) for _ in range(3))
    sums = DistributionSums(ROWS, COLUMNS)
    for row in range(ROWS.start, ROWS.stop, 50):
        for column in range(COLUMNS.start, COLUMNS.stop, 141):
            rows = slice(row, min(row + 50, ROWS.stop))
            columns = slice(column, min(column + 141, COLUMNS.stop))
            sums.add(
                rows,
                columns,
                reader(pair[0])(rows, columns),
                255 * reader(mean)(rows, columns),
                reader(nll)(rows, columns),
                reader(crps)(rows, columns),
            )
    tiles = score_tiles(ROWS, COLUMNS, reader(pair[0]), pair[1], sums)
    for tile in tiles:
        found = tile.sums.metrics()
        assert found["nll"] == pytest.approx(part(nll, tile).mean())
        assert found["crps"] == pytest.approx(part(crps, tile).mean())
        images = part(pair[0], tile).ravel(), part(mean, tile).ravel()
        expected = np.corrcoef(*images)[0, 1]
        assert found["mean_pearson"] == pytest.approx(expected, abs=1e-9)


def tiles_with(errors, count=100):
    """Tiles of `count` pixels with these mean absolute errors in bins."""
    zeros = np.zeros(16)
    tiles = []
    for error in errors:
        sums = zeros.copy()
        sums[[0, 6]] = count, error * count
        tiles.append(
            TileScores(slice(0, 10), slice(0, 10), PixelSums.from_array(sums))
        )
    return tiles


def test_interval_equals_a_plain_bootstrap():
    errors = np.random.default_rng(2).normal(50, 10, 40)
    low, high = bootstrap_intervals(tiles_with(errors))["mae"]
    rng = np.random.default_rng(3)
    means = [rng.choice(errors, 40).mean() / 255 for _ in range(4000)]
    expected = np.quantile(means, [0.025, 0.975])
    np.testing.assert_allclose([low, high], expected, atol=0.15 * 10 / 255 / 6)
    assert low < errors.mean() / 255 < high


def test_interval_weighs_tiles_by_their_pixels():
    tiles = [*tiles_with([0.0] * 9, 100), *tiles_with([255.0], 1)]
    _, high = bootstrap_intervals(tiles)["mae"]
    assert high < 0.05


def test_intervals_are_the_same_every_time():
    tiles = tiles_with(range(10))
    assert bootstrap_intervals(tiles) == bootstrap_intervals(tiles)


def test_undefined_metrics_and_few_tiles_have_no_interval():
    tiles = tiles_with(range(10))
    assert set(bootstrap_intervals(tiles)) == {
        "mae",
        "bin_accuracy",
        "bin_accuracy_within_8",
        "nll",
        "crps",
    }
    assert bootstrap_intervals(tiles[: tile_scores.MIN_TILES - 1]) == {}
