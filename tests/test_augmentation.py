import dataclasses

import numpy as np
import pytest
from keras import ops

from isl.network.intensity_bins import MAX_UINT16
from isl.network.model import build_model, with_raw_input
from isl.training.augmentation import (
    ChangeIntensity,
    IntensityChanges,
    add_noise,
    offset_labels,
    shift_focus,
    with_changes,
)
from isl.training.crops import CropSampler, CropSource
from tests.tiny_runs import MICRO, disks

NOTHING = (1.0, 0.0, 0.0)


def change(planes, contrast=1.0, brightness=0.0, blur=0.0):
    """Applies one change to one patch, [row, column, z]."""
    changes = np.array([[contrast, brightness, blur]], np.float32)
    output = ChangeIntensity(dtype="float32")(planes[None], changes)
    return ops.convert_to_numpy(output)[0]


@pytest.fixture
def planes():
    generator = np.random.default_rng(0)
    return generator.integers(20000, 40000, (12, 14, 3)).astype(np.uint16)


def test_no_change_leaves_planes_as_they_are(planes):
    changed = change(planes)
    assert changed.dtype == np.uint16
    np.testing.assert_array_equal(changed, planes)


def test_contrast_is_a_factor_of_the_difference_from_the_mean(planes):
    mean = planes.mean()
    expected = mean + 0.5 * (planes - mean)
    np.testing.assert_allclose(change(planes, contrast=0.5), expected, atol=1)


def test_brightness_is_added_and_clipped(planes):
    changed = change(planes, brightness=0.5).astype(int)
    expected = np.minimum(planes + 0.5 * 65535, 65535)
    np.testing.assert_allclose(changed, expected, atol=1)
    assert change(planes, brightness=-1.0).max() == 0


def test_blur_of_a_point_is_binomial_and_stays_in_its_plane():
    point = np.zeros((9, 9, 2), np.uint16)
    point[4, 4, 1] = 25600
    row = np.array([1, 4, 6, 4, 1])
    expected = np.zeros((9, 9))
    expected[2:7, 2:7] = np.outer(row, row) * 100
    changed = change(point, blur=1.0)
    np.testing.assert_allclose(changed[..., 1], expected, atol=1)
    assert changed[..., 0].max() == 0


def test_blur_at_the_edge_mirrors():
    ramp = np.tile(np.arange(8, dtype=np.uint16) * 1000, (8, 1))[..., None]
    np.testing.assert_allclose(
        change(ramp, blur=1.0)[4, :, 0],
        [750, 1125, 2000, 3000, 4000, 5000, 5875, 6250],
        atol=1,
    )


def test_negative_blur_sharpens(planes):
    assert change(planes, blur=-0.5).std() > planes.std()


def test_patches_of_a_batch_change_independently(planes):
    changes = np.array([NOTHING, (1.0, 0.1, 0.0)], np.float32)
    output = ops.convert_to_numpy(
        ChangeIntensity(dtype="float32")(np.stack([planes] * 2), changes)
    )
    np.testing.assert_array_equal(output[0], planes)
    assert np.all(output[1] > planes)


def test_drawn_changes_have_the_stated_spread():
    strength = IntensityChanges(contrast=0.2, brightness=0.05, blur=0.7)
    drawn = strength.draw(np.random.default_rng(0), 5000)
    assert drawn.dtype == np.float32
    contrast, brightness, blur = drawn.T
    assert np.std(np.log(contrast)) == pytest.approx(0.2, rel=0.05)
    assert np.std(brightness) == pytest.approx(0.05, rel=0.05)
    assert -0.7 <= blur.min() < -0.65 and 0.65 < blur.max() <= 0.7


def test_nothing_to_change_is_false():
    assert not IntensityChanges()
    assert all(
        IntensityChanges(**{field.name: 0.1})
        for field in dataclasses.fields(IntensityChanges)
    )


def test_wrapped_network_sees_changed_planes(planes):
    raw = with_raw_input(build_model(MICRO, 3, ("DISK",)), ("DISK",))
    presence = np.ones((1, 3), np.float32)
    wrapped = with_changes(raw)(
        {
            "planes": planes[None],
            "presence": presence,
            "changes": np.array([(0.8, 0.1, 0.3)], np.float32),
        }
    )
    expected = raw(
        {
            "planes": change(planes, 0.8, 0.1, 0.3)[None],
            "presence": presence,
        }
    )
    np.testing.assert_allclose(wrapped["DISK"], expected["DISK"], atol=1e-6)


@pytest.mark.parametrize(
    "shift, expected", [(0, [0, 1, 2]), (1, [1, 2, 2]), (-5, [0, 0, 0])]
)
def test_shift_of_focus_repeats_the_last_plane(shift, expected):
    stack = np.arange(3)[None, None]
    assert shift_focus(stack, shift).tolist() == [[expected]]


