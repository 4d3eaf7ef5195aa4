"""Grids as data: their runs, their rules, what is shipped."""

import dataclasses
import json
import pathlib

import pytest

from isl.ablation.grid import Cell, load_grid
from isl.ablation.runs import select_cells
from isl.ablation.table import (
    COLUMNS,
    TableRow,
    collect_table,
    read_result,
    write_result,
)
from isl.errors import InputError
from isl.network.networks import NETWORKS

LABELS = ("A", "B")
GRIDS = sorted(
    (pathlib.Path(__file__).parents[1] / "experiments" / "grids").glob("*.json")
)

GRID = {
    "description": "Everything at once.",
    "preset": "tiny",
    "budget": {"num_steps": 7},
    "settings": {"train_split": "fit", "learning_rate": 0.5},
    "models": {
        "mine": {
            "network": "fnet",
            "width": 8,
            "settings": {"learning_rate": 0.25},
        }
    },
    "axes": {"model": ["tiny", "mine"], "seed": [0, 1]},
}


def write(folder, **changes):
    path = folder / "grid.json"
    path.write_text(json.dumps({**GRID, **changes}))
    return path


def test_runs_are_the_product_of_the_axes(tmp_path):
    cells = load_grid(write(tmp_path)).cells(LABELS)
    assert [(cell.model, cell.seed) for cell in cells] == [
        ("tiny", 0),
        ("tiny", 1),
        ("mine", 0),
        ("mine", 1),
    ]
    assert len({cell.name for cell in cells}) == 4
    assert cells[0].name == "tiny,train_share=1.0,seed=0"


def test_a_run_has_the_settings_of_grid_model_and_cell(tmp_path):
    grid = load_grid(write(tmp_path))
    tiny = grid.config(Cell("tiny", seed=3))
    assert tiny.architecture == NETWORKS["tiny"]
    assert (tiny.num_steps, tiny.max_minutes) == (7, None)
    assert (tiny.train_split, tiny.learning_rate, tiny.seed) == ("fit", 0.5, 3)
    assert tiny.z_alignment == "centred"
    mine = grid.config(Cell("mine"))
    assert mine.architecture == dataclasses.replace(
        NETWORKS["fnet"], base_filters=8
    )
    assert mine.learning_rate == 0.25
    assert mine.output_size == 64  # The largest of fnet within 72.


def test_every_axis_changes_its_setting(tmp_path):
    cell = Cell(
        "tiny",
        num_z=3,
        train_share=0.5,
        labels=("B",),
        loss="mean_squared_error",
        towers=1,
        autoencoding=True,
    )
    config = load_grid(write(tmp_path)).config(cell)
    assert (config.num_z, config.train_share) == (3, 0.5)
    assert config.labels == ("B",)
    assert config.loss == "mean_squared_error"
    assert config.architecture.num_bins is None
    assert len(config.architecture.towers) == 1
    assert config.include_autoencoding
    assert "labels=B" in cell.name and "towers=1" in cell.name


def test_a_budget_of_minutes_is_not_ended_by_steps(tmp_path):
    grid = load_grid(write(tmp_path, budget={"max_minutes": 2.5}))
    config = grid.config(Cell("tiny"))
    assert config.max_minutes == 2.5
    assert config.num_steps >= 10**9


