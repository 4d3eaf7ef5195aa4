"""A trained model is a folder that can rebuild itself.

It holds `architecture.json` (the table), `model.json` (planes, labels, where
the weights come from) and `model.weights.h5`, an HDF5 file with a dataset
`layer/weight` for each weight. (Keras' own weight files go by the order of
layers of a kind and load into another network without a word.) Nothing is
pickled. Where a folder is read, the name of a model that comes with the
package may stand instead (`isl.network.shipped`).
"""

import dataclasses
import os
import pathlib
from collections.abc import Mapping
from typing import Any

import h5py
import keras
import numpy as np

from isl.errors import InputError
from isl.files import atomic_path, read_json_object, write_json
from isl.images.z_selection import Z_ALIGNMENTS
from isl.network.model import ORIGINAL_BATCH_NORM_MOMENTUM, build_model
from isl.network.networks import Network, network_from_dict
from isl.network.precision import FLOAT32, precision_scope
from isl.network.shipped import find_model, shipped_models

ARCHITECTURE_FILE = "architecture.json"
DESCRIPTION_FILE = "model.json"
WEIGHTS_FILE = "model.weights.h5"


@dataclasses.dataclass(frozen=True)
class ModelDescription:
    """What, beside the weights, is needed to rebuild and trust a model.

    Attributes:
        architecture: The table of the network.
        num_z: Input planes.
        labels: Label heads, in the order of the outputs.
        include_autoencoding: Whether there is a head for each input plane.
        momentum: Of the batch normalisation's moving statistics.
        z_alignment: How a stack with another number of planes feeds the
            network (`isl.images.z_selection.align_planes`).
        temperatures: Label to what its logits are divided by before they
            become probabilities; labels that are not in it keep theirs.
        normalization: Label to what inverts its normalisation, where it is
            known (`isl.preprocessing.scaling.label_records`).
        provenance: Where the weights come from: training data, settings,
            steps, git commit, versions; free-form, JSON-serialisable.
    """

    architecture: Network
    num_z: int
    labels: tuple[str, ...]
    include_autoencoding: bool = False
    momentum: float = ORIGINAL_BATCH_NORM_MOMENTUM
    z_alignment: str = "spread"
    temperatures: Mapping[str, float] = dataclasses.field(default_factory=dict)
    normalization: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    provenance: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def build(
        self, initializer: str | None = None, precision: str = FLOAT32
    ) -> keras.Model:
        """Builds the network with new weights; see `build_model`.

        Args:
            initializer: See there.
            precision: One of `isl.network.precision.PRECISIONS`.
        """
        with precision_scope(precision):
            return build_model(
                self.architecture,
                self.num_z,
                self.labels,
                self.include_autoencoding,
                self.momentum,
                initializer,
            )


def check_replaceable(folder: str | os.PathLike) -> None:
    """Raises InputError if something other than a model folder is there."""
    path = pathlib.Path(folder)
    if path.exists() and not (path / DESCRIPTION_FILE).is_file():
        raise InputError(
            f"{path}: must be a new folder or a model folder to replace. "
            f"Received: another file or folder"
        )


def named_weights(model: keras.Model) -> dict[str, keras.Variable]:
    """Returns the weights of a network by name, `layer/weight`."""
    return {
        f"{layer.name}/{weight.name}": weight
        for layer in model.layers
        for weight in layer.weights
    }


def save_model(
    folder: str | os.PathLike,
    model: keras.Model,
    description: ModelDescription,
) -> None:
    """Writes a model folder, replacing an older one; all of it or nothing.

    Args:
        folder: Where to write.
        model: A network that `description.build()` could have built.
        description: What it is.

    Raises:
        InputError: If something else stands there.
    """
    check_replaceable(folder)
    values = dataclasses.asdict(description)
    values.pop("architecture")
    with atomic_path(folder) as temporary:
        temporary.mkdir()
        write_json(
            temporary / ARCHITECTURE_FILE, description.architecture.to_dict()
        )
        write_json(temporary / DESCRIPTION_FILE, values)
        with h5py.File(temporary / WEIGHTS_FILE, "w") as file:
            for name, weight in named_weights(model).items():
                file[name] = keras.ops.convert_to_numpy(weight)


