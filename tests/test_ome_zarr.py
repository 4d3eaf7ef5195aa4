"""OME-Zarr of others: versions 0.4 and 0.5, any axes, one line a mistake."""

import dataclasses
import itertools
import json

import numpy as np
import pytest
import zarr
from PIL import Image

from isl.errors import InputError
from isl.images import (
    MaximumPlane,
    is_plate,
    is_zarr,
    list_members,
    open_image,
    open_inside,
    open_ome_zarr,
    open_plate,
    open_png,
    open_well,
)
from isl.specs import DatasetSpec, Region, WellSpec
from tests import zarr_stores

EVERYTHING = (slice(None), slice(None))
SHAPE = (37, 53)
NAMES = ("PHASE_CONTRAST", "DAPI_CONFOCAL")
RANDOM = np.random.default_rng(0)
IMAGE = RANDOM.integers(0, 2**16, (2, 3, *SHAPE), dtype=np.uint16)  # czyx
VERSIONS = ("0.4", "0.5")
MICROMETRES = dict.fromkeys("zyx", "micrometer")


def write(folder, version="0.4", image=IMAGE, axes="czyx", **options):
    options = {"names": NAMES, "chunks": (1, 3, 16, 16)} | options
    zarr_stores.write_image(folder, image, axes, version=version, **options)
    return folder


def metadata_file(folder):
    path = folder / "zarr.json"
    return path if path.is_file() else folder / ".zattrs"


def change(folder, edit):
    """Edits the OME attributes of a store."""
    path = metadata_file(folder)
    value = json.loads(path.read_text())
    edit(value["attributes"]["ome"] if path.name == "zarr.json" else value)
    path.write_text(json.dumps(value))


def count_chunk_reads(monkeypatch):
    """Returns a list that grows by each chunk that Zarr reads."""
    keys = []
    get = zarr.storage.LocalStore.get

    async def counted(self, key, *args, **options):
        if not key.endswith((".json", ".zarray", ".zattrs", ".zgroup")):
            keys.append(key)
        return await get(self, key, *args, **options)

    monkeypatch.setattr(zarr.storage.LocalStore, "get", counted)
    return keys


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("separator", ["/", "."])
def test_pixels_and_facts(tmp_path, version, separator):
    path = write(
        tmp_path / "a.zarr",
        version,
        separator=separator,
        scale=[1, 2, 0.25, 0.25],
        units=MICROMETRES,
    )
    image = open_ome_zarr(path)
    assert image.channel_names == NAMES
    assert image.shape == SHAPE
    assert (image.pixel_size_um, image.z_spacing_um) == (0.25, 2)
    assert (image.path, image.annotations) == (str(path), {})
    for c, z in itertools.product(range(2), range(3)):
        plane = image.planes[c][z]
        assert (plane.shape, plane.dtype) == (SHAPE, np.uint16)
        np.testing.assert_array_equal(plane.read(*EVERYTHING), IMAGE[c, z])


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    "axes",
    [
        *map("".join, itertools.permutations("czyx")),
        "tczyx",
        "yxtzc",
        "cyx",
        "zyx",
        "yx",
        "xy",
    ],
)
def test_any_axes(tmp_path, version, axes):
    # Axes that are left out have length 1; every pixel tells its place.
    full = IMAGE[np.newaxis]  # tczyx
    for k in set("tczyx") - set(axes):
        full = full.take([0], "tczyx".index(k))
    source = full.squeeze(
        tuple(i for i, k in enumerate("tczyx") if k not in axes)
    )
    letters = [k for k in "tczyx" if k in axes]
    stored = source.transpose([letters.index(k) for k in axes])
    write(
        tmp_path / "a",
        version,
        np.ascontiguousarray(stored),
        axes,
        chunks=tuple(min(n, 16) for n in stored.shape),
        names=None,
    )
    image = open_ome_zarr(tmp_path / "a")
    assert image.channel_names == ("",) * full.shape[1]
    rows, columns = slice(5, 30), slice(11, 53)
    for planes, expected in zip(image.planes, full[0], strict=True):
        read = [plane.read(rows, columns) for plane in planes]
        np.testing.assert_array_equal(read, expected[:, rows, columns])


