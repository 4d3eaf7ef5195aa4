"""Specs: the shipped files, and one clear line for each mistake."""

import json
import pathlib
import re
import subprocess
import sys

import pytest

from isl.errors import InputError
from isl.specs import (
    DatasetSpec,
    Region,
    list_splits,
    load_dataset_spec,
    load_dataset_specs,
    select_wells,
)
from tests.json_values import edited

DATA_SPECS = pathlib.Path(__file__).parents[1] / "data_specs"

VALUE = {
    "name": "two_fields",
    "condition": "Z",
    "modality": "DIC",
    "num_z": 2,
    "labels": ["DAPI_CONFOCAL", "NEURITE_CONFOCAL"],
    "pixel_size_um": 0.5,
    "wells": [
        {
            "name": "A1",
            "path": "a",
            "splits": {"train": {"columns": [0, 64]}, "test": {}},
            "planes": ["z0.png", "z1.png"],
            "labels": {"DAPI_CONFOCAL": "d.png", "MAP2_CONFOCAL": "m.png"},
        },
        {"name": "A2", "path": "", "splits": {"train": {}}},
    ],
    "well_folders": {"more": "plate_1", "most": ["plate_1", "plate_2"]},
    "facts": {"cell_type": {"value": "HeLa", "source": "U-lo"}},
    "licence": "CC0-1.0",
}


def test_reads_every_field():
    spec = DatasetSpec.from_dict(VALUE)
    assert (spec.name, spec.condition, spec.modality) == (
        "two_fields",
        "Z",
        "DIC",
    )
    assert (spec.num_z, spec.pixel_size_um) == (2, 0.5)
    assert spec.labels == ("DAPI_CONFOCAL", "NEURITE_CONFOCAL")
    first, second = spec.wells
    assert first.splits == {
        "train": Region(columns=(0, 64)),
        "test": Region(),
    }
    assert first.planes == ("z0.png", "z1.png")
    assert first.labels["MAP2_CONFOCAL"] == "m.png"
    assert (second.planes, second.labels) == (None, None)
    assert spec.well_folders == {
        "more": ("plate_1",),
        "most": ("plate_1", "plate_2"),
    }
    assert spec.facts["cell_type"]["source"] == "U-lo"
    assert (spec.licence, spec.citation) == ("CC0-1.0", None)


def test_to_dict_round_trip_through_json():
    spec = DatasetSpec.from_dict(VALUE)
    text = json.dumps(spec.to_dict())
    assert DatasetSpec.from_dict(json.loads(text)) == spec