def test_labels_alone_are_a_run_each(tmp_path):
    axes = {"model": ["tiny"], "labels": ["together", "alone", ["B", "A"]]}
    cells = load_grid(write(tmp_path, axes=axes)).cells(LABELS)
    found = [cell.labels for cell in cells]
    assert found == [None, ("A",), ("B",), ("B", "A")]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"budget": {}}, "budget must be one of max_minutes, num_steps"),
        ({"budget": {"num_steps": 0}}, "budget must be .* Received: {'num_st"),
        ({"budget": {"num_steps": 1, "max_minutes": 1}}, "budget must be"),
        (
            {"budget": {"num_steps": 300.0}},
            "budget must be .*, of steps a whole. Received: {'num_steps': 300",
        ),
        ({"preset": "slow"}, "preset must be .*fast.* Received: slow"),
        ({"axes": {"modl": []}}, "axes must be from .*Received: {'modl'"),
        ({"axes": {"seed": [0]}}, "axes.model must be given"),
        ({"axes": {"model": []}}, "axes.model must be a list of values"),
        ({"axes": {"model": ["vgg"]}}, "axes.model must be .*Received: vgg"),
        (
            {"axes": {"model": ["tiny"], "labels": ["A"]}},
            "axes.labels must be together, alone or a list",
        ),
        (
            {"axes": {"model": ["tiny"], "labels": [[]]}},
            "axes.labels must be together, alone or a list",
        ),
        (
            {"axes": {"model": ["tiny"], "seed": ["a"]}},
            "axes.seed must be whole numbers. Received: a",
        ),
        (
            {"axes": {"model": ["tiny"], "num_z": ["3"]}},
            "axes.num_z must be numbers of planes",
        ),
        (
            {"axes": {"model": [["tiny"]]}},
            "axes.model must be .*Received: \\['tiny'",
        ),
        ({"models": ["x"]}, "models must be an object. Received: \\['x'"),
        ({"preset": ["tiny"]}, "preset must be a text"),
        ({"settings": {"seed": 1}}, "settings must be settings of training"),
        *(
            (
                {"models": {"a": {"settings": {name: value}}}},
                "models.a.settings must be .*, without .*init_from. Received",
            )
            for name, value in (
                ("init_from", "runs/a/model"),
                ("freeze_body", False),
                ("body_learning_rate", 0.001),
            )
        ),
        (
            {"settings": {"batch_size": "2"}},
            "settings.batch_size must be int. Received: 2",
        ),
        (
            {"settings": {"keep_best": 1}},
            "settings.keep_best must be bool. Received: 1",
        ),
        (
            {"models": {"a": {"settings": {"patience": 1.5}}}},
            "models.a.settings.patience must be NoneType, int. Received: 1.5",
        ),
        ({"models": {"a": {"net": 1}}}, "models.a must be network, settings"),
        ({"colour": 1}, "keys must be from .* Received: colour"),
    ],
)
def test_wrong_grids_are_refused(tmp_path, changes, message):
    with pytest.raises(InputError, match=message):
        load_grid(write(tmp_path, **changes))


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        (Cell("tiny", towers=3), "towers must be 1 to .* Received: 3"),
        (Cell("mine", towers=1), "towers must be"),
        (Cell("tiny", train_share=0.0), "train_share must be above 0"),
        (Cell("tiny", loss="hinge"), "loss must be one of"),
    ],
)
def test_runs_that_cannot_be_trained_are_refused(tmp_path, cell, message):
    with pytest.raises(InputError, match=message):
        load_grid(write(tmp_path)).config(cell)


@pytest.mark.parametrize("path", GRIDS, ids=lambda path: path.stem)
def test_grids_that_are_shipped_can_be_trained(path):
    grid = load_grid(path)
    cells = grid.cells(LABELS)
    assert grid.description
    assert len(cells) == len({cell.name for cell in cells}) > 1
    for cell in cells:
        grid.config(cell)


def test_what_is_asked_is_shipped():
    assert [path.stem for path in GRIDS] == [
        "autoencoding",
        "baselines",
        "data",
        "labels",
        "losses",
        "planes",
        "towers",
    ]
    planes = load_grid(GRIDS[5]).axes["num_z"]
    assert planes == [1, 3, 5, 7, 9, 11, 13]


CELLS = tuple(Cell("tiny", seed=seed) for seed in range(7))


def test_shards_divide_the_runs():
    parts = [select_cells(CELLS, shard=f"{i}/3") for i in (1, 2, 3)]
    assert sorted((c for part in parts for c in part), key=CELLS.index) == list(
        CELLS
    )
    assert [len(part) for part in parts] == [3, 2, 2]
    assert select_cells(CELLS, only=5) == (CELLS[5],)
    assert select_cells(CELLS) == CELLS


@pytest.mark.parametrize("shard", ["0/3", "4/3", "3", "a/b", "1/"])
def test_wrong_shards_are_refused(shard):
    with pytest.raises(InputError, match=f"shard must be .*Received: {shard}"):
        select_cells(CELLS, shard=shard)


@pytest.mark.parametrize("only", [-1, 7])
def test_runs_that_are_not_there_are_refused(only):
    with pytest.raises(InputError, match=f"from 0 to 6. Received: {only}"):
        select_cells(CELLS, only=only)


ROW = TableRow(
    *("narrow", 13, 1.0, "A+B", "cross_entropy", 5, False, 0, 20, 0.5),
    *(1000, 2.5, "A", "pearson", None),
)


def test_the_table_holds_what_is_finished(tmp_path):
    other = dataclasses.replace(ROW, label="B", value=0.25)
    write_result(tmp_path / "one.json", [ROW, other], {"commit": "x"})
    assert read_result(tmp_path / "one.json") == (ROW, other)
    missing = tmp_path / "two.json"
    rows = collect_table(tmp_path, [missing, tmp_path / "one.json"])
    assert rows == (ROW, other)
    assert (tmp_path / "table.csv").read_text().splitlines() == [
        "model,num_z,train_share,labels,loss,towers,autoencoding,seed,steps,"
        "minutes,parameters,multiply_adds_per_pixel,label,metric,value",
        "narrow,13,1.0,A+B,cross_entropy,5,False,0,20,0.5,1000,2.5,A,pearson,",
        "narrow,13,1.0,A+B,cross_entropy,5,False,0,20,0.5,1000,2.5,B,pearson,"
        "0.25",
    ]
    assert len(COLUMNS) == 15


def test_another_file_is_no_result(tmp_path):
    (tmp_path / "one.json").write_text('{"rows": [{"model": "narrow"}]}')
    with pytest.raises(InputError, match="one.json: must hold the rows"):
        read_result(tmp_path / "one.json")
