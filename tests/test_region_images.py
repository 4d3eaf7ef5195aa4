"""Images of a region against the predictor and the original's definitions."""

import dataclasses

import keras
import numpy as np
import pytest

from isl.errors import InputError
from isl.evaluation import error_panels
from isl.figures.region_images import (
    build_region_scorer,
    central_region,
    predict_region,
)
from isl.network.intensity_bins import STATISTICS, uint16_to_bins
from isl.network.model import with_raw_input
from isl.network.model_folder import ModelDescription
from isl.prediction.predictor import build_predictor, iter_predictions
from isl.prediction.tiles import plan_tiles
from isl.specs import Region
from tests.tiny_runs import MICRO, KeepingPlane, disks

REGION = Region((3, 43), (10, 58))
ROWS, COLUMNS = slice(3, 43), slice(10, 58)


@pytest.fixture(scope="module")
def network():
    keras.utils.set_random_seed(0)
    description = ModelDescription(MICRO, 2, ("DISK", "OTHER"))
    model = description.build()
    head = model.get_layer("DISK")
    head.bias.assign(np.random.default_rng(0).normal(size=256))
    return model, description


@pytest.fixture(scope="module")
def images(network):
    # The well lacks one label, the model the other.
    scorer = build_region_scorer(*network, ["DISK", "INVERSE", "OTHER"])
    return predict_region(scorer, disks(), REGION)


def test_statistics_are_those_of_the_predictor(network, images):
    model, description = network
    well = disks()
    predictor = build_predictor(model, description, ["DISK"], STATISTICS)
    tiling = plan_tiles(MICRO, well.shape)
    whole = np.zeros((len(STATISTICS), *well.shape), np.float32)
    for rows, columns, values in iter_predictions(predictor, well, tiling):
        whole[:, rows, columns] = values
    for index, name in enumerate(STATISTICS):
        np.testing.assert_allclose(
            images.statistics["DISK"][name],
            whole[index, ROWS, COLUMNS],
            atol=1e-5,
        )


def test_decoded_images_are_not_kept(network):
    well = disks()
    well = dataclasses.replace(
        well,
        planes=tuple(KeepingPlane(plane.values) for plane in well.planes),
        labels={"DISK": KeepingPlane(well.labels["DISK"].values)},
    )
    images = predict_region(
        build_region_scorer(*network, ["DISK"]), well, REGION
    )
    assert images.well is well
    kept = [plane.kept for plane in (*well.planes, *well.labels.values())]
    assert kept == [None] * 3


def test_planes_and_truth_are_intensities(images):
    well = disks()
    assert list(images.truth) == list(images.statistics) == ["DISK"]
    expected = well.labels["DISK"].values[ROWS, COLUMNS] / 65535
    np.testing.assert_allclose(images.truth["DISK"], expected, atol=1e-6)
    expected = well.planes[1].values[ROWS, COLUMNS] / 65535
    np.testing.assert_allclose(images.planes[..., 1], expected, atol=1e-6)


def test_panel_is_that_of_the_original(network, images):
    """Its cross-entropy comes from likelihoods, not from distributions."""
    model, _ = network
    well = disks()
    margin = MICRO.margin
    size = {"num_rows": 24 + 2 * margin, "num_columns": 24 + 2 * margin}
    stack = well.read_planes_padded(3 - margin, 10 - margin, **size)
    raw = with_raw_input(model, ("DISK",))
    logits = raw.predict_on_batch(
        {"planes": stack[None], "presence": np.ones((1, 2), np.float32)}
    )["DISK"][0]
    probabilities = keras.ops.convert_to_numpy(keras.ops.softmax(logits))
    corner = (slice(0, 24), slice(0, 24))
    bins = uint16_to_bins(well.labels["DISK"].values[ROWS, COLUMNS][corner])
    bins = keras.ops.convert_to_numpy(bins)[..., None]
    probability = np.take_along_axis(probabilities, bins, axis=-1)[..., 0]
    # The original adds a little before it takes the logarithm.
    surprise = -np.log(probability + 1e-6) / np.log(256)
    assert surprise.min() < 0.95 and surprise.max() > 1
    np.testing.assert_allclose(
        images.cross_entropy["DISK"][corner],
        np.clip(surprise, 0, 1),
        atol=1e-4,
    )
    panel = images.error_panel("DISK")
    np.testing.assert_array_equal(
        panel,
        error_panels.error_panel(
            images.truth["DISK"],
            images.statistics["DISK"],
            cross_entropy_image=images.cross_entropy["DISK"],
        ),
    )
    # Six statistics, truth, cross-entropy, three sums and differences.
    assert panel.shape == (40 + 8, 14 * (48 + 8), 3)


def test_labels_must_be_known(network):
    with pytest.raises(InputError, match="of the model .*Received: INVERSE"):
        build_region_scorer(*network, ["INVERSE"])
    scorer = build_region_scorer(*network, ["OTHER"])
    with pytest.raises(InputError, match="of well A1 .*Received: OTHER"):
        predict_region(scorer, disks(), REGION)


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        (20, Region((13, 33), (20, 40))),
        (44, Region((3, 43), (8, 52))),
        (999, Region((3, 43), (0, 60))),
    ],
)
def test_central_region(size, expected):
    region = Region((3, 43), (0, 60))
    assert central_region(region, (64, 80), size) == expected
