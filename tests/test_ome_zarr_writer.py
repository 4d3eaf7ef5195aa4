"""OME-Zarr that we write: read back, validated by others, never half there."""

import dataclasses
import threading
import tracemalloc

import numpy as np
import ome_zarr_models
import ome_zarr_models.v05
import pytest
import zarr

from isl.errors import InputError
from isl.images import (
    ZarrDescription,
    ome_zarr_plate,
    ome_zarr_writer,
    open_image,
    open_ome_zarr,
    open_plate,
    open_plate_writer,
    streamed_ome_zarr,
)
from isl.images.ome_zarr_writer import average_pairs

EVERYTHING = (slice(None), slice(None))
NAMES = ("PHASE_CONTRAST", "DAPI_CONFOCAL", "MAP2_CONFOCAL")
SHAPE = (300, 530)
RANDOM = np.random.default_rng(0)
IMAGE = RANDOM.integers(0, 2**16, (3, 4, *SHAPE), dtype=np.uint16)
WELL = ZarrDescription(
    shape=SHAPE,
    channel_names=NAMES,
    num_z=4,
    pixel_size_um=0.3112,
    z_spacing_um=1.55,
    annotations={"steps": [{"step": "flat_field"}], "note": "µ <&>"},
)
SMALL = ZarrDescription(shape=(20, 30), channel_names=NAMES[:1])
VALUES = RANDOM.integers(0, 2**16, (1, 20, 30), dtype=np.uint16)


def write_regions(sink, image, size):
    for row in range(0, image.shape[-2], size):
        for column in range(0, image.shape[-1], size):
            part = image[..., row : row + size, column : column + size]
            sink.write(
                slice(row, row + part.shape[-2]),
                slice(column, column + part.shape[-1]),
                part,
            )


def write_well(path, image=IMAGE, description=WELL, size=512):
    with streamed_ome_zarr(path, description) as sink:
        write_regions(sink, image, size)


def level(path, name="0"):
    return zarr.open_array(path / name, mode="r")


@pytest.mark.parametrize("size", [256, 96, 1000])
def test_round_trip(tmp_path, size):
    path = tmp_path / "new" / "well.ome.zarr"
    with streamed_ome_zarr(path, WELL) as sink:
        write_regions(sink, IMAGE, size)
        assert not path.exists()
    assert [p.name for p in path.parent.iterdir()] == [path.name]
    image = open_ome_zarr(path)
    assert image.channel_names == NAMES
    assert (image.pixel_size_um, image.z_spacing_um) == (0.3112, 1.55)
    assert image.annotations == WELL.annotations
    assert image.shape == SHAPE
    well = open_image(path)
    assert (well.name, well.modality) == ("well", "PHASE_CONTRAST")
    assert (well.pixel_size_um, well.z_spacing_um) == (0.3112, 1.55)
    np.testing.assert_array_equal(
        well.read_planes(*EVERYTHING), np.moveaxis(IMAGE[0], 0, -1)
    )
    for channel, label in enumerate(NAMES[1:], start=1):
        np.testing.assert_array_equal(
            well.read_label(label, *EVERYTHING), IMAGE[channel].max(axis=0)
        )


def test_random_crops_read_each_chunk_once(tmp_path, monkeypatch):
    path = tmp_path / "a.zarr"
    write_well(path)
    assert level(path).chunks == (1, 4, 256, 256)
    well = open_image(path)
    keys = []
    get = zarr.storage.LocalStore.get

    async def counted(self, key, *args, **options):
        keys.append(key)
        return await get(self, key, *args, **options)

    monkeypatch.setattr(zarr.storage.LocalStore, "get", counted)
    for _ in range(20):
        row, column = RANDOM.integers(0, (300 - 250 + 1, 530 - 250 + 1))
        rows, columns = slice(row, row + 250), slice(column, column + 250)
        keys.clear()
        stack = well.read_planes(rows, columns)
        np.testing.assert_array_equal(
            stack, np.moveaxis(IMAGE[0, :, rows, columns], 0, -1)
        )
        across = (column + 249) // 256 - column // 256 + 1
        down = (row + 249) // 256 - row // 256 + 1
        assert len(keys) == len(set(keys)) == across * down


