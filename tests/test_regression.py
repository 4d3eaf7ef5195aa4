"""Heads that predict the intensity itself, from the loss to the file."""

import csv
import dataclasses

import keras
import numpy as np
import pytest

from isl.errors import InputError
from isl.evaluation.model_scoring import build_model_scorer, score_model
from isl.evaluation.scoring import LabelScores, add_scores, build_scorer
from isl.figures.region_images import build_region_scorer
from isl.network import losses
from isl.network.intensity_bins import statistics
from isl.network.model_folder import ModelDescription
from isl.network.networks import NETWORKS
from isl.prediction.predictor import build_predictor, check_names
from isl.simulation.dataset import write_dataset
from isl.specs import Region
from isl.training.config import with_loss, with_network
from isl.training.start import initialise_head_biases
from isl.training.trainer import train
from tests.tiny_runs import MICRO, MICRO_CONFIG, disks

REGRESSION = dataclasses.replace(MICRO, num_bins=None)
LABELS = ("DISK", "INVERSE")
DESCRIPTION = ModelDescription(REGRESSION, 2, LABELS)


def to_numpy(x):
    return keras.ops.convert_to_numpy(x)


def test_squared_error_is_that_of_intensities():
    outputs = np.array([[0.5], [1.25], [-0.5]], np.float32)
    truth = np.array([65535, 65535, 13107], np.uint16)  # 1, 1 and 0.2.
    found = losses.pixel_losses("mean_squared_error", outputs, truth)
    np.testing.assert_allclose(to_numpy(found), [0.25, 0.0625, 0.49], atol=1e-6)


def test_masked_squared_error_leaves_missing_labels_out():
    outputs = np.array([0.5, 0.0], np.float32).reshape(2, 1, 1, 1)
    truth = np.array([0, 65535], np.uint16).reshape(2, 1, 1)
    loss = losses.MaskedLoss("mean_squared_error")
    assert float(loss(truth, outputs)) == pytest.approx((0.25 + 1) / 2)
    weights = np.array([1.0, 0.0])
    assert float(loss(truth, outputs, weights)) == pytest.approx(0.25)


def test_median_and_mean_are_the_value_inside_the_range():
    values = np.array([[-0.3], [0.25], [1.7]], np.float32)
    found = to_numpy(statistics(values, ("mean", "median")))
    np.testing.assert_allclose(found, [[0, 0], [0.25, 0.25], [1, 1]])
    with pytest.raises(ValueError, match="median.*mean.*Received: entropy"):
        statistics(values, ("entropy",))


def test_a_head_starts_at_the_mean_and_spread_of_its_label():
    model = DESCRIPTION.build()
    head = model.get_layer("DISK")
    before = to_numpy(head.kernel).copy()
    counts = np.zeros(256, np.int64)
    counts[[51, 204]] = 10**9  # 0.2 and 0.8.
    initialise_head_biases(model, {"DISK": counts})
    np.testing.assert_allclose(to_numpy(head.bias), [0.5], atol=1e-5)
    np.testing.assert_allclose(to_numpy(head.kernel), 0.3 * before, atol=1e-5)


def test_heads_have_one_output():
    model = DESCRIPTION.build()
    assert model.output["DISK"].shape[-1] == 1
    assert model.get_layer("DISK").kernel.shape[-1] == 1


def constant(value):
    """A model that predicts one intensity for DISK."""
    model = DESCRIPTION.build()
    head = model.get_layer("DISK")
    head.kernel.assign(np.zeros(head.kernel.shape))
    head.bias.assign([value])
    return model


def test_scores_have_no_distribution():
    scorer = build_scorer(constant(0.2), ("DISK",))
    planes = np.zeros((1, 12, 12, 2), np.uint16)
    truth = np.full((1, 8, 8), 255 * 257, np.uint16)
    scores = scorer.predict_on_batch(
        {
            "planes": planes,
            "presence": np.ones((1, 2), np.float32),
            "truth": {"DISK": truth},
        }
    )
    np.testing.assert_allclose(scores["DISK"], np.full((1, 8, 8, 2), 51.0))
    totals = {"DISK": LabelScores()}
    add_scores(totals, scores, {"DISK": truth})
    metrics = totals["DISK"].metrics()
    assert metrics["mae"] == pytest.approx(0.8)
    assert metrics["nll"] is metrics["crps"] is metrics["coverage_50"] is None