@pytest.mark.parametrize("dtype", ["u1", "<u2", ">u2", "<f4"])
def test_types(tmp_path, dtype):
    image = (IMAGE % 251).astype(dtype)
    path = write(tmp_path / "a", image=image)
    planes = open_ome_zarr(path).planes[1]
    plane = planes[2]
    read = plane.read(*EVERYTHING)
    factor = 257 if dtype == "u1" else 1
    expected = np.uint16 if np.dtype(dtype).kind == "u" else np.float32
    assert (plane.dtype, read.dtype) == (expected, expected)
    np.testing.assert_array_equal(read, (IMAGE[1, 2] % 251) * factor)
    maximum = MaximumPlane(planes).read(*EVERYTHING)
    assert maximum.dtype == expected
    np.testing.assert_array_equal(maximum, (IMAGE[1] % 251).max(0) * factor)


def test_random_crops_of_a_well(tmp_path):
    well = open_image(write(tmp_path / "well.ome.zarr"))
    assert (well.name, well.modality) == ("well", "PHASE_CONTRAST")
    assert well.num_z == 3
    for _ in range(50):
        (top, end_row), (left, end_column) = (
            np.sort(RANDOM.choice(size + 1, 2, replace=False)) for size in SHAPE
        )
        rows, columns = slice(top, end_row), slice(left, end_column)
        stack = well.read_planes(rows, columns)
        assert stack.dtype == np.uint16
        np.testing.assert_array_equal(
            stack, np.moveaxis(IMAGE[0, :, rows, columns], 0, -1)
        )
        np.testing.assert_array_equal(
            well.read_label("DAPI_CONFOCAL", rows, columns),
            IMAGE[1, :, rows, columns].max(axis=0),
        )
    padded = well.read_planes_padded(-5, 40, 20, 30)
    assert padded.shape == (20, 30, 3)


@pytest.mark.parametrize("indices", [(2, 0), (0, 0, 1, 1), (1,), (0, 2)])
def test_chosen_planes(tmp_path, indices):
    well = open_image(write(tmp_path / "a"))
    planes = tuple(well.planes[z] for z in indices)
    chosen = dataclasses.replace(well, planes=planes)
    np.testing.assert_array_equal(
        chosen.read_planes(*EVERYTHING),
        np.moveaxis(IMAGE[0][list(indices)], 0, -1),
    )


def test_planes_of_several_images(tmp_path):
    Image.fromarray(IMAGE[1, 1]).save(tmp_path / "plane.png")
    first = open_image(write(tmp_path / "a"))
    second = open_image(write(tmp_path / "b", image=IMAGE + np.uint16(1)))
    png = open_png(tmp_path / "plane.png")
    planes = (first.planes[2], second.planes[1], png)
    expected = [IMAGE[0, 2], IMAGE[0, 1] + np.uint16(1), IMAGE[1, 1]]
    mixed = dataclasses.replace(first, planes=planes)
    np.testing.assert_array_equal(
        mixed.read_planes(*EVERYTHING), np.moveaxis(expected, 0, -1)
    )
    for parts in (planes[:2], planes[1:]):
        np.testing.assert_array_equal(
            MaximumPlane(parts).read(*EVERYTHING),
            np.max([plane.read(*EVERYTHING) for plane in parts], axis=0),
        )


@pytest.mark.parametrize(
    ("chunks", "expected"),
    # Rows 10 to 39 and columns 10 to 19 lie in 3 x 2 chunks of 16 pixels.
    [((1, 3, 16, 16), 6), ((1, 1, 16, 16), 18), ((2, 2, 64, 64), 2)],
)
def test_each_chunk_is_read_once(tmp_path, monkeypatch, chunks, expected):
    well = open_image(write(tmp_path / "a", chunks=chunks))
    keys = count_chunk_reads(monkeypatch)
    rows, columns = slice(10, 37), slice(10, 20)
    well.read_planes(rows, columns)
    assert len(keys) == len(set(keys)) == expected
    keys.clear()
    well.read_label("DAPI_CONFOCAL", rows, columns)
    assert len(keys) == len(set(keys)) == expected


def test_planes_that_are_not_asked_for_are_not_read(tmp_path, monkeypatch):
    well = open_image(write(tmp_path / "a", chunks=(1, 1, 64, 64)))
    keys = count_chunk_reads(monkeypatch)
    ends = dataclasses.replace(well, planes=well.planes[::2])
    ends.read_planes(*EVERYTHING)
    assert len(keys) == 2
    keys.clear()
    well.planes[1].read(*EVERYTHING)
    assert len(keys) == 1


def test_opening_reads_no_chunk(tmp_path, monkeypatch):
    path = write(tmp_path / "a")
    keys = count_chunk_reads(monkeypatch)
    open_image(path)
    assert keys == []


