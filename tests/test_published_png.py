"""Names of the published data, and PNG planes good and bad."""

import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from isl.errors import InputError
from isl.images import (
    PublishedName,
    list_published_wells,
    open_png,
    parse_published_name,
)

OLD = (
    "lab-FINKBEINER,condition-KEVAN_0_8,acquisition_date,year-2015,month-10,"
    "day-5,minute-0,well-{well},tile_computation-STITCHED,{rest}"
)
NEW = (
    "lab-Finkbeiner,condition-kevan_0_7,acquisition_date,year-2015,month-9,"
    "day-29,well-{well},{rest}"
)
EVERYTHING = (slice(None), slice(None))


def old_plane(z, modality="PHASE_CONTRAST", well="A4"):
    rest = f"z_depth-{z},channel-{modality},is_mask-false.png"
    return OLD.format(well=well, rest=rest)


def old_label(label, well="A4"):
    rest = f"depth_computation-MAXPROJECT,channel-{label},is_mask-false.png"
    return OLD.format(well=well, rest=rest)


def new_plane(z, modality="PHASE_CONTRAST", well="A4"):
    rest = f"z_depth-{z},channel,value-{modality},is_mask-false,"
    return NEW.format(well=well, rest=rest + "kind,value-ORIGINAL.png")


def new_label(label, well="A4", end="kind,value-ORIGINAL"):
    rest = f"depth_computation,value-MAXPROJECT,channel,value-{label},"
    return NEW.format(well=well, rest=f"{rest}is_mask-false,{end}.png")


def write_png(path, image):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image).save(path)


def chunk(kind, data):
    checksum = struct.pack(">I", zlib.crc32(kind + data))
    return struct.pack(">I", len(data)) + kind + data + checksum


@pytest.fixture
def image():
    return np.random.default_rng(0).integers(
        0, 2**16, (37, 53), dtype=np.uint16
    )


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (old_plane(12), PublishedName("A4", "PHASE_CONTRAST", 12)),
        (
            old_label("MAP2_CONFOCAL"),
            PublishedName("A4", "MAP2_CONFOCAL", None),
        ),
        (new_plane(3, "DIC", "B2"), PublishedName("B2", "DIC", 3)),
        (
            new_label("DAPI_CONFOCAL", "r03c02"),
            PublishedName("r03c02", "DAPI_CONFOCAL", None),
        ),
        (
            "z_depth-0,channel-BRIGHTFIELD.PNG",
            PublishedName("", "BRIGHTFIELD", 0),
        ),
        # The authors' predictions are no truth.
        (
            new_label(
                "DAPI_CONFOCAL",
                end="statistic,value-MEDIAN,kind,value-PREDICTED",
            ),
            None,
        ),
        (old_plane(0).replace("mask-false", "mask-true"), None),
        ("SOURCE.md", None),
        ("picture.png", None),
        (old_plane(0).replace(".png", ".tif"), None),
    ],
)
def test_parse_published_name(name, expected):
    assert parse_published_name(name) == expected


@pytest.mark.parametrize(
    "name",
    [
        old_label("PHASE_CONTRAST"),
        old_plane(0, "DAPI_CONFOCAL"),
        old_plane("x"),
    ],
)
def test_parse_published_name_mistakes(name):
    with pytest.raises(InputError, match="must have z_depth-NUMBER"):
        parse_published_name(name)


@pytest.mark.parametrize(
    ("plane", "label"), [(old_plane, old_label), (new_plane, new_label)]
)
def test_list_published_wells(tmp_path, plane, label):
    for well in ("A4", "A3"):
        for z in range(11):  # Two digits: order by number, not by name.
            (tmp_path / plane(z, well=well)).touch()
        (tmp_path / label("NFH_CONFOCAL", well=well)).touch()
    prediction = "statistic,value-MEDIAN,kind,value-PREDICTED"
    (tmp_path / new_label("MAP2_CONFOCAL", end=prediction)).touch()
    (tmp_path / "SOURCE.md").touch()
    wells = list_published_wells(tmp_path)
    assert list(wells) == ["A3", "A4"]
    well = wells["A4"]
    assert (well.name, well.modality) == ("A4", "PHASE_CONTRAST")
    assert well.planes == tuple(plane(z) for z in range(11))
    assert well.labels == {"NFH_CONFOCAL": label("NFH_CONFOCAL")}


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ([old_plane(z) for z in (0, 1, 3, 5)], "without a gap.*z_depth 2, 4"),
        ([old_plane(1)], "without a gap.*z_depth 0"),
        ([old_plane(0), old_plane(0, "DIC")], "one modality.*DIC, PHASE"),
        ([old_plane(0), new_plane(0)], "PHASE_CONTRAST z_depth 0 once.*and"),
        ([old_plane(7), old_plane("07")], "z_depth 7 once"),
        (
            [old_label("DAPI_CONFOCAL"), new_label("DAPI_CONFOCAL")],
            "DAPI_CONFOCAL once",
        ),
        (["SOURCE.md"], "no planes found.*Received: 1 files"),
        ([], "no planes found.*Received: 0 files"),
    ],
)
def test_bad_folders(tmp_path, names, message):
    for name in names:
        (tmp_path / name).touch()
    with pytest.raises(InputError, match=message):
        list_published_wells(tmp_path)


