"""Scores a stored prediction of a well."""

import dataclasses
import os
import pathlib
from collections.abc import Iterable, Sequence

import numpy as np

from isl.errors import InputError
from isl.evaluation.parts import Part
from isl.evaluation.scoring import LabelScores, read_true_bins
from isl.evaluation.tile_scoring import with_tiles
from isl.evaluation.wells import WellScores, empty_scores
from isl.images import (
    OmeImage,
    Well,
    is_plate,
    is_zarr,
    open_ome_tiff,
    open_ome_zarr,
    open_plate,
)
from isl.network.intensity_bins import NUM_BINS
from isl.preprocessing.output import PLATE
from isl.specs import Region

# Rows of a stored prediction that are read at once.
_BAND_ROWS = 512

# Percent of central intervals to the quantiles at their ends.
_INTERVALS = {50: ("q25", "q75"), 90: ("q05", "q95")}
_SUFFIXES = (".ome.tif", ".ome.zarr", ".zarr")
_DEVIATION = "standard_deviation"

# How far an intensity may lie outside 0 to 1.
_ROUNDING = 1e-6


@dataclasses.dataclass(frozen=True)
class StoredPrediction:
    """A prediction as `predict.py` writes it.

    Attributes:
        image: The file.
        origin: Row and column of the well where it begins.
    """

    image: OmeImage
    origin: tuple[int, int]

    def has(self, label: str, statistic: str) -> bool:
        """Whether there is a channel of this statistic of a label."""
        return f"{label}:{statistic}" in self.image.channel_names

    def read(
        self, label: str, statistic: str, rows: slice, columns: slice
    ) -> np.ndarray:
        """Reads a region of the well, float32 intensities, [row, column].

        Raises:
            InputError: If the file cannot be decoded, holds the channel
                twice, or values that are no intensities.
        """
        name = f"{label}:{statistic}"
        (plane,) = self.image.channel(name)
        values = plane.read(
            *(
                slice(span.start - first, span.stop - first)
                for span, first in zip(
                    (rows, columns), self.origin, strict=True
                )
            )
        )
        low, high = float(values.min()), float(values.max())
        # Written so that values that are not numbers are refused too.
        if not -_ROUNDING <= low <= high <= 1 + _ROUNDING:
            raise InputError(
                f"{plane.path}: {name} must lie between 0 and 1. Received: "
                f"{low:g} to {high:g}"
            )
        return values


@dataclasses.dataclass(frozen=True)
class StoredPart:
    """What is scored of a stored prediction.

    Attributes:
        part: The well, and what was to be scored of it.
        stored: Its prediction.
        labels: Labels of the well that were predicted.
        lacking: Labels of the well that were to be scored but not predicted.
        rows: What was predicted of the part.
        columns: Likewise.
    """

    part: Part
    stored: StoredPrediction
    labels: tuple[str, ...]
    lacking: tuple[str, ...]
    rows: slice
    columns: slice

    @property
    def dead_labels(self) -> tuple[str, ...]:
        """Predicted labels that tell dead cells."""
        return tuple(x for x in self.part.spec.dead_labels if x in self.labels)

    @property
    def is_whole(self) -> bool:
        """Whether all that was to be scored was predicted."""
        asked = self.part.region.resolve(self.part.well.shape)
        return (self.rows, self.columns) == asked


def prediction_paths(
    path: str | os.PathLike, parts: Sequence[Part]
) -> dict[str, pathlib.Path]:
    """Returns the predictions of wells.

    Args:
        path: An OME-Zarr plate of predictions, or a folder that holds one for
            each well, or such a plate, as `predict_plate.py` writes. For one
            well also the prediction itself.
        parts: What will be scored.

    Returns:
        Name of a well to its prediction.

    Raises:
        InputError: If there is none of a well, or more than one, or two
            conditions have a well of one name.
    """
    path = pathlib.Path(path)
    wells = dict.fromkeys(part.well.name for part in parts)
    for well in wells:
        names = {p.spec.condition for p in parts if p.well.name == well}
        if len(names) > 1:
            raise InputError(
                f"{path}: a prediction cannot be that of several wells; "
                f"score one condition at a time. Received: {well} of "
                f"{', '.join(sorted(names))}"
            )
    plates = [plate for plate in (path, path / PLATE) if is_plate(plate)]
    if plates or (path.is_dir() and not is_zarr(path)):
        return {well: _prediction_path(path, plates, well) for well in wells}
    if len(wells) > 1:
        raise InputError(
            f"{path}: one prediction cannot be that of {len(wells)} "
            f"wells; predictions must be a folder that holds one for each. "
            f"Received: {', '.join(wells)}"
        )
    return dict.fromkeys(wells, path)


