"""U-Nets: sizes, parameters, cost, reach of the padding, tiles."""

import dataclasses
import math

import keras
import numpy as np
import pytest

from isl.errors import InputError
from isl.network.cost import multiply_adds, multiply_adds_per_pixel
from isl.network.model import build_model, with_raw_input
from isl.network.model_folder import (
    ModelDescription,
    load_model,
    save_model,
)
from isl.network.networks import (
    NETWORKS,
    fit_output_size,
    network_from_dict,
    with_towers,
    with_width,
)
from isl.network.transfer import restore_from
from isl.network.unet import (
    FNET,
    TINY_FNET,
    TINY_UNET,
    UNET,
    UNet,
    plan_unet,
)
from isl.network.unet_body import StandardizePlanes, for_training
from isl.prediction.predictor import build_predictor
from tests.test_predictor import (
    assert_close,
    one_pass,
    random_well,
    stack_of,
    tiled,
)
from tests.tiny_runs import MICRO

# Two scales, so that the grid is more than one halving.
DEEPER = {
    "valid": dataclasses.replace(TINY_UNET, num_levels=2, num_bins=16),
    "same": dataclasses.replace(TINY_FNET, num_levels=2, num_bins=16),
}


def to_numpy(x):
    return keras.ops.convert_to_numpy(x)


def build(unet, num_z=2, labels=("A", "B"), **options):
    """A U-Net whose normalisations are as after training."""
    keras.utils.set_random_seed(1)
    model = build_model(unet, num_z, labels, **options)
    rng = np.random.default_rng(0)
    for weight in model.weights:
        if weight.name in ("beta", "moving_mean", "bias"):
            weight.assign(rng.normal(0, 0.3, weight.shape))
        elif weight.name in ("gamma", "moving_variance"):
            weight.assign(rng.uniform(0.5, 1.5, weight.shape))
    return model


def image(size, num_planes=4, seed=0):
    rng = np.random.default_rng(seed)
    return rng.uniform(size=(1, size, size, num_planes)).astype(np.float32)


def test_sizes_are_those_of_the_publication():
    # Ronneberger et al. 2015, figure 1: 572 to 388, 32 x 32 at the bottom.
    assert UNET.is_output_size(388) and not UNET.is_output_size(387)
    assert 388 + 2 * UNET.margin == 572
    assert (UNET.output_size, UNET.margin, UNET.grid) == (4, 92, 16)
    assert UNET.training_margin == 92
    bottom = max(plan_unet(UNET, 1), key=lambda step: step.filters)
    assert bottom.filters == 1024
    assert bottom.input_size + (388 - 4) // 16 == 32


def test_context_of_zero_padding():
    # 62 pixels from the way down, 30 from the way up, 15 from the scales.
    assert (FNET.output_size, FNET.margin, FNET.grid) == (16, 112, 16)
    assert FNET.input_size == 240
    assert FNET.training_margin == 0
    assert (TINY_FNET.margin, TINY_UNET.margin) == (10, 8)


@pytest.mark.parametrize("num_levels", [1, 2, 3, 4, 5])
def test_every_size_on_the_way_is_a_whole_number(num_levels):
    for unet in (UNET, FNET):
        unet = dataclasses.replace(unet, num_levels=num_levels)
        sizes = [unet.output_size + k * unet.grid for k in range(3)]
        assert all(unet.is_output_size(size) for size in sizes)
        steps = plan_unet(unet, 2)
        assert steps[0].input_size == unet.input_size
        for step in steps:
            assert step.kind != "shrink" or step.input_size % 2 == 0
        left = 0 if unet.padding == "valid" else 2 * unet.margin
        assert steps[-1].output_size == unet.output_size + left


def numbers_of_fnet(num_planes, num_outputs):
    """Weights by hand: 3 x 3, 2 x 2, scale and shift, 1 x 1 with bias."""
    total = 0
    below = num_planes
    for filters in (32, 64, 128, 256, 512):
        total += 9 * below * filters + 9 * filters**2 + 4 * filters
        if filters < 512:
            total += 4 * filters**2 + 2 * filters
        below = filters
    for filters in (256, 128, 64, 32):
        total += 4 * 2 * filters * filters + 2 * filters
        total += 9 * 2 * filters * filters + 9 * filters**2 + 4 * filters
    return total + (32 + 1) * num_outputs


