"""Scores parts of wells, one after another, by a model or as stored."""

from collections.abc import Callable, Iterable, Iterator, Sequence

import keras

from isl.evaluation.model_scoring import (
    ModelScorer,
    build_model_scorer,
    score_model,
)
from isl.evaluation.nuclei import Segmenter
from isl.evaluation.objects import add_objects
from isl.evaluation.parts import Part
from isl.evaluation.stored_scoring import StoredPart, score_prediction
from isl.evaluation.wells import WellScores
from isl.images import Well
from isl.network.model_folder import ModelDescription

# From a network, its description and labels.
BuildScorer = Callable[
    [keras.Model, ModelDescription, Sequence[str]], ModelScorer
]


def judge_model(
    model: keras.Model,
    description: ModelDescription,
    parts: Sequence[Part],
    labels: Sequence[str] | None = None,
    segmenter: Segmenter | None = None,
    show_progress: bool = False,
) -> Iterator[tuple[Well, WellScores]]:
    """Predicts parts and scores them, with cells and neurites.

    Args:
        model: From `isl.network.model_folder.load_model`.
        description: Likewise.
        parts: From `isl.evaluation.parts.open_parts`.
        labels: Labels to score; None for those of each data set.
        segmenter: See `isl.evaluation.objects.add_objects`.
        show_progress: Shows progress bars on standard error.

    Yields:
        The well and its scores, part by part.

    Raises:
        InputError: See `build_model_scorer`, `score_model` and `add_objects`.
    """
    scorers = build_scorers(
        build_model_scorer, model, description, parts, labels
    )
    for part, scorer in zip(parts, scorers, strict=True):
        # Pictures read a little of the well again; all of it would stay.
        well = part.well.copied()
        scores = score_model(
            scorer, part.spec.condition, well, part.region, show_progress
        )
        yield part.well, add_objects(scores, well, part.spec, segmenter)


def judge_stored(
    stored: Iterable[StoredPart], segmenter: Segmenter | None = None
) -> Iterator[tuple[Well, WellScores]]:
    """Scores stored predictions of parts; see `judge_model`.

    Args:
        stored: From `isl.evaluation.stored_scoring.open_stored_parts`.
        segmenter: See `isl.evaluation.objects.add_objects`.

    Yields:
        The well and its scores, part by part.

    Raises:
        InputError: See `score_prediction` and `add_objects`.
    """
    for one in stored:
        well = one.part.well.copied()  # As above.
        scores = score_prediction(one, well)
        yield one.part.well, add_objects(scores, well, one.part.spec, segmenter)


def build_scorers(
    build: BuildScorer,
    model: keras.Model,
    description: ModelDescription,
    parts: Sequence[Part],
    labels: Sequence[str] | None = None,
) -> list[ModelScorer]:
    """Prepares a network for each part.

    Parts with equal labels share a scorer, as each is compiled anew.

    Args:
        build: Such as `build_model_scorer`.
        model: From `isl.network.model_folder.load_model`.
        description: Likewise.
        parts: What will be predicted.
        labels: Labels; None for those of each data set.
    """
    wanted = [tuple(labels or part.spec.labels) for part in parts]
    built = {
        each: build(model, description, each) for each in dict.fromkeys(wanted)
    }
    return [built[each] for each in wanted]
