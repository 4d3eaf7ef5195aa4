"""Wells: opened by a spec or alone, read by region; one line a mistake."""

import dataclasses
import pathlib

import numpy as np
import pytest
import tifffile
from PIL import Image

from isl.errors import InputError
from isl.images import (
    find_wells,
    open_image,
    open_well,
    open_wells,
    write_ome_tiff,
)
from isl.specs import DatasetSpec, Region, WellSpec, load_dataset_spec

DATA_SPECS = pathlib.Path(__file__).parents[1] / "data_specs"
EVERYTHING = (slice(None), slice(None))
SHAPE = (23, 31)
LABELS = ("DAPI_CONFOCAL", "MAP2_CONFOCAL", "NFH_CONFOCAL")

RANDOM = np.random.default_rng(0)
STACK = RANDOM.integers(0, 2**16, (3, *SHAPE), dtype=np.uint16)
TRUTH = dict(
    zip(
        LABELS,
        RANDOM.integers(0, 2**16, (3, *SHAPE), dtype=np.uint16),
        strict=True,
    )
)

SPEC = DatasetSpec(
    name="made_up",
    condition="B",
    modality="PHASE_CONTRAST",
    num_z=3,
    labels=LABELS,
    pixel_size_um=0.3,
    wells=(WellSpec("A4", "plate", {"train": Region()}),),
)


def write_png(path, image):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image).save(path)


def plane_name(z, well="A4", modality="PHASE_CONTRAST"):
    return f"well-{well},z_depth-{z},channel-{modality},is_mask-false.png"


def label_name(label, well="A4"):
    return f"well-{well},depth_computation-MAXPROJECT,channel-{label}.png"


def write_plate(folder, wells=("A4",), shift=0):
    for well in wells:
        for z, image in enumerate(STACK):
            write_png(folder / plane_name(z, well), image + np.uint16(shift))
        for label, image in TRUTH.items():
            write_png(folder / label_name(label, well), image)


def with_well(**changes):
    well = dataclasses.replace(SPEC.wells[0], **changes)
    return dataclasses.replace(SPEC, wells=(well,))


def open_only(spec, root):
    ((_, well),) = open_wells(spec, root, "train")
    return well


def check_well(well):
    stack = well.read_planes(*EVERYTHING)
    assert stack.dtype == np.uint16
    np.testing.assert_array_equal(stack, np.moveaxis(STACK, 0, -1))
    assert tuple(well.labels) == LABELS
    for label, image in TRUTH.items():
        np.testing.assert_array_equal(
            well.read_label(label, *EVERYTHING), image
        )


def test_published_folder(tmp_path):
    write_plate(tmp_path / "plate")
    well = open_only(SPEC, tmp_path)
    check_well(well)
    assert (well.name, well.condition) == ("A4", "B")
    assert (well.modality, well.pixel_size_um) == ("PHASE_CONTRAST", 0.3)
    assert (well.shape, well.num_z) == (SHAPE, 3)
    rows, columns = slice(4, 9), slice(20, 31)
    np.testing.assert_array_equal(
        well.read_planes(rows, columns),
        np.moveaxis(STACK[:, rows, columns], 0, -1),
    )
    np.testing.assert_array_equal(
        well.read_label("MAP2_CONFOCAL", rows, columns),
        TRUTH["MAP2_CONFOCAL"][rows, columns],
    )


def test_image_root_itself_is_the_folder(tmp_path):
    write_plate(tmp_path)
    for path in ("", "."):
        check_well(open_only(with_well(path=path), tmp_path))


def test_one_of_several_wells(tmp_path):
    write_plate(tmp_path / "plate", ("A3", "A4"))
    write_png(tmp_path / "plate" / plane_name(0, "A3"), STACK[1])
    check_well(open_only(SPEC, tmp_path))
    spec = with_well(name="C9")
    with pytest.raises(InputError, match="must be one of A3, A4.*'C9'"):
        open_only(spec, tmp_path)
    with pytest.raises(InputError, match="one well.*Received: A3, A4"):
        open_image(tmp_path / "plate")


