import dataclasses
import math

import numpy as np
import pytest

from isl.training.crops import CropSampler, CropSource
from isl.training.warping import Warp, draw_warp
from tests.tiny_runs import ArrayPlane, disks


@pytest.fixture
def image():
    generator = np.random.default_rng(0)
    return generator.integers(0, 65536, (14, 14, 2)).astype(np.uint16)


@pytest.mark.parametrize("turns", [0, 1, 2, 3])
def test_quarter_turns_are_exact(image, turns):
    warp = Warp(turns * math.pi / 2, 1.0)
    assert warp.extent(10) in (12, 13)
    expected = np.rot90(image, -turns)[2:12, 2:12]
    np.testing.assert_array_equal(warp.apply(image, 10), expected)
    np.testing.assert_array_equal(
        warp.apply(image[..., 1], 10), expected[..., 1]
    )


def test_zoom_makes_things_smaller_about_the_middle():
    rows, columns = np.mgrid[:41, :41]
    ramp = (1000 * columns + rows).astype(np.uint16)
    warped = Warp(0.0, 2.0).apply(ramp, 9)
    expected = ramp[12:29:2, 12:29:2]
    np.testing.assert_array_equal(warped, expected)


def test_a_turn_by_any_angle_follows_the_line():
    rows, columns = np.mgrid[:41, :41] - 20.0
    angle = math.radians(30)
    across = math.cos(angle) * columns - math.sin(angle) * rows
    line = np.where(np.abs(across) < 2, 60000, 0).astype(np.uint16)
    upright = Warp(angle, 1.0).apply(line, 21)
    assert upright[:, 10].min() > 50000
    assert upright[:, :6].max() == 0 and upright[:, 15:].max() == 0


@pytest.mark.parametrize("angle", [0.0, 0.4, 1.1])
@pytest.mark.parametrize("zoom", [0.9, 1.2])
def test_nothing_beyond_the_extent_is_needed(angle, zoom):
    warp = Warp(angle, zoom)
    extent = warp.extent(12)
    framed = np.pad(np.full((extent, extent), 500, np.uint16), 3)
    assert set(warp.apply(framed, 12).ravel()) == {500}


def test_values_that_are_not_interpolated_are_those_of_pixels(image):
    warp = Warp(0.4, 1.05)
    nearest = warp.apply(image, 8, interpolate=False)
    for z in range(2):
        assert set(nearest[..., z].ravel()) <= set(image[..., z].ravel())
    smooth = warp.apply(image, 8)
    assert smooth.std() < 0.8 * nearest.std()
    difference = nearest.astype(float) - smooth
    assert np.abs(difference).max() < 65536 and np.abs(difference).mean() > 100


def test_nothing_is_drawn_for_nothing():
    assert draw_warp(None, 0.0, 0.0) is None
    generator = np.random.default_rng(0)
    all_drawn = [draw_warp(generator, 30.0, 0.1) for _ in range(400)]
    drawn = [warp for warp in all_drawn if warp is not None]
    assert 150 < len(drawn) < 250
    angles = np.degrees([warp.angle for warp in drawn])
    assert -30 <= angles.min() < -25 and 25 < angles.max() <= 30
    zooms = np.log([warp.zoom for warp in drawn])
    assert -0.1 <= zooms.min() < -0.09 and 0.09 < zooms.max() <= 0.1


def sampler(columns=slice(0, 80), **changes):
    return CropSampler(
        sources=(CropSource(disks(num_z=3), slice(0, 64), columns),),
        labels=("DISK",),
        num_z=3,
        output_size=16,
        margin=2,
        **changes,
    )


def test_planes_and_labels_are_warped_alike():
    drawn = sampler(rotation=45.0, zoom=0.2, include_autoencoding=True)
    well = drawn.sources[0].well
    for angle in (0.3, -0.7):
        warp = Warp(angle, 1.1)
        crop = drawn.read(well, 20, 30, warp=warp)
        assert crop.planes.shape == (20, 20, 3)
        assert crop.labels["DISK"].shape == (16, 16)
        whole = well.read_planes_padded(-10, -10, 84, 100)
        extent = warp.extent(16)
        middle = (20 + 10 + (extent - 1) / 2, 30 + 10 + (extent - 1) / 2)
        reach = 2 * (warp.extent(20) // 2 + 2) + (extent % 2)
        first = [round(m - (reach - 1) / 2) for m in middle]
        part = whole[first[0] : first[0] + reach, first[1] : first[1] + reach]
        np.testing.assert_array_equal(crop.planes, warp.apply(part, 20))


def test_labels_lie_where_planes_show_them():
    plain = sampler(rotation=45.0, zoom=0.2)
    well = plain.sources[0].well
    rows, columns = np.mgrid[: well.shape[0], : well.shape[1]]
    ramp = ArrayPlane((300 * rows + 500 * columns).astype(np.uint16), "a")
    well = dataclasses.replace(well, planes=(ramp,) * 3, labels={"DISK": ramp})
    for angle in (0.3, -0.7):
        crop = plain.read(well, 20, 30, warp=Warp(angle, 1.1))
        shown = crop.planes[2:-2, 2:-2, 1].astype(int)
        # Nearest pixels are at most half a pixel away, in no direction more
        # than in others.
        away = crop.labels["DISK"] - shown
        assert np.abs(away).max() <= 400
        assert abs(away.mean()) < 50


def test_labels_of_other_regions_are_not_used():
    # Where a warped patch has no room it is not warped.
    narrow = sampler(columns=slice(10, 26), rotation=45.0, zoom=0.2)
    plain = sampler(columns=slice(10, 26))
    well = narrow.sources[0].well
    labels = np.array(well.labels["DISK"].values)
    labels[:, :10] = labels[:, 26:] = 65535
    allowed = set(np.unique(labels[:, 10:26])) | {0}
    for step in range(20):
        for drawn in (narrow, plain):
            _, targets, _ = drawn.batch(0, step, 1)
            assert targets["DISK"].shape == (1, 16, 16)
            assert set(np.unique(targets["DISK"])) <= allowed


def test_warps_are_of_training_only():
    still = sampler(rotation=45.0, zoom=0.2, augment=False)
    plain = sampler(augment=False)
    for one, other in zip(
        still.batch(0, 0, 1)[:2], plain.batch(0, 0, 1)[:2], strict=True
    ):
        for name, values in other.items():
            np.testing.assert_array_equal(one[name], values)
    warped = sampler(rotation=45.0, zoom=0.2).batch(0, 0, 1)[0]["planes"]
    assert not np.array_equal(warped, sampler().batch(0, 0, 1)[0]["planes"])
