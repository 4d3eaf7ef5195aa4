"""What is measured of images, printed and written."""

import csv
import json
import os

import numpy as np
import pytest

from isl.errors import InputError
from isl.inspection import contact_sheet, output, text
from isl.inspection.contact_sheet import draw_contact_sheet
from isl.inspection.inspection import inspect_images
from isl.inspection.measuring import THUMBNAIL_SIZE, measure_planes
from isl.inspection.well_report import Limits
from isl.specs import DatasetSpec
from tests.inspection_images import (
    DAPI,
    NUM_Z,
    SIZE,
    kinds,
    label_name,
    noise,
    plane_name,
    scaled,
    spec_of,
    stack,
    write,
    write_and_open,
)


def test_measurements_are_those_of_all_pixels(tmp_path):
    image = scaled(noise(0, shape=(700, 333)), 0.4)
    image[0, :7] = 0
    image[5, :9] = 65535
    measured = measure_planes([write_and_open(tmp_path, image)])[0]
    intensities = image / 65535
    assert measured.shape == (700, 333)
    assert measured.bits == 16
    assert (measured.minimum, measured.maximum) == (0, 1)
    assert measured.mean == pytest.approx(intensities.mean())
    assert measured.standard_deviation == pytest.approx(intensities.std())
    assert measured.share_at_0 == 7 / image.size
    assert measured.share_at_maximum == 9 / image.size


