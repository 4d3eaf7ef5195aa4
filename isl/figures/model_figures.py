"""Figures that need a model: it predicts wells, and they are drawn."""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence

from matplotlib.figure import Figure

from isl.evaluation.judging import build_scorers, judge_model
from isl.evaluation.parts import Part
from isl.evaluation.wells import WellScores
from isl.figures import drawing
from isl.figures.region_images import (
    RegionImages,
    build_region_scorer,
    central_region,
    predict_region,
)
from isl.figures.stack_figure import stack_figure
from isl.figures.uncertainty_figure import uncertainty_figure
from isl.figures.well_figure import well_figure
from isl.images import Well
from isl.network.model_folder import load_model

Named = Iterator[tuple[str, Figure]]


def model_figures(
    kind: str,
    model_folder: str | os.PathLike,
    parts: Sequence[Part],
    size: int,
    labels: Sequence[str] | None = None,
) -> dict[str, Figure]:
    """Draws figures of predictions.

    Args:
        kind: One of `KINDS`.
        model_folder: The model.
        parts: What to predict, from `isl.evaluation.parts.open_parts`.
        size: Most rows and columns of the centre of a part that images
            show, pixels; "result" is of all pixels.
        labels: Labels to draw; None for those of the data set.

    Returns:
        Name of the file, without suffix, to figure.

    Raises:
        InputError: If the model is not one, has none of the labels, or a file
            cannot be decoded.
    """
    loaded = load_model(model_folder)
    names = drawing.well_names([(p.spec.condition, p.well.name) for p in parts])
    if kind == RESULT:
        scored = judge_model(*loaded, parts, labels)
        return dict(_results(scored, names))
    scorers = build_scorers(build_region_scorer, *loaded, parts, labels)
    figures = {}
    for part, scorer, name in zip(parts, scorers, names, strict=True):
        region = central_region(part.region, part.well.shape, size)
        images = predict_region(scorer, part.well, region)
        figures |= dict(_OF_REGION[kind](images, name))
    return figures


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
    scored: Iterable[tuple[Well, WellScores]], names: Sequence[str]
) -> Named:
    for (well, scores), name in zip(scored, names, strict=True):
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
