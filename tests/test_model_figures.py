"""Figures of predictions: when they are drawn, and what they leave behind."""

import dataclasses

import pytest

from isl.errors import InputError
from isl.evaluation.parts import open_parts
from isl.figures.model_figures import KINDS, RESULT, model_figures
from isl.specs import load_dataset_specs
from tests.tiny_runs import KeepingPlane

LABEL = "DAPI_CONFOCAL"


@pytest.fixture
def parts(wells):
    """Two parts of wells whose images keep what they decoded."""
    (part,) = open_parts(
        load_dataset_specs([wells / "spec.json"]), wells, "test"
    )
    whole = tuple(slice(0, size) for size in part.well.shape)

    def keeping(plane):
        return KeepingPlane(plane.read(*whole))

    def named(name):
        well = dataclasses.replace(
            part.well,
            name=name,
            planes=tuple(map(keeping, part.well.planes)),
            labels={LABEL: keeping(part.well.labels[LABEL])},
        )
        return dataclasses.replace(part, well=well)

    return named("A1"), named("A2")


@pytest.mark.usefixtures("eagerly")
@pytest.mark.parametrize("kind", KINDS)
def test_decoded_images_are_not_kept(parts, model, kind):
    warned = []
    figures = model_figures(
        kind, model, parts, 32, None, lambda *said: warned.append(said)
    )
    assert len([figure for _, figure in figures if figure.axes]) == 2
    assert not warned
    for part in parts:
        images = (*part.well.planes, *part.well.labels.values())
        assert [image.kept for image in images] == [None] * len(images)


def test_an_unknown_pixel_size_is_told_before_anything_is_predicted(
    parts, model
):
    first, last = parts
    spec = dataclasses.replace(
        last.spec,
        evaluation=dataclasses.replace(
            last.spec.evaluation, pixel_size_um=None
        ),
    )
    well = dataclasses.replace(last.well, pixel_size_um=None)
    last = dataclasses.replace(last, spec=spec, well=well)
    with pytest.raises(InputError, match="well A2: pixel_size_um must be"):
        model_figures(RESULT, model, (first, last), 32, None, print)
