"""A folded network predicts what the plain one does."""

import dataclasses
import os
import pathlib
import subprocess
import sys

import keras
import numpy as np
import pytest
from keras import layers

from isl.network.architecture import (
    Architecture,
    downscale,
    in_scale,
    upscale,
)
from isl.network.exact import build_exact_model
from isl.network.folding import fold_normalization
from isl.network.model import build_model, with_raw_input
from isl.network.model_folder import ModelDescription
from isl.network.unet import TINY_FNET, TINY_UNET
from isl.prediction.predictor import build_predictor
from tests.tiny_runs import MICRO

ROOT = pathlib.Path(__file__).parents[1]
LABELS = ("A", "B")

# All kinds of blocks, a grid of 4 and patches of 2: exact is not fast.
COARSE = Architecture(
    towers=(
        (in_scale(3),),  # 14 -> 8
        (downscale(1), in_scale(1), upscale(1)),  # 20 -> 8
        (downscale(2), upscale(2)),  # 38 -> 8
    ),
    trunk=(in_scale(3),),  # 8 -> 2
    output_size=2,
    stem_filters=4,
    base_filters=24,
    upscale_base_filters=20,
    expansion_ratio=2.0,
)


def randomize(model, seed=0):
    """New statistics and weights: with 0 and 1, errors would not be seen."""
    generator = np.random.default_rng(seed)
    for layer in model.layers:
        if isinstance(layer, layers.BatchNormalization):
            size = layer.gamma.shape
            layer.set_weights(
                [
                    generator.uniform(0.5, 1.5, size),
                    generator.normal(0, 0.3, size),
                    generator.normal(0, 0.3, size),
                    generator.uniform(0.5, 1.5, size),
                ]
            )


def build(architecture, **options):
    keras.utils.set_random_seed(2)
    model = build_model(architecture, 2, LABELS, **options)
    randomize(model)
    return model


def random_input(architecture, extra, seed=3):
    size = architecture.input_size + extra
    generator = np.random.default_rng(seed)
    return generator.random((2, size, size, 4), np.float32)


def outputs(model, x):
    # Without a graph: to trace one takes longer than to compute all.
    return {
        head: keras.ops.convert_to_numpy(values)
        for head, values in model(x, training=False).items()
    }


def assert_equal(found, expected):
    assert found.keys() == expected.keys()
    for head, values in expected.items():
        # Logits differ by a hundred times as much between two inputs.
        np.testing.assert_allclose(found[head], values, rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    "architecture",
    [
        MICRO,
        COARSE,
        dataclasses.replace(MICRO, stem_filters=None, num_bins=None),
        TINY_UNET,
        TINY_FNET,
    ],
    ids=["one_tower", "coarse", "no_stem", "unet", "fnet"],
)
def test_predicts_the_same(architecture):
    model = build(architecture, include_autoencoding=True)
    x = random_input(architecture, architecture.grid)
    before = outputs(model, x)
    assert list(before) == [*LABELS, "input_z00", "input_z01"]
    assert_equal(outputs(fold_normalization(model), x), before)
    assert_equal(outputs(model, x), before)


def test_exact_stitching_predicts_the_same():
    model = build(COARSE)
    x = random_input(COARSE, 2 * COARSE.grid - COARSE.output_size)
    assert_equal(
        outputs(build_exact_model(fold_normalization(model), COARSE), x),
        outputs(build_exact_model(model, COARSE), x),
    )


def test_no_normalization_is_left_and_half_of_them_cost_nothing():
    model = build(COARSE)
    count = {kind: 0 for kind in ("norm", "rescaling", "join", "join_before")}
    folded = fold_normalization(model)
    for layer in model.layers:
        count["norm"] += isinstance(layer, layers.BatchNormalization)
        count["join_before"] += isinstance(layer, layers.Concatenate)
    for operation in folded.operations:
        assert not isinstance(operation, layers.BatchNormalization)
        count["rescaling"] += isinstance(operation, layers.Rescaling)
        count["join"] += type(operation).__name__ == "Concatenate"
    # An upscale block has no max-pool, whose filters would be scaled.
    blocks, upscales = 19, 3
    assert count["norm"] == 2 * blocks + len(LABELS)
    assert count["rescaling"] == 2 * blocks - upscales + len(LABELS)
    # One for each activation, and where the towers join, but where a block
    # makes few filters of many: those are never joined.
    assert count["join_before"] == 3 * blocks - upscales + len(LABELS) + 1
    assert count["join"] == count["join_before"] - 2 * blocks + upscales
    parts = {
        layer.name: layer
        for layer in folded.layers
        if "_reduce_part" in layer.name
    }
    assert len(parts) == 4 * (blocks - upscales) + 2 * upscales
    # Added once: the bias of the block.
    assert not np.any(parts["trunk_00_in_scale_reduce_part3"].get_weights()[1])


