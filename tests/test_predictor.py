"""Tiled prediction equals one pass, in bounded memory, into an OME-TIFF."""

import contextlib
import dataclasses
import gc
import threading
import tracemalloc

import keras
import numpy as np
import pytest
import tifffile

from isl.errors import InputError
from isl.images import Well, open_ome_tiff
from isl.network.architecture import CONCORDANCE, TINY, with_width
from isl.network.intensity_bins import statistics
from isl.network.model import with_raw_input
from isl.network.model_folder import ModelDescription
from isl.prediction.output import predict_to_file, predict_to_sink
from isl.prediction.predictor import (
    build_predictor,
    iter_predictions,
    iter_tile_planes,
    select_planes,
)
from isl.prediction.tiles import PADDINGS, STITCHINGS, plan_tiles
from isl.specs import Region
from tests.tiny_runs import ArrayPlane

LABELS = ("DAPI_CONFOCAL", "MAP2_CONFOCAL")
STATISTICS = ("mean", "entropy")
# The geometry of the released network: five scales, a grid of 16 pixels.
SLIM = dataclasses.replace(
    with_width(CONCORDANCE, 8), stem_filters=4, num_bins=16
)
# Between sums in another order; another phase of the grid differs by 1e-3.
TOLERANCE = 5e-6


def build(architecture):
    keras.utils.set_random_seed(1)
    description = ModelDescription(architecture, num_z=2, labels=LABELS)
    return description.build(), description


@pytest.fixture(scope="module")
def tiny():
    """A network of random weights, with its description."""
    return build(TINY)


@pytest.fixture(scope="module")
def tiny_predictor(tiny):
    return build_predictor(*tiny, statistics=STATISTICS)


@pytest.fixture(scope="module")
def slim_predictor():
    return build_predictor(*build(SLIM), statistics=STATISTICS)


def random_well(shape, num_z=2, seed=0):
    generator = np.random.default_rng(seed)
    planes = generator.integers(0, 2**16, (num_z, *shape), dtype=np.uint16)
    return Well(
        name="A4",
        condition=None,
        modality=None,
        planes=tuple(ArrayPlane(p, f"z{z}.png") for z, p in enumerate(planes)),
        labels={},
        pixel_size_um=0.325,
    )


def stack_of(well):
    return np.stack([plane.values for plane in well.planes], axis=-1)


def one_pass(predictor, stack):
    """Predicts [row, column, z] at once, without tiles."""
    presence = np.ones((1, stack.shape[-1]), np.float32)
    values = predictor.model(
        {"planes": stack[np.newaxis], "presence": presence}, training=False
    )
    return np.moveaxis(keras.ops.convert_to_numpy(values)[0], -1, 0)


def tiled(predictor, well, **options):
    """Predicts by tiles, [channel, row, column] of what is predicted."""
    tiling = plan_tiles(predictor.architecture, well.shape, **options)
    channels = len(predictor.channel_names)
    image = np.full((channels, *well.shape), np.nan, np.float32)
    for rows, columns, values in iter_predictions(predictor, well, tiling):
        assert values.dtype == np.float32
        image[:, rows, columns] = values
    return image[:, tiling.rows, tiling.columns]


def assert_close(actual, expected, tolerance=TOLERANCE):
    np.testing.assert_allclose(actual, expected, rtol=0, atol=tolerance)


@pytest.mark.parametrize("shape", [(22, 22), (60, 46), (59, 47), (30, 83)])
@pytest.mark.parametrize("tile_size", [8, 24, None])
def test_with_mirrored_edges_equals_one_pass(tiny_predictor, shape, tile_size):
    well = random_well(shape)
    # One pass wants an even number of rows and columns.
    padding = [(TINY.margin, TINY.margin + size % 2) for size in shape]
    stack = np.pad(stack_of(well), (*padding, (0, 0)), mode="reflect")
    expected = one_pass(tiny_predictor, stack)[:, : shape[0], : shape[1]]
    actual = tiled(tiny_predictor, well, tile_size=tile_size)
    assert_close(actual, expected)
    assert expected.std() > 100 * TOLERANCE


@pytest.mark.parametrize("stitching", STITCHINGS)
@pytest.mark.parametrize("padding", PADDINGS)
def test_values_do_not_depend_on_the_size_of_tiles(tiny, stitching, padding):
    # A plate may be finished with smaller tiles than it was begun with.
    predictor = build_predictor(
        *tiny, statistics=STATISTICS, stitching=stitching
    )
    well = random_well((59, 47))
    small, large = (
        tiled(
            predictor,
            well,
            stitching=stitching,
            padding=padding,
            tile_size=size,
        )
        for size in (8, 32)
    )
    assert_close(small, large)
    assert small.std() > 100 * TOLERANCE


