import numpy as np
import pytest

from isl.errors import InputError
from isl.preprocessing.downscaling import downscale


def test_blocks_are_averaged_and_rounded_half_up():
    image = np.array([[0, 1, 10, 10], [0, 1, 11, 11]], np.uint16)
    result = downscale(image, 2)
    np.testing.assert_array_equal(result, [[1, 11]])  # Means 0.5 and 10.5.
    assert result.dtype == np.uint16


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_the_brightest_value_stays(dtype):
    highest = np.iinfo(dtype).max
    image = np.full((300, 300), highest, dtype)
    for factor in (2, 3, 300):
        assert (downscale(image, factor) == highest).all()


@pytest.mark.parametrize("factor", [1, 2, 3, 5])
@pytest.mark.parametrize("shape", [(5, 7), (6, 6), (11, 5)])
def test_any_size_equals_the_mean_of_each_block(shape, factor):
    image = np.random.default_rng(0).integers(0, 65536, shape, np.uint16)
    result = downscale(image, factor)
    assert result.shape == (shape[0] // factor, shape[1] // factor)
    for row, column in np.ndindex(result.shape):
        block = image[
            row * factor : (row + 1) * factor,
            column * factor : (column + 1) * factor,
        ]
        assert result[row, column] == np.floor(block.mean() + 0.5)


def test_floats_keep_fractions():
    result = downscale(np.array([[0, 1], [0, 1]], np.float32), 2)
    assert result.dtype == np.float32 and result[0, 0] == 0.5


@pytest.mark.parametrize("factor", [0, -1, 6])
def test_impossible_factors_are_refused(factor):
    with pytest.raises(InputError, match=f"from 1 to 5.*Received: {factor}"):
        downscale(np.zeros((5, 7), np.uint16), factor)


def test_a_stack_is_no_image():
    with pytest.raises(InputError, match="rows and columns.*2, 3, 4"):
        downscale(np.zeros((2, 3, 4)), 1)
