"""From raw tiles to wells, against the scene that they were made of."""

import collections
import copy
import dataclasses
import errno
import json
import pathlib
import shutil

import numpy as np
import pytest
import tifffile
from PIL import Image

from isl.errors import InputError
from isl.images import (
    FieldPlane,
    PlateWriter,
    find_raw_wells,
    open_plane,
    open_plate,
    open_wells,
)
from isl.inspection.inspection import inspect_images
from isl.prediction.well_inputs import list_spec_inputs
from isl.preprocessing import preparation
from isl.preprocessing.normalization import Statistics, Target, denormalize
from isl.preprocessing.output import FORMATS, PLATE
from isl.preprocessing.plate import prepare
from isl.preprocessing.preparation import open_preparation
from isl.specs import DatasetSpec, load_dataset_spec, load_dataset_specs
from tests.raw_plates import SPEC, STITCH, TILE, write_plate, write_tile

SCRIPT = "prepare"
STEPS = [
    {"step": "illumination"},
    STITCH,
    {"step": "select_planes", "count": 3},
    {"step": "project"},
    {"step": "normalize", "scope": "well"},
]


def illumination(**values):
    return {"step": "illumination", **values}


def make_spec(steps=STEPS, **source):
    value = copy.deepcopy(SPEC)
    value["preprocessing"] = steps
    value["source"].update(source)
    return DatasetSpec.from_dict(value)


def run_prepare(root, output, image_format="ome_tiff", spec=None):
    lines = []
    opened = open_preparation(spec or make_spec(), root, output, image_format)
    return prepare(opened, lines.append), lines


@pytest.fixture(scope="module")
def plate(tmp_path_factory):
    """Folder of a raw plate, and the scene of each well."""
    root = tmp_path_factory.mktemp("raw")
    return root, write_plate(root)


@pytest.fixture(scope="module")
def prepared(plate, tmp_path_factory):
    """Folder of the wells prepared, by format."""
    folders = {}
    for image_format in FORMATS:
        folders[image_format] = tmp_path_factory.mktemp(image_format)
        run_prepare(plate[0], folders[image_format], image_format)
    return folders


def open_all(folder, split="all"):
    spec = load_dataset_spec(folder / "spec.json")
    return {
        well_spec.name: well
        for well_spec, well in open_wells(spec, folder, split)
    }


def full(well):
    return tuple(slice(0, size) for size in well.shape)


@pytest.mark.parametrize("image_format", FORMATS)
def test_wells_show_the_scene(plate, prepared, image_format):
    wells = open_all(prepared[image_format])
    assert list(wells) == ["A1", "A2", "B1"]
    for name, well in wells.items():
        assert well.num_z == 3
        # The lower tiles lie 3 pixels further right.
        assert well.shape == (2 * TILE - 32, 2 * TILE - 32 - 3)
        assert well.pixel_size_um == 0.5
        assert well.z_spacing_um == 2.0
        scene = plate[1][name][: well.shape[0], 3 : 3 + well.shape[1]]
        middle = well.read_planes(*full(well))[..., 1]
        label = well.read_label("DAPI_WIDEFIELD", *full(well))
        for image in (middle, label):
            assert np.corrcoef(image.ravel(), scene.ravel())[0, 1] > 0.97


def test_formats_hold_the_same_pixels(prepared):
    tiff, zarr = (open_all(prepared[name]) for name in FORMATS)
    for name, well in tiff.items():
        np.testing.assert_array_equal(
            well.read_planes(*full(well)), zarr[name].read_planes(*full(well))
        )
        np.testing.assert_array_equal(
            well.read_label("DAPI_WIDEFIELD", *full(well)),
            zarr[name].read_label("DAPI_WIDEFIELD", *full(well)),
        )


def test_plate_of_a_zarr_is_a_plate(prepared):
    plate = prepared["ome_zarr"] / "plate.zarr"
    metadata = json.loads((plate / "zarr.json").read_text())
    wells = metadata["attributes"]["ome"]["plate"]["wells"]
    assert [well["path"] for well in wells] == ["A/1", "A/2", "B/1"]