def test_listed_files(tmp_path):
    for z, image in enumerate(STACK[:2]):
        write_png(tmp_path / "plate" / f"{z}.png", image)
    write_ome_tiff(tmp_path / "plate" / "2.tif", STACK[2], "YX", ["x"])
    write_png(tmp_path / "plate" / "d.png", TRUTH["DAPI_CONFOCAL"])
    write_ome_tiff(
        tmp_path / "plate" / "labels.tif",
        np.stack([TRUTH["NFH_CONFOCAL"], TRUTH["MAP2_CONFOCAL"]]),
        "CYX",
        ["NFH_CONFOCAL", "MAP2_CONFOCAL"],
    )
    labels = {
        "NFH_CONFOCAL": "labels.tif",
        "MAP2_CONFOCAL": "labels.tif",
        "DAPI_CONFOCAL": "d.png",
    }
    spec = with_well(planes=("0.png", "1.png", "2.tif"), labels=labels)
    well = open_only(spec, tmp_path)
    check_well(well)
    assert well.modality == "PHASE_CONTRAST"
    few = with_well(
        planes=("0.png", "1.png", "2.tif"), labels={"DAPI_CONFOCAL": "d.png"}
    )
    assert list(open_only(few, tmp_path).labels) == ["DAPI_CONFOCAL"]


def test_listed_planes_with_published_labels(tmp_path):
    write_plate(tmp_path / "plate")
    spec = with_well(planes=tuple(plane_name(z) for z in (2, 1, 0)))
    well = open_only(spec, tmp_path)
    np.testing.assert_array_equal(
        well.read_planes(*EVERYTHING), np.moveaxis(STACK[::-1], 0, -1)
    )
    assert tuple(well.labels) == LABELS


@pytest.mark.parametrize("axes", ["CZYX", "ZCYX"])
def test_ome_tiff_with_labels_inside(tmp_path, axes):
    # Labels of the same file repeat over z: their maximum counts.
    image = np.empty((4, 3, *SHAPE), np.uint16)
    image[0] = STACK
    for c, label in enumerate(LABELS):
        image[c + 1] = TRUTH[label] // 2
        image[c + 1, c] = TRUTH[label]
    if axes == "ZCYX":
        image = image.swapaxes(0, 1)
    names = ("PHASE_CONTRAST", *LABELS)
    write_ome_tiff(tmp_path / "a.ome.tif", image, axes, names, 0.7)
    spec = with_well(path="a.ome.tif")
    check_well(open_only(spec, tmp_path))
    well = open_image(tmp_path / "a.ome.tif")
    check_well(well)
    assert (well.name, well.condition) == ("a", None)
    assert (well.modality, well.pixel_size_um) == ("PHASE_CONTRAST", 0.7)


def test_ome_tiff_with_labels_in_a_second_file(tmp_path):
    write_ome_tiff(tmp_path / "a" / "stack.tif", STACK, "ZYX", ["light"])
    write_ome_tiff(
        tmp_path / "a" / "labels.tif",
        np.stack(list(TRUTH.values())),
        "CYX",
        LABELS,
    )
    spec = with_well(
        path="a/stack.tif", labels=dict.fromkeys(LABELS, "labels.tif")
    )
    check_well(open_only(spec, tmp_path))


def test_ome_tiff_whose_stack_is_known_by_elimination(tmp_path):
    image = np.stack([TRUTH["MAP2_CONFOCAL"], STACK[0]])
    path = tmp_path / "a.tif"
    write_ome_tiff(path, image, "CYX", ["MAP2_CONFOCAL", "light"])
    well = open_image(path)
    assert (list(well.labels), well.modality) == (["MAP2_CONFOCAL"], None)
    np.testing.assert_array_equal(
        well.read_planes(*EVERYTHING)[..., 0], STACK[0]
    )
    write_ome_tiff(path, image, "CYX", ["red", "light"])
    with pytest.raises(InputError, match="one channel must.*'red', 'light'"):
        open_image(path)


def test_single_png(tmp_path):
    write_png(tmp_path / "a.png", STACK[0])
    well = open_image(tmp_path / "a.png")
    assert (well.name, well.num_z, dict(well.labels)) == ("a", 1, {})
    np.testing.assert_array_equal(
        well.read_planes(*EVERYTHING)[..., 0], STACK[0]
    )