@pytest.mark.parametrize(
    ("unit", "size_um"),
    [("nanometer", 325e-3), ("millimeter", 325e3), ("parsec", None)],
)
def test_units(tmp_path, unit, size_um):
    units = {"y": unit, "x": unit}
    path = write(tmp_path / "a", scale=[1, 1, 325, 325], units=units)
    image = open_ome_zarr(path)
    assert image.pixel_size_um == pytest.approx(size_um)
    assert image.z_spacing_um is None


def test_scale_of_all_levels_multiplies(tmp_path):
    path = write(tmp_path / "a", scale=[1, 2, 3, 3], units=MICROMETRES)
    common = [
        {"type": "translation", "translation": [0, 0, 7, 7]},
        {"type": "scale", "scale": [1, 10, 0.1, 0.1]},
    ]

    def edit(value):
        value["multiscales"][0]["coordinateTransformations"] = common

    change(path, edit)
    image = open_ome_zarr(path)
    assert image.pixel_size_um == pytest.approx(0.3)
    assert image.z_spacing_um == pytest.approx(20)


@pytest.mark.parametrize("names", [None, NAMES[:1], (*NAMES, "MORE")])
def test_names_that_do_not_fit_are_not_told(tmp_path, names):
    image = open_ome_zarr(write(tmp_path / "a", names=names))
    assert image.channel_names == ("", "")


def test_names_of_axes(tmp_path):
    path = write(tmp_path / "a")

    def edit(value):
        value["multiscales"][0]["axes"][0]["name"] = "stain"
        value["multiscales"][0]["axes"][2]["name"] = "Y"

    change(path, edit)
    assert open_ome_zarr(path).channel_names == NAMES


def test_well_of_a_spec(tmp_path):
    write(tmp_path / "plates" / "a.zarr")
    write(tmp_path / "plates" / "labels.zarr", image=IMAGE[::-1])
    spec = DatasetSpec(
        name="made_up",
        condition="B",
        modality="PHASE_CONTRAST",
        num_z=3,
        labels=("DAPI_CONFOCAL",),
    )
    plain = WellSpec("A1", "plates/a.zarr", {"train": Region()})
    well = open_well(spec, plain, tmp_path)
    assert well.name == "A1"
    np.testing.assert_array_equal(
        well.read_label("DAPI_CONFOCAL", *EVERYTHING), IMAGE[1].max(axis=0)
    )
    write_plate(tmp_path / "plate.zarr", "0.5")
    field = dataclasses.replace(plain, path="plate.zarr/A/01/1")
    assert open_well(spec, field, tmp_path).shape == SHAPE
    # Labels of a second image, which lies beside the first.
    listed = dataclasses.replace(plain, labels={"DAPI_CONFOCAL": "labels.zarr"})
    well = open_well(spec, listed, tmp_path)
    np.testing.assert_array_equal(
        well.read_label("DAPI_CONFOCAL", *EVERYTHING), IMAGE[0].max(axis=0)
    )


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (
            lambda v: v.pop("multiscales"),
            "must be one image. Received: a group or array without multi.*full",
        ),
        (
            lambda v: v.update(multiscales=[]),
            r"multiscales must be a list of at least one object. Received: \[",
        ),
        (
            lambda v: v.update(multiscales={"axes": 1}),
            "multiscales must be a list",
        ),
        (
            lambda v: v["multiscales"][0].update(version="0.3"),
            r"multiscales\[0\].version must be 0.4 or 0.5. Received: '0.3'",
        ),
        (
            lambda v: v["multiscales"][0].update(axes=list("czyx")),
            r"axes\[0\] must be an object. Received: 'c'",
        ),
        (
            lambda v: v["multiscales"][0].pop("axes"),
            "axes must be a list of at least one object",
        ),
        (
            lambda v: v["multiscales"][0]["axes"][1].update(name="x"),
            r"axes\[3\] must be one of t, c, z, y, x, each once",
        ),
        (
            lambda v: v["multiscales"][0]["axes"][2].update(name="t"),
            "axes must have y and x",
        ),
        (
            lambda v: v["multiscales"][0]["axes"].pop(1),
            "scale must hold 3 numbers, one an axis",
        ),
        (
            lambda v: v["multiscales"][0]["datasets"][0].pop("path"),
            "path must be a text",
        ),
        (
            lambda v: v["multiscales"][0]["datasets"][0].update(path="gone"),
            "level 'gone' must be an array that can be read",
        ),
    ],
)
def test_metadata_that_break_the_format(tmp_path, version, edit, message):
    path = write(tmp_path / "a", version)
    change(path, edit)
    with pytest.raises(InputError, match=message) as error:
        open_image(path)
    assert str(path) in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize("version", VERSIONS)