def test_eight_bits_are_told_from_sixteen(tmp_path):
    image = (scaled(noise(0), 0.5) // 257).astype(np.uint8)
    measured = measure_planes([write_and_open(tmp_path, image)])[0]
    assert measured.bits == 8
    assert measured.mean == pytest.approx(image.mean() / 255)


@pytest.mark.parametrize("shape", [(1, 1), (3, 700), (700, 3), (321, 320)])
def test_thumbnails_of_any_shape(tmp_path, shape):
    image = scaled(noise(0, shape=(700, 700)), 0.4)[: shape[0], : shape[1]]
    measured = measure_planes([write_and_open(tmp_path, image)])[0]
    thumbnail = measured.thumbnail
    step = max(1, max(shape) // THUMBNAIL_SIZE)
    assert thumbnail.dtype == np.uint8
    assert thumbnail.shape == tuple(max(1, size // step) for size in shape)
    assert max(thumbnail.shape) < 2 * THUMBNAIL_SIZE


def test_thumbnails_show_what_is_where(tmp_path):
    image = np.full((640, 640), 1000, np.uint16)
    image[:320, 320:] = 3000
    image[320:, :320] = 2000
    measured = measure_planes([write_and_open(tmp_path, image)])[0]
    assert measured.thumbnail.shape == (160, 160)
    corners = measured.thumbnail[::159, ::159]
    assert corners.tolist() == [[0, 255], [128, 0]]


class Banded:
    """A plane that remembers how much is read of it at once."""

    dtype = np.dtype(np.uint16)
    path = "banded"
    gain = 1

    def __init__(self, shape):
        self.shape = shape
        self.most = 0

    def read(self, rows, columns):
        shape = (rows.stop - rows.start, columns.stop - columns.start)
        self.most = max(self.most, shape[0] * shape[1])
        row = np.arange(rows.start, rows.stop, dtype=np.uint16)[:, np.newaxis]
        return np.broadcast_to(row, shape)


def test_large_images_are_read_in_bands():
    num_rows = 2**14 + 500
    plane = Banded((num_rows, 2**10))
    measured = measure_planes([plane])[0]
    assert plane.most <= 2**24
    assert measured.mean == pytest.approx((num_rows - 1) / 2 / 65535)
    assert measured.thumbnail.shape == (num_rows // 105, 9)


# --- What is printed and written.


def test_the_table(plate):
    found = inspect_images(plate)
    lines = text.format_table(found)
    header = (
        "well channel role images size bits um min mean std max at 0 at max"
    )
    assert lines[0].split() == [*header.split(), "focus"]
    assert len(lines) == 5
    planes = [image.measured for image in found.wells[0].images[:NUM_Z]]
    means = np.mean([(p.mean, p.standard_deviation) for p in planes], axis=0)
    assert lines[1].split() == [
        *("A1", "PHASE_CONTRAST", "input", "5", "96x96", "16", "-"),
        f"{min(plane.minimum for plane in planes):.5f}",
        *(f"{mean:.5f}" for mean in means),
        f"{max(plane.maximum for plane in planes):.5f}",
        "0.00%",
        f"{max(plane.share_at_maximum for plane in planes):.2%}",
        *("z", "1"),  # Blurred to the scale that is looked for.
    ]
    assert lines[4].split()[:4] == ["A2", DAPI, "label", "1"]
    assert len({line.index("96x96") for line in lines[1:]}) == 1


def test_the_table_of_tiles_and_of_what_cannot_be_read(tmp_path):
    folder = tmp_path / "tiles"
    for index, size in enumerate((SIZE, SIZE, 48)):
        image = scaled(noise(index, shape=(size, size)), 0.5)
        write(folder / f"bf_{index}.png", image)
    line = text.format_table(inspect_images(folder))[1].split()
    assert line[:5] == ["tiles", "bf", "input", "3", "2"]
    for path in folder.iterdir():
        path.write_bytes(b"")
    line = text.format_table(inspect_images(folder))[1].split()
    assert line == ["tiles", "bf", "input", "3", *"-" * 10]


def test_problems_are_lines(plate):
    for z in (2, 3):
        write(plate / plane_name("A2", z), stack(1)[z] // 4)
    (plate / plane_name("A1", 2)).unlink()
    error, warning = text.format_problems(inspect_images(plate), plate)
    assert error == (
        f"error missing_plane: {plane_name('A1', 0)}: there is no z 2; copy "
        "the missing planes, or drop the well"
    )
    assert warning.startswith(f"warning intensity: {plane_name('A2', 2)}: z 2")
    assert warning.endswith(
        "normalise with experiments/prepare.py (and 1 more)"
    )


def test_errors_are_told_of_all_wells_and_warnings_of_some(tmp_path):
    for well in range(6):
        name = f"field{well}"
        write(tmp_path / f"{name}__bf.png", scaled(noise(well), 0.2))
        write(tmp_path / f"{name}__dapi.png", np.zeros((9, 9), np.uint8))
        write(tmp_path / f"{name}__gfp.png", scaled(noise(9 + well), 0.6))
    lines = text.format_problems(inspect_images(tmp_path), tmp_path)
    told = [" ".join(line.split()[:2]) for line in lines]
    assert told.count("error constant:") == 6
    assert told[-4:] == ["warning intensity:"] * 4
    assert lines[-1] == "warning intensity: 6 more, of 3 other wells"


def test_paths_are_told_from_the_input_on():
    assert text.shorten("a/b/c.png", "a") == "b/c.png".replace("/", os.sep)
    assert text.shorten("a/c.png", "a/c.png") == "c.png"
    assert text.shorten("x/c.png", "a") == "x/c.png"


def test_guesses_are_a_source_of_a_spec(tmp_path):
    for field in ("one", "two"):
        write(tmp_path / f"{field}__0 bf.png", scaled(noise(1), 0.5))
        write(tmp_path / f"{field}__1-dapi.png", scaled(noise(2), 0.25))
    lines = text.format_guesses(inspect_images(tmp_path))
    assert lines[0].startswith(f"{tmp_path}: 4 of 4 names were read as")
    source = json.loads("{" + lines[1] + "}")["source"]
    assert source["channels"] == {"0 bf": "BRIGHTFIELD", "1-dapi": "DAPI"}
    value = spec_of().to_dict() | {"wells": [], "labels": ["DAPI"]}
    value |= {"source": source, "modality": "BRIGHTFIELD", "num_z": 1}
    found = inspect_images(tmp_path, DatasetSpec.from_dict(value))
    assert [well.well for well in found.wells] == ["one", "two"]
    assert found.num_errors == 0


def test_a_channel_that_may_be_any_modality_is_left_to_the_user(tmp_path):
    for index in range(3):
        write(tmp_path / f"tile_{index}.png", scaled(noise(index), 0.5))
    lines = text.format_guesses(inspect_images(tmp_path))
    channels = json.loads("{" + lines[1] + "}")["source"]["channels"]
    assert channels == {"tile": "BRIGHTFIELD or PHASE_CONTRAST or DIC"}


def read_csv(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_tables_and_sheet_are_written(plate, tmp_path):
    damaged = plate / plane_name("A1", 2)
    damaged.write_bytes(damaged.read_bytes()[:-40])
    found = inspect_images(plate)
    folder = tmp_path / "new" / "checked"
    output.write_inspection(folder, found, plate)
    assert sorted(path.name for path in folder.iterdir()) == [
        "contact_sheet.png",
        "images.csv",
        "problems.csv",
    ]
    images = read_csv(folder / "images.csv")
    assert tuple(images[0]) == output.IMAGE_COLUMNS
    assert len(images) == 2 * (NUM_Z + 1)
    assert images[0]["file"] == plane_name("A1", 0)
    assert float(images[0]["mean"]) == found.wells[0].images[0].measured.mean
    sharpness = found.wells[0].images[0].measured.focus.mean()
    assert float(images[0]["sharpness"]) == sharpness > 0
    assert (images[2]["z"], images[2]["mean"], images[2]["rows"]) == (
        "2",
        "",
        "",
    )
    (problem,) = read_csv(folder / "problems.csv")
    assert problem == {
        "level": "error",
        "kind": "unreadable",
        "well": "A1",
        "file": plane_name("A1", 2),
        "what": "PNG is truncated: it has no end mark.",
        "advice": "export or copy the file again",
    }


@pytest.mark.parametrize("inside", ["", "checked", "a/b"])
def test_nothing_is_written_into_the_input(plate, inside):
    before = sorted(plate.rglob("*"))
    found = inspect_images(plate)
    with pytest.raises(InputError, match="output_dir: must lie outside"):
        output.write_inspection(plate / inside, found, plate)
    assert sorted(plate.rglob("*")) == before


def test_the_contact_sheet_shows_each_channel(plate):
    bright = scaled(noise(9), 0.25)
    bright[:, SIZE // 2 :] = 65535
    write(plate / label_name("A1"), bright)
    for z in range(NUM_Z):
        path = plate / plane_name("A2", z)
        path.write_bytes(path.read_bytes()[:100])
    sheet = np.asarray(draw_contact_sheet(inspect_images(plate), "plate"))
    assert sheet.shape[2] == 3
    # The second thumbnail of the first line: 160 pixels, its right half white.
    top, left = 16 + 3 * 15 + 15, 16 + 168
    thumbnail = sheet[top : top + 160, left : left + 160]
    assert thumbnail[:, 90:].min() > 230
    assert thumbnail[:, :70].mean() < 150
    # The error's colour, and the place of what cannot be read.
    assert (sheet == (0xD5, 0x5E, 0x00)).all(axis=-1).any()
    assert (sheet == 0xDD).all(axis=-1).sum() > 10_000


def test_a_contact_sheet_is_never_endless(tmp_path, monkeypatch):
    for index in range(5):
        write(tmp_path / f"tile_{index}.png", scaled(noise(index), 0.5))
    found = inspect_images(tmp_path)
    tall = draw_contact_sheet(found, "x").size
    monkeypatch.setattr(contact_sheet, "MAX_WELLS", 2)
    small = draw_contact_sheet(found, "x").size
    assert small[1] == tall[1] and small[0] < tall[0]
    monkeypatch.setattr(contact_sheet, "_PAGE_WIDTH", 400)
    narrow = draw_contact_sheet(found, "x").size
    assert narrow[0] <= 416


def test_limits_can_be_changed(plate):
    image = scaled(noise(0), 0.5).clip(0, np.uint16(45000))
    write(plate / plane_name("A1", 0), image)
    assert kinds(inspect_images(plate)) == ["saturated"]
    limits = Limits(saturated=0.05)
    assert kinds(inspect_images(plate, limits=limits)) == []


def test_progress_is_shown_only_if_asked(plate, capsys):
    inspect_images(plate)
    assert capsys.readouterr() == ("", "")
    inspect_images(plate, show_progress=True)
    assert "check: 100%" in capsys.readouterr().err
