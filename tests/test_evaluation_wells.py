import dataclasses

import numpy as np
import pytest

from isl.errors import InputError
from isl.evaluation.tables import POOLED
from isl.evaluation.wells import (
    build_model_scorer,
    metric_rows,
    score_model,
    score_prediction,
)
from isl.network.model_folder import ModelDescription
from isl.prediction.output import predict_to_file
from isl.prediction.predictor import build_predictor
from isl.prediction.tiles import plan_tiles
from isl.specs import Region
from tests.tiny_runs import MICRO, disks


@pytest.fixture(scope="module")
def network():
    description = ModelDescription(MICRO, 2, ("DISK", "INVERSE"))
    return description.build(), description


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


def test_stored_prediction_scores_as_its_model(network, scorer, tmp_path):
    model, description = network
    well = disks()
    path = str(tmp_path / "A1.ome.tif")
    tiling = plan_tiles(MICRO, well.shape, padding="none")
    predict_to_file(path, build_predictor(model, description), well, tiling)
    stored = score_prediction(path, "c", well, ("DISK",), Region())
    assert (stored.rows, stored.columns) == (tiling.rows, tiling.columns)
    inner = Region(
        (tiling.rows.start, tiling.rows.stop),
        (tiling.columns.start, tiling.columns.stop),
    )
    direct = score_model(scorer, "c", well, inner)
    scores = direct.labels["DISK"]
    assert scores.distribution.metrics()["nll"] > 0
    # Distributions are not stored.
    undefined = dict.fromkeys(scores.distribution.metrics())
    expected = scores.metrics() | undefined
    assert stored.labels["DISK"].metrics() == expected
    np.testing.assert_array_equal(
        stored.predictions["DISK"], direct.predictions["DISK"]
    )


def test_prediction_larger_than_the_well_is_refused(network, tmp_path):
    model, description = network
    path = str(tmp_path / "A1.ome.tif")
    large = disks(shape=(80, 96))
    tiling = plan_tiles(MICRO, large.shape)
    predict_to_file(path, build_predictor(model, description), large, tiling)
    with pytest.raises(InputError, match="inside well A1.*rows up to 80"):
        score_prediction(path, "c", disks(), ("DISK",), Region())


def test_prediction_of_other_labels_is_refused(network, tmp_path):
    model, description = network
    path = str(tmp_path / "A1.ome.tif")
    predictor = build_predictor(model, description, labels=("INVERSE",))
    well = disks()
    predict_to_file(path, predictor, well, plan_tiles(MICRO, well.shape))
    with pytest.raises(InputError, match="medians.*INVERSE:median"):
        score_prediction(path, "c", well, ("DISK",), Region())


def test_model_without_the_label_is_refused(network):
    with pytest.raises(InputError, match="DISK, INVERSE.*Received: GFP"):
        build_model_scorer(*network, ("GFP",))


def test_label_that_a_well_lacks_is_left_out(scorer):
    scores = score_model(scorer, "c", disks(labels=("DISK",)), Region())
    assert list(scores.labels) == ["DISK"]


def test_pooled_rows_add_the_pixels_of_wells(scorer):
    wells = [
        score_model(scorer, "c", disks(seed, name=f"A{seed}"), Region((0, n)))
        for seed, n in ((1, 64), (2, 32))
    ]
    rows = {(r.well, r.label, r.metric): r for r in metric_rows(wells)}
    for metric in ("mae", "nll", "bin_accuracy"):
        one, two, pooled = (
            rows[well, "DISK", metric] for well in ("A1", "A2", POOLED)
        )
        assert pooled.count == one.count + two.count == 96 * 80
        expected = (2 * one.value + two.value) / 3
        assert pooled.value == pytest.approx(expected, rel=1e-9)


def test_conditions_are_not_pooled_with_each_other(scorer):
    wells = [
        dataclasses.replace(
            score_model(scorer, "c", disks(), Region()), condition=name
        )
        for name in ("B", "C")
    ]
    pooled = [r.condition for r in metric_rows(wells) if r.well == POOLED]
    assert set(pooled) == {"B", "C"}
