r"""Turns a checkpoint of the original program into a model folder.

    python experiments/convert_checkpoint.py \
        --checkpoint=model.ckpt-984658 --output=original_model

Reads a TensorFlow 1 checkpoint (format V2: a file *.index beside *.data-*),
finds the network in its variables, and prints what went where. Optimizer
slots are skipped. A variable that is missing, unknown or of a wrong shape is
an error, and nothing is written. About half a minute for the released width.
"""

import math
import os

from absl import flags

from isl import command_line
from isl.network import tf1_checkpoint

_CHECKPOINT = flags.DEFINE_string(
    "checkpoint",
    None,
    "The checkpoint: the prefix of its files, or their folder (newest one).",
    required=True,
)
_OUTPUT = flags.DEFINE_string(
    "output", None, "The model folder to write.", required=True
)
_LIST_VARIABLES = flags.DEFINE_boolean(
    "list_variables", False, "Also prints a line per variable."
)

_ROW = "{:<26}{:<26}{:>10}{:>12}"


def _print_parts(conversion: tf1_checkpoint.Conversion) -> None:
    """Prints a row per part of the network: where it went and its size."""
    parts = {}
    for place in conversion.places.values():
        parts.setdefault(place.part, []).append(place)
    print(_ROW.format("part of the original", "layers", "variables", "values"))
    for part, places in parts.items():
        layers = os.path.commonprefix([place.layer for place in places])
        num_values = sum(math.prod(place.shape) for place in places)
        print(_ROW.format(part, f"{layers}*", len(places), f"{num_values:,}"))
    places = conversion.places.values()
    num_values = sum(math.prod(place.shape) for place in places)
    print(_ROW.format("all", "", len(places), f"{num_values:,}"))
    trainable = sum(
        math.prod(place.shape)
        for place in places
        if not place.weight.startswith("moving_")
    )
    print(_ROW.format("of these trainable", "", "", f"{trainable:,}"))


def _print_skipped(conversion: tf1_checkpoint.Conversion) -> None:
    names = conversion.names
    for text, skipped in (
        ("optimizer slots", names.optimizer_slots),
        ("bookkeeping", names.bookkeeping),
    ):
        print(_ROW.format(text, "skipped", len(skipped), ""))


def _print_variables(conversion: tf1_checkpoint.Conversion) -> None:
    for name, place in conversion.places.items():
        shape = "x".join(str(length) for length in place.shape)
        print(f"{name} -> {place.layer}/{place.weight} {shape}")
    names = conversion.names
    for name in names.optimizer_slots + names.bookkeeping:
        print(f"{name} -> skipped")


def _print_network(conversion: tf1_checkpoint.Conversion) -> None:
    description = conversion.description
    step = conversion.global_step
    print(
        f"checkpoint: {conversion.checkpoint.name}, "
        f"step {'unknown' if step is None else step}"
    )
    print(
        f"network: width {description.architecture.base_filters}, "
        f"{description.num_z} planes, "
        f"{description.architecture.num_bins} intensity bins"
    )
    print(f"labels: {', '.join(description.labels) or 'none'}")


def main() -> None:
    conversion = tf1_checkpoint.convert(_CHECKPOINT.value, _OUTPUT.value)
    _print_network(conversion)
    if _LIST_VARIABLES.value:
        _print_variables(conversion)
    _print_parts(conversion)
    _print_skipped(conversion)
    print(f"wrote {_OUTPUT.value}")


if __name__ == "__main__":
    command_line.run(main)
