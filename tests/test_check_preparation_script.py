"""Placements and flat fields against known answers."""

import json

import numpy as np
import pytest

from isl.errors import InputError
from isl.images import write_ome_tiff

SCRIPT = "check_preparation"


@pytest.fixture
def prepared(tmp_path):
    """Four tiles: right neighbours at (1, 90), lower ones at (80, -2)."""
    tiles = {
        "positions": [[0, 2], [1, 92], [80, 0], [81, 96]],
        "pairs": [
            {"first": a, "second": b}
            for a, b in ((0, 1), (2, 3), (0, 2), (1, 3))
        ],
    }
    records = {"mosaic": {"found": {"tiles": tiles}}}
    records["single"] = {"found": {"tiles": None}}
    for well, record in records.items():
        path = tmp_path / "records" / f"{well}.json"
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(record))
    flat = np.linspace(0.5, 1.5, 20, dtype=np.float32).reshape(4, 5)
    write_ome_tiff(
        tmp_path / "flat_fields" / "DIC.ome.tif", flat, "YX", ["DIC"]
    )
    return tmp_path


def write_positions(path, rows):
    lines = ["tile,x,y", *(",".join(map(str, row)) for row in rows)]
    path.write_text("\n".join(lines))
    return path


def test_offsets_of_neighbours_are_told(run, prepared, capsys):
    run(prepared=prepared)
    assert capsys.readouterr().out.splitlines() == [
        "mosaic: right neighbours at (1.0, 93.0), at most 3.0 px off (2 pairs)",
        "mosaic: lower neighbours at (80.0, 1.0), at most 3.0 px off (2 pairs)",
    ]


def test_tiles_that_do_not_overlap_have_no_neighbours(run, prepared, capsys):
    tiles = {"positions": [[0, 0], [0, 100]], "pairs": []}
    path = prepared / "records" / "plate_1" / "A1.json"
    path.parent.mkdir()
    path.write_text(json.dumps({"found": {"tiles": tiles}}))
    rows = write_positions(
        prepared / "true.csv", [("t1", 0, 0), ("t2", 100, 0)]
    )
    (prepared / "records" / "mosaic.json").unlink()
    run(prepared=prepared, positions=rows)
    assert capsys.readouterr().out.splitlines() == [
        "plate_1/A1: positions of 2 tiles: root mean square error 0.00 px, "
        "at most 0.00 px"
    ]


def test_positions_are_compared_in_natural_order(run, prepared, capsys):
    # Elsewhere by (100, 50), and the last tile by (-3, -4), off by 5 pixels.
    # Less the mean of (0.75, 1), three are off by 1.25, one by 3.75.
    rows = [
        ("t10", 96 + 50 + 4, 81 + 100 + 3),
        ("t1", 52, 100),
        ("t2", 142, 101),
        ("t9", 50, 180),
    ]
    path = write_positions(prepared / "true.csv", rows)
    run(prepared=prepared, positions=path)
    last = capsys.readouterr().out.splitlines()[-1]
    error = np.sqrt((3 * 1.25**2 + 3.75**2) / 4)
    assert last == (
        "mosaic: positions of 4 tiles: root mean square error "
        f"{error:.2f} px, at most 3.75 px"
    )


@pytest.mark.parametrize(("sign", "expected"), [(1, 1.0), (-1, -1.0)])
def test_flat_fields_are_compared(run, prepared, capsys, sign, expected):
    flat = np.linspace(0.5, 1.5, 20, dtype=np.float32).reshape(4, 5)
    path = prepared / "other.tif"
    write_ome_tiff(path, 7 + 3 * sign * flat, "YX", ["DIC"])
    run(prepared=prepared, channel="DIC", flat_field=path)
    last = capsys.readouterr().out.splitlines()[-1]
    assert last == f"DIC: correlation of flat fields {expected:.4f}"


def write_constant(folder):
    path = folder / "constant.tif"
    write_ome_tiff(path, np.ones((4, 5), np.float32), "YX", ["DIC"])
    return {"flat_field": path, "channel": "DIC"}


def write_words(folder):
    rows = [("t1", "left", 3)]
    return {"positions": write_positions(folder / "words.csv", rows)}


def write_three(folder):
    rows = [(f"t{k}", 0, 0) for k in range(3)]
    return {"positions": write_positions(folder / "three.csv", rows)}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda folder: {"flat_field": "a.tif"}, "given together.*a.tif"),
        (lambda folder: {"prepared": folder / "x"}, "that prepare.py wrote"),
        (write_constant, "constant.tif: flat field must not be constant"),
        (write_words, "words.csv: must be a CSV with the columns.*left"),
        (write_three, "as many tiles as were placed, 4. Received: 3"),
    ],
)
def test_mistakes_are_named(run, prepared, change, message):
    with pytest.raises(InputError, match=message):
        run(**({"prepared": prepared} | change(prepared)))