def test_image_as_a_validator_sees_it(tmp_path, monkeypatch):
    path = tmp_path / "a.ome.zarr"
    monkeypatch.setattr(ome_zarr_writer, "MAX_COARSEST_SIZE", 200)
    write_well(path)
    group = zarr.open_group(path, mode="r")
    image = ome_zarr_models.open_ome_zarr(group)
    assert isinstance(image, ome_zarr_models.v05.Image)
    (multiscale,) = image.ome_attributes.multiscales
    assert [axis.name for axis in multiscale.axes] == list("czyx")
    assert [axis.unit for axis in multiscale.axes[1:]] == ["micrometer"] * 3
    scales, *shifts = multiscale.datasets[2].coordinateTransformations
    assert scales.scale == [1, 1.55, 4 * 0.3112, 4 * 0.3112]
    (shift,) = shifts
    assert shift.translation == [0, 0, 1.5 * 0.3112, 1.5 * 0.3112]
    channels = image.ome_attributes.omero["channels"]
    assert tuple(channel["label"] for channel in channels) == NAMES
    colours = [channel["color"] for channel in channels]
    assert colours == ["FFFFFF", "0000FF", "00FF00"]
    assert channels[0]["window"]["end"] == 65535
    np.testing.assert_array_equal(group["0"][:], IMAGE)
    assert group["0"].metadata.dimension_names == tuple("czyx")


def test_prediction_without_z(tmp_path):
    # The sink takes what the sink of `streamed_ome_tiff` takes.
    description = ZarrDescription(
        (70, 90), ("DAPI_CONFOCAL:median", "DAPI_CONFOCAL:mean"),
        dtype=np.float32,
    )  # fmt: skip
    image = RANDOM.random((2, 70, 90))
    path = tmp_path / "a.zarr"
    write_well(path, image, description, size=32)
    read = open_ome_zarr(path)
    assert (read.pixel_size_um, read.z_spacing_um) == (None, None)
    assert read.annotations == {}
    (plane,) = read.channel("DAPI_CONFOCAL:mean")
    assert plane.dtype == np.float32
    np.testing.assert_array_equal(
        plane.read(*EVERYTHING), image[1].astype(np.float32)
    )
    attributes = zarr.open_group(path, mode="r").attrs["ome"]
    (multiscale,) = attributes["multiscales"]
    assert all("unit" not in axis for axis in multiscale["axes"])
    assert attributes["omero"]["channels"][0]["window"]["end"] == 1
    ome_zarr_models.open_ome_zarr(zarr.open_group(path, mode="r"))


def test_channels_one_by_one(tmp_path):
    path = tmp_path / "a.zarr"
    with streamed_ome_zarr(path, WELL) as sink:
        sink.write_channel(0, *EVERYTHING, IMAGE[0])
        for channel in (1, 2):
            label = IMAGE[channel].max(axis=0)
            sink.write_channel(channel, slice(0, 99), slice(None), label[:99])
            sink.write_channel(channel, slice(99, 300), slice(None), label[99:])
    well = open_image(path)
    np.testing.assert_array_equal(
        well.read_planes(*EVERYTHING), np.moveaxis(IMAGE[0], 0, -1)
    )
    for channel, label in enumerate(NAMES[1:], start=1):
        np.testing.assert_array_equal(
            well.read_label(label, *EVERYTHING), IMAGE[channel].max(axis=0)
        )
    assert not level(path)[1:, 1:].any()


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ((1024, 16), [(1024, 16)]),
        ((1025, 3), [(1025, 3), (513, 2)]),
        ((16, 4600), [(16, 4600), (8, 2300), (4, 1150), (2, 575)]),
    ],
)
def test_levels_halve_the_size(tmp_path, shape, expected):
    description = ZarrDescription(shape, ["a"])
    path = tmp_path / "a.zarr"
    image = RANDOM.integers(0, 2**16, (1, *shape), dtype=np.uint16)
    write_well(path, image, description, size=8192)
    names = sorted(p.name for p in path.iterdir() if p.is_dir())
    assert [level(path, name).shape[1:] for name in names] == expected
    for name in names:
        np.testing.assert_array_equal(level(path, name)[:], image)
        image = average_pairs(image)


def test_level_over_several_chunks(tmp_path):
    path = tmp_path / "a.zarr"
    image = RANDOM.integers(0, 2**16, (2, 2, 30, 1100), dtype=np.uint16)
    description = dataclasses.replace(
        WELL, shape=(30, 1100), channel_names=NAMES[:2], num_z=2
    )
    write_well(path, image, description)
    assert level(path, "1").chunks == (1, 2, 15, 256)
    np.testing.assert_array_equal(level(path, "1")[:], average_pairs(image))