def test_intensities_have_the_target(prepared):
    for well in open_all(prepared["ome_tiff"]).values():
        planes = well.read_planes(*full(well)) / 65535
        label = well.read_label("DAPI_WIDEFIELD", *full(well)) / 65535
        assert planes.mean() == pytest.approx(0.5, abs=0.01)
        assert planes.std() == pytest.approx(0.125, abs=0.01)
        assert label.mean() == pytest.approx(0.25, abs=0.01)


def test_record_tells_what_was_found(prepared):
    folder = prepared["ome_tiff"]
    record = json.loads((folder / "records" / "A1.json").read_text())
    found = record["found"]
    assert found["planes"] == [1, 2, 3]
    places = np.array(found["tiles"]["positions"])
    np.testing.assert_allclose(
        places, [(0, 0), (0, 128), (128, 131), (128, 3)], atol=0.5
    )
    assert record["steps"][0]["step"] == "illumination"
    spec = load_dataset_spec(folder / "spec.json")
    assert spec.num_z == 3
    assert set(spec.normalization) == {"DAPI_WIDEFIELD"}


@pytest.mark.parametrize("scope", ["plane", "well", "plate", "condition"])
def test_units_of_the_camera_come_back(plate, tmp_path, scope):
    root, _ = plate
    plain = STEPS[1:4]
    raw_spec = make_spec(plain)
    run_prepare(root, tmp_path / "raw", spec=raw_spec)
    spec = make_spec([*plain, {"step": "normalize", "scope": scope}])
    run_prepare(root, tmp_path / "scaled", spec=spec)
    camera, scaled = (open_all(tmp_path / name) for name in ("raw", "scaled"))
    means = set()
    for name, well in scaled.items():
        record = json.loads(
            (tmp_path / "scaled" / "records" / f"{name}.json").read_text()
        )
        planes = well.read_planes(*full(well))
        expected = camera[name].read_planes(*full(well))
        for z in range(well.num_z):
            statistics = Statistics.from_dict(record["statistics"]["planes"][z])
            means.add(round(statistics.mean, 6))
            inverted = denormalize(
                planes[..., z] / 65535, statistics, Target(0.5, 0.125)
            )
            kept = (planes[..., z] > 0) & (planes[..., z] < 65535)
            error = np.abs(inverted - expected[..., z])[kept]
            assert error.max() <= 1.0
    assert (
        len(means) == {"plane": 9, "well": 3, "plate": 1, "condition": 1}[scope]
    )


def test_stopped_run_goes_on(plate, tmp_path, monkeypatch):
    root, _ = plate
    from isl.preprocessing.output import WellWriter

    real = WellWriter.write

    def stop_at_second(self, name, images):
        if name == "A2":
            raise KeyboardInterrupt
        real(self, name, images)

    monkeypatch.setattr(WellWriter, "write", stop_at_second)
    with pytest.raises(KeyboardInterrupt):
        run_prepare(root, tmp_path)
    assert (tmp_path / "A1").is_dir()
    assert not (tmp_path / "A2").exists()
    assert not (tmp_path / "spec.json").exists()
    before = (tmp_path / "A1" / "planes.ome.tif").stat().st_mtime_ns
    monkeypatch.undo()
    _, lines = run_prepare(root, tmp_path)
    assert lines[0] == "A1: already prepared"
    assert lines[1].startswith("A2: 288 x 285 pixels")
    after = (tmp_path / "A1" / "planes.ome.tif").stat().st_mtime_ns
    assert after == before
    assert list(open_all(tmp_path)) == ["A1", "A2", "B1"]
    assert not [p for p in tmp_path.iterdir() if p.name.startswith(".")]


@pytest.mark.parametrize("scope", ["plane", "well", "plate"])
def test_each_image_is_made_no_more_often_than_needed(
    plate, tmp_path, monkeypatch, scope
):
    made, learned = collections.Counter(), []
    read = FieldPlane.read
    learn = preparation.learn_tile_steps

    def counting_read(self):
        made[pathlib.PurePath(self.path).name] += 1
        return read(self)

    def counting_learn(*arguments):
        learned.append(1)
        return learn(*arguments)

    monkeypatch.setattr(FieldPlane, "read", counting_read)
    monkeypatch.setattr(preparation, "learn_tile_steps", counting_learn)
    spec = make_spec([*STEPS[:4], {"step": "normalize", "scope": scope}])
    run_prepare(plate[0], tmp_path, spec=spec)
    assert learned == [1]
    # The image itself; a shared scope has to measure all wells before.
    images = 2 if scope == "plate" else 1
    # Its flat field, focus and position, and the size of the mosaic.
    assert made["A1_s1_z2_BF.png"] == 4 + images
    # The first tile also tells the size of tiles.
    assert made["A1_s0_z2_BF.png"] == 5 + images
    assert made["A1_s1_z1_DAPI.png"] == 1 + images


