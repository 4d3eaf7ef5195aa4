"""The page: what it says, in which order, and that it holds everything."""

import dataclasses
import re

import pytest

from isl.evaluation.details import metric_details
from isl.evaluation.tables import POOLED, MetricRow
from isl.evaluation.wells import metric_rows
from isl.figures import drawing, report, report_metrics, report_text
from isl.figures.report import LabelPictures
from isl.figures.report_html import Comparison, Picture
from tests.scored_wells import scored_well

LABEL = "DAPI_CONFOCAL"
ROWS = (
    MetricRow("b", POOLED, LABEL, "pearson", 0.8, 2000, 0.75, 0.85),
    MetricRow("b", POOLED, LABEL, "nll", 0.25, 2000),
    MetricRow("b", POOLED, LABEL, "label_entropy", 0.375, 2000),
    MetricRow("b", POOLED, LABEL, "dead_true", 1234.0, 2000),
    MetricRow("b", POOLED, LABEL, "roughness", 20.26, 2000),
    MetricRow("b", "A4", LABEL, "pearson", 0.5, 1000),
    MetricRow("b", "A5", LABEL, "pearson", None, 1000),
    MetricRow("b", "A5", LABEL, "nll", 0.3, 1000, 0.2, 0.4),
)
PNG = drawing.figure_png(drawing.new_figure(0.2, 0.2))
WEBP = drawing.figure_webp(drawing.new_figure(0.2, 0.2))


@pytest.fixture
def page(tmp_path):
    def write(**arguments):
        path = tmp_path / "report.html"
        defaults = {"title": "t", "rows": ROWS, "labels": (), "run": {}}
        given = defaults | arguments
        details = {}
        for row in given["rows"]:
            details.setdefault(row.condition, {})[row.label] = {}
        report.write_report(path, **({"details": details} | given))
        return path.read_text(encoding="utf-8")

    return write


def pictures(text="words", label=LABEL):
    picture = Picture(text, PNG)
    return LabelPictures(
        condition="b",
        label=label,
        comparisons=[Comparison(text, 1.5, WEBP, WEBP, WEBP)],
        overview=[picture],
        uncertainty=[picture],
        cells=[picture],
        best=[Picture(text, WEBP)],
        worst=[Picture(text, WEBP)],
    )


def test_report_is_self_contained(page):
    text = page(labels=[pictures()], run={"command": "evaluate"})
    assert text.count("src='data:image/png;base64,") == 3
    assert text.count("src='data:image/webp;base64,") == 5
    assert not re.search(r"https?://|<link|@import|url\(|<script src", text)
    assert text.startswith("<!doctype html>")
    assert "default-src 'none'" in text  # And may not fetch anything.
    assert "prefers-color-scheme: dark" in text


def test_report_escapes_what_it_is_given(page):
    bad = "<script>&'"
    text = page(
        title=bad,
        rows=[
            MetricRow(bad, POOLED, bad, bad, 1.0, 1),
            MetricRow(bad, bad, bad, bad, 1.0, 1),
            *ROWS,
        ],
        labels=[pictures(bad, bad)],
        run={bad: bad},
        warnings=[bad],
    )
    assert text.count("<script") == 1  # Ours.
    assert "&'" not in text
    assert text.count("&lt;script&gt;&amp;&#x27;") >= 20


def table_of(text, number):
    body = re.findall(r"<tbody>(.*?)</tbody>", text, re.S)[number]
    return [
        [
            re.sub(r"<[^>]*>", " ", cell).split()
            for cell in re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row)
        ]
        for row in re.findall(r"<tr.*?</tr>", body, re.S)
    ]


def test_pooled_table_has_groups_and_intervals(page):
    rows = [[" ".join(cell) for cell in row] for row in table_of(page(), 0)]
    assert rows == [
        [report_metrics.PIXELS],
        ["Pearson r", "0.800 0.750 to 0.850"],
        [report_metrics.DISTRIBUTIONS],
        ["NLL", "0.250"],
        ["Label entropy", "0.375"],
        [report_metrics.LIFE],
        ["Dead, true", "1,234"],
        [report_metrics.OTHER],
        ["roughness", "20.3"],
    ]


