import numpy as np
import pytest

from isl.errors import InputError
from isl.preprocessing.projection import maximum_projection


def test_projection_is_the_brightest_value():
    stack = np.random.default_rng(0).integers(0, 65536, (5, 6, 7), np.uint16)
    before = stack.copy()
    result = maximum_projection(iter(stack))
    np.testing.assert_array_equal(result, stack.max(axis=0))
    assert result.dtype == np.uint16
    np.testing.assert_array_equal(stack, before)


def test_one_plane_is_its_own_projection():
    plane = np.array([[1, 2]], np.uint8)
    np.testing.assert_array_equal(maximum_projection([plane]), plane)


def test_missing_or_unequal_planes_are_refused():
    with pytest.raises(InputError, match="at least one plane. Received: 0"):
        maximum_projection([])
    with pytest.raises(InputError, match="one size, 2 rows x 3.*3 x 2"):
        maximum_projection([np.zeros((2, 3)), np.zeros((3, 2))])
    with pytest.raises(InputError, match="rows and columns"):
        maximum_projection([np.zeros((2, 3, 4))])
