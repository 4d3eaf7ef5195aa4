"""The block `evaluation` of a data spec."""

import json

import pytest

from isl.errors import InputError
from isl.specs import DatasetSpec
from isl.specs.evaluation import (
    DeadSpec,
    EvaluationSpec,
    NeuritesSpec,
    NucleiSpec,
)

BLOCK = {
    "nuclei": {"labels": ["DAPI_CONFOCAL"], "contrast": 0.5, "core_um": 2},
    "dead": {"label": "DEAD_CONFOCAL", "contrast": 1.5},
    "neurites": {"labels": ["MAP2_CONFOCAL"], "tolerance_um": 1.5},
    "pixel_size_um": 0.3,
}


def spec_with(block):
    return DatasetSpec.from_dict(
        {
            "name": "n",
            "condition": "c",
            "labels": ["DAPI_CONFOCAL", "MAP2_CONFOCAL", "DEAD_CONFOCAL"],
            "wells": [{"name": "A1", "path": "A1", "splits": {"test": {}}}],
            "evaluation": block,
        },
        "spec.json",
    )


def test_reads_every_field():
    assert spec_with(BLOCK).evaluation == EvaluationSpec(
        nuclei=NucleiSpec(("DAPI_CONFOCAL",), contrast=0.5, core_um=2.0),
        dead=DeadSpec("DEAD_CONFOCAL", 1.5),
        neurites=NeuritesSpec(("MAP2_CONFOCAL",), tolerance_um=1.5),
        pixel_size_um=0.3,
    )


@pytest.mark.parametrize("block", [BLOCK, {}, None])
def test_round_trip_through_json(block):
    spec = spec_with(block)
    again = json.loads(json.dumps(spec.to_dict()))
    assert DatasetSpec.from_dict(again) == spec


def changed(part, **values):
    return BLOCK | {part: {**BLOCK[part], **values}}


@pytest.mark.parametrize(
    ("block", "message"),
    [
        ([], r"evaluation must be an object.*Received: \[\]"),
        ({"nucleus": {}}, r"evaluation.nucleus.*Did you mean 'nuclei'"),
        ({"nuclei": {}}, r"evaluation.nuclei.labels must be given"),
        ({"nuclei": {"labels": []}}, r"labels must be a list of at least one"),
        (
            {"nuclei": {"labels": ["GFP"]}},
            r"nuclei.labels\[0\] must be one of DAPI.*Received: 'GFP'",
        ),
        (changed("nuclei", windows=3), r"nuclei.windows.*'window_um'"),
        (changed("nuclei", contrast=0), r"nuclei.contrast.*above 0.*: 0"),
        (changed("nuclei", core_um="2"), r"nuclei.core_um.*above 0.*: '2'"),
        (changed("dead", label="GFP"), r"dead.label must be one of DAPI"),
        (
            {"dead": {"label": "DEAD_CONFOCAL"}},
            r"evaluation.dead must come with nuclei",
        ),
        (changed("neurites", tolerance_um=-1), r"tolerance_um.*above 0"),
        (BLOCK | {"pixel_size_um": 0}, r"pixel_size_um.*above 0"),
    ],
)
def test_mistakes_name_file_key_and_value(block, message):
    with pytest.raises(InputError, match=f"spec.json: .*{message}"):
        spec_with(block)
