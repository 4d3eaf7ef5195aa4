"""Grids from the script to the table; a miniature of each that is shipped."""

import csv
import json
import pathlib

import pytest

from isl.ablation.table import check_metrics, read_result
from isl.errors import DivergenceError, InputError
from isl.simulation.dataset import write_dataset
from isl.training.trainer import Trainer

SCRIPT = "ablate"
GRIDS = sorted(
    (pathlib.Path(__file__).parents[1] / "experiments" / "grids").glob("*.json")
)
# In place of the networks of the grids.
TINY = {
    **dict.fromkeys(("compact", "concordance", "narrow"), "tiny"),
    "fnet": "tiny_fnet",
    "unet": "tiny_unet",
}

GRID = {
    "preset": "tiny",
    "budget": {"num_steps": 2},
    "settings": {
        "output_size": 16,
        "batch_size": 1,
        "steps_per_epoch": 1,
        "num_validation_crops": 1,
        "activation_histograms": False,
    },
    "axes": {
        "model": ["tiny_fnet"],
        "loss": ["mean_squared_error"],
        "labels": [["DAPI_CONFOCAL"]],
        "seed": [0, 1],
    },
}


@pytest.fixture(scope="module")
def wells(tmp_path_factory):
    root = tmp_path_factory.mktemp("wells")
    write_dataset(root, 2, 64, 3, 0)
    return root


@pytest.fixture
def ablate(run, wells, tmp_path):
    """Runs a grid into tmp_path / "out"."""

    def run_grid(grid, **flags):
        path = tmp_path / "grid.json"
        path.write_text(json.dumps(grid))
        run(
            grid=path,
            data_specs=wells / "spec.json",
            image_root=wells,
            output_dir=tmp_path / "out",
            **flags,
        )

    return run_grid


def read_table(tmp_path):
    with (tmp_path / "out" / "table.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_the_table_has_a_row_for_each_run_label_and_metric(
    ablate, tmp_path, capsys
):
    ablate(GRID)
    rows = read_table(tmp_path)
    runs = [row for row in rows if row["model"] == "tiny_fnet"]
    assert {row["seed"] for row in runs} == {"0", "1"}
    assert {row["label"] for row in runs} == {"DAPI_CONFOCAL"}
    keys = [(row["seed"], row["label"], row["metric"]) for row in runs]
    assert len(set(keys)) == len(keys)
    (row,) = [r for r in runs if r["seed"] == "1" and r["metric"] == "nll"]
    assert row["value"] == ""  # Undefined for regression.
    (row,) = [r for r in runs if r["seed"] == "1" and r["metric"] == "mae"]
    assert 0 < float(row["value"]) < 1
    assert (row["num_z"], row["steps"], row["towers"]) == ("3", "2", "")
    assert row["labels"] == "DAPI_CONFOCAL"
    assert row["loss"] == "mean_squared_error"
    # 6 planes: 376 down, 72, 896 at the bottom, 136, 448 up, 5 of the head.
    assert int(row["parameters"]) == 1933
    # 360 down, 16, 216 at the bottom, 32, 432 up, 4 of the head.
    assert float(row["multiply_adds_per_pixel"]) == 1060.0
    check_metrics({row["metric"] for row in rows})
    texture = [r for r in rows if r["model"] == "local_deviation"]
    assert {r["metric"] for r in texture} == {"pearson"}
    assert len(texture) == 4 and texture[0]["parameters"] == "0"
    histogram = [r for r in rows if r["model"] == "label_histogram"]
    assert {r["metric"] for r in histogram} == {"nll"}
    assert all(0 < float(r["value"]) < 2 for r in histogram)
    assert "local_deviation" in capsys.readouterr().out


