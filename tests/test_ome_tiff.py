"""OME-TIFF: what is written opens elsewhere, what others write is read."""

import tracemalloc

import numpy as np
import pytest
import tifffile
from PIL import Image

from isl.errors import InputError
from isl.images import open_ome_tiff, streamed_ome_tiff, write_ome_tiff

EVERYTHING = (slice(None), slice(None))
NAMES = ("DAPI_CONFOCAL:median", "DAPI_CONFOCAL:mean", "MAP2_CONFOCAL:q05")


@pytest.fixture
def prediction():
    random = np.random.default_rng(0)
    return random.random((3, 301, 517), dtype=np.float32)


@pytest.fixture
def stack():
    random = np.random.default_rng(1)
    return random.integers(0, 2**16, (2, 5, 300, 270), dtype=np.uint16)


def write_tiles(sink, image, size):
    for row in range(0, image.shape[1], size):
        for column in range(0, image.shape[2], size):
            part = image[:, row : row + size, column : column + size]
            sink.write(
                slice(row, row + part.shape[1]),
                slice(column, column + part.shape[2]),
                part,
            )


def test_streamed_file_as_tifffile_sees_it(tmp_path, prediction):
    path = tmp_path / "new" / "prediction.ome.tif"
    annotations = {"origin_row": 121, "origin_column": 121, "note": "µ <&>"}
    with streamed_ome_tiff(
        path, prediction.shape[1:], NAMES, 0.3112, annotations
    ) as sink:
        write_tiles(sink, prediction, 96)
        assert not path.exists()
    assert [p.name for p in path.parent.iterdir()] == [path.name]
    with tifffile.TiffFile(path) as tiff:
        (series,) = tiff.series
        assert tiff.is_ome
        assert not tiff.is_bigtiff
        assert (series.axes, series.dtype) == ("CYX", np.float32)
        np.testing.assert_array_equal(series.asarray(), prediction)
        page = series.keyframe
        assert page.tile == (256, 256)
        assert page.compression == tifffile.COMPRESSION.ADOBE_DEFLATE
        pixels = tifffile.xml2dict(tiff.ome_metadata)["OME"]["Image"]["Pixels"]
    assert tuple(c["Name"] for c in pixels["Channel"]) == NAMES
    for axis in "XY":
        assert pixels[f"PhysicalSize{axis}"] == 0.3112
        assert pixels[f"PhysicalSize{axis}Unit"] == "µm"
    tiff = open_ome_tiff(path)
    assert tiff.annotations == annotations
    assert tiff.channel_names == NAMES
    assert tiff.pixel_size_um == 0.3112
    assert tiff.shape == (301, 517)


def test_streamed_file_without_pixel_size(tmp_path, prediction):
    path = tmp_path / "a.tif"
    with streamed_ome_tiff(path, prediction.shape[1:], NAMES) as sink:
        write_tiles(sink, prediction, 1000)
    tiff = open_ome_tiff(path)
    assert tiff.pixel_size_um is None
    assert tiff.annotations == {}
    assert b"PhysicalSize" not in path.read_bytes()


def test_tiles_may_come_in_any_order_and_type(tmp_path):
    path = tmp_path / "a.tif"
    image = np.arange(2 * 40 * 30, dtype=np.float64).reshape(2, 40, 30)
    with streamed_ome_tiff(path, (40, 30), "ab") as sink:
        sink.write(slice(17, 40), slice(None), image[:, 17:])
        sink.write(slice(0, 17), slice(11, 30), image[:, :17, 11:])
        sink.write(slice(0, 17), slice(0, 11), image[:, :17, :11])
    np.testing.assert_array_equal(tifffile.imread(path), image)


def test_streaming_leaves_nothing_behind_on_failure(tmp_path):
    path = tmp_path / "a.tif"
    path.write_text("older")
    with pytest.raises(OSError, match="disk full"):
        with streamed_ome_tiff(path, (4, 4), ["a"]) as sink:
            sink.write(slice(0, 4), slice(0, 4), np.zeros((1, 4, 4)))
            raise OSError("disk full")
    assert path.read_text() == "older"
    assert list(tmp_path.iterdir()) == [path]


def test_streaming_checks_the_tiles(tmp_path):
    path = tmp_path / "a.tif"
    values = np.zeros((1, 4, 4), np.float32)
    with pytest.raises(ValueError, match="add up to 16 pixels.*12 pixels"):
        with streamed_ome_tiff(path, (4, 4), ["a"]) as sink:
            sink.write(slice(0, 3), slice(0, 4), values[:, :3])
    assert not path.exists()
    with pytest.raises(ValueError, match="must lie inside 0-4"):
        with streamed_ome_tiff(path, (4, 4), ["a"]) as sink:
            sink.write(slice(1, 5), slice(0, 4), values)
    with pytest.raises(ValueError, match=r"shape \(1, 3, 4\)"):
        with streamed_ome_tiff(path, (4, 4), ["a"]) as sink:
            sink.write(slice(0, 3), slice(0, 4), values)
    with pytest.raises(ValueError, match="none empty"):
        with streamed_ome_tiff(path, (0, 4), ["a"]):
            pass