def test_flat_fields_are_written_to_look_at_and_use_again(plate, tmp_path):
    root, _ = plate
    run_prepare(root, tmp_path / "first")
    folder = tmp_path / "first" / "flat_fields"
    names = sorted(path.name for path in folder.iterdir())
    assert names == ["BRIGHTFIELD.ome.tif", "DAPI_WIDEFIELD.ome.tif"]
    field = open_plane(folder / names[0])
    edge = np.linspace(-1, 1, TILE) ** 2
    true = 1.0 - 0.2 * (edge[:, None] + edge)
    found = field.read(slice(0, TILE), slice(0, TILE))
    assert np.corrcoef(found.ravel(), true.ravel())[0, 1] > 0.95
    for path in folder.iterdir():
        path.rename(root / path.name)
    fields = {name.split(".")[0]: name for name in names}
    spec = make_spec([illumination(flat_fields=fields), *STEPS[1:]])
    run_prepare(root, tmp_path / "again", spec=spec)
    first, again = (open_all(tmp_path / name) for name in ("first", "again"))
    np.testing.assert_array_equal(
        first["A1"].read_planes(*full(first["A1"])),
        again["A1"].read_planes(*full(again["A1"])),
    )


def test_other_settings_in_the_same_folder_are_refused(plate, tmp_path):
    root, _ = plate
    run_prepare(root, tmp_path)
    with pytest.raises(InputError, match="another spec"):
        run_prepare(root, tmp_path, spec=make_spec(STEPS[1:]))


def test_fractions_are_not_rounded_away(tmp_path):
    write_plate(tmp_path, ("A1",), num_z=1, label_z=1)
    for path in list((tmp_path / "plate").iterdir()):
        camera = np.asarray(Image.open(path))
        path.unlink()
        tifffile.imwrite(
            path.with_suffix(".tif"), (camera / 65535).astype(np.float32)
        )
    pattern = SPEC["source"]["pattern"].replace("png", "tif")
    spec = make_spec([STITCH], pattern=pattern)
    with pytest.raises(InputError, match="must hold whole numbers.*float32"):
        run_prepare(tmp_path, tmp_path / "out", spec=spec)
    assert not (tmp_path / "out" / "A1").exists()


def test_more_than_16_bits_are_not_cut_off(tmp_path):
    for channel in ("BF", "DAPI"):
        path = tmp_path / "plate" / f"A1_s0_z0_{channel}.tif"
        path.parent.mkdir(exist_ok=True)
        tifffile.imwrite(path, np.full((32, 40), 70000, np.uint32))
    pattern = SPEC["source"]["pattern"].replace("png", "tif")
    spec = make_spec([], pattern=pattern)
    message = r"BF\.tif: must hold whole numbers of 8 or 16 bits.*uint32"
    with pytest.raises(InputError, match=message):
        run_prepare(tmp_path, tmp_path / "out", spec=spec)
    assert not (tmp_path / "out" / "A1").exists()


def test_what_is_no_number_is_named(tmp_path):
    image = np.random.default_rng(0).random((32, 40), np.float32)
    for channel in ("BF", "DAPI"):
        path = tmp_path / "plate" / f"A1_s0_z0_{channel}.tif"
        path.parent.mkdir(exist_ok=True)
        tifffile.imwrite(path, image)
        image[3, 4] = np.nan
    pattern = SPEC["source"]["pattern"].replace("png", "tif")
    spec = make_spec([{"step": "normalize"}], pattern=pattern)
    with pytest.raises(InputError, match="^well A1, DAPI_WIDEFIELD: .*finite"):
        run_prepare(tmp_path, tmp_path / "out", spec=spec)


