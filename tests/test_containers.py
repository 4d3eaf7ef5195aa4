"""Raw OME-TIFF, OME-Zarr and plates as the source of a spec."""

import shutil

import numpy as np
import pytest

from isl.errors import InputError
from isl.images import find_raw_wells, open_inside, open_wells, write_ome_tiff
from isl.inspection.inspection import inspect_images
from isl.preprocessing.plate import prepare
from isl.preprocessing.preparation import open_preparation
from isl.specs import DatasetSpec, load_dataset_spec
from tests.inspection_images import (
    DAPI,
    NUM_Z,
    kinds,
    noise,
    plate_label,
    scaled,
    stack,
    write_zarr_plate,
)

SPEC = {
    "name": "raw",
    "condition": "T",
    "modality": "DIC",
    "labels": [DAPI],
    "source": {
        "path": "raw",
        "pattern": r"plate\.zarr/(?P<well>\w+)/0/(?P<channel>\w+)",
        "channels": {"DIC": "DIC", DAPI: DAPI},
    },
    "preprocessing": [{"step": "project"}],
}
IN_TIFF = r"(?P<well>\w+)\.ome\.tif/(?P<channel>\w+)"


def spec_with(pattern):
    source = SPEC["source"] | {"pattern": pattern}
    return DatasetSpec.from_dict(SPEC | {"source": source})


def full(image):
    return tuple(slice(0, size) for size in image.shape)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """`raw/` with a plate of two wells and an OME-TIFF, ZCYX, of a third."""
    folder = tmp_path_factory.mktemp("containers")
    write_zarr_plate(folder / "raw" / "plate.zarr", ["A1", "B2"])
    label = scaled(noise(9), 0.25)
    image = np.stack([np.stack([plane, label]) for plane in stack(3)])
    path = folder / "raw" / "C3.ome.tif"
    write_ome_tiff(path, image, "ZCYX", ["DIC", DAPI])
    return folder


def test_wells_of_a_plate_are_prepared(root, tmp_path):
    spec = DatasetSpec.from_dict(SPEC)
    assert inspect_images(root, spec).num_errors == 0
    prepare(open_preparation(spec, root, tmp_path, "ome_zarr"))
    written = load_dataset_spec(tmp_path / "spec.json")
    wells = [well for _, well in open_wells(written, tmp_path, "all")]
    assert [well.name for well in wells] == ["A1", "B2"]
    for index, well in enumerate(wells):
        np.testing.assert_array_equal(
            well.read_planes(*full(well)), np.stack(stack(index), axis=-1)
        )
        np.testing.assert_array_equal(
            well.read_label(DAPI, *full(well)), plate_label(index)
        )


def test_channels_of_a_tiff_are_stacks(root):
    (well,) = find_raw_wells(spec_with(IN_TIFF), root)
    (field,) = well.fields
    assert (well.name, len(field.planes)) == ("C3", NUM_Z)
    for plane, expected in zip(field.planes, stack(3), strict=True):
        np.testing.assert_array_equal(plane.read(), expected)
    np.testing.assert_array_equal(
        field.labels[DAPI][1].read(), scaled(noise(9), 0.25)
    )
    assert inspect_images(root, spec_with(IN_TIFF)).num_errors == 0


def test_a_file_that_the_pattern_matches_itself_is_a_plane(tmp_path):
    for channel in ("DIC", DAPI):
        path = tmp_path / "raw" / f"A1_{channel}.ome.tif"
        write_ome_tiff(path, scaled(noise(1), 0.5), "YX", ["whatever"])
    spec = spec_with(r"(?P<well>A1)_(?P<channel>\w+)\.ome\.tif")
    ((field,),) = (well.fields for well in find_raw_wells(spec, tmp_path))
    assert field.planes[0].page is None


@pytest.mark.parametrize(
    ("inside", "message"),
    [
        ("plate.zarr/A1/0/GFP", "channel must be one of DIC, DAPI.*'GFP'"),
        ("plate.zarr/A7/0/DIC", "well must be one of A1, B2.*'A7'"),
        ("plate.zarr/A1/5/DIC", "field of well A1 must be one of 0.*'5'"),
        ("C3.ome.tif/GFP", "channel must be one of DIC, DAPI.*'GFP'"),
        ("C3.ome.tif/DIC/2", "channel must be one of DIC, DAPI.*'DIC/2'"),
    ],
)
def test_what_is_not_inside_is_named(root, inside, message):
    with pytest.raises(InputError, match=message):
        open_inside(root / "raw" / inside)


def test_a_plate_with_a_missing_well_is_not_prepared_in_part(root, tmp_path):
    shutil.copytree(root, tmp_path, dirs_exist_ok=True)
    shutil.rmtree(tmp_path / "raw" / "plate.zarr" / "B" / "2")
    spec = DatasetSpec.from_dict(SPEC)
    with pytest.raises(InputError, match=r"plate\.zarr: plate must have.*B/2"):
        open_preparation(spec, tmp_path, tmp_path / "out", "ome_zarr")
    assert not (tmp_path / "out").exists()
    found = inspect_images(tmp_path, spec)
    assert kinds(found) == ["unreadable"]
    assert "B/2" in found.problems[0].what
