"""Steps of a small network on random patches, in one process or several.

    python -m tests.learning_runs OUTPUT '{"changes": {...}}'

For what must be decided before a back end starts: the back end itself, its
devices, its processes.
"""

import dataclasses
import json
import os
import pathlib
import subprocess
import sys
from typing import NamedTuple

import keras
import numpy as np

from isl.network.model import with_raw_input
from isl.network.model_folder import ModelDescription, named_weights
from isl.training.distribution import (
    Distribution,
    OneDevice,
    start_distribution,
)
from isl.training.distribution_rules import Hosts
from isl.training.learner import Learner
from tests.tiny_runs import MICRO, MICRO_CONFIG

LABELS = ("A", "B")
CONFIG = dataclasses.replace(
    MICRO_CONFIG,
    # A bias before a normalisation has no gradient but rounding errors, which
    # Adam makes as large as any other: so there is no stem.
    architecture=dataclasses.replace(MICRO, stem_filters=None),
    labels=LABELS,
    num_z=2,
    batch_size=4,
    num_steps=3,
    # Adam's first steps have the size of the rate, whatever the gradient:
    # a small one keeps rounding errors small.
    learning_rate=1e-3,
)
# A constant would be normalised to rounding errors, likewise.
PRESENCE = [[0.1, 0.9], [0.9, 0.4], [0.4, 0.1], [0.7, 0.6]]
# Halves of a batch have unlike numbers of patches with the label A.
PRESENT = {"A": [1, 0, 1, 1], "B": [1, 1, 1, 1]}


def random_batch(step: int):
    """Returns the batch of a step: inputs, targets, weights."""
    generator = np.random.default_rng([7, step])
    size, patch = CONFIG.output_size, CONFIG.input_size
    planes = generator.integers(0, 65536, (4, patch, patch, 2), np.uint16)
    inputs = {"planes": planes, "presence": np.array(PRESENCE, np.float32)}
    targets = {
        label: generator.integers(0, 65536, (4, size, size), np.uint16)
        for label in LABELS
    }
    weights = {k: np.array(v, np.float32) for k, v in PRESENT.items()}
    return inputs, targets, weights


class Outcome(NamedTuple):
    """A learner after its steps, their losses, and how it started."""

    learner: Learner
    losses: list[dict[str, float]]
    before: dict[str, np.ndarray]


def learn(distribution: Distribution | None = None, **changes) -> Outcome:
    """Does the steps.

    Args:
        distribution: See `isl.training.distribution`.
        **changes: Of `CONFIG`.
    """
    distribution = distribution or OneDevice()
    config = dataclasses.replace(CONFIG, **changes)
    config.check()
    distribution.check(config)
    keras.utils.set_random_seed(0)
    with distribution.scope():
        description = ModelDescription(
            config.architecture, 2, LABELS, momentum=config.momentum
        )
        model = description.build(precision=config.precision)
    before = weights(model, "before")
    learner = Learner(config, model, None, distribution)
    losses = [
        learner.learn(
            [random_batch(step)],
            config.learning_rate,
            is_frozen=config.is_norm_frozen_at(step / config.num_steps),
        )
        for step in range(config.num_steps)
    ]
    return Outcome(learner, losses, before)


def weights(model: keras.Model, prefix: str) -> dict[str, np.ndarray]:
    """Returns copies of the weights of a network by name."""
    return {
        f"{prefix}/{name}": np.array(keras.ops.convert_to_numpy(weight))
        for name, weight in named_weights(model).items()
    }


def results(outcome: Outcome) -> dict[str, np.ndarray]:
    """Returns all weights, averaged ones too, losses and a prediction."""
    learner, losses, before = outcome
    values = {**before, **weights(learner.model, "after")}
    for name in losses[0]:
        values[f"losses/{name}"] = np.array([step[name] for step in losses])
    inputs, _, _ = random_batch(99)
    one_patch = {name: array[:1] for name, array in inputs.items()}
    predictor = with_raw_input(learner.model, ("A",))
    with learner.judged([inputs]):
        values["logits"] = predictor.predict_on_batch(one_patch)["A"]
        values |= weights(learner.model, "judged")
    return values


def run_elsewhere(
    output: pathlib.Path, backend: str, **request
) -> subprocess.Popen:
    """Starts `main` in another process, with two virtual devices."""
    environment = {
        **os.environ,
        "KERAS_BACKEND": backend,
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "JAX_PLATFORMS": "cpu",
        "XLA_FLAGS": "--xla_force_host_platform_device_count=2",
    }
    return subprocess.Popen(
        [
            sys.executable,
            "-m",
            "tests.learning_runs",
            str(output),
            json.dumps(request),
        ],
        cwd=pathlib.Path(__file__).parents[1],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def main(output: str, request: dict) -> None:
    """Does the steps and writes `results` as an npz file."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        tf.config.set_logical_device_configuration(
            tf.config.list_physical_devices("CPU")[0],
            [tf.config.LogicalDeviceConfiguration()] * 2,
        )
    distribution = start_distribution(
        request.get("kind", "none"),
        request.get("devices"),
        Hosts(**request.get("hosts", {})),
    )
    values = results(learn(distribution, **request.get("changes", {})))
    if distribution.is_chief:
        np.savez(output, **values)


if __name__ == "__main__":
    main(sys.argv[1], json.loads(sys.argv[2]))
