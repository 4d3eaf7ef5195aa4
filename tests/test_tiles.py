"""Tiles: each pixel once, on the grid, inside what the padding can give."""

import random

import numpy as np
import pytest

from isl.errors import InputError
from isl.network.architecture import COMPACT, CONCORDANCE, TINY
from isl.network.unet import FNET
from isl.prediction.tiles import PADDINGS, plan_tiles
from isl.specs import Region


def random_region(generator, shape, anchor):
    spans = []
    for size in shape:
        first = generator.randrange(anchor, size - anchor)
        end = generator.randrange(first, size - anchor) + 1
        spans.append((first, end) if generator.random() < 0.8 else None)
    return Region(*spans)


def random_cases(padding, architecture, num_cases=100):
    generator = random.Random(f"{padding}{architecture.grid}")
    anchor = architecture.margin if padding == "none" else 0
    for _ in range(num_cases):
        most = architecture.input_size + generator.choice((3, 30, 200))
        shape = tuple(
            generator.randint(architecture.input_size, most) for _ in "rc"
        )
        region = None
        if generator.random() < 0.5:
            region = random_region(generator, shape, anchor)
        size = generator.choice((None, 24, 40, 136))
        yield shape, region, size


@pytest.fixture(params=[CONCORDANCE, TINY], ids=["concordance", "tiny"])
def architecture(request):
    return request.param


@pytest.mark.parametrize("padding", PADDINGS)
def test_writes_each_pixel_of_the_region_once(architecture, padding):
    anchor = architecture.margin if padding == "none" else 0
    for shape, region, size in random_cases(padding, architecture):
        tiling = plan_tiles(architecture, shape, region, padding, size)
        spans = (region.rows, region.columns) if region else (None, None)
        expected = np.zeros(shape, int)
        expected[
            tuple(
                slice(*(span or (anchor, size - anchor)))
                for span, size in zip(spans, shape, strict=True)
            )
        ] = 1
        written = np.zeros(shape, int)
        for tile in tiling.tiles:
            written[tile.rows, tile.columns] += 1
        np.testing.assert_array_equal(written, expected)
        np.testing.assert_array_equal(
            expected[tiling.rows, tiling.columns], np.ones(tiling.shape)
        )


@pytest.mark.parametrize("padding", PADDINGS)
def test_takes_pixels_from_where_the_network_puts_them(architecture, padding):
    for shape, region, size in random_cases(padding, architecture):
        tiling = plan_tiles(architecture, shape, region, padding, size)
        for tile in tiling.tiles:
            for read, written, crop, output_size in zip(
                (tile.read_row, tile.read_column),
                (tile.rows, tile.columns),
                tile.crop,
                tiling.tile_shape,
                strict=True,
            ):
                assert written.start == read + architecture.margin + crop.start
                assert written.stop == read + architecture.margin + crop.stop
                assert 0 <= crop.start < crop.stop <= output_size


def test_reflect_keeps_the_grid_of_the_image(architecture):
    for shape, region, size in random_cases("reflect", architecture):
        tiling = plan_tiles(architecture, shape, region, "reflect", size)
        for tile in tiling.tiles:
            for read in (tile.read_row, tile.read_column):
                assert (read + architecture.margin) % architecture.grid == 0


def test_reflect_reads_little_beyond_the_margin(architecture):
    # One reflection is enough: the image has at least input_size pixels.
    for shape, region, size in random_cases("reflect", architecture):
        tiling = plan_tiles(architecture, shape, region, "reflect", size)
        for tile in tiling.tiles:
            for read, count, image_size in zip(
                (tile.read_row, tile.read_column),
                tiling.input_shape,
                shape,
                strict=True,
            ):
                assert read >= -architecture.margin
                beyond = read + count - image_size
                assert beyond < architecture.margin + architecture.grid


def test_without_padding_reads_inside_the_image(architecture):
    for shape, region, size in random_cases("none", architecture):
        tiling = plan_tiles(architecture, shape, region, "none", size)
        for tile in tiling.tiles:
            assert min(tile.read_row, tile.read_column) >= 0
            assert tile.read_row + tiling.input_shape[0] <= shape[0]
            assert tile.read_column + tiling.input_shape[1] <= shape[1]


def test_without_padding_only_what_does_not_fit_leaves_the_grid(architecture):
    grid, margin = architecture.grid, architecture.margin
    for shape, region, size in random_cases("none", architecture):
        tiling = plan_tiles(architecture, shape, region, "none", size)
        for tile in tiling.tiles:
            for read, written, count in zip(
                (tile.read_row, tile.read_column),
                (tile.rows, tile.columns),
                shape,
                strict=True,
            ):
                available = count - 2 * margin
                spare = (available - architecture.output_size) % grid
                if written.start < count - margin - spare:
                    assert read % grid == 0
                    assert written.stop <= count - margin - spare


