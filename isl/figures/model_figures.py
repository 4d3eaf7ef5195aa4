"""Figures that need a model: it predicts wells, and they are drawn."""

import os
from collections.abc import Callable, Iterator, Sequence

import keras
from matplotlib.figure import Figure

from isl.evaluation.model_scoring import build_model_scorer, score_model
from isl.evaluation.objects import add_objects
from isl.figures import drawing
from isl.figures.region_images import (
    RegionImages,
    central_region,
    predict_region,
)
from isl.figures.stack_figure import stack_figure
from isl.figures.uncertainty_figure import uncertainty_figure
from isl.figures.well_figure import well_figure
from isl.images import Well, open_wells
from isl.network.model_folder import ModelDescription, load_model
from isl.specs import DatasetSpec, Region

Named = Iterator[tuple[str, Figure]]
# A data set, one of its wells, and the part of it to draw.
Place = tuple[DatasetSpec, Well, Region]


def model_figures(
    kind: str,
    model_folder: str | os.PathLike,
    places: Sequence[Place],
    size: int,
    labels: Sequence[str] | None = None,
) -> dict[str, Figure]:
    """Draws figures of predictions.

    Args:
        kind: One of `KINDS`.
        model_folder: The model.
        places: What to predict, from `find_places`.
        size: Most rows and columns of the centre of a place that images
            show, pixels; "result" is of all pixels.
        labels: Labels to draw; None for those of the data set.

    Returns:
        Name of the file, without suffix, to figure.

    Raises:
        InputError: If the model is not one, has none of the labels, or a file
            cannot be decoded.
    """
    model, description = load_model(model_folder)
    names = drawing.well_names([(p[0].condition, p[1].name) for p in places])
    if kind == RESULT:
        return dict(_results(model, description, places, names, labels))
    figures = {}
    for (spec, well, region), name in zip(places, names, strict=True):
        images = predict_region(
            model,
            description,
            well,
            central_region(region, well.shape, size),
            labels or spec.labels,
        )
        figures |= dict(_OF_REGION[kind](images, name))
    return figures


def find_places(
    specs: Sequence[DatasetSpec],
    image_root: str | os.PathLike,
    split: str,
    region: Region | None = None,
) -> list[Place]:
    """Returns the wells of a split.

    Args:
        specs: The data sets.
        image_root: Folder that their paths are relative to.
        split: Name of the split.
        region: Replaces the part of each well that belongs to the split.

    Raises:
        InputError: If there is no such split, or a well cannot be opened.
    """
    return [
        (spec, well, region or well_spec.splits[split])
        for spec in specs
        for well_spec, well in open_wells(spec, image_root, split)
    ]


def _stacks(images: RegionImages, name: str) -> Named:
    well = images.well
    yield (
        f"stack_{name}",
        stack_figure(
            images.planes,
            images.truth,
            {k: names["median"] for k, names in images.statistics.items()},
            title=_title(images),
            pixel_size_um=well.pixel_size_um,
            z_spacing_um=well.z_spacing_um,
        ),
    )


def _error_panels(images: RegionImages, name: str) -> Named:
    for label in images.truth:
        figure = drawing.pixel_figure(images.error_panel(label))
        yield f"error_panel_{name}_{label}", figure


def _uncertainties(images: RegionImages, name: str) -> Named:
    for label, statistics in images.statistics.items():
        yield (
            f"uncertainty_{name}_{label}",
            uncertainty_figure(
                label=label,
                truth=images.truth[label],
                median=statistics["median"],
                standard_deviation=statistics["standard_deviation"],
                entropy=statistics["entropy"],
                title=_title(images),
                pixel_size_um=images.well.pixel_size_um,
            ),
        )


def _title(images: RegionImages) -> str:
    rows, columns = images.rows, images.columns
    return (
        f"Well {images.well.name}, rows {rows.start} to {rows.stop - 1}, "
        f"columns {columns.start} to {columns.stop - 1}"
    )


def _results(
    model: keras.Model,
    description: ModelDescription,
    places: Sequence[Place],
    names: Sequence[str],
    labels: Sequence[str] | None,
) -> Named:
    for (spec, well, region), name in zip(places, names, strict=True):
        scorer = build_model_scorer(model, description, labels or spec.labels)
        scores = score_model(scorer, spec.condition, well, region)
        scores = add_objects(scores, well, spec)
        for label in scores.labels:
            figure = well_figure(well, scores, label)
            yield f"result_{name}_{label}", figure


_OF_REGION: dict[str, Callable[[RegionImages, str], Named]] = {
    "stack": _stacks,
    "error_panel": _error_panels,
    "uncertainty": _uncertainties,
}
RESULT = "result"
KINDS = (*_OF_REGION, RESULT)
"""Names of the figures."""
