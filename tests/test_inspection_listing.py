"""Which images are found in folders, files, plates and specs."""

import dataclasses
import shutil

import numpy as np
import pytest
import tifffile

from isl.errors import InputError
from isl.images import (
    ZarrDescription,
    open_wells,
    streamed_ome_zarr,
    write_ome_tiff,
)
from isl.inspection import naming
from isl.inspection.inspection import inspect_images
from isl.inspection.listing import INPUT, LABEL, UNKNOWN, assign_roles
from isl.inspection.measuring import measure_planes
from isl.specs import Region, WellSpec
from tests.inspection_images import (
    DAPI,
    NUM_Z,
    SIZE,
    kinds,
    label_name,
    noise,
    plane_name,
    plate_label,
    scaled,
    source_spec,
    spec_of,
    stack,
    write,
    write_and_open,
    write_plate,
    write_zarr_plate,
)


def test_a_good_spec_has_no_problem(plate):
    specs = [
        spec_of(),
        spec_of(wells=(), well_folders={"train": ("plate",)}),
        source_spec(),
        spec_of(
            wells=(
                WellSpec(
                    "field",
                    "plate",
                    {"train": Region()},
                    tuple(plane_name("A2", z) for z in range(NUM_Z)),
                    {DAPI: label_name("A2")},
                ),
            ),
        ),
    ]
    names = []
    for spec in specs:
        found = inspect_images(plate.parent, spec)
        assert found.problems == ()
        names.append([(well.well, len(well.images)) for well in found.wells])
    count = NUM_Z + 1
    assert names == [
        [("A1", count)],
        [("train/plate/A1", count), ("train/plate/A2", count)],
        [("A1", count), ("A2", count)],
        [("field", count)],
    ]


def write_zarr_planes(folder):
    folder.mkdir()
    planes = {f"z{z}": plane for z, plane in enumerate(stack(0))}
    for name, image in (planes | {"dapi": plate_label(0)}).items():
        description = ZarrDescription(image.shape, [name])
        path = folder / f"{name}.ome.zarr"
        with streamed_ome_zarr(path, description) as sink:
            sink.write(slice(0, SIZE), slice(0, SIZE), image[np.newaxis])


def test_planes_may_be_ome_zarr(tmp_path):
    write_zarr_planes(tmp_path / "plate")
    well = WellSpec(
        "A1",
        "plate",
        {"train": Region()},
        tuple(f"z{z}.ome.zarr" for z in range(NUM_Z)),
        {DAPI: "dapi.ome.zarr"},
    )
    listed = spec_of(wells=(well,))
    matched = source_spec(
        pattern=r"(?P<channel>z|dapi)(?P<z>\d?)\.ome\.zarr",
        channels={"z": "PHASE_CONTRAST", "dapi": DAPI},
    )
    for spec in (listed, matched):
        found = inspect_images(tmp_path, spec)
        assert found.problems == ()
        assert [len(well.images) for well in found.wells] == [NUM_Z + 1]


def test_a_well_may_be_one_png(plate):
    well = WellSpec(
        "A1",
        f"plate/{plane_name('A1', 0)}",
        {"train": Region()},
        labels={DAPI: label_name("A1")},
    )
    spec = spec_of(wells=(well,), num_z=1)
    ((_, opened),) = open_wells(spec, plate.parent, "train")
    assert (opened.num_z, tuple(opened.labels)) == (1, (DAPI,))
    found = inspect_images(plate.parent, spec)
    assert found.problems == ()
    assert [len(well.images) for well in found.wells] == [2]


def test_the_folder_that_one_stands_in_has_its_name(plate, monkeypatch):
    monkeypatch.chdir(plate)
    spec = spec_of(wells=(), well_folders={"train": (".",)})
    found = inspect_images(".", spec)
    assert {well.well for well in found.wells} == {
        f"train/{plate.name}/A1",
        f"train/{plate.name}/A2",
    }
    unnamed = source_spec(
        path=".",
        pattern=r"well-A1,(?:z_depth-(?P<z>\d)|.*),"
        r"channel-(?P<channel>\w+).*\.png",
    )
    assert [well.well for well in inspect_images(".", unnamed).wells] == [
        plate.name
    ]


