import keras
import numpy as np

from isl.training.averaging import averaged_weights


def trained(momentum: float, steps: int):
    """A slope fitted by gradient descent, and its values after each step."""
    model = keras.Sequential(
        [
            keras.Input((1,)),
            keras.layers.Dense(1, use_bias=False, kernel_initializer="zeros"),
            keras.layers.BatchNormalization(center=False, scale=False),
        ]
    )
    optimizer = keras.optimizers.SGD(0.1, use_ema=True, ema_momentum=momentum)
    optimizer.build(model.trainable_variables)
    (slope,) = model.trainable_variables
    values = []
    for _ in range(steps):
        optimizer.apply([keras.ops.ones_like(slope)])
        values.append(float(slope.numpy()[0, 0]))
    return model, optimizer, values


def test_average_is_exponential_and_weights_come_back():
    model, optimizer, values = trained(0.6, 4)
    expected = values[0]
    for value in values[1:]:
        expected = 0.6 * expected + 0.4 * value
    slope = model.trainable_variables[0]
    with averaged_weights(model, optimizer):
        np.testing.assert_allclose(slope.numpy()[0, 0], expected, rtol=1e-5)
    np.testing.assert_allclose(slope.numpy()[0, 0], values[-1], rtol=1e-6)


def test_statistics_replaced_meanwhile_come_back():
    model, optimizer, _ = trained(0.5, 2)
    mean = model.layers[-1].moving_mean
    with averaged_weights(model, optimizer):
        mean.assign([7.0])
    np.testing.assert_array_equal(mean.numpy(), [0.0])


def test_weights_come_back_after_an_error():
    model, optimizer, values = trained(0.9, 3)
    try:
        with averaged_weights(model, optimizer):
            raise KeyError
    except KeyError:
        pass
    slope = model.trainable_variables[0]
    np.testing.assert_allclose(slope.numpy()[0, 0], values[-1], rtol=1e-6)
