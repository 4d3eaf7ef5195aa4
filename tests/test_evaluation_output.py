import dataclasses
import re

import numpy as np
import pytest

from isl.evaluation.cells import CellComparison
from isl.evaluation.details import metric_details
from isl.evaluation.matching import CellErrors
from isl.evaluation.scoring import LabelScores, true_bins
from isl.evaluation.tile_scoring import score_tiles
from isl.evaluation.wells import FailedWell, WellScores, metric_rows
from isl.figures import evaluation_output, report_pictures
from isl.figures.evaluation_output import write_evaluation
from tests.scored_wells import scored_well
from tests.tiny_runs import KeepingPlane, disks


def perfect(name="A1"):
    """A well whose DISK was predicted without error; only medians are known."""
    well = disks(name=name)
    bins = true_bins(well.labels["DISK"].values)
    scores = LabelScores()
    scores.add(bins, bins, None)
    rows, columns = (slice(0, size) for size in well.shape)
    return well, WellScores(
        "test", name, rows, columns, {"DISK": scores},
        {"DISK": bins.astype(np.uint8)},
    )  # fmt: skip


def pictures(folder):
    return sorted(path.name for path in folder.glob("*.png"))


def test_writes_tables_pictures_and_report(tmp_path):
    scored = [perfect()]
    rows = write_evaluation(tmp_path, scored, "Title", {"model": "m"})
    assert rows == metric_rows(scores for _, scores in scored)
    assert pictures(tmp_path) == ["A1_DISK.png"]
    picture = tmp_path / "A1_DISK.png"
    assert picture.read_bytes().startswith(b"\x89PNG")
    lines = (tmp_path / "metrics.csv").read_text().splitlines()
    assert "test,pooled,DISK,pearson,1.0,5120,," in lines
    page = (tmp_path / "report.html").read_text()
    assert "Title" in page and "data:image/webp;base64," in page
    assert "The test region is tiny" in page


def test_wells_of_two_conditions_have_pictures_of_their_own(tmp_path):
    well, scores = perfect()
    other = dataclasses.replace(scores, condition="other")
    write_evaluation(tmp_path, [(well, scores), (well, other)], "Title", {})
    assert pictures(tmp_path) == ["other_A1_DISK.png", "test_A1_DISK.png"]


def test_pictures_of_the_first_wells_only(tmp_path):
    wells = [perfect(f"A{i}") for i in range(1, 7)]
    write_evaluation(tmp_path, wells, "Title", {})
    assert pictures(tmp_path) == [f"A{i}_DISK.png" for i in range(1, 5)]
    page = (tmp_path / "report.html").read_text()
    assert "Pictures show the first 4 of 6 wells." in page
    assert page.count("<figure class='compare'") == 4


def test_a_rerun_with_fewer_wells_leaves_nothing_of_the_first(tmp_path):
    cells = {"DISK": CellComparison(CellErrors(), (), (), (), {0.5: 0})}
    wells = [
        (well, dataclasses.replace(scores, cells=cells))
        for well, scores in map(perfect, ("A1", "A2", "A3", "A4", "A5"))
    ]
    write_evaluation(tmp_path, wells, "Title", {})
    assert (tmp_path / "cells.csv").is_file()
    others = ("A5_DISK.png", "A2_OTHER.png", "A9_DISK.png", "notes.csv")
    for name in others:
        (tmp_path / name).write_text("mine")
    write_evaluation(tmp_path, [perfect("A1")], "Title", {})
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(
        ["A1_DISK.png", "metrics.csv", "metrics.json", "report.html", *others]
    )


def test_a_rerun_knows_which_wells_had_pictures(tmp_path):
    failed = FailedWell("other", "A1", ("DISK",), "cut off")
    write_evaluation(tmp_path, [perfect("A1")], "Title", {}, [failed])
    assert pictures(tmp_path) == ["A1_DISK.png"]
    write_evaluation(tmp_path, [perfect("A2")], "Title", {})
    assert pictures(tmp_path) == ["A2_DISK.png"]


