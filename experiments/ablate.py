r"""Trains and judges the runs of a grid on equal terms, into one table.

    python experiments/ablate.py --grid=planes \
        --data_specs=data_specs/condition_b_sample.json \
        --image_root=$DATA --output_dir=runs/planes

Writes `output_dir/table.csv`, a row for each run, label and metric of the
split, and beside the networks what no learning at all gives: the correlation
of `local_deviation`, the likelihood of `label_histogram`. The runs lie in
`output_dir/runs`. The same command goes on where it was stopped; run it
several times at once, or on several machines with one `output_dir`, and they
share the runs. `--only` and `--shard` give a machine its part. Grids have
runs in common; `--reuse_from=runs/planes,runs/data` takes those that are
finished there instead of training them again.

`--grid` is the name of a file in `experiments/grids`, or the path of one
(isl/ablation/grid.py tells what stands in it). `--list` shows the runs.
"""

import pathlib

from absl import flags

from isl.ablation.grid import load_grid
from isl.ablation.runs import Study, check_outcomes, iter_runs, select_cells
from isl.ablation.table import check_metrics
from isl.command_line import run
from isl.errors import InputError
from isl.specs import load_dataset_specs

_GRIDS = pathlib.Path(__file__).parent / "grids"

_GRID = flags.DEFINE_string(
    "grid", None, "Name of a grid, or a JSON file.", required=True
)
_DATA_SPECS = flags.DEFINE_list(
    "data_specs", None, "Data specs to train on and to judge on.", required=True
)
_IMAGE_ROOT = flags.DEFINE_string(
    "image_root",
    None,
    "Folder that the paths of the specs are relative to.",
    required=True,
)
_OUTPUT_DIR = flags.DEFINE_string(
    "output_dir", None, "Folder of the table and the runs.", required=True
)
_SPLIT = flags.DEFINE_string("split", "test", "Split to judge on.")
_ONLY = flags.DEFINE_integer("only", None, "Number of the only run to do.")
_SHARD = flags.DEFINE_string(
    "shard", None, "i/n: every n-th run, from the i-th on (from 1)."
)
_REUSE_FROM = flags.DEFINE_list(
    "reuse_from",
    [],
    "Folders of other grids: runs with the same settings, data and split are "
    "taken from there.",
)
_LIST = flags.DEFINE_boolean("list", False, "Only shows the runs.")
_METRICS = flags.DEFINE_list(
    "metrics",
    ["pearson", "mean_pearson", "nll"],
    "What to print; the table has all.",
)


def _path() -> pathlib.Path:
    path = _GRIDS / f"{_GRID.value}.json"
    if path.is_file():
        return path
    path = pathlib.Path(_GRID.value)
    if not path.is_file():
        names = ", ".join(sorted(p.stem for p in _GRIDS.glob("*.json")))
        raise InputError(
            f"grid must be a file or one of {names}. Received: {_GRID.value}"
        )
    return path


def _print_table(study: Study) -> None:
    print(",".join(("model", "seed", "labels", "label", "metric", "value")))
    for row in study.collect():
        if row.metric in _METRICS.value:
            value = "" if row.value is None else f"{row.value:.4f}"
            seed = "" if row.seed is None else row.seed
            print(
                f"{row.model},{seed},{row.labels or ''},{row.label},"
                f"{row.metric},{value}"
            )


def main() -> None:
    check_metrics(_METRICS.value)
    study = Study(
        load_grid(_path()),
        load_dataset_specs(_DATA_SPECS.value),
        _IMAGE_ROOT.value,
        pathlib.Path(_OUTPUT_DIR.value),
        _SPLIT.value,
        tuple(map(pathlib.Path, _REUSE_FROM.value)),
    )
    cells = select_cells(study.cells, _ONLY.value, _SHARD.value)
    numbers = {cell: index for index, cell in enumerate(study.cells)}
    if _LIST.value:
        for cell in cells:
            done = study.result_file(cell.name).is_file()
            print(f"{numbers[cell]} {cell.name}{' (finished)' if done else ''}")
        return
    outcomes = {}
    for cell, outcome in iter_runs(study, cells, show_progress=True):
        print(f"{numbers[cell]} {cell.name}: {outcome}", flush=True)
        outcomes[cell.name] = outcome
    _print_table(study)
    print(f"table: {study.output_dir / 'table.csv'}")
    check_outcomes(outcomes)


if __name__ == "__main__":
    run(main)
