import numpy as np
import pytest

from isl.errors import InputError
from isl.evaluation.nuclei import NucleiSettings, segment_nuclei

SHAPE = (200, 240)


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
    found = segment_nuclei(disks(*CIRCLES))
    assert found.dtype == np.int32
    numbers = [found[row, column] for row, column, _ in CIRCLES]
    assert sorted(numbers) == [1, 2, 3, 4]
    for number, (_, _, radius) in zip(numbers, CIRCLES, strict=True):
        # The smoothed border lies a little outside.
        area = (found == number).sum()
        assert 1 < area / (np.pi * radius**2) < 1.6


def test_touching_nuclei_are_parted():
    found = segment_nuclei(disks((80, 80, 12), (80, 101, 12)))
    assert found.max() == 2
    assert found[80, 80] != found[80, 101]


def test_an_uneven_background_is_no_nucleus():
    slope = np.linspace(0, 0.15, SHAPE[1])
    found = segment_nuclei(disks(*CIRCLES, brightness=0.3) + slope)
    assert found.max() == 4


def test_a_hole_belongs_to_its_nucleus():
    image = disks((80, 80, 20))
    image[76:84, 76:84] = 0.2
    found = segment_nuclei(image)
    assert found.max() == 1
    assert found[80, 80] == 1


@pytest.mark.parametrize(
    ("settings", "count"),
    [
        (NucleiSettings(), 4),
        (NucleiSettings(min_area=550), 3),
        (NucleiSettings(contrast=0.5), 0),
        (NucleiSettings(min_distance=100), 3),
    ],
)
def test_settings_matter(settings, count):
    circles = (*CIRCLES[:3], (30, 147, 14))  # The last touches the second.
    assert segment_nuclei(disks(*circles), settings).max() == count


def test_smoothing_removes_noise():
    noisy = disks(*CIRCLES, noise=0.15)
    assert segment_nuclei(noisy, NucleiSettings(smoothing=3.0)).max() == 4
    rough = NucleiSettings(smoothing=0.3, min_area=1, min_distance=1)
    assert segment_nuclei(noisy, rough).max() > 20


def test_an_empty_image_has_none():
    assert segment_nuclei(np.full(SHAPE, 0.25)).max() == 0
    assert segment_nuclei(disks()).max() == 0


def test_settings_are_read_from_a_spec():
    assert NucleiSettings.from_dict({"window": 51}).window == 51
    for values, part in (
        ({"windows": 51}, "windows"),
        ({"window": 50}, "odd"),
        ({"min_area": 0}, "min_area"),
        ({"contrast": 0.0}, "contrast"),
        ({"min_distance": 2.5}, "min_distance"),
    ):
        with pytest.raises(InputError, match=part):
            NucleiSettings.from_dict(values)
