"""Sizes that raw files state, from the files to the prepared wells."""

import json
import pathlib

import numpy as np
import pytest

from isl.errors import InputError
from isl.images import (
    FieldPlane,
    ZarrDescription,
    open_wells,
    streamed_ome_zarr,
    write_ome_tiff,
)
from isl.preprocessing.output import FORMATS
from isl.preprocessing.plate import prepare
from isl.preprocessing.preparation import open_preparation
from isl.specs import DatasetSpec, load_dataset_spec
from tests.raw_plates import write_tile

SCRIPT = "prepare"
DAPI = "DAPI_WIDEFIELD"
SHAPE = (32, 40)
NUM_Z = 3
SPEC = {
    "name": "raw",
    "condition": "T",
    "modality": "BRIGHTFIELD",
    "labels": [DAPI],
    "source": {
        "path": "plate",
        "pattern": r"(?P<well>\w+)\.(ome\.tif|zarr)/(?P<channel>\w+)",
        "channels": {"BF": "BRIGHTFIELD", "DAPI": DAPI},
    },
    "preprocessing": [{"step": "project"}],
}


def spec_of(steps=(), **values):
    value = {**SPEC, **values}
    value["preprocessing"] = [*steps, *SPEC["preprocessing"]]
    return DatasetSpec.from_dict(value)


def pixels():
    generator = np.random.default_rng(0)
    return generator.integers(1, 4096, (2, NUM_Z, *SHAPE)).astype(np.uint16)


def write_tiff(folder, well, pixel_size_um, z_spacing_um):
    write_ome_tiff(
        folder / f"{well}.ome.tif",
        pixels(),
        "CZYX",
        ["BF", "DAPI"],
        pixel_size_um,
        z_spacing_um=z_spacing_um,
    )


def write_zarr(folder, well, pixel_size_um, z_spacing_um):
    description = ZarrDescription(
        SHAPE,
        ["BF", "DAPI"],
        NUM_Z,
        pixel_size_um=pixel_size_um,
        z_spacing_um=z_spacing_um,
    )
    everything = tuple(slice(0, size) for size in SHAPE)
    with streamed_ome_zarr(folder / f"{well}.zarr", description) as sink:
        for channel, stack in enumerate(pixels()):
            sink.write_channel(channel, *everything, stack)


WRITERS = pytest.mark.parametrize("write", [write_tiff, write_zarr])


@pytest.fixture
def folder(tmp_path):
    """Folder `plate` of the image root, empty."""
    path = tmp_path / "plate"
    path.mkdir()
    return path


def opened(tmp_path, spec, image_format="ome_tiff"):
    return open_preparation(spec, tmp_path, tmp_path / "out", image_format)


@WRITERS
@pytest.mark.parametrize("image_format", FORMATS)
def test_sizes_of_the_files_reach_what_is_written(
    tmp_path, folder, write, image_format
):
    for well in ("A1", "A2"):
        write(folder, well, 0.25, 1.5)
    steps = [
        {"step": "downscale", "factor": 2},
        {"step": "select_planes", "count": 2, "spacing": 2},
    ]
    preparation = opened(tmp_path, spec_of(steps), image_format)
    assert preparation.remarks == ()
    prepare(preparation)
    written = load_dataset_spec(tmp_path / "out" / "spec.json")
    sizes = written.pixel_size_um, written.z_spacing_um
    assert sizes == pytest.approx((0.5, 3.0))
    # The images themselves, without the help of the spec.
    value = written.to_dict() | {"pixel_size_um": None, "z_spacing_um": None}
    silent = DatasetSpec.from_dict(value)
    wells = [well for _, well in open_wells(silent, tmp_path / "out", "all")]
    assert [well.name for well in wells] == ["A1", "A2"]
    for well in wells:
        sizes = well.pixel_size_um, well.z_spacing_um
        assert sizes == pytest.approx((0.5, 3.0))


def test_the_metadata_of_a_plate_hold_the_size(tmp_path, folder):
    write_tiff(folder, "A1", 0.25, 1.5)
    prepare(opened(tmp_path, spec_of(), "ome_zarr"))
    image = tmp_path / "out" / "plate.zarr" / "A" / "1" / "0" / "zarr.json"
    (scales,) = json.loads(image.read_text())["attributes"]["ome"][
        "multiscales"
    ]
    (scale,) = scales["datasets"][0]["coordinateTransformations"]
    names = [axis["name"] for axis in scales["axes"]]
    found = dict(zip(names, scale["scale"], strict=True))
    assert found == pytest.approx({"c": 1, "z": 1.5, "y": 0.25, "x": 0.25})


@WRITERS
@pytest.mark.parametrize(
    ("name", "other", "numbers"),
    [
        ("pixel_size_um", (0.26, 1.5), ("0.25", "0.26")),
        ("z_spacing_um", (0.25, 2.0), ("1.5", "2")),
    ],
)
def test_wells_that_differ_are_named(
    tmp_path, folder, write, name, other, numbers
):
    write(folder, "A1", 0.25, 1.5)
    write(folder, "A2", *other)
    with pytest.raises(InputError) as caught:
        opened(tmp_path, spec_of())
    message = str(caught.value)
    low, high = numbers
    assert f"{name} must be given by the spec" in message
    assert f"{low} in well A1" in message
    assert f"{high} in well A2" in message
    assert "\n" not in message
    given = spec_of(**{name: 1.0})
    assert getattr(opened(tmp_path, given), name) == 1.0


