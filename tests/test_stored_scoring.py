import dataclasses
import pathlib

import keras
import numpy as np
import pytest

from isl.errors import InputError
from isl.evaluation.model_scoring import build_model_scorer, score_model
from isl.evaluation.parts import Part
from isl.evaluation.stored_scoring import (
    describe_stored,
    open_stored_parts,
    prediction_paths,
    score_prediction,
)
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
from isl.specs.evaluation import DeadSpec, EvaluationSpec, NucleiSpec
from tests.tiny_runs import MICRO, disks


def part_of(well, region=None, labels=("DISK",), condition="c"):
    spec = DatasetSpec("s", condition, None, None, labels)
    return Part(spec, well, region or Region())


def score(path, well):
    """Scores of DISK in all of a stored prediction."""
    (stored,) = open_stored_parts(path, [part_of(well)])
    return score_prediction(stored, well)


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
    stored = score(path, well)
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
        score(path, disks())


def test_prediction_of_other_labels_is_refused(network, tmp_path):
    model, description = network
    path = str(tmp_path / "A1.ome.tif")
    predictor = build_predictor(model, description, labels=("INVERSE",))
    well = disks()
    predict_to_file(path, predictor, well, plan_tiles(MICRO, well.shape))
    with pytest.raises(InputError, match="medians.*INVERSE:median"):
        score(path, well)


def test_what_is_stored_besides_is_used(network, scorer, tmp_path):
    model, description = network
    well = disks()
    path = str(tmp_path / "A1.zarr")
    names = ("median", "standard_deviation", "q05", "q95", "q25")
    predictor = build_predictor(model, description, ("DISK",), names)
    predict_to_file(path, predictor, well, plan_tiles(MICRO, well.shape))
    scores = score(path, well)
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


@pytest.mark.parametrize("names", [("median", "mean"), ("median",)])
def test_means_of_dead_cells_are_used_where_they_are_stored(
    network, scorer, tmp_path, names
):
    model, description = network
    well = disks()
    path = str(tmp_path / "A1.ome.tif")
    predictor = build_predictor(model, description, statistics=names)
    predict_to_file(path, predictor, well, plan_tiles(MICRO, well.shape))
    part = part_of(well, labels=("DISK", "INVERSE"))
    evaluation = EvaluationSpec(
        nuclei=NucleiSpec(("DISK",)), dead=DeadSpec("INVERSE")
    )
    spec = dataclasses.replace(part.spec, evaluation=evaluation)
    (stored,) = open_stored_parts(path, [dataclasses.replace(part, spec=spec)])
    told = describe_stored([stored]).get("dead cells")
    by_medians = "by medians, no means are stored: INVERSE (A1)"
    assert told == (None if "mean" in names else by_medians)
    scores = score_prediction(stored, well)
    assert list(scores.means) == ["INVERSE"] * (len(names) - 1)
    direct = score_model(scorer, "c", well, Region(), averaged=spec.dead_labels)
    for label, image in scores.means.items():
        np.testing.assert_array_equal(image, direct.means[label])


def test_a_label_predicted_by_another_gives_what_numpy_gives(tmp_path):
    well = disks()
    true, other = (well.labels[x].values for x in ("DISK", "INVERSE"))
    path = tmp_path / "A1.ome.tif"
    write_ome_tiff(
        path, other[None].astype(np.float32) / 65535, "CYX", ["DISK:median"]
    )
    scores = score(path, well)
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
        score(path, disks())


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
        score(path, well)


def parts_of(*names, condition="c"):
    return [part_of(disks(name=name), condition=condition) for name in names]


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
    scores = score(path, well)
    assert scores.predictions["DISK"].max() == 0
    with pytest.raises(InputError, match="prediction of well B2"):
        prediction_paths(plate, parts_of("B2"))


def test_a_zarr_image_is_the_prediction_itself(tmp_path):
    path = tmp_path / "any.zarr"
    description = ZarrDescription((64, 80), ["DISK:median"], dtype=np.float32)
    with streamed_ome_zarr(path, description) as sink:
        write_zarr_image(sink, np.zeros((1, 64, 80), np.float32))
    assert prediction_paths(path, parts_of("A1")) == {"A1": path}


def write_medians(path, labels, shape=(64, 80), origin=(0, 0), **annotations):
    place = {"row": origin[0], "column": origin[1]}
    write_ome_tiff(
        path,
        np.zeros((len(labels), *shape), np.float32),
        "CYX",
        [f"{label}:median" for label in labels],
        annotations={"origin": place, **annotations},
    )


def test_what_cannot_be_scored_is_found_before_the_first_well(tmp_path):
    names = ("DISK", "INVERSE")
    parts = [part_of(disks(name=x), labels=names) for x in ("A1", "A2", "A3")]
    write_medians(tmp_path / "A1.ome.tif", names)
    write_medians(tmp_path / "A2.ome.tif", ("DISK",))
    write_medians(tmp_path / "A3.ome.tif", ("OTHER",))
    stored = open_stored_parts(tmp_path, parts)
    # A3 is left out, as a well without labels is.
    assert [one.labels for one in stored] == [names, ("DISK",)]
    assert describe_stored(stored) == {"not predicted": "INVERSE (A2)"}
    (only,) = open_stored_parts(tmp_path, parts, ("INVERSE",))
    assert only.part.well.name == "A1" and only.labels == ("INVERSE",)
    assert describe_stored([only]) == {}
    with pytest.raises(InputError, match="medians of INVERSE .*A2.ome.tif"):
        open_stored_parts(tmp_path, parts[1:], ("INVERSE", "DISK"))
    with pytest.raises(InputError, match="medians of a label .*OTHER:median"):
        open_stored_parts(tmp_path, parts[2:])
    write_medians(tmp_path / "A3.ome.tif", names, (60, 80))
    with pytest.raises(InputError, match="A3.ome.tif: .* as it is now"):
        open_stored_parts(tmp_path, parts)


def test_the_report_can_say_what_was_scored_and_how_it_was_made(tmp_path):
    facts = {"padding": "none", "stitching": "fast", "z_planes": [0, 1]}
    path = tmp_path / "A1.ome.tif"
    write_medians(path, ("DISK",), (60, 76), (2, 2), model="small", **facts)
    (stored,) = open_stored_parts(path, [part_of(disks())])
    assert describe_stored([stored]) == {
        "predicted by": "small",
        "padding": "none",
        "stitching": "fast",
        "planes": "[0, 1]",
        "scored": "A1: rows 2 to 61, columns 2 to 77",
    }
    inner = part_of(disks(), Region((2, 62), (4, 70)))
    (stored,) = open_stored_parts(path, [inner])
    assert "scored" not in describe_stored([stored])
    rim = part_of(disks(), Region((0, 2), (0, 80)))
    with pytest.raises(InputError, match="pixels of the region.*60 x 76"):
        open_stored_parts(path, [rim])