def test_table_of_wells_shows_what_is_undefined(page):
    rows = [[" ".join(cell) for cell in row] for row in table_of(page(), 1)]
    assert rows == [
        [LABEL, "A4", "0.500", "–"],
        [LABEL, "A5", "undefined", "0.300"],
    ]


def test_one_well_needs_no_table_of_wells(page):
    text = page(rows=[row for row in ROWS if row.well != "A5"])
    assert "Each well" not in text


def test_conditions_are_named_only_if_there_are_several(page):
    other = MetricRow("e", POOLED, LABEL, "pearson", 0.7, 5)
    assert f"<strong>{LABEL} (cell nuclei)</strong>" in page()
    text = page(rows=[*ROWS, other], labels=[pictures()])
    assert f"<strong>e: {LABEL} (cell nuclei)</strong>" in text
    assert f"<h2>b: {LABEL} (cell nuclei)</h2>" in text


def test_report_says_what_was_evaluated_and_how(page):
    text = page(run={"commit": "abc123"}, warnings=["Simulated wells."])
    assert "2 wells, 1 label." in text
    assert "<dt>commit</dt><dd class='run'>abc123</dd>" in text
    assert "<li>Simulated wells.</li>" in text
    assert report_metrics.METRICS["nll"].definition in text
    assert "id='metric-nll'" in text and "href='#metric-nll'" in text
    assert "id='metric-mae'" not in text  # Not among the rows.


def test_sections_come_in_order_and_only_if_they_have_content(page):
    headings = re.findall(r"<h[23]>(.*?)</h[23]>", page(labels=[pictures()]))
    assert headings == [
        "In short",
        "All numbers",
        f"{LABEL} (cell nuclei)",
        "Truth and prediction",
        "Can its uncertainty be trusted?",
        "Cells",
        "Where it is best and worst",
        "Best tiles",
        "Worst tiles",
        "Each well",
        "What the numbers mean",
    ]
    bare = page(labels=[LabelPictures("b", LABEL)])
    assert "Best tiles" not in bare and "<h3>Cells" not in bare


def test_report_without_rows(page):
    text = page(rows=())
    assert "No label was evaluated." in text
    assert "In short" not in text


def test_report_rejects_bytes_that_are_no_image(page, tmp_path):
    bad = LabelPictures("b", LABEL, overview=[Picture("x", b"GIF89a")])
    with pytest.raises(ValueError, match="'x' must be the bytes of a PNG"):
        page(labels=[bad])
    assert not list(tmp_path.iterdir())


def summary(details=None, **values):
    return report_text.summarise(
        {
            name: MetricRow("b", POOLED, LABEL, name, value, 2000)
            for name, value in values.items()
        },
        details or {},
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
        (0.88, "about as wide as it should be"),
        (0.99, "more cautious than it need be"),
    ],
)
def test_summary_of_a_distribution(coverage, verdict):
    assert re.search(verdict, summary(coverage_90=coverage))


def test_summary_of_cells():
    text = summary(
        cells_true=40.0,
        cells_predicted=38.0,
        cell_recall=0.85,
        cell_split=1.0,
        cell_merged=2.0,
        cell_added=3.0,
        cell_missed=4.0,
        live_dead_accuracy=0.9,
        live_dead_majority=0.7,
        # Of 34 matches; the others are in wells without the label of dead
        # cells.
        details={"confusion": [[15, 1], [1, 3]]},
    )
    assert text.startswith(
        "The truth has 40 nuclei, the prediction 38: 4 are missed, 3 added, 1 "
        "split and 2 merged; 85 % of the true ones match a predicted one "
        "closely in place and shape (an intersection over union of 0.5 or "
        "more). Of 20 matched nuclei 90 % are rightly called alive or dead; "
        "always guessing the larger class would give 70 %."
    )
    assert "The truth has 10,152 nuclei" in summary(
        cells_true=10152.0,
        cells_predicted=0.0,
        cell_recall=0.0,
        cell_split=0.0,
        cell_merged=0.0,
        cell_added=0.0,
        cell_missed=10152.0,
    )
    # Where the paper's 98 % come from must be said.
    assert "Press reports" in text and "could not check" in text