@pytest.mark.parametrize("shape", [(22, 24), (60, 46)])
def test_without_padding_equals_one_pass(tiny_predictor, shape):
    well = random_well(shape)
    expected = one_pass(tiny_predictor, stack_of(well))
    actual = tiled(tiny_predictor, well, padding="none", tile_size=10)
    assert_close(actual, expected)


def test_without_padding_the_last_odd_row_reads_no_mirror(tiny_predictor):
    well = random_well((61, 47))
    actual = tiled(tiny_predictor, well, padding="none", tile_size=10)
    assert actual.shape[1:] == (61 - 14, 47 - 14)
    stack = stack_of(well)
    on_grid = one_pass(tiny_predictor, stack[:60, :46])
    assert_close(actual[:, :46, :32], on_grid)
    at_the_edge = one_pass(tiny_predictor, stack[1:, 1:])
    assert_close(actual[:, 46:, 32:], at_the_edge[:, 45:, 31:])
    # The phases differ, so that the test above has something to tell apart.
    assert np.abs(on_grid[:, 1:, 1:] - at_the_edge[:, :-1, :-1]).max() > 1e-3


def test_five_scales_without_padding(slim_predictor):
    # 49 x 40 pixels: 40 rows and 40 columns on the grid, 9 rows beside it.
    well = random_well((291, 282))
    actual = tiled(slim_predictor, well, padding="none", tile_size=24)
    stack = stack_of(well)
    on_grid = one_pass(slim_predictor, stack[:282])
    assert_close(actual[:, :40], on_grid)
    at_the_edge = one_pass(slim_predictor, stack[9:])
    assert_close(actual[:, 40:], at_the_edge[:, 31:])
    assert np.abs(on_grid[:, 9:] - at_the_edge[:, :-9]).max() > 1e-3


def test_five_scales_with_mirrored_edges(slim_predictor):
    # A corner of a larger image, so that only some pixels see the mirror.
    well = random_well((250, 261))
    region = Region((230, 250), (245, 261))
    actual = tiled(slim_predictor, well, region=region, tile_size=24)
    first_row, first_column = 224 - 121, 240 - 121
    stack = np.pad(stack_of(well), ((0, 140), (0, 140), (0, 0)), "reflect")
    stack = stack[first_row:, first_column:][:282, :266]
    expected = one_pass(slim_predictor, stack)[:, 6:26, 5:21]
    assert_close(actual, expected)


def test_a_region_equals_that_part_of_the_image(tiny_predictor):
    well = random_well((60, 70))
    whole = tiled(tiny_predictor, well)
    part = tiled(tiny_predictor, well, region=Region((3, 31), None))
    assert_close(part, whole[:, 3:31])


@pytest.mark.parametrize(
    ("name", "offsets"),
    [("tiny_predictor", (0, 2, 34)), ("slim_predictor", (0, 16))],
)
def test_equals_single_patches_at_multiples_of_the_grid(name, offsets, request):
    predictor = request.getfixturevalue(name)
    architecture = predictor.architecture
    size = architecture.input_size
    well = random_well((size + max(offsets), size + max(offsets)))
    actual = tiled(predictor, well, padding="none")
    stack = stack_of(well)
    for row in offsets:
        for column in offsets[-1:]:
            patch = stack[row : row + size, column : column + size]
            assert_close(
                actual[:, row : row + 8, column : column + 8],
                one_pass(predictor, patch),
            )


def test_channels_are_the_statistics_of_the_heads(tiny):
    names = ("median", "q05", "probability_nonzero")
    predictor = build_predictor(*tiny, LABELS[::-1], names)
    assert predictor.channel_names == (
        "MAP2_CONFOCAL:median",
        "MAP2_CONFOCAL:q05",
        "MAP2_CONFOCAL:probability_nonzero",
        "DAPI_CONFOCAL:median",
        "DAPI_CONFOCAL:q05",
        "DAPI_CONFOCAL:probability_nonzero",
    )
    stack = stack_of(random_well((24, 26)))
    inputs = {"planes": stack[np.newaxis], "presence": np.ones((1, 2))}
    logits = with_raw_input(tiny[0], LABELS)(inputs)
    expected = [statistics(logits[label], names)[0] for label in LABELS[::-1]]
    expected = np.concatenate(
        [np.moveaxis(keras.ops.convert_to_numpy(e), -1, 0) for e in expected]
    )
    # A quantile that hits a bin's edge may fall on either side.
    assert_close(one_pass(predictor, stack), expected, 1 / 255 + 1e-6)
    assert_close(one_pass(predictor, stack)[[2, 5]], expected[[2, 5]])


