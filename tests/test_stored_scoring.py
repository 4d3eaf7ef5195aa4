import dataclasses
import pathlib

import keras
import numpy as np
import pytest

from isl.errors import InputError
from isl.evaluation.model_scoring import build_model_scorer, score_model
from isl.evaluation.parts import Part
from isl.evaluation.stored_scoring import prediction_paths, score_prediction
from isl.images import (
    ZarrDescription,
    open_plate_writer,
    streamed_ome_zarr,
    write_ome_tiff,
)
from isl.network.model_folder import ModelDescription
from isl.prediction.output import predict_to_file
from isl.prediction.predictor import build_predictor
from isl.prediction.tiles import plan_tiles
from isl.specs import DatasetSpec, Region
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
    undefined = dict.fromkeys(
        [*scores.distribution.metrics(), *scores.means.metrics()]
    )
    expected = scores.metrics() | undefined
    assert stored.labels["DISK"].metrics() == expected
    np.testing.assert_array_equal(
        stored.predictions["DISK"], direct.predictions["DISK"]
    )


@pytest.mark.parametrize("shape", [(80, 96), (40, 96)])
@pytest.mark.parametrize("padding", ["reflect", "none"])
def test_prediction_of_an_image_of_another_size_is_refused(
    network, tmp_path, shape, padding
):
    model, description = network
    path = str(tmp_path / "A1.ome.tif")
    other = disks(shape=shape)
    tiling = plan_tiles(MICRO, other.shape, padding=padding)
    predict_to_file(path, build_predictor(model, description), other, tiling)
    message = f"of well A1 as it is now.*Received: one of {shape[0]} x 96"
    with pytest.raises(InputError, match=message):
        score_prediction(path, "c", disks(), ("DISK",), Region())


def test_prediction_of_other_labels_is_refused(network, tmp_path):
    model, description = network
    path = str(tmp_path / "A1.ome.tif")
    predictor = build_predictor(model, description, labels=("INVERSE",))
    well = disks()
    predict_to_file(path, predictor, well, plan_tiles(MICRO, well.shape))
    with pytest.raises(InputError, match="medians.*INVERSE:median"):
        score_prediction(path, "c", well, ("DISK",), Region())


def test_what_is_stored_besides_is_used(network, scorer, tmp_path):
    model, description = network
    well = disks()
    path = str(tmp_path / "A1.zarr")
    names = ("median", "standard_deviation", "q05", "q95", "q25")
    predictor = build_predictor(model, description, ("DISK",), names)
    predict_to_file(path, predictor, well, plan_tiles(MICRO, well.shape))
    scores = score_prediction(path, "c", well, ("DISK",), Region())
    direct = score_model(scorer, "c", well, Region())
    metrics = scores.labels["DISK"].metrics()
    expected = direct.labels["DISK"].metrics()
    assert metrics["sharpness"] == pytest.approx(expected["sharpness"])
    # Whole bins: a little more than the exact share lies inside.
    assert 0 <= metrics["interval_coverage_90"] - expected["coverage_90"] < 0.05
    assert metrics["coverage_90"] is None
    assert "interval_coverage_50" not in metrics  # q75 is missing.
    np.testing.assert_array_equal(
        scores.deviations["DISK"], direct.deviations["DISK"]
    )
    tiles = scores.tiles["DISK"]
    assert tiles[0].mae() == pytest.approx(direct.tiles["DISK"][0].mae())
    assert np.isnan(tiles[0].sums.metrics()["nll"])


def test_a_label_predicted_by_another_gives_what_numpy_gives(tmp_path):
    well = disks()
    true, other = (well.labels[x].values for x in ("DISK", "INVERSE"))
    path = tmp_path / "A1.ome.tif"
    write_ome_tiff(
        path, other[None].astype(np.float32) / 65535, "CYX", ["DISK:median"]
    )
    scores = score_prediction(path, "c", well, ("DISK",), Region())
    metrics = scores.labels["DISK"].metrics()
    one, two = (np.rint(image / 257) for image in (true, other))
    assert metrics["pearson"] == pytest.approx(
        np.corrcoef(one.ravel(), two.ravel())[0, 1], abs=1e-12
    )
    assert metrics["mae"] == pytest.approx(np.abs(one - two).mean() / 255)
    assert metrics["bin_accuracy"] == pytest.approx((one == two).mean())