def test_a_well_is_scored_without_deviations():
    well = disks(shape=(32, 40))
    model = DESCRIPTION.build()
    scorer = build_model_scorer(model, DESCRIPTION, LABELS)
    scores = score_model(scorer, "", well, Region())
    assert scores.labels["DISK"].histogram.count == 32 * 40
    assert scores.labels["DISK"].metrics()["nll"] is None
    assert not scores.deviations


def test_only_what_exists_is_predicted():
    model = constant(0.2)
    predictor = build_predictor(
        model, DESCRIPTION, ["DISK"], ("median", "mean")
    )
    values = predictor.model.predict_on_batch(
        {
            "planes": np.zeros((1, 12, 12, 2), np.uint16),
            "presence": np.ones((1, 2), np.float32),
        }
    )
    np.testing.assert_allclose(values, np.full((1, 8, 8, 2), 0.2), atol=1e-6)
    for name in ("q05", "entropy", "mode", "standard_deviation"):
        message = f"statistics: must be from median, mean. Received: '{name}'"
        with pytest.raises(InputError, match=message):
            check_names(DESCRIPTION, None, (name,))


def test_figures_of_distributions_are_refused():
    with pytest.raises(InputError, match="must predict distributions"):
        build_region_scorer(DESCRIPTION.build(), DESCRIPTION, LABELS)


def test_exact_stitching_of_a_unet_is_refused():
    description = ModelDescription(NETWORKS["tiny_fnet"], 2, LABELS)
    with pytest.raises(InputError, match="stitching: .*Received: a U-Net"):
        build_predictor(description.build(), description, stitching="exact")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"loss": "mean_squared_error"}, "loss must be mean_squared_error"),
        ({"architecture": REGRESSION}, "loss must be mean_squared_error"),
        (
            {
                "loss": "mean_squared_error",
                "architecture": REGRESSION,
                "fit_temperature": True,
            },
            "fit_temperature must be off",
        ),
    ],
)
def test_heads_and_loss_must_fit(changes, message):
    with pytest.raises(InputError, match=message):
        dataclasses.replace(MICRO_CONFIG, **changes).check()


def test_the_loss_decides_the_heads():
    config = with_loss(MICRO_CONFIG, "mean_squared_error")
    assert config.architecture == REGRESSION
    assert with_loss(config, "cross_entropy") == MICRO_CONFIG
    fnet = with_network(config, NETWORKS["fnet"])
    assert fnet.architecture.num_bins is None
    assert fnet.output_size == 16
    assert fnet.input_size == 16  # Without context.


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    root = tmp_path_factory.mktemp("wells")
    return write_dataset(root, 3, 64, 2, 0), root


@pytest.mark.parametrize(
    "network",
    [MICRO, NETWORKS["tiny_unet"], NETWORKS["tiny_fnet"]],
    ids=["towers", "unet", "fnet"],
)
@pytest.mark.parametrize("loss", ["mean_squared_error", "cross_entropy"])
def test_every_network_trains_with_either_head(network, loss, data, tmp_path):
    spec, root = data
    config = with_network(with_loss(MICRO_CONFIG, loss), network)
    config = dataclasses.replace(
        config,
        labels=("DAPI_CONFOCAL",),
        num_steps=4,
        recalibration_batches=1,
        contrast=0.1,
    )
    trainer = train(config, [spec], root, tmp_path)
    with (tmp_path / "log.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 2
    nll = rows[-1]["validation_DAPI_CONFOCAL_nll"]
    assert (nll == "") == (loss == "mean_squared_error")
    assert 0 <= float(rows[-1]["validation_DAPI_CONFOCAL_bin_accuracy"]) <= 1
    head = trainer.model.get_layer("DAPI_CONFOCAL")
    assert head.kernel.shape[-1] == (1 if loss.startswith("mean") else 256)
