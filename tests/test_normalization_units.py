import json
import tracemalloc

import numpy as np
import pytest
from PIL import Image

from isl.errors import InputError
from isl.preprocessing import normalization
from isl.preprocessing.normalization import (
    FLUORESCENCE,
    TRANSMITTED,
    Statistics,
    Target,
)

TARGETS = [TRANSMITTED, FLUORESCENCE]


def camera_image(bits, seed=0):
    """A bell of brightness in the middle half of the camera's range."""
    highest = 2**bits - 1
    random = np.random.default_rng(seed)
    values = random.normal(highest / 2, highest / 12, (200, 230))
    dtype = np.uint8 if bits == 8 else np.uint16
    return values.clip(0, highest).astype(dtype)


def intensities(stored):
    return stored.astype(np.float32) / np.float32(65535)


def test_targets_are_those_of_the_published_images():
    assert TRANSMITTED == Target(0.5, 0.125)
    assert FLUORESCENCE == Target(0.25, 0.125)


def test_statistics_are_those_of_all_pixels():
    images = [camera_image(12, seed)[: 40 * (seed + 1)] for seed in range(4)]
    pooled = np.concatenate([image.ravel() for image in images])
    merged = Statistics.merge(Statistics.of(image) for image in images)
    assert merged.count == pooled.size
    assert merged.mean == pytest.approx(pooled.mean(), rel=1e-12)
    assert merged.std == pytest.approx(pooled.std(), rel=1e-12)


def test_statistics_of_large_values_lose_no_digits():
    image = np.full((1500, 1500), 60000, np.uint16)
    image[::2] = 60001
    statistics = Statistics.of(image)
    assert statistics.mean == pytest.approx(60000.5, abs=1e-9)
    assert statistics.std == pytest.approx(0.5, abs=1e-6)


def test_statistics_survive_json():
    statistics = Statistics.of(camera_image(16))
    text = json.dumps(statistics.to_dict())
    assert Statistics.from_dict(json.loads(text)) == statistics


@pytest.mark.parametrize(
    "value",
    [
        [1, 2.0, 3.0],
        {"count": 1, "mean": 2.0},
        {"count": 0, "mean": 2.0, "std": 1.0},
        {"count": 1.5, "mean": 2.0, "std": 1.0},
        {"count": 1, "mean": "2", "std": 1.0},
        {"count": 1, "mean": float("nan"), "std": 1.0},
        {"count": 1, "mean": 2.0, "std": -1.0},
        {"count": 1, "mean": 2.0, "std": float("inf")},
    ],
)
def test_wrong_statistics_are_refused(value):
    with pytest.raises(InputError, match="wells.json: .* Received: "):
        Statistics.from_dict(value, "wells.json")


@pytest.mark.parametrize("target", TARGETS)
def test_images_reach_the_target(target):
    image = camera_image(12)
    stored = normalization.normalize(image, Statistics.of(image), target)
    assert stored.dtype == np.uint16 and stored.shape == image.shape
    values = stored / 65535
    assert values.mean() == pytest.approx(target.mean, abs=0.005)
    assert values.std() == pytest.approx(target.std, rel=0.05)


def test_values_are_exact_and_clipped():
    statistics = Statistics(100, 1000.0, 200.0)
    image = np.array([[1000, 1200, 1800, 1801, 200, 100]], np.uint16)
    stored = normalization.normalize(image, statistics, TRANSMITTED)
    # One standard deviation is 1 / 8 of the range: four reach its ends.
    np.testing.assert_array_equal(stored, [[32768, 40959, 65535, 65535, 0, 0]])


@pytest.mark.parametrize("bits", [8, 12, 16])
@pytest.mark.parametrize("target", TARGETS)
def test_written_and_inverted_images_are_the_cameras(bits, target, tmp_path):
    image = camera_image(bits)
    statistics = Statistics.of(image)
    stored = normalization.normalize(image, statistics, target)
    Image.fromarray(stored).save(tmp_path / "plane.png")
    read = np.asarray(Image.open(tmp_path / "plane.png")).astype(np.uint16)
    inverse = normalization.denormalize(intensities(read), statistics, target)
    assert inverse.dtype == np.float32
    kept = (read > 0) & (read < 65535)
    assert kept.mean() > 0.9
    difference = np.rint(inverse) - image
    # Required: 1. These standard deviations are below 8192.
    assert np.abs(difference[kept]).max() == 0
    # What was clipped comes back as the last value that was not.
    assert (inverse[read == 0] >= image[read == 0]).all()
    assert (inverse[read == 65535] <= image[read == 65535]).all()


@pytest.mark.parametrize(
    "std, levels", [(100.0, 0), (8000.0, 0), (20000.0, 1), (32767.5, 2)]
)
def test_quantisation_error_is_what_is_lost(std, levels):
    statistics = Statistics(65536, 32767.5, std)
    image = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    stored = normalization.normalize(image, statistics, TRANSMITTED)
    inverse = normalization.denormalize(
        intensities(stored), statistics, TRANSMITTED
    )
    kept = (stored > 0) & (stored < 65535)
    error = np.abs(inverse[kept] - image[kept]).max()
    bound = statistics.std / TRANSMITTED.std / 65535 / 2  # Half a step.
    # float32 has 24 bits: a hundredth of a grey level here.
    assert 0.7 * bound < error <= bound + 0.01
    assert np.abs(np.rint(inverse[kept]) - image[kept]).max() == levels


def test_spreads_are_scaled_without_an_offset():
    statistics = Statistics(100, 1000.0, 200.0)
    spread = normalization.denormalize_spread(
        np.array([0, 0.125, 0.25], np.float32), statistics, FLUORESCENCE
    )
    np.testing.assert_allclose(spread, [0, 200, 400])


def test_narrow_images_far_from_zero_keep_their_detail():
    image = np.tile(np.arange(60000, 60010, dtype=np.uint16), (4, 1))
    statistics = Statistics.of(image)
    stored = normalization.normalize(image, statistics, TRANSMITTED)
    inverse = normalization.denormalize(
        intensities(stored), statistics, TRANSMITTED
    )
    np.testing.assert_array_equal(np.rint(inverse), image)


def test_large_images_are_never_held_as_floats():
    image = np.zeros((4000, 4000), np.uint16)
    image[::2] = 1000
    tracemalloc.start()
    statistics = Statistics.of(image)
    normalization.normalize(image, statistics, TRANSMITTED)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # The result takes 32 MB, the image as float64 would take 128.
    assert peak < 80e6


def test_constant_and_broken_images_are_refused():
    image = np.full((5, 5), 7, np.uint16)
    statistics = Statistics.of(image)
    assert statistics == Statistics(25, 7.0, 0.0)
    for function in (normalization.normalize, normalization.denormalize):
        with pytest.raises(InputError, match="constant image.*Received: 0.0"):
            function(image, statistics, TRANSMITTED)
    with pytest.raises(InputError, match="at least one image"):
        Statistics.merge([])
    with pytest.raises(InputError, match="must be finite"):
        Statistics.of(np.array([[1.0, np.nan]]))
    with pytest.raises(InputError, match="rows and columns"):
        Statistics.of(np.zeros((2, 2, 2)))
    with pytest.raises(InputError, match="rows and columns"):
        normalization.normalize(
            np.zeros((2, 2, 2)), Statistics(8, 0.0, 1.0), TRANSMITTED
        )
