import dataclasses

import keras
import numpy as np
import pytest

from isl.evaluation.scoring import LabelScores, add_scores, build_scorer
from isl.network.intensity_bins import statistics
from isl.network.model import build_model, with_raw_input
from isl.network.model_folder import ModelDescription, load_model
from isl.prediction.predictor import build_predictor
from isl.simulation.dataset import write_dataset
from isl.training.temperature import fit_temperatures
from isl.training.trainer import train
from tests.tiny_runs import MICRO, MICRO_CONFIG

LABELS = ("SURE", "ABSENT")


@pytest.fixture(scope="module")
def model():
    """A network whose logits differ from place to place."""
    keras.utils.set_random_seed(0)
    model = build_model(MICRO, 2, LABELS)
    head = model.get_layer("SURE")
    head.kernel.assign(30 * keras.ops.convert_to_numpy(head.kernel))
    return model


def batches(model, temperature, count=3):
    """Truth drawn from the prediction at a temperature."""
    generator = np.random.default_rng(0)
    network = with_raw_input(model, LABELS)
    made = []
    for _ in range(count):
        inputs = {
            "planes": generator.integers(0, 65536, (2, 20, 20, 2), np.uint16),
            "presence": np.ones((2, 2), np.float32),
        }
        logits = network.predict_on_batch(inputs)["SURE"] / temperature
        noise = generator.gumbel(size=logits.shape)
        truth = 257 * (logits + noise).argmax(-1).astype(np.uint16)
        made.append(
            (
                inputs,
                {"SURE": truth, "ABSENT": np.zeros_like(truth)},
                {"SURE": np.ones(2), "ABSENT": np.zeros(2)},
            )
        )
    return made


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_finds_the_temperature_of_the_truth(model, temperature):
    fitted = fit_temperatures(model, LABELS, batches(model, temperature))
    assert fitted["SURE"] == pytest.approx(temperature, rel=0.1)
    assert fitted["ABSENT"] == 1.0


def test_temperature_reaches_prediction_and_score(model):
    description = ModelDescription(MICRO, 2, LABELS, temperatures={"SURE": 3.0})
    inputs, truth, _ = batches(model, 1.0, 1)[0]
    predictor = build_predictor(
        model, description, ("SURE",), ("standard_deviation",)
    )
    logits = with_raw_input(model, LABELS).predict_on_batch(inputs)["SURE"]
    expected = statistics(logits / 3.0, ("standard_deviation",))
    np.testing.assert_allclose(
        predictor.model.predict_on_batch(inputs), expected, atol=1e-5
    )
    scores = {}
    for temperatures in (None, {"SURE": 3.0}):
        scorer = build_scorer(model, ("SURE",), temperatures)
        total = {"SURE": LabelScores()}
        known = {"SURE": truth["SURE"]}
        add_scores(
            total, scorer.predict_on_batch({**inputs, "truth": known}), known
        )
        scores[temperatures is None] = total["SURE"].metrics()
    # The truth was drawn at temperature 1: a higher one is too cautious.
    assert scores[False]["nll"] > scores[True]["nll"]


@pytest.mark.long
def test_run_stores_temperatures_if_asked(tmp_path):
    spec = write_dataset(tmp_path / "wells", 3, 48, 2, 0)
    config = dataclasses.replace(
        MICRO_CONFIG, labels=("DAPI_CONFOCAL",), num_steps=2
    )
    for fit in (False, True):
        run = dataclasses.replace(config, fit_temperature=fit)
        workdir = tmp_path / str(fit)
        train(run, [spec], tmp_path / "wells", workdir)
        stored = load_model(workdir / "model")[1].temperatures
        assert set(stored) == ({"DAPI_CONFOCAL"} if fit else set())
        assert all(0.25 <= value <= 4 for value in stored.values())
