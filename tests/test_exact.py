import dataclasses

import numpy as np
import pytest

from isl.network.architecture import (
    CONCORDANCE,
    TINY,
    Architecture,
    downscale,
    in_scale,
    upscale,
)
from isl.network.exact import build_exact_model
from isl.network.model import build_model, with_raw_input
from isl.network.model_folder import ModelDescription
from isl.network.phases import num_phases
from isl.prediction.predictor import build_predictor, iter_predictions
from isl.prediction.tiles import plan_tiles
from tests.tiny_runs import disks

# Like the released network in what matters: patches of 2 on a grid of 4.
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


@pytest.fixture(scope="module")
def network():
    description = ModelDescription(COARSE, 2, ("A",))
    model = description.build()
    generator = np.random.default_rng(0)
    for weight in model.weights:  # Moving statistics of 0 and 1 hide errors.
        noise = generator.normal(0, 0.1, weight.shape)
        weight.assign(np.abs(weight.numpy() + noise))
    return model, description


def patchwise(model, planes):
    """Logits of every patch at a stride of 2, [row, column, bin]."""
    rows, columns = (n - COARSE.input_size + 2 for n in planes.shape[:2])
    patches = [
        planes[r : r + COARSE.input_size, c : c + COARSE.input_size]
        for r in range(0, rows, 2)
        for c in range(0, columns, 2)
    ]
    logits = model.predict_on_batch(np.stack(patches))["A"]
    grid = logits.reshape(rows // 2, columns // 2, 2, 2, -1)
    return grid.swapaxes(1, 2).reshape(rows, columns, -1)


def test_phases_of_known_networks():
    assert num_phases(CONCORDANCE) == 2
    assert num_phases(TINY) == 1
    assert num_phases(COARSE) == 2


def test_equals_patchwise_prediction(network):
    model, _ = network
    planes = np.random.default_rng(1).random((44, 52, 4), np.float32)
    exact = build_exact_model(model, COARSE)
    logits = exact.predict_on_batch(planes[np.newaxis])["A"][0]
    assert logits.shape == (8, 16, 256)
    np.testing.assert_allclose(logits, patchwise(model, planes), atol=1e-4)
    fast = model.predict_on_batch(planes[np.newaxis, :42, :50])["A"][0]
    assert np.abs(fast - logits[:6, :14]).max() > 1e-2


def test_network_without_phases_is_itself():
    model = build_model(TINY, 1, ("A",))
    assert build_exact_model(model, TINY) is model


@pytest.mark.parametrize("shape", [(38, 38), (45, 63), (64, 41)])
def test_images_of_any_size_without_padding(network, shape):
    model, description = network
    well = disks(shape=shape)
    tiling = plan_tiles(
        COARSE, shape, padding="none", tile_size=8, stitching="exact"
    )
    predictor = build_predictor(
        model, description, statistics=("mean",), stitching="exact"
    )
    image = np.full(shape, np.nan, np.float32)
    for rows, columns, values in iter_predictions(predictor, well, tiling):
        image[rows, columns] = values[0]
    inner = image[18:-18, 18:-18]
    assert np.isfinite(inner).all()
    planes = well.read_planes(slice(None), slice(None))
    pairs = np.ones((*shape, 4), np.float32)
    pairs[..., ::2] = planes / 65535
    even = [n // 2 * 2 for n in shape]
    expected = expected_mean(patchwise(model, pairs[: even[0], : even[1]]))
    np.testing.assert_allclose(
        inner[: expected.shape[0], : expected.shape[1]], expected, atol=1e-5
    )
    # The last row and column, if any, are those of patches at the edge.
    last = expected_mean(
        patchwise(model, pairs[shape[0] % 2 :, shape[1] % 2 :])
    )
    np.testing.assert_allclose(inner[-1, -1], last[-1, -1], atol=1e-5)


def expected_mean(logits):
    shifted = np.exp(logits - logits.max(-1, keepdims=True))
    return shifted @ (np.arange(256) / 255) / shifted.sum(-1)


def test_tiles_cover_every_pixel_once_on_the_grid_of_patches():
    generator = np.random.default_rng(0)
    for _ in range(300):
        shape = tuple(int(n) for n in generator.integers(250, 900, 2))
        padding = str(generator.choice(["reflect", "none"]))
        tile_size = 16 * int(generator.integers(1, 20))
        tiling = plan_tiles(
            CONCORDANCE,
            shape,
            padding=padding,
            tile_size=tile_size,
            stitching="exact",
        )
        assert all(n % 16 == 0 and n <= tile_size for n in tiling.tile_shape)
        anchor = 0 if padding == "reflect" else 121
        count = np.zeros(shape, int)
        for tile in tiling.tiles:
            count[tile.rows, tile.columns] += 1
            check_axis(tile.read_row, tile.rows, shape[0], anchor)
            check_axis(tile.read_column, tile.columns, shape[1], anchor)
        inside = slice(anchor, -anchor or None)
        assert (count[inside, inside] == 1).all()
        assert count.sum() == count[inside, inside].size


def check_axis(read, written, size, anchor):
    on_grid = (read + 121 - anchor) % 8 == 0
    # Without padding, what is left of a block comes from the edge.
    available = size - 2 * anchor
    leftover = anchor and written.start - anchor >= available // 8 * 8
    assert on_grid or leftover
    if leftover and not on_grid:
        assert (read + 242 - size) % 8 == 0


def test_golden_stitching(golden, golden_model, golden_model_folder):
    from isl.network.model_folder import load_description

    size = int(golden["stitch_region"])
    architecture = load_description(golden_model_folder).architecture
    exact = build_exact_model(golden_model, architecture)
    targets = [str(name) for name in golden["target_channels"]]
    raw = with_raw_input(exact, tuple(targets))
    logits = raw.predict_on_batch(
        {
            "planes": golden["wide_input_u16"][np.newaxis, :size, :size],
            "presence": np.ones((1, 13), np.float32),
        }
    )
    np.testing.assert_allclose(
        logits["DAPI_CONFOCAL"][0],
        golden["stitch_expected_logits_dapi"],
        atol=1e-3,
    )


def test_golden_stitched_statistics(golden, golden_model, golden_model_folder):
    from isl.network.model_folder import load_description

    size = int(golden["stitch_region"])
    names = [str(name) for name in golden["statistic_names"]]
    predictor = build_predictor(
        golden_model,
        load_description(golden_model_folder),
        labels=[str(name) for name in golden["target_channels"]],
        statistics=[name.replace(" ", "_") for name in names],
        stitching="exact",
    )
    stack = golden["wide_input_u16"][:size, :size]
    well = dataclasses.replace(
        disks(shape=(size, size), num_z=13), planes=array_planes(stack)
    )
    tiling = plan_tiles(
        predictor.architecture,
        (size, size),
        padding="none",
        tile_size=16,
        stitching="exact",
    )
    image = np.full((24, 32, 32), np.nan)
    for rows, columns, values in iter_predictions(predictor, well, tiling):
        image[
            :,
            rows.start - 121 : rows.stop - 121,
            columns.start - 121 : columns.stop - 121,
        ] = values
    expected = golden["stitch_expected_statistics"]
    found = image.reshape(4, 6, 32, 32).transpose(2, 3, 0, 1)
    difference = np.abs(found - expected)
    for index, name in enumerate(names):
        if name in ("mode", "median"):
            moved = difference[..., index] > 1e-5
            assert moved.mean() <= 1e-3
            assert difference[..., index].max() <= 1 / 255 + 1e-5
        else:
            assert difference[..., index].max() <= 1e-5


def array_planes(stack):
    from tests.tiny_runs import ArrayPlane

    return tuple(ArrayPlane(stack[..., z]) for z in range(stack.shape[-1]))
