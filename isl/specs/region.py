"""A rectangular part of an image."""

import dataclasses
import re
from typing import Any

from isl.errors import InputError
from isl.specs.checks import Item


@dataclasses.dataclass(frozen=True)
class Region:
    """A rectangle of an image, half open, in pixels.

    Attributes:
        rows: First row and the row after the last, or None for all rows.
        columns: Likewise for columns.
    """

    rows: tuple[int, int] | None = None
    columns: tuple[int, int] | None = None

    @classmethod
    def parse(cls, text: str) -> "Region":
        """Reads a region from the text of a flag.

        Args:
            text: `rows:columns`, each `first-end` (half open) or empty for
                all, for example `0-1024:704-1024` or `:704-1024`.

        Raises:
            InputError: If the text has another form or a range is empty.
        """
        span = r"(?:(\d+)-(\d+))?"
        match = re.fullmatch(f"{span}:{span}", text)
        ranges = []
        if match:
            numbers = [int(n) if n else None for n in match.groups()]
            for first, end in (numbers[:2], numbers[2:]):
                ranges.append(None if first is None else (first, end))
        if not match or any(r and r[0] >= r[1] for r in ranges):
            raise InputError(
                "region must be rows:columns, each empty or first-end with "
                f"first < end, such as :704-1024. Received: {text!r}."
            )
        return cls(*ranges)

    @classmethod
    def from_item(cls, item: Item) -> "Region":
        """Reads a region from JSON, of which it may be a part.

        Args:
            item: An object; of its keys only `rows` and `columns` are read.

        Raises:
            InputError: If one of them is no range.
        """
        return cls(
            rows=item.get("rows").optional(Item.span),
            columns=item.get("columns").optional(Item.span),
        )

    def resolve(self, shape: tuple[int, int]) -> tuple[slice, slice]:
        """Returns the region as slices of an image.

        Args:
            shape: Rows and columns of the image.

        Raises:
            InputError: If the region reaches outside the image.
        """
        spans = zip(
            ("rows", "columns"), (self.rows, self.columns), shape, strict=True
        )
        slices = []
        for name, span, size in spans:
            first, end = span or (0, size)
            if not 0 <= first < end <= size:
                raise InputError(
                    f"region {name} must lie inside the image (0-{size}). "
                    f"Received: {first}-{end}."
                )
            slices.append(slice(first, end))
        return slices[0], slices[1]

    def to_dict(self) -> dict[str, Any]:
        """Returns the region as it stands in JSON."""
        return {
            key: list(span)
            for key in ("rows", "columns")
            if (span := getattr(self, key)) is not None
        }
