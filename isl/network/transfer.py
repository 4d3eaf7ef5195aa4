"""Starts a network from the weights of another one.

What a trained network knows of cells is in its body; a new label needs a new
head, another number of planes a new stem (original: README.md, on transfer
learning). So weights are taken over layer by layer where name and shapes
agree; the rest stays as initialised.
"""

import dataclasses
import os
import re
from collections.abc import Mapping
from typing import Any

import keras

from isl.errors import InputError
from isl.network.model import autoencoding_head_name
from isl.network.model_folder import (
    ModelDescription,
    load_description,
    named_weights,
    read_weights,
)
from isl.network.networks import Network

_BODY_PART = re.compile(r"(tower\d+|trunk|down\d+|up\d+)_|stem$")
_HEAD_NORM = "_head_norm"


@dataclasses.dataclass(frozen=True)
class Transfer:
    """What came from another network and what did not.

    Attributes:
        restored: Layers whose weights were taken over.
        new: Layers of the network that the other one could not fill.
        unused: Layers of the other one that have no place here.
        provenance: Where the weights of the other one come from.
    """

    restored: tuple[str, ...]
    new: tuple[str, ...]
    unused: tuple[str, ...]
    provenance: Mapping[str, Any]

    @property
    def restored_body(self) -> tuple[str, ...]:
        """Restored layers that all heads share."""
        return tuple(name for name in self.restored if is_body(name))

    def lines(self) -> list[str]:
        """Says in three lines what went where, by parts of the network."""
        return [
            f"{title}: {', '.join(_summary(layers, others)) or 'nothing'}"
            for title, layers, others in (
                ("restored", self.restored, self.new),
                ("new", self.new, self.restored),
                ("not used", self.unused, ()),
            )
        ]


def is_body(layer: str) -> bool:
    """Whether a layer is not of a head but of what all heads share."""
    return _BODY_PART.match(layer) is not None


def part_of(layer: str) -> str:
    """Part of the network that a layer belongs to: a tower, a head, ..."""
    match = _BODY_PART.match(layer)
    if match is None:
        return layer.removesuffix(_HEAD_NORM)
    return match.group(1) or layer


def _summary(layers: tuple[str, ...], others: tuple[str, ...]) -> list[str]:
    """Names whole parts; layers one by one where others have the rest."""
    torn = {part_of(layer) for layer in others}
    names = (
        layer if part_of(layer) in torn else part_of(layer) for layer in layers
    )
    return list(dict.fromkeys(names))


def restore_from(
    folder: str | os.PathLike,
    model: keras.Model,
    description: ModelDescription,
) -> Transfer:
    """Takes over the weights of a model folder that fit.

    Args:
        folder: The model folder to start from.
        model: The network to fill.
        description: Of `model`.

    Returns:
        What was taken over.

    Raises:
        InputError: If the folder cannot be read or holds a network of
            another architecture (the number of bins may differ).
    """
    source = load_description(folder)
    if _without_bins(source.architecture) != _without_bins(
        description.architecture
    ):
        raise InputError(
            f"{folder}: init_from must hold a network of the architecture "
            f"that is trained (base_filters "
            f"{description.architecture.base_filters}). Received: another one "
            f"(base_filters {source.architecture.base_filters})"
        )
    values = _by_layer(read_weights(folder))
    if source.num_z != description.num_z:
        # Plane z of one stack is not plane z of the other.
        for z in range(source.num_z):
            values.pop(autoencoding_head_name(z), None)
            values.pop(autoencoding_head_name(z) + _HEAD_NORM, None)
    layers = _by_layer(named_weights(model))
    restored = [name for name in layers if _fits(layers[name], values, name)]
    for name in restored:
        for weight, variable in layers[name].items():
            variable.assign(values[name][weight])
    return Transfer(
        restored=tuple(restored),
        new=tuple(name for name in layers if name not in restored),
        unused=tuple(name for name in values if name not in restored),
        provenance=source.provenance,
    )


def _without_bins(architecture: Network) -> Network:
    return dataclasses.replace(architecture, num_bins=None)


def _by_layer(weights: dict) -> dict[str, dict]:
    """Groups `layer/weight` names: layer to weight name to value."""
    layers: dict[str, dict] = {}
    for name, value in weights.items():
        layer, weight = name.split("/")
        layers.setdefault(layer, {})[weight] = value
    return layers


def _fits(variables: dict, values: dict[str, dict], layer: str) -> bool:
    """Whether another network has this layer with the same shapes."""
    stored = values.get(layer, {})
    return {name: tuple(v.shape) for name, v in variables.items()} == {
        name: v.shape for name, v in stored.items()
    }