@pytest.mark.usefixtures("eagerly")
def test_finished_runs_are_not_trained_again(ablate, tmp_path, monkeypatch):
    ablate(GRID, only=1)
    before = read_table(tmp_path)
    assert {row["seed"] for row in before} == {"", "1"}
    trained = []
    train = Trainer.train

    def watched(trainer, *arguments, **options):
        trained.append(trainer.config.seed)
        train(trainer, *arguments, **options)

    monkeypatch.setattr(Trainer, "train", watched)
    ablate(GRID)
    assert trained == [0]
    after = read_table(tmp_path)
    assert [r for r in after if r["seed"] != "0"] == before
    assert {row["seed"] for row in after} == {"", "0", "1"}


@pytest.mark.usefixtures("eagerly")
def test_equal_runs_of_another_grid_are_taken_over(
    ablate, tmp_path, monkeypatch, capsys
):
    ablate({**GRID, "axes": {**GRID["axes"], "num_z": [3], "seed": [1]}})
    (tmp_path / "out").rename(tmp_path / "planes")
    (known,) = (tmp_path / "planes" / "runs").glob("tiny*.result.json")
    before = [r for r in read_result(known) if r.metric == "mae"]

    def train(trainer, *arguments):
        raise AssertionError(f"trained {trainer.config}")

    monkeypatch.setattr(Trainer, "train", train)
    ablate(GRID, only=1, reuse_from=tmp_path / "planes")
    assert f"taken from {known}" in capsys.readouterr().out
    rows = [r for r in read_table(tmp_path) if r["metric"] == "mae"]
    assert [float(r["value"]) for r in rows] == [r.value for r in before]
    # The other seed was not trained there, nor these steps.
    with pytest.raises(AssertionError, match="seed=0"):
        ablate(GRID, only=0, reuse_from=tmp_path / "planes")
    (tmp_path / "out").rename(tmp_path / "seeds")
    longer = {**GRID, "budget": {"num_steps": 3}}
    with pytest.raises(AssertionError, match="num_steps=3"):
        ablate(longer, only=1, reuse_from=tmp_path / "planes")
    with pytest.raises(InputError, match="reuse_from must be.*none"):
        ablate(GRID, only=1, reuse_from=tmp_path / "none")


@pytest.mark.usefixtures("eagerly")
def test_a_run_that_diverges_does_not_stop_the_others(
    ablate, tmp_path, monkeypatch
):
    real = Trainer.train

    def train(trainer, *arguments):
        if trainer.config.seed == 0:
            raise DivergenceError("loss must be finite. Received: nan")
        real(trainer, *arguments)

    monkeypatch.setattr(Trainer, "train", train)
    with pytest.raises(InputError, match="Received: tiny_fnet.*seed=0 diverg"):
        ablate(GRID)
    assert {row["seed"] for row in read_table(tmp_path)} == {"", "1"}


def test_no_run_is_trained_if_one_cannot_be(ablate, monkeypatch):
    def train(trainer, *arguments):
        raise AssertionError(f"trained {trainer.config}")

    monkeypatch.setattr(Trainer, "train", train)
    labels = [["DAPI_CONFOCAL"], ["DAPI_CONFOCL"]]
    axes = {**GRID["axes"], "labels": labels}
    with pytest.raises(InputError, match="labels must be.*DAPI_CONFOCL"):
        ablate({**GRID, "axes": axes})


class Stopped(Exception):
    """Stands for a kill."""


def stopped_after_an_epoch(train):
    """A `Trainer.train` that ends once the first checkpoint is there."""

    def after_epoch(step, validation):
        raise Stopped

    def stopped(trainer, *arguments, **options):
        train(trainer, after_epoch=after_epoch)

    return stopped


@pytest.mark.usefixtures("eagerly")
def test_a_run_that_was_begun_on_other_terms_is_refused(ablate, monkeypatch):
    monkeypatch.setattr(Trainer, "train", stopped_after_an_epoch(Trainer.train))
    with pytest.raises(Stopped):
        ablate(GRID, only=0)
    longer = {**GRID, "budget": {"num_steps": 3}}
    with pytest.raises(InputError, match="another num_steps"):
        ablate(longer, only=0)