def load_description(folder: str | os.PathLike) -> ModelDescription:
    """Reads what a model folder says of its model, without its weights.

    Raises:
        InputError: If a file is missing or cannot be understood.
    """
    folder = find_model(folder)
    if not folder.is_dir():
        names = ", ".join(shipped_models()) or "none"
        raise InputError(
            f"{folder}: must be a model folder, or a model that comes with "
            f"isl ({names}). Received: no such folder"
        )
    values = read_json_object(folder / DESCRIPTION_FILE)
    table = read_json_object(folder / ARCHITECTURE_FILE)
    try:
        architecture = network_from_dict(table)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"{folder / ARCHITECTURE_FILE}: must be the table of a network. "
            f"Received: {error}"
        ) from error
    try:
        _check_types(values)
        labels = tuple(values.pop("labels"))
        return ModelDescription(architecture, labels=labels, **values)
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"{folder / DESCRIPTION_FILE}: must describe a model. "
            f"Received: {error}"
        ) from error


def _check_types(values: Mapping[str, Any]) -> None:
    """Raises ValueError if a value of a description has a wrong type."""
    labels = values["labels"]
    momentum = values.get("momentum", 0.0)
    rules = {
        "num_z": type(values["num_z"]) is int and values["num_z"] > 0,
        "labels": isinstance(labels, list)
        and all(isinstance(label, str) for label in labels),
        "momentum": type(momentum) in (int, float) and 0 <= momentum < 1,
        "include_autoencoding": isinstance(
            values.get("include_autoencoding", False), bool
        ),
        "z_alignment": values.get("z_alignment", "spread") in Z_ALIGNMENTS,
        "temperatures": _are_positive(values.get("temperatures", {})),
        "normalization": isinstance(values.get("normalization", {}), dict),
        "provenance": isinstance(values.get("provenance", {}), dict),
    }
    for name, is_right in rules.items():
        if not is_right:
            raise ValueError(f"{name} {values[name]!r}")


def _are_positive(temperatures: Any) -> bool:
    return isinstance(temperatures, dict) and all(
        isinstance(value, float) and value > 0
        for value in temperatures.values()
    )


def read_weights(folder: str | os.PathLike) -> dict[str, np.ndarray]:
    """Reads the weights of a model folder by name, `layer/weight`.

    Raises:
        InputError: If they are missing or cannot be read.
    """
    path = find_model(folder) / WEIGHTS_FILE
    if not path.is_file() or not h5py.is_hdf5(path):
        raise InputError(
            f"{path}: must be an HDF5 file of weights. Received: "
            f"{'another kind of file' if path.exists() else 'no file'}"
        )
    try:
        with h5py.File(path) as file:
            return {
                f"{layer}/{name}": file[layer][name][()]
                for layer in file
                for name in file[layer]
            }
    except (KeyError, OSError, TypeError) as error:
        raise _misfit(path, error) from error


def _misfit(path: pathlib.Path, error: Exception) -> InputError:
    reason = " ".join(str(error).split())
    return InputError(
        f"{path}: must fit {ARCHITECTURE_FILE} and {DESCRIPTION_FILE}. "
        f"Received: {reason}"
    )


def load_model(
    folder: str | os.PathLike, precision: str = FLOAT32
) -> tuple[keras.Model, ModelDescription]:
    """Rebuilds a model from its folder.

    Args:
        folder: The model folder, or the name of a model that comes with isl.
        precision: One of `isl.network.precision.PRECISIONS`, whatever the
            network was trained in.

    Returns:
        The network (see `build_model`) and its description.

    Raises:
        InputError: If a file is missing, cannot be understood, or the
            weights do not fit the table.
    """
    description = load_description(folder)
    values = read_weights(folder)
    # Random weights that are replaced at once would cost JAX a minute.
    model = description.build("zeros", precision)
    try:
        assign_weights(model, values)
    except InputError as error:
        raise _misfit(find_model(folder) / WEIGHTS_FILE, error) from error
    return model, description


def assign_weights(
    model: keras.Model, values: Mapping[str, np.ndarray]
) -> None:
    """Gives a network the weights of `read_weights`.

    Raises:
        InputError: If one is missing, unknown, of another shape or not
            finite.
    """
    expected = named_weights(model)
    for problem, names in (
        ("no", set(expected) - set(values)),
        ("an unknown", set(values) - set(expected)),
    ):
        if names:
            raise InputError(f"{problem} weight {sorted(names)[0]}")
    for name, weight in expected.items():
        if values[name].shape != tuple(weight.shape):
            raise InputError(
                f"weight {name} of shape {values[name].shape}, not "
                f"{tuple(weight.shape)}"
            )
        if not np.isfinite(values[name]).all():
            raise InputError(f"weight {name} with values that are not finite")
        weight.assign(values[name])
