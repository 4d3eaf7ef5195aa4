import io
import re

import numpy as np
import pytest
from matplotlib import pyplot
from PIL import Image

from isl.errors import InputError
from isl.evaluation import error_panels, pixels
from isl.evaluation.tables import POOLED, MetricRow
from isl.figures import (
    drawing,
    label_figure,
    report,
    report_text,
    training_curves,
)


def make_label_figure(shape=(40, 40), **arguments):
    rng = np.random.default_rng(0)
    truth = rng.uniform(0.2, 1.0, shape)
    prediction = np.clip(truth + 0.1 * rng.normal(size=shape), 0, 1)
    histogram = pixels.JointHistogram()
    histogram.add(
        np.round(255 * truth).astype(int),
        np.round(255 * prediction).astype(int),
    )
    defaults = {
        "label": "DAPI_CONFOCAL",
        "input_plane": rng.uniform(size=shape),
        "truth": truth,
        "prediction": prediction,
        "histogram": histogram,
    }
    return label_figure.label_figure(**(defaults | arguments))


def texts(axes):
    return [text.get_text() for text in axes.texts]


def shown(axes):
    return np.asarray(axes.images[0].get_array())


def test_label_figure_names_its_parts():
    figure = make_label_figure(title="well A4")
    assert [axes.get_title(loc="left") for axes in figure.axes] == [
        "Input, central z-plane",
        "True DAPI_CONFOCAL",
        "Predicted DAPI_CONFOCAL",
        "Difference: predicted − true",
        "Overlay: predicted + true",
        "Counts per 1,000 of 1,600 pixels",
    ]
    written = [text.get_text() for text in figure.texts]
    assert written[0] == "well A4"
    assert "all 40 x 40 pixels" in written[1]
    assert "our definition" in written[1]


def test_label_figure_needs_no_pyplot():
    make_label_figure()
    assert pyplot.get_fignums() == []


def test_truth_prediction_and_errors_share_one_scale():
    truth = np.full((40, 40), 0.25)
    truth[:20] = 0.75
    prediction = truth.copy()
    prediction[:10, :10] = 0.5  # Half as bright as it should be.
    figure = make_label_figure(truth=truth, prediction=prediction)
    _, true_axes, predicted_axes, difference, overlay, _ = figure.axes
    np.testing.assert_allclose(shown(true_axes)[[0, 30], 0], [1.0, 0.0])
    np.testing.assert_allclose(shown(predicted_axes)[0, 0], 0.5)
    np.testing.assert_allclose(
        shown(difference)[0, 0], 0.5 * np.array(error_panels.TRUTH_BLUE)
    )
    np.testing.assert_allclose(shown(difference)[30, 30], 0.0)
    np.testing.assert_allclose(shown(overlay)[30, 30], 0.0)
    np.testing.assert_allclose(shown(overlay)[15, 15], 1.0)


def test_large_images_are_cropped_to_their_centre():
    figure = make_label_figure(shape=(700, 600))
    assert shown(figure.axes[1]).shape == (512, 512)
    assert "rows 94-606, columns 44-556 of 700 x 600" in (
        figure.texts[1].get_text()
    )


def test_a_given_crop_is_shown():
    figure = make_label_figure(crop=(slice(0, 10), slice(4, 20)))
    assert shown(figure.axes[0]).shape == (10, 16)


