import dataclasses

import numpy as np

from isl.evaluation.cells import Cell, CellComparison
from isl.evaluation.matching import CellErrors
from isl.evaluation.scoring import LabelScores
from isl.evaluation.tables import POOLED, MetricRow
from isl.evaluation.viability import Viability
from isl.evaluation.wells import WellScores
from isl.figures.report_warnings import find_warnings

RNG = np.random.default_rng(0)
# 600 x 600 pixels of a label that has nothing wrong with it.
GOOD = RNG.integers(20, 200, (600, 600))


def well(bins=GOOD, name="A1", condition="test"):
    scores = LabelScores()
    scores.add(bins, bins, None)
    rows, columns = (slice(0, size) for size in bins.shape)
    return WellScores(condition, name, rows, columns, {"DAPI": scores}, {})


def warnings(*wells, condition="test", **metrics):
    values = {"pearson": (0.9, 0.85, 0.95), "coverage_90": (0.9, None, None)}
    rows = [
        MetricRow(
            condition, POOLED, "DAPI", name, *numbers[:1], 1, *numbers[1:]
        )
        for name, numbers in (values | metrics).items()
    ]
    return find_warnings(wells or (well(), well(name="A2")), rows)


def test_nothing_to_warn_of():
    assert warnings() == []


def test_one_well():
    (text,) = warnings(well())
    assert "one well or field (A1)" in text


def test_tiny_region():
    (text,) = warnings(well(GOOD[:300, :300]), well(GOOD[:300, :300], "A2"))
    assert "tiny: 180,000 pixels, fewer than 262,144" in text


def test_saturated_label():
    bins = GOOD.copy()
    bins[:12] = 255  # 2 % of this well, 1 % of both.
    assert warnings(well(bins), well(name="A2")) == []
    (text,) = warnings(well(bins), well(bins, "A2"))
    assert text.startswith("DAPI: The true label is saturated: 2.0 %")


def test_nearly_constant_label():
    bins = np.where(GOOD > 100, 50, 53)
    (text,) = warnings(well(bins), well(bins, "A2"))
    assert "nearly constant (standard deviation 0.006" in text


def test_bad_calibration():
    for coverage in (0.84, 0.96):
        (text,) = warnings(coverage_90=(coverage, None, None))
        assert f"hold {100 * coverage:.0f} %" in text
    assert warnings(coverage_90=(0.86, None, None)) == []


def test_distributions_without_information():
    entropy = {"label_entropy": (0.4, None, None)}
    (text,) = warnings(nll=(0.4, None, None), **entropy)
    assert "no better than the label's own histogram" in text
    assert warnings(nll=(0.39, None, None), **entropy) == []


def test_wide_interval():
    (text,) = warnings(pearson=(0.5, 0.3, 0.55))
    assert "wide: 0.30 to 0.55" in text
    assert warnings(pearson=(None, None, None)) == []


def with_cells(number, name, matched=0):
    pairs = ((Cell(0.0, 0.0, 1, 0.5),) * 2,) * matched
    cells = CellComparison(CellErrors(true=number), pairs, (), (), {})
    return dataclasses.replace(well(name=name), cells={"DAPI": cells})


def test_too_few_cells():
    (text,) = warnings(with_cells(20, "A1"), with_cells(29, "A2"))
    assert "Too few cells for statistics: 49 true nuclei" in text
    assert warnings(with_cells(20, "A1", 20), with_cells(30, "A2", 30)) == []


def test_too_few_matched_cells():
    (text,) = warnings(with_cells(100, "A1", 20), with_cells(100, "A2", 29))
    assert "Of 200 true nuclei only 49 match" in text


def of_dead(alive, dead):
    matched = ((Cell(0.0, 0.0, 1, 0.5),) * 2,) * 60
    nuclei = (Viability(-0.1, 0.0),) * alive + (Viability(0.0, 0.0),) * dead
    errors = CellErrors(true=alive + dead)
    cells = CellComparison(errors, matched, (), (), {}, (nuclei,))
    first = dataclasses.replace(well(name="A1"), cells={"DAPI": cells})
    return warnings(first, well(name="A2"))


def test_too_few_dead_or_living_cells():
    assert of_dead(80, 20) == of_dead(20, 80) == []
    (text,) = of_dead(81, 19)
    assert "Of 100 true nuclei judged alive or dead 19 are dead" in text
    (text,) = of_dead(19, 81)
    assert "alive or dead 81 are dead: with fewer than 20 of one" in text


def test_conditions_are_named_if_there_are_several():
    first, other = well(), well(condition="e")
    rows = [
        MetricRow(one.condition, POOLED, "DAPI", "pearson", 0.9, 1)
        for one in (first, other)
    ]
    texts = find_warnings((first, other), rows)
    assert [text[:9] for text in texts] == ["test: All", "e: All pi"]