def test_a_stopped_run_goes_on(ablate, tmp_path, monkeypatch):
    train = Trainer.train
    first_steps = []

    def watched(trainer, *arguments, **options):
        first_steps.append(trainer.step)
        train(trainer, *arguments, **options)

    monkeypatch.setattr(Trainer, "train", stopped_after_an_epoch(train))
    with pytest.raises(Stopped):
        ablate(GRID, only=0)
    monkeypatch.setattr(Trainer, "train", watched)
    ablate(GRID, only=0)
    assert first_steps == [1]
    assert {row["steps"] for row in read_table(tmp_path)} == {"0", "2"}


def test_list_shows_the_runs_and_trains_none(ablate, tmp_path, capsys):
    ablate(GRID, list=True, shard="2/2")
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith("1 tiny_fnet,") and line.endswith("seed=1")
    assert not (tmp_path / "out").exists()


def test_runs_that_cannot_be_trained_stop_the_grid_at_once(ablate, tmp_path):
    axes = {"model": ["tiny_fnet", "tiny"], "towers": [None, 1]}
    with pytest.raises(InputError, match="tiny_fnet.*towers=1"):
        ablate({**GRID, "axes": axes})
    assert not (tmp_path / "out").exists()


def test_unknown_metrics_are_refused_before_anything_is_trained(
    ablate, tmp_path
):
    with pytest.raises(InputError, match="pearson, .*Received: mean_person$"):
        ablate(GRID, metrics="nll,mean_person")
    assert not (tmp_path / "out").exists()


def test_an_unknown_grid_is_refused(run, wells, tmp_path):
    with pytest.raises(InputError, match="baselines, .*Received: nothing"):
        run(
            grid="nothing",
            data_specs=wells / "spec.json",
            image_root=wells,
            output_dir=tmp_path / "out",
        )


def ends(values):
    return values if len(values) < 3 else [values[0], values[-1]]


def miniature(grid):
    """The grid of tiny networks: the ends of each axis, one seed."""
    axes = {name: ends(values) for name, values in grid["axes"].items()}
    models = (TINY[model] for model in grid["axes"]["model"])
    axes["model"] = list(dict.fromkeys(models))
    axes["seed"] = [0]
    replaced = {
        "num_z": [1, 3],
        "towers": [1, 2],
        "labels": ["together", ["DAPI_CONFOCAL"]],
    }
    axes.update({k: v for k, v in replaced.items() if k in axes})
    return {**GRID, "axes": axes}


@pytest.mark.long
@pytest.mark.parametrize("path", GRIDS, ids=lambda path: path.stem)
def test_miniature_of_each_grid(path, ablate, tmp_path):
    grid = json.loads(path.read_text())
    ablate(miniature(grid))
    rows = read_table(tmp_path)
    asked = {k for k, values in grid["axes"].items() if len(values) > 1}
    asked -= {"seed"}
    for axis in asked:
        found = {row[axis] for row in rows if row["parameters"] != "0"}
        assert len(found) > 1, axis
    assert any(row["metric"] == "pearson" for row in rows)


@pytest.mark.usefixtures("eagerly")
def test_a_finished_run_must_be_the_one_that_is_meant(ablate, tmp_path):
    ablate(GRID, only=0)
    before = read_table(tmp_path)
    longer = {**GRID, "budget": {"num_steps": 3}}
    with pytest.raises(InputError, match="another num_steps.*Received: 3"):
        ablate(longer, only=1)
    with pytest.raises(InputError, match="another split .test.*Received: tr"):
        ablate(GRID, only=1, split="train")
    assert read_table(tmp_path) == before


@pytest.mark.usefixtures("eagerly")
def test_what_was_judged_without_learning_is_of_these_pixels(ablate, tmp_path):
    ablate(GRID, only=0)
    for path in (tmp_path / "out" / "runs").glob("tiny*.result.json"):
        path.unlink()
    with pytest.raises(InputError, match="local_deviation.*another split"):
        ablate(GRID, only=0, split="train")


def test_only_and_shard_exclude_each_other(ablate):
    with pytest.raises(InputError, match="shard must be left out with only"):
        ablate(GRID, only=0, shard="1/2")