def phases(architecture, tiling, shape):
    """Phase of the pooling at each pixel, [2, row, column]; -1 elsewhere."""
    image = np.full((2, *shape), -1)
    for tile in tiling.tiles:
        for axis, read in enumerate((tile.read_row, tile.read_column)):
            image[axis, tile.rows, tile.columns] = read % architecture.grid
    return image


@pytest.mark.parametrize("padding", PADDINGS)
def test_values_depend_on_neither_tile_size_nor_region(architecture, padding):
    for shape, region, size in random_cases(padding, architecture):
        whole = plan_tiles(architecture, shape, padding=padding)
        part = plan_tiles(architecture, shape, region, padding, size)
        inside = (slice(None), part.rows, part.columns)
        np.testing.assert_array_equal(
            phases(architecture, part, shape)[inside],
            phases(architecture, whole, shape)[inside],
        )


@pytest.mark.parametrize("padding", PADDINGS)
def test_tile_sizes_are_sizes_of_the_network(architecture, padding):
    for shape, region, size in random_cases(padding, architecture):
        tiling = plan_tiles(architecture, shape, region, padding, size)
        for count, read in zip(
            tiling.tile_shape, tiling.input_shape, strict=True
        ):
            assert architecture.is_output_size(count)
            assert count <= (size or 264)
            assert read == count + 2 * architecture.margin


def test_default_tiles_are_those_of_506_pixels():
    tiling = plan_tiles(CONCORDANCE, (1032, 5000))
    assert tiling.tile_shape == (264, 264)
    assert tiling.input_shape == (506, 506)
    # 3 and 19 steps of 256, and the last tile.
    assert len(tiling.tiles) == 4 * 20


def test_tiles_shrink_with_the_region():
    shape = (1024, 1024)
    region = Region((96, 104), (96, 105))
    tiling = plan_tiles(CONCORDANCE, shape, region)
    assert tiling.tile_shape == (8, 24)
    assert len(tiling.tiles) == 1


def test_tiles_are_balanced():
    # 272 columns are two tiles of 152, not one of 264 and a rest.
    tiling = plan_tiles(CONCORDANCE, (256 + 8, 272))
    assert tiling.tile_shape == (264, 152)
    assert [tile.columns for tile in tiling.tiles] == [
        slice(0, 144),
        slice(144, 272),
    ]


@pytest.mark.parametrize("size", [-8, 0, 8, 16, 100, 263])
def test_other_tile_sizes_are_errors(size):
    message = f"tile_size: must be 24 plus a multiple of 16. Received: {size}"
    with pytest.raises(InputError, match=message):
        plan_tiles(CONCORDANCE, (300, 300), tile_size=size)


@pytest.mark.parametrize("padding", PADDINGS)
@pytest.mark.parametrize("shape", [(249, 250), (250, 249)])
def test_a_small_image_is_an_error(shape, padding):
    message = (
        r"^well.tif: must be at least 250 rows x 250 columns, the model's "
        f"field of view. Received: {shape[0]} rows x {shape[1]} columns.$"
    )
    with pytest.raises(InputError, match=message):
        plan_tiles(CONCORDANCE, shape, padding=padding, path="well.tif")
    plan_tiles(CONCORDANCE, (250, 250), padding=padding)


def test_a_region_outside_is_an_error():
    with pytest.raises(InputError, match="image: region columns must lie insi"):
        plan_tiles(CONCORDANCE, (300, 300), Region(None, (200, 301)))
    message = "region rows must lie inside 121-179 with padding=none. Rec.*120"
    with pytest.raises(InputError, match=message):
        plan_tiles(CONCORDANCE, (300, 300), Region((120, 130)), "none")


def test_an_unknown_padding_is_an_error():
    with pytest.raises(ValueError, match="padding must be one of"):
        plan_tiles(CONCORDANCE, (300, 300), padding="zero")


@pytest.mark.parametrize(
    ("network", "options", "size"),
    [
        (CONCORDANCE, {"light_tile_size": 528}, 264),
        (COMPACT, {"light_tile_size": 528}, 528),
        (FNET, {"light_tile_size": 1024}, 1024),
        (COMPACT, {}, 256),
        (COMPACT, {"light_tile_size": 528, "stitching": "exact"}, 256),
    ],
    ids=["wide", "light", "fnet", "default", "exact"],
)
def test_light_networks_may_have_large_tiles(network, options, size):
    tiling = plan_tiles(network, 2 * (10 * (size // 16 * 16),), **options)
    largest = max(tiling.tile_shape)
    assert size - network.grid < largest <= size