def test_summary_of_nuclei_where_there_are_none():
    text = summary(
        cells_true=0.0,
        cells_predicted=500.0,
        cell_recall=None,
        cell_split=0.0,
        cell_merged=0.0,
        cell_added=500.0,
        cell_missed=0.0,
    )
    assert text == (
        "The truth has 0 nuclei, the prediction 500: 0 are missed, 500 added, "
        "0 split and 0 merged."
    )
    assert summary(cells_true=0.0, cells_predicted=0.0) == ""


def test_wells_without_the_label_of_dead_cells_are_not_counted():
    _, scores = scored_well()
    cells = scores.cells["DISK"]
    unknown = tuple(
        tuple(dataclasses.replace(cell, is_dead=None) for cell in pair)
        for pair in cells.matched
    )
    other = {"DISK": dataclasses.replace(cells, matched=unknown)}
    wells = [scores, dataclasses.replace(scores, well="A2", cells=other)]
    metrics = {
        row.metric: row
        for row in metric_rows(wells)
        if (row.well, row.label) == (POOLED, "DISK")
    }
    details = metric_details(wells)["test"]["DISK"]
    text = report_text.summarise(metrics, details)
    assert f"Of {len(cells.matched)} matched nuclei " in text


def test_the_page_says_how_many_nuclei_were_called_alive_or_dead(page):
    values = {"live_dead_accuracy": 0.9, "live_dead_majority": 0.7}
    rows = [
        MetricRow("b", POOLED, LABEL, name, value, 2000)
        for name, value in values.items()
    ]
    confusion = [[1000, 100], [100, 800]]
    text = page(rows=rows, details={"b": {LABEL: {"confusion": confusion}}})
    assert "Of 2,000 matched nuclei 90 % are rightly called" in text


def test_summary_of_all_true_nuclei():
    values = {
        "viability_accuracy": 0.8,
        "viability_majority": 0.75,
        "viability_dead_true": 500.0,
    }
    text = summary(**values, viability_auc=0.725)
    assert text == (
        "Of 2,000 true nuclei in wells with the label of dead cells 500 are "
        "dead; judged within their outlines, 80 % are rightly called alive or "
        "dead, where always guessing the larger class would give 75 %. Of a "
        "dead and a living one the dead one is predicted brighter in 72 % of "
        "cases (50 % by chance)."
    )
    one_kind = summary(**values, viability_auc=None)
    assert one_kind.endswith("would give 75 %.")


def test_summary_of_lines():
    text = summary(neurite_completeness=0.5, neurite_correctness=0.25)
    assert "50 % of the length are found; 25 %" in text
    assert "traced inside clumps of cell bodies" in text


@pytest.mark.parametrize(
    ("completeness", "correctness", "expected"),
    [
        (
            0.0,
            None,
            "Of the true lines 0 % of the length are found; the prediction "
            "has none. Lines",
        ),
        (
            None,
            0.0,
            "The truth has no lines; 0 % of the predicted length is right. "
            "Lines",
        ),
        (None, None, ""),
    ],
)
def test_summary_of_lines_where_there_are_none(
    completeness, correctness, expected
):
    text = summary(
        neurite_completeness=completeness, neurite_correctness=correctness
    )
    assert text.startswith(expected) and bool(text) == bool(expected)


def test_summary_of_undefined_values():
    assert summary(coverage_90=None) == ""
    assert "is undefined, because" in summary(pearson=None)
    assert summary(nll=0.3) == ""
    assert summary(nll=None, label_entropy=None) == ""
    text = summary(nll=None, label_entropy=0.4)
    assert text.startswith("No distribution was scored")
    row = MetricRow("b", POOLED, LABEL, "pearson", None, 0)
    text = report_text.summarise({"pearson": row}, {})
    assert "No pixel was evaluated" in text
