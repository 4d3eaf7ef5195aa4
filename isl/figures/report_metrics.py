"""What each metric is called and means, for readers who are no experts."""

import dataclasses

PIXELS = "Pixels: is the brightness right?"
DISTRIBUTIONS = "Distributions: is the uncertainty right?"
CELLS = "Cells: are the nuclei right?"
LIFE = "Alive or dead"
NEURITES = "Lines: are axons and dendrites right?"
OTHER = "Other"


@dataclasses.dataclass(frozen=True)
class Meaning:
    """What a metric means.

    Attributes:
        heading: Name in tables.
        definition: A sentence or two.
        group: Heading of its part of the table.
        is_count: Whether it is a whole number.
    """

    heading: str
    definition: str
    group: str
    is_count: bool = False


METRICS = {
    "pearson": Meaning(
        "Pearson r",
        "How well true and predicted intensity rise and fall together, pixel "
        "by pixel: 1 is a perfect match up to brightness and contrast, 0 is no "
        "relation. Undefined where an image is constant.",
        PIXELS,
    ),
    "mean_pearson": Meaning(
        "Pearson r of the mean",
        "The same for the mean of the predicted distribution instead of its "
        "median. Networks trained by squared error predict means, so this is "
        "the number to compare with theirs.",
        PIXELS,
    ),
    "mae": Meaning(
        "Mean absolute error",
        "How far a pixel is off on average, as a share of the intensity scale "
        "from 0 to 1; lower is better.",
        PIXELS,
    ),
    "mae_camera": Meaning(
        "Mean absolute error, camera",
        "The same in the units of the camera, where the normalisation of the "
        "label is known.",
        PIXELS,
    ),
    "bin_accuracy": Meaning(
        "Bin accuracy",
        "Share of pixels predicted in exactly the right one of 256 intensity "
        "bins.",
        PIXELS,
    ),
    "bin_accuracy_within_8": Meaning(
        "Within 8 bins",
        "Share of pixels predicted at most 8 of 256 intensity bins off.",
        PIXELS,
    ),
    "ssim": Meaning(
        "SSIM",
        "Structural similarity (Wang et al. 2004): likeness of brightness, "
        "contrast and pattern in small windows; 1 is equal.",
        PIXELS,
    ),
    "psnr": Meaning(
        "PSNR, dB",
        "Peak signal-to-noise ratio: ten times the logarithm of 1 over the "
        "mean squared error; higher is better. Undefined without an error.",
        PIXELS,
    ),
    "nll": Meaning(
        "NLL",
        "Negative log-likelihood: how surprised the predicted distributions "
        "are by the truth (cross-entropy divided by ln 256). 0 is certain and "
        "right, 1 is a uniform guess; lower is better.",
        DISTRIBUTIONS,
    ),
    "label_entropy": Meaning(
        "Label entropy",
        "The NLL of the label's own histogram, that is, of the best guess "
        "without looking at the input. A useful prediction has a lower NLL.",
        DISTRIBUTIONS,
    ),
    "crps": Meaning(
        "CRPS",
        "Continuous ranked probability score: the mean distance between the "
        "predicted distribution and the truth, as an intensity; lower is "
        "better.",
        DISTRIBUTIONS,
    ),
    "coverage_50": Meaning(
        "50 % coverage",
        "Share of pixels whose truth lies in the central 50 % of the predicted "
        "distribution. It should be 0.5: less is overconfident, more is too "
        "cautious.",
        DISTRIBUTIONS,
    ),
    "coverage_90": Meaning(
        "90 % coverage",
        "The same for the central 90 %; it should be 0.9.",
        DISTRIBUTIONS,
    ),
    "interval_coverage_50": Meaning(
        "Inside 25 to 75 % quantiles",
        "Share of pixels between stored quantiles, ends included; 0.5 or "
        "somewhat more if calibrated.",
        DISTRIBUTIONS,
    ),
    "interval_coverage_90": Meaning(
        "Inside 5 to 95 % quantiles",
        "Share of pixels between stored quantiles, ends included; 0.9 or "
        "somewhat more if calibrated.",
        DISTRIBUTIONS,
    ),
    "expected_calibration_error": Meaning(
        "Calibration error",
        "Mean distance between the predicted probability that a pixel is "
        "bright (an intensity of 0.376 or more) and how often such pixels are; "
        "0 is perfect.",
        DISTRIBUTIONS,
    ),
    "sharpness": Meaning(
        "Sharpness",
        "Mean standard deviation of the predicted distributions, as an "
        "intensity: the smaller, the more they say, if they are calibrated.",
        DISTRIBUTIONS,
    ),
    "cells_true": Meaning(
        "True nuclei",
        "Nuclei found in the true label.",
        CELLS,
        is_count=True,
    ),
    "cells_predicted": Meaning(
        "Predicted nuclei",
        "Nuclei found in the prediction, in the same way.",
        CELLS,
        is_count=True,
    ),
    "cell_split": Meaning(
        "Split",
        "True nuclei that are several in the prediction.",
        CELLS,
        is_count=True,
    ),
    "cell_merged": Meaning(
        "Merged",
        "Predicted nuclei that are several in the truth.",
        CELLS,
        is_count=True,
    ),
    "cell_added": Meaning(
        "Added",
        "Predicted nuclei where there is none.",
        CELLS,
        is_count=True,
    ),
    "cell_missed": Meaning(
        "Missed",
        "True nuclei that are not predicted.",
        CELLS,
        is_count=True,
    ),
    "cell_precision": Meaning(
        "Precision",
        "Share of predicted nuclei that match a true one: what the two share "
        "is at least half of what they cover together (intersection over "
        "union of 0.5).",
        CELLS,
    ),
    "cell_recall": Meaning(
        "Recall", "Share of true nuclei that match a predicted one.", CELLS
    ),
    "cell_f1": Meaning(
        "F1",
        "Both in one number: twice the matches over true and predicted nuclei.",
        CELLS,
    ),
    "cell_count_pearson": Meaning(
        "Nuclei per tile, r",
        "Pearson r of the true and predicted number of nuclei in tiles of 128 "
        "pixels.",
        CELLS,
    ),
    "cell_area_pearson": Meaning(
        "Area, r",
        "Pearson r of true and predicted area of matched nuclei.",
        CELLS,
    ),
    "cell_intensity_pearson": Meaning(
        "Brightness, r",
        "Pearson r of true and predicted mean brightness of matched nuclei.",
        CELLS,
    ),
    "live_dead_accuracy": Meaning(
        "Accuracy",
        "Share of matched nuclei that truth and prediction both call alive or "
        "both call dead, by the brightness of the label of dead cells.",
        LIFE,
    ),
    "live_dead_majority": Meaning(
        "Always guessing the larger class",
        "The accuracy of calling every cell what most cells are: what the "
        "accuracy has to beat.",
        LIFE,
    ),
    "live_dead_balanced_accuracy": Meaning(
        "Balanced accuracy",
        "Mean of the share of living cells called alive and of dead cells "
        "called dead; guessing gives 0.5.",
        LIFE,
    ),
    "dead_true": Meaning(
        "Dead, true", "Matched nuclei that are dead.", LIFE, is_count=True
    ),
    "dead_predicted": Meaning(
        "Dead, predicted",
        "Matched nuclei that are called dead by the prediction.",
        LIFE,
        is_count=True,
    ),
    "viability_accuracy": Meaning(
        "Accuracy, all nuclei",
        "Share of all true nuclei that truth and prediction both call alive or "
        "both call dead, by the outlines of the truth.",
        LIFE,
    ),
    "viability_majority": Meaning(
        "Always guessing the larger class, all nuclei",
        "What calling every true nucleus alive, or every one dead, would "
        "reach.",
        LIFE,
    ),
    "viability_balanced_accuracy": Meaning(
        "Balanced accuracy, all nuclei",
        "As above, of all true nuclei; guessing gives 0.5.",
        LIFE,
    ),
    "viability_auc": Meaning(
        "Area under the curve, all nuclei",
        "How often, of a dead and a living nucleus, the dead one is predicted "
        "brighter; 0.5 by chance, no threshold of the prediction is needed.",
        LIFE,
    ),
    "viability_dead_true": Meaning(
        "Dead, true, all nuclei",
        "True nuclei that are dead.",
        LIFE,
        is_count=True,
    ),
    "viability_dead_predicted": Meaning(
        "Dead, predicted, all nuclei",
        "True nuclei whose pixels are predicted as those of a dead one.",
        LIFE,
        is_count=True,
    ),
    "neurite_length_true": Meaning(
        "True length, pixels",
        "Length of the lines (axons, dendrites) found in the true label; lines "
        "inside clumps of cell bodies count, too, though they are none.",
        NEURITES,
        is_count=True,
    ),
    "neurite_length_predicted": Meaning(
        "Predicted length, pixels",
        "Length of the lines found in the prediction, in the same way.",
        NEURITES,
        is_count=True,
    ),
    "neurite_completeness": Meaning(
        "Completeness",
        "Share of the true length that is near a predicted line.",
        NEURITES,
    ),
    "neurite_correctness": Meaning(
        "Correctness",
        "Share of the predicted length that is near a true line.",
        NEURITES,
    ),
}


def heading(metric: str) -> str:
    """Returns the metric's name in tables."""
    return METRICS[metric].heading if metric in METRICS else metric


def group(metric: str) -> str:
    """Returns the heading of the metric's part of the table."""
    return METRICS[metric].group if metric in METRICS else OTHER


def number(metric: str, value: float | None) -> str:
    """Returns a value for the table; "undefined" for None."""
    if value is None:
        return "undefined"
    if metric in METRICS and METRICS[metric].is_count:
        return f"{value:,.0f}"
    return f"{value:,.1f}" if abs(value) >= 10 else f"{value:.3f}"
