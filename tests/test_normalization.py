import keras
import numpy as np
import pytest
from keras import ops

from isl.network.model import build_model, with_raw_input
from isl.network.model_folder import ModelDescription
from isl.network.unet import TINY_UNET
from isl.training.normalization import Recalibrator
from tests.tiny_runs import MICRO

LABELS = ("ONE", "OTHER")


@pytest.fixture
def model():
    keras.utils.set_random_seed(0)
    return build_model(MICRO, 2, LABELS, momentum=0.9)


def batches(count: int):
    """Batches whose brightness differs."""
    generator = np.random.default_rng(0)
    return [
        {
            "planes": generator.integers(
                0, 20000 * (i + 1), (3, 20, 20, 2), np.uint16
            ),
            "presence": np.ones((3, 2), np.float32),
        }
        for i in range(count)
    ]


def first_norm(model):
    """The first normalisation, and the network up to its input."""
    norm = next(
        layer
        for layer in model.layers
        if isinstance(layer, keras.layers.BatchNormalization)
    )
    return norm, keras.Model(model.input, norm.input)


def test_statistics_are_those_of_all_batches_together(model):
    norm, before = first_norm(model)
    inputs = batches(3)
    Recalibrator(model).run(inputs)
    scale = with_raw_input(model, LABELS).get_layer("planes_to_input")
    values = np.concatenate(
        [
            ops.convert_to_numpy(before(scale(i["planes"], i["presence"])))
            for i in inputs
        ]
    )
    np.testing.assert_allclose(
        norm.moving_mean, values.mean((0, 1, 2)), rtol=1e-4, atol=1e-6
    )
    np.testing.assert_allclose(
        norm.moving_variance, values.var((0, 1, 2)), rtol=1e-4, atol=1e-6
    )


def test_one_batch_predicts_as_it_trains(model):
    (inputs,) = batches(1)
    raw = with_raw_input(model, LABELS)
    trained = raw(inputs, training=True)
    Recalibrator(model).run([inputs])
    predicted = raw(inputs, training=False)
    for label in LABELS:
        np.testing.assert_allclose(
            ops.convert_to_numpy(predicted[label]),
            ops.convert_to_numpy(trained[label]),
            atol=1e-4,
        )


def test_older_statistics_and_weights_do_not_matter(model):
    norm, _ = first_norm(model)
    recalibrator = Recalibrator(model)
    recalibrator.run(batches(2))
    expected = ops.convert_to_numpy(norm.moving_mean).copy()
    weights = [ops.convert_to_numpy(w) for w in model.trainable_weights]
    norm.moving_mean.assign(np.full(expected.shape, 7.0))
    recalibrator.run(batches(2))
    np.testing.assert_array_equal(norm.moving_mean, expected)
    assert norm.momentum == 0.9
    for weight, old in zip(model.trainable_weights, weights, strict=True):
        np.testing.assert_array_equal(weight, old)


def test_without_normalisations_nothing_is_drawn():
    description = ModelDescription(TINY_UNET, 2, ("A",))
    Recalibrator(description.build()).run(iter(lambda: 1 / 0, None))
