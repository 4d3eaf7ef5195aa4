import math

import numpy as np
import pytest

from isl.evaluation.label_histogram import histogram_nll
from isl.images import Well
from isl.specs import Region
from tests.tiny_runs import ArrayPlane


def well(**labels):
    planes = {
        name: ArrayPlane(np.array(bins, np.uint16)[np.newaxis] * 257)
        for name, bins in labels.items()
    }
    first = next(iter(planes.values()))
    return Well("A1", None, None, (first,), planes, None)


def test_likelihood_of_other_pixels_under_the_histogram():
    training = [(well(A=[3, 3, 3, 9]), Region())]
    judged = [(well(A=[3, 9, 9, 200]), Region())]
    found = histogram_nll(training, judged, ("A",))
    shares = [4 / 260, 2 / 260, 2 / 260, 1 / 260]
    expected = -np.log(shares).mean() / math.log(256)
    assert found["A"] == pytest.approx(expected)


def test_only_the_part_counts_and_missing_labels_have_none():
    training = [
        (well(A=[0, 0, 7, 7]), Region(columns=(2, 4))),
        (well(A=[7, 0], B=[1, 1]), Region(columns=(0, 1))),
    ]
    judged = [(well(A=[7, 0], C=[5, 5]), Region(columns=(0, 1)))]
    found = histogram_nll(training, judged, ("A", "B", "C"))
    assert found["A"] == pytest.approx(-math.log(4 / 259) / math.log(256))
    assert found["B"] is None
    assert found["C"] is None
