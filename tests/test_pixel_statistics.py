"""Statistics band by band: the same numbers in less memory."""

import dataclasses

import keras
import numpy as np
import pytest

from isl.network import intensity_bins
from isl.network.architecture import COMPACT, CONCORDANCE, TINY, with_width
from isl.network.model_folder import ModelDescription
from isl.network.unet import FNET
from isl.prediction import request as requests
from isl.prediction.pixel_statistics import rows_of_a_band, with_statistics
from isl.prediction.predictor import build_predictor
from tests.test_predictor import random_well

LABELS = ("DAPI_CONFOCAL", "MAP2_CONFOCAL")
NAMES = ("median", "mean", "entropy", "q05")
SLIM = with_width(COMPACT, 8)

only_tensorflow = pytest.mark.skipif(
    not intensity_bins.is_tensorflow_on_cpu(),
    reason="only TensorFlow on a processor works in bands",
)


@pytest.fixture(scope="module")
def described():
    keras.utils.set_random_seed(2)
    description = ModelDescription(
        SLIM, num_z=2, labels=LABELS, temperatures={LABELS[1]: 1.7}
    )
    model = description.build()
    for label in LABELS:  # Distributions that are neither flat nor alike.
        for weight in model.get_layer(label).weights:
            weight.assign(keras.random.normal(weight.shape, seed=len(label)))
    return model, description


def stacks(shape):
    generator = np.random.default_rng(3)
    planes = generator.integers(0, 2**16, (*shape, 2), dtype=np.uint16)
    presence = np.ones((shape[0], 2), np.float32)
    return {"planes": planes, "presence": presence}


def predict(described, num_rows, inputs, labels=LABELS):
    model = with_statistics(*described, labels, NAMES, num_rows)
    return model.predict_on_batch(inputs)


def test_bands_give_what_all_rows_at_once_give(described):
    rows = SLIM.input_size + 2 * SLIM.grid
    inputs = stacks((2, rows, SLIM.input_size + SLIM.grid))
    expected = predict(described, None, inputs)
    assert expected.shape == (2, 48, 32, 8)
    actual = predict(described, 16, inputs)
    smooth = [i for i in range(8) if NAMES[i % 4] in ("mean", "entropy")]
    np.testing.assert_allclose(
        actual[..., smooth], expected[..., smooth], rtol=0, atol=1e-5
    )
    # Where half of the probability is reached may be a matter of rounding.
    np.testing.assert_allclose(actual, expected, rtol=0, atol=1.01 / 255)
    assert (np.abs(actual - expected) > 1e-5).mean() < 0.01
    assert np.ptp(expected[..., 0]) > 0.1


def test_some_labels_are_those_of_all(described):
    inputs = stacks((1, SLIM.input_size, SLIM.input_size))
    both = predict(described, 16, inputs)
    one = predict(described, 16, inputs, LABELS[1:])
    np.testing.assert_array_equal(one, both[..., 4:])


@only_tensorflow
def test_no_distributions_of_more_than_a_band_are_made(described, monkeypatch):
    shapes = []
    whole = intensity_bins.statistics

    def record(logits, names):
        shapes.append(tuple(logits.shape))
        return whole(logits, names)

    monkeypatch.setattr(intensity_bins, "statistics", record)
    predictor = build_predictor(*described, statistics=NAMES)
    assert not predictor.holds_distributions
    size = SLIM.input_size + SLIM.grid
    predictor.model(stacks((1, size, size)))
    assert set(shapes) == {(16, 32, 256)}


@only_tensorflow
@pytest.mark.parametrize(
    ("network", "num_rows"),
    [
        (COMPACT, 16),
        (FNET, 16),
        (CONCORDANCE, 8),
        (TINY, None),  # Its tiles are multiples of two rows.
        (dataclasses.replace(COMPACT, num_bins=None), None),
    ],
    ids=["compact", "fnet", "concordance", "tiny", "regression"],
)
def test_bands_divide_every_tile(network, num_rows):
    assert rows_of_a_band(network) == num_rows


def test_accelerators_compute_all_rows_at_once(monkeypatch):
    monkeypatch.setattr(intensity_bins, "is_tensorflow_on_cpu", lambda: False)
    assert rows_of_a_band(COMPACT) is None


@pytest.mark.parametrize("stitching", ["fast", "exact"])
def test_whoever_holds_distributions_says_so(described, stitching):
    predictor = build_predictor(*described, stitching=stitching, in_bands=False)
    assert predictor.holds_distributions


@pytest.mark.parametrize(
    ("holds_distributions", "size"), [(False, 1024), (True, 528)]
)
def test_tiles_are_larger_where_bands_save_memory(
    described, holds_distributions, size
):
    predictor = dataclasses.replace(
        build_predictor(*described), holds_distributions=holds_distributions
    )
    ready = requests.ReadyModel("m", requests.Request(), predictor, None)
    _, tiling = ready.plan(random_well((2 * size, 202)), "image")
    assert size - SLIM.grid < tiling.tile_shape[0] <= size


def test_exact_stitching_is_not_done_in_bands(described):
    assert build_predictor(*described, stitching="exact").holds_distributions
