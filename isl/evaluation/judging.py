"""Scores parts of wells, one after another, by a model or as stored."""

import dataclasses
import functools
from collections.abc import Callable, Iterable, Iterator, Sequence

import keras

from isl.errors import describe_failure
from isl.evaluation.model_scoring import (
    ModelScorer,
    build_model_scorer,
    score_model,
)
from isl.evaluation.nuclei import Segmenter
from isl.evaluation.objects import add_objects
from isl.evaluation.parts import Part
from isl.evaluation.stored_scoring import StoredPart, score_prediction
from isl.evaluation.wells import FailedWell, WellScores
from isl.images import Well
from isl.network.model_folder import ModelDescription

# From a network, its description and labels.
BuildScorer = Callable[
    [keras.Model, ModelDescription, Sequence[str]], ModelScorer
]


@dataclasses.dataclass(frozen=True)
class Judgement:
    """What scores a part of a well.

    Attributes:
        part: The part.
        labels: Labels that are scored.
        score: Does it, with cells and neurites; raises InputError if it
            cannot, see `score_model`, `score_prediction` and `add_objects`.
    """

    part: Part
    labels: tuple[str, ...]
    score: Callable[[], WellScores]


def judge_model(
    model: keras.Model,
    description: ModelDescription,
    parts: Sequence[Part],
    labels: Sequence[str] | None = None,
    segmenter: Segmenter | None = None,
    show_progress: bool = False,
) -> list[Judgement]:
    """Prepares to predict parts and to score them.

    Args:
        model: From `isl.network.model_folder.load_model`.
        description: Likewise.
        parts: From `isl.evaluation.parts.open_parts`.
        labels: Labels to score; None for those of each data set.
        segmenter: See `isl.evaluation.objects.add_objects`.
        show_progress: Shows progress bars on standard error.

    Raises:
        InputError: See `build_model_scorer`.
    """
    scorers = build_scorers(
        build_model_scorer, model, description, parts, labels
    )

    def score(part: Part, scorer: ModelScorer) -> WellScores:
        # Pictures read a little of the well again; all of it would stay.
        well = part.well.copied()
        scores = score_model(
            scorer,
            part.spec.condition,
            well,
            part.region,
            show_progress,
            averaged=part.spec.dead_labels,
        )
        return add_objects(scores, well, part.spec, segmenter)

    return [
        Judgement(
            part,
            tuple(x for x in scorer.labels if x in part.well.labels),
            functools.partial(score, part, scorer),
        )
        for part, scorer in zip(parts, scorers, strict=True)
    ]


def judge_stored(
    stored: Iterable[StoredPart], segmenter: Segmenter | None = None
) -> list[Judgement]:
    """Prepares to score stored predictions of parts.

    Args:
        stored: From `isl.evaluation.stored_scoring.open_stored_parts`.
        segmenter: See `isl.evaluation.objects.add_objects`.
    """

    def score(one: StoredPart) -> WellScores:
        well = one.part.well.copied()  # As above.
        scores = score_prediction(one, well)
        return add_objects(scores, well, one.part.spec, segmenter)

    return [
        Judgement(one.part, one.labels, functools.partial(score, one))
        for one in stored
    ]


def iter_scored(
    judgements: Iterable[Judgement], failures: list[FailedWell]
) -> Iterator[tuple[Well, WellScores]]:
    """Scores parts one after another; one that fails does not stop others.

    But for the first: what is wrong with it may be wrong with all, and
    nothing is lost yet.

    Args:
        judgements: From `judge_model` or `judge_stored`.
        failures: Wells that fail are added to it.

    Yields:
        The well and its scores, part by part.

    Raises:
        Exception: What the first part raises.
    """
    for index, judgement in enumerate(judgements):
        part = judgement.part
        try:
            scores = judgement.score()
        # Whatever is wrong with a well, others may be well.
        except Exception as error:
            if index == 0:
                raise
            reason = describe_failure(error)
            condition, name = part.spec.condition, part.well.name
            failures.append(
                FailedWell(condition, name, judgement.labels, reason)
            )
        else:
            yield part.well, scores


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
