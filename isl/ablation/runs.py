"""Trains and judges the runs of a grid; what is finished is not done again."""

import dataclasses
import math
import os
import pathlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import keras

from isl.ablation.grid import Cell, Grid
from isl.ablation.table import (
    RESULT_SUFFIX,
    TableRow,
    collect_table,
    read_result,
    read_run,
    write_result,
)
from isl.claims import claim
from isl.errors import DivergenceError, InputError
from isl.evaluation.label_histogram import histogram_nll
from isl.evaluation.model_scoring import build_model_scorer, score_model
from isl.evaluation.tables import POOLED
from isl.evaluation.texture import texture_pearson
from isl.evaluation.wells import metric_rows
from isl.images import Well, open_wells
from isl.network.architecture import Architecture
from isl.network.cost import multiply_adds_per_pixel
from isl.network.model_folder import load_model
from isl.specs import DatasetSpec, Region
from isl.training.checkpoint import check_data, check_run, check_settings
from isl.training.data import resolve
from isl.training.trainer import MODEL_FOLDER, Trainer

RUNS_FOLDER = "runs"
TEXTURE = "local_deviation"
HISTOGRAM = "label_histogram"
"""Names of the predictions without learning in the table."""
DIVERGED = "diverged"
"""What became of a run whose loss was no number."""


@dataclasses.dataclass(frozen=True)
class Study:
    """A grid on certain data.

    Attributes:
        grid: The runs.
        specs: Data sets.
        image_root: Folder that the paths of the specs are relative to.
        output_dir: Folder of the table and of the runs.
        split: Split that runs are judged on.
        reuse_from: Folders of other grids, whose equal runs are taken over.
    """

    grid: Grid
    specs: tuple[DatasetSpec, ...]
    image_root: str | os.PathLike
    output_dir: pathlib.Path
    split: str = "test"
    reuse_from: tuple[pathlib.Path, ...] = ()

    @property
    def labels(self) -> tuple[str, ...]:
        """Labels of the data sets, each once."""
        names = (label for spec in self.specs for label in spec.labels)
        return tuple(dict.fromkeys(names))

    @property
    def cells(self) -> tuple[Cell, ...]:
        """The runs, in the order of the table."""
        return self.grid.cells(self.labels)

    def workdir(self, cell: Cell) -> pathlib.Path:
        """Folder of a run."""
        return self.output_dir / RUNS_FOLDER / cell.name

    def lock_file(self, cell: Cell) -> pathlib.Path:
        """File that stands for the claim to a run."""
        return self.output_dir / RUNS_FOLDER / f"{cell.name}.lock"

    def result_file(self, name: str) -> pathlib.Path:
        """File of a finished run."""
        return self.output_dir / RUNS_FOLDER / f"{name}{RESULT_SUFFIX}"

    def open_parts(
        self, split: str | None = None
    ) -> Iterator[tuple[Well, Region]]:
        """Yields wells with their part of a split; None: the judged one."""
        split = split or self.split
        for spec in self.specs:
            for well_spec, well in open_wells(spec, self.image_root, split):
                yield well, well_spec.splits[split]

    def collect(self) -> tuple[TableRow, ...]:
        """Writes the table of what is finished; returns its rows."""
        names = [TEXTURE, HISTOGRAM, *(cell.name for cell in self.cells)]
        return collect_table(
            self.output_dir, [self.result_file(name) for name in names]
        )


def select_cells(
    cells: Sequence[Cell], only: int | None = None, shard: str | None = None
) -> tuple[Cell, ...]:
    """Selects what one process of several does.

    Args:
        cells: All runs.
        only: Number of a run, from 0; None for all.
        shard: `i/n`, for every n-th run from the i-th on (from 1); None for
            all.

    Raises:
        InputError: If there is no such run or part.
    """
    if only is not None and shard is not None:
        raise InputError(
            f"shard must be left out with only. Received: {shard} and {only}"
        )
    if only is not None:
        if not 0 <= only < len(cells):
            raise InputError(
                f"only must be from 0 to {len(cells) - 1}. Received: {only}"
            )
        return (cells[only],)
    if shard is None:
        return tuple(cells)
    first, _, count = shard.partition("/")
    is_number = first.isdecimal() and count.isdecimal()
    if not is_number or not 1 <= int(first) <= int(count):
        raise InputError(
            f"shard must be i/n with i from 1 to n. Received: {shard}"
        )
    return tuple(cells[int(first) - 1 :: int(count)])