def test_select_wells():
    spec = DatasetSpec.from_dict(VALUE)
    assert [w.name for w in select_wells(spec, "train")] == ["A1", "A2"]
    assert [w.name for w in select_wells(spec, "test")] == ["A1"]
    assert select_wells(spec, "more") == ()
    assert list_splits(spec) == ("train", "test", "more", "most")
    with pytest.raises(InputError, match="train, test, more, most.*'tset'"):
        select_wells(spec, "tset")


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        (["name"], 3, r"name must be a text.*Received: 3"),
        (["condition"], " ", r"condition must be a text"),
        (["modality"], "PHASE", r"modality must be one of BRIGHT.*'PHASE'"),
        (["num_z"], 0, r"num_z must be an integer.*Received: 0"),
        (["num_z"], True, r"num_z must be an integer.*Received: True"),
        (["num_z"], 3, r"wells\[0\].planes must list num_z = 3 files"),
        (["labels"], "DAPI", r"labels must be a list.*'DAPI'"),
        (["labels"], [], r"labels.DAPI_CONFOCAL must be one of \(none\)"),
        (["labels"], ["dapi"], r"labels\[0\] must be an upper-case.*'dapi'"),
        (["labels"], ["A", "A"], r"labels\[1\] must not be listed twice"),
        (["pixel_size_um"], -1, r"pixel_size_um must be .* above 0"),
        (["pixel_size_um"], "x", r"pixel_size_um must be .*Received: 'x'"),
        (["wells"], {}, r"wells must be a list"),
        (["wells", 1], "A2", r"wells\[1\] must be an object.*'A2'"),
        (["wells", 1, "name"], "A1", r"wells\[1\].name must differ"),
        (["wells", 1, "path"], "/data", r"wells\[1\].path must be a rel"),
        (["wells", 1, "path"], 1, r"wells\[1\].path must be a path"),
        (["wells", 1, "splits"], {}, r"wells\[1\].splits must name"),
        (["wells", 1, "splits"], [], r"wells\[1\].splits must be an obj"),
        (
            ["wells", 0, "splits", "train"],
            {"columns": [9, 9]},
            r"wells\[0\].splits.train.columns must be .*\[9, 9\]",
        ),
        (
            ["wells", 0, "splits", "train"],
            {"column": [0, 9]},
            r"train.column must be one of .*mean 'columns'\?.*'column'",
        ),
        (["wells", 0, "planes"], [], r"wells\[0\].planes must list at least"),
        (["wells", 0, "planes"], [1, 2], r"planes\[0\] must be a path"),
        (
            ["wells", 0, "labels"],
            {"DAPI": "d.png"},
            r"wells\[0\].labels.DAPI must be one of DAPI_CONFOCAL.*'DAPI'",
        ),
        (["well_folders"], {"train": 1}, r"well_folders.train must be"),
        (["well_folders"], {"train": []}, r"well_folders.train must be"),
        (["facts"], {"a": 1}, r"facts.a must be an object"),
        (["facts"], {"a": {"value": 1}}, r"facts.a.source must be given"),
        (
            ["facts"],
            {"a": {"value": 1, "source": None}},
            r"facts.a.source must be a text",
        ),
        (
            ["normalization"],
            {"DAPI_CONFOCAL": None},
            r"normalization.DAPI_CONFOCAL must be an object",
        ),
        (
            ["normalization"],
            {"DAPI_CONFOCAL": {}},
            r"DAPI_CONFOCAL.statistics must be given",
        ),
        (
            ["normalization"],
            {
                "DAPI_CONFOCAL": {
                    "statistics": {"count": 9, "mean": 7.0, "std": 2.0},
                    "target": {"mean": 0.25, "std": 0},
                    "scope": "plate",
                }
            },
            r"target.std must be a number above 0",
        ),
        (["label"], [], r"label must be one of the known keys.*'labels'\?"),
        (["zebra"], [], r"zebra must be one of the known keys.*'zebra'"),
    ],
)
def test_mistakes_name_file_key_and_value(tmp_path, place, value, message):
    path = tmp_path / "spec.json"
    path.write_text(json.dumps(edited(VALUE, place, value)))
    with pytest.raises(InputError) as error:
        load_dataset_spec(path)
    text = str(error.value)
    assert text.startswith(f"{path}: ")
    assert re.search(message, text), text
    assert "\n" not in text


def test_missing_key_and_no_wells():
    with pytest.raises(InputError, match="spec: labels must be given"):
        DatasetSpec.from_dict({"name": "a", "condition": "A"})
    with pytest.raises(InputError, match="wells must list a well"):
        DatasetSpec.from_dict({"name": "a", "condition": "A", "labels": ["L"]})


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"{", "must be valid JSON"),
        (b"\xff\xfe{}", "must be valid JSON"),
        (b"[]", r"the file must be an object. Received: \[\]"),
    ],
)
def test_unreadable_spec(tmp_path, content, message):
    path = tmp_path / "spec.json"
    path.write_bytes(content)
    with pytest.raises(InputError, match=message):
        load_dataset_spec(path)
    with pytest.raises(InputError, match="nowhere.json: cannot be read"):
        load_dataset_spec(tmp_path / "nowhere.json")


@pytest.mark.parametrize(
    ("text", "rows", "columns"),
    [
        ("0-1024:704-1024", (0, 1024), (704, 1024)),
        (":704-1024", None, (704, 1024)),
        ("3-4:", (3, 4), None),
        (":", None, None),
    ],
)
def test_region_parse(text, rows, columns):
    assert Region.parse(text) == Region(rows, columns)


