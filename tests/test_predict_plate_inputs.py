"""Which wells a plate, a folder or a data spec holds."""

import dataclasses
import pathlib
import pickle
import shutil

import numpy as np
import pytest
from PIL import Image

from isl.errors import InputError
from isl.images import (
    ZarrDescription,
    open_plate_writer,
    streamed_ome_zarr,
    write_ome_tiff,
)
from isl.prediction import well_inputs
from isl.prediction.well_inputs import (
    list_spec_inputs,
    list_well_inputs,
)
from isl.simulation.dataset import write_dataset
from isl.specs import DatasetSpec, Region, WellSpec, load_dataset_spec
from tests import raw_plates

STACK = np.arange(2 * 4 * 5, dtype=np.uint16).reshape(2, 4, 5)
EVERYTHING = (slice(None), slice(None))


def write_tiff(path, stack=STACK):
    path.parent.mkdir(parents=True, exist_ok=True)
    write_ome_tiff(path, stack, "ZYX", ["BRIGHTFIELD"])


def fill(sink):
    sink.write(slice(0, 4), slice(0, 5), STACK[np.newaxis])


DESCRIPTION = ZarrDescription((4, 5), ["BRIGHTFIELD"], num_z=2)


def write_plate(path, *wells):
    plate = open_plate_writer(path)
    for well in wells:
        with plate.streamed_well(well, DESCRIPTION) as sink:
            fill(sink)


def names(path):
    return [well.name for well in list_well_inputs(path, path.parent / "out")]


def inputs_of(path):
    wells = list_well_inputs(path, path.parent / "out")
    return {well.name: well for well in pickle.loads(pickle.dumps(wells))}


def test_fields_of_a_plate_in_natural_order(tmp_path):
    write_plate(tmp_path / "p.zarr", "B1", "A10", "A2")
    wells = inputs_of(tmp_path / "p.zarr")
    assert list(wells) == ["A2", "A10", "B1"]
    assert wells["A2"].path == str(tmp_path / "p.zarr" / "A" / "2" / "0")
    image = wells["A2"].open().read_planes(*EVERYTHING)
    np.testing.assert_array_equal(np.moveaxis(image, -1, 0), STACK)


def test_a_well_that_the_plate_lists_in_vain_fails_when_opened(tmp_path):
    write_plate(tmp_path / "p.zarr", "A1", "A2")
    shutil.rmtree(tmp_path / "p.zarr" / "A" / "2")
    wells = inputs_of(tmp_path / "p.zarr")
    assert list(wells) == ["A1", "A2"]
    with pytest.raises(InputError, match="p.zarr/A: .* in it are 1"):
        wells["A2"].open()


def test_a_folder_of_everything(tmp_path):
    root = tmp_path / "in"
    write_dataset(root / "plain", 1, 32, 2, 0)  # plain/A1
    write_tiff(root / "T1.ome.tif")
    write_tiff(root / "deep" / "T2.tif")
    write_plate(root / "p7.ome.zarr", "A1")
    with streamed_ome_zarr(root / "Z1.zarr", DESCRIPTION) as sink:
        fill(sink)
    # No wells: a single plane, what is hidden, other files.
    write_tiff(root / "label.tif", STACK[:1])
    write_tiff(root / ".hidden" / "T3.tif")
    (root / "notes.txt").touch()
    (root / "photo.png").touch()
    wells = inputs_of(root)
    assert list(wells) == ["T1", "Z1", "deep_T2", "p7_A1", "plain_A1"]
    assert {well.open().num_z for well in wells.values()} == {2}


def test_wells_of_one_folder_of_planes(tmp_path):
    root = tmp_path / "in"
    write_dataset(tmp_path / "made", 2, 32, 2, 0)
    root.mkdir()
    for well in ("A1", "A2"):
        for file in (tmp_path / "made" / well).iterdir():
            shutil.copy(file, root / file.name)
    wells = inputs_of(root)
    assert list(wells) == ["A1", "A2"]
    for name, well in wells.items():
        opened, alone = well.open(), inputs_of(tmp_path / "made")[name].open()
        assert opened.labels == {}
        np.testing.assert_array_equal(
            opened.read_planes(*EVERYTHING), alone.read_planes(*EVERYTHING)
        )
    assert not np.array_equal(
        wells["A1"].open().read_planes(*EVERYTHING),
        wells["A2"].open().read_planes(*EVERYTHING),
    )