def score_without_learning(study: Study) -> None:
    """Judges the predictions without learning, unless that is done."""
    path = study.result_file(TEXTURE)
    if not path.is_file():
        scores = texture_pearson(study.open_parts(), study.labels)
        rows = _without_learning(TEXTURE, "pearson", scores)
        write_result(path, rows, _judged_on(study))
    path = study.result_file(HISTOGRAM)
    if not path.is_file():
        split = study.grid.config(study.cells[0]).train_split
        scores = histogram_nll(
            study.open_parts(split), study.open_parts(), study.labels
        )
        rows = _without_learning(HISTOGRAM, "nll", scores)
        write_result(path, rows, _judged_on(study))


def _without_learning(
    name: str, metric: str, scores: Mapping[str, float | None]
) -> list[TableRow]:
    settings = ("num_z", "train_share", "labels", "loss", "towers")
    return [
        TableRow(
            model=name,
            **dict.fromkeys((*settings, "autoencoding", "seed")),
            steps=0,
            minutes=0.0,
            parameters=0,
            multiply_adds_per_pixel=0.0,
            label=label,
            metric=metric,
            value=value,
        )
        for label, value in scores.items()
    ]


def iter_runs(
    study: Study, cells: Iterable[Cell], show_progress: bool = False
) -> Iterator[tuple[Cell, str]]:
    """Does what is not finished; the table is written after each run.

    A run that was stopped goes on from its working folder. Runs that another
    process is at are passed over.

    Args:
        study: The grid and its data.
        cells: The runs to do.
        show_progress: Shows progress bars on standard error.

    Yields:
        Each run with what became of it: "trained", `DIVERGED` and why,
        "finished before", "taken from" a file of another grid, or "done by
        another process".

    Raises:
        InputError: If a run cannot be trained, one of its name is finished
            that was another, or a folder to reuse has no runs.
    """
    cells = tuple(cells)
    for folder in study.reuse_from:
        if not (folder / RUNS_FOLDER).is_dir():
            raise InputError(
                f"reuse_from must be folders of grids. Received: {folder}"
            )
    for cell in cells:
        # All can be trained, or none is.
        resolve(study.grid.config(cell), study.specs)
    for name in (TEXTURE, HISTOGRAM):
        _check_judged(study, study.result_file(name))
    for cell in study.cells:  # The table has all that are finished.
        _check_result(study, cell)
    score_without_learning(study)
    for cell in cells:
        path = study.result_file(cell.name)
        if path.is_file():
            yield cell, "finished before"
            continue
        outcome = "done by another process"
        with claim(study.lock_file(cell)) as is_ours:
            # Another process may have finished it since.
            if is_ours and not path.is_file():
                outcome = _take_over(study, cell)
                if outcome is None:
                    outcome = _try_to_train(study, cell, show_progress)
        study.collect()
        yield cell, outcome


def check_outcomes(outcomes: Mapping[str, str]) -> None:
    """Raises InputError if a run diverged.

    Args:
        outcomes: Name of a run to what became of it, from `iter_runs`.
    """
    diverged = [k for k, v in outcomes.items() if v.startswith(DIVERGED)]
    if diverged:
        raise InputError(
            f"grid: every run must keep its loss finite. Received: "
            f"{', '.join(diverged)} diverged"
        )


def _try_to_train(study: Study, cell: Cell, show_progress: bool) -> str:
    """Trains a run; one that diverges does not keep others from theirs."""
    try:
        _train_and_score(study, cell, show_progress)
    except DivergenceError as error:
        return f"{DIVERGED}: {error}"
    return "trained"