def test_statistics_stay_between_zero_and_one():
    # Certain of bin 0: the epsilon makes the entropy negative.
    model, description = build(TINY)
    for label in LABELS:
        bias = model.get_layer(label).bias
        bias.assign(np.where(np.arange(256) == 0, 200.0, 0.0))
    predictor = build_predictor(model, description, statistics=("entropy",))
    values = one_pass(predictor, stack_of(random_well((24, 24))))
    np.testing.assert_array_equal(values, np.zeros_like(values))


def test_only_the_heads_asked_for_are_evaluated(tiny):
    predictor = build_predictor(*tiny, LABELS[:1])
    names = {
        layer.name
        for nested in predictor.model.layers
        for layer in getattr(nested, "layers", [])
    }
    assert "DAPI_CONFOCAL" in names
    assert "MAP2_CONFOCAL" not in names


@pytest.mark.parametrize(
    ("labels", "statistics", "message"),
    [
        (["DAPI"], ["mean"], r"^labels: must be from DAPI_CONFOCAL, MAP2_CON"),
        ([], ["mean"], "^labels: must name one or more.*Received: none.$"),
        (["MAP2_CONFOCAL"] * 2, ["mean"], "^labels: .*each once. Received: MA"),
        (None, ["q00"], "^statistics: must be from mode, .* q99. Rec.* 'q00'"),
        (None, ["mean", "average"], "^statistics: .*Received: 'average'.$"),
        (None, [], "^statistics: must name one or more"),
    ],
)
def test_unknown_labels_and_statistics_are_errors(
    tiny, labels, statistics, message
):
    with pytest.raises(InputError, match=message):
        build_predictor(*tiny, labels, statistics)


def test_selects_planes():
    well = random_well((4, 4), num_z=3)
    assert select_planes(3, well) == (0, 1, 2)
    assert select_planes(6, well) == (0, 0, 1, 1, 2, 2)
    assert select_planes(2, well, [2, 0]) == (2, 0)


@pytest.mark.parametrize("planes", [[0], [0, 1, 2], [-1, 0], []])
def test_planes_that_no_stack_could_have_are_an_error(planes):
    message = "z_planes: must be as many planes as the model takes, 2, counted"
    with pytest.raises(InputError, match=message):
        select_planes(2, random_well((4, 4), num_z=3), planes)


def test_planes_that_the_stack_lacks_are_an_error():
    message = "z_planes: must be from 0 to 2, the planes of z0.png. Rec.*: 0,3"
    with pytest.raises(InputError, match=message):
        select_planes(2, random_well((4, 4), num_z=3), ["0", "3"])


def test_the_planes_chosen_are_read(tiny_predictor):
    well = random_well((24, 24), num_z=3)
    tiling = plan_tiles(TINY, well.shape)
    expected = np.pad(stack_of(well), ((7, 7), (7, 7), (0, 0)), "reflect")
    for planes in ((0, 2), (1, 1)):
        ((_, stack),) = iter_tile_planes(well, tiling, planes)
        np.testing.assert_array_equal(stack, expected[..., planes])
    ((_, _, default),) = iter_predictions(tiny_predictor, well, tiling)
    ((_, _, explicit),) = iter_predictions(tiny_predictor, well, tiling, (0, 2))
    ((_, _, other),) = iter_predictions(tiny_predictor, well, tiling, (2, 0))
    np.testing.assert_array_equal(default, explicit)
    assert not np.array_equal(default, other)


class UnreadablePlane(ArrayPlane):
    def read(self, rows, columns):
        raise InputError(f"{self.path}: PNG cannot be decoded.")


def test_an_error_while_reading_arrives(tiny_predictor, tmp_path):
    well = random_well((24, 24))
    planes = (well.planes[0], UnreadablePlane(well.planes[1].values, "z1.png"))
    well = dataclasses.replace(well, planes=planes)
    tiling = plan_tiles(TINY, well.shape)
    with pytest.raises(InputError, match="z1.png: PNG cannot be decoded."):
        predict_to_file(tmp_path / "a.tif", tiny_predictor, well, tiling)
    assert not list(tmp_path.iterdir())


class WatchedPlane(ArrayPlane):
    def __init__(self, values):
        super().__init__(values)
        self.reads = threading.Semaphore(0)

    def read(self, rows, columns):
        self.reads.release()
        return super().read(rows, columns)


def test_reads_one_tile_ahead():
    plane = WatchedPlane(np.zeros((60, 22), np.uint16))
    well = Well("A4", None, None, (plane,), {}, None)
    tiling = plan_tiles(TINY, well.shape, tile_size=22)
    tiles = iter_tile_planes(well, tiling, (0,))
    next(tiles)
    assert plane.reads.acquire(timeout=5)
    assert plane.reads.acquire(timeout=5)
    assert not plane.reads.acquire(timeout=0.1)
    tiles.close()