@pytest.mark.parametrize("kind", ["flat_fields", "dark_fields"])
@pytest.mark.parametrize(
    ("images", "channel", "known"),
    [
        ("all", "DAPI", "BRIGHTFIELD, DAPI_WIDEFIELD"),
        ("transmitted", "DAPI_WIDEFIELD", "BRIGHTFIELD"),
        ("labels", "BRIGHTFIELD", "DAPI_WIDEFIELD"),
    ],
)
def test_a_field_of_no_channel_is_refused(
    plate, tmp_path, kind, images, channel, known
):
    step = illumination(images=images, **{kind: {channel: "field.tif"}})
    message = rf"raw: .*{kind} must be of.*\({known}\)\. Received: {channel}$"
    with pytest.raises(InputError, match=message):
        open_preparation(
            make_spec([step, STITCH]), plate[0], tmp_path / "out", "ome_tiff"
        )


@pytest.mark.parametrize("image_format", FORMATS)
def test_images_without_labels_are_only_for_predictions(tmp_path, image_format):
    write_plate(tmp_path, ("A1",), num_z=2)
    for path in (tmp_path / "plate").glob("*_s[123]_*"):
        path.unlink()
    value = make_spec([{"step": "normalize"}]).to_dict() | {"labels": []}
    value["source"]["channels"] = {"BF": "BRIGHTFIELD"}
    run_prepare(
        tmp_path, tmp_path / "out", image_format, DatasetSpec.from_dict(value)
    )
    (well,) = list_spec_inputs(
        load_dataset_spec(tmp_path / "out" / "spec.json"), tmp_path / "out"
    )
    assert well.open().num_z == 2
    with pytest.raises(InputError, match=r"spec\.json: labels must be there"):
        load_dataset_specs([tmp_path / "out" / "spec.json"])


