"""Measuring the images of a well and finding what is wrong with them."""

import collections
import dataclasses
import functools
import pathlib
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from isl.errors import InputError
from isl.images import Plane, open_label, open_plane, read_whole
from isl.inspection.failures import explain_failure
from isl.inspection.listing import INPUT, LABEL, Channel, ImageFile
from isl.inspection.measuring import Measurements, measure_planes
from isl.inspection.problems import WARNING, Problem
from isl.preprocessing.focus import likely_z_order
from isl.preprocessing.normalization import (
    FAR_FACTOR,
    FAR_MEAN,
    FLUORESCENCE,
    TRANSMITTED,
)
from isl.specs import Region

# Mean and standard deviation that networks are trained on.
_NORMALISED = {INPUT: TRANSMITTED, LABEL: FLUORESCENCE}


@dataclasses.dataclass(frozen=True)
class Limits:
    """From where on something is a problem.

    The published sample has at most 0.3 % of its pixels at the maximum and
    0.5 % at 0.

    Attributes:
        saturated: Share of the pixels at the maximum.
        black: Share of the pixels at 0.
        mean: Distance of the mean from that of normalised images.
        contrast: Factor between the standard deviation and that of
            normalised images.
        any_type: Whether pixels may be of any type, as those that are going
            to be normalised.
    """

    saturated: float = 0.01
    black: float = 0.05
    mean: float = FAR_MEAN
    contrast: float = FAR_FACTOR
    any_type: bool = False


@dataclasses.dataclass(frozen=True)
class ImageReport:
    """One image and what was measured of it.

    Attributes:
        channel: The channel that it is of.
        image: Its file and focal position.
        measured: None if it cannot be read, or is of another type than 8 or
            16 bits. To save memory `likeness` is empty, and so is `thumbnail`
            but for the middle of a stack.
        can_be_used: Whether it can be read and is of a type that will do.
    """

    channel: Channel
    image: ImageFile
    measured: Measurements | None
    can_be_used: bool


@dataclasses.dataclass(frozen=True)
class WellReport:
    """One well, or one tile of it.

    Attributes:
        well: Name of the well.
        tile: Name of the tile, or empty.
        images: Its images, channel by channel, in z order.
        problems: What is wrong with their pixels.
    """

    well: str
    tile: str
    images: tuple[ImageReport, ...]
    problems: tuple[Problem, ...]


def report_well(
    channels: Sequence[Channel],
    regions: Sequence[Region] = (),
    limits: Limits | None = None,
) -> WellReport:
    """Measures the channels of a well, or of a tile, and checks them.

    Args:
        channels: Channels of one well and tile, at least one.
        regions: Parts that a spec gives to splits.
        limits: From where on something is a problem.
    """
    limits = limits or Limits()
    reports, problems = [], []
    for channel in channels:
        measured, failures = _measure_channel(channel, limits)
        problems += failures
        for report in measured:
            problems += _check_image(report, limits)
        problems += _check_channel(measured)
        reports += _save_memory(measured)
    well = channels[0].well
    problems += _check_sizes(reports)
    problems += _check_regions(well, reports, regions)
    return WellReport(well, channels[0].tile, tuple(reports), tuple(problems))


def _measure_channel(
    channel: Channel, limits: Limits
) -> tuple[list[ImageReport], list[Problem]]:
    reports, problems = [], []
    for images, open_planes in _iter_batches(channel):
        measured, problem = [None] * len(images), None
        try:
            planes = open_planes()
            if planes[0].dtype == np.uint16:
                measured = measure_planes(planes)
            else:
                problem = _check_type(channel, images[0], planes, limits)
        except InputError as error:
            problem = explain_failure(channel.well, images[0].path, error)
        problems += [problem] if problem else []
        can_be_used = problem is None or problem.level == WARNING
        for image, values in zip(images, measured, strict=True):
            reports.append(ImageReport(channel, image, values, can_be_used))
    return reports, problems


def _check_type(
    channel: Channel,
    image: ImageFile,
    planes: Sequence[Plane],
    limits: Limits,
) -> Problem:
    # For planes of another type than 8 or 16 bits.
    dtype = planes[0].dtype
    kind = "not_measured" if limits.any_type else "wrong_type"
    what = f"pixels are {dtype}, but must be uint8 or uint16"
    if limits.any_type:
        what = f"pixels are {dtype}: fit to be normalised, but not measured"
        if not all(np.isfinite(read_whole(plane)).all() for plane in planes):
            kind = "wrong_type"
            what = f"pixels are {dtype}, and some are no numbers"
    return Problem(kind, channel.well, image.path, what)


