"""The whole of network, loss and crops learns what can be learned."""

import keras
import pytest

from isl.evaluation.scoring import LabelScores, add_scores, build_scorer
from isl.network.architecture import TINY
from isl.network.losses import MaskedLoss
from isl.network.model import build_model, with_raw_input
from isl.training.crops import CropSampler, CropSource, target_histograms
from isl.training.start import initialise_head_biases
from tests.tiny_runs import disks


@pytest.mark.slow
def test_tiny_overfits_a_crop():
    keras.utils.set_random_seed(0)
    well = disks()
    source = CropSource(well, slice(0, 64), slice(0, 80))
    sampler = CropSampler(
        (source,), ("DISK",), 2, 32, TINY.margin, augment=False
    )
    model = build_model(TINY, 2, ("DISK",), momentum=0.9)
    initialise_head_biases(model, target_histograms(sampler, 0))
    trained = with_raw_input(model, ("DISK",))
    trained.compile(
        optimizer=keras.optimizers.Adam(1e-2),
        loss={"DISK": MaskedLoss("cross_entropy")},
    )
    batch = sampler.collate([sampler.read(well, 16, 16)])
    losses = []
    for _ in range(200):
        trained.reset_metrics()
        logs = trained.train_on_batch(*batch, return_dict=True)
        losses.append(float(logs["loss"]))
    inputs, truth, _ = batch
    scores = build_scorer(model, ("DISK",)).predict_on_batch(
        {**inputs, "truth": truth}
    )
    totals = {"DISK": LabelScores()}
    add_scores(totals, scores, truth)
    metrics = totals["DISK"].metrics()
    # Noise of 1,500 / 65,535 spreads each intensity over some 20 bins.
    assert losses[-1] < losses[0] - 0.05
    assert metrics["pearson"] > 0.9
    assert metrics["nll"] < metrics["label_entropy"] - 0.05