def numbers_of_unet(num_planes, num_outputs):
    """Each with a bias; figure 1 of Ronneberger et al."""
    total = 0
    below = num_planes
    for filters in (64, 128, 256, 512, 1024):
        total += (9 * below + 1) * filters + (9 * filters + 1) * filters
        below = filters
    for filters in (512, 256, 128, 64):
        total += (4 * 2 * filters + 1) * filters
        total += (9 * 2 * filters + 1) * filters + (9 * filters + 1) * filters
    return total + (64 + 1) * num_outputs


@pytest.mark.parametrize(
    ("unet", "numbers", "known"),
    [
        (FNET, numbers_of_fnet, 8_144_576),
        (UNET, numbers_of_unet, 31_094_848),
    ],
    ids=["fnet", "unet"],
)
def test_numbers_of_parameters(unet, numbers, known):
    model = build_model(unet, 13, ("A", "B", "C"), initializer="zeros")
    found = sum(math.prod(w.shape) for w in model.trainable_weights)
    assert found == numbers(26, 3 * 256) == known
    norms = [x for x in model.layers if x.name.endswith("_norm")]
    assert len(norms) == (18 + 8 if unet.batch_norm else 0)


def test_cost_of_a_pixel_of_fnet():
    """192,000 in the published code: 13 planes, one output for each label.

    Its last convolution is 3 x 3, ours 1 x 1 (768 less); we also read which
    planes are there (3,744 more), and 256 bins instead of one intensity cost
    24,480.
    """
    regression = dataclasses.replace(FNET, num_bins=None)
    published = 192_000
    assert multiply_adds_per_pixel(regression, 13, 3) == published - 768
    ours = published - 768 + 3_744
    assert multiply_adds_per_pixel(regression, 26, 3) == ours
    assert multiply_adds_per_pixel(FNET, 26, 3) == ours + 24_480


@pytest.mark.parametrize("name", ["concordance", "fnet", "unet"])
def test_cost_of_a_pixel_is_the_limit_of_large_images(name):
    network = NETWORKS[name]
    size = network.output_size + 10_000 * network.grid
    limit = multiply_adds_per_pixel(network, 26, 3)
    large = multiply_adds(network, 26, 3, size)
    assert large / size**2 == pytest.approx(limit, rel=0.01)
    assert large / size**2 > limit


@pytest.mark.parametrize("unet", DEEPER.values(), ids=DEEPER)
@pytest.mark.parametrize("in_training", [False, True])
def test_every_convolution_is_counted(unet, in_training):
    """Against the shapes that real layers see."""
    model = build(unet, 3)
    if in_training:
        model = for_training(model)
    # Weights meet each pixel of the output, transposed ones of the input.
    seen = {
        layer.name: layer.input
        if isinstance(layer, keras.layers.Conv2DTranspose)
        else layer.output
        for layer in model.layers
        if hasattr(layer, "kernel")
    }
    seen.update(model.output)  # Heads have been called twice.
    probe = keras.Model(model.input, seen)
    size = unet.output_size + 3 * unet.grid
    margin = unet.training_margin if in_training else unet.margin
    total = 0
    for name, x in probe(image(size + 2 * margin, 6)).items():
        kernel = model.get_layer(name).kernel
        total += math.prod(x.shape[1:3]) * math.prod(kernel.shape)
    assert multiply_adds(unet, 6, 2, size, in_training) == total


@pytest.mark.parametrize("unet", DEEPER.values(), ids=DEEPER)
def test_what_lies_beyond_the_margin_does_not_matter(unet):
    """Also not where the image ends: a larger image gives the same pixels."""
    model = build(unet)
    size = unet.input_size + 2 * unet.grid
    small = image(size)
    large = image(size + 2 * unet.grid, seed=1)
    large[:, unet.grid : -unet.grid, unet.grid : -unet.grid] = small
    found = to_numpy(model(small, training=False)["A"])
    larger = to_numpy(model(large, training=False)["A"])
    inner = larger[:, unet.grid : -unet.grid, unet.grid : -unet.grid]
    np.testing.assert_allclose(found, inner, atol=1e-5)
    assert found.std() > 1e-2