def test_damaged_json(tmp_path, version):
    path = write(tmp_path / "a", version)
    file = metadata_file(path)
    file.write_text(file.read_text()[:-5])
    with pytest.raises(InputError, match=f"{file.name}: must be valid JSON"):
        open_image(path)
    file.write_text("[]")
    with pytest.raises(InputError, match=f"{file.name}: .* must be an object"):
        open_image(path)


def test_other_versions(tmp_path):
    path = write(tmp_path / "a", "0.6")
    message = "ome.version must be 0.4 or 0.5. Received: '0.6'"
    with pytest.raises(InputError, match=message):
        open_ome_zarr(path)
    path = write_plate(tmp_path / "plate", "0.4")
    change(path, lambda v: v["plate"].update(version="0.1"))
    with pytest.raises(InputError, match="plate.version must be 0.4 or 0.5"):
        open_plate(path)


@pytest.mark.parametrize("version", VERSIONS)
def test_damaged_array(tmp_path, version):
    path = write(tmp_path / "a", version)
    file = metadata_file(path / "full")
    file = file if file.name == "zarr.json" else path / "full" / ".zarray"
    file.write_text("{}")
    with pytest.raises(InputError, match="a: level 'full' must be an array"):
        open_image(path)


def test_truncated_chunk(tmp_path):
    path = write(tmp_path / "a")
    chunk = path / "full" / "0" / "0" / "1" / "1"
    chunk.write_bytes(chunk.read_bytes()[:-7])
    well = open_image(path)
    well.read_planes(slice(0, 16), slice(0, 16))
    with pytest.raises(InputError, match="a: OME-Zarr cannot be decoded"):
        well.read_planes(slice(0, 20), slice(0, 20))


def test_chunk_that_was_left_out_is_zero(tmp_path):
    path = write(tmp_path / "a")
    for channel in "01":
        (path / "full" / channel / "0" / "1" / "1").unlink()
    stack = open_image(path).read_planes(*EVERYTHING)
    expected = np.moveaxis(IMAGE[0], 0, -1).copy()
    expected[16:32, 16:32] = 0
    np.testing.assert_array_equal(stack, expected)


@pytest.mark.parametrize(
    ("image", "axes", "message"),
    [
        (IMAGE[:, :, :0], "czyx", r"none empty. Received: .*\(2, 3, 0, 53\)"),
        (IMAGE[0], "czyx", r"axes c, z, y, x.*shape \(3, 37, 53\)"),
        (IMAGE, "tzyx", "one time point. Received: 2"),
        (IMAGE.astype(np.int16), "czyx", "unsigned integers or floats.*int16"),
        (IMAGE.astype(bool), "czyx", "unsigned integers or floats.*bool"),
    ],
)
def test_other_kinds_of_arrays(tmp_path, image, axes, message):
    chunks = tuple(max(n, 1) for n in image.shape)
    path = write(tmp_path / "a", image=image, axes=axes, chunks=chunks)
    with pytest.raises(InputError, match=f"a: array must .*{message}"):
        open_ome_zarr(path)


def test_rgb_is_no_stack(tmp_path):
    image = np.zeros((20, 30, 3), np.uint8)
    path = write(
        tmp_path / "a", image=image, axes="yxc", chunks=None, names=None
    )
    message = "one channel must be transmitted light.*Received: channels '', ''"
    with pytest.raises(InputError, match=message):
        open_image(path)


def test_floats_are_no_well(tmp_path):
    path = write(tmp_path / "a", image=IMAGE.astype(np.float32))
    with pytest.raises(InputError, match="of 8 or 16 bits. Received: float32"):
        open_image(path)


def test_pixels_that_are_not_square(tmp_path):
    path = write(tmp_path / "a", scale=[1, 1, 0.6, 0.5], units=MICROMETRES)
    with pytest.raises(InputError, match="square. Received: 0.5 x 0.6"):
        open_ome_zarr(path)


