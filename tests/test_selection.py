"""The network of the best epoch is the one that is kept."""

import dataclasses
import math

import numpy as np
import pytest

from isl.errors import InputError
from isl.evaluation.scoring import LabelScores
from isl.images import open_wells
from isl.network.architecture import TINY
from isl.network.model_folder import (
    ModelDescription,
    load_model,
    read_weights,
    save_model,
)
from isl.simulation.dataset import write_dataset
from isl.specs import Region
from isl.training.crops import CropSampler, CropSource
from isl.training.data import find_overlap
from isl.training.selection import BestEpoch, validation_score
from isl.training.trainer import Trainer
from isl.training.validation import Validation, Validator
from tests.tiny_runs import MICRO_CONFIG

LABELS = ("DAPI_CONFOCAL", "DEAD_CONFOCAL")
BEST = dataclasses.replace(
    MICRO_CONFIG, labels=LABELS, keep_best=True, validation_split="test"
)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Three simulated wells: (spec, image root)."""
    root = tmp_path_factory.mktemp("wells")
    return write_dataset(root, 3, 48, 2, 0), root


def scored(*metrics):
    names = [f"label{index}" for index in range(len(metrics))]
    return Validation(dict(zip(names, metrics, strict=True)), {}, {}, {})


def test_score_is_the_mean_likelihood():
    validation = scored(
        {"nll": 0.25, "mean_pearson": 0.9}, {"nll": 0.75, "mean_pearson": 0.1}
    )
    assert validation_score(validation) == -0.5


def test_score_of_regression_is_the_mean_correlation():
    # A label without pixels has no correlation.
    assert LabelScores().metrics()["mean_pearson"] is None
    validation = scored(
        {"nll": None, "mean_pearson": 0.5}, LabelScores().metrics()
    )
    assert validation_score(validation) == 0.25


def test_a_likelihood_that_is_not_finite_is_never_the_best(tmp_path):
    best = BestEpoch(tmp_path, 0)
    for nll, expected in ((math.nan, True), (9.0, True), (math.nan, False)):
        assert best.improves(scored({"nll": nll}), 1, 0.5) is expected


def test_the_best_epoch_is_remembered_even_if_it_is_done_again(tmp_path):
    facts = {"steps": 4, "minutes": 0.5, "validation_score": -0.1}
    description = ModelDescription(TINY, 1, ("A",), provenance=facts)
    save_model(tmp_path / "model", description.build(), description)
    assert BestEpoch(tmp_path / "model", 4).facts == facts
    # Killed between the model and the checkpoint of the epoch.
    best = BestEpoch(tmp_path / "model", 3)
    assert best.facts == facts
    assert best.age(3) == 0
    assert not best.improves(scored({"nll": 0.1}), 4, 0.6)  # As before.
    assert not best.improves(scored({"nll": 0.2}), 5, 0.7)
    assert best.facts == facts
    assert best.age(5) == 1
    # Without a checkpoint the network may be of another run.
    assert BestEpoch(tmp_path / "model", 0).facts == {}


def test_only_a_better_epoch_improves(tmp_path):
    best = BestEpoch(tmp_path / "model", 0)
    assert best.facts == {}
    epochs = [(0.5, True), (0.5, False), (0.4, True), (0.6, False)]
    for step, (nll, expected) in enumerate(epochs, start=1):
        assert best.improves(scored({"nll": nll}), step, 0.5) is expected
    assert best.facts == {"steps": 3, "minutes": 0.5, "validation_score": -0.4}


@pytest.fixture
def worsening(monkeypatch):
    """Validation says that every epoch is worse than the one before."""
    run = Validator.run
    nlls = iter(np.linspace(0.1, 0.9, 9))

    def worse(self):
        validation = run(self)
        nll = next(nlls)
        metrics = {
            label: {**values, "nll": nll}
            for label, values in validation.metrics.items()
        }
        return dataclasses.replace(validation, metrics=metrics)

    monkeypatch.setattr(Validator, "run", worse)


def test_run_keeps_its_first_epoch_if_later_ones_are_worse(
    worsening, data, tmp_path
):
    spec, root = data
    short = dataclasses.replace(BEST, num_steps=2)
    Trainer(short, [spec], root, tmp_path).train()
    first = read_weights(tmp_path / "model")
    trainer = Trainer(BEST, [spec], root, tmp_path)  # Resumes.
    trainer.train()
    assert trainer.step == 4
    _, description = load_model(tmp_path / "model")
    assert description.provenance["steps"] == 2
    assert description.provenance["validation_score"] == -0.1
    for name, values in read_weights(tmp_path / "model").items():
        np.testing.assert_array_equal(values, first[name])


def test_patience_ends_a_run_that_gets_no_better(worsening, data, tmp_path):
    spec, root = data
    config = dataclasses.replace(
        BEST, num_steps=9, steps_per_epoch=1, patience=2
    )
    trainer = Trainer(config, [spec], root, tmp_path)
    trainer.train()
    assert trainer.step == 3  # The first was the best.
    again = Trainer(config, [spec], root, tmp_path)
    again.train()
    assert again.step == 3
    longer = dataclasses.replace(config, patience=3)
    resumed = Trainer(longer, [spec], root, tmp_path)
    resumed.train()
    assert resumed.step == 4
    assert load_model(tmp_path / "model")[1].provenance["steps"] == 1


def test_patience_needs_the_best_epoch():
    config = dataclasses.replace(BEST, keep_best=False, patience=2)
    with pytest.raises(InputError, match="must come with keep_best"):
        config.check()


def test_temperature_is_fitted_to_the_network_that_is_kept(
    worsening, data, tmp_path
):
    spec, root = data
    config = dataclasses.replace(BEST, fit_temperature=True)
    trainer = Trainer(config, [spec], root, tmp_path)
    trainer.train()
    model, description = load_model(tmp_path / "model")
    assert description.provenance["steps"] == 2
    assert set(description.temperatures) == set(description.labels)
    for kept, own in zip(model.weights, trainer.model.weights, strict=True):
        np.testing.assert_array_equal(kept.numpy(), own.numpy())


def test_patches_that_are_trained_on_select_nothing(data, tmp_path):
    spec, root = data
    config = dataclasses.replace(BEST, validation_split="train")
    with pytest.raises(InputError, match="must leave out.*A1 is in both"):
        Trainer(config, [spec], root, tmp_path / "run")
    assert not (tmp_path / "run").exists()
    fitted = dataclasses.replace(config, keep_best=False, fit_temperature=True)
    lines = Trainer(fitted, [spec], root, tmp_path / "fitted").describe()
    assert [line.split(":")[0] for line in lines] == [
        "validation",
        "fit_temperature",
    ]
    assert "will stay too sure" in lines[1]


@pytest.mark.parametrize(
    ("region", "expected"),
    [
        (Region(columns=(0, 20)), "A1"),
        (Region(columns=(20, 40)), None),
        (Region(rows=(0, 20), columns=(19, 40)), "A1"),
    ],
)
def test_overlap_of_two_parts_of_a_well(data, region, expected):
    spec, root = data
    (well_spec, well), *_ = open_wells(spec, root, "train")
    samplers = [
        CropSampler(
            (CropSource(well, *part.resolve(well.shape)),), LABELS, 2, 8, 2
        )
        for part in (Region(columns=(0, 20)), region)
    ]
    assert find_overlap(*samplers) == expected
