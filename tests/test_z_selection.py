import numpy as np
import pytest

from isl.images import (
    align_planes,
    choose_planes,
    describe_choice,
    fill_absent,
    plane_presence,
)


@pytest.mark.parametrize(
    ("available", "wanted", "expected"),
    [
        (13, 13, tuple(range(13))),
        (13, 1, (6,)),
        (13, 3, (5, 6, 7)),
        (13, 11, tuple(range(1, 12))),
        (4, 1, (1,)),
        (1, 3, (None, 0, None)),
        (2, 5, (None, None, 0, 1, None)),
        (1, 1, (0,)),
    ],
)
def test_centred_planes_share_the_middle(available, wanted, expected):
    assert align_planes(available, wanted, "centred") == expected


def test_spread_planes_are_those_of_the_original():
    for available, wanted in ((13, 26), (13, 3), (3, 2)):
        found = align_planes(available, wanted, "spread")
        assert found == choose_planes(available, wanted)


def test_the_nearest_plane_stands_in_for_an_absent_one():
    assert fill_absent((None, None, 0, 1, None)) == (0, 0, 0, 1, 1)
    assert fill_absent((3, 1)) == (3, 1)
    np.testing.assert_array_equal(
        plane_presence((None, 0, 1, None)), [0, 1, 1, 0]
    )
    assert describe_choice((None, 0, 1), 2) == "planes -,0,1 of 0 to 1"
    assert describe_choice((0, 1), 2) == ""
