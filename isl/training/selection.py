"""The network of the best epoch is kept, not that of the last.

A small data set is soon known by heart. What a network has learned by then
still shows on pixels that it is not trained on, so the epoch with the best
score on the validation patches is what the run saves. The split of training
must leave the validation split out, or there is nothing to see.
"""

import math
import os
import sys
from typing import Any

from isl.errors import InputError
from isl.network.model_folder import load_description
from isl.training.validation import Validation

SCORE = "validation_score"
"""Name of the score in the provenance of a model folder."""


def validation_score(validation: Validation) -> float:
    """Returns how good a network is on the validation patches.

    Higher is better: the negative mean over labels of the negative
    log-likelihood, and of regression heads, which have none, the mean of
    Pearson's r. What is undefined (a label that no patch has, the correlation
    of a constant prediction) counts as 0, in every epoch; a likelihood that is
    not finite as worse than any other.
    """
    scores = [
        (metrics["mean_pearson"] or 0.0)
        if metrics["nll"] is None
        else -metrics["nll"]
        for metrics in validation.metrics.values()
    ]
    mean = sum(scores) / len(scores)
    return mean if math.isfinite(mean) else -sys.float_info.max


class BestEpoch:
    """The best epoch of a run so far, as its model folder says.

    Attributes:
        facts: `steps`, `minutes` and `validation_score` of that epoch, for
            the provenance of its network; empty before the first epoch.
    """

    def __init__(self, folder: str | os.PathLike, step: int):
        """Takes up where the run stood.

        Args:
            folder: Model folder of the run, which may not be there yet.
            step: Steps that the run has done. A network of more steps is of
                an epoch that will be done again: it stays the one to beat, or
                what it was better than, and replaced, would be lost. Before
                the first epoch it may be of another run, and does not count.
        """
        self.facts: dict[str, Any] = {}
        if not step:
            return
        try:
            stored = load_description(folder).provenance
        except InputError:
            return
        names = ("steps", "minutes", SCORE)
        if all(name in stored for name in names):
            self.facts = {name: stored[name] for name in names}

    def age(self, step: int) -> int:
        """Returns the steps done since the best epoch.

        Args:
            step: Steps that the run has done; 0 is returned before the first
                epoch, and while the best one is done again.
        """
        return max(0, step - self.facts["steps"]) if self.facts else 0

    def improves(
        self, validation: Validation, steps: int, minutes: float
    ) -> bool:
        """Tells whether an epoch is the best so far, and remembers it.

        Args:
            validation: Of the epoch.
            steps: Done at its end.
            minutes: Spent on training at its end.
        """
        score = validation_score(validation)
        if self.facts and score <= self.facts[SCORE]:
            return False
        self.facts = {"steps": steps, "minutes": minutes, SCORE: score}
        return True