def test_a_smaller_margin_would_see_the_padding():
    """The margin of zero padding is no larger than the grid makes it."""
    unet = DEEPER["same"]
    model = for_training(build(unet))
    size = unet.input_size + 2 * unet.grid
    plain, other = image(size), image(size)
    other[:, 0, :] += 1.0
    change = np.abs(
        to_numpy(model(plain, training=False)["A"])
        - to_numpy(model(other, training=False)["A"])
    ).max(axis=(0, 2, 3))
    reach = np.flatnonzero(change > 1e-6).max()
    assert unet.margin - unet.grid <= reach < unet.margin


@pytest.mark.parametrize("unet", DEEPER.values(), ids=DEEPER)
def test_patches_of_training_have_the_context_they_say(unet):
    model = build(unet)
    trained = for_training(model)
    size = unet.output_size + 2 * unet.grid
    inputs = image(size + 2 * unet.training_margin)
    assert trained(inputs)["A"].shape == (1, size, size, 16)
    assert len(trained.trainable_weights) == len(model.trainable_weights)
    model.get_layer("A").bias.assign_add(np.ones(16))
    assert np.ptp(trained.get_layer("A").bias - model.get_layer("A").bias) == 0
    if unet.padding == "valid":
        assert trained is model
        return
    # Inside, where no zero is seen, both say the same.
    inputs = image(unet.input_size + unet.grid)
    whole = to_numpy(trained(inputs, training=False)["B"])
    margin = unet.margin
    np.testing.assert_allclose(
        whole[:, margin:-margin, margin:-margin],
        to_numpy(model(inputs, training=False)["B"]),
        atol=1e-5,
    )


@pytest.fixture(scope="module", params=DEEPER, ids=DEEPER)
def predictor(request):
    description = ModelDescription(DEEPER[request.param], 2, ("A", "B"))
    model = build(DEEPER[request.param])
    return build_predictor(model, description, statistics=("mean", "entropy"))


@pytest.mark.parametrize("offset", [(0, 0), (13, 6)])
@pytest.mark.parametrize("tile_size", ["smallest", "larger", None])
def test_tiles_with_mirrored_edges_equal_one_pass(predictor, offset, tile_size):
    unet = predictor.architecture
    shape = tuple(unet.input_size + n for n in offset)
    sizes = {"smallest": 0, "larger": 2}
    if tile_size is not None:
        first = unet.output_size
        first += 0 if first >= unet.grid else unet.grid
        tile_size = first + sizes[tile_size] * unet.grid
    well = random_well(shape)
    padding = []
    for size in shape:
        beyond = -(size - unet.output_size) % unet.grid
        padding.append((unet.margin, unet.margin + beyond))
    stack = np.pad(stack_of(well), (*padding, (0, 0)), mode="reflect")
    expected = one_pass(predictor, stack)[:, : shape[0], : shape[1]]
    assert_close(tiled(predictor, well, tile_size=tile_size), expected)
    assert expected.std() > 1e-3


def test_tiles_without_padding_equal_one_pass(predictor):
    unet = predictor.architecture
    size = unet.input_size + 3 * unet.grid
    well = random_well((size, size))
    expected = one_pass(predictor, stack_of(well))
    tile_size = unet.output_size + unet.grid
    actual = tiled(predictor, well, padding="none", tile_size=tile_size)
    assert_close(actual, expected)


@pytest.mark.parametrize("unet", DEEPER.values(), ids=DEEPER)
def test_a_model_folder_rebuilds_it(unet, tmp_path):
    description = ModelDescription(unet, 2, ("A",))
    model = build(unet, labels=("A",))
    save_model(tmp_path / "model", model, description)
    loaded, found = load_model(tmp_path / "model")
    assert found == description
    inputs = image(unet.input_size)
    np.testing.assert_array_equal(
        to_numpy(model(inputs, training=False)["A"]),
        to_numpy(loaded(inputs, training=False)["A"]),
    )


