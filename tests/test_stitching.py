import csv
import json
import tracemalloc

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from isl.errors import InputError
from isl.preprocessing import (
    illumination,
    mosaic,
    tile_grid,
    tile_offsets,
    tile_placement,
)
from isl.preprocessing.steps import StitchStep
from isl.preprocessing.tile_grid import Neighbours
from isl.preprocessing.tile_placement import PairOffset
from isl.specs.region import Region

TILE = (80, 100)


@pytest.fixture(scope="module")
def scene():
    random = np.random.default_rng(0)
    texture = ndimage.gaussian_filter(random.standard_normal((500, 600)), 1)
    return (1000 + 300 * texture).astype(np.float32)


def cut(scene, positions):
    return [
        scene[row : row + TILE[0], column : column + TILE[1]]
        for row, column in positions
    ]


@pytest.fixture(scope="module")
def true_positions():
    """A 4 x 4 grid that steps by 68 and 86, sheared, with a random error."""
    indices = tile_grid.grid_indices(4, 4, "rows_snake")
    random = np.random.default_rng(1)
    steps = np.array([[68, -3], [4, 86]])
    return 40 + indices @ steps + random.integers(-2, 3, indices.shape)


REACH = StitchStep().max_shift
NOMINAL = tile_grid.nominal_positions(
    tile_grid.grid_indices(4, 4, "rows_snake"), TILE, 0.1
)


def relative(positions):
    positions = np.asarray(positions, float)
    return positions - positions.mean(axis=0)


def rms_error(positions, truth):
    errors = relative(positions) - relative(truth)
    return np.sqrt((errors**2).sum(axis=1).mean())


def read_images(folder, names):
    return [np.asarray(Image.open(folder / name)) for name in names]


@pytest.fixture(scope="module")
def brain(shared_data):
    names = [f"tile_{number:02d}.png" for number in range(9, 45)]
    return read_images(shared_data / "basic_wsi_brain_tiles", names)


@pytest.fixture(scope="module")
def brain_placement(brain):
    indices = tile_grid.grid_indices(4, 9, "rows_snake")
    nominal = tile_grid.nominal_positions(indices, (512, 512), 0.1)
    return tile_placement.place_tiles(
        brain.__getitem__, nominal, (512, 512), REACH
    )


@pytest.mark.parametrize(
    "order, expected",
    [
        ("rows", [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2)]),
        ("rows_snake", [(0, 0), (0, 1), (0, 2), (1, 2), (1, 1), (1, 0)]),
        ("columns", [(0, 0), (1, 0), (0, 1), (1, 1), (0, 2), (1, 2)]),
        ("columns_snake", [(0, 0), (1, 0), (1, 1), (0, 1), (0, 2), (1, 2)]),
    ],
)
def test_orders_of_acquisition(order, expected):
    found = tile_grid.grid_indices(2, 3, order)
    assert list(map(tuple, found.tolist())) == expected


def test_nominal_positions_and_neighbours():
    indices = tile_grid.grid_indices(2, 2, "rows_snake")
    nominal = tile_grid.nominal_positions(indices, (100, 200), 0.25)
    np.testing.assert_allclose(nominal, [[0, 0], [0, 150], [75, 150], [75, 0]])
    assert tile_grid.find_neighbours(nominal, (100, 200)) == (
        Neighbours(0, 1, 1),
        Neighbours(1, 2, 0),
        Neighbours(0, 3, 0),
        Neighbours(3, 2, 1),
    )
    apart = tile_grid.nominal_positions(indices, (100, 200), 0)
    assert tile_grid.find_neighbours(apart, (100, 200)) == ()


def test_impossible_grids_are_refused():
    with pytest.raises(InputError, match="rows, rows_snake.*Received: 'zig'"):
        tile_grid.grid_indices(2, 2, "zig")
    with pytest.raises(InputError, match="Received: 0 x 2"):
        tile_grid.grid_indices(0, 2, "rows")
    with pytest.raises(InputError, match="below 1. Received: 1.0"):
        tile_grid.nominal_positions([[0, 0]], TILE, 1.0)
    with pytest.raises(InputError, match="at least one.*Received: 0"):
        tile_placement.place_tiles(None, np.zeros((0, 2)), TILE, REACH)