@pytest.mark.parametrize("value", [1.2, -0.1, np.nan])
def test_values_that_are_no_intensities_are_refused(tmp_path, value):
    path = tmp_path / "p.ome.tif"
    image = np.zeros((1, 64, 80), np.float32)
    image[0, 3, 4] = value
    write_ome_tiff(path, image, "CYX", ["DISK:median"])
    with pytest.raises(InputError, match="p.ome.tif: DISK:median must lie"):
        score_prediction(path, "c", disks(), ("DISK",), Region())


def test_units_of_the_camera_are_refused(network, tmp_path):
    model, description = network
    well = disks()
    path = str(tmp_path / "A1.ome.tif")
    predictor = build_predictor(model, description)
    predict_to_file(
        path,
        predictor,
        well,
        plan_tiles(MICRO, well.shape),
        convert=lambda values: 1000 * values,
    )
    with pytest.raises(InputError, match="intensities.*units 'original'"):
        score_prediction(path, "c", well, ("DISK",), Region())


def parts_of(*names, condition="c"):
    spec = DatasetSpec("s", condition, None, None, ("DISK",))
    return [Part(spec, disks(name=name), Region()) for name in names]


def test_predictions_are_found_by_the_names_of_wells(tmp_path):
    file = tmp_path / "one.ome.tif"
    assert prediction_paths(file, parts_of("A1")) == {"A1": file}
    with pytest.raises(InputError, match="that of 2 wells.*A1, B7"):
        prediction_paths(file, parts_of("A1", "B7"))
    others = parts_of("A1", condition="d")
    with pytest.raises(InputError, match="one condition at a time.*A1 of c, d"):
        prediction_paths(tmp_path, [*parts_of("A1"), *others])
    folder = tmp_path / "wells"
    folder.mkdir()
    with pytest.raises(InputError, match="A1.ome.tif, .*Received: none"):
        prediction_paths(folder, parts_of("A1"))
    (folder / "A1.ome.tif").touch()
    (folder / "A2.ome.zarr").mkdir()
    assert prediction_paths(folder, parts_of("A1", "A2")) == {
        "A1": folder / "A1.ome.tif",
        "A2": folder / "A2.ome.zarr",
    }
    (folder / "A1.zarr").mkdir()
    with pytest.raises(InputError, match="A1.ome.tif.*A1.zarr$"):
        prediction_paths(folder, parts_of("A1"))


def write_zarr_image(sink, image):
    sink.write(slice(0, 64), slice(0, 80), image)


@pytest.mark.parametrize("inside", ["", "plate.zarr"])
def test_predictions_are_found_in_a_plate(tmp_path, inside):
    image = np.zeros((1, 64, 80), np.float32)
    description = ZarrDescription((64, 80), ["DISK:median"], dtype=np.float32)
    plate = tmp_path / "plate.zarr"
    with open_plate_writer(plate).streamed_well("A1", description) as sink:
        write_zarr_image(sink, image)
    folder = plate if not inside else tmp_path
    path = prediction_paths(folder, parts_of("A1"))["A1"]
    assert path.relative_to(plate) == pathlib.Path("A/1/0")
    well = dataclasses.replace(disks())
    scores = score_prediction(path, "c", well, ("DISK",), Region())
    assert scores.predictions["DISK"].max() == 0
    with pytest.raises(InputError, match="prediction of well B2"):
        prediction_paths(plate, parts_of("B2"))


def test_a_zarr_image_is_the_prediction_itself(tmp_path):
    path = tmp_path / "any.zarr"
    description = ZarrDescription((64, 80), ["DISK:median"], dtype=np.float32)
    with streamed_ome_zarr(path, description) as sink:
        write_zarr_image(sink, np.zeros((1, 64, 80), np.float32))
    assert prediction_paths(path, parts_of("A1")) == {"A1": path}
