import dataclasses

import numpy as np
import pytest

from isl.network.model import build_model
from isl.training.crops import CropSampler, CropSource
from isl.training.histograms import ActivationProbe
from isl.training.validation import INPUT_BORDER, Validator
from tests.tiny_runs import MICRO, disks

LABELS = ("DISK", "INVERSE")
SIZE = 24
FRAMED = SIZE + 8


@pytest.fixture(scope="module")
def validation():
    """Three patches of a well without INVERSE, scored by an idle network."""
    well = disks(num_z=3, labels=("DISK",))
    sampler = CropSampler(
        sources=(CropSource(well, slice(0, 64), slice(0, 80)),),
        labels=LABELS,
        num_z=3,
        output_size=SIZE,
        margin=MICRO.margin,
        augment=False,
    )
    model = build_model(MICRO, 3, LABELS)
    for label in LABELS:  # Uniform distributions: nothing but the bias.
        model.get_layer(label).kernel.assign(
            np.zeros(model.get_layer(label).kernel.shape)
        )
    validator = Validator(
        model, sampler, 0, 3, num_panels=2, probe=ActivationProbe(model)
    )
    return validator.run(), sampler, well


def pictures(panel, row):
    """The pictures of a patch, without their frames."""
    strip = panel[row * FRAMED : (row + 1) * FRAMED]
    return [
        strip[4:-4, left + 4 : left + FRAMED - 4]
        for left in range(0, strip.shape[1], FRAMED)
    ]


def test_pictures_of_a_patch_stand_side_by_side(validation):
    scores, sampler, well = validation
    assert set(scores.panels) == {"DISK"}
    panel = scores.panels["DISK"]
    assert panel.shape == (2 * FRAMED, 7 * FRAMED, 3)
    np.testing.assert_allclose(panel[0, 0], INPUT_BORDER)
    plane, median, deviation, truth, surprise, _, wrong = pictures(panel, 1)
    # The second patch that the seed draws.
    images = [well.planes[1].values, well.read_label("DISK", *whole(well))]
    place = find(images[1], truth[..., 0])
    for image, picture in zip(images, (plane, truth), strict=True):
        np.testing.assert_allclose(
            picture[..., 0], image[place] / 65535, atol=1e-6
        )
    # Of a uniform distribution of 256 bins.
    np.testing.assert_allclose(median, 128 / 255, atol=1 / 255)
    np.testing.assert_allclose(deviation, 2 * 0.28981, atol=1e-3)
    np.testing.assert_allclose(surprise, 1, atol=1e-5)
    too_dim = truth[..., 2] > median[..., 2] + 1e-3
    assert (wrong[too_dim][:, 2] > 0).all()


def whole(well):
    return slice(0, well.shape[0]), slice(0, well.shape[1])


def find(image, patch):
    """Where a patch was taken from."""
    for row in range(image.shape[0] - SIZE + 1):
        for column in range(image.shape[1] - SIZE + 1):
            place = (slice(row, row + SIZE), slice(column, column + SIZE))
            if np.allclose(image[place] / 65535, patch, atol=1e-6):
                return place
    raise AssertionError("the patch is not in the image")


def test_distributions_and_activations_come_along(validation):
    scores, _, _ = validation
    assert set(scores.distributions) == {"DISK"}
    assert scores.distributions["DISK"].count == 3 * SIZE**2
    assert scores.metrics["DISK"]["nll"] == pytest.approx(1, abs=1e-5)
    assert scores.metrics["INVERSE"]["nll"] is None
    assert set(scores.activations) == {"stem", "tower0", "trunk"}


def test_regression_heads_have_a_median_only():
    table = dataclasses.replace(MICRO, num_bins=None)
    sampler = CropSampler(
        sources=(CropSource(disks(), slice(0, 64), slice(0, 80)),),
        labels=("DISK",),
        num_z=2,
        output_size=SIZE,
        margin=table.margin,
        augment=False,
    )
    model = build_model(table, 2, ("DISK",))
    scores = Validator(model, sampler, 0, 1).run()
    # Input, median, truth, both errors.
    assert scores.panels["DISK"].shape == (FRAMED, 5 * FRAMED, 3)
    assert scores.distributions == {}
    assert scores.activations == {}
