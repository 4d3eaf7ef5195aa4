"""Parameters of the steps in `steps`: fields that read themselves."""

import dataclasses
import math
from collections.abc import Callable
from typing import Any

from isl.specs.checks import Item

IMAGES = ("all", "transmitted", "labels")


def option(default: Any, read: Callable[[Item], Any]) -> Any:
    """Returns a field of a dataclass that reads itself from JSON.

    Args:
        default: Of the field.
        read: Returns the value of an item or raises `InputError`; kept in
            the metadata of the field.
    """
    return dataclasses.field(default=default, metadata={"read": read})


def read_images(item: Item) -> str:
    """Reads one of `IMAGES`."""
    return item.one_of(IMAGES)


def read_number(item: Item) -> float:
    """Reads a finite number."""
    if type(item.value) not in (int, float) or not math.isfinite(item.value):
        item.fail("must be a finite number")
    return float(item.value)


def read_share(item: Item) -> float:
    """Reads a number of at least 0 and below 1."""
    number = read_number(item)
    if not 0 <= number < 1:
        item.fail("must be a share, at least 0 and below 1")
    return number


def read_files(item: Item) -> dict[str, str]:
    """Reads names to relative paths."""
    return {key.text(): place.relative_path() for key, place in item.pairs()}


def read_index(item: Item) -> int:
    """Reads an integer of at least 0."""
    if type(item.value) is not int or item.value < 0:
        item.fail("must be an integer of at least 0, or null")
    return item.value


def read_integer_pair(item: Item) -> tuple[int, int]:
    """Reads a list of two integers of at least 1."""
    if not isinstance(item.value, list) or len(item.value) != 2:
        item.fail("must be a list of two integers")
    rows, columns = (place.positive_integer() for place in item.items())
    return rows, columns
