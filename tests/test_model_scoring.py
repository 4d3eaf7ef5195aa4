import keras
import numpy as np
import pytest

from isl.errors import InputError
from isl.evaluation.model_scoring import build_model_scorer, score_model
from isl.evaluation.tile_scores import pool
from isl.network.model_folder import ModelDescription
from isl.prediction.predictor import build_predictor, iter_predictions
from isl.prediction.tiles import plan_tiles
from isl.specs import Region
from tests.tiny_runs import MICRO, disks


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
        model, description, ("DISK",), ("median", "standard_deviation")
    )
    expected = np.zeros((2, *well.shape))
    tiling = plan_tiles(MICRO, well.shape)
    for rows, columns, values in iter_predictions(predictor, well, tiling):
        expected[:, rows, columns] = values
    scores = score_model(scorer, "c", well, Region())
    for images, image in zip(
        (scores.predictions, scores.deviations), expected, strict=True
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
        for name in ("pearson", "bin_accuracy", "mae", "nll", "crps"):
            assert pooled[name] == pytest.approx(whole[name], rel=1e-6)