@pytest.mark.parametrize(
    "text", ["", "704-1024", "5-5:", ":9-3", "1:2", "a-b:", "-1-3:", "1-2:3-4:"]
)
def test_region_parse_mistakes(text):
    with pytest.raises(InputError, match="rows:columns.*Received"):
        Region.parse(text)


def test_at_least_one_spec():
    with pytest.raises(InputError, match="must name a file. Received: none"):
        load_dataset_specs([])


def test_a_spec_is_named_once(tmp_path):
    path = tmp_path / "spec.json"
    again = tmp_path / "." / "folder" / ".." / "spec.json"
    with pytest.raises(InputError, match="each file once. Received: .*, "):
        load_dataset_specs([path, again])


def test_region_resolve():
    assert Region(columns=(2, 5)).resolve((4, 5)) == (slice(0, 4), slice(2, 5))
    with pytest.raises(InputError, match=r"columns .*\(0-4\).*2-5"):
        Region(columns=(2, 5)).resolve((9, 4))
    with pytest.raises(InputError, match="rows must lie inside"):
        Region(rows=(0, 10)).resolve((9, 4))


@pytest.mark.parametrize("path", sorted(DATA_SPECS.glob("*.json")), ids=str)
def test_shipped_specs_round_trip(path):
    spec = load_dataset_spec(path)
    assert spec.name == path.stem
    assert DatasetSpec.from_dict(spec.to_dict()) == spec


@pytest.mark.parametrize("condition", "ABCDE")
def test_paper_conditions_mark_every_fact(condition):
    spec = load_dataset_spec(DATA_SPECS / f"condition_{condition.lower()}.json")
    assert spec.condition == condition
    assert spec.num_z == (26 if condition == "E" else 13)
    marks = r"(P|C|R|D|M|S|U-hi|U-med|U-lo)(:|;|$)"
    for name, fact in spec.facts.items():
        if fact["value"] is not None:
            assert re.match(marks, fact["source"]), name
    # Only A's pixel size was read in the paper; the others are unverified.
    assert spec.pixel_size_um == (0.5 if condition == "A" else None)
    for split in ("train", "test"):
        for folder in spec.well_folders[split]:
            assert folder.startswith(
                f"paper_data/{split}_single_channel_images/"
            )


def test_condition_b_has_four_plates():
    spec = load_dataset_spec(DATA_SPECS / "condition_b.json")
    assert [f.rsplit("/", 1)[1] for f in spec.well_folders["train"]] == [
        "kevan_0_7",
        "kevan_0_8",
        "kevan_0_9",
        "kevan_0_10",
    ]


def test_condition_b_sample_split():
    spec = load_dataset_spec(DATA_SPECS / "condition_b_sample.json")
    (well,) = spec.wells
    assert {k: r.columns for k, r in well.splits.items()} == {
        "train": (0, 704),
        "fit": (0, 592),
        "validation": (592, 704),
        "test": (704, 1024),
    }
    assert all(region.rows is None for region in well.splits.values())


def test_mcf7_split():
    spec = load_dataset_spec(DATA_SPECS / "mcf7_nk.json")
    names = {
        split: {well.name for well in select_wells(spec, split)}
        for split in list_splits(spec)
    }
    test = (
        "510_",
        "810_",
        "Aligned_after_1_MMStack_7",
        "Jan23_",
        "feb_502",
    )
    assert {k: len(v) for k, v in names.items()} == {
        "train": 12,
        "fit": 9,
        "validation": 3,
        "test": 5,
    }
    assert all(name.startswith(test) for name in names["test"])
    assert not any(name.startswith(test) for name in names["train"])
    assert names["fit"] | names["validation"] == names["train"]
    experiments = {name.split("_")[0] for name in names["validation"]}
    others = {name.split("_")[0] for name in names["fit"] | names["test"]}
    assert not experiments & others


def test_specs_and_images_do_not_load_keras():
    code = (
        "import isl.specs, isl.images, sys; print([m for m in ('keras', "
        "'tensorflow', 'jax', 'matplotlib', 'scipy') if m in sys.modules])"
    )
    output = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert output.stdout.strip() == "[]"