def test_wells_as_prepare_writes_them(tmp_path):
    for well in ("A1", "A2"):
        write_tiff(tmp_path / "in" / well / "planes.ome.tif")
        write_tiff(tmp_path / "in" / well / "labels.ome.tif")
    wells = inputs_of(tmp_path / "in")
    assert list(wells) == ["A1", "A2"]
    assert wells["A1"].path == str(tmp_path / "in" / "A1" / "planes.ome.tif")
    assert names(tmp_path / "in" / "A1") == ["A1"]


def test_folders_of_numbered_planes_are_wells(tmp_path):
    for well in ("B2", "B3"):
        for z in range(2):
            path = tmp_path / "in" / well / f"cells_z{z}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(STACK[z]).save(path)
    wells = inputs_of(tmp_path / "in")
    assert list(wells) == ["B2", "B3"]
    assert wells["B2"].open().num_z == 2


def test_numbered_stacks_are_wells_of_their_own(tmp_path):
    for number in (1, 2):
        write_tiff(tmp_path / "in" / f"img_{number}.ome.tif")
    assert names(tmp_path / "in") == ["img_1", "img_2"]


def test_a_gap_in_numbered_planes_is_told_when_they_are_opened(tmp_path):
    (tmp_path / "in").mkdir()
    for z in (0, 2):
        Image.fromarray(STACK[0]).save(tmp_path / "in" / f"z{z}.png")
    with pytest.raises(InputError, match="without a gap"):
        inputs_of(tmp_path / "in")["in"].open()


def test_a_damaged_well_does_not_hide_others_of_its_folder(tmp_path):
    plate = tmp_path / "plate"
    plate.mkdir()
    pixels = Image.fromarray(np.zeros((8, 8), np.uint16))
    for well, planes in (("B1", (0, 1, 2)), ("B2", (0, 2))):
        for z in planes:
            name = f"well-{well},z_depth-{z},channel-DIC,is_mask-false.png"
            pixels.save(plate / name)
    one, two = list_well_inputs(plate, tmp_path / "out")
    assert (one.name, two.name) == ("B1", "B2")
    assert one.open().num_z == 3
    with pytest.raises(InputError, match="well B2 must have planes 0 to 2"):
        two.open()


def test_a_single_image_is_a_well(tmp_path):
    write_tiff(tmp_path / "T1.ome.tif")
    assert names(tmp_path / "T1.ome.tif") == ["T1"]
    write_plate(tmp_path / "p.zarr", "A3")
    assert names(tmp_path / "p.zarr" / "A" / "3" / "0") == ["A3"]


def test_scenes_of_a_vendor_file_are_wells(tmp_path, monkeypatch):
    scenes = {"p.czi": ("A1", "A2"), "one.czi": ("Image",)}
    for name in scenes:
        (tmp_path / "in").mkdir(exist_ok=True)
        (tmp_path / "in" / name).touch()
    monkeypatch.setattr(
        well_inputs, "list_vendor_scenes", lambda file: scenes[file.name]
    )
    wells = inputs_of(tmp_path / "in")
    assert {name: well.path for name, well in wells.items()} == {
        "one": str(tmp_path / "in" / "one.czi"),
        "p_A1": str(tmp_path / "in" / "p.czi" / "A1"),
        "p_A2": str(tmp_path / "in" / "p.czi" / "A2"),
    }
    assert names(tmp_path / "in" / "p.czi") == ["p_A1", "p_A2"]


def test_damaged_wells_are_listed_and_fail_when_opened(tmp_path):
    root = tmp_path / "in"
    write_dataset(root, 1, 32, 3, 0)
    next((root / "A1").glob("*z_depth-1*")).unlink()
    (root / "T1.tif").write_bytes(b"II*\0damaged")
    (root / "V1.czi").write_bytes(b"damaged")
    (root / "Z1.zarr").mkdir()
    (root / "Z1.zarr" / "zarr.json").write_text("{")
    wells = inputs_of(root)
    assert list(wells) == ["A1", "T1", "V1", "Z1"]
    for well, message in (
        ("A1", "without a gap"),
        ("T1", "T1.tif"),
        ("V1", "V1.czi"),
        ("Z1", "must be valid JSON"),
    ):
        with pytest.raises(InputError, match=message):
            wells[well].open()


