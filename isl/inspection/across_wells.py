"""What is wrong with wells when they are held against one another."""

import collections
from collections.abc import Iterator, Mapping, Sequence

from isl.inspection.listing import INPUT, LABEL, UNKNOWN, Channel, Listing
from isl.inspection.problems import Problem
from isl.inspection.well_report import ImageReport, WellReport

# Wells and their tiles, with their channels.
Groups = Mapping[tuple[str, str], Sequence[Channel]]


def check_planes(groups: Groups, num_z: int | None) -> Iterator[Problem]:
    """Finds stacks that lack planes.

    A stack must have the planes that the spec says or that most stacks have,
    and leave no number out of an even series.

    Args:
        groups: The channels.
        num_z: Planes of every stack, if a spec says so.
    """
    stacks = [
        channel
        for channels in groups.values()
        for channel in channels
        if channel.role == INPUT
    ]
    counts = collections.Counter(len(stack.images) for stack in stacks)
    # Of two that are as common, the greater one.
    usual = max(counts, key=lambda n: (counts[n], n), default=0)
    expected = usual if num_z is None else num_z
    whose = "most others" if num_z is None else "the spec"
    for stack in stacks:
        gaps = _find_gaps(stack)
        number = len(stack.images)
        if gaps:
            what = f"there is no z {', '.join(map(str, gaps))}"
        elif number != expected:
            what = f"number of planes is {number}, of {whose} {expected}"
        else:
            continue
        path = stack.images[0].path
        yield Problem("missing_plane", stack.well, path, what)


def check_modalities(groups: Groups) -> Iterator[Problem]:
    """Finds wells with more than one kind of transmitted light."""
    for (well, _), channels in groups.items():
        inputs = [channel for channel in channels if channel.role == INPUT]
        if len(inputs) > 1:
            names = ", ".join(channel.name for channel in inputs)
            what = f"transmitted light is there more than once: {names}"
            yield Problem("modality", well, inputs[1].images[0].path, what)


def check_labels(
    groups: Groups, path: str, labels_are_checked: bool
) -> Iterator[Problem]:
    """Finds labels without transmitted light, and the reverse.

    Args:
        groups: The channels.
        path: What is inspected.
        labels_are_checked: Whether labels were held against a spec already.
    """
    channels = [channel for group in groups.values() for channel in group]
    roles = {channel.role for channel in channels}
    all_labels = dict.fromkeys(c.name for c in channels if c.role == LABEL)
    if roles == {INPUT} and not labels_are_checked:
        what = "there is no label, only transmitted light"
        yield Problem("input_without_label", "", path, what)
    for (well, tile), channels in groups.items():
        roles = {channel.role for channel in channels}
        first = channels[0].images[0].path
        place = f"tile {tile} has " if tile else ""
        if roles == {LABEL}:
            names = ", ".join(channel.name for channel in channels)
            what = f"{place}{names} without transmitted light"
            yield Problem("label_without_input", well, first, what)
        names = {channel.name for channel in channels}
        missing = [label for label in all_labels if label not in names]
        if INPUT in roles and missing and not labels_are_checked:
            what = f"{place}no {', '.join(missing)}, which others have"
            yield Problem("input_without_label", well, first, what)


def check_unknown(groups: Groups) -> Iterator[Problem]:
    """Finds channels of which any may be the transmitted light."""
    names = {
        channel.name: channel.images[0].path
        for channels in groups.values()
        for channel in channels
        if channel.role == UNKNOWN
    }
    if names:
        what = f"one of {', '.join(names)} may be transmitted light"
        yield Problem("unknown_channels", "", next(iter(names.values())), what)


def check_duplicates(wells: Sequence[WellReport]) -> Iterator[Problem]:
    """Finds images of the same pixels; constant ones are left out."""
    seen: dict[bytes, ImageReport] = {}
    for report in (image for well in wells for image in well.images):
        values = report.measured
        if values is None or values.minimum == values.maximum:
            continue
        other = seen.setdefault(values.digest, report)
        if other is not report:
            z = "" if other.image.z is None else f", z {other.image.z}"
            z_here = "" if report.image.z is None else f"z {report.image.z}: "
            what = f"{z_here}same pixels as {other.image.path}{z}"
            well = report.channel.well
            yield Problem("duplicate", well, report.image.path, what)


def check_pixel_sizes(listing: Listing, path: str) -> Iterator[Problem]:
    """Finds wells with pixels of another size, by more than 1 %."""
    sizes = listing.pixel_size_um
    if sizes and max(sizes.values()) > 1.01 * min(sizes.values()):
        wells = [min(sizes, key=sizes.get), max(sizes, key=sizes.get)]
        what = " and ".join(f"{sizes[well]:.4g} um ({well})" for well in wells)
        yield Problem("pixel_sizes_differ", "", path, f"pixels are of {what}")


def _find_gaps(stack: Channel) -> list[int]:
    # What is left out of an even series of whole numbers.
    texts = [image.z for image in stack.images if image.z is not None]
    if not texts or not all(text.isdecimal() for text in texts):
        return []
    numbers = sorted({int(text) for text in texts})
    if stack.z_counts:
        return sorted(set(range(numbers[-1])) - set(numbers))
    steps = [b - a for a, b in zip(numbers, numbers[1:], strict=False)]
    step = min(steps, default=1)
    gaps = set(range(numbers[0], numbers[-1], step)) - set(numbers)
    # Positions in micrometres are no series: most of it would be gaps.
    uneven = any(length % step for length in steps)
    return [] if uneven or len(gaps) >= len(numbers) else sorted(gaps)