def test_neurite_is_the_mean_of_two_labels(tmp_path):
    write_plate(tmp_path / "plate")
    spec = dataclasses.replace(SPEC, labels=("NEURITE_CONFOCAL",))
    well = open_only(spec, tmp_path)
    assert list(well.labels) == ["NEURITE_CONFOCAL"]
    total = TRUTH["MAP2_CONFOCAL"].astype(int) + TRUTH["NFH_CONFOCAL"]
    read = well.read_label("NEURITE_CONFOCAL", slice(2, 20), slice(3, 30))
    assert read.dtype == np.uint16
    np.testing.assert_array_equal(read, ((total + 1) // 2)[2:20, 3:30])
    (tmp_path / "plate" / label_name("NFH_CONFOCAL")).unlink()
    with pytest.raises(InputError, match="label NEURITE_CONFOCAL"):
        open_only(spec, tmp_path)


def test_a_copy_keeps_its_images_to_itself(tmp_path):
    write_plate(tmp_path / "plate")
    labels = {label: label_name(label) for label in LABELS[1:]}
    spec = with_well(labels=labels)
    well = open_only(
        dataclasses.replace(spec, labels=("NEURITE_CONFOCAL",)), tmp_path
    )
    copy = well.copied()
    copy.read_planes(*EVERYTHING)
    copy.read_label("NEURITE_CONFOCAL", *EVERYTHING)
    for path in (tmp_path / "plate").iterdir():
        path.unlink()
    with pytest.raises(InputError):
        well.read_label("NEURITE_CONFOCAL", *EVERYTHING)
    with pytest.raises(InputError):
        well.read_planes(*EVERYTHING)


def test_a_copy_of_a_tiff_keeps_what_it_decodes_to_itself(tmp_path):
    path = tmp_path / "a.tif"
    tifffile.imwrite(
        path,
        np.ones((3, 40, 50), np.uint16),
        compression="zlib",
        photometric="minisblack",
    )
    well = open_image(path)
    copy = well.copied()
    copy.read_planes(*EVERYTHING)
    (original,) = {plane.decode for plane in well.planes}
    (copied,) = {plane.decode for plane in copy.planes}
    assert original.cache_info().currsize == 0
    assert copied.cache_info().currsize > 0
    assert copied.cache_parameters() == original.cache_parameters()
    path.unlink()
    copy.read_planes(*EVERYTHING)
    with pytest.raises(InputError):
        well.read_planes(*EVERYTHING)


def test_well_folders(tmp_path):
    for folder in ("plate_1", "plate_2"):
        write_plate(tmp_path / folder, ("A3", "A4"))
    write_plate(tmp_path / "held_out", ("B1",))
    spec = dataclasses.replace(
        SPEC,
        wells=(),
        well_folders={
            "train": ("plate_1", "plate_2"),
            "test": ("held_out",),
        },
    )
    names = [well.name for well in find_wells(spec, tmp_path, "train")]
    assert names == ["plate_1_A3", "plate_1_A4", "plate_2_A3", "plate_2_A4"]
    wells = open_wells(spec, tmp_path, "test")
    assert [(w.name, w.splits) for w, _ in wells] == [
        ("B1", {"test": Region()})
    ]
    for well_spec in find_wells(spec, tmp_path, "train"):
        well = open_well(spec, well_spec, tmp_path)
        assert well.name == well_spec.name
        check_well(well)
    (tmp_path / "plate_2" / label_name("NFH_CONFOCAL", "A3")).unlink()
    with pytest.raises(InputError, match="well A3 must have a file of label"):
        find_wells(spec, tmp_path, "train")
    (tmp_path / "plate_1").rename(tmp_path / "elsewhere")
    with pytest.raises(InputError, match="plate_1: folder cannot be listed"):
        find_wells(spec, tmp_path, "train")


def test_a_well_folder_that_is_the_image_root_has_its_name(
    tmp_path, monkeypatch
):
    write_plate(tmp_path / "here", ("A3",))
    write_plate(tmp_path / "here" / "there", ("A3",))
    monkeypatch.chdir(tmp_path / "here")
    spec = dataclasses.replace(
        SPEC, wells=(), well_folders={"train": (".", "there")}
    )
    names = [well.name for well in find_wells(spec, ".", "train")]
    assert names == ["here_A3", "there_A3"]


@pytest.mark.parametrize(
    ("row", "column", "num_rows", "num_columns"),
    [
        (0, 0, 23, 31),
        (2, 3, 4, 5),
        (-5, -7, 40, 50),
        (-60, -80, 150, 200),
        (20, 28, 10, 10),
        (-9, 4, 3, 3),
        (30, 40, 2, 5),
        (-1, -1, 3, 3),
    ],
)
def test_padding_equals_numpy(tmp_path, row, column, num_rows, num_columns):
    write_plate(tmp_path)
    well = open_image(tmp_path)
    padded = np.pad(
        np.moveaxis(STACK, 0, -1), ((200, 200), (200, 200), (0, 0)), "reflect"
    )
    read = well.read_planes_padded(row, column, num_rows, num_columns)
    row, column = row + 200, column + 200
    np.testing.assert_array_equal(
        read, padded[row : row + num_rows, column : column + num_columns]
    )


def test_padding_of_a_single_row(tmp_path):
    write_png(tmp_path / "a.png", STACK[0, :1])
    read = open_image(tmp_path / "a.png").read_planes_padded(-2, 0, 5, 31)
    np.testing.assert_array_equal(read[..., 0], np.tile(STACK[0, :1], (5, 1)))


def test_reading_outside_is_an_error(tmp_path):
    write_plate(tmp_path)
    well = open_image(tmp_path)
    for rows in (slice(-1, 4), slice(0, 24), slice(0, 9, 2)):
        with pytest.raises(ValueError, match="rows must lie inside 0-23"):
            well.read_planes(rows, slice(None))
        with pytest.raises(ValueError, match="rows must lie inside 0-23"):
            well.read_label("MAP2_CONFOCAL", rows, slice(None))


def test_opening_decodes_nothing(tmp_path):
    write_plate(tmp_path)
    well = open_image(tmp_path)
    name = plane_name(1)
    (tmp_path / name).unlink()
    with pytest.raises(InputError, match=name):
        well.read_planes(*EVERYTHING)


def test_unknown_label(tmp_path):
    write_plate(tmp_path)
    well = open_image(tmp_path)
    with pytest.raises(InputError, match="DAPI_CONFOCAL, .*'TUJ1_WIDEFIELD'"):
        well.read_label("TUJ1_WIDEFIELD", *EVERYTHING)


def test_missing_planes(tmp_path):
    write_plate(tmp_path / "plate")
    (tmp_path / "plate" / plane_name(2)).unlink()
    with pytest.raises(InputError, match="num_z = 3 planes. Received: 2"):
        open_only(SPEC, tmp_path)
    (tmp_path / "plate" / plane_name(0)).unlink()
    with pytest.raises(InputError, match="Missing: z_depth 0"):
        open_only(SPEC, tmp_path)
    with pytest.raises(InputError, match="Missing: z_depth 0"):
        open_image(tmp_path / "plate")
    (tmp_path / "plate" / plane_name(1)).unlink()
    with pytest.raises(InputError, match="no planes found for well A4"):
        open_image(tmp_path / "plate")


def test_planes_of_different_sizes(tmp_path):
    write_plate(tmp_path)
    write_png(tmp_path / plane_name(1), STACK[1, :-1])
    with pytest.raises(InputError) as error:
        open_image(tmp_path)
    text = str(error.value)
    assert text.startswith(f"{tmp_path / plane_name(1)}: must have the size")
    assert "Received: 22 rows x 31 columns" in text
    write_plate(tmp_path)
    write_png(tmp_path / label_name("MAP2_CONFOCAL"), STACK[1, :, 1:])
    with pytest.raises(InputError, match="MAP2_CONFOCAL.*23 rows x 30 col"):
        open_image(tmp_path)


def test_modality_that_differs_from_the_spec(tmp_path):
    write_plate(tmp_path / "plate")
    spec = dataclasses.replace(SPEC, modality="DIC")
    with pytest.raises(InputError, match="must be DIC.*PHASE_CONTRAST"):
        open_only(spec, tmp_path)
    spec = dataclasses.replace(SPEC, modality=None)
    assert open_only(spec, tmp_path).modality == "PHASE_CONTRAST"


def test_label_without_its_file(tmp_path):
    write_plate(tmp_path / "plate")
    name = label_name("NFH_CONFOCAL")
    (tmp_path / "plate" / name).unlink()
    with pytest.raises(InputError, match="file of label NFH_CONFOCAL"):
        open_only(SPEC, tmp_path)
    spec = with_well(labels={"NFH_CONFOCAL": name})
    with pytest.raises(InputError, match=f"{name}: cannot be read"):
        open_only(spec, tmp_path)


def test_listed_file_that_is_no_plane(tmp_path):
    write_plate(tmp_path / "plate")
    folder = tmp_path / "plate"
    (folder / "notes.png").write_text("no image")
    write_ome_tiff(folder / "stack.tif", STACK, "ZYX", ["a"])
    float_image = STACK[0].astype(np.float32)
    write_ome_tiff(folder / "float.tif", float_image, "YX", ["a"])
    for name, message in (
        ("notes.png", "must be a PNG or a TIFF. Received: first bytes"),
        ("stack.tif", "must hold one plane. Received: 3"),
        ("float.tif", "of 8 or 16 bits. Received: float32"),
        ("nowhere.png", "nowhere.png: cannot be read"),
    ):
        spec = with_well(planes=(plane_name(0), plane_name(1), name))
        with pytest.raises(InputError, match=message):
            open_only(spec, tmp_path)


def test_path_that_does_not_exist(tmp_path):
    with pytest.raises(InputError, match="plate: cannot be read"):
        open_only(SPEC, tmp_path)
    with pytest.raises(InputError, match="nowhere: cannot be read"):
        open_image(tmp_path / "nowhere")


@pytest.mark.parametrize(
    "changes",
    [
        {"path": "../plate"},
        {"path": "plate/../../plate"},
        {"planes": ("../../plate/a.png", "b.png", "c.png")},
        {"labels": {"DAPI_CONFOCAL": "../../plate/a.png"}},
    ],
)
def test_path_that_leaves_the_image_root(tmp_path, changes):
    write_plate(tmp_path / "plate")
    write_png(tmp_path / "plate" / "a.png", STACK[0])
    (tmp_path / "root").mkdir()
    write_plate(tmp_path / "root" / "plate")
    message = r"made_up: path must not leave image_root. Received: .*\.\./plate"
    with pytest.raises(InputError, match=message):
        open_only(with_well(**changes), tmp_path / "root")
    spec = dataclasses.replace(
        SPEC, wells=(), well_folders={"train": ("../plate",)}
    )
    with pytest.raises(InputError, match=message):
        find_wells(spec, tmp_path / "root", "train")


def test_paths_may_turn_back_inside_the_image_root(tmp_path):
    write_plate(tmp_path / "plate")
    check_well(open_only(with_well(path="plate/../plate"), tmp_path))


def test_region_outside_the_image(tmp_path):
    write_plate(tmp_path / "plate")
    spec = with_well(splits={"train": Region(columns=(10, 32))})
    message = "made_up: well A4, split train: region columns .*10-32"
    with pytest.raises(InputError, match=message):
        open_only(spec, tmp_path)


def test_real_condition_b_sample(shared_data):
    spec = load_dataset_spec(DATA_SPECS / "condition_b_sample.json")
    for split in ("train", "fit", "validation", "test"):
        ((_, well),) = open_wells(spec, shared_data, split)
        assert (well.shape, well.num_z) == ((1024, 1024), 13)
    stack = well.read_planes(*EVERYTHING)
    assert stack.shape == (1024, 1024, 13)
    # Mean and standard deviation as the data's description gives them.
    assert stack.mean() / 65535 == pytest.approx(0.5, abs=0.002)
    assert stack.std() / 65535 == pytest.approx(0.11, abs=0.002)
    dapi = well.read_label("DAPI_CONFOCAL", *EVERYTHING)
    assert dapi.mean() / 65535 == pytest.approx(0.246, abs=0.001)
    alone = open_image(shared_data / "condition_b_sample")
    np.testing.assert_array_equal(alone.read_planes(*EVERYTHING), stack)


def test_real_mcf7(shared_data):
    spec = load_dataset_spec(DATA_SPECS / "mcf7_nk.json")
    for split, count in (("fit", 9), ("validation", 3), ("test", 5)):
        wells = open_wells(spec, shared_data, split)
        assert len(wells) == count
        for _, well in wells:
            assert well.modality == "BRIGHTFIELD"
            assert well.pixel_size_um == 0.3112
            assert tuple(well.labels) == spec.labels
            assert well.read_planes(slice(9), slice(8)).shape == (9, 8, 1)
