"""Reading JSON with errors that name the file, the key and the value."""

import dataclasses
import difflib
import math
import pathlib
import re
import reprlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NoReturn, TypeVar

from isl.errors import InputError

LABEL = r"[A-Z][A-Z0-9_]*"

SHORT = reprlib.Repr()
SHORT.maxstring = SHORT.maxother = 120

T = TypeVar("T")


@dataclasses.dataclass(frozen=True)
class Item:
    """A value inside a JSON file, and where it stands.

    Every reading method raises `InputError` if the value breaks its rule.

    Attributes:
        value: The parsed JSON value; None where the key is absent.
        source: What error messages call the file.
        key: Dotted place in the file, such as `wells[3].planes`; empty for
            the whole file.
    """

    value: Any
    source: str
    key: str = ""

    def fail(self, rule: str) -> NoReturn:
        """Raises the error for this value; `rule` starts with "must"."""
        raise InputError(
            f"{self.source}: {self.key or 'the file'} {rule}. "
            f"Received: {SHORT.repr(self.value)}."
        )

    def get(self, name: str) -> "Item":
        """Returns the item of a key of an object."""
        key = f"{self.key}.{name}" if self.key else name
        return Item(self.value.get(name), self.source, key)

    def at(self, index: int) -> "Item":
        """Returns an item of a list."""
        return Item(self.value[index], self.source, f"{self.key}[{index}]")

    def check_keys(
        self, required: Sequence[str], allowed: Sequence[str]
    ) -> None:
        """Checks that this is an object with these keys and no others."""
        if not isinstance(self.value, dict):
            self.fail("must be an object")
        for name in self.value:
            if name not in allowed:
                close = difflib.get_close_matches(name, allowed, n=1)
                hint = f" Did you mean {close[0]!r}?" if close else ""
                place = self.get(name)
                raise InputError(
                    f"{self.source}: {place.key} must be one of the known "
                    f"keys ({', '.join(allowed)}).{hint} Received: {name!r}."
                )
        for name in required:
            if name not in self.value:
                self.get(name).fail("must be given")

    def optional(self, read: Callable[["Item"], T]) -> T | None:
        """Reads a value that may be null or absent."""
        return None if self.value is None else read(self)

    def items(self) -> list["Item"]:
        """Reads a list; null or absent is an empty one."""
        if self.value is None:
            return []
        if not isinstance(self.value, list):
            self.fail("must be a list")
        return [self.at(index) for index in range(len(self.value))]

    def pairs(self) -> Iterator[tuple["Item", "Item"]]:
        """Yields keys and values of an object; null is an empty one."""
        if self.value is None:
            return
        if not isinstance(self.value, dict):
            self.fail("must be an object")
        for name in self.value:
            place = self.get(name)
            yield Item(name, self.source, f"key {place.key}"), place

    def lists_by_key(self) -> Iterator[tuple["Item", list["Item"]]]:
        """Yields keys and lists; a single text stands for a list of one."""
        for key, place in self.pairs():
            single = isinstance(place.value, str)
            places = [place] if single else place.items()
            if not places:
                place.fail("must be a text or a list of texts")
            yield key, places

    def text(self) -> str:
        """Reads a text that is not empty."""
        if not isinstance(self.value, str) or not self.value.strip():
            self.fail("must be a text that is not empty")
        return self.value

    def one_of(self, choices: Sequence[str]) -> str:
        """Reads one of several texts."""
        if self.value not in choices:
            self.fail(f"must be one of {', '.join(choices) or '(none)'}")
        return self.value

    def names(self) -> tuple[str, ...]:
        """Reads a list of upper-case names, at least one, all different."""
        names = []
        for place in self.items():
            name = place.text()
            if not re.fullmatch(LABEL, name):
                place.fail("must be an upper-case name such as DAPI_CONFOCAL")
            if name in names:
                place.fail("must not be listed twice")
            names.append(name)
        if not names:
            self.fail("must be a list of at least one name")
        return tuple(names)

    def relative_path(self) -> str:
        """Reads a relative path; the empty text is the folder itself."""
        if not isinstance(self.value, str):
            self.fail("must be a path, as text")
        if pathlib.PurePath(self.value).is_absolute():
            self.fail("must be a relative path")
        return self.value

    def relative_paths(self) -> tuple[str, ...]:
        """Reads a list of relative paths, at least one."""
        paths = tuple(place.relative_path() for place in self.items())
        if not paths:
            self.fail("must list at least one file")
        return paths

    def positive_integer(self) -> int:
        """Reads an integer of at least 1."""
        if type(self.value) is not int or self.value < 1:
            self.fail("must be an integer of at least 1, or null")
        return self.value

    def positive_number(self) -> float:
        """Reads a finite number above 0."""
        number = self.value
        if type(number) not in (int, float) or not 0 < number < math.inf:
            self.fail("must be a number above 0, or null")
        return float(number)

    def truth(self) -> bool:
        """Reads true or false."""
        if type(self.value) is not bool:
            self.fail("must be true or false")
        return self.value

    def span(self) -> tuple[int, int]:
        """Reads a half-open range of pixels, `[first, end]`."""
        value = self.value
        good = (
            isinstance(value, list)
            and len(value) == 2
            and all(type(number) is int for number in value)
        )
        if not good or not 0 <= value[0] < value[1]:
            self.fail("must be [first, end] with 0 <= first < end")
        return value[0], value[1]
