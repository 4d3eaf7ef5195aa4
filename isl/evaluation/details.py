"""What figures need beyond single numbers, for `metrics.json`."""

from collections.abc import Iterable
from typing import Any

from isl.evaluation.distributions import DistributionScores
from isl.evaluation.pixels import JointHistogram
from isl.evaluation.wells import (
    WellScores,
    pool_cells,
    pool_labels,
    pool_wells,
)


def metric_details(wells: Iterable[WellScores]) -> dict[str, Any]:
    """Returns histograms, curves and tables of the pooled wells.

    Args:
        wells: The scores.

    Returns:
        JSON-serialisable: condition to label to

        - `joint_histogram`: pixels in 10 x 10 cells of width 0.1,
          [true][predicted];
        - `pit`: pixels by the predicted cumulative probability of the truth,
          in equal steps from 0 to 1 (where distributions were predicted);
        - `reliability`: for each tenth of the predicted probability of a
          bright pixel, `pixels`, mean `predicted` probability and `observed`
          share of bright ones, null without pixels (likewise);
        - `iou_curve`: list of `iou`, `matched`, `precision`, `recall`, `f1`
          (nuclear labels);
        - `confusion`: matched cells, [[alive as alive, alive as dead], [dead
          as alive, dead as dead]], the truth first (nuclear labels, where a
          label of dead cells was scored).
    """
    details: dict[str, Any] = {}
    for condition, group in pool_wells(wells).items():
        cells = pool_cells(group)
        for label, scores in pool_labels(group).items():
            found = _of_histogram(scores.histogram)
            found |= distribution_details(scores.distribution)
            if label in cells:
                found["iou_curve"] = cells[label].iou_curve()
                confusion = cells[label].confusion()
                if confusion is not None:
                    found["confusion"] = confusion.tolist()
            details.setdefault(condition, {})[label] = found
    return details


def _of_histogram(histogram: JointHistogram) -> dict[str, Any]:
    return {"joint_histogram": histogram.coarse().tolist()}


def distribution_details(scores: DistributionScores) -> dict[str, Any]:
    """Returns `pit` and `reliability`, see `metric_details`.

    Args:
        scores: Of one label; without pixels nothing is returned.
    """
    if not scores.count:
        return {}
    return {
        "pit": scores.pit.tolist(),
        "reliability": [
            {
                "pixels": int(pixels),
                "predicted": probabilities / pixels if pixels else None,
                "observed": bright / pixels if pixels else None,
            }
            for pixels, probabilities, bright in scores.reliability.tolist()
        ],
    }
