import keras
import numpy as np

from isl.training.optimizer import TrainingAdam


def test_slow_variables_take_smaller_steps():
    slow = keras.Variable(np.zeros(3), name="slow")
    fast = keras.Variable(np.zeros(3), name="fast")
    plain = keras.Variable(np.zeros(3), name="plain")
    optimizer = TrainingAdam(0.1, [slow.path], 0.01)
    optimizer.build([slow, fast])
    reference = keras.optimizers.Adam(0.1)
    reference.build([plain])
    for gradient in ([1.0, -2.0, 0.5], [3.0, 1.0, 0.5]):
        gradient = keras.ops.convert_to_tensor(gradient)
        optimizer.apply([gradient, gradient], [slow, fast])
        reference.apply([gradient], [plain])
    expected = keras.ops.convert_to_numpy(plain)
    np.testing.assert_allclose(fast, expected, rtol=1e-5)
    np.testing.assert_allclose(slow, 0.01 * expected, rtol=1e-5)


def test_learning_rate_can_be_changed():
    slow = keras.Variable(np.zeros(1), name="slow")
    optimizer = TrainingAdam(0.1, [slow.path], 0.5)
    optimizer.build([slow])
    optimizer.learning_rate = 0.2
    optimizer.apply([keras.ops.ones(1)], [slow])
    np.testing.assert_allclose(slow, [-0.1], rtol=1e-4)


def test_configuration_round_trip():
    optimizer = TrainingAdam(0.1, ["a/b"], 0.5)
    again = TrainingAdam.from_config(optimizer.get_config())
    assert again.slow_paths == {"a/b"}
    assert again.slow_factor == 0.5


def averages(accumulation_steps):
    """The average of a variable after each of five steps, of equal parts."""
    options = {"gradient_accumulation_steps": accumulation_steps}
    optimizer = TrainingAdam(
        0.1,
        use_ema=True,
        ema_momentum=0.6,
        **(options if accumulation_steps > 1 else {}),
    )
    variable = keras.Variable(np.zeros(1, np.float32), name="weight")
    average = keras.Variable(np.zeros(1, np.float32), name="average")
    optimizer.build([variable])
    found = []
    for step in range(5):
        for _ in range(accumulation_steps):
            gradient = keras.ops.convert_to_tensor([1.0 + step])
            optimizer.apply([gradient], [variable])
        average.assign(variable)
        optimizer.finalize_variable_values([average])
        found.append(float(average.numpy()[0]))
    return found


def test_average_counts_an_update_once_however_many_parts_it_has():
    np.testing.assert_allclose(averages(3), averages(1), rtol=1e-6)