def test_correlation_is_that_of_what_two_images_share():
    random = np.random.default_rng(3)
    first = random.standard_normal((12, 15)).astype(np.float32)
    second = random.standard_normal((9, 14)).astype(np.float32)
    rows, columns = np.arange(-7, 11), np.arange(-12, 13)
    found = tile_offsets.normalized_correlation(first, second, rows, columns)
    for (i, j), value in np.ndenumerate(found):
        row, column = rows[i], columns[j]
        ours = first[
            max(0, row) : max(0, row + 9), max(0, column) : max(0, column + 14)
        ]
        theirs = second[
            max(0, -row) : max(0, 12 - row), max(0, -column) : 15 - column
        ]
        assert ours.shape == theirs.shape
        if min(ours.shape) < 3:
            assert value == -1
        else:
            expected = np.corrcoef(ours.ravel(), theirs.ravel())[0, 1]
            assert value == pytest.approx(expected, abs=1e-5)


def test_constant_overlaps_correlate_with_nothing():
    flat = np.full((10, 12), 5, np.float32)
    textured = np.random.default_rng(0).random((10, 12), np.float32)
    offsets = np.arange(-2, 3)
    found = tile_offsets.normalized_correlation(
        flat, textured, offsets, offsets
    )
    np.testing.assert_array_equal(found, np.zeros((5, 5)))


def test_peaks_lie_between_pixels_and_slopes_are_no_peaks():
    rows, columns = np.mgrid[10:31, -5:16]
    surface = np.exp(-((rows - 20.3) ** 2 + (columns - 4.8) ** 2) / 20)
    agreement = tile_offsets.Agreement(
        Neighbours(0, 1, 1), (10, -5), surface.astype(np.float32)
    )
    offset, correlation = agreement.best()
    np.testing.assert_allclose(offset, (20.3, 4.8), atol=0.02)
    assert correlation == surface.max().astype(np.float32)
    near, far = np.array((21, 6)), np.array((14, 6))
    np.testing.assert_allclose(
        agreement.best(near, np.full(2, 3))[0], (20.3, 4.8), atol=0.02
    )
    assert agreement.best(far, np.full(2, 3))[1] == -1


def test_tiles_are_found_where_they_were_cut(scene, true_positions):
    tiles = cut(scene, true_positions)
    reads = []

    def read(index):
        reads.append(index)
        return tiles[index]

    placement = tile_placement.place_tiles(read, NOMINAL, TILE, 0.15)
    assert rms_error(placement.positions, true_positions) < 0.1
    assert np.min(placement.positions, axis=0).tolist() == [0, 0]
    assert reads == list(range(16))
    assert len(placement.pairs) == 24
    assert all(pair.correlation > 0.9 for pair in placement.pairs)


def test_uneven_light_does_not_mislead(scene, true_positions):
    rows, columns = np.mgrid[-1 : 1 : TILE[0] * 1j, -1 : 1 : TILE[1] * 1j]
    light = 1.2 - 0.5 * rows**2 - 0.5 * columns**2
    tiles = [
        (10 * tile * light).astype(np.uint16)
        for tile in cut(scene, true_positions)
    ]
    placement = tile_placement.place_tiles(
        tiles.__getitem__, NOMINAL, TILE, 0.15
    )
    assert rms_error(placement.positions, true_positions) < 0.3


def test_fractions_of_a_pixel_are_found(scene):
    second = ndimage.shift(scene, (-0.4, 0.3), order=3)
    tiles = [scene[100:180, 100:200], second[104:184, 180:280]]
    nominal = np.array([[0.0, 0.0], [0.0, 85.0]])
    placement = tile_placement.place_tiles(
        tiles.__getitem__, nominal, TILE, REACH
    )
    step = np.subtract(*placement.positions[::-1])
    np.testing.assert_allclose(step, (4.4, 79.7), atol=0.1)


def test_empty_overlaps_take_what_the_stage_does_elsewhere(
    scene, true_positions
):
    tiles = cut(scene, true_positions)
    random = np.random.default_rng(2)
    # The last tile shows nothing but noise.
    tiles[15] = random.standard_normal(TILE)
    placement = tile_placement.place_tiles(
        tiles.__getitem__, NOMINAL, TILE, 0.15
    )
    unseen = [pair for pair in placement.pairs if pair.measured is None]
    assert {(pair.first, pair.second) for pair in unseen} == {(15, 14), (8, 15)}
    others = relative(placement.positions[:15])
    np.testing.assert_allclose(others, relative(true_positions[:15]), atol=0.1)
    # The stage's error is up to 2 pixels in each tile.
    errors = np.subtract(placement.positions, true_positions)
    assert np.abs(errors[15] - errors[:15].mean(axis=0)).max() < 4


def test_without_any_detail_the_stage_is_believed():
    blank = np.zeros(TILE, np.uint16)
    placement = tile_placement.place_tiles(
        lambda index: blank, NOMINAL, TILE, 0.1
    )
    np.testing.assert_allclose(placement.positions, NOMINAL, atol=1e-6)
    assert all(pair.measured is None for pair in placement.pairs)


