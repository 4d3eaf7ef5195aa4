"""Every problem that can be found in images."""

import dataclasses
import pathlib
import re
import shutil

import numpy as np
import pytest
import tifffile

from isl.images import open_plane, open_png, write_ome_tiff
from isl.inspection.inspection import inspect_images
from isl.inspection.listing import INPUT, LABEL
from isl.inspection.problems import KINDS
from isl.specs import Region, WellSpec
from tests.inspection_images import (
    DAPI,
    NUM_Z,
    SIZE,
    kinds,
    label_name,
    noise,
    plane_name,
    scaled,
    source_spec,
    spec_of,
    stack,
    write,
)

EVERYTHING = (slice(0, SIZE), slice(0, SIZE))


def test_a_good_plate_has_no_problem(plate):
    found = inspect_images(plate)
    assert found.problems == ()
    assert found.num_errors == 0
    assert [(w.well, w.tile, len(w.images)) for w in found.wells] == [
        ("A1", "", NUM_Z + 1),
        ("A2", "", NUM_Z + 1),
    ]
    channels = [image.channel for image in found.wells[0].images]
    assert [c.role for c in channels] == [INPUT] * NUM_Z + [LABEL]
    assert channels[-1].name == DAPI
    z = [image.image.z for image in found.wells[0].images]
    assert z == ["0", "1", "2", "3", "4", None]


# --- Every kind of problem. Each case spoils a good plate (or describes it by
# --- a spec); the first problem found must be of this kind, in this well and
# --- file, and say this.


def truncate(plate):
    path = plate / plane_name("A1", 2)
    path.write_bytes(path.read_bytes()[:-40])
    return "A1", plane_name("A1", 2), "no end mark"


def damage(plate):
    path = plate / plane_name("A2", 2)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 255
    path.write_bytes(content)
    return "A2", plane_name("A2", 2), "cannot be decoded"


def truncate_tiff(plate):
    path = plate / "B1.ome.tif"
    write_ome_tiff(path, np.stack(stack(5)), "ZYX", ["PHASE_CONTRAST"])
    path.write_bytes(path.read_bytes()[:3000])
    return "B1", "B1.ome.tif", "TIFF is truncated"


def empty_file(plate):
    (plate / plane_name("A1", 2)).write_bytes(b"")
    return "A1", plane_name("A1", 2), "must be a PNG"


def colour(plate):
    image = np.zeros((SIZE, SIZE, 3), np.uint8)
    write(plate / plane_name("A1", 0), image)
    return "A1", plane_name("A1", 0), "8-bit RGB"


def colour_tiff(plate):
    image = np.zeros((SIZE, SIZE, 3), np.uint8)
    tifffile.imwrite(plate / "B1.tif", image, photometric="rgb")
    return "B1", "B1.tif", "all grey"


def floating(plate):
    image = noise(0).astype(np.float32)
    write_ome_tiff(plate / "B1.tif", image[np.newaxis], "ZYX", [""])
    return "B1", "B1.tif", "pixels are float32, but must be uint8 or uint16"


def no_depth(plate):
    name = "well-A1,channel-PHASE_CONTRAST.png"
    write(plate / name, stack(7)[0])
    return "", name, "must have z_depth-NUMBER"


def two_spellings(plate):
    name = (
        "well-A1,z_depth-1,channel,value-PHASE_CONTRAST,kind,value-ORIGINAL.png"
    )
    write(plate / name, stack(7)[0])
    # The comma of the other spelling sorts before the dash of this one.
    return "A1", plane_name("A1", 1), f"PHASE_CONTRAST, z 1 is in .*{name}, too"


def gap(plate):
    (plate / plane_name("A1", 2)).unlink()
    return "A1", plane_name("A1", 0), "there is no z 2$"


def no_first(plate):
    (plate / plane_name("A1", 0)).unlink()
    return "A1", plane_name("A1", 1), "there is no z 0$"


def no_last(plate):
    (plate / plane_name("A1", 4)).unlink()
    return "A1", plane_name("A1", 0), "is 4, of most others 5$"


def no_input(plate):
    for z in range(NUM_Z):
        (plate / plane_name("A2", z)).unlink()
    return "A2", label_name("A2"), f"{DAPI} without transmitted light"


def no_label(plate):
    (plate / label_name("A2")).unlink()
    return "A2", plane_name("A2", 0), f"no {DAPI}, which others have"


def no_labels(plate):
    for well in ("A1", "A2"):
        (plate / label_name(well)).unlink()
    return "", "plate", "there is no label"