def test_what_fits_is_taken_over_from_another_unet(tmp_path):
    """Other planes take a new first layer, another kind of head a new one."""
    folder = tmp_path / "model"
    source = build(TINY_FNET, labels=("A",))
    save_model(folder, source, ModelDescription(TINY_FNET, 2, ("A",)))
    regression = dataclasses.replace(TINY_FNET, num_bins=None)
    description = ModelDescription(regression, 3, ("A",))
    model = description.build()
    transfer = restore_from(folder, model, description)
    assert transfer.new == ("down0_0", "A")
    assert len(transfer.restored_body) == 15
    assert transfer.lines()[0].endswith("up0")
    np.testing.assert_array_equal(
        model.get_layer("up0_1").kernel, source.get_layer("up0_1").kernel
    )
    other = ModelDescription(TINY_UNET, 2, ("A",))
    with pytest.raises(InputError, match="network of the architecture"):
        restore_from(folder, other.build(), other)


def test_layers_are_those_of_the_publications():
    names = [layer.name for layer in build(TINY_FNET).layers]
    assert names[:11] == [
        "planes",
        "standardize",
        "down0_0",
        "down0_0_norm",
        "down0_0_relu",
        "down0_1",
        "down0_1_norm",
        "down0_1_relu",
        "down0_shrink",
        "down0_shrink_norm",
        "down0_shrink_relu",
    ]
    plain = build(TINY_UNET)
    assert isinstance(
        plain.get_layer("down0_shrink"), keras.layers.MaxPooling2D
    )
    names = [layer.name for layer in plain.layers]
    assert "up0_enlarge_crop" in names and "context_crop" not in names
    assert not [n for n in names if n.endswith("_norm") or "enlarge_relu" in n]
    assert (UNET.initializer, FNET.initializer) == (
        "he_normal",
        "glorot_uniform",
    )


def test_padding_is_a_plane_of_average_brightness():
    pairs = np.array([0.5, 1.0, 0.75, 1.0, 0.0, 0.0], np.float32)
    found = StandardizePlanes()(pairs[None, None, None])
    np.testing.assert_allclose(to_numpy(found)[0, 0, 0], [0, 0, 2, 0, 0, -1])


def test_autoencoding_heads_and_missing_planes():
    model = build(TINY_FNET, include_autoencoding=True)
    assert list(model.output) == ["A", "B", "input_z00", "input_z01"]
    raw = with_raw_input(model, ("A",))
    planes = np.zeros((2, 22, 22, 2), np.uint16)
    planes[1, ..., 1] = 40000
    logits = raw(
        {"planes": planes, "presence": np.array([[1, 0]] * 2, np.float32)},
        training=False,
    )
    first, second = to_numpy(logits["A"])
    np.testing.assert_allclose(first, second, atol=1e-6)


def test_tables_survive_json():
    for network in NETWORKS.values():
        assert network_from_dict(network.to_dict()) == network


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"num_levels": 0}, "num_levels must be a positive"),
        ({"padding": "reflect"}, "padding must be one of valid, same"),
        ({"shrink": "mean"}, "shrink must be one of max_pool"),
        ({"num_bins": 1}, "num_bins must be 2 or more"),
    ],
)
def test_impossible_tables_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        UNet(**{**dataclasses.asdict(FNET), **changes})


def test_networks_at_other_widths_and_with_fewer_towers():
    assert with_width(FNET, 8) == dataclasses.replace(FNET, base_filters=8)
    assert with_width(NETWORKS["narrow"], 400) == NETWORKS["concordance"]
    narrow = NETWORKS["narrow"]
    assert with_towers(narrow, 2).towers == narrow.towers[:2]
    assert with_towers(narrow, 5) == narrow
    assert with_towers(narrow, 1).grid == 1
    for network, count in ((narrow, 6), (narrow, 0), (FNET, 1)):
        with pytest.raises(ValueError, match=f"Received: {count}"):
            with_towers(network, count)


def test_the_largest_output_that_fits():
    assert fit_output_size(FNET, 72) == 64
    assert fit_output_size(UNET, 128) == 116
    assert fit_output_size(MICRO, 9) == 9
    assert fit_output_size(FNET, 3) == 16