def test_sizes_may_differ_by_one_percent(tmp_path, folder):
    write_tiff(folder, "A1", 0.25, 1.5)
    write_tiff(folder, "A2", 0.252, 1.51)
    preparation = opened(tmp_path, spec_of())
    sizes = preparation.pixel_size_um, preparation.z_spacing_um
    assert sizes == pytest.approx((0.25, 1.5))
    assert opened(tmp_path, spec_of(pixel_size_um=0.252)).remarks == ()


def test_silent_wells_do_not_count(tmp_path, folder):
    write_tiff(folder, "A1", None, None)
    write_tiff(folder, "A2", 0.25, None)
    preparation = opened(tmp_path, spec_of())
    assert preparation.pixel_size_um == pytest.approx(0.25)
    assert preparation.z_spacing_um is None


def test_no_file_tells(tmp_path, folder):
    for channel in ("BF", "DAPI"):
        write_tile(folder / f"A1_{channel}.png", pixels()[0, 0])
    source = {
        **SPEC["source"],
        "pattern": r"(?P<well>\w+)_(?P<channel>\w+)\.png",
    }
    preparation = opened(tmp_path, spec_of(source=source))
    assert preparation.pixel_size_um is None
    assert preparation.z_spacing_um is None


def test_the_plane_and_the_label_of_a_well_may_not_differ(tmp_path, folder):
    for channel, size in (("BF", 0.25), ("DAPI", 0.5)):
        path = folder / f"A1_{channel}.tif"
        write_ome_tiff(path, pixels()[0, 0], "YX", [channel], size)
    source = {
        **SPEC["source"],
        "pattern": r"(?P<well>\w+)_(?P<channel>\w+)\.tif",
    }
    message = r"0\.25 in well A1 .*BF\.tif.*0\.5 in well A1 .*DAPI\.tif"
    with pytest.raises(InputError, match=message):
        opened(tmp_path, spec_of(source=source))


@pytest.mark.parametrize("size", [0.0, float("nan"), float("inf"), -1.0])
def test_what_is_no_size_counts_as_silence(tmp_path, folder, size, monkeypatch):
    write_tiff(folder, "A1", 0.25, 1.5)
    monkeypatch.setattr(
        "isl.images.FieldPlane.read_sizes", lambda plane: (size, size)
    )
    preparation = opened(tmp_path, spec_of())
    assert preparation.pixel_size_um is None
    assert preparation.z_spacing_um is None


def test_a_file_of_several_channels_tells_its_sizes(folder):
    write_tiff(folder, "A1", 0.25, 1.5)
    plane = FieldPlane(str(folder / "A1.ome.tif"), None)
    assert plane.read_sizes() == pytest.approx((0.25, 1.5))
    with pytest.raises(InputError, match="must hold one plane. Received: 6"):
        plane.read()


def test_a_png_tells_no_size(folder):
    write_tile(folder / "a.png", np.ones(SHAPE))
    assert FieldPlane(str(folder / "a.png"), None).read_sizes() == (None, None)


def test_a_single_plane_has_no_distance(tmp_path, folder):
    path = folder / "A1.ome.tif"
    image = pixels()[:, :1]
    write_ome_tiff(path, image, "CZYX", ["BF", "DAPI"], 0.25, z_spacing_um=1.0)
    assert opened(tmp_path, spec_of()).z_spacing_um is None


@WRITERS
def test_the_script_says_that_the_spec_is_kept(
    run, tmp_path, folder, write, capsys
):
    for well in ("A1", "A2"):
        write(folder, well, 0.25, 1.5)
    path = tmp_path / "raw.json"
    spec = spec_of(pixel_size_um=0.3, z_spacing_um=1.5)
    path.write_text(json.dumps(spec.to_dict()))
    output = tmp_path / "out"
    run(data_spec=path, image_root=tmp_path, output_dir=output)
    first, *others = capsys.readouterr().out.splitlines()
    assert first.startswith(
        "raw: pixel_size_um is 0.3 as the spec says, though files of 2 wells "
        "say otherwise: 0.25 in well A1 ("
    )
    assert others[0].startswith("A1: 32 x 40 pixels")
    written = load_dataset_spec(output / "spec.json")
    assert (written.pixel_size_um, written.z_spacing_um) == (0.3, 1.5)


def test_other_sizes_in_the_files_are_other_settings(tmp_path, folder):
    write_tiff(folder, "A1", 0.25, 1.5)
    prepare(opened(tmp_path, spec_of()))
    settings = pathlib.Path(tmp_path, "out", "preparation.json").read_text()
    assert json.loads(settings)["spec"]["pixel_size_um"] == 0.25
    write_tiff(folder, "A1", 0.5, 1.5)
    with pytest.raises(InputError, match="another spec"):
        opened(tmp_path, spec_of())
