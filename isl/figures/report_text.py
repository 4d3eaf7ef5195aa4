"""What the report says in words: definitions, and sentences about numbers."""

from collections.abc import Mapping

from isl.evaluation.tables import MetricRow

# Metric to its heading in the table and its definition.
METRICS = {
    "pearson": (
        "Pearson r",
        "How well true and predicted intensity rise and fall together, pixel "
        "by pixel: 1 is a perfect match up to brightness and contrast, 0 is no "
        "relation. Undefined where an image is constant.",
    ),
    "nll": (
        "NLL",
        "Negative log-likelihood: how surprised the predicted distributions "
        "are by the truth (cross-entropy divided by ln 256). 0 is certain and "
        "right, 1 is a uniform guess; lower is better.",
    ),
    "label_entropy": (
        "Label entropy",
        "The NLL of the label's own histogram, that is, of the best guess "
        "without looking at the input. A useful prediction has a lower NLL.",
    ),
    "crps": (
        "CRPS",
        "Continuous ranked probability score: the mean distance between the "
        "predicted distribution and the truth, as an intensity; lower is "
        "better.",
    ),
    "coverage_50": (
        "50 % coverage",
        "Share of pixels whose truth lies in the central 50 % of the predicted "
        "distribution. It should be 0.5: less is overconfident, more is too "
        "cautious.",
    ),
    "coverage_90": (
        "90 % coverage",
        "The same for the central 90 %; it should be 0.9.",
    ),
    "expected_calibration_error": (
        "Calibration error",
        "Mean distance between the predicted probability that a pixel is "
        "bright (an intensity of 0.376 or more) and how often such pixels are; "
        "0 is perfect.",
    ),
    "sharpness": (
        "Sharpness",
        "Mean standard deviation of the predicted distributions, as an "
        "intensity: the smaller, the more they say, if they are calibrated.",
    ),
    "mae": (
        "MAE",
        "Mean absolute error, as a share of the intensity scale from 0 to 1; "
        "lower is better.",
    ),
    "bin_accuracy": (
        "Bin accuracy",
        "Share of pixels predicted in exactly the right one of 256 intensity "
        "bins.",
    ),
    "bin_accuracy_within_8": (
        "Within 8 bins",
        "Share of pixels predicted at most 8 of 256 intensity bins off.",
    ),
}

# A coverage this close to the nominal one passes as calibrated in words.
_CALIBRATED_WITHIN = 0.05

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
}


def heading(metric: str) -> str:
    """Returns the metric's heading in the table."""
    return METRICS[metric][0] if metric in METRICS else metric


def number(value: float | None) -> str:
    """Returns a value for the table; "undefined" for None."""
    return "undefined" if value is None else f"{value:.4f}"


def label_name(label: str) -> str:
    """Returns the label with what it shows, as far as known."""
    meaning = LABEL_MEANINGS.get(label)
    return f"{label} ({meaning})" if meaning else label


def summarise(metrics: Mapping[str, MetricRow]) -> str:
    """Says in plain words what the numbers of one label mean.

    Args:
        metrics: Metric name to its row, all of one label.

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
    return " ".join(sentence for sentence in sentences if sentence)


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
    if nll is None or entropy is None:
        return ""
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
        verdict = "the prediction knows how sure it can be"
    return (
        f"{100 * coverage:.0f} % of the true intensities lie within the range "
        f"that should hold 90 % of them: {verdict}."
    )