def test_a_spec_of_the_user_is_not_replaced(plate, tmp_path):
    root, _ = plate
    (tmp_path / "spec.json").write_text("mine")
    with pytest.raises(InputError, match="spec.json: output_dir must not"):
        run_prepare(root, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["spec.json"]


@pytest.mark.parametrize(
    ("image_format", "name"), [("ome_tiff", "A1"), ("ome_zarr", "plate.zarr")]
)
def test_a_folder_of_the_user_is_no_prepared_well(
    plate, tmp_path, image_format, name
):
    (tmp_path / name / "A" / "1").mkdir(parents=True)
    with pytest.raises(InputError, match=f"{name}.*: output_dir must not"):
        run_prepare(plate[0], tmp_path, image_format)
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_other_wells_of_the_same_path_are_refused(plate, tmp_path, monkeypatch):
    root, _ = plate
    (tmp_path / "other").mkdir()
    monkeypatch.chdir(root)
    run_prepare(pathlib.Path("."), tmp_path / "out")
    monkeypatch.chdir(tmp_path / "other")
    (tmp_path / "other" / "plate").symlink_to(root / "plate")
    with pytest.raises(InputError, match="another image_root"):
        run_prepare(pathlib.Path("."), tmp_path / "out")


@pytest.mark.parametrize(
    ("scope", "is_refused"), [("plate", True), ("well", False)]
)
def test_wells_added_to_a_scale_that_all_share_are_refused(
    tmp_path, scope, is_refused
):
    spec = make_spec([{"step": "normalize", "scope": scope}])
    write_plate(tmp_path, ("A1",), num_z=1, label_z=1)
    for path in (tmp_path / "plate").glob("*_s[123]_*"):
        path.unlink()
    run_prepare(tmp_path, tmp_path / "out", spec=spec)
    for path in list((tmp_path / "plate").glob("A1_*")):
        shutil.copy(path, path.with_name(path.name.replace("A1", "A2")))
    if is_refused:
        with pytest.raises(InputError, match="another wells"):
            run_prepare(tmp_path, tmp_path / "out", spec=spec)
    else:
        _, lines = run_prepare(tmp_path, tmp_path / "out", spec=spec)
        assert lines[0] == "A1: already prepared"


def test_a_failure_after_a_well_leaves_it_complete(
    plate, tmp_path, monkeypatch
):
    root, _ = plate
    from isl.preprocessing.output import WellWriter

    real = WellWriter.write

    def full_disk(self, name, images):
        real(self, name, images)
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(WellWriter, "write", full_disk)
    with pytest.raises(OSError, match="No space"):
        run_prepare(root, tmp_path)
    monkeypatch.undo()
    _, lines = run_prepare(root, tmp_path)
    assert lines[0] == "A1: already prepared"


def test_a_plate_lists_a_well_that_was_written_last(
    plate, tmp_path, monkeypatch
):
    root, _ = plate

    def die(self):
        if (tmp_path / PLATE / "B" / "1").exists():
            raise KeyboardInterrupt
        real(self)

    real = PlateWriter.write_metadata
    monkeypatch.setattr(PlateWriter, "write_metadata", die)
    with pytest.raises(KeyboardInterrupt):
        run_prepare(root, tmp_path, "ome_zarr")
    monkeypatch.undo()
    assert list(open_plate(tmp_path / PLATE).fields) == ["A1", "A2"]
    _, lines = run_prepare(root, tmp_path, "ome_zarr")
    assert lines[-1] == "B1: already prepared"
    assert list(open_plate(tmp_path / PLATE).fields) == ["A1", "A2", "B1"]


def test_downscaling_grows_the_pixels(plate, tmp_path):
    root, _ = plate
    steps = [*STEPS[:2], {"step": "downscale", "factor": 2}, *STEPS[2:]]
    spec, _ = run_prepare(root, tmp_path, spec=make_spec(steps))
    assert spec.pixel_size_um == 1.0
    assert open_all(tmp_path)["A1"].shape == (144, 142)


def test_downscaling_grows_the_pixels_of_an_evaluation(tmp_path):
    write_plate(tmp_path, ("A1",), num_z=1, label_z=1)
    for path in (tmp_path / "plate").glob("*_s[123]_*"):
        path.unlink()
    nuclei = {"labels": ["DAPI_WIDEFIELD"], "min_area_um2": 12.0}
    for steps, expected in (
        ([{"step": "downscale", "factor": 3}], 1.5),
        ([], 0.5),
    ):
        value = make_spec(steps).to_dict() | {"pixel_size_um": None}
        value["evaluation"] = {"nuclei": nuclei, "pixel_size_um": 0.5}
        spec = DatasetSpec.from_dict(value)
        output = tmp_path / str(expected)
        run_prepare(tmp_path, output, spec=spec)
        written = load_dataset_spec(output / "spec.json")
        assert written.pixel_size_um is None
        assert written.evaluation.pixel_size_um == expected
        assert written.evaluation.nuclei == spec.evaluation.nuclei


def test_tiles_may_be_downscaled_before_they_are_joined(plate, tmp_path):
    root, _ = plate
    steps = [{"step": "downscale", "factor": 2}, *STEPS[1:]]
    run_prepare(root, tmp_path, spec=make_spec(steps))
    rows, columns = open_all(tmp_path)["A1"].shape
    assert (rows, columns) == (pytest.approx(144, abs=1),) + (
        pytest.approx(142, abs=1),
    )


def test_labels_are_registered(tmp_path):
    scenes = write_plate(
        tmp_path, ("A1",), shift=(4, -6), vignette=False, jitter=0
    )
    steps = [STITCH, {"step": "project"}, {"step": "register"}]
    run_prepare(tmp_path, tmp_path / "out", spec=make_spec(steps))
    record = json.loads((tmp_path / "out" / "records" / "A1.json").read_text())
    shift = record["found"]["shifts"]["DAPI_WIDEFIELD"]
    assert (shift["rows"], shift["columns"]) == (4, -6)
    well = open_all(tmp_path / "out")["A1"]
    assert well.shape == (288 - 4, 288 - 6)
    label = well.read_label("DAPI_WIDEFIELD", *full(well))
    scene = scenes["A1"][: well.shape[0], 6 : 6 + well.shape[1]]
    assert np.corrcoef(label.ravel(), scene.ravel())[0, 1] > 0.99


def test_wells_of_a_plate_share_the_shift_of_all(tmp_path):
    write_plate(tmp_path, ("A1", "A2"), shift=(4, -6), vignette=False, jitter=0)
    # Nothing in the label of one well tells how it is shifted.
    for path in (tmp_path / "plate").glob("A2_*_DAPI.png"):
        write_tile(path, np.full((TILE, TILE), 300))
    shapes = {}
    for scope in ("well", "plate"):
        register = {"step": "register", "scope": scope}
        steps = [STITCH, {"step": "project"}, register]
        out = tmp_path / f"by_{scope}"
        run_prepare(tmp_path, out, spec=make_spec(steps))
        shapes[scope] = [well.shape for well in open_all(out).values()]
    moved = (288 - 4, 288 - 6)
    assert shapes == {"well": [moved, (288, 288)], "plate": [moved, moved]}
    # A shared shift depends on which wells there are.
    settings = json.loads((out / "preparation.json").read_text())
    assert settings["wells"] == ["A1", "A2"]


def test_splits_go_by_well_and_region(plate, tmp_path):
    root, _ = plate
    splits = {
        "train": {"wells": ["A1"], "columns": [0, 100]},
        "test": {"wells": ["A1", "B1"]},
    }
    run_prepare(root, tmp_path, spec=make_spec(splits=splits))
    assert list(open_all(tmp_path, "train")) == ["A1"]
    assert list(open_all(tmp_path, "test")) == ["A1", "B1"]
    assert not (tmp_path / "A2").exists()
    spec = load_dataset_spec(tmp_path / "spec.json")
    assert spec.wells[0].splits["train"].columns == (0, 100)


def test_names_that_are_no_plate_become_images(tmp_path):
    write_plate(tmp_path, ("A1",))
    for path in (tmp_path / "plate").iterdir():
        path.rename(path.with_name(path.name.replace("A1", "field_one")))
    pattern = SPEC["source"]["pattern"].replace(r"[A-Z]\d+", "field_one")
    run_prepare(
        tmp_path, tmp_path / "out", "ome_zarr", make_spec(pattern=pattern)
    )
    assert (tmp_path / "out" / "field_one.zarr").is_dir()
    assert list(open_all(tmp_path / "out")) == ["field_one"]


def test_raw_wells_are_found_in_natural_order(plate):
    wells = find_raw_wells(make_spec(), plate[0])
    assert [well.name for well in wells] == ["A1", "A2", "B1"]
    assert [len(well.fields) for well in wells] == [4, 4, 4]
    assert len(wells[0].fields[0].planes) == 5
    assert len(wells[0].fields[0].labels["DAPI_WIDEFIELD"]) == 2


def test_eight_bits_keep_their_units(tmp_path):
    from tests.raw_plates import write_tile

    image = np.arange(32 * 40).reshape(32, 40) % 256
    for channel in ("BF", "DAPI"):
        write_tile(
            tmp_path / "plate" / f"A1_s0_z0_{channel}.png", image, np.uint8
        )
    run_prepare(tmp_path, tmp_path / "out", spec=make_spec([]))
    well = open_all(tmp_path / "out")["A1"]
    np.testing.assert_array_equal(well.read_planes(*full(well))[..., 0], image)


def test_dark_fields_have_the_units_of_tiles(tmp_path):
    from tests.raw_plates import write_tile

    dark = np.arange(32 * 40).reshape(32, 40) % 7
    flat = np.ones_like(dark) * 200
    for name, image in (("dark", dark), ("flat", flat)):
        write_tile(tmp_path / f"{name}.png", image, np.uint8)
    for channel in ("BF", "DAPI"):
        path = tmp_path / "plate" / f"A1_s0_z0_{channel}.png"
        write_tile(path, 100 + dark, np.uint8)
    fields = {
        kind: dict.fromkeys(("BRIGHTFIELD", "DAPI_WIDEFIELD"), f"{name}.png")
        for kind, name in (("dark_fields", "dark"), ("flat_fields", "flat"))
    }
    spec = make_spec([illumination(**fields)])
    run_prepare(tmp_path, tmp_path / "out", spec=spec)
    well = open_all(tmp_path / "out")["A1"]
    planes = well.read_planes(*full(well))
    np.testing.assert_array_equal(planes, np.full_like(planes, 100))


def test_images_without_steps_are_read_as_they_are(tmp_path):
    write_plate(tmp_path, ("A1", "A2"), num_z=3, label_z=1)
    for path in (tmp_path / "plate").glob("*_s[123]_*"):
        path.unlink()
    spec = make_spec([], splits={"train": {"wells": ["A2"]}})
    ((well_spec, well),) = open_wells(spec, tmp_path, "train")
    assert (well_spec.name, well.num_z) == ("A2", 3)
    (raw,) = find_raw_wells(spec, tmp_path)
    np.testing.assert_array_equal(
        well.read_planes(*full(well))[..., 2], raw.fields[0].planes[2].read()
    )
    with pytest.raises(InputError, match=r"prepare\.py.*project"):
        open_wells(make_spec([{"step": "project"}]), tmp_path, "all")


def test_wells_of_one_number_are_two(tmp_path):
    for index, well in enumerate(("A1", "A01")):
        for z in range(3):
            image = np.full((8, 8), 10 * index + z)
            write_tile(tmp_path / "plate" / f"{well}_s0_z{z}_BF.png", image)
            write_tile(tmp_path / "plate" / f"{well}_s0_z{z}_DAPI.png", image)
    wells = find_raw_wells(make_spec([]), tmp_path)
    assert [well.name for well in wells] == ["A01", "A1"]
    for well, level in zip(wells, (10, 0), strict=True):
        (field,) = well.fields
        values = [plane.read()[0, 0] for plane in field.planes]
        assert values == [level, level + 1, level + 2]


def test_files_that_name_no_well_are_of_one(tmp_path):
    # A group that takes part without a letter, and one that takes no part.
    for name in ("_BF", "DAPI"):
        write_tile(tmp_path / "plate" / f"{name}.png", np.zeros((8, 8)))
    pattern = r"(?:(?P<well>\w*)_)?(?P<channel>BF|DAPI)\.png"
    (well,) = find_raw_wells(make_spec([], pattern=pattern), tmp_path)
    assert well.name == "plate"
    assert list(well.fields[0].labels) == ["DAPI_WIDEFIELD"]


@pytest.mark.parametrize("path", [".", ""])
@pytest.mark.parametrize("image_format", FORMATS)
def test_a_source_that_is_the_image_root_has_its_name(
    tmp_path, monkeypatch, path, image_format
):
    folder = tmp_path / "mine"
    for channel in ("BF", "DAPI"):
        write_tile(folder / f"{channel}.png", np.ones((32, 40)))
    monkeypatch.chdir(folder)
    pattern = r"(?P<channel>BF|DAPI)\.png"
    spec = make_spec([], path=path, pattern=pattern)
    run_prepare(".", tmp_path / "out", image_format, spec)
    wells = open_all(tmp_path / "out")
    assert list(wells) == ["mine"]
    assert wells["mine"].shape == (32, 40)


def test_a_linked_folder_is_called_as_the_link(tmp_path):
    for channel in ("BF", "DAPI"):
        write_tile(tmp_path / "1f3a" / f"{channel}.png", np.ones((32, 40)))
    (tmp_path / "plate").symlink_to(tmp_path / "1f3a")
    spec = make_spec([], pattern=r"(?P<channel>BF|DAPI)\.png")
    (well,) = find_raw_wells(spec, tmp_path)
    assert well.name == "plate"


def test_a_source_stays_inside_the_image_root(plate):
    message = "raw: path must not leave image_root. Received: '../plate'"
    spec = make_spec([], path="../plate")
    with pytest.raises(InputError, match=message):
        open_wells(spec, plate[0] / "plate", "all")
    with pytest.raises(InputError, match=message):
        inspect_images(plate[0] / "plate", spec)
    source = dataclasses.replace(spec.source, path=str(plate[0] / "plate"))
    spec = dataclasses.replace(spec, source=source)
    with pytest.raises(InputError, match="must not leave image_root"):
        find_raw_wells(spec, plate[0])
    with pytest.raises(InputError, match="must not leave image_root"):
        inspect_images(plate[0], spec)


def test_tiles_must_be_prepared(plate):
    with pytest.raises(InputError, match=r"prepare\.py.*4 tiles"):
        open_wells(make_spec([]), plate[0], "all")


def remove(root, name):
    (root / "plate" / name).unlink()


def truncate(root, name):
    path = root / "plate" / name
    path.write_bytes(path.read_bytes()[:-500])


def shrink(root, name):
    from tests.raw_plates import write_tile

    write_tile(root / "plate" / name, np.ones((TILE, TILE - 1)))


@pytest.mark.parametrize(
    ("damage", "name", "parts"),
    [
        (remove, "A1_s1_z3_BF.png", ["well A1", "planes", "4"]),
        (remove, "A1_s1_z0_DAPI.png", ["A1", "DAPI_WIDEFIELD"]),
        (truncate, "A1_s2_z2_BF.png", ["A1_s2_z2_BF.png"]),
        (shrink, "A1_s2_z2_BF.png", ["tile", "160 rows x 160 columns"]),
    ],
    ids=["missing plane", "missing label plane", "truncated", "other size"],
)
def test_damage_is_named_and_nothing_is_half_written(
    tmp_path, damage, name, parts
):
    write_plate(tmp_path, ("A1",), vignette=False)
    damage(tmp_path, name)
    with pytest.raises(InputError) as caught:
        run_prepare(tmp_path, tmp_path / "out", spec=make_spec(STEPS[1:]))
    for part in parts:
        assert part in str(caught.value)
    assert not (tmp_path / "out" / "A1").exists()
    assert not (tmp_path / "out" / "spec.json").exists()


@pytest.mark.parametrize(
    ("steps", "source", "parts"),
    [
        ([], {}, ["stitch", "4"]),
        ([STITCH], {}, ["project", "DAPI_WIDEFIELD"]),
        ([{**STITCH, "grid": [2, 3]}], {}, ["grid", "2 x 3"]),
        ([{**STITCH, "grid": None}], {}, ["grid", "row and column"]),
        ([{**STITCH, "channel": "GFP"}], {}, ["channel", "GFP"]),
        ([{"step": "sharpen"}], {}, ["sharpen"]),
        (
            [STITCH, {"step": "select_planes", "count": 9}, STEPS[3]],
            {},
            ["9 planes", "5"],
        ),
        (
            STEPS,
            {"splits": {"train": {"wells": ["A1", "C7"]}}},
            ["train", "C7"],
        ),
        (STEPS, {"pattern": r"(?P<channel>x)"}, ["pattern"]),
        (STEPS, {"path": "nowhere"}, ["nowhere"]),
        (STEPS, {"path": "../plate"}, ["leave image_root", "../plate"]),
        (
            [illumination(flat_fields={"BRIGHTFIELD": "../flat.tif"}), STITCH],
            {},
            ["illumination, BRIGHTFIELD", "leave image_root", "../flat.tif"],
        ),
        (
            [illumination(dark_fields={"BRIGHTFIELD": "a/../../d.tif"})],
            {},
            ["illumination, BRIGHTFIELD", "leave image_root", "a/../../d.tif"],
        ),
        (
            [illumination(flat_fields={"BRIGHTFIELD": "/flat.tif"})],
            {},
            ["flat_fields.BRIGHTFIELD", "relative", "/flat.tif"],
        ),
        (
            [{**STITCH, "z": 5}, STEPS[3]],
            {},
            ["z must be below", "5"],
        ),
    ],
    ids=lambda value: "",
)
def test_mistakes_are_named(plate, tmp_path, steps, source, parts):
    with pytest.raises(InputError) as caught:
        run_prepare(plate[0], tmp_path, spec=make_spec(steps, **source))
    for part in parts:
        assert part in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "spec.json").exists()


