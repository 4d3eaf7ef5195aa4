"""JSON values with one place changed."""

import copy
from collections.abc import Sequence
from typing import Any


def edited(value: Any, place: Sequence[str | int], new: Any) -> Any:
    """A copy of a JSON value in which `new` stands at a place.

    Args:
        value: The value; stays as it is.
        place: Keys and indices from the outside in.
        new: What to put there.
    """
    result = copy.deepcopy(value)
    target = result
    for key in place[:-1]:
        target = target[key]
    target[place[-1]] = new
    return result
