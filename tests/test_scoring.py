import math

import numpy as np
import pytest

from isl.evaluation.scoring import (
    QUANTITIES,
    LabelScores,
    add_scores,
    build_scorer,
    true_bins,
)
from isl.network.model import build_model
from tests.tiny_runs import MICRO


@pytest.fixture(scope="module")
def model():
    return build_model(MICRO, 2, ("A", "B"))


def inputs(size=20, batch=1):
    generator = np.random.default_rng(0)
    planes = generator.integers(0, 65536, (batch, size, size, 2))
    truth = generator.integers(0, 65536, (batch, size - 4, size - 4))
    return {
        "planes": planes.astype(np.uint16),
        "presence": np.ones((batch, 2), np.float32),
        "truth": {"A": truth.astype(np.uint16)},
    }


def naive_scores(model, batch):
    """The quantities from the logits, in plain NumPy, by name."""
    pairs = np.ones((*batch["planes"].shape[:3], 4), np.float32)
    pairs[..., ::2] = batch["planes"] / 65535
    logits = np.asarray(model(pairs)["A"], np.float64)
    shifted = logits - logits.max(-1, keepdims=True)
    probabilities = np.exp(shifted) / np.exp(shifted).sum(-1, keepdims=True)
    bins = np.rint(batch["truth"]["A"] / 257).astype(int)
    values = np.arange(256) / 255
    mean = probabilities @ values
    # The O(n^2) form of CRPS: E|X - y| - E|X - X'| / 2.
    to_truth = np.abs(values - bins[..., None] / 255)
    apart = np.abs(values[:, None] - values)
    own = np.einsum("...i,ij,...j", probabilities, apart, probabilities)
    cumulative = np.cumsum(probabilities, -1)
    chosen = np.take_along_axis(probabilities, bins[..., None], -1)[..., 0]
    reached = np.take_along_axis(cumulative, bins[..., None], -1)[..., 0]
    return {
        "median": (cumulative < 0.5).sum(-1),
        "mean": 255 * mean,
        "nll": -np.log(chosen) / math.log(256),
        "crps": (probabilities * to_truth).sum(-1) - own / 2,
        "below": reached - chosen,
        "reached": reached,
        "deviation": np.sqrt(probabilities @ values**2 - mean**2),
        "probability_bright": probabilities[..., 96:].sum(-1),
    }


def test_scorer_gives_the_quantities_of_each_pixel(model):
    batch = inputs(batch=2)
    batch["truth"]["A"][0, :2] = 0  # The first bin has nothing below.
    scores = build_scorer(model, ("A",)).predict_on_batch(batch)
    assert set(scores) == {"A"}
    expected = naive_scores(model, batch)
    assert tuple(expected) == QUANTITIES
    moved = np.rint(scores["A"][..., 0]) != expected["median"]
    assert moved.mean() < 1e-2  # Ties within rounding.
    for index, name in enumerate(QUANTITIES[1:], start=1):
        np.testing.assert_allclose(
            scores["A"][..., index],
            expected[name],
            rtol=1e-5,
            atol=1e-5,
            err_msg=name,
        )


def test_true_bins_round_to_the_nearest():
    values = np.array([0, 128, 129, 385, 386, 65535], np.uint16)
    np.testing.assert_array_equal(true_bins(values), [0, 0, 1, 1, 2, 255])


def test_running_scores_are_those_of_all_pixels(model):
    batch = inputs(batch=2)
    scores = build_scorer(model, ("A",)).predict_on_batch(batch)
    together, parts = {"A": LabelScores()}, {"A": LabelScores()}
    add_scores(together, scores, batch["truth"])
    for index in range(2):
        other = {"A": LabelScores()}
        add_scores(
            other,
            {"A": scores["A"][index]},
            {"A": batch["truth"]["A"][index]},
        )
        parts["A"].merge(other["A"])
    expected = together["A"].metrics()
    assert expected["nll"] == pytest.approx(
        float(scores["A"][..., QUANTITIES.index("nll")].mean()), rel=1e-6
    )
    means = scores["A"][..., QUANTITIES.index("mean")]
    r = np.corrcoef(means.ravel(), true_bins(batch["truth"]["A"]).ravel())
    assert expected["mean_pearson"] == pytest.approx(r[0, 1], abs=1e-6)
    found = parts["A"].metrics()
    assert list(found) == list(expected)
    for name, value in expected.items():
        # The medians of random weights may be constant: then r is undefined.
        same = value if value is None else pytest.approx(value, rel=1e-12)
        assert found[name] == same, name


def test_likelihood_is_undefined_without_distributions():
    scores = LabelScores()
    scores.add(np.array([1, 2]), np.array([1, 3]), None)
    assert scores.metrics()["nll"] is None
    assert scores.metrics()["coverage_90"] is None
    assert scores.metrics()["bin_accuracy"] == 0.5
