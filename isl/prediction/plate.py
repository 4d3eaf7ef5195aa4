"""Predicts the wells of a plate, each once, whoever does the work.

A well is finished when its output has been renamed into place. Whoever
predicts it holds a lock on a file of its own meanwhile (its claim), which the
operating system takes away when a process ends, however it ends. So a well is
never predicted by two processes at a time, and a process that was killed
stands in nobody's way: the next one that comes begins the well anew.
"""

import collections
import dataclasses
import functools
import pathlib
import platform
import threading
from collections.abc import Callable, Iterator, Sequence

import keras
import tqdm

from isl.claims import claim
from isl.errors import InputError, describe_failure
from isl.files import remove_leftovers
from isl.images import PlateWriter, describe_choice
from isl.prediction.input_files import find_change, read_states
from isl.prediction.output import OpenSink, file_sink, predict_to_sink
from isl.prediction.plate_job import PlateJob, PlateWell, digest_model
from isl.prediction.plausibility import describe_unlikeness
from isl.prediction.request import ReadyModel, Request, load_ready_model

# What became of a well: predicted now; there already; in the hands of
# another process; or not to be predicted, for the reason given.
PREDICTED = "predicted"
FOUND = "found"
CLAIMED = "claimed"
FAILED = "failed"

# A process has one model, and a well has all of its threads.
_one_well_at_a_time = threading.Lock()


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What became of a well.

    Attributes:
        well: Its name.
        status: `PREDICTED`, `FOUND`, `CLAIMED` or `FAILED`.
        reason: Why it failed, in one line.
        planes: Which were used, if not all in their order.
        unlike: How the images differ from those that networks learn from, if
            they do.
    """

    well: str
    status: str
    reason: str = ""
    planes: str = ""
    unlike: str = ""


# Predicts wells and yields what became of each, in any order.
Execute = Callable[[PlateJob, Sequence[PlateWell]], Iterator[Outcome]]


def predict_wells(
    job: PlateJob,
    wells: Sequence[PlateWell],
    execute: Execute,
    show_progress: bool = False,
) -> tuple[Outcome, ...]:
    """Predicts the wells that are not there yet.

    Args:
        job: From `isl.prediction.plate_job.open_plate_job`.
        wells: Likewise.
        execute: Who does the work, from `isl.prediction.workers`.
        show_progress: Whether to draw a progress bar on standard error.

    Returns:
        What became of each well, in the order of the wells. A well that
        failed does not keep others from being predicted.

    Raises:
        InputError: If a worker cannot use the model.
    """
    outcomes, missing = {}, []
    for well in wells:
        if pathlib.Path(job.output, well.output).exists():
            outcomes[well.input.name] = Outcome(well.input.name, FOUND)
        else:
            missing.append(well)
    progress = tqdm.tqdm(
        desc="predict",
        total=len(wells),
        initial=len(outcomes),
        unit="well",
        disable=not show_progress,
    )
    try:
        with progress:
            for outcome in execute(job, missing) if missing else ():
                outcomes[outcome.well] = outcome
                progress.update()
    finally:
        if wells[0].is_in_plate:
            # Workers list the wells that they see, which may be too few.
            PlateWriter(job.plate).write_metadata()
    return tuple(outcomes[well.input.name] for well in wells)


def sum_up(outcomes: Sequence[Outcome]) -> tuple[str, list[str]]:
    """Returns a line on all wells, and one on each that failed."""
    counts = collections.Counter(outcome.status for outcome in outcomes)
    summary = (
        f"{counts[PREDICTED]} of {len(outcomes)} wells predicted, "
        f"{counts[FOUND]} were there, {counts[FAILED]} failed"
    )
    choices = sorted({one.planes for one in outcomes if one.planes})
    if choices:
        summary += f"; from {' or '.join(choices)}"
    failures = [
        f"{outcome.well}: {outcome.reason}"
        for outcome in outcomes
        if outcome.status == FAILED
    ]
    return summary, failures


def predict_well(job: PlateJob, well: PlateWell, wait: bool = False) -> Outcome:
    """Predicts a well, unless it is there or another process is at it.

    Args:
        job: From `isl.prediction.plate_job.open_plate_job`.
        well: Likewise.
        wait: Whether to wait for the other process. The well is predicted if
            that one has not finished it.

    Raises:
        InputError: If this process cannot use the model.
    """
    name, output = well.input.name, pathlib.Path(job.output, well.output)
    with claim(job.lock_of(name), wait) as is_ours:
        if output.exists():
            return Outcome(name, FOUND)
        if not is_ours:
            return Outcome(name, CLAIMED)
        with _one_well_at_a_time:
            ready = _load(
                job.model,
                job.model_digest,
                job.request,
                job.backend,
                job.num_threads,
            )
            try:
                return _predict(job, well, ready)
            # Whatever is wrong with a well, others may be well.
            except Exception as error:
                return Outcome(name, FAILED, describe_failure(error))


def _predict(job: PlateJob, well: PlateWell, ready: ReadyModel) -> Outcome:
    output = pathlib.Path(job.output, well.output)
    remove_leftovers(output)
    _check_unchanged(well)
    opened = well.input.open()
    planes, tiling = ready.plan(opened, well.input.path)
    unlike = describe_unlikeness(opened, planes)
    predict_to_sink(
        _open_sink(job, well),
        ready.predictor,
        opened,
        tiling,
        planes,
        model_name=ready.name,
        convert=ready.convert,
    )
    return Outcome(
        well.input.name,
        PREDICTED,
        planes=describe_choice(planes, opened.num_z),
        unlike=unlike,
    )


def _check_unchanged(well: PlateWell) -> None:
    # `prediction.json` says of which files a prediction is.
    before = well.input.files
    change = find_change(before, read_states(state.path for state in before))
    if change is not None:
        raise InputError(
            f"{change.path}: must not change while wells are predicted "
            f"({change.before}); the same command predicts it. "
            f"Received: {change.now}"
        )


def _open_sink(job: PlateJob, well: PlateWell) -> OpenSink:
    if not well.is_in_plate:
        return file_sink(pathlib.Path(job.output, well.output))
    plate = PlateWriter(job.plate)
    return functools.partial(plate.streamed_well, well.input.name)


# A worker of a cluster keeps its model from one plate to the next.
@functools.lru_cache(maxsize=1)
def _load(
    model: str,
    model_digest: str,
    request: Request,
    backend: str,
    num_threads: int | None,
) -> ReadyModel:
    if keras.backend.backend() != backend:
        raise InputError(
            f"worker on {platform.node()}: must use the back end {backend}. "
            f"Received: {keras.backend.backend()}"
        )
    if digest_model(model) != model_digest:
        raise InputError(
            f"{model}: must be the same model for all workers. Received: "
            f"another one on {platform.node()}"
        )
    return load_ready_model(model, request, num_threads)
