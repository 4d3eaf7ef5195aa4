"""Folders of planes by a pattern for their names."""

import numpy as np
import pytest
from PIL import Image

from isl.errors import InputError
from isl.images import (
    FoundFile,
    index_files,
    natural_key,
    open_plane,
    write_ome_tiff,
)

PATTERN = (
    r"(?P<well>[A-H]\d+)_s(?P<tile>\d+)_z(?P<z>[\d.-]+)_(?P<channel>\w+)\.png"
)


def touch(folder, *names):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def test_groups_and_order(tmp_path):
    names = [
        "A2_s1_z0_BF.png",
        "A2_s1_z2_BF.png",
        "A2_s1_z10_BF.png",
        "A2_s1_z0_DAPI.png",
        "A2_s2_z0_BF.png",
        "A2_s10_z0_BF.png",
        "A10_s1_z0_BF.png",
        "B1_s1_z0_BF.png",
    ]
    touch(tmp_path, *reversed(names), "notes.txt", "A2_s1_z0_BF.png.part")
    found = index_files(tmp_path, PATTERN)
    assert [file.path for file in found] == names
    assert found[2] == FoundFile(
        "A2_s1_z10_BF.png", channel="BF", well="A2", tile="1", z="10"
    )


@pytest.mark.parametrize(
    "positions",
    [
        ("-10.5", "-2", "0", "0.25", "0.5", "1.125", "10"),
        ("a1", "a2", "a10", "b1"),
        ("1", "2", "a"),
    ],
)
def test_natural_order_of_z(tmp_path, positions):
    touch(tmp_path, *(f"z{z}.png" for z in reversed(positions)))
    found = index_files(tmp_path, r"(?P<channel>z)(?P<z>.+)\.png")
    assert tuple(file.z for file in found) == positions


def test_names_of_one_number_are_two(tmp_path):
    names = [
        f"{well}_s1_z{z}_{channel}.png"
        for well in ("A01", "A1")
        for channel in ("BF", "DAPI")
        for z in (0, 1)
    ]
    touch(tmp_path, *names)
    assert [file.path for file in index_files(tmp_path, PATTERN)] == names


def test_natural_key_of_nothing():
    assert natural_key(None) < natural_key("0") < natural_key("a")


def test_folders_below(tmp_path):
    touch(
        tmp_path,
        "A1/r1_c2_BF.png",
        "A1/.hidden_BF.png",
        ".thumbnails/r1_c2_BF.png",
        "A2/deep/r1_c2_BF.png",
    )
    pattern = r"(?P<well>\w+)/r(?P<row>\d)_c(?P<column>\d)_(?P<channel>\w+).png"
    (file,) = index_files(tmp_path, pattern)
    assert (file.path, file.well) == ("A1/r1_c2_BF.png", "A1")
    assert (file.row, file.column, file.tile, file.z) == ("1", "2", None, None)
    found = index_files(tmp_path, r"(?P<well>.+)/[^/]+_(?P<channel>BF)\.png")
    assert [file.well for file in found] == ["A1", "A2/deep"]


def test_groups_that_take_no_part_are_none(tmp_path):
    touch(tmp_path, "bf_z1.png", "bf_z0.png", "DAPI.png")
    found = index_files(tmp_path, r"(?P<channel>\w+?)(_z(?P<z>\d))?\.png")
    assert [(f.channel, f.z) for f in found] == [
        ("DAPI", None),
        ("bf", "0"),
        ("bf", "1"),
    ]


def test_pages_are_focal_positions(tmp_path):
    stack = np.arange(3 * 4 * 5, dtype=np.uint16).reshape(3, 4, 5)
    write_ome_tiff(tmp_path / "A1_BF.tif", stack, "ZYX", ["light"])
    write_ome_tiff(tmp_path / "A1_DAPI.tif", stack[0], "YX", ["dapi"])
    Image.fromarray(stack[1]).save(tmp_path / "A1_GFP.png")
    pattern = r"(?P<well>..)_(?P<channel>\w+)\.(tif|png)"
    found = index_files(tmp_path, pattern, pages_are_z=True)
    assert [(f.channel, f.page) for f in found] == [
        ("BF", 0),
        ("BF", 1),
        ("BF", 2),
        ("DAPI", 0),
        ("GFP", None),
    ]
    for file, expected in zip(found, stack[[0, 1, 2, 0, 1]], strict=True):
        plane = open_plane(tmp_path / file.path, file.page)
        np.testing.assert_array_equal(
            plane.read(slice(None), slice(None)), expected
        )
    # Without the option a file is one plane, and says so when it is opened.
    assert len(index_files(tmp_path, pattern)) == 3
    with pytest.raises(InputError, match="must hold one plane. Received: 3"):
        open_plane(tmp_path / "A1_BF.tif")
    with pytest.raises(InputError, match="must hold one plane. Received: 3"):
        open_plane(tmp_path / "A1_BF.tif", 3)
    write_ome_tiff(tmp_path / "A1_two.tif", stack[:2], "CYX", ["a", "b"])
    with pytest.raises(InputError, match="A1_two.tif: TIFF must hold one cha"):
        index_files(tmp_path, pattern, pages_are_z=True)


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("(?P<channel>.*", r"regular expression \(missing \).*Received: \(\?P"),
        (".*", "named group channel"),
        ("(?P<channel>.)(?P<field>.)", "no others than well, tile, row"),
        (r"(?P<channel>x)\.png", r"must match a file.* 2 files such as A1_s1"),
        (r"(?P<channel>BF)?.*", "find a channel in the name. Received: A1_s1"),
    ],
)
def test_wrong_patterns(tmp_path, pattern, message):
    touch(tmp_path, "A1_s1_z0_BF.png", "A1_s1_z1_BF.png")
    with pytest.raises(InputError, match=message) as error:
        index_files(tmp_path, pattern)
    assert "\n" not in str(error.value)


def test_z_in_names_and_pages(tmp_path):
    with pytest.raises(InputError, match="no group z where the pages"):
        index_files(tmp_path, PATTERN, pages_are_z=True)


def test_two_files_of_one_plane(tmp_path):
    touch(tmp_path, "A1_s1_z1_BF.png", "A1_s1_z01_BF.png", "A1_s1_z2_BF.png")
    message = (
        "one plane, well A1, tile 1, channel BF, z 1, in A1_s1_z01_BF.png and "
        "A1_s1_z1_BF.png"
    )
    with pytest.raises(InputError, match=message):
        index_files(tmp_path, PATTERN)


def test_folders_that_cannot_be_listed(tmp_path):
    with pytest.raises(InputError, match="nowhere: folder cannot be listed"):
        index_files(tmp_path / "nowhere", PATTERN)
    with pytest.raises(InputError, match=r"must match a file.* 0 files\.$"):
        index_files(tmp_path, PATTERN)


def test_real_z_stack(shared_data):
    pattern = (
        r"(?P<well>set\d)__(label_)?(?P<channel>bf|DAPI)(_z(?P<z>.+))?\.png"
    )
    found = index_files(shared_data / "sephace_bf_zstack_dapi", pattern)
    first = [f for f in found if f.well == "set1"]
    assert [(f.channel, f.z) for f in first] == [
        ("DAPI", None),
        *(("bf", z) for z in ("1327.60", "1341.95", "1351.60")),
        *(("bf", z) for z in ("1352.25", "1362.00", "1376.80")),
    ]
