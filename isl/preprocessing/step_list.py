"""Reads the `preprocessing` list of a data spec; see `steps`."""

import dataclasses
from collections.abc import Sequence
from typing import Any

from isl.preprocessing.steps import REGISTERED, STEPS, Step
from isl.specs.checks import Item


def parse_steps(value: Any, source: str = "spec") -> tuple[Step, ...]:
    """Reads the `preprocessing` list of a data spec.

    Args:
        value: The parsed JSON; None is an empty list.
        source: What error messages call the file.

    Returns:
        The steps, in the order in which they are carried out.

    Raises:
        InputError: If a step or a parameter is unknown, a value breaks its
            rule, or the order is impossible.
    """
    item = Item(value, source, "preprocessing")
    steps = tuple(_parse_step(place) for place in item.items())
    _check_order(steps, item)
    return steps


def _parse_step(item: Item) -> Step:
    by_name = {step.NAME: step for step in STEPS}
    if not isinstance(item.value, dict):
        item.fail('must be an object such as {"step": "downscale"}')
    kind = by_name[item.get("step").one_of(tuple(by_name))]
    fields = dataclasses.fields(kind)
    item.check_keys(
        required=("step",), allowed=("step", *(field.name for field in fields))
    )
    values = {}
    for field in fields:
        given = item.get(field.name).optional(field.metadata["read"])
        values[field.name] = field.default if given is None else given
    return kind(**values)


def _check_order(steps: Sequence[Step], item: Item) -> None:
    for index, step in enumerate(steps):
        place = item.at(index)
        stage = REGISTERED - 1 if step.STAGE is None else step.STAGE
        for earlier in steps[:index]:
            if step.ONCE and type(earlier) is type(step):
                place.fail(f"must name {step.NAME} only once")
            if earlier.STAGE is not None and earlier.STAGE > stage:
                place.fail(f"must come before {earlier.NAME}")
