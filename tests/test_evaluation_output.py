import numpy as np

from isl.evaluation.scoring import LabelScores, true_bins
from isl.evaluation.wells import WellScores
from isl.figures.evaluation_output import write_evaluation
from tests.tiny_runs import disks


def scored(name="A1"):
    """A well whose DISK was predicted without error."""
    well = disks(name=name)
    bins = true_bins(well.labels["DISK"].values)
    scores = LabelScores()
    scores.add(bins, bins, None)
    rows, columns = (slice(0, size) for size in well.shape)
    return well, WellScores(
        "test", name, rows, columns, {"DISK": scores},
        {"DISK": bins.astype(np.uint8)},
    )  # fmt: skip


def test_writes_tables_pictures_and_report(tmp_path):
    paths = write_evaluation(tmp_path, [scored()], "Title", {"model": "m"})
    assert paths == [tmp_path / "A1_DISK.png"]
    assert paths[0].read_bytes().startswith(b"\x89PNG")
    lines = (tmp_path / "metrics.csv").read_text().splitlines()
    assert "test,pooled,DISK,pearson,1.0,5120" in lines
    page = (tmp_path / "report.html").read_text()
    assert "Title" in page and "data:image/png;base64," in page


def test_pictures_of_the_first_wells_only(tmp_path):
    wells = [scored(f"A{i}") for i in range(1, 7)]
    paths = write_evaluation(tmp_path, wells, "Title", {})
    assert [path.name for path in paths] == [
        f"A{i}_DISK.png" for i in range(1, 5)
    ]
    page = (tmp_path / "report.html").read_text()
    assert "Pictures show the first 4 of 6 wells." in page