@pytest.mark.parametrize("name", ["a.png", "a"])
def test_output_needs_a_tiff_suffix(tmp_path, name):
    with pytest.raises(InputError, match="must end in .ome.tif"):
        with streamed_ome_tiff(tmp_path / name, (4, 4), ["a"]):
            pass
    with pytest.raises(InputError, match="must end in .ome.tif"):
        write_ome_tiff(tmp_path / name, np.zeros((4, 4)), "YX", ["a"])


def test_memory_is_bounded(tmp_path):
    path = tmp_path / "a.tif"
    shape, names = (3000, 1000), "abc"  # 36 MB; one band is 1 MB.
    tile = np.zeros((3, 500, 500), np.float32)
    tracemalloc.start()
    try:
        with streamed_ome_tiff(path, shape, names) as sink:
            for row in range(0, shape[0], 500):
                for column in range(0, shape[1], 500):
                    sink.write(
                        slice(row, row + 500), slice(column, column + 500), tile
                    )
        planes = open_ome_tiff(path).planes
        planes[2][0].read(slice(0, 300), slice(0, 300))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 9e6


@pytest.mark.parametrize("limit", [0, 10**9])
def test_bigtiff_when_large(tmp_path, monkeypatch, limit):
    monkeypatch.setattr("isl.images.ome_tiff_writer.BIGTIFF_BYTES", limit)
    path = tmp_path / "a.tif"
    write_ome_tiff(path, np.zeros((4, 4), np.uint16), "YX", ["a"])
    with tifffile.TiffFile(path) as tiff:
        assert tiff.is_bigtiff == (limit == 0)
    assert open_ome_tiff(path).shape == (4, 4)


@pytest.mark.parametrize("axes", ["CZYX", "ZCYX", "ZYX", "CYX", "YX"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_array_round_trip(tmp_path, stack, axes, dtype):
    path = tmp_path / "a.ome.tif"
    stack = stack.astype(dtype)
    image = {
        "CZYX": stack,
        "ZCYX": stack.swapaxes(0, 1),
        "ZYX": stack[0],
        "CYX": stack[:, 0],
        "YX": stack[0, 0],
    }[axes]
    names = ("DIC", "TUJ1_WIDEFIELD")[: 2 if "C" in axes else 1]
    write_ome_tiff(path, image, axes, names, 0.5, {"a": [1]})
    assert tifffile.imread(path).shape == image.shape
    tiff = open_ome_tiff(path)
    assert (tiff.channel_names, tiff.pixel_size_um) == (names, 0.5)
    assert tiff.annotations == {"a": [1]}
    assert len(tiff.planes) == len(names)
    scale = 257 if dtype == np.uint8 else 1
    for c, channel in enumerate(tiff.planes):
        assert len(channel) == (5 if "Z" in axes else 1)
        for z, plane in enumerate(channel):
            read = plane.read(*EVERYTHING)
            assert read.dtype == plane.dtype
            np.testing.assert_array_equal(read, stack[c, z] * np.uint16(scale))


@pytest.mark.parametrize(
    ("image", "axes", "names"),
    [
        (np.zeros((2, 3, 4), np.uint16), "YXC", ["a", "b"]),
        (np.zeros((2, 3, 4), np.uint16), "CYX", ["a"]),
        (np.zeros((2, 3, 4), np.uint16), "YX", ["a"]),
        (np.zeros((0, 3, 4), np.uint16), "CYX", []),
        (np.zeros((3, 4), np.float64), "YX", ["a"]),
    ],
)
def test_write_checks_its_arguments(tmp_path, image, axes, names):
    with pytest.raises(ValueError):
        write_ome_tiff(tmp_path / "a.tif", image, axes, names)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"compression": "zlib"},
        {"compression": "zlib", "rowsperstrip": 7},
        {"compression": "zlib", "predictor": True},
        {"compression": "zlib", "tile": (32, 48)},
        {"tile": (32, 48)},
        {"rowsperstrip": 7},
        {"byteorder": ">"},
        {"byteorder": ">", "compression": "zlib"},
        {"bigtiff": True},
    ],
    ids=str,
)
@pytest.mark.parametrize("axes", ["CZYX", "TCZYX", "ZCTYX", "ZCYX"])
def test_reads_regions_of_any_layout(tmp_path, stack, axes, options):
    path = tmp_path / "a.ome.tif"
    image = stack if axes.index("C") < axes.index("Z") else stack.swapaxes(0, 1)
    if "T" in axes:
        image = np.expand_dims(image, axes.index("T"))
    metadata = {
        "axes": axes,
        "Channel": {"Name": ["DIC", "TUJ1_WIDEFIELD"]},
        "PhysicalSizeX": 325,
        "PhysicalSizeXUnit": "nm",
        "PhysicalSizeY": 325,
        "PhysicalSizeYUnit": "nm",
    }
    tifffile.imwrite(path, image, metadata=metadata, **options)
    tiff = open_ome_tiff(path)
    assert tiff.channel_names == ("DIC", "TUJ1_WIDEFIELD")
    assert tiff.pixel_size_um == pytest.approx(0.325)
    random = np.random.default_rng(0)
    for _ in range(5):
        c, z = random.integers(2), random.integers(5)
        row, column = random.integers(250), random.integers(250)
        num_rows, num_columns = random.integers(1, 300, 2)
        rows = slice(row, min(300, row + num_rows))
        columns = slice(column, min(270, column + num_columns))
        np.testing.assert_array_equal(
            tiff.planes[c][z].read(rows, columns), stack[c, z, rows, columns]
        )
    (plane,) = set(tiff.channel("TUJ1_WIDEFIELD")[:1])
    with pytest.raises(ValueError, match="rows must lie inside 0-300"):
        plane.read(slice(0, 301), slice(None))


