import numpy as np
import pytest
from scipy import ndimage

from isl.errors import InputError
from isl.preprocessing import artifacts
from isl.preprocessing.corrections import TileSteps
from isl.preprocessing.steps import DustStep, HotPixelsStep, MedianStep


def remove_hot_pixels(image, unit=1.0, **parameters):
    step = HotPixelsStep(**parameters)
    return artifacts.remove_hot_pixels(
        image, step.threshold, step.max_group, unit
    )


def find_dust(tiles, **parameters):
    step = DustStep(**parameters)
    return artifacts.find_dust(
        tiles, step.max_width, step.threshold, step.min_contrast
    )


@pytest.fixture
def specimen():
    """A noisy background with a soft cell and a thin neurite, uint16."""
    random = np.random.default_rng(1)
    image = np.full((120, 140), 400.0)
    rows, columns = np.mgrid[:120, :140]
    image += 2000 * np.exp(-((rows - 40) ** 2 + (columns - 50) ** 2) / 60)
    image[90, 20:120] += 500
    return random.poisson(image).astype(np.uint16)


HOT = [(10, 10), (60, 100), (61, 101), (110, 139)]
COLD = [(30, 120)]


@pytest.mark.parametrize(
    ("dtype", "scale", "unit"),
    [(np.uint16, 1, 1.0), (np.float32, 1, 1.0), (np.float32, 1 / 65535, 0.0)],
    ids=["uint16", "float32", "0 to 1"],
)
def test_hot_and_dead_pixels_are_replaced_and_nothing_else(
    specimen, dtype, scale, unit
):
    for place in HOT:
        specimen[place] = 60000
    for place in COLD:
        specimen[place] = 0
    broken = (specimen * scale).astype(dtype)
    before = broken.copy()
    repaired = remove_hot_pixels(broken, unit)
    np.testing.assert_array_equal(broken, before)
    assert repaired.dtype == dtype
    for place in HOT + COLD:
        assert repaired[place] / scale == pytest.approx(400, abs=60)
    changed = np.argwhere(repaired != broken)
    assert {tuple(place) for place in changed.tolist()} == {*HOT, *COLD}


def test_noise_alone_is_left_as_it_is():
    noise = np.random.default_rng(0).poisson(500, (60, 80)).astype(np.uint16)
    np.testing.assert_array_equal(remove_hot_pixels(noise), noise)


def test_bright_places_may_be_noisier():
    image = np.full((60, 80), 400.0)
    image[:, 40:] = 40000
    image = np.random.default_rng(0).poisson(image).astype(np.uint16)
    repaired = remove_hot_pixels(image)
    # One in ten of the bright pixels is 300 from the median, which would be
    # 15 standard deviations in the dark.
    assert (repaired != image).mean() < 0.005


def test_group_size_and_threshold_are_parameters(specimen):
    specimen[60, 100:103] = 60000
    kept = remove_hot_pixels(specimen)
    assert (kept[60, 100:103] == 60000).all()
    gone = remove_hot_pixels(specimen, max_group=3)
    assert (gone[60, 100:103] < 500).all()
    faint = specimen.copy()
    faint[20, 100] = 600
    assert remove_hot_pixels(faint)[20, 100] < 500
    assert remove_hot_pixels(faint, threshold=20)[20, 100] == 600


@pytest.mark.parametrize("dtype", [np.uint16, np.float32])
def test_a_background_without_noise_does_not_make_objects_deviate(dtype):
    image = np.zeros((30, 30), dtype)
    image[10:20, 10:20] = np.arange(100).reshape(10, 10) + 1000
    np.testing.assert_array_equal(remove_hot_pixels(image), image)
    image[3, 3] = 1
    np.testing.assert_array_equal(remove_hot_pixels(image), image)
    image[3, 3] = 50
    assert remove_hot_pixels(image)[3, 3] == 0


@pytest.mark.parametrize(
    ("dtype", "is_replaced"),
    [(np.uint8, False), (np.uint32, False), (np.float32, True)],
)
def test_whole_numbers_have_noise_of_a_unit(dtype, is_replaced):
    tile = np.full((20, 20), 100, dtype)
    tile[3, 3] = 105
    steps = TileSteps((HotPixelsStep(),), ({},), "BRIGHTFIELD")
    corrected = steps.apply(tile, "BRIGHTFIELD")
    assert (corrected[3, 3] == 100) == is_replaced


def test_median_until_stable_reaches_a_root(specimen):
    root = artifacts.median_until_stable(specimen, max_rounds=300)
    again = ndimage.median_filter(root, 5, mode="mirror")
    np.testing.assert_array_equal(again, root)
    assert root.dtype == np.uint16
    # The thin neurite is gone, the cell is not.
    assert root[90, 60] < 500 and root[40, 50] > 1000