def other_size(plate):
    write(plate / plane_name("A1", 3), scaled(noise(3, shape=(90, 80)), 0.5))
    return "A1", plane_name("A1", 3), "is 90 x 80, of the other images 96 x 96"


def constant(plate):
    write(plate / label_name("A2"), np.full((SIZE, SIZE), 700, np.uint16))
    return "A2", label_name("A2"), "all pixels have the intensity 0.01068"


def black_image(plate):
    write(plate / label_name("A2"), np.zeros((SIZE, SIZE), np.uint16))
    return "A2", label_name("A2"), "all pixels have the intensity 0"


def two_modalities(plate):
    name = plane_name("A1", 0, "DIC")
    write(plate / name, scaled(noise(8), 0.5))
    return "A1", plane_name("A1", 0), "more than once: DIC, PHASE_CONTRAST"


def unknown(plate):
    shutil.rmtree(plate)
    names = ("A1_w1", "A1_w2", "A2_w1", "A2_w2")
    for seed, name in enumerate(names):
        write(plate / f"{name}.png", scaled(noise(seed), 0.5))
    return "", "A2_w1.png", "one of w1, w2 may be transmitted light"


def unmatched(plate):
    shutil.rmtree(plate)
    for well in range(5):
        for channel, mean in (("bf", 0.5), ("dapi", 0.25)):
            path = plate / f"field{well}__{channel}.png"
            write(path, scaled(noise(2 * well + (mean > 0.4)), mean))
    write(plate / "overview.png", scaled(noise(50), 0.5))
    return "", "overview.png", "does not fit .* as the others do"


def saturated(plate):
    image = scaled(noise(0), 0.5).clip(0, np.uint16(45000))
    write(plate / plane_name("A1", 0), image)
    return "A1", plane_name("A1", 0), "z 0: .*% of the pixels.*maximum, 0.6867"


def black(plate):
    image = scaled(noise(0), 0.5)
    image[:8] = 0
    write(plate / plane_name("A1", 0), image)
    return "A1", plane_name("A1", 0), "z 0: 8.3% of the pixels are 0"


def shuffled(plate):
    first, second = (plate / plane_name("A1", z) for z in (1, 4))
    first.rename(plate / "kept")
    second.rename(first)
    (plate / "kept").rename(second)
    return "A1", plane_name("A1", 0), "in the order of z 0, 4, 2, 3, 1"


