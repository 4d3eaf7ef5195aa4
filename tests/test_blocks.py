"""Blocks against a second implementation, written as loops over pixels."""

import keras
import numpy as np
import pytest

from isl.network import blocks
from isl.network.architecture import Block

EPSILON = 1e-3  # TF-Slim's default; BUILD_NOTES.

# Kind, rows in, filters in, expansion, reduction, filters out.
CASES = [
    ("in_scale", 7, 3, 4, 3, 3),
    ("in_scale", 7, 3, 4, 5, 5),  # The shortcut is padded with zeros.
    ("downscale", 8, 3, 4, 3, 3),
    ("downscale", 12, 2, 4, 6, 6),
    ("upscale", 4, 6, 4, 2, 2),  # The shortcut loses filters.
    ("upscale", 5, 3, 4, 6, 3),  # The reduction loses filters.
]


def make_block(kind, size, filters, expansion, reduction, output):
    output_size = {
        "in_scale": size - 2,
        "downscale": size // 2 - 1,
        "upscale": 2 * size - 2,
    }[kind]
    return Block(
        "block",
        kind,
        size,
        output_size,
        filters,
        expansion,
        reduction,
        output,
    )


def make_model(block, momentum=0.9):
    inputs = keras.Input((None, None, block.input_filters))
    return keras.Model(
        inputs, blocks.residual_block(inputs, block, momentum, "glorot_uniform")
    )


def randomise(model, seed=0):
    rng = np.random.default_rng(seed)
    for weight in model.weights:
        value = rng.normal(0, 0.5, weight.shape)
        if weight.name in ("gamma", "moving_variance"):
            value = 1 + np.abs(value)
        weight.assign(value)
    return {
        f"{layer.name}/{weight.name}": keras.ops.convert_to_numpy(weight)
        for layer in model.layers
        for weight in layer.weights
    }


def naive_activate(x, weights, name):
    scale = weights[f"{name}/gamma"] / np.sqrt(
        weights[f"{name}/moving_variance"] + EPSILON
    )
    x = (x - weights[f"{name}/moving_mean"]) * scale + weights[f"{name}/beta"]
    return np.concatenate([np.maximum(x, 0), np.tanh(x)], axis=-1)


def naive_convolution(x, kernel, stride):
    size = kernel.shape[0]
    count = (x.shape[0] - size) // stride + 1
    out = np.zeros((count, count, kernel.shape[-1]))
    for row in range(count):
        for column in range(count):
            top, left = stride * row, stride * column
            window = x[top : top + size, left : left + size]
            out[row, column] = np.einsum("ijc,ijcd->d", window, kernel)
    return out


def naive_transposed_convolution(x, kernel):
    """`kernel` is [row, column, out, in], the stride is 2."""
    count = 2 * x.shape[0] + 2
    out = np.zeros((count, count, kernel.shape[2]))
    for row in range(x.shape[0]):
        for column in range(x.shape[1]):
            out[2 * row : 2 * row + 4, 2 * column : 2 * column + 4] += (
                np.einsum("ijdc,c->ijd", kernel, x[row, column])
            )
    return out


def naive_max_pool(x, size, stride):
    count = (x.shape[0] - size) // stride + 1
    out = np.zeros((count, count, x.shape[-1]))
    for row in range(count):
        for column in range(count):
            top, left = stride * row, stride * column
            window = x[top : top + size, left : left + size]
            out[row, column] = window.max(axis=(0, 1))
    return out


def naive_shortcut(x, kind):
    if kind == "upscale":
        x = x.repeat(2, axis=0).repeat(2, axis=1)
    x = x[1:-1, 1:-1]
    if kind == "downscale":
        rows = x.shape[0] // 2
        x = x.reshape(rows, 2, rows, 2, -1).mean(axis=(1, 3))
    return x


def with_filters(x, count):
    out = np.zeros((*x.shape[:-1], count))
    kept = min(count, x.shape[-1])
    out[..., :kept] = x[..., :kept]
    return out


def naive_block(x, block, weights):
    """PAPER_FACTS 3.3, for [row, column, filter]."""
    activated = naive_activate(x, weights, "block_expand_norm")
    kernel = weights["block_expand/kernel"]
    if block.kind == "upscale":
        expanded = naive_transposed_convolution(activated, kernel)
    else:
        stride = 1 if block.kind == "in_scale" else 2
        expanded = np.concatenate(
            [
                naive_convolution(activated, kernel, stride),
                naive_max_pool(x, kernel.shape[0], stride),
            ],
            axis=-1,
        )
    residual = naive_activate(expanded, weights, "block_reduce_norm")
    residual = residual @ weights["block_reduce/kernel"][0, 0]
    if block.kind == "upscale":
        residual = residual[2:-2, 2:-2]
    shortcut = naive_shortcut(x, block.kind)
    return with_filters(residual, block.output_filters) + with_filters(
        shortcut, block.output_filters
    )