def _prediction_path(
    path: pathlib.Path, plates: Sequence[pathlib.Path], well: str
) -> pathlib.Path:
    found = [
        plate / field
        for plate in plates
        for field in open_plate(plate).fields.get(well, ())
    ]
    names = [f"{well}{suffix}" for suffix in _SUFFIXES]
    found += [path / name for name in names if (path / name).exists()]
    if len(found) != 1:
        raise InputError(
            f"{path}: must hold one prediction of well {well}: "
            f"{', '.join(names)}, or one field of a plate. Received: "
            f"{', '.join(str(item) for item in found) or 'none'}"
        )
    return found[0]


def open_prediction(path: str | os.PathLike) -> StoredPrediction:
    """Opens a prediction; reads its metadata only.

    Args:
        path: An OME-TIFF or an OME-Zarr as `predict.py` writes it.

    Raises:
        InputError: If it cannot be read, or is in units of the camera.
    """
    image = open_ome_zarr(path) if is_zarr(path) else open_ome_tiff(path)
    units = image.annotations.get("units", "intensity")
    if units != "intensity":
        raise InputError(
            f"{path}: predictions must be intensities, as predict.py writes "
            f"them without --units. Received: units {units!r}"
        )
    origin = image.annotations.get("origin", {"row": 0, "column": 0})
    return StoredPrediction(image, (origin["row"], origin["column"]))


def open_stored_parts(
    path: str | os.PathLike,
    parts: Sequence[Part],
    labels: Sequence[str] | None = None,
) -> tuple[StoredPart, ...]:
    """Opens the predictions of parts; what cannot be scored is found here.

    Args:
        path: See `prediction_paths`.
        parts: From `isl.evaluation.parts.open_parts`.
        labels: Labels to score; None for those of each data set.

    Returns:
        The parts, but for those of wells of which no label was predicted.

    Raises:
        InputError: See `prediction_paths` and `open_prediction`; if a
            prediction is of an image of another size or of no pixel of the
            region, or none holds the medians of a label that was asked for,
            or of any label.
    """
    paths = prediction_paths(path, parts)
    opened = [_open_part(paths[p.well.name], p, labels) for p in parts]
    found = {label for one in opened for label in one.labels}
    missing = [label for label in labels or () if label not in found]
    if missing or not found:
        stored = opened[0].stored.image
        raise InputError(
            f"{path}: must hold medians of {', '.join(missing) or 'a label'} "
            f"of a well that has it. Received: {stored.path} with channels "
            f"{', '.join(stored.channel_names)}"
        )
    return tuple(one for one in opened if one.labels)


def _open_part(
    path: pathlib.Path, part: Part, labels: Sequence[str] | None
) -> StoredPart:
    stored = open_prediction(path)
    rows, columns = _common(stored, part.well, part.region)
    if rows.start >= rows.stop or columns.start >= columns.stop:
        raise InputError(
            f"{path}: must be a prediction of pixels of the region. Received: "
            f"one from row {stored.origin[0]} and column {stored.origin[1]} "
            f"on, of {stored.image.shape[0]} x {stored.image.shape[1]} pixels"
        )
    wanted = [
        label
        for label in labels or part.spec.labels
        if label in part.well.labels
    ]
    found = tuple(x for x in wanted if stored.has(x, "median"))
    lacking = tuple(x for x in wanted if x not in found)
    return StoredPart(part, stored, found, lacking, rows, columns)


def describe_stored(stored: Sequence[StoredPart]) -> dict[str, str]:
    """Says how predictions were made and what of the wells they leave out.

    Args:
        stored: From `open_stored_parts`.

    Returns:
        `predicted by`, `padding`, `stitching` and `planes` as the
        predictions tell them, `not predicted` labels with their wells,
        `dead cells` where they are called by medians for want of means, and
        the pixels `scored` in wells where they are fewer than asked for;
        each only where there is something to say.
    """
    texts = {
        name: ", ".join(_annotated(stored, key))
        for name, key in (
            ("predicted by", "model"),
            ("padding", "padding"),
            ("stitching", "stitching"),
            ("planes", "z_planes"),
        )
    }
    texts["not predicted"] = _with_wells(
        (label, one) for one in stored for label in one.lacking
    )
    by_medians = _with_wells(
        (label, one)
        for one in stored
        for label in one.dead_labels
        if not one.stored.has(label, "mean")
    )
    if by_medians:
        texts["dead cells"] = f"by medians, no means are stored: {by_medians}"
    texts["scored"] = "; ".join(
        f"{one.part.well.name}: rows {one.rows.start} to {one.rows.stop - 1}, "
        f"columns {one.columns.start} to {one.columns.stop - 1}"
        for one in stored
        if not one.is_whole
    )
    return {name: text for name, text in texts.items() if text}


