"""A folder of planes that a number in their names puts in order."""

import numpy as np
import pytest
import tifffile
from PIL import Image

from isl.errors import InputError
from isl.images import open_image
from isl.images.numbered_planes import list_numbered_planes


def write(folder, names):
    """Planes of one value each, that of their place in `names`."""
    folder.mkdir(exist_ok=True)
    for value, name in enumerate(names):
        pixels = np.full((6, 8), value, np.uint16)
        if name.endswith(".png"):
            Image.fromarray(pixels).save(folder / name)
        else:
            tifffile.imwrite(folder / name, pixels)
    return folder


@pytest.mark.parametrize(
    "names",
    [
        ["cells_z8.tif", "cells_z9.tif", "cells_z10.tif", "cells_z11.tif"],
        ["2024-01-05 slice-01.png", "2024-01-05 slice-02.png"],
        ["0.tif", "1.tif"],
        ["A1_img_00.tif", "A1_img_01.tif"],
    ],
)
def test_planes_come_in_the_order_of_their_numbers(tmp_path, names):
    folder = write(tmp_path / "stack", names)
    (folder / "notes.txt").write_text("of the microscope")
    (folder / "._cells_z7.tif").write_bytes(b"of a Mac")
    well = open_image(folder)
    assert well.name == "stack"
    assert [p.read(slice(1), slice(1)).item() for p in well.planes] == [
        *range(len(names))
    ]


@pytest.mark.parametrize(
    "names",
    [
        ["A1.tif", "A2.tif"],
        ["img_t0.tif", "img_t1.tif"],
        ["img_c0.tif", "img_c1.tif"],
        ["well_1.tif", "well_2.tif"],
        ["B02_1.tif", "B02_2.tif"],
        ["A1-1.tif", "A1-2.tif"],
        ["r03c03-01.png", "r03c03-02.png"],
        ["z0_c0.tif", "z1_c1.tif"],
        ["z0.tif", "z1.tif", "mask.tif"],
        ["z0.tif", "z1.png"],
        ["z0.tif"],
        ["well-A1,z_depth-0,channel-DIC.png", "z1.png"],
    ],
)
def test_what_is_no_stack_is_not_taken_for_one(tmp_path, names):
    assert list_numbered_planes(write(tmp_path / "folder", names)) == ()


def test_the_rule_is_told(tmp_path):
    folder = write(tmp_path / "folder", ["A1.tif", "A2.tif"])
    with pytest.raises(InputError, match=r"in one number after z \(cells_z00"):
        open_image(folder)


@pytest.mark.parametrize(
    ("names", "received"),
    [
        (["z0.tif", "z2.tif"], r"z2\.tif, where 1 was expected"),
        (["z1.tif", "z01.tif"], r"z1\.tif, where 2 was expected"),
    ],
)
def test_a_gap_is_refused(tmp_path, names, received):
    with pytest.raises(InputError, match=received):
        open_image(write(tmp_path / "folder", names))


def test_a_folder_that_cannot_be_listed(tmp_path):
    with pytest.raises(InputError, match="cannot be listed"):
        list_numbered_planes(tmp_path / "nowhere")
