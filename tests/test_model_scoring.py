import dataclasses
import re

import keras
import numpy as np
import pytest

from isl.errors import InputError
from isl.evaluation.model_scoring import build_model_scorer, score_model
from isl.evaluation.scoring import true_bins
from isl.evaluation.tables import POOLED, read_metrics_csv
from isl.evaluation.tile_scores import pool
from isl.figures.evaluation_output import write_evaluation
from isl.network.model_folder import ModelDescription
from isl.prediction.predictor import build_predictor, iter_predictions
from isl.prediction.tiles import plan_tiles
from isl.specs import Region
from tests.tiny_runs import MICRO, KeepingPlane, disks


@pytest.fixture(scope="module")
def network():
    keras.utils.set_random_seed(0)
    description = ModelDescription(MICRO, 2, ("DISK", "INVERSE"))
    network = description.build()
    for label in description.labels:
        # Random weights give almost the same median everywhere.
        kernel = network.get_layer(label).kernel
        kernel.assign(30 * kernel)
    return network, description


@pytest.fixture(scope="module")
def scorer(network):
    return build_model_scorer(*network, ("DISK", "INVERSE"))


def test_every_pixel_of_the_region_counts_once(scorer):
    region = Region(rows=(3, 50), columns=(10, 71))
    scores = score_model(scorer, "c", disks(), region)
    assert (scores.rows, scores.columns) == (slice(3, 50), slice(10, 71))
    for label in ("DISK", "INVERSE"):
        assert scores.labels[label].histogram.count == 47 * 61
        assert scores.labels[label].distribution.count == 47 * 61
        assert scores.predictions[label].shape == (47, 61)


def test_region_is_scored_as_part_of_the_whole(scorer):
    whole = score_model(scorer, "c", disks(), Region())
    part = score_model(scorer, "c", disks(), Region((8, 40), (16, 80)))
    np.testing.assert_array_equal(
        part.predictions["DISK"], whole.predictions["DISK"][8:40, 16:80]
    )


def test_model_without_the_label_is_refused(network):
    with pytest.raises(InputError, match="DISK, INVERSE.*Received: GFP"):
        build_model_scorer(*network, ("GFP",))


def test_label_that_a_well_lacks_is_left_out(scorer):
    scores = score_model(scorer, "c", disks(labels=("DISK",)), Region())
    assert list(scores.labels) == ["DISK"]


def test_images_are_those_of_the_predictor(network, scorer):
    model, description = network
    well = disks()
    predictor = build_predictor(
        model, description, ("DISK",), ("median", "standard_deviation", "mean")
    )
    expected = np.zeros((3, *well.shape))
    tiling = plan_tiles(MICRO, well.shape)
    for rows, columns, values in iter_predictions(predictor, well, tiling):
        expected[:, rows, columns] = values
    scores = score_model(scorer, "c", well, Region(), averaged=("DISK", "DEAD"))
    assert list(scores.means) == ["DISK"]
    for images, image in zip(
        (scores.predictions, scores.deviations, scores.means),
        expected,
        strict=True,
    ):
        assert images["DISK"].dtype == np.uint8
        # Rounding may fall to either side.
        off = images["DISK"] - np.rint(image * 255)
        assert np.abs(off).max() <= 1 and (off != 0).mean() < 0.01
    assert scores.deviations["DISK"].min() > 0


def test_tiles_add_up_to_the_well(scorer):
    shape = (200, 150)
    scores = score_model(scorer, "c", disks(shape=shape), Region((3, 190)))
    for label in ("DISK", "INVERSE"):
        tiles = scores.tiles[label]
        assert len(tiles) == 4
        assert (tiles[0].rows, tiles[0].columns) == (
            slice(3, 131),
            slice(0, 128),
        )
        whole, pooled = scores.labels[label].metrics(), pool(tiles).metrics()
        for name in (
            *("pearson", "mean_pearson", "bin_accuracy", "mae"),
            *("nll", "crps"),
        ):
            assert pooled[name] == pytest.approx(whole[name], rel=1e-6)


def test_decoded_planes_are_not_kept(scorer):
    well = disks()
    planes = tuple(KeepingPlane(plane.values) for plane in well.planes)
    score_model(scorer, "c", dataclasses.replace(well, planes=planes), Region())
    assert [plane.kept for plane in planes] == [None, None]


NEED_A_DISTRIBUTION = {
    "nll",
    "crps",
    "coverage_50",
    "coverage_90",
    "expected_calibration_error",
    "sharpness",
}


@pytest.fixture(scope="module")
def regression(tmp_path_factory):
    """A well scored by heads that predict the intensity itself, reported."""
    keras.utils.set_random_seed(0)
    architecture = dataclasses.replace(MICRO, num_bins=None)
    description = ModelDescription(architecture, 2, ("DISK", "INVERSE"))
    network = description.build()
    for label in description.labels:
        # Random weights may predict nothing inside the range.
        head = network.get_layer(label)
        head.kernel.assign(0.05 * head.kernel)
        head.bias.assign([0.4])
    scorer = build_model_scorer(network, description, description.labels)
    # Five tiles or more have intervals.
    well = disks(shape=(260, 200))
    scores = score_model(scorer, "c", well, Region())
    folder = tmp_path_factory.mktemp("regression")
    write_evaluation(folder, [(well, scores)], "Title", {})
    return well, scores, folder


@pytest.mark.parametrize("label", ["DISK", "INVERSE"])
def test_regression_heads_have_pixel_metrics_only(regression, label):
    well, scores, folder = regression
    rows = {
        row.metric: row
        for row in read_metrics_csv(folder / "metrics.csv")
        if (row.well, row.label) == (POOLED, label)
    }
    undefined = {name for name, row in rows.items() if row.value is None}
    assert undefined == NEED_A_DISTRIBUTION
    assert all(rows[name].low is None for name in undefined)
    true = true_bins(well.labels[label].values).astype(float)
    predicted = scores.predictions[label].astype(float)
    assert predicted.std() > 0
    expected = np.corrcoef(true.ravel(), predicted.ravel())[0, 1]
    assert rows["pearson"].value == pytest.approx(expected)
    error = np.abs(true - predicted).mean() / 255
    assert rows["mae"].value == pytest.approx(error)
    assert rows["mae"].low < error < rows["mae"].high


def test_report_of_regression_heads(regression):
    *_, folder = regression
    for name in ("metrics.csv", "metrics.json", "report.html"):
        text = (folder / name).read_text()
        assert not re.search(r"\bnan\b", text, re.IGNORECASE), name
    page = (folder / "report.html").read_text()
    assert page.count("No distribution was scored") == 2
    assert "Can its uncertainty be trusted?" not in page