def test_what_is_to_be_prepared_may_be_raw(plate):
    write(plate / plane_name("A2", 2), stack(1)[2] // 4)
    splits = {"train": {"rows": [0, 200]}}
    spec = source_spec(splits=splits)
    found = kinds(inspect_images(plate.parent, spec))
    assert found == ["region_outside", "region_outside", "intensity"]
    steps = ({"step": "stitch"}, {"step": "normalize", "scope": "well"})
    spec = dataclasses.replace(spec, preprocessing=steps)
    assert inspect_images(plate.parent, spec).problems == ()
    spec = dataclasses.replace(spec, preprocessing=steps[:1])
    assert kinds(inspect_images(plate.parent, spec)) == ["intensity"]


def test_a_source_leaves_other_channels_and_files_out(plate):
    for name in ("well-A1,x,channel-OTHER.png", "notes.txt"):
        shutil.copy(plate / label_name("A1"), plate / name)
    found = inspect_images(plate.parent, source_spec())
    assert found.problems == ()
    assert found.num_other_files == 2


def test_a_source_with_pages(tmp_path):
    for index, well in enumerate(("A1", "A2")):
        path = tmp_path / "plate" / f"{well}_bf.tif"
        path.parent.mkdir(exist_ok=True)
        tifffile.imwrite(path, np.stack(stack(index)))
        image = scaled(noise(40 + index), 0.25)
        tifffile.imwrite(tmp_path / "plate" / f"{well}_dapi.tif", image)
    spec = source_spec(
        pattern=r"(?P<well>..)_(?P<channel>\w+)\.tif",
        channels={"bf": "PHASE_CONTRAST", "dapi": DAPI},
        pages_are_z=True,
    )
    found = inspect_images(tmp_path, spec)
    assert found.problems == ()
    assert [len(well.images) for well in found.wells] == [NUM_Z + 1] * 2
    image = np.stack([stack(0), stack(1)])
    names = ["DIC", "GFP"]
    write_ome_tiff(tmp_path / "plate" / "A2_bf.tif", image, "CZYX", names)
    problem = inspect_images(tmp_path, spec).problems[0]
    assert problem.what == "must hold one channel, but holds 2"


def test_a_pattern_that_is_none_or_fits_nothing(plate):
    with pytest.raises(InputError, match="made_up: pattern must be a regular"):
        inspect_images(plate.parent, source_spec(pattern="("))
    with pytest.raises(InputError, match="must match a file.* for 12 files"):
        inspect_images(plate.parent, source_spec(pattern="(?P<channel>x)"))


def test_a_spec_brings_the_size_of_a_pixel(plate):
    found = inspect_images(plate.parent, spec_of(pixel_size_um=0.3))
    assert found.pixel_size_um == {"A1": 0.3}


def test_folders_inside_name_their_wells(tmp_path):
    write_plate(tmp_path / "in" / "B3", wells=("B3",))
    write_plate(tmp_path / "in" / "day2", wells=("B3",))
    write_plate(tmp_path / "in" / ".hidden", wells=("B9",))
    found = inspect_images(tmp_path / "in")
    assert [well.well for well in found.wells] == ["B3", "day2/B3"]


def test_predictions_and_masks_are_left_alone(plate):
    for end in ("kind,value-PREDICTED", "is_mask-true"):
        name = f"well-A1,depth_computation-M,channel,value-{DAPI},{end}.png"
        shutil.copy(plate / label_name("A1"), plate / name)
    (plate / "notes.txt").touch()
    found = inspect_images(plate)
    assert found.problems == ()
    assert found.num_other_files == 3


def test_files_that_are_no_wells_of_planes(tmp_path):
    write(tmp_path / "plane.png", scaled(noise(0), 0.5))
    found = inspect_images(tmp_path / "plane.png")
    assert [well.well for well in found.wells] == ["plane"]
    assert kinds(found) == ["input_without_label"]
    image = np.stack([*stack(0)])[:, np.newaxis]
    names = ["BRIGHTFIELD"]
    write_ome_tiff(tmp_path / "x.ome.tif", image, "ZCYX", names, 0.65)
    found = inspect_images(tmp_path / "x.ome.tif")
    (well,) = found.wells
    assert [image.image.z for image in well.images] == ["0", "1", "2", "3", "4"]
    assert found.pixel_size_um == {"x": 0.65}


@pytest.mark.parametrize(
    ("positions", "missing"),
    [
        ("1 2 3 4 5", None),
        ("1 2 4 5", "3"),
        ("0 5 10 20", "15"),
        ("-5 0 5 15", None),
        ("1327 1341 1351 1352", None),
        ("2 4 7", None),
        ("1.5 2.5 4.5", None),
    ],
)
def test_gaps_in_other_names(tmp_path, positions, missing):
    for index, z in enumerate(positions.split()):
        image = scaled(noise(0, 1 + 0.5 * index), 0.5)
        write(tmp_path / f"s__bf_z{z}.png", image)
    write(tmp_path / "s__dapi.png", scaled(noise(1), 0.25))
    whats = [problem.what for problem in inspect_images(tmp_path).problems]
    assert whats == ([f"there is no z {missing}"] if missing else [])


def test_one_damaged_plane_of_a_file_leaves_the_others(tmp_path):
    path = tmp_path / "x.ome.tif"
    write_ome_tiff(path, np.stack(stack(0)), "ZYX", ["DIC"])
    with tifffile.TiffFile(path) as tiff:
        offset = tiff.pages[2].dataoffsets[0]
    content = bytearray(path.read_bytes())
    content[offset : offset + 20] = bytes(20)
    path.write_bytes(content)
    found = inspect_images(path)
    (well,) = found.wells
    readable = [image.measured is not None for image in well.images]
    assert readable == [True, True, False, True, True]
    assert kinds(found) == ["unreadable", "input_without_label"]


def test_nothing_to_inspect(tmp_path):
    with pytest.raises(InputError, match="input must be there"):
        inspect_images(tmp_path / "nowhere")
    (tmp_path / "notes.txt").touch()
    with pytest.raises(InputError, match="must hold images.* 1 other files"):
        inspect_images(tmp_path)
    with pytest.raises(InputError, match="folder that the paths of the spec"):
        inspect_images(tmp_path / "notes.txt", spec_of())


def test_a_plate_lists_its_wells(tmp_path):
    write_zarr_plate(tmp_path / "p.ome.zarr", ("A1", "A2"))
    found = inspect_images(tmp_path / "p.ome.zarr")
    assert found.problems == ()
    assert [well.well for well in found.wells] == ["A1", "A2"]
    assert found.pixel_size_um == pytest.approx({"A1": 0.3, "A2": 0.3})
    # A label is the maximum over z.
    label = plate_label(0)
    images = found.wells[0].images
    assert [image.image.z for image in images] == [*"01234", None]
    for image, pixels in ((images[2], stack(0)[2]), (images[5], label)):
        expected = measure_planes([write_and_open(tmp_path, pixels)])[0]
        assert image.measured.digest == expected.digest
        assert image.measured.mean == expected.mean
        assert image.measured.bits == 16
        assert np.array_equal(image.measured.thumbnail, expected.thumbnail)
    inside = inspect_images(tmp_path)
    names = [well.well for well in inside.wells if "zarr" in well.well]
    assert names == ["p.ome.zarr/A1", "p.ome.zarr/A2"]


def test_a_plate_without_one_of_its_wells(tmp_path):
    path = tmp_path / "p.ome.zarr"
    write_zarr_plate(path, ("A1", "A2"))
    shutil.rmtree(path / "A" / "2")
    (problem,) = inspect_images(path).problems
    assert (problem.kind, problem.well) == ("missing_well", "A2")


def test_a_plate_that_is_damaged(tmp_path):
    path = tmp_path / "p.ome.zarr"
    write_zarr_plate(path, ("A1", "A2"))
    shutil.rmtree(path / "A" / "1" / "0" / "0")
    chunk = next((path / "A" / "2" / "0" / "0" / "c").rglob("1"))
    (path / "A" / "2" / "0" / "0" / "c" / "0" / "0" / "1" / "1").write_bytes(
        b"x" * 100
    )
    assert chunk.exists()
    found = inspect_images(path)
    assert {(p.kind, p.well) for p in found.problems} == {
        ("unreadable", "A1"),
        ("unreadable", "A2"),
    }
    (path / "zarr.json").write_text("{")
    (problem,) = inspect_images(path).problems
    assert (problem.kind, problem.well) == ("unreadable", "")


# --- Names.


@pytest.mark.parametrize(
    ("names", "first", "fields"),
    [
        (
            [
                "r03c03f03p01-ch1sk1fk1fl1.tiff",
                "r03c03f03p02-ch5sk1fk1fl1.tiff",
            ],
            "r03c03f03p02-ch5sk1fk1fl1.tiff",
            ("r03c03", "03", "02", "ch5"),
        ),
        (
            ["p_C03_T0001F001L01A01Z01C01.tif"],
            "p_C03_T0001F001L01A01Z01C01.tif",
            ("C03", "001", "01", "C01"),
        ),
        (
            ["x_A01_s1_z2_w1.TIF", "x_A01_s1_z2_w2.TIF"],
            "x_A01_s1_z2_w2.TIF",
            ("A01", "1", "2", "w2"),
        ),
        (
            ["A01_s1_w1.TIF", "A01_s1_w2.TIF"],
            "A01_s1_w2.TIF",
            ("A01", "1", None, "w2"),
        ),
        (
            ["img_channel000_position001_time000000000_z002.tif"],
            "img_channel000_position001_time000000000_z002.tif",
            ("", "001", "002", "000"),
        ),
        (
            ["s1__bf_z-1.5.png", "s1__bf_z0.png", "s1__DAPI.png"],
            "s1__bf_z-1.5.png",
            ("s1", "", "-1.5", "bf"),
        ),
        (
            ["C3_z0_DAPI.png", "C3_z1_DAPI.png"],
            "C3_z1_DAPI.png",
            ("C3", "", "1", "DAPI"),
        ),
        (
            ["C3_DAPI_z0.png", "C3_bf.png"],
            "C3_DAPI_z0.png",
            ("C3", "", "0", "DAPI"),
        ),
        (
            ["tile_p01.png", "tile_p02.png", "tile_p10.png"],
            "tile_p10.png",
            ("", "10", None, "tile"),
        ),
        (
            ["run7_bf_x3_z00.png", "run7_bf_x3_z01.png", "run7_bf_x3_z02.png"],
            "run7_bf_x3_z02.png",
            ("", "", "02", "bf"),
        ),
        (
            ["01.png", "02.png", "03.png"],
            "03.png",
            ("", "03", None, ""),
        ),
        (
            ["day 1_bf.png", "day 1_dapi.png", "day 2_bf.png"],
            "day 2_bf.png",
            ("day 2", "", None, "bf"),
        ),
        (
            ["cell_quantitative.png", "t98g_phase.png"],
            "t98g_phase.png",
            ("t98g_phase", "", None, ""),
        ),
        (
            ["a(1)_bf.tif", "a(1)_gfp.tif"],
            "a(1)_bf.tif",
            ("a(1)", "", None, "bf"),
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_names_are_understood(names, first, fields):
    guess = naming.guess_patterns(names)[0]
    parsed = naming.parse_names(guess.pattern, names)
    assert guess.num_matched == guess.num_names == len(parsed) == len(names)
    assert parsed[first] == naming.NameFields(*fields)


def test_each_file_may_be_a_well():
    *_, last = naming.guess_patterns(["a.png", "b.tif"])
    parsed = naming.parse_names(last.pattern, ["a.png", "b.tif"])
    assert [fields.well for fields in parsed.values()] == ["a", "b"]
    # Two files of one name are two files of one plane, not no guess at all.
    assert naming.guess_patterns(["a.png", "a.tif"])


def test_rows_and_columns_tell_the_tile():
    pattern = r"(?P<channel>\w+)_(?P<row>\d)_(?P<column>\d).png"
    parsed = naming.parse_names(pattern, ["bf_2_3.png", "bf_2.png"])
    assert parsed == {"bf_2_3.png": naming.NameFields("", "2,3", None, "bf")}


@pytest.mark.parametrize(
    ("names", "roles"),
    [
        (("PHASE_CONTRAST", DAPI, "x"), (INPUT, LABEL, LABEL)),
        (("ch1_brightfield", "ch2", "ch5_dna"), (INPUT, LABEL, LABEL)),
        (("0_Mono", "1_DAPI", "2_FITCBP"), (INPUT, LABEL, LABEL)),
        (("bf", "label_DAPI"), (INPUT, LABEL)),
        (("phase", "GFP"), (INPUT, LABEL)),
        (("brightfielder", "subfish"), (UNKNOWN, UNKNOWN)),
        (("w1", "w2", "DAPI"), (UNKNOWN, UNKNOWN, LABEL)),
        (("tile",), (INPUT,)),
        (("",), (INPUT,)),
        (("DAPI",), (LABEL,)),
        (("w1", "hoechst"), (INPUT, LABEL)),
        # Called as a modality in the files is not called after one.
        (("DIC", "phase"), (INPUT, LABEL)),
    ],
)
def test_transmitted_light_is_told_from_labels(names, roles):
    assert assign_roles(names) == dict(zip(names, roles, strict=True))


def test_known_labels_are_labels():
    roles = assign_roles(("phase", "x"), known_labels=("phase",))
    assert roles == {"phase": LABEL, "x": INPUT}