def test_median_stops_after_the_given_rounds(specimen):
    once = ndimage.median_filter(specimen, 5, mode="mirror")
    np.testing.assert_array_equal(
        artifacts.median_until_stable(specimen, max_rounds=1), once
    )
    assert not np.array_equal(
        artifacts.median_until_stable(specimen, MedianStep().max_rounds), once
    )


@pytest.fixture(scope="module")
def dusty():
    """Tiles with cells here and there, behind the same dust."""
    random = np.random.default_rng(2)
    rows, columns = np.mgrid[:200, :220]
    transmission = np.ones((200, 220))
    for row, column, depth in ((50, 60, 0.2), (150, 180, 0.8)):
        spot = np.hypot(rows - row, columns - column) < 6
        transmission[spot] -= depth
    transmission = ndimage.gaussian_filter(transmission, 1)
    clean, seen = [], []
    for _ in range(12):
        light = np.full((200, 220), 1000.0)
        for row, column in random.integers(0, 200, (6, 2)):
            light[np.hypot(rows - row, columns - column) < 9] = 1500
        clean.append(light)
        seen.append(random.poisson(light * transmission).astype(np.uint16))
    return clean, seen, transmission


def test_dust_is_found_where_it_is(dusty):
    _, tiles, transmission = dusty
    dust = find_dust(iter(tiles))
    assert dust.transmission.dtype == np.float32
    thin = np.hypot(*np.ogrid[-50:150, -60:160]) < 4
    np.testing.assert_allclose(dust.transmission[thin], 0.8, atol=0.06)
    assert not dust.opaque[thin].any()
    thick = np.hypot(*np.ogrid[-150:50, -180:40]) < 4
    assert dust.opaque[thick].all()
    marked = dust.transmission != 1
    allowed = ndimage.binary_dilation(transmission < 0.99, iterations=5)
    assert not (marked & ~allowed).any()


def test_dust_is_found_whatever_the_unit(dusty):
    _, tiles, _ = dusty
    faint = [tile.astype(np.float32) * np.float32(1e-8) for tile in tiles]
    expected, dust = find_dust(tiles), find_dust(faint)
    np.testing.assert_allclose(
        dust.transmission, expected.transmission, atol=0.01
    )
    np.testing.assert_array_equal(dust.opaque, expected.opaque)


def test_a_place_without_light_is_opaque(dusty):
    _, tiles, _ = dusty
    masked = [tile.copy() for tile in tiles]
    for tile in masked:
        tile[160:, :40] = 0
    dust = find_dust(masked, max_width=9)  # Sees no light there.
    assert np.isfinite(dust.transmission).all()
    assert dust.opaque[165:, :35].all()
    assert not dust.opaque[:150, 60:150].any()


def test_dust_is_divided_out_or_filled_in(dusty):
    clean, tiles, transmission = dusty
    dust = find_dust(tiles)
    # A tile without cells near the dust.
    tile = (1000 * transmission).astype(np.uint16)
    mended = artifacts.remove_dust(tile, dust)
    assert mended.dtype == np.float32
    np.testing.assert_allclose(mended, 1000, rtol=0.1)
    nothing = artifacts.DustMap(
        np.full((4, 4), 0.5, np.float32), np.zeros((4, 4), bool)
    )
    halved = artifacts.remove_dust(np.full((4, 4), 100, np.uint16), nothing)
    np.testing.assert_array_equal(halved, np.full((4, 4), 200, np.float32))


def test_cells_in_many_tiles_are_no_dust():
    random = np.random.default_rng(4)
    tiles = []
    for index in range(10):
        tile = np.full((100, 100), 1000.0)
        if index < 6:  # A place where six of ten tiles show a cell.
            tile[40:50, 40:50] = 600
        tiles.append(random.poisson(tile))
    assert (find_dust(tiles).transmission == 1).all()


def test_faint_spots_do_not_count(dusty):
    _, tiles, _ = dusty
    dust = find_dust(tiles, min_contrast=0.5)
    assert (dust.transmission[44:56, 54:66] == 1).all()
    assert dust.opaque.any()


def test_few_or_unequal_tiles_are_refused(dusty):
    _, tiles, _ = dusty
    with pytest.raises(InputError, match="at least 5 tiles.*Received: 4"):
        find_dust(tiles[:4])
    with pytest.raises(InputError, match="one size"):
        find_dust([*tiles, np.zeros((4, 4), np.uint16)])
    with pytest.raises(InputError, match="one size"):
        artifacts.remove_dust(np.zeros((4, 4)), find_dust(tiles))
    stack = np.zeros((2, 3, 4))
    with pytest.raises(InputError, match="rows and columns"):
        remove_hot_pixels(stack)
    with pytest.raises(InputError, match="rows and columns"):
        artifacts.median_until_stable(stack, 1)