_Batch = tuple[Sequence[ImageFile], Callable[[], Sequence[Plane]]]


def _iter_batches(channel: Channel) -> Iterator[_Batch]:
    # Planes of one OME-Zarr share chunks and are read together. Others are
    # opened one by one, so that what is decoded does not pile up.
    in_one = channel.open_planes is not None
    if in_one and pathlib.Path(channel.images[0].path).is_dir():
        yield channel.images, channel.open_planes
        return
    for index, image in enumerate(channel.images):
        yield (image,), functools.partial(_open_one, channel, index)


def _open_one(channel: Channel, index: int) -> Sequence[Plane]:
    path = pathlib.Path(channel.images[index].path)
    if channel.open_planes is not None:
        return [channel.open_planes()[index]]
    if channel.role == LABEL:
        return [open_label(path, channel.name)]
    return [open_plane(path)]


def _save_memory(reports: Sequence[ImageReport]) -> Iterator[ImageReport]:
    nothing = np.zeros((0, 0), np.uint8)
    readable = [report for report in reports if report.measured]
    shown = readable[len(readable) // 2] if readable else None
    for report in reports:
        values = report.measured
        if values is not None:
            thumbnail = values.thumbnail if report is shown else nothing
            values = dataclasses.replace(
                values, likeness=nothing, thumbnail=thumbnail
            )
        yield dataclasses.replace(report, measured=values)


def _check_image(report: ImageReport, limits: Limits) -> Iterator[Problem]:
    values = report.measured
    if values is None:
        return

    def problem(kind: str, what: str) -> Problem:
        z = "" if report.image.z is None else f"z {report.image.z}: "
        return Problem(kind, report.channel.well, report.image.path, z + what)

    if values.minimum == values.maximum:
        what = f"all pixels have the intensity {values.minimum:.4g}"
        yield problem("constant", what)
        return
    if values.share_at_maximum > limits.saturated:
        yield problem(
            "saturated",
            f"{values.share_at_maximum:.1%} of the pixels are at the maximum, "
            f"{values.maximum:.4g}",
        )
    if values.share_at_0 > limits.black:
        what = f"{values.share_at_0:.1%} of the pixels are 0"
        yield problem("black", what)
    target = _NORMALISED.get(report.channel.role)
    if target is not None:
        distance = target.describe_distance(
            values.mean,
            values.standard_deviation,
            limits.mean,
            limits.contrast,
        )
        if distance:
            yield problem("intensity", distance)


def _check_channel(reports: Sequence[ImageReport]) -> Iterator[Problem]:
    readable = [report for report in reports if report.measured]
    channel = reports[0].channel
    bits = {report.measured.bits for report in readable}
    if len(bits) > 1:
        odd = next(report for report in readable if report.measured.bits == 8)
        what = f"{channel.name} has planes of 8 and of 16 bits, this has 8"
        yield Problem("types_differ", channel.well, odd.image.path, what)
    shapes = {report.measured.shape for report in readable}
    if channel.role == INPUT and len(shapes) == 1:
        order = likely_z_order([r.measured.likeness for r in readable])
        if order is not None:
            z = ", ".join(str(readable[index].image.z) for index in order)
            what = f"neighbours look more alike in the order of z {z}"
            path = readable[0].image.path
            yield Problem("z_order", channel.well, path, what)


def _check_sizes(reports: Sequence[ImageReport]) -> Iterator[Problem]:
    readable = [report for report in reports if report.measured]
    shapes = collections.Counter(r.measured.shape for r in readable)
    (usual, _), *_ = shapes.most_common(1) or [(None, 0)]
    for report in readable:
        shape = report.measured.shape
        if shape != usual:
            what = (
                f"size is {shape[0]} x {shape[1]}, of the other images "
                f"{usual[0]} x {usual[1]}"
            )
            well = report.channel.well
            yield Problem("sizes_differ", well, report.image.path, what)


def _check_regions(
    well: str, reports: Sequence[ImageReport], regions: Sequence[Region]
) -> Iterator[Problem]:
    readable = [report for report in reports if report.measured]
    for region in regions if readable else ():
        try:
            region.resolve(readable[0].measured.shape)
        except InputError as error:
            path = readable[0].image.path
            yield Problem("region_outside", well, path, str(error))