def _take_over(study: Study, cell: Cell) -> str | None:
    """Copies the result of an equal run of another grid, if there is one."""
    for folder in study.reuse_from:
        for path in sorted((folder / RUNS_FOLDER).glob(f"*{RESULT_SUFFIX}")):
            if _is_run(study, cell, path):
                rows = [
                    dataclasses.replace(row, model=cell.model)
                    for row in read_result(path)
                ]
                run = {**read_run(path, ()), "taken_from": str(path)}
                write_result(study.result_file(cell.name), rows, run)
                return f"taken from {path}"
    return None


def _is_run(study: Study, cell: Cell, path: pathlib.Path) -> bool:
    try:
        _check_run(study, cell, path)
    except InputError:
        return False
    return True


def _train_and_score(study: Study, cell: Cell, show_progress: bool) -> None:
    config = study.grid.config(cell)
    # A run that was begun goes on on the same terms: no other budget.
    check_settings(
        study.workdir(cell),
        resolve(config, study.specs),
        study.specs,
        may_change=(),
    )
    trainer = Trainer(
        config,
        study.specs,
        study.image_root,
        study.workdir(cell),
    )
    trainer.train(show_progress)
    rows = _score(study, cell, trainer, show_progress)
    run = {**trainer.run, **_judged_on(study)}
    write_result(study.result_file(cell.name), rows, run)


def _judged_on(study: Study) -> dict[str, Any]:
    return {
        "split": study.split,
        "specs": [spec.to_dict() for spec in study.specs],
    }


def _check_result(study: Study, cell: Cell) -> None:
    """Raises InputError if a finished run is not the one that is meant."""
    path = study.result_file(cell.name)
    if path.is_file():
        _check_run(study, cell, path)


def _check_run(study: Study, cell: Cell, path: pathlib.Path) -> None:
    """Raises InputError if a result is not that of a run."""
    config = resolve(study.grid.config(cell), study.specs)
    check_run(path, read_run(path, ("config", "specs")), config, study.specs)
    _check_judged(study, path)


def _check_judged(study: Study, path: pathlib.Path) -> None:
    """Raises InputError if a result, if it is there, is of other pixels."""
    if not path.is_file():
        return
    run = read_run(path, ("specs", "split"))
    check_data(path, run, study.specs)
    if run["split"] != study.split:
        raise InputError(
            f"{path}: holds a run judged on another split ({run['split']}); "
            f"choose a new folder or the same split. Received: {study.split}"
        )


def _score(
    study: Study, cell: Cell, trainer: Trainer, show_progress: bool
) -> list[TableRow]:
    model, description = load_model(trainer.workdir / MODEL_FOLDER)
    scorer = build_model_scorer(model, description, description.labels)
    # One condition: a label is pooled over all wells that have it.
    scored = [
        score_model(scorer, "", well, region, show_progress)
        for well, region in study.open_parts()
        if set(description.labels) & set(well.labels)
    ]
    network = description.architecture
    is_tower_network = isinstance(network, Architecture)
    config = trainer.config
    return [
        TableRow(
            model=cell.model,
            num_z=config.num_z,
            train_share=config.train_share,
            labels="+".join(config.labels),
            loss=config.loss,
            towers=len(network.towers) if is_tower_network else None,
            autoencoding=config.include_autoencoding,
            seed=config.seed,
            steps=trainer.step,
            minutes=round(trainer.minutes, 3),
            parameters=_num_parameters(model),
            multiply_adds_per_pixel=multiply_adds_per_pixel(
                network, 2 * config.num_z, len(config.labels)
            ),
            label=row.label,
            metric=row.metric,
            value=row.value,
        )
        for row in metric_rows(scored)
        if row.well == POOLED
    ]


def _num_parameters(model: keras.Model) -> int:
    return sum(math.prod(w.shape) for w in model.trainable_weights)
