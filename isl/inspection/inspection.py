"""What is in a folder, file or plate, and what is wrong with it."""

import collections
import dataclasses
import math
import os
from collections.abc import Mapping

import tqdm

from isl.inspection import across_wells
from isl.inspection.folders import list_path
from isl.inspection.naming import NameGuess
from isl.inspection.problems import ERROR, KINDS, Problem
from isl.inspection.spec_listing import list_spec
from isl.inspection.well_report import Limits, WellReport, report_well
from isl.specs import DatasetSpec


@dataclasses.dataclass(frozen=True)
class Inspection:
    """What was found.

    Attributes:
        wells: Wells, or their tiles, in order.
        problems: All problems: errors before warnings, kind by kind.
        pixel_size_um: Well to the side of a pixel in micrometres, where it is
            told.
        guesses: Folder to what the names in it may mean.
        num_other_files: Files that were left alone.
    """

    wells: tuple[WellReport, ...]
    problems: tuple[Problem, ...]
    pixel_size_um: Mapping[str, float]
    guesses: Mapping[str, tuple[NameGuess, ...]]
    num_other_files: int

    @property
    def num_errors(self) -> int:
        """Number of problems that are errors."""
        return sum(problem.level == ERROR for problem in self.problems)


def inspect_images(
    path: str | os.PathLike,
    spec: DatasetSpec | None = None,
    limits: Limits | None = None,
    show_progress: bool = False,
) -> Inspection:
    """Reads every image once and finds out what is wrong.

    Memory holds one image, or a band of the planes of one file, beside small
    copies.

    Args:
        path: A folder, a file or a plate; with a spec, the folder that its
            paths are relative to.
        spec: What the images are to be, if known.
        limits: From where on something is a problem.
        show_progress: Whether to draw a progress bar on standard error.

    Raises:
        InputError: If there is nothing to inspect.
    """
    limits = limits or Limits()
    if spec is not None and any(
        step["step"] == "normalize" for step in spec.preprocessing
    ):
        # These are raw, and will be normalised.
        limits = dataclasses.replace(
            limits, mean=math.inf, contrast=math.inf, any_type=True
        )
    listing = list_path(path) if spec is None else list_spec(spec, path)
    groups = collections.defaultdict(list)
    for channel in listing.channels:
        groups[channel.well, channel.tile].append(channel)
    wells = tuple(
        report_well(channels, listing.regions.get(well, ()), limits)
        for (well, _), channels in tqdm.tqdm(
            groups.items(), "check", unit="well", disable=not show_progress
        )
    )
    readable = {
        (well.well, well.tile): groups[well.well, well.tile]
        for well in wells
        if any(image.can_be_used for image in well.images)
    }
    problems = [
        *listing.problems,
        *(problem for well in wells for problem in well.problems),
        *across_wells.check_planes(readable, listing.num_z),
        *across_wells.check_modalities(readable),
        *across_wells.check_labels(readable, str(path), spec is not None),
        *across_wells.check_unknown(readable),
        *across_wells.check_duplicates(wells),
        *across_wells.check_pixel_sizes(listing, str(path)),
    ]
    kinds = list(KINDS)
    problems.sort(key=lambda p: (p.level, kinds.index(p.kind)))
    return Inspection(
        wells=wells,
        problems=tuple(problems),
        pixel_size_um=listing.pixel_size_um,
        guesses=listing.guesses,
        num_other_files=listing.num_other_files,
    )
