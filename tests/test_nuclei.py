import dataclasses

import numpy as np
import pytest
from scipy import ndimage
from skimage import feature, filters, measure, segmentation

from isl.evaluation.nuclei import NucleiSettings, segment_nuclei
from isl.specs.evaluation import NucleiSpec

SHAPE = (200, 240)
SETTINGS = NucleiSettings(
    smoothing=2.0, window=150, contrast=0.03, core=12, min_area=100,
    min_distance=6,
)  # fmt: skip


def disks(*circles, background=0.2, brightness=0.5, noise=0.01, seed=0):
    """Intensities with disks (row, column, radius)."""
    rows, columns = np.indices(SHAPE)
    image = np.full(SHAPE, background)
    for row, column, radius in circles:
        inside = (rows - row) ** 2 + (columns - column) ** 2 <= radius**2
        image[inside] = brightness
    generator = np.random.default_rng(seed)
    return np.clip(image + generator.normal(0, noise, SHAPE), 0, 1)


CIRCLES = ((30, 40, 12), (30, 120, 15), (100, 60, 10), (150, 180, 14))


def test_finds_each_nucleus_once_and_where_it_is():
    found = segment_nuclei(disks(*CIRCLES), SETTINGS)
    assert found.dtype == np.int32
    numbers = [found[row, column] for row, column, _ in CIRCLES]
    assert sorted(numbers) == [1, 2, 3, 4]
    for number, (_, _, radius) in zip(numbers, CIRCLES, strict=True):
        # The smoothed border lies a little outside.
        area = (found == number).sum()
        assert 1 < area / (np.pi * radius**2) < 1.6


def test_touching_nuclei_are_parted():
    found = segment_nuclei(disks((80, 80, 12), (80, 101, 12)), SETTINGS)
    assert found.max() == 2
    assert found[80, 80] != found[80, 101]


def test_an_uneven_background_is_no_nucleus():
    slope = np.linspace(0, 0.15, SHAPE[1])
    found = segment_nuclei(disks(*CIRCLES, brightness=0.3) + slope, SETTINGS)
    assert found.max() == 4


def test_a_hole_belongs_to_its_nucleus():
    image = disks((80, 80, 20))
    image[76:84, 76:84] = 0.2
    found = segment_nuclei(image, SETTINGS)
    assert found.max() == 1
    assert found[80, 80] == 1


@pytest.mark.parametrize(
    ("changes", "count"),
    [
        ({}, 4),
        ({"min_area": 550}, 3),
        ({"contrast": 0.5}, 0),
        ({"min_distance": 100}, 3),
        # The surroundings of a pixel are then the nucleus itself.
        ({"window": 3}, 0),
    ],
)
def test_settings_matter(changes, count):
    circles = (*CIRCLES[:3], (30, 147, 14))  # The last touches the second.
    settings = dataclasses.replace(SETTINGS, **changes)
    assert segment_nuclei(disks(*circles), settings).max() == count


def test_smoothing_removes_noise():
    noisy = disks(*CIRCLES, noise=0.15)
    smooth = dataclasses.replace(SETTINGS, smoothing=3.0)
    assert segment_nuclei(noisy, smooth).max() == 4
    rough = dataclasses.replace(
        SETTINGS, smoothing=0.3, min_area=1, min_distance=1
    )
    assert segment_nuclei(noisy, rough).max() > 10


def test_a_dark_seam_parts_what_the_outline_does_not():
    image = disks((80, 90, 22))
    image[50:110, 87:93] -= 0.2  # Still brighter than the background.
    found = segment_nuclei(image, SETTINGS)
    assert found.max() == 2
    assert found[80, 75] != found[80, 105]
    outline_only = dataclasses.replace(SETTINGS, core=200)
    assert segment_nuclei(image, outline_only).max() == 1


def test_every_region_is_parted_by_itself_as_in_one_pass():
    generator = np.random.default_rng(3)
    image = filters.gaussian(generator.normal(0.4, 1, (160, 200)), 2.5)
    settings = NucleiSettings(1.0, 60, 0.02, 8.0, 20, 2)
    found = segment_nuclei(image, settings)
    mask = found > 0
    # Same outlines: distances and watershed of the whole image at once.
    smooth = filters.gaussian(image.astype(np.float32), 1.0)
    core = ndimage.binary_fill_holes(
        mask & (smooth > filters.gaussian(smooth, 8.0))
    )
    distance = filters.gaussian(
        ndimage.distance_transform_edt(core).astype(np.float32), 1.0
    )
    peaks = feature.peak_local_max(
        distance,
        min_distance=2,
        threshold_abs=1.0,
        labels=measure.label(mask),
        exclude_border=False,
    )
    seeds = np.zeros(mask.shape, int)
    seeds[tuple(peaks.T)] = np.arange(1, len(peaks) + 1)
    expected = segmentation.watershed(-distance, seeds, mask=mask)
    assert found.max() > 40
    np.testing.assert_array_equal(found, expected)


def test_settings_of_a_spec_are_scaled():
    spec = NucleiSpec(("A",), contrast=0.5, min_area_um2=4.0, window_um=20.0)
    assert NucleiSettings.scaled(spec, 0.5, 0.1) == NucleiSettings(
        smoothing=pytest.approx(1.2),
        window=40,
        contrast=pytest.approx(0.05),
        core=pytest.approx(7.2),
        min_area=16,
        min_distance=4,
    )