@pytest.mark.parametrize("options", [{}, {"predictor": True}], ids=str)
def test_lzw_of_other_programs_is_read(tmp_path, stack, options):
    pytest.importorskip("imagecodecs")
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, stack[0], compression="lzw", **options)
    planes = open_ome_tiff(path).planes[0]
    for plane, expected in zip(planes, stack[0], strict=True):
        np.testing.assert_array_equal(
            plane.read(slice(3, 90), slice(5, 77)), expected[3:90, 5:77]
        )


def test_jpeg_of_libtiff_is_read(tmp_path):
    # Its tables stand in the header, once for all strips.
    pytest.importorskip("imagecodecs")
    path = tmp_path / "a.tif"
    rows = np.linspace(20, 200, 64)
    image = np.broadcast_to(rows[:, None], (64, 48)).astype(np.uint8)
    Image.fromarray(image).save(path, compression="jpeg", quality=95)
    with tifffile.TiffFile(path) as tiff:
        assert tiff.pages[0].jpegtables
    (plane,) = open_ome_tiff(path).planes[0]
    read = plane.read(slice(0, 64), slice(0, 48)) // 257
    np.testing.assert_allclose(read, image, atol=3)


@pytest.mark.parametrize("order", ["ZCT", "ZTC", "CTZ", "CZT", "TCZ", "TZC"])
def test_every_dimension_order_of_ome(tmp_path, stack, order):
    # OME writes the fastest axis first, tifffile the slowest.
    axes = order[::-1]
    image = stack[np.newaxis].transpose(["TCZ".index(k) for k in axes] + [3, 4])
    metadata = {
        "axes": axes + "YX",
        "PhysicalSizeZ": 1500,
        "PhysicalSizeZUnit": "nm",
    }
    path = tmp_path / "a.ome.tif"
    tifffile.imwrite(path, image, metadata=metadata, photometric="minisblack")
    assert f'DimensionOrder="XY{order}"' in tifffile.tiffcomment(path)
    tiff = open_ome_tiff(path)
    assert (tiff.pixel_size_um, tiff.z_spacing_um) == (None, 1.5)
    read = [[z.read(*EVERYTHING) for z in channel] for channel in tiff.planes]
    np.testing.assert_array_equal(read, stack)


@pytest.mark.parametrize("imagej", [False, True])
def test_plain_stacks_are_focal_positions(tmp_path, stack, imagej):
    path = tmp_path / "a.tif"
    tifffile.imwrite(
        path,
        stack[0],
        imagej=imagej,
        photometric="minisblack",
        metadata={"axes": "ZYX"} if imagej else None,
    )
    tiff = open_ome_tiff(path)
    assert tiff.channel_names == ("",)
    assert tiff.pixel_size_um is None
    (planes,) = tiff.planes
    np.testing.assert_array_equal(
        [plane.read(*EVERYTHING) for plane in planes], stack[0]
    )


def test_left_out_tile_is_zero(tmp_path):
    path = tmp_path / "a.tif"
    tile = np.full((16, 16), 9, np.uint16)
    tifffile.imwrite(
        path,
        iter([tile, None, tile, tile]),
        shape=(32, 32),
        dtype=np.uint16,
        tile=(16, 16),
        compression="zlib",
    )
    (plane,) = open_ome_tiff(path).planes[0]
    np.testing.assert_array_equal(
        plane.read(*EVERYTHING), tifffile.imread(path)
    )


