"""What a reader must know before believing a number."""

from collections.abc import Iterator, Sequence

from isl.evaluation.cells import CellComparison
from isl.evaluation.pixels import JointHistogram
from isl.evaluation.tables import POOLED, MetricRow
from isl.evaluation.wells import (
    FailedWell,
    WellScores,
    pool_cells,
    pool_labels,
    pool_wells,
)
from isl.figures.report_tables import group_rows

# Of fewer cells, one is more than 2 %.
_MIN_CELLS = 50
# Of living or dead ones, whichever are fewer: of less, one is more than 5 %.
_MIN_RARER = 20
# Four by four tiles of 128 pixels.
_MIN_PIXELS = 16 * 128**2
_MAX_SATURATED = 0.01
# As an intensity; the noise of a camera is of this size.
MIN_TRUE_DEVIATION = 4 / 255
_COVERAGE, _MAX_MISCOVERAGE = 0.9, 0.05
_MAX_INTERVAL = 0.2


def find_warnings(
    scores: Sequence[WellScores], rows: Sequence[MetricRow]
) -> list[str]:
    """Returns sentences about numbers that say less than they seem to.

    Args:
        scores: Of all wells.
        rows: Their table (`isl.evaluation.wells.metric_rows`).
    """
    pooled = group_rows([row for row in rows if row.well == POOLED])
    groups = pool_wells(scores)
    warnings = []
    for condition, wells in groups.items():
        start = f"{condition}: " if len(groups) > 1 else ""
        warnings += [start + text for text in _of_wells(wells)]
        cells = pool_cells(wells)
        for label, values in pool_labels(wells).items():
            texts = [
                *_of_truth(values.histogram),
                *_of_metrics(pooled[condition, label, POOLED]),
                *_of_cells(cells.get(label)),
            ]
            if texts:
                warnings.append(f"{start}{label}: {' '.join(texts)}")
    return warnings


def find_missing(
    failures: Sequence[FailedWell], num_scored: int
) -> Iterator[str]:
    """Yields a sentence on wells that are in no number, if there are any.

    Args:
        failures: Wells that could not be scored.
        num_scored: How many were.
    """
    if failures:
        yield (
            f"{len(failures)} of {len(failures) + num_scored} wells failed "
            f"and are in no number: {'; '.join(map(str, failures))}"
        )


def _of_wells(wells: Sequence[WellScores]) -> Iterator[str]:
    if len(wells) == 1:
        yield (
            f"All pixels come from one well or field ({wells[0].well}). "
            "Intervals say how numbers vary within it, not between wells, "
            "plates or days."
        )
    pixels = sum(
        (well.rows.stop - well.rows.start)
        * (well.columns.stop - well.columns.start)
        for well in wells
    )
    if pixels < _MIN_PIXELS:
        yield (
            f"The test region is tiny: {pixels:,} pixels, fewer than "
            f"{_MIN_PIXELS:,}."
        )


def _of_truth(histogram: JointHistogram) -> Iterator[str]:
    true = histogram.counts.sum(axis=1)
    if not histogram.count:
        return
    saturated = true[-1] / histogram.count
    if saturated > _MAX_SATURATED:
        yield (
            f"The true label is saturated: {100 * saturated:.1f} % of its "
            "pixels have the largest value, so how bright they were is lost."
        )
    deviation = histogram.label_deviation()
    if deviation < MIN_TRUE_DEVIATION:
        yield (
            "The true label is nearly constant (standard deviation "
            f"{deviation:.3f} of the scale), so there is little to predict "
            "and r means little."
        )


def _of_metrics(metrics: dict[str, MetricRow]) -> Iterator[str]:
    values = {name: row.value for name, row in metrics.items()}
    coverage = values.get(f"coverage_{100 * _COVERAGE:.0f}")
    if coverage is not None and abs(coverage - _COVERAGE) > _MAX_MISCOVERAGE:
        yield (
            "The predicted uncertainty is badly calibrated: intervals that "
            f"should hold {100 * _COVERAGE:.0f} % of the pixels hold "
            f"{100 * coverage:.0f} %."
        )
    nll, entropy = values.get("nll"), values.get("label_entropy")
    if nll is not None and entropy is not None and nll >= entropy:
        yield (
            "The predicted distributions are no better than the label's own "
            f"histogram (NLL {nll:.3f}, histogram {entropy:.3f})."
        )
    r = metrics.get("pearson")
    if r is not None and None not in (r.low, r.high):
        if r.high - r.low > _MAX_INTERVAL:
            yield (
                f"The interval of r is wide: {r.low:.2f} to {r.high:.2f}. "
                "More test images would tell."
            )


def _of_cells(cells: CellComparison | None) -> Iterator[str]:
    if cells is not None and cells.errors.true < _MIN_CELLS:
        yield (
            f"Too few cells for statistics: {cells.errors.true} true nuclei, "
            f"fewer than {_MIN_CELLS}."
        )
    elif cells is not None and len(cells.matched) < _MIN_CELLS:
        yield (
            f"Of {cells.errors.true:,} true nuclei only {len(cells.matched)} "
            "match a predicted one: what is said of matched nuclei (area, "
            "brightness, alive or dead) says little."
        )
    if cells is not None and cells.judged:
        rarer = min(cells.dead, cells.judged - cells.dead)
        if rarer < _MIN_RARER:
            yield (
                f"Of {cells.judged:,} true nuclei judged alive or dead "
                f"{cells.dead:,} are dead: with fewer than {_MIN_RARER} of one "
                "kind, what is said of it rests on few cells."
            )