def dark_input(plate):
    write(plate / plane_name("A2", 2), stack(1)[2] // 4)
    return (
        "A2",
        plane_name("A2", 2),
        "z 2: mean 0.125 .* far from 0.5 and 0.125",
    )


def flat_label(plate):
    write(plate / label_name("A2"), scaled(noise(101), 0.25, 0.05))
    return "A2", label_name("A2"), "deviation 0.05 .* far from 0.25 and 0.125"


def copied(plate):
    source = plate / plane_name("A1", 2)
    shutil.copy(source, plate / plane_name("A1", 3))
    return (
        "A1",
        plane_name("A1", 3),
        f"z 3: same pixels as .*{source.name}, z 2",
    )


def copied_well(plate):
    source = plate / label_name("A1")
    shutil.copy(source, plate / label_name("A2"))
    return "A2", label_name("A2"), f"same pixels as .*{source.name}"


def mixed_bits(plate):
    image = (stack(0)[1] // 257).astype(np.uint8)
    write(plate / plane_name("A1", 1), image)
    return "A1", plane_name("A1", 1), "planes of 8 and of 16 bits, this has 8"


def pixel_sizes(plate):
    for seed, (well, size) in enumerate({"B1": 0.3, "B2": 0.6}.items()):
        image = np.stack([*stack(20 + seed), scaled(noise(30 + seed), 0.25)])
        image = image[:, np.newaxis][[0, 5]]
        names = ["PHASE_CONTRAST", DAPI]
        write_ome_tiff(plate / f"{well}.ome.tif", image, "CZYX", names, size)
    for name in list(plate.glob("*.png")):
        name.unlink()
    return "", "plate", r"0.3 um \(B1\) and 0.6 um \(B2\)"


FOLDER_CASES = {
    "unreadable": (truncate, damage, truncate_tiff, empty_file),
    "not_grey": (colour, colour_tiff),
    "wrong_type": (floating,),
    "wrong_name": (no_depth,),
    "two_files": (two_spellings,),
    "missing_plane": (gap, no_first, no_last),
    "label_without_input": (no_input,),
    "input_without_label": (no_label, no_labels),
    "sizes_differ": (other_size,),
    "constant": (constant, black_image),
    "modality": (two_modalities,),
    "unknown_channels": (unknown,),
    "unmatched_name": (unmatched,),
    "saturated": (saturated,),
    "black": (black,),
    "z_order": (shuffled,),
    "intensity": (dark_input, flat_label),
    "duplicate": (copied, copied_well),
    "types_differ": (mixed_bits,),
    "pixel_sizes_differ": (pixel_sizes,),
}


@pytest.mark.parametrize(
    ("kind", "case"),
    [(kind, case) for kind, cases in FOLDER_CASES.items() for case in cases],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_every_problem_of_a_folder_is_found(plate, kind, case):
    well, name, what = case(plate)
    found = [p for p in inspect_images(plate).problems if p.kind == kind]
    assert len(found) == 1
    (problem,) = found
    assert (problem.well, pathlib.Path(problem.path).name) == (well, name)
    assert re.search(what, problem.what), problem.what


@pytest.mark.parametrize(
    "case", [truncate, truncate_tiff, colour_tiff, gap, no_last, no_label]
)
def test_a_problem_does_not_bring_others_about(plate, case):
    case(plate)
    assert len(inspect_images(plate).problems) == 1


def no_such_well(plate):
    wells = (WellSpec("C7", "elsewhere", {"train": Region()}),)
    return spec_of(wells=wells), "C7", "the spec lists it"


def no_such_folder(plate):
    folders = {"train": ("plate", "plate_2")}
    spec = spec_of(wells=(), well_folders=folders)
    return spec, "", "lists this folder"


def empty_well(plate):
    (plate.parent / "empty").mkdir()
    wells = (WellSpec("C7", "empty", {"train": Region()}),)
    return spec_of(wells=wells), "C7", "no image of it is there"


def empty_folder(plate):
    (plate.parent / "empty").mkdir()
    folders = {"train": ("plate", "empty")}
    spec = spec_of(wells=(), well_folders=folders)
    return spec, "", "no image of a well is in it"


def no_such_source_well(plate):
    splits = {"train": {"wells": ["A1", "B7"]}}
    return source_spec(splits=splits), "B7", "no file is called so"


def no_such_file(plate):
    planes = ("0.png",) * NUM_Z
    wells = (WellSpec("A1", "plate", {"train": Region()}, planes),)
    return spec_of(wells=wells), "A1", "cannot be read .No such file"


def too_few_planes(plate):
    return spec_of(num_z=6), "A1", "number of planes is 5, of the spec 6"


def label_in_no_file(plate):
    spec = spec_of(labels=(DAPI, "MAP2_CONFOCAL"))
    return spec, "A1", "the spec has the label MAP2_CONFOCAL"


def label_in_no_file_of_a_folder(plate):
    labels = (DAPI, "NEURITE_CONFOCAL")
    folders = {"train": ("plate",)}
    spec = spec_of(labels=labels, wells=(), well_folders=folders)
    return spec, "train/plate/A1", "the spec has the label NEURITE_CONFOCAL"


def split_outside(plate):
    splits = {"train": Region(), "test": Region(columns=(90, 97))}
    spec = spec_of(wells=(WellSpec("A1", "plate", splits),))
    return spec, "A1", "region columns must lie inside the image .0-96"


def region_of_a_source_outside(plate):
    spec = source_spec(splits={"train": {"rows": [0, 200]}})
    return spec, "A1", "region rows must lie inside the image .0-96"


def other_light(plate):
    return spec_of(modality="DIC"), "A1", "is PHASE_CONTRAST, in the spec DIC"


def other_light_in_a_folder(plate):
    folders = {"train": ("plate",)}
    spec = spec_of(modality="DIC", wells=(), well_folders=folders)
    return spec, "train/plate/A1", "is PHASE_CONTRAST, in the spec DIC"


def label_in_no_file_of_a_tile(plate):
    plate = plate.parent / "plate"
    for tile in (1, 2):
        write(plate / f"t{tile}_bf.tif.png", scaled(noise(tile), 0.5))
    write(plate / "t1_dapi.tif.png", scaled(noise(3), 0.25))
    spec = source_spec(
        pattern=r"t(?P<tile>\d)_(?P<channel>\w+)\..*",
        channels={"bf": "PHASE_CONTRAST", "dapi": DAPI},
    )
    return spec, "plate", f"the spec has the label {DAPI}"


def path_outside(plate):
    wells = (WellSpec("A1", "plate/../..", {"train": Region()}),)
    return spec_of(wells=wells), "A1", "leads out of the folder"


def file_outside(plate):
    planes = ("../../0.png",) * NUM_Z
    wells = (WellSpec("A1", "plate", {"train": Region()}, planes),)
    return spec_of(wells=wells), "A1", "leads out of the folder"


def folder_outside(plate):
    folders = {"train": ("../plate",)}
    return spec_of(wells=(), well_folders=folders), "", "leads out of the"


def to_be_normalised(plate, value):
    """A spec that does so, and a plane of floats, one of `value`."""
    image = stack(0)[2].astype(np.float32)
    image[3, 4] = value
    tifffile.imwrite(plate / plane_name("A1", 2), image)
    steps = ({"step": "normalize", "scope": "well"},)
    return dataclasses.replace(source_spec(), preprocessing=steps)


def floats_to_normalise(plate):
    spec = to_be_normalised(plate, 0.5)
    return spec, "A1", "float32: fit to be normalised"


def floats_that_are_no_numbers(plate):
    spec = to_be_normalised(plate, np.nan)
    return spec, "A1", "float32, and some are no numbers"


SPEC_CASES = {
    "not_measured": (floats_to_normalise,),
    "wrong_type": (floats_that_are_no_numbers,),
    "missing_well": (
        no_such_well,
        no_such_folder,
        empty_well,
        empty_folder,
        no_such_source_well,
    ),
    "unreadable": (no_such_file,),
    "missing_plane": (too_few_planes,),
    "missing_label": (
        label_in_no_file,
        label_in_no_file_of_a_folder,
        label_in_no_file_of_a_tile,
    ),
    "region_outside": (split_outside, region_of_a_source_outside),
    "modality": (other_light, other_light_in_a_folder),
    "outside": (path_outside, file_outside, folder_outside),
}


@pytest.mark.parametrize(
    ("kind", "case"),
    [(kind, case) for kind, cases in SPEC_CASES.items() for case in cases],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_every_problem_of_a_spec_is_found(plate, kind, case):
    spec, well, what = case(plate)
    found = inspect_images(plate.parent, spec)
    problem = next(p for p in found.problems if p.kind == kind)
    assert problem.well == well
    assert re.search(what, problem.what), problem.what


def test_a_well_of_floats_to_normalise_is_checked_too(plate):
    for name in [label_name("A1"), *(plane_name("A1", z) for z in range(4))]:
        path = plate / name
        tifffile.imwrite(path, np.float32(open_plane(path).read(*EVERYTHING)))
    (plate / plane_name("A1", 4)).unlink()
    steps = ({"step": "normalize", "scope": "well"},)
    spec = dataclasses.replace(source_spec(), preprocessing=steps)
    found = inspect_images(plate.parent, spec)
    assert kinds(found) == ["missing_plane", *["not_measured"] * 5]
    problems = inspect_images(plate.parent, source_spec()).problems
    wrong = next(p for p in problems if p.kind == "wrong_type")
    assert "unsigned" in wrong.advice and "prepare.py" in wrong.advice


def test_every_kind_of_problem_has_a_test():
    assert set(KINDS) == {*FOLDER_CASES, *SPEC_CASES}


@pytest.fixture
def sample(shared_data, tmp_path):
    """The middle of the published sample, to be quick."""
    for path in (shared_data / "condition_b_sample").glob("*.png"):
        middle = open_png(path).read(slice(300, 700), slice(300, 700))
        write(tmp_path / "sample" / path.name, middle)
    return tmp_path / "sample"


def test_the_published_sample_is_good(sample):
    found = inspect_images(sample)
    assert found.problems == ()
    assert [well.well for well in found.wells] == ["A4"]


def test_real_planes_in_the_wrong_order_are_found(sample):
    paths = {}
    for path in sample.glob("*z_depth*"):
        paths[int(re.search(r"z_depth-(\d+)", path.name)[1])] = path
    paths[4].rename(sample / "kept")
    paths[9].rename(paths[4])
    (sample / "kept").rename(paths[9])
    (problem,) = inspect_images(sample).problems
    assert problem.kind == "z_order"
    assert problem.what.endswith("0, 1, 2, 3, 9, 5, 6, 7, 8, 4, 10, 11, 12")


def test_real_names_are_understood(shared_data):
    found = inspect_images(shared_data / "arcadia_nd2_samples")
    assert [(well.well, len(well.images)) for well in found.wells] == [
        ("example-cerevisiae", 2),
        ("example-multichannel", 4),
        ("example-pbmc", 4),
    ]
    assert found.num_errors == 0
