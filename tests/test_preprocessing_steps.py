import json

import pytest

from isl.errors import InputError
from isl.preprocessing import steps
from isl.preprocessing.normalization import FLUORESCENCE, TRANSMITTED
from isl.preprocessing.step_list import parse_steps

ALL = [
    {"step": "illumination", "dark": 100, "flat_fields": {"DAPI": "flat.tif"}},
    {"step": "hot_pixels", "images": "labels"},
    {"step": "dust", "images": "transmitted"},
    {"step": "median"},
    {"step": "stitch", "grid": [5, 4], "order": "columns", "z": 0},
    {"step": "downscale", "factor": 3},
    {"step": "select_planes", "count": 7, "spacing": 2},
    {"step": "project"},
    {"step": "register"},
    {"step": "normalize", "scope": "plate"},
]


def test_every_step_is_read_and_recorded():
    parsed = parse_steps(ALL)
    assert {type(step) for step in parsed} == set(steps.STEPS)
    recorded = json.loads(json.dumps([step.to_dict() for step in parsed]))
    for given, full in zip(ALL, recorded, strict=True):
        assert full.items() >= given.items()
    assert parse_steps(recorded) == parsed


def test_what_is_left_out_takes_its_default():
    (step,) = parse_steps([{"step": "normalize"}])
    assert step == steps.NormalizeStep()
    assert (step.transmitted, step.label) == (TRANSMITTED, FLUORESCENCE)
    assert step.to_dict()["scope"] == "well"
    (step,) = parse_steps([{"step": "downscale", "factor": None}])
    assert step.factor == 2
    assert parse_steps(None) == parse_steps([]) == ()


@pytest.mark.parametrize(
    "step, message",
    [
        ("downscale", "[0] must be an object"),
        ({}, "[0].step must be one of illumination, "),
        ({"step": "sharpen"}, "Received: 'sharpen'"),
        ({"step": "downscale", "factr": 2}, "Did you mean 'factor'?"),
        ({"step": "downscale", "factor": 0}, "[0].factor must be an integer"),
        ({"step": "illumination", "dark": "x"}, "must be a finite number"),
        ({"step": "illumination", "images": "DAPI"}, "one of all, transmitted"),
        (
            {"step": "illumination", "flat_fields": {"DAPI": "/etc/flat"}},
            "flat_fields.DAPI must be a relative path",
        ),
        ({"step": "hot_pixels", "threshold": 0}, "must be a number above 0"),
        ({"step": "stitch", "overlap": 1}, "at least 0 and below 1"),
        ({"step": "stitch", "order": "snake"}, "one of rows, rows_snake"),
        ({"step": "stitch", "grid": [5]}, "must be a list of two integers"),
        ({"step": "stitch", "grid": [5, 0]}, "[0].grid[1] must be an integer"),
        ({"step": "stitch", "z": -1}, "must be an integer of at least 0"),
        ({"step": "normalize", "scope": "day"}, "one of plane, well, plate"),
    ],
)
def test_mistakes_are_named(step, message):
    with pytest.raises(InputError) as error:
        parse_steps([step], "spec.json")
    assert str(error.value).startswith("spec.json: preprocessing")
    assert message in str(error.value)


@pytest.mark.parametrize(
    "names, message",
    [
        (("stitch", "illumination"), "must come before stitch"),
        (("project", "stitch"), "must come before project"),
        (("register", "downscale"), "must come before register"),
        (("normalize", "register"), "must come before normalize"),
        (("stitch", "stitch"), "must name stitch only once"),
    ],
)
def test_impossible_orders_are_refused(names, message):
    with pytest.raises(InputError, match=f"preprocessing.1. {message}"):
        parse_steps([{"step": name} for name in names])


@pytest.mark.parametrize(
    "names",
    [
        # Recalled of the paper (U-lo).
        ("median", "dust", "downscale", "illumination", "dust", "stitch"),
        ("project", "select_planes", "downscale", "normalize"),
    ],
)
def test_other_orders_are_free(names):
    parsed = parse_steps([{"step": name} for name in names])
    assert tuple(step.NAME for step in parsed) == names
