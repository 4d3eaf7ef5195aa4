"""Scored wells without a network: truth, and a prediction that is wrong."""

import numpy as np
from scipy import ndimage

from isl.evaluation.cells import compare_cells
from isl.evaluation.distributions import BRIGHT_BIN, PixelDistributions
from isl.evaluation.scoring import LabelScores, true_bins
from isl.evaluation.tile_scoring import score_tiles
from isl.evaluation.viability import DeadImages
from isl.evaluation.wells import WellScores
from isl.images import Well
from tests.tiny_runs import disks

LABELS = ("DISK", "INVERSE")


def scored_well(
    name: str = "A1",
    shape: tuple[int, int] = (256, 288),
    noise: float = 8.0,
    condition: str = "test",
) -> tuple[Well, WellScores]:
    """Disks as nuclei, predicted with noise; half of them are dead."""
    well = disks(shape=shape, name=name)
    rows, columns = (slice(0, size) for size in shape)
    truth = {k: true_bins(well.labels[k].values) for k in LABELS}
    generator = np.random.default_rng(1)
    predictions = {
        label: np.clip(bins + generator.normal(0, noise, shape), 0, 255)
        for label, bins in truth.items()
    }
    predictions = {k: v.astype(np.uint8) for k, v in predictions.items()}
    scores = {label: LabelScores() for label in LABELS}
    tiles = {}
    for label, total in scores.items():
        total.add(
            truth[label],
            predictions[label],
            _distributions(truth[label], generator),
        )
        tiles[label] = score_tiles(
            rows,
            columns,
            lambda r, c, label=label: truth[label][r, c].astype(np.uint8),
            predictions[label],
            None,
        )
    dead = np.zeros(shape, np.float32)
    dead[:, : shape[1] // 2] = 1
    cells = compare_cells(
        truth["DISK"] / np.float32(255),
        predictions["DISK"] / np.float32(255),
        lambda image: ndimage.label(ndimage.gaussian_filter(image, 1) > 0.4)[0],
        DeadImages(dead, np.roll(dead, 20, axis=1), 0.5),
    )
    return well, WellScores(
        condition,
        name,
        rows,
        columns,
        scores,
        predictions,
        deviations={
            label: np.full(shape, round(noise), np.uint8) for label in LABELS
        },
        tiles=tiles,
        cells={"DISK": cells},
    )


def _distributions(
    bins: np.ndarray, generator: np.random.Generator
) -> PixelDistributions:
    """Calibrated for what pixels are; the rest is made up."""
    below = generator.uniform(0, 0.9, bins.shape)
    bright = bins >= BRIGHT_BIN
    return PixelDistributions(
        nll=np.full(bins.shape, 0.4),
        crps=np.full(bins.shape, 0.02),
        below=below,
        reached=below + 0.1,
        deviation=np.full(bins.shape, 0.03),
        probability_bright=np.where(bright, 0.95, 0.05),
        is_bright=bright,
    )
