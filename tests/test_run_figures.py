"""Figures from tables of runs: training curves, ablations."""

import numpy as np
import pytest

from isl.ablation.table import (
    TABLE_FILE,
    TableRow,
    collect_table,
    write_result,
)
from isl.errors import InputError
from isl.figures import comparison, drawing
from isl.figures.training_curves import read_log, training_curves

LOG = (
    {
        "step": "0",
        "loss": "1",
        "DAPI_loss": "1.0",
        "validation_DAPI_nll": "",
        "validation_DAPI_pearson": "",
    },
    {
        "step": "10",
        "loss": "1",
        "DAPI_loss": "0.5",
        "validation_DAPI_nll": "0.6",
        "validation_DAPI_pearson": "0.25",
    },
    {
        "step": "20",
        "loss": "1",
        "DAPI_loss": "nan",
        "validation_DAPI_nll": "0.4",
        "validation_DAPI_pearson": "0.5",
    },
)


def curves(axes):
    return [
        line.get_xydata().tolist()
        for line in axes.lines
        if len(line.get_xdata())
    ]


def legend(figure):
    (found,) = figure.legends
    return [text.get_text() for text in found.get_texts()]


def test_training_curves_draw_what_the_log_holds():
    above, below = training_curves({"run": LOG}).axes
    assert above.get_title(loc="left") == "DAPI"
    assert curves(above) == [[[0, 1.0], [10, 0.5]], [[10, 0.6], [20, 0.4]]]
    assert curves(below) == [[[10, 0.25], [20, 0.5]]]


def test_training_curves_of_several_runs():
    other = [{**row, "MAP2_loss": row["DAPI_loss"]} for row in LOG]
    figure = training_curves({"one": LOG, "two": other})
    titles = [axes.get_title(loc="left") for axes in figure.axes[:2]]
    assert titles == ["DAPI", "MAP2"]
    first = figure.axes[0].lines
    assert first[0].get_color() != first[2].get_color()
    assert legend(figure) == ["one", "two"]


def test_training_curves_of_a_regression_head_have_no_cross_entropy():
    rows = [{**row, "validation_DAPI_nll": ""} for row in LOG]
    above, below = training_curves({"run": rows}).axes
    assert curves(above) == [[[0, 1.0], [10, 0.5]]]
    assert above.get_ylabel() == "Loss"


def test_panels_without_values_say_so():
    rows = [{**row, "validation_DAPI_pearson": ""} for row in LOG]
    above, below = training_curves({"run": rows}).axes
    assert [text.get_text() for text in below.texts] == ["undefined so far"]
    assert not below.get_yticks().size and not above.texts
    assert below.get_xlim() == above.get_xlim()


def test_training_curves_of_an_empty_log():
    figure = training_curves({"run": []})
    assert [text.get_text() for text in figure.axes[0].texts] == [
        "no values in the log yet"
    ]


def test_read_log(tmp_path):
    (tmp_path / "log.csv").write_text("step,loss\n1,0.5\n")
    assert read_log(tmp_path) == [{"step": "1", "loss": "0.5"}]
    with pytest.raises(InputError, match="log.csv: must be the log of a run"):
        read_log(tmp_path / "nowhere")
    (tmp_path / "log.csv").write_text("step,loss\n")
    with pytest.raises(InputError, match="Received: none finished yet"):
        read_log(tmp_path)
    (tmp_path / "log.csv").write_text("a,b\n1,2\n")
    with pytest.raises(InputError, match="a column step. Received: a, b"):
        read_log(tmp_path)


def table(path, *rows):
    defaults = {
        "model": "isl",
        "num_z": "13",
        "train_share": "1.0",
        "labels": "DAPI MAP2",
        "loss": "cross_entropy",
        "towers": "5",
        "autoencoding": "False",
        "seed": "0",
        "steps": "100",
        "minutes": "1.0",
        "label": "DAPI",
        "metric": "pearson",
        "value": "0.5",
    }
    lines = [",".join(comparison.COLUMNS)]
    lines += [",".join((defaults | row).values()) for row in rows]
    path.write_text("\n".join(lines) + "\n")
    return path


def results(tmp_path, *rows):
    return comparison.read_results(table(tmp_path / "t.csv", *rows), "pearson")


def test_curve_is_the_mean_over_seeds(tmp_path):
    figure = comparison.curve_figure(
        results(
            tmp_path,
            {"num_z": "13", "seed": "0", "value": "0.8"},
            {"num_z": "1", "seed": "0", "value": "0.25"},
            {"num_z": "1", "seed": "1", "value": "0.75"},
            {"num_z": "13", "metric": "nll", "value": "0.1"},
            {"num_z": "5", "value": ""},
        ),
        "num_z",
    )
    (axes,) = figure.axes
    assert [[1, 0.5], [13, 0.8]] in curves(axes)
    dots = np.concatenate(
        [line.get_xydata() for line in axes.lines if line.get_marker() == "o"]
    )
    assert sorted(dots.tolist()) == [[1, 0.25], [1, 0.75], [13, 0.8]]
    band = axes.collections[0].get_paths()[0].vertices
    assert band[:, 1].min() == 0.25 and band[:, 1].max() == 0.8
    assert not figure.legends
    assert axes.get_ylabel() == "Pearson r" and axes.get_xlabel() == "z-planes"
    ticks = axes.get_xticks()
    np.testing.assert_array_equal(ticks, np.rint(ticks))


