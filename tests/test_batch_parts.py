import numpy as np
import pytest

from isl.training.batch_parts import batch_part, split_batch


def masked_mean(values, weights):
    """The loss of a batch, [patch, pixel], in plain numpy."""
    present = np.count_nonzero(weights)
    return (values * weights[:, None]).sum() / max(1, present * values.shape[1])


@pytest.mark.parametrize(
    "present", [[1, 1, 1, 1], [1, 0, 1, 1], [0, 0, 1, 0], [0, 0, 0, 0]], ids=str
)
def test_mean_of_the_parts_is_the_whole(present):
    losses = np.random.default_rng(0).random((4, 9))
    weights = np.array(present, np.float32)
    batch = ({"planes": losses}, {"A": losses}, {"A": weights})
    parts = split_batch(batch, 2)
    np.testing.assert_array_equal(parts[1][0]["planes"], losses[2:])
    means = [masked_mean(part[1]["A"], part[2]["A"]) for part in parts]
    assert np.mean(means) == pytest.approx(masked_mean(losses, weights))


def test_one_part_is_the_batch():
    batch = (
        {"planes": np.arange(3)},
        {"A": np.arange(3)},
        {"A": np.array([1, 0, 1], np.float32)},
    )
    ((inputs, targets, weights),) = split_batch(batch, 1)
    np.testing.assert_array_equal(inputs["planes"], [0, 1, 2])
    np.testing.assert_array_equal(targets["A"], [0, 1, 2])
    np.testing.assert_array_equal(weights["A"], [1, 0, 1])


def test_factor_multiplies_the_weights():
    weights = np.ones(2, np.float32)
    batch = ({}, {}, {"A": weights})
    for part in split_batch(batch, 2, 0.5):
        np.testing.assert_array_equal(part[2]["A"], [0.5])
    np.testing.assert_array_equal(weights, [1, 1])


def test_a_part_by_itself_keeps_its_weights():
    batch = (
        {"planes": np.arange(4)},
        {"A": np.arange(4)},
        {"A": np.array([1, 1, 0, 1], np.float32)},
    )
    inputs, targets, weights = batch_part(batch, 1, 2)
    np.testing.assert_array_equal(inputs["planes"], [2, 3])
    np.testing.assert_array_equal(weights["A"], [0, 1])