def test_compressed_segments_are_decoded_once(tmp_path, stack):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, stack[0], compression="zlib", tile=(64, 64))
    (planes,) = open_ome_tiff(path).planes
    before = [plane.read(slice(10, 90), slice(10, 90)) for plane in planes]
    path.unlink()
    after = [plane.read(slice(0, 128), slice(0, 128)) for plane in planes]
    np.testing.assert_array_equal(
        np.array(after)[:, 10:90, 10:90], np.array(before)
    )


def test_unknown_channel(tmp_path):
    path = tmp_path / "a.tif"
    write_ome_tiff(path, np.zeros((2, 4, 4), np.uint8), "CYX", ["a", "b"])
    with pytest.raises(InputError, match="channel must be one of a, b.*'c'"):
        open_ome_tiff(path).channel("c")


def test_channel_that_is_twice_there(tmp_path):
    path = tmp_path / "a.tif"
    write_ome_tiff(path, np.zeros((2, 4, 4), np.uint8), "CYX", ["a", "a"])
    with pytest.raises(InputError, match="channel must be one of a, a"):
        open_ome_tiff(path).channel("a")


@pytest.mark.parametrize(
    ("image", "options", "message"),
    [
        (np.zeros((8, 8, 3), np.uint8), {"photometric": "rgb"}, "all grey"),
        (np.zeros((8, 8), bool), {}, "must be grey, of 8, 16 or 32 bits"),
        (
            np.zeros((8, 8), np.uint8),
            {"photometric": "palette", "colormap": np.zeros((3, 256), "u2")},
            "must be grey",
        ),
        (np.zeros((8, 8), np.uint8), {"photometric": "miniswhite"}, "grey"),
        (np.zeros((8, 8), np.int16), {}, "must be grey.*unsigned.*int16"),
        (
            np.zeros((2, 3, 8, 8), np.uint8),
            {"metadata": {"axes": "TZYX"}},
            "axes must be Z and C.*TZYX",
        ),
        # Without names: which five of fifteen would be the stack?
        (
            np.zeros((3, 5, 8, 8), np.uint8),
            {"ome": False},
            "axes must be Z and C.*QQYX",
        ),
    ],
)
def test_other_kinds_of_tiff(tmp_path, image, options, message):
    path = tmp_path / "a.ome.tif"
    tifffile.imwrite(path, image, **options)
    with pytest.raises(InputError, match=message) as error:
        open_ome_tiff(path)
    assert str(path) in str(error.value)


def test_several_images(tmp_path):
    path = tmp_path / "a.ome.tif"
    with tifffile.TiffWriter(path, ome=True) as tiff:
        tiff.write(np.zeros((8, 8), np.uint8))
        tiff.write(np.zeros((9, 8), np.uint8))
    with pytest.raises(InputError, match="one image. Received: 2 images"):
        open_ome_tiff(path)


def test_pixels_that_are_not_square(tmp_path):
    path = tmp_path / "a.ome.tif"
    metadata = {"PhysicalSizeX": 0.5, "PhysicalSizeY": 0.6}
    tifffile.imwrite(path, np.zeros((8, 8), np.uint8), metadata=metadata)
    with pytest.raises(InputError, match="square. Received: 0.5 x 0.6"):
        open_ome_tiff(path)


def test_not_a_tiff(tmp_path):
    path = tmp_path / "a.tif"
    for content in (b"", b"hello", b"II*\0", b"II*\0\xff\xff\xff\xff"):
        path.write_bytes(content)
        with pytest.raises(InputError, match="a.tif: .*TIFF"):
            open_ome_tiff(path)
    with pytest.raises(InputError, match="b.tif: cannot be read"):
        open_ome_tiff(tmp_path / "b.tif")


@pytest.mark.parametrize(
    "options", [{}, {"tile": (64, 64)}, {"compression": "zlib"}], ids=str
)
def test_truncated_tiff(tmp_path, stack, options):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, stack[0], **options)
    content = path.read_bytes()
    for share in (0.1, 0.5, 0.99):
        path.write_bytes(content[: int(share * len(content))])
        with pytest.raises(InputError, match=str(path)) as error:
            open_ome_tiff(path)
        assert "\n" not in str(error.value)


def test_damaged_segment(tmp_path, stack):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, stack[0], compression="zlib")
    content = bytearray(path.read_bytes())
    with tifffile.TiffFile(path) as tiff:
        offset = tiff.pages[0].dataoffsets[0]
    content[offset : offset + 50] = bytes(50)
    path.write_bytes(content)
    with pytest.raises(InputError, match="a.tif: TIFF cannot be decoded"):
        open_ome_tiff(path).planes[0][0].read(*EVERYTHING)