def _with_wells(pairs: Iterable[tuple[str, StoredPart]]) -> str:
    """Returns labels, each with its wells."""
    wells: dict[str, list[str]] = {}
    for label, one in pairs:
        wells.setdefault(label, []).append(one.part.well.name)
    return "; ".join(f"{x} ({', '.join(names)})" for x, names in wells.items())


def _annotated(stored: Sequence[StoredPart], key: str) -> list[str]:
    """Returns what predictions tell of themselves, each once."""
    values = [one.stored.image.annotations.get(key) for one in stored]
    texts = [str(value) for value in values if value is not None]
    return list(dict.fromkeys(texts))


def score_prediction(stored: StoredPart, well: Well) -> WellScores:
    """Scores the medians of a stored prediction of a well.

    Standard deviations, the quantiles of 5, 25, 75 and 95 % and means are used
    where they are stored; distributions are not, so likelihoods are undefined.

    Args:
        stored: From `open_stored_parts`.
        well: Its well, or a copy that keeps what is read.

    Raises:
        InputError: If a file cannot be decoded, or holds no intensities.
    """
    found = stored.labels
    uncertain = [x for x in found if stored.stored.has(x, _DEVIATION)]
    spec = stored.part.spec
    averaged = [x for x in stored.dead_labels if stored.stored.has(x, "mean")]
    scores = empty_scores(
        spec.condition,
        well,
        stored.rows,
        stored.columns,
        found,
        uncertain,
        averaged,
    )
    for label in found:
        _score_channels(scores, stored.stored, well, label)
    return with_tiles(scores, well)


def _common(
    stored: StoredPrediction, well: Well, region: Region
) -> tuple[slice, slice]:
    """Returns the part of a region that was predicted; it may be empty."""
    size = zip(stored.origin, stored.image.shape, strict=True)
    # A prediction leaves out nothing, or a rim that is as wide on each side.
    origin_well = tuple(2 * first + length for first, length in size)
    if origin_well != well.shape:
        raise InputError(
            f"{stored.image.path}: must be a prediction of well {well.name} "
            f"as it is now ({well.shape[0]} x {well.shape[1]} pixels). "
            f"Received: one of {origin_well[0]} x {origin_well[1]} pixels"
        )
    ends = [
        length - first
        for first, length in zip(stored.origin, well.shape, strict=True)
    ]
    return tuple(
        slice(max(span.start, first), min(span.stop, end))
        for span, first, end in zip(
            region.resolve(well.shape), stored.origin, ends, strict=True
        )
    )


def _score_channels(
    scores: WellScores, stored: StoredPrediction, well: Well, label: str
) -> None:
    columns = scores.columns
    for start in range(scores.rows.start, scores.rows.stop, _BAND_ROWS):
        rows = slice(start, min(start + _BAND_ROWS, scores.rows.stop))
        band = slice(start - scores.rows.start, rows.stop - scores.rows.start)
        true = read_true_bins(well, label, rows, columns)
        predicted = _bins(stored.read(label, "median", rows, columns))
        scores.labels[label].add(true, predicted, None)
        scores.predictions[label][band] = predicted
        if label in scores.means:
            mean = stored.read(label, "mean", rows, columns)
            scores.means[label][band] = _bins(mean)
        if label in scores.deviations:
            deviation = stored.read(label, _DEVIATION, rows, columns)
            scores.labels[label].statistics.add_deviation(deviation)
            scores.deviations[label][band] = _bins(deviation)
        _add_intervals(scores.labels[label], stored, label, rows, columns, true)


def _add_intervals(
    scores: LabelScores,
    stored: StoredPrediction,
    label: str,
    rows: slice,
    columns: slice,
    true: np.ndarray,
) -> None:
    for percent, ends in _INTERVALS.items():
        if all(stored.has(label, end) for end in ends):
            low, high = (
                _bins(stored.read(label, end, rows, columns)) for end in ends
            )
            scores.statistics.add_interval(percent, true, low, high)


def _bins(intensities: np.ndarray) -> np.ndarray:
    return np.rint(intensities * (NUM_BINS - 1)).astype(np.int64)