def test_an_offset_that_contradicts_the_others_is_left_out():
    nominal = np.array([[0.0, 0], [0, 90], [70, 0], [70, 90], [140, 0]])
    pairs = []
    for first, second in ((0, 1), (0, 2), (1, 3), (2, 3), (2, 4)):
        step = tuple(nominal[second] - nominal[first])
        pairs.append(PairOffset(first, second, step, step, 0.9))
    wrong = PairOffset(3, 4, (70.0, -90.0), (90.0, -60.0), 0.5)
    placement = tile_placement.reconcile(nominal, (*pairs, wrong))
    np.testing.assert_allclose(placement.positions, nominal, atol=0.01)
    assert placement.pairs[5].measured is None
    assert placement.pairs[5].correlation == 0.5
    assert all(pair.measured for pair in placement.pairs[:5])


def test_a_false_peak_is_not_believed_against_the_stage():
    """Five pairs agree that the stage errs by 3 columns, one says 30."""
    nominal = np.array([[0.0, 90.0 * n] for n in range(7)])
    agreements = []
    for first in range(6):
        surface = np.full((61, 61), -0.5, np.float32)
        surface[30, 33] = 0.7
        if first == 2:
            surface[30, 60] = 0.9
        pair = Neighbours(first, first + 1, 1)
        agreements.append(tile_offsets.Agreement(pair, (-30, 60), surface))
    for pair in tile_placement.measure_offsets(agreements, nominal):
        assert pair.measured == pair.expected == (0.0, 93.0)
        assert pair.correlation == pytest.approx(0.7)


def test_better_correlation_weighs_more():
    nominal = np.array([[0.0, 0], [0, 90]])
    pairs = [
        PairOffset(0, 1, (0.0, 90.0), (0.0, 90.0), 0.8),
        PairOffset(0, 1, (0.0, 90.0), (0.0, 92.0), 0.4),
    ]
    placement = tile_placement.reconcile(nominal, pairs)
    assert placement.positions[1][1] == pytest.approx(90.4, abs=0.01)


def test_placements_are_json(scene, true_positions):
    tiles = cut(scene, true_positions)
    placement = tile_placement.place_tiles(
        tiles.__getitem__, NOMINAL, TILE, REACH
    )
    value = json.loads(json.dumps(placement.to_dict()))
    assert len(value["positions"]) == 16
    assert set(value["pairs"][0]) == {
        "first",
        "second",
        "expected",
        "measured",
        "correlation",
    }


def test_tiles_of_another_size_are_named(scene, true_positions):
    tiles = cut(scene, true_positions)
    tiles[3] = tiles[3][:-1]
    with pytest.raises(InputError, match="tile 3: all must have one size"):
        tile_placement.place_tiles(tiles.__getitem__, NOMINAL, TILE, REACH)
    with pytest.raises(InputError, match="tile 3: all must have one size"):
        mosaic.stitch(tiles.__getitem__, true_positions, TILE)


