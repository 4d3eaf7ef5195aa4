"""Which files tell that the planes of a well have changed."""

import os
import shutil

import numpy as np
import pytest
from PIL import Image

from isl.images import (
    ZarrDescription,
    open_plate_writer,
    streamed_ome_zarr,
    write_ome_tiff,
)
from isl.prediction.input_files import (
    FileState,
    find_change,
    list_files,
    list_spec_files,
    read_states,
)
from isl.simulation.dataset import write_dataset
from isl.specs import Region, WellSpec

STACK = np.arange(2 * 4 * 5, dtype=np.uint16).reshape(2, 4, 5)
DESCRIPTION = ZarrDescription((4, 5), ["BRIGHTFIELD"], num_z=2)


def fill(sink):
    sink.write(slice(0, 4), slice(0, 5), STACK[np.newaxis])


def there(files):
    return [state.path for state in read_states(files)]


@pytest.fixture
def image(tmp_path):
    """An OME-Zarr image."""
    with streamed_ome_zarr(tmp_path / "image.zarr", DESCRIPTION) as sink:
        fill(sink)
    return tmp_path / "image.zarr"


@pytest.fixture
def plate(tmp_path):
    """An OME-Zarr plate of one well, A1."""
    writer = open_plate_writer(tmp_path / "plate.zarr")
    with writer.streamed_well("A1", DESCRIPTION) as sink:
        fill(sink)
    return tmp_path / "plate.zarr"


def test_a_file_tells_by_itself(tmp_path):
    write_ome_tiff(tmp_path / "A1.ome.tif", STACK, "ZYX", ["BRIGHTFIELD"])
    expected = [str(tmp_path / "A1.ome.tif")]
    assert list_files(tmp_path / "A1.ome.tif") == expected
    # As a data spec names a channel.
    assert list_files(tmp_path / "A1.ome.tif" / "BRIGHTFIELD") == expected


def test_a_vendor_file_tells_of_its_scenes(tmp_path):
    (tmp_path / "p.czi").touch()
    expected = [str(tmp_path / "p.czi")]
    assert list_files(tmp_path / "p.czi" / "A1" / "DAPI") == expected


def test_numbered_planes_tell_and_other_files_do_not(tmp_path):
    for z in range(2):
        Image.fromarray(STACK[z]).save(tmp_path / f"z{z}.png")
    (tmp_path / "notes.txt").touch()
    expected = [str(tmp_path / f"z{z}.png") for z in range(2)]
    assert list_files(tmp_path) == expected


def test_published_planes_tell_and_labels_do_not(tmp_path):
    write_dataset(tmp_path, 2, 32, 2, 0)
    one = list_files(tmp_path / "A1")
    assert [name.partition("z_depth-")[2][0] for name in one] == ["0", "1"]
    assert list_files(tmp_path / "A1", "A1") == one
    for file in (tmp_path / "A2").iterdir():
        shutil.copy(file, tmp_path / "A1")
    assert list_files(tmp_path / "A1", "A1") == one
    two = list_files(tmp_path / "A1", "A2")
    assert len(two) == 2 and not set(one) & set(two)
    assert list_files(tmp_path / "A1", "A3") == []


def test_published_planes_without_a_well_are_those_of_any(tmp_path):
    name = "z_depth-0,channel-DIC,is_mask-false.png"
    Image.fromarray(STACK[0]).save(tmp_path / name)
    assert list_files(tmp_path, "A1") == [str(tmp_path / name)]


def test_metadata_and_a_chunk_tell_of_an_ome_zarr(image):
    # Masks that are added later stand before the pixels in the alphabet.
    (image / "0").rename(image / "s0")
    mask = image / "labels" / "cells" / "0"
    mask.mkdir(parents=True)
    (mask / "chunk").touch()
    (image / ".DS_Store").touch()
    metadata, chunk = there(list_files(image))
    assert metadata == str(image / "zarr.json")
    assert chunk.startswith(str(image / "s0" / "c"))
    assert there(list_files(image / "BRIGHTFIELD")) == [metadata, chunk]


def test_an_ome_zarr_without_pixels_tells_by_its_metadata(image):
    shutil.rmtree(image / "0")
    assert there(list_files(image)) == [str(image / "zarr.json")]


def test_a_field_tells_and_its_plate_does_not(plate):
    field = plate / "A" / "1" / "0"
    expected = there(list_files(field))
    assert expected[0] == str(field / "zarr.json")
    inside = plate / "A1" / "0" / "BRIGHTFIELD"
    assert there(list_files(inside)) == expected


def test_a_damaged_folder_has_no_files(tmp_path):
    for z in (0, 2):
        Image.fromarray(STACK[0]).save(tmp_path / f"z{z}.png")
    assert list_files(tmp_path) == []


@pytest.mark.parametrize("path", ["plate", "plate/stack.tif"])
def test_planes_of_a_spec_lie_beside_or_in_its_path(tmp_path, path):
    (tmp_path / "plate").mkdir()
    (tmp_path / "plate" / "stack.tif").touch()
    well = WellSpec("A1", path, {"all": Region()}, planes=("a.png", "b.png"))
    expected = [str(tmp_path / "plate" / name) for name in well.planes]
    assert list_spec_files(well, tmp_path) == expected


def test_a_spec_may_leave_the_planes_to_the_well(tmp_path):
    write_dataset(tmp_path, 1, 32, 2, 0)
    well = WellSpec("A1", "A1", {"all": Region()})
    assert list_spec_files(well, tmp_path) == list_files(tmp_path / "A1")


def test_states_are_of_each_file_once(tmp_path):
    file = tmp_path / "a"
    file.write_bytes(b"123")
    os.utime(file, ns=(5, 1_500_000_000_000_000_001))
    missing = tmp_path / "missing"
    (state,) = read_states([file, missing, str(file)])
    assert state == FileState(str(file), 3, 1_500_000_000_000_000_001)
    expected = "3 bytes, modified 2017-07-14T02:40:00.000000001 UTC"
    assert str(state) == expected


def test_reading_changes_no_state(tmp_path):
    file = tmp_path / "a"
    file.write_bytes(b"123")
    before = read_states([file])
    os.utime(file, ns=(7, before[0].modified_ns))
    file.chmod(0o600)
    file.read_bytes()
    assert find_change(before, read_states([file])) is None


@pytest.mark.parametrize(
    ("now", "path", "received"),
    [
        ([FileState("b", 2, 2), FileState("a", 9, 1)], "a", "9 bytes"),
        ([FileState("a", 1, 1), FileState("b", 2, 9)], "b", "2 bytes"),
        ([FileState("a", 1, 1)], "b", "no file"),
    ],
)
def test_the_first_change_is_found(now, path, received):
    before = [FileState("a", 1, 1), FileState("b", 2, 2)]
    change = find_change(before, now)
    assert change.path == path
    assert change.now.startswith(received)
    back = find_change(now, before)
    assert (back.path, back.before) == (change.path, change.now)
    assert find_change(before, before[::-1]) is None
