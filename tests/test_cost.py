"""Reference values: arithmetic on the released code (multiply-adds)."""

import math

import keras
import pytest

from isl.network.architecture import (
    CONCORDANCE,
    NARROW,
    PAPER,
    TINY,
    Architecture,
    downscale,
    in_scale,
    upscale,
)
from isl.network.cost import (
    convolution_values,
    exact_multiply_adds,
    multiply_adds,
)
from isl.network.model import build_model


@pytest.mark.parametrize(
    ("architecture", "num_planes", "num_heads", "billions"),
    [
        (CONCORDANCE, 52, 35, 4.1),
        (CONCORDANCE, 26, 22, 4.0),
        (PAPER, 26, 22, 5.9),
        (PAPER, 13, 22, 3.5),
        (PAPER, 52, 35, 14.0),
    ],
)
def test_a_patch_costs_what_the_original_does(
    architecture, num_planes, num_heads, billions
):
    count = multiply_adds(architecture, num_planes, num_heads, 8)
    assert count / 1e9 == pytest.approx(billions, abs=0.05)


@pytest.mark.parametrize(
    ("num_heads", "patchwise", "fast", "exact"),
    [(4, 62.7, 3.18, 10.6), (35, 63.7, 4.20, 11.6)],
)
def test_cost_of_a_pixel(num_heads, patchwise, fast, exact):
    """In the limit of large images."""
    size = 160_000
    one = multiply_adds(CONCORDANCE, 52, num_heads, 8)
    large = multiply_adds(CONCORDANCE, 52, num_heads, 8 + size)
    stitched = exact_multiply_adds(CONCORDANCE, 52, num_heads, size)
    assert one / 8**2 == pytest.approx(patchwise * 1e6, rel=1e-3)
    assert large / (8 + size) ** 2 == pytest.approx(fast * 1e6, rel=2e-3)
    assert stitched / size**2 == pytest.approx(exact * 1e6, rel=2e-3)


def test_larger_patches_cost_less_a_pixel():
    costs = [
        multiply_adds(NARROW, 26, 3, size) / size**2 for size in (8, 72, 264)
    ]
    assert costs == sorted(costs, reverse=True)


def _shapes(model, size):
    """Yields convolutions with the shapes of what they read and write."""
    layers = [
        layer
        for layer in model.layers
        if isinstance(layer, keras.layers.Conv2D | keras.layers.Conv2DTranspose)
    ]
    probe = keras.Model(
        model.input, [(layer.input, layer.output) for layer in layers]
    )
    for layer, (before, after) in zip(
        layers, probe(keras.ops.zeros((1, size, size, 6))), strict=True
    ):
        yield layer, before.shape, after.shape


def _count(model, size):
    """Counts the multiply-adds of the shapes that real layers see."""
    total = 0
    for layer, before, after in _shapes(model, size):
        transposed = isinstance(layer, keras.layers.Conv2DTranspose)
        _, rows, columns, _ = before if transposed else after
        total += rows * columns * math.prod(layer.kernel.shape)
    return total


def test_every_convolution_is_counted():
    model = build_model(TINY, 3, ("A", "B"), initializer="zeros")
    count = _count(model, 40 + 2 * TINY.margin)
    assert multiply_adds(TINY, 6, 2, 40) == count


def test_every_value_is_counted():
    model = build_model(TINY, 3, ("A", "B"), initializer="zeros")
    total = sum(
        math.prod(before) + math.prod(after)
        for _, before, after in _shapes(model, 40 + 2 * TINY.margin)
    )
    assert convolution_values(TINY, 6, 2, 40) == total


def test_exact_equals_one_pass_where_nothing_is_shifted():
    assert exact_multiply_adds(TINY, 6, 2, 40) == multiply_adds(TINY, 6, 2, 40)


def test_a_trunk_at_half_resolution_is_counted():
    """Towers that stay at half resolution, enlarged by the trunk."""
    table = Architecture(
        towers=((downscale(1), in_scale(1)), (downscale(2), upscale(1))),
        trunk=(in_scale(1), upscale(1)),
        output_size=16,
        stem_filters=4,
        base_filters=8,
        upscale_base_filters=8,
        expansion_ratio=1.0,
        scale_filters=(4, 8, 12),
    )
    for size in (16, 16 + 4 * table.grid):
        model = build_model(table, 3, ("A", "B"), initializer="zeros")
        assert multiply_adds(table, 6, 2, size) == _count(
            model, size + 2 * table.margin
        )
