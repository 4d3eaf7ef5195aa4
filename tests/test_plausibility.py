"""Images that do not look like those that networks learn from."""

import numpy as np
import pytest

from isl.images import open_image, write_ome_tiff
from isl.prediction.plausibility import describe_unlikeness
from isl.preprocessing.normalization import TRANSMITTED

SHAPE = (2, 40, 30)


def stack(mean, std, shape=SHAPE):
    noise = np.random.default_rng(0).normal(mean, std, shape)
    return np.rint(np.clip(noise, 0, 1) * 65535).astype(np.uint16)


def opened(tmp_path, planes):
    path = tmp_path / "a.ome.tif"
    write_ome_tiff(path, planes, "ZYX", ["BRIGHT_FIELD"])
    return open_image(path)


def test_normalised_images_are_as_they_should_be(tmp_path):
    well = opened(tmp_path, stack(0.5, 0.11))
    assert describe_unlikeness(well, (0, 1)) == ""


@pytest.mark.parametrize(
    ("mean", "std", "part"),
    [
        (0.03, 0.01, "mean 0.0298 and standard deviation 0.00998"),
        (0.5, 0.04, "standard deviation 0.04"),
        (0.7, 0.1, "mean 0.697"),
    ],
)
def test_others_are_told_apart(tmp_path, mean, std, part):
    text = describe_unlikeness(opened(tmp_path, stack(mean, std)), (0, 1))
    assert part in text
    assert "far from 0.5 and 0.125" in text
    assert text.endswith("normalise with experiments/prepare.py")


def test_only_planes_that_are_used_count(tmp_path):
    planes = np.stack([stack(0.5, 0.1)[0], np.zeros(SHAPE[1:], np.uint16)])
    well = opened(tmp_path, planes)
    assert describe_unlikeness(well, (0, 0)) == ""
    assert describe_unlikeness(well, (0, None)) == ""  # Absent: stands for 0.
    assert "mean 0.248" in describe_unlikeness(well, (0, 1))


def test_windows_see_the_corners_and_the_middle(tmp_path):
    planes = stack(0.5, 0.1, (1, 1600, 1600))
    planes[:, 256:672] = planes[:, :, 256:672] = 0
    planes[:, 928:1344] = planes[:, :, 928:1344] = 0
    assert describe_unlikeness(opened(tmp_path, planes), (0,)) == ""
    planes[:, 672:928, 672:928] = planes[:, -256:, :256] = 0
    assert "mean 0.389" in describe_unlikeness(opened(tmp_path, planes), (0,))


@pytest.mark.parametrize("distance", [0.09, 0.11])
def test_limits_of_the_mean(distance):
    for sign in (-1, 1):
        text = TRANSMITTED.describe_distance(0.5 + sign * distance, 0.125)
        assert bool(text) == (distance > 0.1)


@pytest.mark.parametrize("factor", [1.9, 2.1])
def test_limits_of_the_standard_deviation(factor):
    for std in (0.125 * factor, 0.125 / factor):
        assert bool(TRANSMITTED.describe_distance(0.5, std)) == (factor > 2)
