"""What the report says in words about the numbers of a label."""

from collections.abc import Mapping, Sequence
from typing import Any

from isl.evaluation.tables import MetricRow

# A coverage this close to the nominal one passes as calibrated in words.
_CALIBRATED_WITHIN = 0.05

# The wording in the paper itself has not been seen.
PRESS = (
    "(Press reports of the paper give 98 % for its network and about 80 % for "
    "biologists, on other images; we could not check this in the paper.)"
)

LABEL_MEANINGS = {
    "DAPI_CONFOCAL": "cell nuclei",
    "DAPI_WIDEFIELD": "cell nuclei",
    "CELLMASK_CONFOCAL": "cell membranes",
    "TUJ1_WIDEFIELD": "neurons",
    "NFH_CONFOCAL": "axons",
    "MAP2_CONFOCAL": "dendrites",
    "NEURITE_CONFOCAL": "axons and dendrites",
    "ISLET_WIDEFIELD": "motor neurons",
    "DEAD_CONFOCAL": "dead cells",
    "HOECHST_WIDEFIELD": "cell nuclei",
    "PROPIDIUM_IODIDE_WIDEFIELD": "dead cells",
}


def label_name(label: str) -> str:
    """Returns the label with what it shows, as far as known."""
    meaning = LABEL_MEANINGS.get(label)
    return f"{label} ({meaning})" if meaning else label


def summarise(
    metrics: Mapping[str, MetricRow], details: Mapping[str, Any]
) -> str:
    """Says in plain words what the numbers of one label mean.

    Args:
        metrics: Metric name to its row, all of one label.
        details: Of the label, from `isl.evaluation.details.metric_details`.

    Returns:
        Sentences, as plain text; empty if there is nothing to say.
    """
    sentences = []
    if "pearson" in metrics:
        sentences.append(_correlation(metrics["pearson"]))
    if "mae" in metrics and metrics["mae"].value is not None:
        sentences.append(
            "On average a pixel is off by "
            f"{100 * metrics['mae'].value:.1f} % of the intensity scale."
        )
    if "nll" in metrics:
        entropy = metrics.get("label_entropy")
        sentences.append(
            _likelihood(
                metrics["nll"].value, None if entropy is None else entropy.value
            )
        )
    if "coverage_90" in metrics and metrics["coverage_90"].value is not None:
        sentences.append(_calibration(metrics["coverage_90"].value))
    values = {name: row.value for name, row in metrics.items()}
    sentences.append(_cells(values))
    if "viability_accuracy" in metrics:
        count = metrics["viability_accuracy"].count
        sentences.append(_viability(values, count))
    if "confusion" in details:
        sentences.append(_life(values, details["confusion"]))
    sentences.append(_neurites(values))
    return " ".join(sentence for sentence in sentences if sentence)


def _cells(values: Mapping[str, float | None]) -> str:
    if not values.get("cells_true") and not values.get("cells_predicted"):
        return ""
    text = (
        f"The truth has {values['cells_true']:,.0f} nuclei, the prediction "
        f"{values['cells_predicted']:,.0f}: {values['cell_missed']:,.0f} are "
        f"missed, {values['cell_added']:,.0f} added, "
        f"{values['cell_split']:,.0f} split and {values['cell_merged']:,.0f} "
        "merged"
    )
    recall = values["cell_recall"]
    if recall is None:
        return f"{text}."
    return (
        f"{text}; {100 * recall:.0f} % of the true ones match a predicted one "
        "closely in place and shape (an intersection over union of 0.5 or "
        "more)."
    )


def _viability(values: Mapping[str, float | None], count: int) -> str:
    # Not all true nuclei: some wells may lack the label of dead cells.
    auc = values["viability_auc"]
    text = (
        f"Of {count:,} true nuclei in wells with the label of dead cells "
        f"{values['viability_dead_true']:,.0f} are dead; judged within their "
        f"outlines, {100 * values['viability_accuracy']:.0f} % are rightly "
        "called alive or dead, where always guessing the larger class would "
        f"give {100 * values['viability_majority']:.0f} %"
    )
    if auc is None:
        return f"{text}."
    return (
        f"{text}. Of a dead and a living one the dead one is predicted "
        f"brighter in {100 * auc:.0f} % of cases (50 % by chance)."
    )


def _life(
    values: Mapping[str, float | None], confusion: Sequence[Sequence[int]]
) -> str:
    # Not all that match: some wells may lack the label of dead cells.
    called = sum(map(sum, confusion))
    return (
        f"Of {called:,} matched nuclei {100 * values['live_dead_accuracy']:.0f}"
        " % are rightly called alive or dead; always guessing the larger class "
        f"would give {100 * values['live_dead_majority']:.0f} %. {PRESS}"
    )


def _neurites(values: Mapping[str, float | None]) -> str:
    completeness = values.get("neurite_completeness")
    correctness = values.get("neurite_correctness")
    if completeness is None and correctness is None:
        return ""
    true = (
        "The truth has no lines"
        if completeness is None
        else f"Of the true lines {100 * completeness:.0f} % of the length are "
        "found"
    )
    predicted = (
        "the prediction has none"
        if correctness is None
        else f"{100 * correctness:.0f} % of the predicted length is right"
    )
    return (
        f"{true}; {predicted}. Lines are also traced inside clumps of cell "
        "bodies, where there is no neurite."
    )


def _correlation(row: MetricRow) -> str:
    if not row.count:
        return "No pixel was evaluated, so nothing can be said."
    if row.value is None:
        return (
            f"The correlation over {row.count:,} pixels is undefined, because "
            "the true or the predicted image is constant."
        )
    text = (
        f"Predicted and true intensity correlate with r = {row.value:.3f} "
        f"over {row.count:,} pixels"
    )
    if row.value <= 0:
        return f"{text}: the prediction does not follow the truth."
    return (
        f"{text} (1 is perfect): a straight-line fit of the prediction "
        f"accounts for {100 * row.value**2:.0f} % of the truth's variation."
    )


def _likelihood(nll: float | None, entropy: float | None) -> str:
    if entropy is None:
        return ""
    if nll is None:
        return (
            "No distribution was scored (the prediction was stored, or the "
            "network predicts the intensity itself), so nothing is said of "
            "how sure it can be."
        )
    numbers = f"their NLL of {nll:.3f}"
    guess = (
        f"{entropy:.3f}, the best score possible without looking at the input"
    )
    if nll < entropy:
        return (
            "The predicted distributions carry information: "
            f"{numbers} beats {guess} (lower is better)."
        )
    return (
        "The predicted distributions are no better than the label's own "
        f"histogram: {numbers} does not beat {guess} (lower is better)."
    )


def _calibration(coverage: float) -> str:
    if coverage < 0.9 - _CALIBRATED_WITHIN:
        verdict = "the prediction is surer of itself than it should be"
    elif coverage > 0.9 + _CALIBRATED_WITHIN:
        verdict = "the prediction is more cautious than it need be"
    else:
        verdict = "this range is about as wide as it should be"
    return (
        f"{100 * coverage:.0f} % of the true intensities lie within the range "
        f"that should hold 90 % of them: {verdict}."
    )