def test_nist_tiles_are_placed_to_two_pixels(shared_data):
    folder = shared_data / "nist_mist_tiles"
    with open(folder / "positions.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    truth = [(float(row["y"]), float(row["x"])) for row in rows]
    tiles = read_images(folder, [row["tile"] for row in rows])
    indices = tile_grid.grid_indices(5, 5, "columns")
    nominal = tile_grid.nominal_positions(indices, tiles[0].shape, 0.1)
    placement = tile_placement.place_tiles(
        tiles.__getitem__, nominal, tiles[0].shape, REACH
    )
    # Required: 2. Found: 0.97, of which tiles 5 and 10, whose true positions
    # are among the least certain, make up all but 0.4.
    assert rms_error(placement.positions, truth) < 1.2


def test_brain_tiles_are_placed_as_their_source_says(brain_placement):
    # SOURCE.md: 51 px overlap; a right neighbour 8 px lower, a lower one
    # 8 px to the left.
    positions = np.array(brain_placement.positions)
    for pair in brain_placement.pairs:
        step = positions[pair.second] - positions[pair.first]
        expected = (8, 461) if step[1] > step[0] else (461, -8)
        np.testing.assert_allclose(step, expected, atol=1.5)


def test_mosaic_of_tiles_that_agree_is_the_scene(scene, true_positions):
    tiles = cut(scene, true_positions)
    image = mosaic.stitch(tiles.__getitem__, true_positions, TILE)
    top, left = true_positions.min(axis=0)
    expected = scene[top : top + image.shape[0], left : left + image.shape[1]]
    covered = np.zeros(image.shape, bool)
    for row, column in true_positions - (top, left):
        covered[row : row + TILE[0], column : column + TILE[1]] = True
    np.testing.assert_allclose(image[covered], expected[covered], rtol=1e-5)
    assert (image[~covered] == 0).all() and not covered.all()
    assert image.shape == mosaic.mosaic_shape(true_positions, TILE)


def test_covered_region_is_the_largest_without_a_hole(true_positions):
    shape = mosaic.mosaic_shape(true_positions, TILE)
    covered = np.zeros(shape, bool)
    for row, column in true_positions - true_positions.min(axis=0):
        covered[row : row + TILE[0], column : column + TILE[1]] = True
    region = mosaic.covered_region(true_positions, TILE)
    rows, columns = region.resolve(shape)
    assert covered[rows, columns].all()
    size = covered[rows, columns].size
    sums = np.pad(covered.cumsum(axis=0).cumsum(axis=1), ((1, 0), (1, 0)))
    heights, widths = np.triu_indices(shape[0] + 1, 1)
    for top, bottom in zip(heights[::97], widths[::97], strict=True):
        full = (sums[bottom] - sums[top]) == (bottom - top) * np.arange(
            shape[1] + 1
        )
        if full.all():
            assert (bottom - top) * shape[1] <= size


def test_covered_region_avoids_a_missing_tile():
    tiles = [(0, 0), (0, 90), (70, 0), (70, 180), (0, 180)]
    region = mosaic.covered_region(tiles, TILE)
    assert region == Region((0, 80), (0, 280))
    one = mosaic.covered_region([(5.2, 7.9)], TILE)
    assert one == Region((0, 80), (0, 100))


def test_tiles_fade_into_each_other():
    tiles = [np.zeros(TILE), np.full(TILE, 100.0)]
    image = mosaic.stitch(tiles.__getitem__, [(0, 0), (0, 80)], TILE)
    middle = image[40]
    assert (middle[:80] == 0).all() and (middle[100:] == 100).all()
    steps = np.diff(middle[79:101])
    assert (steps > 0).all() and steps.max() < 7
    assert middle[89] + middle[90] == pytest.approx(100)


@pytest.mark.parametrize("band_rows", [1, 33, 80, 1000])
def test_bands_follow_each_other_and_read_each_tile_once(
    scene, true_positions, band_rows, monkeypatch
):
    monkeypatch.setattr(mosaic, "BAND_ROWS", band_rows)
    tiles = cut(scene, true_positions)
    region = mosaic.covered_region(true_positions, TILE)
    whole = mosaic.stitch(tiles.__getitem__, true_positions, TILE)
    reads = []

    def read(index):
        reads.append(index)
        return tiles[index]

    bands = list(mosaic.stitch_bands(read, true_positions, TILE, region))
    assert sorted(reads) == list(range(16))
    assert all(len(band) == band_rows for band in bands[:-1])
    rows, columns = region.resolve(whole.shape)
    np.testing.assert_allclose(
        np.concatenate(bands), whole[rows, columns], rtol=1e-6
    )


def test_a_tall_mosaic_needs_the_memory_of_a_few_tiles():
    shape = (400, 400)
    positions = [(360 * row, 360 * column) for row, column in np.ndindex(20, 2)]
    tracemalloc.start()
    for band in mosaic.stitch_bands(
        lambda index: np.ones(shape, np.float32), positions, shape
    ):
        assert band.min() == band.max() == 1
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # 40 tiles are 26 MB; four of them and a band are 4.
    assert peak < 8e6


def test_tiles_outside_a_region_are_not_read(scene, true_positions):
    tiles = cut(scene, true_positions)
    reads = []

    def read(index):
        reads.append(index)
        return tiles[index]

    corner = Region((0, 50), (0, 60))
    assert mosaic.stitch(read, true_positions, TILE, corner).shape == (50, 60)
    assert reads == [0]


def test_seams_vanish_with_the_flat_field(brain, brain_placement):
    fields = illumination.estimate_illumination(brain)

    def corrected(index):
        return illumination.correct_illumination(brain[index], fields)

    def disagreement(read):
        """Mean relative difference of tiles where they overlap."""
        differences = []
        positions = np.rint(brain_placement.positions).astype(int)
        for pair in brain_placement.pairs:
            if pair.measured is None:
                continue
            row, column = positions[pair.second] - positions[pair.first]
            ours = read(pair.first)[
                max(0, row) : 512 + min(0, row),
                max(0, column) : 512 + min(0, column),
            ]
            theirs = read(pair.second)[
                max(0, -row) : 512 - max(0, row),
                max(0, -column) : 512 - max(0, column),
            ]
            total = ours.mean() + theirs.mean()
            differences.append(abs(ours.mean() - theirs.mean()) / total)
        return np.mean(differences)

    before, after = disagreement(brain.__getitem__), disagreement(corrected)
    assert after < before / 3