def image(size, filters, seed=1):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(size, size, filters)).astype(np.float32)


@pytest.mark.parametrize("case", CASES)
def test_a_block_equals_the_naive_one(case):
    block = make_block(*case)
    model = make_model(block)
    weights = randomise(model)
    x = image(block.input_size, block.input_filters)
    found = keras.ops.convert_to_numpy(model(x[None], training=False))[0]
    expected = naive_block(x.astype(np.float64), block, weights)
    assert found.shape == (
        block.output_size,
        block.output_size,
        block.output_filters,
    )
    # Rounding of sums of about 100 float32 products of size 1.
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize("case", CASES)
def test_without_its_last_kernel_a_block_is_its_shortcut(case):
    block = make_block(*case)
    model = make_model(block)
    model.get_layer("block_reduce").kernel.assign(
        np.zeros(model.get_layer("block_reduce").kernel.shape)
    )
    x = image(block.input_size, block.input_filters)
    found = keras.ops.convert_to_numpy(model(x[None], training=False))[0]
    expected = with_filters(naive_shortcut(x, block.kind), block.output_filters)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6)


def test_the_shortcuts_are_inverse_up_to_a_margin():
    x = image(9, 2)[None]
    for kind in ("upscale", "downscale"):
        model = make_model(make_block(kind, x.shape[1], 2, 2, 2, 2))
        kernel = model.get_layer("block_reduce").kernel
        kernel.assign(np.zeros(kernel.shape))
        y = keras.ops.convert_to_numpy(model(x, training=False))
        if kind == "upscale":
            original, x = x, y
    np.testing.assert_allclose(y, original[:, 1:-1, 1:-1], atol=1e-6)


def test_batch_statistics_of_an_upscale_block_include_the_border():
    # In the original the crop follows the normalisation, so that the moving
    # statistics of a checkpoint are those of the whole transposed image.
    block = make_block("upscale", 4, 3, 4, 2, 2)
    model = make_model(block, momentum=0.0)
    weights = randomise(model)
    x = image(4, 3)
    model(x[None], training=True)
    scale = weights["block_expand_norm/gamma"] / np.sqrt(
        x.var(axis=(0, 1)) + EPSILON
    )
    normal = (x - x.mean(axis=(0, 1))) * scale
    normal = normal + weights["block_expand_norm/beta"]
    activated = np.concatenate([np.maximum(normal, 0), np.tanh(normal)], -1)
    expanded = naive_transposed_convolution(
        activated, weights["block_expand/kernel"]
    )
    found = model.get_layer("block_reduce_norm").moving_mean
    np.testing.assert_allclose(
        keras.ops.convert_to_numpy(found),
        expanded.mean(axis=(0, 1)),
        atol=1e-5,
    )


def test_normalisation_has_the_constants_of_the_original():
    model = make_model(make_block(*CASES[0]), momentum=0.999)
    for name in ("block_expand_norm", "block_reduce_norm"):
        layer = model.get_layer(name)
        assert (layer.momentum, layer.epsilon) == (0.999, EPSILON)
        assert layer.scale and layer.center


def test_names_and_shapes_of_the_weights():
    model = make_model(make_block("upscale", 5, 3, 4, 6, 3))
    shapes = {
        f"{layer.name}/{weight.name}": tuple(weight.shape)
        for layer in model.layers
        for weight in layer.weights
    }
    norms = ("gamma", "beta", "moving_mean", "moving_variance")
    assert shapes == {
        **{f"block_expand_norm/{name}": (3,) for name in norms},
        "block_expand/kernel": (4, 4, 4, 6),
        **{f"block_reduce_norm/{name}": (4,) for name in norms},
        "block_reduce/kernel": (1, 1, 8, 6),
    }


def test_a_head_is_one_layer_after_the_activation():
    inputs = keras.Input((None, None, 3))
    outputs = blocks.head(inputs, 5, 0.9, "glorot_uniform", "DAPI")
    model = keras.Model(inputs, outputs)
    weights = randomise(model)
    x = image(4, 3)
    found = keras.ops.convert_to_numpy(model(x[None], training=False))[0]
    expected = naive_activate(x, weights, "DAPI_head_norm")
    expected = expected @ weights["DAPI/kernel"][0, 0] + weights["DAPI/bias"]
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)
    assert outputs.dtype == "float32"


def test_crop_margin():
    x = image(6, 2)[None]
    layer = blocks.CropMargin(2)
    found = keras.ops.convert_to_numpy(layer(x))
    np.testing.assert_array_equal(found, x[:, 2:-2, 2:-2])
    assert layer.compute_output_shape((None, None, 9, 3)) == (None, None, 5, 3)
    copy = blocks.CropMargin.from_config(layer.get_config())
    assert copy.margin == 2
