"""Vendor formats: scenes as wells or tiles, through the extra `bioio`."""

import json
import pathlib
import sys

import numpy as np
import pytest

from isl.errors import InputError
from isl.images import (
    find_raw_wells,
    open_image,
    open_plane,
    open_vendor,
    open_wells,
    split_vendor_path,
)
from isl.inspection.inspection import inspect_images
from isl.preprocessing.plate import prepare
from isl.preprocessing.preparation import open_preparation
from isl.specs import DatasetSpec

CHANNELS = {0: "Brightfield", 1: "DAPI"}
SHAPE = (40, 50)
SPEC = {
    "name": "vendor",
    "condition": "T",
    "modality": "BRIGHTFIELD",
    "labels": ["DAPI_WIDEFIELD"],
    "source": {
        "path": "plate",
        "pattern": r"two\.czi/(?P<well>[A-Z]\d)/(?P<channel>\w+)",
        "channels": {"Brightfield": "BRIGHTFIELD", "DAPI": "DAPI_WIDEFIELD"},
    },
    "preprocessing": [{"step": "project"}],
}


def planes_of(scene):
    """The planes of a scene, [channel, z, row, column], of 12 bits."""
    generator = np.random.default_rng(scene)
    return generator.integers(1, 4096, (2, 3, *SHAPE)).astype(np.uint16)


def name_scenes(path, names):
    """Writes names of scenes into the metadata, which the writer leaves out.

    The document's own name gives up as many bytes, so that nothing moves.
    """
    scenes = "".join(
        f'<Scene Index="{index}" Name="{name}"/>'
        for index, name in enumerate(names)
    )
    text = f"<S><Scenes>{scenes}</Scenes></S>".encode()
    content = path.read_bytes()
    padding = b"x" * len(text)
    assert content.count(padding) == 1
    content = content.replace(padding, b"")
    place = content.index(b"<Dimensions>") + len(b"<Dimensions>")
    path.write_bytes(content[:place] + text + content[place:])


