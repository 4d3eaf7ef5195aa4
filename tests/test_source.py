import json

import pytest

from isl.errors import InputError
from isl.specs import DatasetSpec, Region, list_splits
from tests.json_values import edited

VALUE = {
    "name": "raw",
    "condition": "Z",
    "modality": "BRIGHTFIELD",
    "labels": ["DAPI_WIDEFIELD"],
    "source": {
        "path": "plate",
        "pattern": r"(?P<well>\w+)_(?P<channel>\w+)\.tif",
        "channels": {"w1": "BRIGHTFIELD", "w2": "DAPI_WIDEFIELD"},
        "pages_are_z": True,
        "splits": {
            "train": {"wells": ["A1", "A2"], "columns": [0, 64]},
            "test": {},
        },
    },
    "preprocessing": [{"step": "downscaling", "factor": 2}],
}


def test_reads_every_field():
    spec = DatasetSpec.from_dict(VALUE)
    source = spec.source
    assert source.path == "plate"
    assert source.channels["w2"] == "DAPI_WIDEFIELD"
    assert source.pages_are_z
    assert source.splits["train"].wells == ("A1", "A2")
    assert source.splits["train"].region == Region(columns=(0, 64))
    assert source.splits["test"].wells is None
    assert spec.preprocessing == ({"step": "downscaling", "factor": 2},)
    assert list_splits(spec) == ("train", "test")


def test_to_dict_round_trip_through_json():
    spec = DatasetSpec.from_dict(VALUE)
    again = json.loads(json.dumps(spec.to_dict()))
    assert DatasetSpec.from_dict(again) == spec


def test_without_splits_all_wells_are_in_one():
    value = edited(VALUE, ("source", "splits"), None)
    assert list_splits(DatasetSpec.from_dict(value)) == ("all",)


def test_labels_may_be_missing():
    value = edited(VALUE, ("labels",), [])
    value["source"]["channels"] = {"w1": "BRIGHTFIELD"}
    assert DatasetSpec.from_dict(value).labels == ()


@pytest.mark.parametrize(
    ("place", "value", "parts"),
    [
        (("source", "path"), "/data", ["source.path", "relative", "/data"]),
        (("source", "pattern"), "", ["source.pattern"]),
        (("source", "patern"), "", ["source.patern", "pattern"]),
        (("modality",), None, ["source", "modality"]),
        (
            ("source", "channels"),
            {"w1": "BRIGHTFIELD"},
            ["source.channels", "DAPI_WIDEFIELD"],
        ),
        (
            ("source", "channels"),
            {"w1": "BRIGHTFIELD", "w2": "DAPI_WIDEFIELD", "w3": "GFP"},
            ["source.channels.w3", "GFP"],
        ),
        (
            ("source", "channels"),
            {
                "w1": "BRIGHTFIELD",
                "w2": "DAPI_WIDEFIELD",
                "w3": "DAPI_WIDEFIELD",
            },
            ["source.channels", "one channel as DAPI_WIDEFIELD"],
        ),
        (("source", "pages_are_z"), 1, ["source.pages_are_z", "1"]),
        (("source", "splits"), {}, ["source.splits"]),
        (("source", "splits", "test"), {"well": []}, ["test.well"]),
        (("source", "splits", "test"), {"wells": []}, ["at least one well"]),
        (
            ("wells",),
            [{"name": "A", "path": "", "splits": {"a": {}}}],
            ["source", "alone"],
        ),
        (("preprocessing",), ["downscaling"], ["preprocessing[0]"]),
        (("preprocessing",), [{"factor": 2}], ["preprocessing[0].step"]),
    ],
    ids=lambda value: (
        ".".join(map(str, value)) if isinstance(value, tuple) else ""
    ),
)
def test_names_the_mistake(place, value, parts):
    with pytest.raises(InputError) as caught:
        DatasetSpec.from_dict(edited(VALUE, place, value), "spec.json")
    for part in ["spec.json", *parts]:
        assert part in str(caught.value)