def test_a_constant_image_is_named(tmp_path):
    from tests.raw_plates import write_tile

    for channel in ("BF", "DAPI"):
        write_tile(
            tmp_path / "plate" / f"A1_s0_z0_{channel}.png", np.ones((32, 40))
        )
    spec = make_spec([{"step": "normalize"}])
    with pytest.raises(InputError, match="well A1, BRIGHTFIELD.*constant"):
        run_prepare(tmp_path, tmp_path / "out", spec=spec)


def test_a_spec_without_a_source_is_refused(tmp_path):
    value = {k: v for k, v in SPEC.items() if k != "source"}
    value["wells"] = [{"name": "A", "path": "", "splits": {"all": {}}}]
    spec = DatasetSpec.from_dict(value)
    with pytest.raises(InputError, match="source"):
        open_preparation(spec, tmp_path, tmp_path / "out", "ome_tiff")


def test_script_prepares(run, plate, tmp_path, capsys):
    path = tmp_path / "raw.json"
    path.write_text(json.dumps(make_spec().to_dict()))
    run(
        data_spec=path,
        image_root=plate[0],
        output_dir=tmp_path / "out",
        format="ome_zarr",
    )
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("A1: 288 x 285 pixels, planes 1,2,3")
    assert "GB of memory" in lines[-1]
    assert pathlib.Path(lines[-1].split()[1]).is_file()