class FormulaPlane:
    """A plane of any size that occupies no memory, and counts its readers."""

    path = "formula"
    dtype = np.dtype(np.uint16)

    def __init__(self, shape):
        self.shape = shape
        self.most_pixels = 0

    def read(self, rows, columns):
        rows = np.arange(rows.start, rows.stop, dtype=np.uint16)
        columns = np.arange(columns.start, columns.stop, dtype=np.uint16)
        self.most_pixels = max(self.most_pixels, rows.size * columns.size)
        return rows[:, np.newaxis] * 37 + columns * 1001


def peak_bytes(predictor, path, num_rows):
    plane = FormulaPlane((num_rows, 60))
    well = Well("strip", None, None, (plane, plane), {}, None)
    tiling = plan_tiles(TINY, well.shape, tile_size=60)
    gc.collect()
    tracemalloc.start()
    predict_to_file(path, predictor, well, tiling)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert plane.most_pixels <= tiling.input_shape[0] * tiling.input_shape[1]
    return peak


def test_memory_does_not_grow_with_the_image(tiny_predictor, tmp_path):
    path = tmp_path / "strip.ome.tif"
    tiled(tiny_predictor, random_well((120, 60)), tile_size=60)  # Compiles.
    short = peak_bytes(tiny_predictor, path, 300)
    tall = peak_bytes(tiny_predictor, path, 3000)
    # The output of the tall strip alone has 2.9 MB.
    assert tall - short < 5e5
    with tifffile.TiffFile(path) as tiff:
        assert tiff.series[0].shape == (4, 3000, 60)


def test_writes_an_ome_tiff(tiny_predictor, tmp_path):
    path = tmp_path / "A4.ome.tif"
    well = random_well((33, 45), num_z=3)
    tiling = plan_tiles(TINY, well.shape, padding="none", tile_size=10)
    predict_to_file(
        path, tiny_predictor, well, tiling, (2, 1), model_name="runs/a/model"
    )
    with tifffile.TiffFile(path) as tiff:
        assert tiff.is_ome
        assert tiff.series[0].axes == "CYX"
        image = tiff.series[0].asarray()
        metadata = tifffile.xml2dict(tiff.ome_metadata)
    chosen = dataclasses.replace(well, planes=(well.planes[2], well.planes[1]))
    expected = tiled(tiny_predictor, chosen, padding="none", tile_size=10)
    assert image.dtype == np.float32
    np.testing.assert_array_equal(image, expected)
    pixels = metadata["OME"]["Image"]["Pixels"]
    assert pixels["PhysicalSizeX"] == pixels["PhysicalSizeY"] == 0.325
    tiff = open_ome_tiff(path)
    assert tiff.channel_names == (
        "DAPI_CONFOCAL:mean",
        "DAPI_CONFOCAL:entropy",
        "MAP2_CONFOCAL:mean",
        "MAP2_CONFOCAL:entropy",
    )
    assert tiff.annotations.pop("program").startswith("isl 0.")
    assert tiff.annotations == {
        "model": "runs/a/model",
        "labels": list(LABELS),
        "statistics": list(STATISTICS),
        "units": "intensity",
        "z_planes": [2, 1],
        "num_z_of_input": 3,
        "origin": {"row": 7, "column": 7},
        "padding": "none",
        "stitching": "fast",
        "tile_shape": [10, 10],
    }


def test_no_output_without_a_tiff_suffix(tiny_predictor, tmp_path):
    well = random_well((24, 24))
    tiling = plan_tiles(TINY, well.shape)
    with pytest.raises(InputError, match="a.png: output must end in"):
        predict_to_file(tmp_path / "a.png", tiny_predictor, well, tiling)
    assert not list(tmp_path.iterdir())


class Recorder:
    """Stands for a file; remembers what is written, and when."""

    def __init__(self, fail_at=None):
        self.events = []
        self.fail_at = fail_at

    def write(self, rows, columns, values):
        if len(self.events) == self.fail_at:
            raise OSError("no space left")
        main = threading.current_thread() is threading.main_thread()
        self.events.append((rows.start, columns.start, main))


@pytest.fixture
def write(tiny_predictor):
    """Predicts four tiles into a sink."""
    well = random_well((64, 64))
    tiling = plan_tiles(TINY, well.shape, tile_size=32)
    assert len(tiling.tiles) == 4

    def predict(sink):
        predict_to_sink(
            lambda _: contextlib.nullcontext(sink), tiny_predictor, well, tiling
        )

    return predict


def test_tiles_are_written_in_order_by_another_thread(write):
    sink = Recorder()
    write(sink)
    corners = [(r, c, False) for r in (0, 32) for c in (0, 32)]
    assert sink.events == corners


@pytest.mark.parametrize("tile", [0, 3])
def test_a_tile_that_cannot_be_written_ends_the_prediction(write, tile):
    sink = Recorder(fail_at=tile)
    with pytest.raises(OSError, match="no space left"):
        write(sink)
    assert len(sink.events) == tile
