r"""Where raw images of a microscope come from, before they are wells.

A part of a data spec (`isl.specs.dataset_spec`):

    "source": {
      "path": "plate_7",
      "pattern": "(?P<well>..)_s(?P<tile>\\d)_z(?P<z>\\d)_(?P<channel>w.).tif",
      "channels": {"w1": "BRIGHTFIELD", "w2": "DAPI_WIDEFIELD"},
      "splits": {"train": {"wells": ["A01", "A02"]}, "test": {"wells": ["A03"]}}
    }
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

from isl.specs import checks
from isl.specs.region import Region


@dataclasses.dataclass(frozen=True)
class SplitRule:
    """Which wells, and which part of each, belong to a split.

    Attributes:
        wells: Names of wells; None for all.
        region: The part of each.
    """

    wells: tuple[str, ...] | None
    region: Region

    def to_dict(self) -> dict[str, Any]:
        """Returns the rule as it stands in JSON."""
        wells = {} if self.wells is None else {"wells": list(self.wells)}
        return wells | self.region.to_dict()


@dataclasses.dataclass(frozen=True)
class Source:
    """Raw images, by the names of their files.

    Attributes:
        path: Folder, relative to `image_root`.
        pattern: Regular expression for the names of the files below it, or
            of stacks in them (`plate.zarr/A1/0/DAPI`, `a.czi/A1/DAPI`), with
            groups named `channel` and, where there are several of them,
            `well`, `tile` (or `row` and `column` of a grid) and `z`.
        channels: What the names call a channel, to a modality (transmitted
            light) or a label. Channels that are not listed are left out.
        splits: Split to its wells; a well may be in several.
        pages_are_z: Whether the pages of a TIFF are focal positions.
    """

    path: str
    pattern: str
    channels: Mapping[str, str]
    splits: Mapping[str, SplitRule]
    pages_are_z: bool = False

    def to_dict(self) -> dict[str, Any]:
        """Returns the source as it stands in JSON."""
        return {
            "path": self.path,
            "pattern": self.pattern,
            "channels": dict(self.channels),
            "splits": {
                name: rule.to_dict() for name, rule in self.splits.items()
            },
            "pages_are_z": self.pages_are_z,
        }


def parse_source(
    item: checks.Item, modality: str | None, labels: tuple[str, ...]
) -> Source:
    """Reads a source.

    Args:
        item: The value of `source` in a spec.
        modality: Of the spec.
        labels: Of the spec.

    Raises:
        InputError: If a key is unknown, missing or has a wrong value.
    """
    item.check_keys(
        required=("path", "pattern", "channels"),
        allowed=[field.name for field in dataclasses.fields(Source)],
    )
    if modality is None:
        item.fail("must come with the modality of the spec")
    channels = {
        key.text(): value.one_of((modality, *labels))
        for key, value in item.get("channels").pairs()
    }
    for wanted in (modality, *labels):
        if list(channels.values()).count(wanted) != 1:
            item.get("channels").fail(f"must name one channel as {wanted}")
    return Source(
        path=item.get("path").relative_path(),
        pattern=item.get("pattern").text(),
        channels=channels,
        splits=_parse_splits(item.get("splits")),
        pages_are_z=item.get("pages_are_z").optional(checks.Item.truth)
        or False,
    )


def _parse_splits(item: checks.Item) -> dict[str, SplitRule]:
    if item.value is None:
        return {"all": SplitRule(None, Region())}
    rules = {}
    for key, value in item.pairs():
        value.check_keys(required=(), allowed=("wells", "rows", "columns"))
        wells = None
        if value.get("wells").value is not None:
            wells = tuple(well.text() for well in value.get("wells").items())
            if not wells:
                value.get("wells").fail(
                    "must name at least one well; leave it out for all"
                )
        rules[key.text()] = SplitRule(wells, Region.from_item(value))
    if not rules:
        item.fail("must name at least one split")
    return rules