def test_what_others_read_is_not_folded():
    inputs = keras.Input((None, None, 3))
    read_twice = layers.Conv2D(4, 1, name="convolution")(inputs)
    norm = layers.BatchNormalization(name="norm")(read_twice)
    model = keras.Model(inputs, {"A": layers.Add()([norm, read_twice])})
    randomize(model)
    x = np.random.default_rng(0).random((1, 5, 5, 3), np.float32)
    assert_equal(outputs(fold_normalization(model), x), outputs(model, x))


def test_weights_are_those_of_the_moment():
    model = build(MICRO)
    x = random_input(MICRO, 0)
    folded = fold_normalization(model)
    before = outputs(folded, x)
    randomize(model, seed=5)
    assert_equal(outputs(folded, x), before)
    assert np.abs(outputs(model, x)["A"] - before["A"]).max() > 1e-2


def test_layers_keep_their_precision():
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = build(COARSE)
    finally:
        keras.config.set_dtype_policy(before)
    folded = fold_normalization(model)
    expand = folded.get_layer("tower0_00_in_scale_expand")
    assert expand.compute_dtype == "bfloat16"
    assert expand.kernel.dtype == "float32"
    x = random_input(COARSE, 0)
    plain, found = outputs(model, x)["A"], outputs(folded, x)["A"]
    assert found.dtype == np.float32
    # Eight bits of precision through a dozen blocks.
    assert np.abs(found - plain).mean() < 0.05 * np.abs(plain).mean()


CODE = """
import sys

import keras
import numpy as np

from tests.test_folding import COARSE, build, random_input
from isl.network.exact import build_exact_model
from isl.network.folding import fold_normalization

model = build(COARSE)
extra = 2 * COARSE.grid - COARSE.output_size
x = random_input(COARSE, extra)
folded = fold_normalization(model)
pairs = [
    (model, folded),
    (build_exact_model(model, COARSE), build_exact_model(folded, COARSE)),
]
differences = [
    float(np.abs(a.predict_on_batch(y)["A"] - b.predict_on_batch(y)["A"]).max())
    for (a, b), y in zip(pairs, (x[:, :-2, :-2], x), strict=True)
]
print(keras.backend.backend(), *differences)
"""


@pytest.mark.long
def test_predicts_the_same_under_jax():
    pytest.importorskip("jax")
    answer = subprocess.run(
        [sys.executable, "-c", CODE],
        cwd=ROOT,
        env={
            **os.environ,
            "KERAS_BACKEND": "jax",
            "JAX_PLATFORMS": "cpu",
            "JAX_DISABLE_MOST_OPTIMIZATIONS": "1",  # Compiles faster.
        },
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    backend, *differences = answer.split()
    assert backend == "jax"
    assert len(differences) == 2
    assert max(map(float, differences)) < 1e-5


@pytest.mark.parametrize("stitching", ["fast", "exact"])
def test_the_predictor_gives_the_statistics_of_the_plain_network(stitching):
    description = ModelDescription(COARSE, 2, LABELS, temperatures={"A": 1.7})
    model = description.build()
    randomize(model)
    names = ("mean", "standard_deviation", "entropy", "probability_nonzero")
    predictor = build_predictor(model, description, None, names, stitching)
    extra = COARSE.grid - (COARSE.output_size if stitching == "exact" else 0)
    size = COARSE.input_size + extra
    generator = np.random.default_rng(4)
    inputs = {
        "planes": generator.integers(0, 65536, (1, size, size, 2), np.uint16),
        "presence": np.array([[1.0, 0.0]], np.float32),
    }
    plain = build_exact_model(model, COARSE) if stitching == "exact" else model
    raw = with_raw_input(plain, LABELS, temperatures=description.temperatures)
    logits = outputs(raw, inputs)
    found = predictor.model.predict_on_batch(inputs)
    assert found.shape[-1] == len(LABELS) * len(names)
    for index, label in enumerate(LABELS):
        p = np.exp(logits[label] - logits[label].max(-1, keepdims=True))
        p /= p.sum(-1, keepdims=True)
        values = np.arange(256) / 255
        mean = (p * values).sum(-1)
        expected = [
            mean,
            np.sqrt((p * (values - mean[..., None]) ** 2).sum(-1)),
            -(p * np.log(p + 1e-7)).sum(-1) / np.log(256),
            1 - p[..., 0],
        ]
        mine = found[..., index * len(names) : (index + 1) * len(names)]
        np.testing.assert_allclose(mine, np.stack(expected, -1), atol=1e-4)
