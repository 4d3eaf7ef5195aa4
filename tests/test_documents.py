"""Examples and tables of the documents, against the code."""

import dataclasses
import json
import pathlib
import re

import pytest

from isl.preprocessing.step_list import parse_steps
from isl.preprocessing.steps import STEPS
from isl.specs import DatasetSpec
from isl.specs.evaluation import DeadSpec, NeuritesSpec, NucleiSpec

ROOT = pathlib.Path(__file__).parents[1]
SPECS = (ROOT / "docs" / "data_specs.md").read_text(encoding="utf-8")
README = (ROOT / "README.md").read_text(encoding="utf-8")


def examples(text):
    return [json.loads(x) for x in re.findall(r"```json\n(.*?)```", text, re.S)]


@pytest.mark.parametrize("value", examples(SPECS + README), ids=str)
def test_examples_can_be_used(value):
    if "name" in value:
        spec = DatasetSpec.from_dict(value)
        parse_steps([dict(step) for step in spec.preprocessing], spec.name)
    else:
        (one,) = [x for x in examples(SPECS) if "wells" in x]
        labels = [*one["labels"], "DAPI_CONFOCAL", "DEAD_CONFOCAL"]
        labels += ["MAP2_CONFOCAL", "NFH_CONFOCAL"]
        DatasetSpec.from_dict({**one, "labels": labels, "evaluation": value})


def test_steps_and_their_defaults_are_listed():
    rows = dict(re.findall(r"^\| `(\w+)` \|.*?\| ([^|]*)\|$", SPECS, re.M))
    for step in STEPS:
        text = rows[step.NAME]
        for field in dataclasses.fields(step):
            default = getattr(step(), field.name)
            assert f"`{field.name}`" in text, (step.NAME, field.name)
            if isinstance(default, (int, float)):
                assert re.search(rf"`{field.name}` {default:g}\b", text)


@pytest.mark.parametrize("part", [NucleiSpec, DeadSpec, NeuritesSpec])
def test_defaults_of_the_evaluation_are_listed(part):
    for field in dataclasses.fields(part):
        if isinstance(field.default, float):
            assert f"`{field.name}` {field.default:g}" in SPECS


@pytest.mark.parametrize(
    "path", [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))], ids=str
)
def test_links_lead_somewhere(path):
    text = path.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#]+)", text):
        if not target.startswith("http"):
            assert (path.parent / target).exists(), target
