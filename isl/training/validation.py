"""Scores of fixed validation patches, while a network trains."""

import dataclasses
from collections.abc import Iterator

import keras
import numpy as np

from isl.evaluation.error_panels import error_panel
from isl.evaluation.scoring import LabelScores, add_scores, build_scorer
from isl.network.intensity_bins import MAX_UINT16, NUM_BINS
from isl.training.crops import (
    VALIDATION_STREAM,
    Batch,
    Crop,
    CropSampler,
)
from isl.training.temperature import fit_temperatures


@dataclasses.dataclass(frozen=True)
class Validation:
    """What the validation patches say of a network.

    Attributes:
        metrics: Label to metric names to values; None where undefined.
        panels: Label to an error panel of the first patches, float32 in
            [0, 1], [row, column, 3]: for each, prediction, truth,
            cross-entropy and errors.
    """

    metrics: dict[str, dict[str, float | None]]
    panels: dict[str, np.ndarray]


class Validator:
    """Fixed patches, and the compiled model that scores them."""

    def __init__(
        self,
        model: keras.Model,
        sampler: CropSampler,
        seed: int,
        num_crops: int,
        num_panels: int = 4,
    ):
        """Draws the patches.

        Args:
            model: From `isl.network.model.build_model`.
            sampler: Draws patches of the validation split.
            seed: Of the run.
            num_crops: Patches.
            num_panels: Patches shown in panels.
        """
        generator = np.random.default_rng([seed, VALIDATION_STREAM])
        self._crops = [sampler.draw(generator) for _ in range(num_crops)]
        self._sampler = sampler
        self._num_panels = num_panels
        self._model = model
        self._scorer = build_scorer(model, sampler.labels)

    def run(self) -> Validation:
        """Scores the patches with the weights as they are now."""
        totals = {label: LabelScores() for label in self._sampler.labels}
        panels: dict[str, list[np.ndarray]] = {}
        for index, (crop, batch) in enumerate(self._batches()):
            inputs, targets, _ = batch
            truth = {label: targets[label] for label in self._sampler.labels}
            scores = self._scorer.predict_on_batch({**inputs, "truth": truth})
            known = {label: scores[label] for label in crop.labels}
            add_scores(totals, known, truth)
            if index < self._num_panels:
                for label in known:
                    panels.setdefault(label, []).append(
                        _panel(truth[label][0], known[label][0])
                    )
        return Validation(
            {label: scores.metrics() for label, scores in totals.items()},
            {label: np.concatenate(rows) for label, rows in panels.items()},
        )

    def _batches(self) -> Iterator[tuple[Crop, Batch]]:
        """The patches one by one."""
        for crop in self._crops:
            yield crop, self._sampler.collate([crop])

    def fit_temperatures(self) -> dict[str, float]:
        """Fits a temperature for each label; see `isl.training.temperature`."""
        batches = [batch for _, batch in self._batches()]
        return fit_temperatures(self._model, self._sampler.labels, batches)


def _panel(truth: np.ndarray, scores: np.ndarray) -> np.ndarray:
    return error_panel(
        truth / MAX_UINT16,
        {"median": scores[..., 0] / (NUM_BINS - 1)},
        cross_entropy_image=np.clip(scores[..., 1], 0.0, 1.0),
    )
