"""Checkpoints of the original's format, written for the tests."""

import numpy as np

from isl.network.architecture import CONCORDANCE, with_width
from isl.network.tf1_variables import Description, variable_places


def network(width=20, num_z=3, labels=("DAPI",), autoencoding=None):
    """A network of the original at any width."""
    return Description(
        with_width(CONCORDANCE, width), num_z, labels, autoencoding or {}
    )


def random_variables(description, seed=0):
    """Random values for every variable of a network, by name."""
    rng = np.random.default_rng(seed)
    variables = {}
    for name, place in variable_places(description).items():
        value = rng.normal(size=place.shape) / np.sqrt(np.prod(place.shape[:3]))
        if place.weight in ("gamma", "moving_variance"):
            value = 1 + np.abs(value)
        variables[name] = value.astype(np.float32)
    return variables


def with_optimizer(variables, step):
    """Adds what a training run of the original leaves behind."""
    extra = {
        "beta1_power": np.float32(0.1),
        "beta2_power": np.float32(0.2),
        "global_step": np.int64(step),
    }
    for name, value in variables.items():
        if "/moving_" not in name:
            extra[f"{name}/Adam"] = np.zeros_like(value)
            extra[f"{name}/Adam_1"] = np.ones_like(value)
    return {**variables, **extra}


def write(prefix, variables):
    """Writes `prefix`.index and `prefix`.data-00000-of-00001."""
    import tensorflow as tf

    names = list(variables)
    tf.raw_ops.SaveV2(
        prefix=str(prefix),
        tensor_names=names,
        shape_and_slices=[""] * len(names),
        tensors=[tf.constant(variables[name]) for name in names],
    )
