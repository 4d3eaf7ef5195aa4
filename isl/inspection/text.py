"""An inspection as lines of text."""

import collections
import json
import os
import pathlib
import re
from collections.abc import Mapping, Sequence
from typing import Any

from isl.inspection.inspection import Inspection
from isl.inspection.listing import INPUT
from isl.inspection.naming import guess_modality
from isl.inspection.problems import ERROR, KINDS
from isl.inspection.well_report import ImageReport
from isl.preprocessing.focus import best_plane
from isl.specs import MODALITIES

_HEADER = (
    "well",
    "channel",
    "role",
    "images",
    "size",
    "bits",
    "um",
    "min",
    "mean",
    "std",
    "max",
    "at 0",
    "at max",
    "focus",
)

# Wells that one kind of warning is told of.
_MAX_WARNINGS = 3

# Columns of text stand left, numbers right.
_NUM_LEFT = 3


def format_table(inspection: Inspection) -> list[str]:
    """Returns a table with a line for each channel of each well.

    Tiles of a well are taken together. Intensities are in [0, 1]: the least
    minimum, the means of means and of standard deviations, the greatest
    maximum; of the shares of pixels at 0 and at the maximum the greatest.
    `focus` is the z of the plane in focus.
    """
    groups = collections.defaultdict(list)
    for well in inspection.wells:
        for report in well.images:
            channel = report.channel
            key = (channel.well, channel.name, channel.role)
            groups[key].append(report)
    rows = [_HEADER]
    for (well, channel, role), reports in groups.items():
        size_um = inspection.pixel_size_um.get(well)
        pixel = "-" if size_um is None else f"{size_um:.4g}"
        count, shape, bits, *numbers = _summarise(reports)
        rows.append((well, channel, role, count, shape, bits, pixel, *numbers))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            cell.ljust(width) if k < _NUM_LEFT else cell.rjust(width)
            for k, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def format_problems(
    inspection: Inspection, root: str | os.PathLike
) -> list[str]:
    """Returns a line for each problem: file, what, and what to do.

    Problems of one kind in one well are told by the first, with the number of
    the others. A warning that many wells have is told of some of them.

    Args:
        inspection: The inspection.
        root: What was inspected; files are named from there on.
    """
    kinds = collections.defaultdict(lambda: collections.defaultdict(list))
    for problem in inspection.problems:
        kinds[problem.kind][problem.well].append(problem)
    lines = []
    for kind, wells in kinds.items():
        level = KINDS[kind].level
        shown = len(wells) if level == ERROR else _MAX_WARNINGS
        for first, *others in list(wells.values())[:shown]:
            place = shorten(first.path, root)
            also = f" (and {len(others)} more)" if others else ""
            lines.append(
                f"{level} {kind}: {place}: {first.what}; {first.advice}{also}"
            )
        hidden = sum(map(len, list(wells.values())[shown:]))
        if hidden:
            lines.append(
                f"{level} {kind}: {hidden} more, of {len(wells) - shown} other "
                "wells"
            )
    return lines


def format_guesses(inspection: Inspection) -> list[str]:
    """Returns how file names were understood, as a `source` of a spec."""
    roles = collections.defaultdict(dict)
    for well in inspection.wells:
        for report in well.images:
            folder = str(pathlib.Path(report.image.path).parent)
            roles[folder][report.channel.name] = report.channel.role
    lines = []
    for folder, guesses in inspection.guesses.items():
        # A spec wants patterns that tell the channel.
        telling = [g for g in guesses if "(?P<channel>" in g.pattern]
        if telling:
            first, *others = telling
            source = {
                "path": "",
                "pattern": first.pattern,
                "channels": _propose_channels(roles[folder]),
            }
            lines += [
                f"{folder}: {first.num_matched} of {first.num_names} names "
                "were read as this part of a data spec says; correct it:",
                f'  "source": {json.dumps(source)}',
                *(f"  or the pattern {other.pattern}" for other in others),
            ]
    return lines


def shorten(path: str, root: str | os.PathLike) -> str:
    """Returns a path from a folder on, if it lies in it.

    Args:
        path: The path of an image.
        root: The folder, or the image itself.
    """
    try:
        short = str(pathlib.Path(path).relative_to(root))
    except ValueError:
        return path
    return os.path.basename(path) if short == "." else short


def _summarise(reports: Sequence[ImageReport]) -> tuple[str, ...]:
    # The cells from "images" on, but for the pixel size.
    values = [report.measured for report in reports if report.measured]
    if not values:
        return (str(len(reports)), *("-" * 9))
    shapes = {f"{v.shape[0]}x{v.shape[1]}" for v in values}
    bits = sorted({v.bits for v in values})
    mean = sum(v.mean for v in values) / len(values)
    deviation = sum(v.standard_deviation for v in values) / len(values)
    return (
        str(len(reports)),
        shapes.pop() if len(shapes) == 1 else f"{len(shapes)} sizes",
        ",".join(map(str, bits)),
        f"{min(v.minimum for v in values):.5f}",
        f"{mean:.5f}",
        f"{deviation:.5f}",
        f"{max(v.maximum for v in values):.5f}",
        f"{max(v.share_at_0 for v in values):.2%}",
        f"{max(v.share_at_maximum for v in values):.2%}",
        _find_focus(reports),
    )


def _find_focus(reports: Sequence[ImageReport]) -> str:
    stack = [report for report in reports if report.measured]
    shapes = {report.measured.focus.shape for report in stack}
    tiles = {report.channel.tile for report in stack}
    if stack[0].channel.role != INPUT or len(stack) < 2:
        return "-"
    if len(shapes) > 1 or len(tiles) > 1:
        return "-"
    best = best_plane([report.measured.focus for report in stack])
    return f"z {stack[best].image.z}"


def _propose_channels(roles: Mapping[str, str]) -> dict[str, Any]:
    # Modalities and labels as a spec spells them. What cannot be told is
    # left for the user to choose from.
    return {
        name: guess_modality(name) or " or ".join(MODALITIES)
        if role == INPUT
        else _spell_label(name)
        for name, role in roles.items()
    }


def _spell_label(name: str) -> str:
    words = re.sub(r"[^A-Z0-9]+", "_", name.upper())
    # A label begins with a letter.
    return words.lstrip("_0123456789").rstrip("_") or "LABEL"
