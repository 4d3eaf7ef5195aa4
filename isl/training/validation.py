"""Scores of fixed validation patches, while a network trains."""

import dataclasses
from collections.abc import Iterator

import keras
import numpy as np

from isl.errors import DivergenceError
from isl.evaluation.distributions import DistributionScores
from isl.evaluation.error_panels import add_border, error_panel
from isl.evaluation.scoring import (
    QUANTITIES,
    LabelScores,
    add_scores,
    build_scorer,
)
from isl.network.intensity_bins import MAX_UINT16, NUM_BINS
from isl.training.crops import (
    VALIDATION_STREAM,
    Batch,
    Crop,
    CropSampler,
)
from isl.training.histograms import ActivationProbe
from isl.training.temperature import fit_temperatures

INPUT_BORDER = (1.0, 0.85, 0.0)  # Yellow.
# No distribution of intensities in [0, 1] deviates more.
LARGEST_DEVIATION = 0.5


@dataclasses.dataclass(frozen=True)
class Validation:
    """What the validation patches say of a network.

    Attributes:
        metrics: Label to metric names to values; None where undefined.
        panels: Label to a panel of the first patches, float32 in [0, 1],
            [row, column, 3]: for each, side by side, input plane, median,
            standard deviation, truth, cross-entropy and errors; of a
            regression head without standard deviation and cross-entropy.
        distributions: Label to what calibration is drawn from; labels that
            no patch has are left out.
        activations: Part of the network to its outputs on the first patch,
            [activation]; empty unless asked for.
    """

    metrics: dict[str, dict[str, float | None]]
    panels: dict[str, np.ndarray]
    distributions: dict[str, DistributionScores]
    activations: dict[str, np.ndarray]


class Validator:
    """Fixed patches, and the compiled model that scores them."""

    def __init__(
        self,
        model: keras.Model,
        sampler: CropSampler,
        seed: int,
        num_crops: int,
        num_panels: int = 4,
        probe: ActivationProbe | None = None,
    ):
        """Draws the patches.

        Args:
            model: From `isl.network.model.build_model`.
            sampler: Draws patches of the validation split.
            seed: Of the run.
            num_crops: Patches.
            num_panels: Patches shown in panels.
            probe: Looks at the activations; None: nobody does.
        """
        generator = np.random.default_rng([seed, VALIDATION_STREAM])
        self._crops = [sampler.draw(generator) for _ in range(num_crops)]
        self._sampler = sampler
        self._num_panels = num_panels
        self._probe = probe
        self._model = model
        self._scorer = build_scorer(model, sampler.labels)

    def run(self) -> Validation:
        """Scores the patches with the weights as they are now.

        Raises:
            DivergenceError: If what is predicted is no number.
        """
        totals = {label: LabelScores() for label in self._sampler.labels}
        panels: dict[str, list[np.ndarray]] = {}
        for index, (crop, batch) in enumerate(self._batches()):
            inputs, targets, _ = batch
            truth = {label: targets[label] for label in self._sampler.labels}
            scores = self._scorer.predict_on_batch({**inputs, "truth": truth})
            known = {label: scores[label] for label in crop.labels}
            for label, values in known.items():
                if not np.isfinite(values).all():
                    raise DivergenceError(
                        f"learning_rate must be small enough to train with. "
                        f"Received: predictions of {label} on validation "
                        f"patches that are not finite"
                    )
            add_scores(totals, known, truth)
            if index < self._num_panels:
                for label in known:
                    panels.setdefault(label, []).append(
                        self._panel(crop, label, known[label][0])
                    )
        return Validation(
            {label: scores.metrics() for label, scores in totals.items()},
            {label: np.concatenate(rows) for label, rows in panels.items()},
            {
                label: scores.distribution
                for label, scores in totals.items()
                if scores.distribution.count
            },
            self._activations(),
        )

    def _batches(self) -> Iterator[tuple[Crop, Batch]]:
        """The patches one by one."""
        for crop in self._crops:
            yield crop, self._sampler.collate([crop])

    def _activations(self) -> dict[str, np.ndarray]:
        if self._probe is None:
            return {}
        inputs, _, _ = self._sampler.collate(self._crops[:1])
        return self._probe.run(inputs)

    def _panel(self, crop: Crop, label: str, scores: np.ndarray) -> np.ndarray:
        """Pictures of one patch side by side.

        Args:
            crop: The patch.
            label: What is shown of it.
            scores: Output of the scorer, [row, column, quantity].
        """
        truth = crop.labels[label]
        first = self._sampler.margin
        inner = slice(first, first + truth.shape[0])
        plane = crop.planes[inner, inner, self._sampler.num_z // 2]
        # A regression head has neither deviation nor likelihood.
        quantities = dict(
            zip(QUANTITIES, np.moveaxis(scores, -1, 0), strict=False)
        )
        statistics = {"median": quantities["median"] / (NUM_BINS - 1)}
        surprise = None
        if "deviation" in quantities:
            deviation = quantities["deviation"] / LARGEST_DEVIATION
            statistics["standard_deviation"] = deviation
            surprise = np.clip(quantities["nll"], 0.0, 1.0)
        panel = error_panel(
            truth / MAX_UINT16, statistics, cross_entropy_image=surprise
        )
        framed = add_border(plane / MAX_UINT16, INPUT_BORDER)
        return np.concatenate([framed, panel], axis=1)

    def fit_temperatures(self) -> dict[str, float]:
        """Fits a temperature for each label; see `isl.training.temperature`."""
        batches = [batch for _, batch in self._batches()]
        return fit_temperatures(self._model, self._sampler.labels, batches)