def write_czi(path, scenes=("A1", "A2")):
    czi = pytest.importorskip(
        "pylibCZIrw.czi", reason="needs the extra: pip install '.[bioio]'"
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    with czi.create_czi(str(path)) as document:
        for scene in range(len(scenes)):
            for channel, stack in enumerate(planes_of(scene)):
                for z, plane in enumerate(stack):
                    document.write(
                        data=plane[..., np.newaxis],
                        plane={"C": channel, "Z": z},
                        scene=scene,
                        location=(1000 * scene, 0),
                    )
        length = len("<S><Scenes></Scenes></S>") + sum(
            len(f'<Scene Index="{index}" Name="{name}"/>')
            for index, name in enumerate(scenes)
        )
        document.write_metadata(
            document_name="x" * length,
            channel_names=CHANNELS,
            scale_x=0.3e-6,
            scale_y=0.3e-6,
            scale_z=2e-6,
        )
    name_scenes(path, scenes)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Folder of `plate/two.czi`: scenes A1 and A2 of two channels."""
    folder = tmp_path_factory.mktemp("vendor")
    write_czi(folder / "plate" / "two.czi")
    return folder


def full(image):
    return tuple(slice(0, size) for size in image.shape)


def test_a_scene_is_an_image(root):
    image = open_vendor(root / "plate" / "two.czi" / "A2")
    assert image.channel_names == ("Brightfield", "DAPI")
    assert (image.pixel_size_um, image.z_spacing_um) == pytest.approx((0.3, 2))
    expected = planes_of(1)
    for channel, stack in enumerate(image.planes):
        assert len(stack) == 3
        for z, plane in enumerate(stack):
            assert (plane.dtype, plane.gain) == (np.uint16, 1)
            part = slice(3, 17), slice(10, 31)
            np.testing.assert_array_equal(
                plane.read(*part), expected[channel, z][part]
            )


def test_a_channel_is_a_stack_to_predict_from(root):
    path = root / "plate" / "two.czi" / "A1" / "Brightfield"
    well = open_image(path)
    assert (well.num_z, well.shape, well.pixel_size_um) == (3, SHAPE, 0.3)
    stack = np.moveaxis(planes_of(0)[0], 0, -1)
    np.testing.assert_array_equal(well.read_planes(*full(well)), stack)
    np.testing.assert_array_equal(
        open_plane(path, 2).read(*full(well)), stack[..., 2]
    )


@pytest.mark.parametrize(
    ("inside", "message"),
    [
        ("", "a scene must be named, as in two.czi/A1.* 2 scenes, A1, A2"),
        ("A7", "scene must be one of A1, A2. Received: 'A7'"),
        ("A1/GFP", "channel must be one of Brightfield, DAPI.*'GFP'"),
    ],
)
def test_what_is_not_in_a_file_is_named(root, inside, message):
    with pytest.raises(InputError, match=message):
        open_vendor(root / "plate" / "two.czi" / inside)


def test_scenes_are_wells_of_a_source(root):
    wells = find_raw_wells(DatasetSpec.from_dict(SPEC), root)
    assert [well.name for well in wells] == ["A1", "A2"]
    (field,) = wells[1].fields
    np.testing.assert_array_equal(field.planes[2].read(), planes_of(1)[0, 2])
    (label,) = field.labels.values()
    np.testing.assert_array_equal(label[0].read(), planes_of(1)[1, 0])


def test_scenes_may_be_tiles(root):
    pattern = r"(?P<well>two)\.czi/(?P<tile>[A-Z]\d)/(?P<channel>\w+)"
    source = SPEC["source"] | {"pattern": pattern}
    spec = DatasetSpec.from_dict(SPEC | {"source": source})
    (well,) = find_raw_wells(spec, root)
    assert (well.name, len(well.fields)) == ("two", 2)


def test_wells_are_checked_and_prepared(root, tmp_path):
    spec = DatasetSpec.from_dict(SPEC)
    found = inspect_images(root, spec)
    assert [(well.well, len(well.images)) for well in found.wells] == [
        ("A1", 4),
        ("A2", 4),
    ]
    assert found.num_errors == 0
    prepare(open_preparation(spec, root, tmp_path, "ome_tiff"))
    prepared = DatasetSpec.from_dict(
        json.loads((tmp_path / "spec.json").read_text())
    )
    (_, first), (_, second) = open_wells(prepared, tmp_path, "all")
    for scene, well in enumerate((first, second)):
        planes, labels = planes_of(scene)
        np.testing.assert_array_equal(
            well.read_planes(*full(well)), np.moveaxis(planes, 0, -1)
        )
        np.testing.assert_array_equal(
            well.read_label("DAPI_WIDEFIELD", *full(well)), labels.max(axis=0)
        )


def test_a_folder_without_a_spec_is_checked(root):
    found = inspect_images(root)
    wells = {well.well for well in found.wells}
    assert wells == {"plate/two/A1", "plate/two/A2"}
    assert found.num_errors == 0
    assert list(found.pixel_size_um.values()) == pytest.approx([0.3, 0.3])


def test_a_damaged_file_is_a_problem(root, tmp_path):
    path = tmp_path / "plate" / "two.czi"
    path.parent.mkdir()
    content = (root / "plate" / "two.czi").read_bytes()
    path.write_bytes(content[:100])
    for spec in (None, DatasetSpec.from_dict(SPEC)):
        (problem,) = inspect_images(tmp_path, spec).problems
        assert problem.kind == "unreadable"
        assert "bioio-czi" in problem.what
    with pytest.raises(InputError, match=r"two\.czi: must be a file that bio"):
        find_raw_wells(DatasetSpec.from_dict(SPEC), tmp_path)


def test_without_the_extra_it_is_named(tmp_path, monkeypatch):
    path = tmp_path / "plate" / "two.czi"
    path.parent.mkdir()
    path.write_bytes(b"ZISRAWFILE")
    monkeypatch.setitem(sys.modules, "bioio", None)
    message = r"two\.czi: the extra `bioio` must be installed"
    with pytest.raises(InputError, match=message):
        open_image(path)
    with pytest.raises(InputError, match=message):
        find_raw_wells(DatasetSpec.from_dict(SPEC), tmp_path)
    (problem,) = inspect_images(tmp_path).problems
    assert ".[bioio]" in problem.what


def test_paths_into_a_file_are_told_from_others(tmp_path):
    file = tmp_path / "a.nd2"
    assert split_vendor_path(file) is None
    file.touch()
    assert split_vendor_path(file) == (file, ())
    assert split_vendor_path(file / "s" / "c") == (file, ("s", "c"))
    assert split_vendor_path(tmp_path / "b.tif") is None
    (tmp_path / "folder.czi").mkdir()
    assert split_vendor_path(pathlib.Path(tmp_path, "folder.czi")) is None
