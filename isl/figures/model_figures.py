"""Figures that need a model: it predicts wells, and they are drawn."""

import os
from collections.abc import (
    Callable,
    Collection,
    Iterable,
    Iterator,
    Sequence,
)

from matplotlib.figure import Figure

from isl.errors import InputError
from isl.evaluation.judging import Judgement, build_scorers, judge_model
from isl.evaluation.model_scoring import ModelScorer
from isl.evaluation.objects import check_pixel_size
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
# Takes the name of a well and what is to be known of it.
Warn = Callable[[str, str], None]


def model_figures(
    kind: str,
    model_folder: str | os.PathLike,
    parts: Sequence[Part],
    size: int,
    labels: Sequence[str] | None,
    warn: Warn,
) -> Named:
    """Draws figures of predictions, each when it is asked for.

    What is wrong with the model or the labels is found before that.

    Args:
        kind: One of `KINDS`.
        model_folder: The model.
        parts: What to predict, from `isl.evaluation.parts.open_parts`.
        size: Most rows and columns of the centre of a part that images
            show, pixels; "result" is of all pixels.
        labels: Labels to draw; None for those of the data set.
        warn: Told each well that is left out, as it has none of the labels.

    Returns:
        Names of the files, without suffix, and figures; to take one raises
        InputError if a file of its well cannot be decoded.

    Raises:
        InputError: If the model is not one or cannot be shown in this figure,
            a label is not predicted or in no well, or a pixel size must be
            known and is not.
    """
    loaded = load_model(model_folder)
    wanted = _drawable(parts, labels, loaded[1].labels)
    parts = tuple(_with_labels(parts, wanted, warn))
    names = drawing.well_names([(p.spec.condition, p.well.name) for p in parts])
    if kind == RESULT:
        for part in parts:
            check_pixel_size(part.well, part.spec)
        return _results(judge_model(*loaded, parts, labels), names)
    scorers = build_scorers(build_region_scorer, *loaded, parts, labels)
    return _regions(_OF_REGION[kind], parts, scorers, names, size)


def _drawable(
    parts: Sequence[Part],
    labels: Sequence[str] | None,
    predicted: Collection[str],
) -> list[str]:
    """Returns the labels to draw: those asked for, or all that can be.

    Raises:
        InputError: If one that is asked for cannot be drawn, or none can.
    """
    present = dict.fromkeys(x for part in parts for x in part.well.labels)
    known = [label for label in present if label in predicted]
    unknown = [label for label in labels or () if label not in known]
    if unknown or not known:
        raise InputError(
            "labels must be among those of the wells and of the model "
            f"({', '.join(known) or 'none in common'}). Received: "
            f"{', '.join(unknown or present)}"
        )
    return list(labels or known)


def _with_labels(
    parts: Iterable[Part], labels: Sequence[str], warn: Warn
) -> Iterator[Part]:
    """Leaves out wells that have none of the labels, and says so."""
    reason = f"left out, as it has no {' or '.join(labels)}"
    for part in parts:
        if part.well.labels.keys() & set(labels):
            yield part
        else:
            warn(part.well.name, reason)


def _regions(
    draw: Callable[[RegionImages, str], Named],
    parts: Sequence[Part],
    scorers: Sequence[ModelScorer],
    names: Sequence[str],
    size: int,
) -> Named:
    for part, scorer, name in zip(parts, scorers, names, strict=True):
        region = central_region(part.region, part.well.shape, size)
        yield from draw(predict_region(scorer, part.well, region), name)


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


def _results(judgements: Sequence[Judgement], names: Sequence[str]) -> Named:
    for judgement, name in zip(judgements, names, strict=True):
        # Otherwise what is decoded of all wells would stay in memory.
        well = judgement.part.well.copied()
        yield from _result(well, judgement.score(), name)


def _result(well: Well, scores: WellScores, name: str) -> Named:
    for label in scores.labels:
        yield f"result_{name}_{label}", well_figure(well, scores, label)


_OF_REGION: dict[str, Callable[[RegionImages, str], Named]] = {
    "stack": _stacks,
    "error_panel": _error_panels,
    "uncertainty": _uncertainties,
}
RESULT = "result"
KINDS = (*_OF_REGION, RESULT)
"""Names of the figures."""