def test_files_beside_no_evaluation_stay(tmp_path):
    (tmp_path / "cells.csv").write_text("mine")
    (tmp_path / "metrics.csv").write_text("epoch,loss\n1,0.5\n")
    write_evaluation(tmp_path, [perfect()], "Title", {})
    assert (tmp_path / "cells.csv").read_text() == "mine"


def test_a_failure_leaves_no_older_report(tmp_path, monkeypatch):
    write_evaluation(tmp_path, [perfect("A1"), perfect("A2")], "Title", {})

    def fail(*_):
        raise OSError("No space left on device")

    monkeypatch.setattr(evaluation_output, "save_figure", fail)
    with pytest.raises(OSError, match="No space"):
        write_evaluation(tmp_path, [perfect("A2")], "Title", {})
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "metrics.csv",
        "metrics.json",
    ]


@pytest.fixture(scope="module")
def parts():
    scored = [scored_well("A1", noise=8.0), scored_well("A2", noise=30.0)]
    details = metric_details(scores for _, scores in scored)["test"]
    return {
        label: report_pictures.label_pictures(scored, label, details[label])
        for label in ("DISK", "INVERSE")
    }


def test_tiles_are_ranked_by_their_error(parts):
    def errors(pictures):
        return [
            float(re.search(r"absolute error ([\d.]+)", p.caption).group(1))
            for p in pictures
        ]

    best, worst = parts["DISK"].best, parts["DISK"].worst
    assert len(best) == len(worst) == 3
    assert max(errors(best)) < 0.04 < 0.06 < min(errors(worst))
    # The second well has more noise.
    assert all("well A1" in picture.caption for picture in best)
    assert all("well A2" in picture.caption for picture in worst)
    # Tiles at the edge (columns from 256) are smaller, and left out.
    assert not any("column 256" in p.caption for p in (*best, *worst))


def beside(name, change):
    """A scored well, and the same with other medians under another name."""
    well, scores = scored_well()
    prediction = change(scores.predictions["DISK"])
    truth = true_bins(well.labels["DISK"].values).astype(np.uint8)
    tiles = score_tiles(
        scores.rows,
        scores.columns,
        lambda rows, columns: truth[rows, columns],
        prediction,
        None,
    )
    other = dataclasses.replace(
        scores,
        predictions={"DISK": prediction},
        tiles={"DISK": tiles},
        well=name,
    )
    return [(well, scores), (well, other)]


def test_a_dim_prediction_is_not_among_the_best():
    scored = beside("dim", lambda medians: medians // 8)
    part = report_pictures.label_pictures(scored, "DISK", {})
    assert not any("well dim" in p.caption for p in part.best)
    assert all("well dim" in p.caption for p in part.worst)


def test_a_prediction_that_misses_every_cell_is_among_the_worst():
    """It is constant, so that its r is undefined."""
    scored = beside("blind", np.zeros_like)
    part = report_pictures.label_pictures(scored, "DISK", {})
    start = r"r undefined, mean absolute error 0\.\d+; well blind"
    assert all(re.match(start, p.caption) for p in part.worst)
    assert all(re.match(r"r = 0\.", p.caption) for p in part.best)


def test_cells_and_uncertainty_of_labels_that_have_them(parts):
    assert len(parts["DISK"].cells) == 1 and not parts["INVERSE"].cells
    for part in parts.values():
        assert len(part.uncertainty) == 2 and len(part.comparisons) == 2


def test_decoded_labels_of_wells_without_pictures_are_not_kept():
    well, scores = scored_well()
    scores = dataclasses.replace(scores, tiles={})
    scored = []
    for _ in range(6):
        label = KeepingPlane(well.labels["DISK"].values)
        own = dataclasses.replace(well, labels={"DISK": label})
        scored.append((own, scores))
    part = report_pictures.label_pictures(scored, "DISK", {})
    assert len(part.uncertainty) == 1
    kept = [well.labels["DISK"].kept is not None for well, _ in scored]
    assert kept == [True] * 4 + [False] * 2


def test_stored_predictions_have_no_uncertainty():
    part = report_pictures.label_pictures([perfect()], "DISK", {})
    assert not part.uncertainty and not part.best and not part.cells