def test_dots_of_a_name_stay(tmp_path, monkeypatch):
    root = tmp_path / "in"
    for number in (1, 2):
        write_tiff(root / f"20x_0.75NA_A{number}.tif")
    write_tiff(root / "deep.1" / "b.2.OME.TIFF")
    write_plate(root / "plate.3.ome.zarr", "A1")
    with streamed_ome_zarr(root / "c.4.zarr", DESCRIPTION) as sink:
        fill(sink)
    (root / "d.5.czi").touch()
    monkeypatch.setattr(well_inputs, "list_vendor_scenes", lambda _: ("S",))
    assert names(root) == [
        "20x_0.75NA_A1",
        "20x_0.75NA_A2",
        "c.4",
        "d.5",
        "deep.1_b.2",
        "plate.3_A1",
    ]
    assert names(root / "20x_0.75NA_A1.tif") == ["20x_0.75NA_A1"]
    assert names(root / "c.4.zarr") == ["c.4"]
    assert names(root / "d.5.czi") == ["d.5"]


def files_of(well):
    return [pathlib.Path(state.path).name for state in well.files]


def test_wells_know_their_files(tmp_path):
    root = tmp_path / "in"
    write_dataset(root, 2, 32, 2, 0)
    one, two = inputs_of(root).values()
    spec = load_dataset_spec(root / "spec.json")
    assert list_spec_inputs(spec, root)[1].files == two.files
    shutil.copytree(root / "A1", tmp_path / "both")
    shutil.copytree(root / "A2", tmp_path / "both", dirs_exist_ok=True)
    both = inputs_of(tmp_path / "both").values()
    assert [files_of(well) for well in both] == [files_of(one), files_of(two)]
    assert len(one.files) == 2


def test_two_wells_of_one_name_are_an_error(tmp_path):
    write_tiff(tmp_path / "in" / "A1.ome.tif")
    write_tiff(tmp_path / "in" / "A1.tif")
    with pytest.raises(
        InputError, match=r"A1\.tif: name of a well must differ"
    ):
        names(tmp_path / "in")


def test_no_wells_are_an_error(tmp_path):
    (tmp_path / "in").mkdir()
    with pytest.raises(InputError, match="in: input must hold wells: OME-Za"):
        names(tmp_path / "in")


@pytest.mark.parametrize("output", ["in", "in/out", "in/../in/out"])
def test_output_must_lie_outside_the_input(tmp_path, output):
    write_tiff(tmp_path / "in" / "A1.tif")
    with pytest.raises(InputError, match="output must lie outside the input"):
        list_well_inputs(tmp_path / "in", tmp_path / output)


def test_a_spec_names_wells_of_all_splits_without_labels(tmp_path):
    write_dataset(tmp_path, 3, 32, 2, 0)
    for file in tmp_path.rglob("*DAPI*"):
        file.unlink()
    spec = load_dataset_spec(tmp_path / "spec.json")
    assert len({split for well in spec.wells for split in well.splits}) > 1
    wells = pickle.loads(pickle.dumps(list_spec_inputs(spec, tmp_path)))
    assert [well.name for well in wells] == ["A1", "A2", "A3"]
    opened = wells[2].open()
    assert (opened.name, opened.num_z, opened.labels) == ("A3", 2, {})


def test_wells_of_one_name_in_two_splits_are_refused(tmp_path):
    for plate in ("plate1", "plate2"):
        write_dataset(tmp_path / plate, 1, 32, 2, 0)
    spec = load_dataset_spec(tmp_path / "plate1" / "spec.json")
    spec = dataclasses.replace(
        spec,
        wells=(),
        well_folders={"train": ("plate1/A1",), "test": ("plate2/A1",)},
    )
    with pytest.raises(InputError, match="A1"):
        list_spec_inputs(spec, tmp_path)


@pytest.mark.parametrize("name", ["a/b", "..", ".a", ""])
def test_names_must_be_those_of_files(tmp_path, name):
    well = WellSpec(name, "p", {"all": Region()})
    spec = DatasetSpec("s", "c", None, None, ("LABEL",), wells=(well,))
    with pytest.raises(InputError, match="p: well must have a name that a fi"):
        list_spec_inputs(spec, tmp_path)


def test_a_source_names_wells_without_labels(tmp_path):
    raw_plates.write_plate(tmp_path, ("A1", "A2"), num_z=2)
    for path in (tmp_path / "plate").iterdir():
        if "DAPI" in path.name or "_s0_" not in path.name:
            path.unlink()
    spec = DatasetSpec.from_dict(raw_plates.SPEC)
    wells = list_spec_inputs(spec, tmp_path)
    assert [well.name for well in wells] == ["A1", "A2"]
    assert (wells[1].open().num_z, wells[1].open().labels) == (2, {})
