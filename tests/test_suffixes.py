"""Names of images without the suffixes of their formats."""

import numpy as np
import pytest

from isl.images import name_image, strip_suffix, write_ome_tiff
from isl.inspection.inspection import inspect_images
from tests.inspection_images import stack


@pytest.mark.parametrize(
    ("name", "stem"),
    [
        ("A1.ome.tif", "A1"),
        ("A1.ome.tiff", "A1"),
        ("A1.TIF", "A1"),
        ("A1.tiff", "A1"),
        ("A1.ome.zarr", "A1"),
        ("A1.zarr", "A1"),
        ("A1.png", "A1"),
        ("A1.lif", "A1"),
        ("0.75NA", "0.75NA"),
        ("A1.tif.zarr", "A1.tif"),
    ],
)
def test_suffixes_of_formats_are_no_part_of_a_name(name, stem):
    assert strip_suffix(name) == stem


def test_wells_keep_the_dots_in_their_names(tmp_path):
    names = ["20x_0.75NA_A1", "20x_0.75NA_A2"]
    assert name_image(tmp_path / f"{names[0]}.ome.zarr") == names[0]
    planes = np.stack(stack(0))
    for name in names:
        write_ome_tiff(tmp_path / f"{name}.ome.tif", planes, "ZYX", ["DIC"])
    assert [well.well for well in inspect_images(tmp_path).wells] == names
    (well,) = inspect_images(tmp_path / f"{names[1]}.ome.tif").wells
    assert well.well == names[1]