def test_no_folder(tmp_path):
    with pytest.raises(InputError, match="nowhere: folder cannot be listed"):
        list_published_wells(tmp_path / "nowhere")


def test_reads_16_bits_exactly(tmp_path, image):
    write_png(tmp_path / "a.png", image)
    plane = open_png(tmp_path / "a.png")
    assert plane.shape == image.shape
    part = plane.read(slice(3, 20), slice(50, None))
    assert part.dtype == np.uint16
    np.testing.assert_array_equal(part, image[3:20, 50:])
    with pytest.raises(ValueError, match="columns must lie inside 0-53"):
        plane.read(slice(None), slice(50, 54))


def test_8_bits_become_multiples_of_257(tmp_path):
    image = np.arange(256, dtype=np.uint8).reshape(16, 16)
    write_png(tmp_path / "a.png", image)
    read = open_png(tmp_path / "a.png").read(*EVERYTHING)
    assert read.dtype == np.uint16
    np.testing.assert_array_equal(read, image.astype(int) * 257)
    assert read.max() == 65535


def test_decodes_once_and_only_on_first_read(tmp_path, image):
    path = tmp_path / "a.png"
    write_png(path, image)
    plane = open_png(path)
    plane.read(*EVERYTHING)
    path.unlink()
    read = plane.read(*EVERYTHING)
    np.testing.assert_array_equal(read, image)
    with pytest.raises(ValueError, match="read-only"):
        read[0, 0] = 1


@pytest.mark.parametrize(
    ("mode", "received"),
    [
        ("RGB", "8-bit RGB"),
        ("RGBA", "8-bit RGB with alpha"),
        ("LA", "8-bit grey with alpha"),
        ("P", "1-bit palette"),
        ("1", "1-bit grey"),
    ],
)
def test_other_kinds_of_png(tmp_path, mode, received):
    path = tmp_path / "a.png"
    Image.new(mode, (20, 20)).save(path)
    with pytest.raises(
        InputError, match=f"grey PNG of 8 or 16 bits. Received: {received}"
    ):
        open_png(path)


def test_not_a_png(tmp_path):
    path = tmp_path / "a.png"
    for content in (b"", b"hello", b"\xff\xd8\xff\xe0 a JPEG"):
        path.write_bytes(content)
        with pytest.raises(InputError, match="a.png: must be a PNG. Received"):
            open_png(path)
    with pytest.raises(InputError, match="b.png: cannot be read"):
        open_png(tmp_path / "b.png")
    with pytest.raises(InputError, match="cannot be read"):
        open_png(tmp_path)


def test_truncated_png_at_every_length(tmp_path, image):
    path = tmp_path / "a.png"
    write_png(path, image)
    content = path.read_bytes()
    for length in range(8, len(content), 61):
        path.write_bytes(content[:length])
        with pytest.raises(InputError, match="a.png: PNG is truncated"):
            open_png(path)


def test_damaged_png_with_an_end_mark(tmp_path, image):
    path = tmp_path / "a.png"
    write_png(path, image)
    content = path.read_bytes()
    for first in range(33, len(content) - 12, 211):
        path.write_bytes(content[:first] + content[first + 100 :])
        if path.read_bytes().endswith(content[-12:]):
            plane = open_png(path)
            with pytest.raises(InputError, match="a.png: PNG cannot be dec"):
                plane.read(*EVERYTHING)


def test_png_whose_header_claims_too_much(tmp_path):
    path = tmp_path / "a.png"
    body = chunk(b"IDAT", zlib.compress(b"\0" * 10)) + chunk(b"IEND", b"")
    for size in ((2**20, 2**20), (0, 5)):
        header = struct.pack(">IIBBBBB", *size, 16, 0, 0, 0, 0)
        path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + body)
        with pytest.raises(InputError, match="must have 1 to .* pixels"):
            open_png(path)


def test_large_png_without_a_warning(tmp_path):
    # Above the limit at which Pillow's `Image.open` warns of a bomb.
    path = tmp_path / "a.png"
    size = (9500, 9500)
    rows = zlib.compress(bytes(size[1] * (size[0] + 1)), 1)
    header = struct.pack(">IIBBBBB", *size, 8, 0, 0, 0, 0)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", rows)
        + chunk(b"IEND", b"")
    )
    plane = open_png(path)
    assert plane.read(slice(9498, None), slice(9499, None)).shape == (2, 1)


def test_png_that_changes_after_opening(tmp_path, image):
    path = tmp_path / "a.png"
    write_png(path, image)
    plane = open_png(path)
    write_png(path, image[1:])
    with pytest.raises(InputError, match="must not change"):
        plane.read(*EVERYTHING)