@pytest.mark.parametrize(
    "shape, expected",
    [
        ((100, 120), (100, 120)),
        ((1024, 320), (400, 320)),
        ((320, 1024), (320, 400)),
        ((2000, 2000), (512, 512)),
    ],
)
def test_central_crop(shape, expected):
    crop = label_figure.central_crop(shape, 512)
    image = np.zeros(shape)
    image[shape[0] // 2, shape[1] // 2] = 1
    assert image[crop].shape == expected
    assert image[crop][expected[0] // 2, expected[1] // 2] == 1


def test_a_scale_bar_needs_a_pixel_size():
    assert texts(make_label_figure().axes[0]) == []
    for axes in make_label_figure(pixel_size_um=0.5).axes[:5]:
        assert texts(axes) == ["5 µm"]
        assert axes.patches[0].get_width() == pytest.approx(5 / 0.5)


@pytest.mark.parametrize(
    "width_um, expected", [(154, 50), (120, 40), (3.0, 1), (1.5, 0.5)]
)
def test_scale_bar_length(width_um, expected):
    assert drawing.scale_bar_um(width_um) == expected


def test_label_figure_rejects_shapes():
    with pytest.raises(ValueError, match=r"same shape. Received: .*\(3, 3\)"):
        make_label_figure(truth=np.zeros((3, 3)))


def test_heat_map_counts_per_thousand_with_truth_across():
    histogram = pixels.JointHistogram()
    histogram.add(np.array([0] * 3 + [255]), np.array([255] * 3 + [0]))
    axes = drawing.new_figure(3, 3).subplots()
    label_figure.heat_map(axes, histogram)
    placed = {
        text.get_text(): np.round(text.get_position(), 2).tolist()
        for text in axes.texts
    }
    assert placed["750"] == [0.05, 0.95]
    assert placed["250"] == [0.95, 0.05]
    assert "r = -1.000" in placed
    counts = axes.images[0].get_array()
    assert counts[9, 0] == 750  # Row 9 is drawn on top.
    assert counts.mask.sum() == 98


def test_heat_map_of_nothing():
    axes = drawing.new_figure(3, 3).subplots()
    label_figure.heat_map(axes, pixels.JointHistogram())
    assert texts(axes) == ["r undefined"]
    drawing.figure_png(axes.figure)


@pytest.mark.parametrize(
    "value, expected",
    [(0.01, "<.1"), (0.05, "0.1"), (9.94, "9.9"), (9.96, "10"), (1000, "1000")],
)
def test_cell_text(value, expected):
    assert label_figure.cell_text(value) == expected


def test_png_has_the_size_of_the_page():
    figure = drawing.new_figure(2.0, 1.0)
    image = Image.open(io.BytesIO(drawing.figure_png(figure, 100)))
    assert image.size == (200, 100)


@pytest.mark.parametrize(
    "name, start",
    [("a.png", b"\x89PNG"), ("a.pdf", b"%PDF"), ("a.svg", b"<?xml")],
)
def test_save_figure(tmp_path, name, start):
    drawing.save_figure(drawing.new_figure(2.0, 1.0), tmp_path / name)
    assert (tmp_path / name).read_bytes().startswith(start)
    assert [p.name for p in tmp_path.iterdir()] == [name]


def test_save_figure_rejects_other_formats(tmp_path):
    with pytest.raises(InputError, match="must end in .*Received: '.gif'"):
        drawing.save_figure(drawing.new_figure(2, 1), tmp_path / "a.gif")


LOG = (
    {"step": "0", "loss": "1.0", "val_pearson_DAPI": "", "seconds": "1"},
    {"step": "10", "loss": "0.5", "val_pearson_DAPI": "0.25", "seconds": "2"},
    {"step": "20", "loss": "nan", "val_pearson_DAPI": "0.5", "seconds": "3"},
)


def test_training_curves_draw_what_the_log_holds():
    figure = training_curves.training_curves(LOG)
    losses, correlations = figure.axes
    (line,) = losses.lines
    assert line.get_label() == "loss"
    assert line.get_linestyle() == "-"
    np.testing.assert_array_equal(line.get_xydata(), [[0, 1.0], [10, 0.5]])
    (line,) = correlations.lines
    assert line.get_label() == "val_pearson_DAPI"
    assert line.get_linestyle() == "--"
    np.testing.assert_array_equal(line.get_xydata(), [[10, 0.25], [20, 0.5]])
    drawing.figure_png(figure)


def test_training_curves_of_an_empty_log():
    (axes,) = training_curves.training_curves([]).axes
    assert texts(axes) == ["no values in the log yet"]


ROWS = (
    MetricRow("b", "A4", "DAPI_CONFOCAL", "pearson", 0.5, 1000),
    MetricRow("b", "A5", "DAPI_CONFOCAL", "pearson", None, 1000),
    MetricRow("b", POOLED, "DAPI_CONFOCAL", "pearson", 0.8, 2000),
    MetricRow("b", POOLED, "DAPI_CONFOCAL", "nll", 0.25, 2000),
    MetricRow("b", POOLED, "DAPI_CONFOCAL", "label_entropy", 0.375, 2000),
    MetricRow("b", POOLED, "DAPI_CONFOCAL", "roughness", 2.0, 2000),
)


@pytest.fixture
def page(tmp_path):
    def write(**arguments):
        path = tmp_path / "report.html"
        defaults = {"title": "t", "rows": ROWS, "figures": {}, "run": {}}
        report.write_report(path, **(defaults | arguments))
        return path.read_text(encoding="utf-8")

    return write


def test_report_is_self_contained(page):
    text = page(
        figures={"a figure": drawing.new_figure(1, 1), "bytes": PNG},
        run={"command": "evaluate"},
    )
    assert text.count("src='data:image/png;base64,") == 2
    assert not re.search(r"https?://|<script|<link|@import|url\(", text)
    assert text.startswith("<!doctype html>")
    assert "prefers-color-scheme: dark" in text


PNG = drawing.figure_png(drawing.new_figure(0.2, 0.2))


def test_report_escapes_what_it_is_given(page):
    bad = "<script>&'"
    text = page(
        title=bad,
        rows=[MetricRow(bad, bad, bad, bad, 1.0, 1), *ROWS],
        figures={bad: PNG},
        run={bad: bad},
        notes=[bad],
    )
    assert "<script" not in text
    assert text.count("&lt;script&gt;&amp;&#x27;") >= 8


def table_of(text):
    body = re.search(r"<tbody>(.*)</tbody>", text, re.S).group(1)
    return [
        re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row)
        for row in re.findall(r"<tr.*?</tr>", body, re.S)
    ]


def test_report_table_lists_pooled_rows_first(page):
    text = page()
    headings = re.findall(r"<th scope='col'[^>]*>(.*?)</th>", text)
    assert headings == [
        "Label",
        "Well",
        "Pearson r",
        "NLL",
        "Label entropy",
        "roughness",
        "Pixels",
    ]
    label = "DAPI_CONFOCAL"
    assert table_of(text) == [
        [label, "all, pooled", "0.8000", "0.2500", "0.3750", "2.0000", "2,000"],
        [label, "A4", "0.5000", "–", "–", "–", "1,000"],
        [label, "A5", "undefined", "–", "–", "–", "1,000"],
    ]


def test_report_names_conditions_only_if_there_are_several(page):
    other = MetricRow("e", POOLED, "DAPI_CONFOCAL", "pearson", 0.7, 5)
    assert table_of(page())[0][0] == "DAPI_CONFOCAL"
    text = page(rows=[*ROWS, other])
    assert [row[0] for row in table_of(text)] == [
        *["b: DAPI_CONFOCAL"] * 3,
        "e: DAPI_CONFOCAL",
    ]
    assert "<strong>e: DAPI_CONFOCAL (cell nuclei)</strong>" in text


def test_report_says_what_was_evaluated_and_how(page):
    text = page(run={"commit": "abc123"}, notes=["Simulated wells."])
    assert "2 wells, 1 label." in text
    assert "<dt>commit</dt><dd class='run'>abc123</dd>" in text
    assert "<li>Simulated wells.</li>" in text
    assert report_text.METRICS["nll"][1] in text
    assert "<dt>MAE</dt>" not in text  # Not among the rows.


def test_report_without_rows(page):
    text = page(rows=())
    assert "No label was evaluated." in text
    assert "In short" not in text


def test_report_rejects_bytes_that_are_no_png(page, tmp_path):
    with pytest.raises(ValueError, match="'x' must be a figure"):
        page(figures={"x": b"GIF89a"})
    assert not list(tmp_path.iterdir())


def summary(**values):
    return report_text.summarise(
        {
            name: MetricRow("b", POOLED, "DAPI_CONFOCAL", name, value, 2000)
            for name, value in values.items()
        }
    )


def test_summary_of_a_good_prediction():
    assert summary(pearson=0.8, mae=0.03, nll=0.25, label_entropy=0.375) == (
        "Predicted and true intensity correlate with r = 0.800 over 2,000 "
        "pixels (1 is perfect): a straight-line fit of the prediction accounts "
        "for 64 % of the truth's variation. On average a pixel is off by 3.0 % "
        "of the intensity scale. The predicted distributions carry "
        "information: their NLL of 0.250 beats 0.375, the best score possible "
        "without looking at the input (lower is better)."
    )


def test_summary_of_a_bad_prediction():
    text = summary(pearson=-0.1, mae=None, nll=0.5, label_entropy=0.375)
    assert "the prediction does not follow the truth" in text
    assert "On average" not in text
    assert "no better than the label's own histogram" in text
    assert "0.500 does not beat 0.375" in text


@pytest.mark.parametrize(
    ("coverage", "verdict"),
    [
        (0.5, "50 % of the true intensities .* surer of itself"),
        (0.88, "knows how sure it can be"),
        (0.99, "more cautious than it need be"),
    ],
)
def test_summary_of_a_distribution(coverage, verdict):
    assert re.search(verdict, summary(coverage_90=coverage))


def test_summary_of_undefined_values():
    assert summary(coverage_90=None) == ""
    assert "is undefined, because" in summary(pearson=None)
    assert summary(nll=0.3) == ""
    assert summary(nll=None, label_entropy=None) == ""
    row = MetricRow("b", POOLED, "DAPI_CONFOCAL", "pearson", None, 0)
    assert "No pixel was evaluated" in report_text.summarise({"pearson": row})
