"""Raw OME-TIFF, OME-Zarr and plates as the source of a spec."""

import json
import pathlib
import shutil

import numpy as np
import pytest

from isl.errors import InputError
from isl.images import (
    find_raw_wells,
    ome_zarr_metadata,
    open_inside,
    open_wells,
    write_ome_tiff,
)
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
from tests.zarr_stores import write_group, write_image

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


def rename_level(folder):
    """Calls the only level of an image 0 in its metadata."""
    for name in (".zattrs", "zarr.json"):
        path = folder / name
        if path.exists():
            text = path.read_text().replace('"full"', '"0"')
            path.write_text(json.dumps(json.loads(text)))


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


def test_a_plane_of_a_plate_needs_the_metadata_of_its_well_alone(
    root, monkeypatch
):
    first, second = find_raw_wells(DatasetSpec.from_dict(SPEC), root)
    opened = []
    real = ome_zarr_metadata.read_json

    def note(path):
        opened.append(pathlib.Path(path).relative_to(root).as_posix())
        return real(path)

    monkeypatch.setattr(ome_zarr_metadata, "read_json", note)
    second.fields[0].planes[0].read()
    assert "raw/plate.zarr/B/2/zarr.json" in opened
    assert not [path for path in opened if "/A" in path]
    assert first.name == "A1"


@pytest.mark.parametrize("version", ["0.4", "0.5"])
@pytest.mark.parametrize("names", [None, ["DIC", "0"]])
def test_a_group_of_images_is_a_folder(tmp_path, version, names):
    # As bioformats2raw writes it: channels without names, or with those of
    # levels of resolution.
    light, label = np.stack(stack(0)), np.stack([plate_label(0)] * NUM_Z)
    group = tmp_path / "raw" / "all.zarr"
    layout = {"bioformats2raw.layout": 3}
    write_group(group, layout, version)
    write_group(group / "OME", {"series": ["0", "1"]}, version)
    for series in ("0", "1"):
        image = np.stack([light, label])
        write_image(group / series, image, "czyx", names, version)
        (group / series / "full").rename(group / series / "0")
        rename_level(group / series)
    channels = {"DIC": "DIC", "0": DAPI} if names else {"0": "DIC", "1": DAPI}
    source = SPEC["source"] | {
        "pattern": r"all\.zarr/(?P<well>.+)/(?P<channel>.+)",
        "channels": channels,
    }
    spec = DatasetSpec.from_dict(SPEC | {"source": source})
    assert inspect_images(tmp_path, spec).num_errors == 0
    prepare(open_preparation(spec, tmp_path, tmp_path / "out", "ome_tiff"))
    written = load_dataset_spec(tmp_path / "out" / "spec.json")
    wells = [well for _, well in open_wells(written, tmp_path / "out", "all")]
    assert [well.name for well in wells] == ["0", "1"]
    np.testing.assert_array_equal(
        wells[1].read_planes(*full(wells[1])), np.stack(light, axis=-1)
    )
    np.testing.assert_array_equal(
        wells[1].read_label(DAPI, *full(wells[1])), plate_label(0)
    )
    found = inspect_images(tmp_path / "raw")
    assert [well.well for well in found.wells] == ["all.zarr/0", "all.zarr/1"]
    assert "unreadable" not in kinds(found)


def test_a_listed_stack_has_its_files_beside_it(root):
    value = {k: SPEC[k] for k in ("name", "condition", "modality", "labels")}
    well = {
        "name": "A1",
        "path": "raw/plate.zarr/A1/0/DIC",
        "labels": {DAPI: DAPI},
        "splits": {"train": {}},
    }
    spec = DatasetSpec.from_dict(value | {"wells": [well]})
    ((_, opened),) = open_wells(spec, root, "train")
    np.testing.assert_array_equal(
        opened.read_label(DAPI, *full(opened)), plate_label(0)
    )
    found = inspect_images(root, spec)
    assert found.num_errors == 0
    assert [len(well.images) for well in found.wells] == [NUM_Z + 1]


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