def test_averages():
    block = np.array([[[0, 1, 65535], [1, 1, 65535], [5, 6, 7]]], np.uint16)
    averages = average_pairs(block)
    assert averages.dtype == np.uint16
    # (0 + 1 + 1 + 1) / 4 = 0.75; (5 + 6) / 2 = 5.5.
    np.testing.assert_array_equal(averages, [[[1, 65535], [6, 7]]])
    averages = average_pairs(block.astype(np.float32))
    assert averages.dtype == np.float32
    np.testing.assert_array_equal(averages, [[[0.75, 65535], [5.5, 7]]])


def test_a_failure_leaves_nothing_behind(tmp_path):
    path = tmp_path / "a.zarr"
    path.mkdir()
    (path / "older").touch()
    with pytest.raises(OSError, match="disk full"):
        with streamed_ome_zarr(path, SMALL) as sink:
            sink.write(*EVERYTHING, VALUES)
            raise OSError("disk full")
    assert [p.name for p in tmp_path.rglob("*")] == ["a.zarr", "older"]
    write_well(path, VALUES, SMALL)
    assert not (path / "older").exists()


def test_the_sink_checks_its_regions(tmp_path):
    path = tmp_path / "a.zarr"
    cases = (
        ((slice(1, 21), slice(None), VALUES), "must lie inside 0-20"),
        ((slice(1, 20), slice(None), VALUES), r"shape \(1, 19, 30\).*20, 30"),
        ((*EVERYTHING, VALUES / 2), "must be uint16 .*Received: float64"),
        ((*EVERYTHING, VALUES.astype(int)), "must be uint16 .*int64"),
        ((*EVERYTHING, VALUES[0]), r"shape \(1, 20, 30\).*\(20, 30\)"),
    )
    for arguments, message in cases:
        with pytest.raises(ValueError, match=message):
            with streamed_ome_zarr(path, SMALL) as sink:
                sink.write(*arguments)
    with pytest.raises(ValueError, match="up to 600 pixels.*570.*PHASE_CON"):
        with streamed_ome_zarr(path, SMALL) as sink:
            sink.write(slice(1, 20), slice(None), VALUES[:, 1:])
    with pytest.raises(ValueError, match="0 pixels of channel DAPI_CONFOCAL"):
        with streamed_ome_zarr(path, WELL) as sink:
            sink.write_channel(0, *EVERYTHING, IMAGE[0])
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"shape": (0, 5)}, r"must not be empty. Received: \(3, 4, 0, 5\)"),
        ({"num_z": 0}, "must not be empty"),
        ({"channel_names": ()}, "must not be empty"),
        ({"dtype": np.uint8}, "dtype must be uint16 or float32"),
    ],
)
def test_the_description_checks_its_values(changes, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(WELL, **changes)


@pytest.mark.parametrize("name", ["a.tif", "zarr"])
def test_output_needs_the_suffix(tmp_path, name):
    with pytest.raises(InputError, match="must end in .ome.zarr or .zarr"):
        with streamed_ome_zarr(tmp_path / name, SMALL):
            pass
    with pytest.raises(InputError, match="must end in .ome.zarr or .zarr"):
        open_plate_writer(tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_a_lost_chunk_is_found(tmp_path):
    path = tmp_path / "a.zarr"
    write_well(path, np.zeros_like(IMAGE))  # Chunks of zeros count as well.
    open_image(path)
    (path / "0" / "c" / "1" / "0" / "1" / "2").unlink()
    message = "incomplete: level '0' must have 18 chunks. Received: 17"
    with pytest.raises(InputError, match=message):
        open_image(path)


def test_chunks_may_be_packed_into_shards_later(tmp_path):
    path = tmp_path / "a.zarr"
    write_well(path)
    zarr.create_array(
        path / "0",
        data=level(path)[:],
        chunks=(1, 4, 64, 64),
        shards=(3, 4, 512, 1024),
        overwrite=True,
    )
    well = open_image(path)
    np.testing.assert_array_equal(
        well.read_planes(*EVERYTHING), np.moveaxis(IMAGE[0], 0, -1)
    )


def test_memory_is_bounded(tmp_path):
    description = ZarrDescription((256, 8192), ["a"], num_z=8)
    region = np.zeros((1, 8, 256, 256), np.uint16)
    tracemalloc.start()
    with streamed_ome_zarr(tmp_path / "a.zarr", description) as sink:
        for column in range(0, 8192, 256):
            sink.write(slice(None), slice(column, column + 256), region)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 256 * 8192 * 8 * 2 / 2  # Half of the image.


def test_plate_grows_well_by_well(tmp_path):
    path = tmp_path / "plate.ome.zarr"
    writer = open_plate_writer(path)
    assert open_plate(path).fields == {} and open_plate(path).missing == ()
    values = {}
    for well in ("B2", "A10", "A9"):
        values[well] = RANDOM.permutation(VALUES, axis=1)
        with writer.streamed_well(well, SMALL) as sink:
            sink.write(*EVERYTHING, values[well])
    plate = open_plate(path)
    assert plate.fields == {
        "A9": ("A/9/0",),
        "A10": ("A/10/0",),
        "B2": ("B/2/0",),
    }
    for well, (field,) in plate.fields.items():
        image = open_image(path / field)
        assert image.name == well
        np.testing.assert_array_equal(
            image.read_planes(*EVERYTHING)[..., 0], values[well][0]
        )


def test_plate_as_a_validator_sees_it(tmp_path):
    path = tmp_path / "plate.ome.zarr"
    writer = open_plate_writer(path)
    group = zarr.open_group(path, mode="r")
    ome_zarr_models.v05.HCS.from_zarr(group)
    for well in ("B2", "A10"):
        with writer.streamed_well(well, SMALL) as sink:
            sink.write(*EVERYTHING, VALUES)
    plate = ome_zarr_models.open_ome_zarr(zarr.open_group(path, mode="r"))
    assert isinstance(plate, ome_zarr_models.v05.HCS)
    wells = plate.ome_attributes.plate.wells
    assert [(w.path, w.rowIndex, w.columnIndex) for w in wells] == [
        ("A/10", 0, 1),
        ("B/2", 1, 0),
    ]
    assert len(list(plate.well_groups)) == 2


def test_an_interrupted_plate_holds_whole_wells_and_goes_on(tmp_path):
    path = tmp_path / "plate.zarr"
    writer = open_plate_writer(path)
    with writer.streamed_well("A1", SMALL) as sink:
        sink.write(*EVERYTHING, VALUES)
    with pytest.raises(KeyboardInterrupt):
        with writer.streamed_well("A2", SMALL) as sink:
            sink.write(*EVERYTHING, VALUES)
            assert not (path / "A" / "2").exists()
            raise KeyboardInterrupt
    assert sorted(p.name for p in (path / "A").iterdir()) == ["1", "zarr.json"]
    # As after the loss of power: while a well was being written, and before
    # the plate listed a well that is whole.
    (path / "A" / ".2.abc" / "2").mkdir(parents=True)
    (path / "A" / "9").mkdir()
    (path / "A" / "1").rename(path / "A" / "7")
    writer = open_plate_writer(path)
    assert open_plate(path).fields == {"A7": ("A/7/0",)}
    with writer.streamed_well("A2", SMALL) as sink:
        sink.write(*EVERYTHING, VALUES)
    assert not (path / "A" / ".2.abc").exists()
    assert list(open_plate(path).fields) == ["A2", "A7"]


@pytest.mark.parametrize("well", ["", "A", "7", "A1/../../x", "A 1", "1A"])
def test_names_of_wells(tmp_path, well):
    writer = open_plate_writer(tmp_path / "plate.zarr")
    with pytest.raises(InputError, match="well must be letters and then dig"):
        with writer.streamed_well(well, SMALL):
            pass
    assert not open_plate(tmp_path / "plate.zarr").fields


def test_a_plate_replaces_nothing_else(tmp_path):
    path = tmp_path / "a.zarr"
    write_well(path, VALUES, SMALL)
    with pytest.raises(InputError, match="must be a plate.*another folder"):
        open_plate_writer(path)
    (tmp_path / "b.zarr").touch()
    with pytest.raises(InputError, match="must be a plate.*another file"):
        open_plate_writer(tmp_path / "b.zarr")


def test_two_processes_list_the_wells_of_both(tmp_path, monkeypatch):
    path = tmp_path / "plate.zarr"
    slow, quick = open_plate_writer(path), open_plate_writer(path)
    has_listed, other_is_done = threading.Event(), threading.Event()
    real = ome_zarr_plate.write_json

    def write_late(file, value):
        # One of them has seen its own well alone when the other one writes.
        if file == path / "zarr.json" and threading.current_thread() is thread:
            has_listed.set()
            other_is_done.wait(0.5)
        real(file, value)

    def add(writer, well):
        with writer.streamed_well(well, SMALL) as sink:
            sink.write(*EVERYTHING, VALUES)

    monkeypatch.setattr(ome_zarr_plate, "write_json", write_late)
    thread = threading.Thread(target=add, args=(slow, "A1"))
    thread.start()
    assert has_listed.wait(60)
    add(quick, "A2")
    other_is_done.set()
    thread.join()
    assert list(open_plate(path).fields) == ["A1", "A2"]
