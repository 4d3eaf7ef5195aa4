import numpy as np
import pytest

from isl.errors import InputError
from isl.preprocessing import illumination

SERIES = ("brightfield", "nanog")


@pytest.fixture(scope="module")
def flat():
    rows, columns = np.mgrid[-1:1:90j, -1:1:120j]
    flat = 1.3 - 0.5 * (rows - 0.2) ** 2 - 0.4 * columns**2
    return flat / flat.mean()


def tiles(flat, count=24, dark=0.0):
    """Tiles of different brightness, each with a bright object somewhere."""
    random = np.random.default_rng(0)
    for _ in range(count):
        light = np.full(flat.shape, random.uniform(300, 600))
        row, column = (random.integers(0, size - 30) for size in flat.shape)
        light[row : row + 30, column : column + 30] *= 3
        yield random.poisson(light * flat + dark).astype(np.uint16)


@pytest.mark.parametrize("series", SERIES)
def test_flat_field_matches_the_reference_of_basic(shared_data, series):
    name = f"timelapse_{series}_downsampled_with_reference.npz"
    with np.load(shared_data / "basic_shading" / name) as arrays:
        images, reference = arrays["images"], arrays["flatfield"]
        flat_only = arrays["flatfield_flatonly"]
    flat = illumination.estimate_illumination(iter(images)).flat
    # 0.998 and 0.976 against the fields with, 1.000 and 0.997 against those
    # without a dark field, which are of the same kind as ours.
    assert np.corrcoef(flat.ravel(), reference.ravel())[0, 1] > 0.97
    assert np.corrcoef(flat.ravel(), flat_only.ravel())[0, 1] > 0.995


def test_known_flat_field_is_found_despite_objects(flat):
    found = illumination.estimate_illumination(tiles(flat)).flat
    assert (found.shape, found.dtype) == (flat.shape, np.float32)
    assert found.mean() == pytest.approx(1, abs=1e-4)
    np.testing.assert_allclose(found[4:-4, 4:-4], flat[4:-4, 4:-4], rtol=0.03)


def test_large_images_are_estimated_on_a_coarse_grid(flat, monkeypatch):
    monkeypatch.setattr(illumination, "WORKING_SIZE", 40)
    found = illumination.estimate_illumination(tiles(flat)).flat
    assert found.shape == flat.shape
    np.testing.assert_allclose(found[4:-4, 4:-4], flat[4:-4, 4:-4], rtol=0.03)


@pytest.mark.parametrize("as_field", [False, True])
def test_correction_removes_both_fields(flat, as_field):
    dark = np.full(flat.shape, 200.0) if as_field else 200.0
    fields = illumination.estimate_illumination(tiles(flat, dark=200), dark)
    image = (500 * flat + 200).astype(np.uint16)
    corrected = illumination.correct_illumination(image, fields)
    assert corrected.dtype == np.float32
    np.testing.assert_allclose(corrected[4:-4, 4:-4], 500, rtol=0.03)


def test_dark_tiles_do_not_vote(flat):
    # Tiles without light show only the camera's offset, which is even.
    offset = [np.full(flat.shape, 100, np.uint16)] * 20
    mixed = [*tiles(flat, dark=100), *offset]
    found = illumination.estimate_illumination(mixed).flat
    alone = illumination.estimate_illumination(tiles(flat, dark=100)).flat
    np.testing.assert_array_equal(found, alone)


def test_positions_almost_without_light_are_not_amplified_at_will(flat):
    stopped = np.where(np.arange(flat.shape[1]) < 20, 1e-6, flat)
    normal = illumination.normalize_flat(stopped)
    assert normal.mean() == pytest.approx(1, abs=1e-5)
    assert normal.min() > 0.9 * illumination.MIN_FLAT


def test_useless_input_is_named(flat):
    with pytest.raises(InputError, match="at least 3 images.*Received: 2"):
        illumination.estimate_illumination(tiles(flat, count=2))
    with pytest.raises(InputError, match="at least 3 images.*Received: 0"):
        illumination.estimate_illumination([])
    with pytest.raises(InputError, match="at least 3 images.*Received: 0"):
        illumination.estimate_illumination(tiles(flat), dark=5000)
    with pytest.raises(InputError, match="one size, 90 rows x 120.*40 x 50"):
        illumination.estimate_illumination(
            [*tiles(flat), np.zeros((40, 50), np.uint16)]
        )
    with pytest.raises(InputError, match="one size"):
        illumination.estimate_illumination(tiles(flat), np.zeros((40, 50)))
    with pytest.raises(InputError, match="rows and columns.*3, 4, 5"):
        illumination.estimate_illumination([np.ones((3, 4, 5))])


def test_fields_of_others_are_checked(flat):
    for useless in (np.zeros((4, 4)), np.full((4, 4), np.nan)):
        with pytest.raises(InputError, match="mean must be finite and above"):
            illumination.normalize_flat(useless)
    with pytest.raises(InputError, match="finite and above 0. Received: nan"):
        illumination.Illumination(np.full((4, 4), np.nan))
    fields = illumination.Illumination(flat, 10.0)
    with pytest.raises(InputError, match="one size"):
        illumination.correct_illumination(np.zeros((4, 4)), fields)
    with pytest.raises(InputError, match="above 0. Received: 0.0 to 0.0"):
        illumination.Illumination(np.zeros((4, 4)))
    with pytest.raises(InputError, match="dark field: all must have one size"):
        illumination.Illumination(flat, np.zeros((4, 4)))