def test_folders_that_are_no_zarr(tmp_path):
    assert not is_zarr(tmp_path) and not is_plate(tmp_path)
    for function in (open_ome_zarr, open_plate):
        with pytest.raises(InputError, match="folder of OME-Zarr.*zarr.json"):
            function(tmp_path)
    (tmp_path / "a.zarr").mkdir()
    with pytest.raises(InputError, match="a.zarr: must be a folder of OME-Z"):
        open_image(tmp_path / "a.zarr")


@pytest.mark.parametrize("version", VERSIONS)
def test_members_of_a_group_are_images_and_groups(tmp_path, version):
    group = tmp_path / "a.zarr"
    zarr_stores.write_group(group, {}, version)
    zarr_stores.write_array(group / "full", IMAGE, version=version)
    # An image that has lost its metadata is no folder of images.
    assert list_members(group) == ()
    for name in ("1", "0", ".left_over", "OME"):
        write(group / name, version)
    metadata_file(group / "1").write_text("{")
    assert list_members(group) == ("0", "1")
    assert list_members(group / "0") == list_members(tmp_path) == ()
    metadata_file(group).write_text("{")
    assert list_members(group) == ()


def write_plate(folder, version, wells=("B/3", "A/01"), num_fields=2):
    rows, columns = zip(*(well.split("/") for well in wells), strict=True)
    plate = {
        "wells": [
            {"path": well, "rowIndex": k, "columnIndex": k}
            for k, well in enumerate(wells)
        ],
        "rows": [{"name": row} for row in rows],
        "columns": [{"name": column} for column in columns],
    }
    zarr_stores.write_group(folder, {"plate": plate}, version)
    for well in wells:
        images = [{"path": str(k)} for k in range(num_fields)]
        attributes = {"well": {"images": images}}
        zarr_stores.write_group(folder / well, attributes, version)
        for image in images:
            write(folder / well / image["path"], version)
    return folder


@pytest.mark.parametrize("version", VERSIONS)
def test_plate(tmp_path, version):
    path = write_plate(tmp_path / "plate.zarr", version)
    assert is_plate(path) and not is_plate(path / "B" / "3")
    plate = open_plate(path)
    assert plate.fields == {
        "B3": ("B/3/0", "B/3/1"),
        "A01": ("A/01/0", "A/01/1"),
    }
    assert (plate.path, plate.missing) == (str(path), ())
    assert open_image(path / "A" / "01" / "0").name == "A01"
    assert open_image(path / "A" / "01" / "1").name == "A01_1"
    (tmp_path / "mine.zarr").symlink_to(path / "A" / "01" / "0")
    assert open_image(tmp_path / "mine.zarr").name == "mine"
    message = "plate.zarr: must be one image. Received: a plate; in it are "
    with pytest.raises(InputError, match=message + "B/3/0, B/3/1, A/01/0"):
        open_image(path)
    with pytest.raises(InputError, match="a well of a plate; in it are 0, 1"):
        open_image(path / "B" / "3")
    with pytest.raises(InputError, match="must be an OME-Zarr plate.*an image"):
        open_plate(path / "B" / "3" / "0")


def test_large_plate_is_not_listed_in_full(tmp_path):
    wells = [f"A/{k}" for k in range(1, 8)]
    path = write_plate(tmp_path / "plate", "0.4", wells)
    with pytest.raises(InputError, match=r"A/6/1, ... \(14 in all\)\.$"):
        open_image(path)


def test_plate_with_a_missing_well_and_field(tmp_path):
    path = write_plate(tmp_path / "plate", "0.5")
    (path / "B").rename(tmp_path / "lost")
    (path / "A" / "01" / "1").rename(tmp_path / "lost_too")
    plate = open_plate(path)
    assert plate.fields == {"A01": ("A/01/0",)}
    assert plate.missing == ("B/3", "A/01/1")
    with pytest.raises(InputError, match="of well A01 must be one of 0. Rec"):
        open_inside(path / "A01" / "1" / NAMES[0])
    with pytest.raises(InputError, match="B/3: must be a folder of OME-Zarr"):
        open_inside(path / "B3" / "0" / NAMES[0])


@pytest.mark.parametrize("version", VERSIONS)
def test_damaged_plate(tmp_path, version):
    path = write_plate(tmp_path / "plate", version)
    change(path, lambda v: v["plate"]["wells"][0].pop("path"))
    with pytest.raises(InputError, match=r"wells\[0\].path must be a text"):
        open_plate(path)
    path = write_plate(tmp_path / "wells", version)
    change(path / "B" / "3", lambda v: v["well"].update(images=[]))
    with pytest.raises(InputError, match="well.images must be a list"):
        open_plate(path)