def test_noise_is_as_strong_as_drawn_and_independent_in_each_plane():
    planes = np.full((64, 64, 2), MAX_UINT16 // 2, np.uint16)
    deviations = []
    for seed in range(8):
        noisy = add_noise(planes, 0.02, np.random.default_rng(seed))
        assert noisy.dtype == np.uint16
        noise = (noisy.astype(float) - planes) / MAX_UINT16
        assert abs(noise.mean()) < 0.001
        assert (
            abs(np.corrcoef(noise[..., 0].ravel(), noise[..., 1].ravel())[0, 1])
            < 0.1
        )
        deviations.append(noise.std())
    assert min(deviations) < 0.008
    assert 0.014 < max(deviations) < 0.0202


def test_noise_stays_in_range():
    planes = np.array([0, MAX_UINT16] * 50, np.uint16).reshape(10, 10, 1)
    noisy = add_noise(planes, 0.5, np.random.default_rng(0))
    np.testing.assert_array_equal(noisy[planes == 0] < MAX_UINT16, True)
    assert (noisy == planes).sum() > 20


def sampler(**changes):
    return CropSampler(
        sources=(CropSource(disks(num_z=3), slice(0, 64), slice(0, 80)),),
        labels=("DISK",),
        num_z=3,
        output_size=16,
        margin=2,
        **changes,
    )


def test_batches_hold_changes_only_when_asked_for():
    inputs, _, _ = sampler().batch(0, 0, 2)
    assert "changes" not in inputs
    strength = IntensityChanges(brightness=0.1)
    inputs, _, _ = sampler(changes=strength).batch(0, 0, 2)
    assert inputs["changes"].shape == (2, 3)
    again, _, _ = sampler(changes=strength).batch(0, 0, 2)
    np.testing.assert_array_equal(again["changes"], inputs["changes"])


def test_only_planes_of_training_are_noisy():
    plain, noisy = (
        sampler(noise=noise).batch(0, 0, 1) for noise in (0.0, 0.05)
    )
    assert np.any(plain[0]["planes"] != noisy[0]["planes"])
    np.testing.assert_array_equal(plain[1]["DISK"], noisy[1]["DISK"])
    still = sampler(noise=0.05, augment=False).batch(0, 0, 1)
    place = sampler(augment=False).batch(0, 0, 1)
    np.testing.assert_array_equal(still[0]["planes"], place[0]["planes"])


def test_labels_of_a_patch_are_offset_each_by_its_own_constant():
    generator = np.random.default_rng(0)
    images = {name: np.full((4, 4), 30000, np.uint16) for name in "ab"}
    offsets = []
    for _ in range(200):
        changed = offset_labels(images, 0.002, generator)
        assert all(image.dtype == np.uint16 for image in changed.values())
        assert all(np.ptp(image) == 0 for image in changed.values())
        offsets.append([int(changed[name][0, 0]) - 30000 for name in "ab"])
    deviation = 0.002 * MAX_UINT16
    np.testing.assert_allclose(np.std(offsets, axis=0), deviation, rtol=0.15)
    np.testing.assert_allclose(np.mean(offsets, axis=0), 0, atol=25)
    assert abs(np.corrcoef(np.transpose(offsets))[0, 1]) < 0.2


def test_offset_labels_stay_in_range():
    images = {"a": np.array([[0, MAX_UINT16]], np.uint16)}
    for seed in range(8):
        low, high = offset_labels(images, 0.1, np.random.default_rng(seed))[
            "a"
        ][0]
        assert low == 0 or high == MAX_UINT16
        assert int(high) - int(low) > MAX_UINT16 // 2


def test_only_labels_of_training_are_offset():
    plain, offset = (
        sampler(label_offset=strength).batch(0, 0, 1) for strength in (0, 0.05)
    )
    difference = offset[1]["DISK"].astype(int) - plain[1]["DISK"]
    assert np.unique(difference[plain[1]["DISK"] > 0]).size == 1
    assert np.any(difference)
    np.testing.assert_array_equal(plain[0]["planes"], offset[0]["planes"])
    still = sampler(label_offset=0.05, augment=False).batch(0, 0, 1)
    place = sampler(augment=False).batch(0, 0, 1)
    np.testing.assert_array_equal(still[1]["DISK"], place[1]["DISK"])


def test_focus_shifts_in_both_directions():
    plain = sampler(augment=False)
    drawn = sampler(focus_shift=1)
    seen = set()
    for step in range(20):
        planes = drawn.batch(0, step, 1)[0]["planes"][0]
        first = np.array_equal(planes[..., 0], planes[..., 1])
        last = np.array_equal(planes[..., 1], planes[..., 2])
        seen.add((first, last))
    assert seen == {(True, False), (False, False), (False, True)}
    planes = plain.batch(0, 0, 1)[0]["planes"][0]
    assert not np.array_equal(planes[..., 0], planes[..., 1])