def test_runs_that_differ_otherwise_are_other_curves(tmp_path):
    figure = comparison.curve_figure(
        results(
            tmp_path,
            {"train_share": "0.5"},
            {"train_share": "1.0"},
            {"train_share": "1.0", "model": "unet", "value": "0.1"},
            {"train_share": "1.0", "label": "MAP2", "value": "0.3"},
        ),
        "train_share",
    )
    first, second = figure.axes
    assert legend(figure) == ["model isl", "model unet"]
    assert [[0.5, 0.5], [1.0, 0.5]] in curves(first)
    assert [[1.0, 0.1]] in curves(first)
    assert [[1.0, 0.3]] in curves(second)


def test_a_kind_of_run_looks_the_same_in_every_panel(tmp_path):
    figure = comparison.curve_figure(
        results(
            tmp_path,
            {"num_z": "1"},
            {"num_z": "1", "model": "unet"},
            {"num_z": "1", "model": "unet", "label": "MAP2"},
        ),
        "num_z",
    )
    first, second = (
        [
            (line.get_color(), line.get_marker())
            for line in axes.lines
            if line.get_linestyle() == "None"
        ]
        for axes in figure.axes
    )
    assert len(set(first)) == 2 and second == first[1:]


def grid_table(folder):
    """The table that ablate.py writes: baselines, and a run for each num_z."""
    settings = ("num_z", "train_share", "labels", "loss", "towers")
    common = {
        "parameters": 0,
        "multiply_adds_per_pixel": 0.0,
        "label": "DAPI",
        "steps": 0,
        "minutes": 0.0,
    }
    baselines = [
        TableRow(
            model=model,
            metric=metric,
            value=0.3,
            **dict.fromkeys((*settings, "autoencoding", "seed")),
            **common,
        )
        for model, metric in (
            ("local_deviation", "pearson"),
            ("label_histogram", "nll"),
        )
    ]
    runs = [
        TableRow(
            "isl", num_z, 1.0, "DAPI", "cross_entropy", 5, False, 0,
            metric=metric, value=num_z / 20, **common,
        )
        for num_z in (1, 5, 13)
        for metric in ("pearson", "nll", "mae")
    ]  # fmt: skip
    paths = [folder / "baselines.json", folder / "runs.json"]
    for path, rows in zip(paths, (baselines, runs), strict=True):
        write_result(path, rows, {})
    collect_table(folder, paths)
    return folder / TABLE_FILE


@pytest.mark.parametrize(
    ("metric", "name"),
    [("pearson", "local_deviation"), ("nll", "label_histogram"), ("mae", None)],
)
def test_predictions_without_learning_are_lines(tmp_path, metric, name):
    path = grid_table(tmp_path)
    figure = comparison.curve_figure(
        comparison.read_results(path, metric), "num_z"
    )
    (axes,) = figure.axes
    assert [[1, 0.05], [5, 0.25], [13, 0.65]] in curves(axes)
    dashed = [line for line in axes.lines if line.get_linestyle() == "--"]
    assert [line.get_ydata()[0] for line in dashed] == ([0.3] if name else [])
    if name:
        assert legend(figure) == [f"{name} (without learning)"]
    else:
        assert not figure.legends
    drawing.figure_png(figure)


def test_a_table_without_runs_has_no_curve(tmp_path):
    path = grid_table(tmp_path)
    found = comparison.read_results(path, "pearson")
    only = [result for result in found if not result.settings["num_z"]]
    with pytest.raises(InputError, match="runs with num_z. Received: none"):
        comparison.curve_figure(only, "num_z")


def test_multi_task_compares_together_with_alone(tmp_path):
    figure = comparison.multi_task_figure(
        results(
            tmp_path,
            {"labels": "DAPI+MAP2", "value": "0.7"},
            {"labels": "DAPI+MAP2", "label": "MAP2", "value": "0.6"},
            {"labels": "DAPI", "value": "0.4"},
            {"labels": "DAPI", "value": "0.6", "seed": "1"},
            {"labels": "MAP2", "label": "MAP2", "value": "0.5"},
        )
    )
    first, second = figure.axes
    assert [[0, 0.7], [1, 0.5]] in curves(first)
    assert [[0, 0.6], [1, 0.5]] in curves(second)
    drawing.figure_png(figure)


def test_multi_task_needs_both(tmp_path):
    with pytest.raises(InputError, match="one label alone. Received: none"):
        comparison.multi_task_figure(results(tmp_path, {}))
    only = results(tmp_path, {"labels": "DAPI"})
    with pytest.raises(InputError, match="all labels together"):
        comparison.multi_task_figure(only)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "must have a row and the columns"),
        ("model,num_z\nisl,1\n", "Received: no autoencoding, label"),
    ],
)
def test_other_tables_are_refused(tmp_path, text, message):
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(InputError, match=message):
        comparison.read_results(tmp_path / "t.csv", "pearson")


def test_values_must_be_numbers(tmp_path):
    with pytest.raises(InputError, match="finite numbers. Received: 'good'"):
        results(tmp_path, {"value": "good"})
    with pytest.raises(InputError, match="num_z.*Received: 'all'"):
        comparison.curve_figure(results(tmp_path, {"num_z": "all"}), "num_z")


def test_metric_must_be_in_the_table(tmp_path):
    path = table(tmp_path / "t.csv", {}, {"metric": "nll"})
    with pytest.raises(InputError, match="one of pearson, nll. Received: 'r'"):
        comparison.read_results(path, "r")
