import re

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from isl.errors import InputError
from isl.preprocessing import focus


def blurred(image, amounts):
    return [ndimage.gaussian_filter(image, amount) for amount in amounts]


@pytest.fixture(scope="module")
def detail():
    random = np.random.default_rng(0)
    return 1000 + 200 * ndimage.gaussian_filter(
        random.standard_normal((300, 530)), 1
    )


@pytest.fixture(scope="module")
def stack(detail):
    return blurred(detail, (4, 3, 2, 1, 0, 1, 2))


def read_stack(files):
    return [np.asarray(Image.open(file)) for file in files]


@pytest.fixture(scope="module")
def sephace(shared_data):
    folder = shared_data / "sephace_bf_zstack_dapi"
    return read_stack(sorted(folder.glob("set1__bf_z*.png")))


@pytest.fixture(scope="module")
def condition_b(shared_data):
    files = (shared_data / "condition_b_sample").glob("*z_depth*.png")
    pattern = re.compile(r"z_depth-(\d+)")
    return read_stack(
        sorted(files, key=lambda file: int(pattern.search(file.name)[1]))
    )


def test_sharp_planes_measure_most(stack):
    measures = [focus.focus_measure(plane) for plane in stack]
    # 530 columns are one block of 256 and one of 274.
    assert measures[0].shape == (1, 2) and measures[0].dtype == np.float32
    means = [float(measure.mean()) for measure in measures]
    assert means[:5] == sorted(means[:5])
    assert means[4:] == sorted(means[4:], reverse=True)
    assert focus.best_plane(measures) == 4


def test_measure_of_each_block_is_its_own(detail):
    half = detail.copy()
    half[:, 256:] = ndimage.gaussian_filter(half, 3)[:, 256:]
    measure = focus.focus_measure(half)
    assert measure[0, 0] > 5 * measure[0, 1]


def test_a_brighter_lamp_is_not_sharper(detail):
    np.testing.assert_allclose(
        focus.focus_measure(3 * detail), focus.focus_measure(detail), rtol=1e-4
    )


def test_most_blocks_decide_and_empty_ones_do_not_vote():
    votes = np.ones((6, 1, 5), np.float32)
    votes[[2, 2, 3], 0, [0, 1, 2]] = 2  # Two of five show nothing.
    assert focus.best_plane(votes) == 2
    assert focus.best_plane(np.ones((6, 1, 5), np.float32)) == 0
    with pytest.raises(InputError, match="at least one plane"):
        focus.best_plane([])


def test_focus_of_real_stacks(sephace, condition_b):
    # Planes 2 and 3 of sephace were both taken in focus, the others 10 and
    # 25 um away; the stacks of condition B are centred on focus.
    measures = [focus.focus_measure(plane) for plane in sephace]
    assert focus.best_plane(measures) in (2, 3)
    measures = [focus.focus_measure(plane) for plane in condition_b]
    assert focus.best_plane(measures) in (5, 6, 7)


def test_planes_around_focus_are_equidistant_and_inside():
    assert focus.planes_around(6, 13, 5, 1) == (4, 5, 6, 7, 8)
    assert focus.planes_around(6, 13, 4, 1) == (4, 5, 6, 7)
    assert focus.planes_around(6, 13, 3, step=3) == (3, 6, 9)
    assert focus.planes_around(1, 13, 5, 1) == (0, 1, 2, 3, 4)
    assert focus.planes_around(12, 13, 5, step=2) == (4, 6, 8, 10, 12)
    assert focus.planes_around(3, 13, 13, 1) == tuple(range(13))


@pytest.mark.parametrize("wanted", [(14, 1), (5, 4), (0, 1), (3, 0)])
def test_too_short_stacks_are_refused(wanted):
    with pytest.raises(InputError, match="Received: 13 planes"):
        focus.planes_around(6, 13, *wanted)


def test_right_order_is_plausible(sephace, condition_b, stack):
    for planes in (sephace, condition_b, stack[:5], condition_b[:2]):
        assert focus.likely_z_order(list(map(focus.thumbnail, planes))) is None


def test_order_by_name_as_text_is_noticed(condition_b):
    given = sorted(range(13), key=str)  # 0, 1, 10, 11, 12, 2, ...
    found = focus.likely_z_order(
        [focus.thumbnail(condition_b[z]) for z in given]
    )
    assert [given[index] for index in found] == list(range(13))


def test_two_swapped_planes_are_noticed(condition_b):
    given = [0, 1, 2, 3, 5, 4, *range(6, 13)]
    found = focus.likely_z_order(
        [focus.thumbnail(condition_b[z]) for z in given]
    )
    assert found == (0, 1, 2, 3, 5, 4, *range(6, 13))


def test_constant_planes_do_not_break_the_check():
    planes = [np.full((20, 30), 5, np.uint16)] * 4
    assert focus.likely_z_order(list(map(focus.thumbnail, planes))) is None


def test_thumbnails_are_small():
    plane = np.full((600, 1100), 7, np.uint16)
    small = focus.thumbnail(plane)
    assert small.shape == (120, 220) and small.dtype == np.float32
    np.testing.assert_allclose(small, 7, rtol=1e-5)
    assert focus.thumbnail(plane[:10, :20]).shape == (10, 20)
    assert focus.thumbnail(plane[:2]).shape == (1, 550)
