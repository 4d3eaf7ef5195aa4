"""A trained model is a folder that can rebuild itself.

It holds `architecture.json` (the table), `model.json` (planes, labels, where
the weights come from) and `model.weights.h5`. Nothing is pickled.
"""

import dataclasses
import os
import pathlib
from collections.abc import Mapping
from typing import Any

import h5py
import keras

from isl.errors import InputError
from isl.files import atomic_path, read_json, write_json
from isl.network.architecture import Architecture
from isl.network.model import ORIGINAL_BATCH_NORM_MOMENTUM, build_model

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
        provenance: Where the weights come from: training data, settings,
            steps, git commit, versions; free-form, JSON-serialisable.
    """

    architecture: Architecture
    num_z: int
    labels: tuple[str, ...]
    include_autoencoding: bool = False
    momentum: float = ORIGINAL_BATCH_NORM_MOMENTUM
    provenance: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def build(self) -> keras.Model:
        """Builds the network with new weights."""
        return build_model(
            self.architecture,
            self.num_z,
            self.labels,
            self.include_autoencoding,
            self.momentum,
        )


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
    """
    values = dataclasses.asdict(description)
    values.pop("architecture")
    with atomic_path(folder) as temporary:
        temporary.mkdir()
        write_json(
            temporary / ARCHITECTURE_FILE, description.architecture.to_dict()
        )
        write_json(temporary / DESCRIPTION_FILE, values)
        model.save_weights(temporary / WEIGHTS_FILE)


def load_description(folder: str | os.PathLike) -> ModelDescription:
    """Reads what a model folder says of its model, without its weights.

    Raises:
        InputError: If a file is missing or cannot be understood.
    """
    folder = pathlib.Path(folder)
    if not folder.is_dir():
        raise InputError(
            f"{folder}: must be a model folder. Received: no such folder"
        )
    values = _read_dict(folder / DESCRIPTION_FILE)
    table = _read_dict(folder / ARCHITECTURE_FILE)
    try:
        architecture = Architecture.from_dict(table)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"{folder / ARCHITECTURE_FILE}: must be the table of a network. "
            f"Received: {error}"
        ) from error
    try:
        labels = tuple(values.pop("labels"))
        return ModelDescription(architecture, labels=labels, **values)
    except (KeyError, TypeError) as error:
        raise InputError(
            f"{folder / DESCRIPTION_FILE}: must describe a model. "
            f"Received: {error}"
        ) from error


def _read_dict(path: pathlib.Path) -> dict[str, Any]:
    values = read_json(path)
    if not isinstance(values, dict):
        raise InputError(
            f"{path}: must be a JSON object. Received: {type(values).__name__}"
        )
    return values


def load_model(
    folder: str | os.PathLike,
) -> tuple[keras.Model, ModelDescription]:
    """Rebuilds a model from its folder.

    Returns:
        The network (see `build_model`) and its description.

    Raises:
        InputError: If a file is missing, cannot be understood, or the
            weights do not fit the table.
    """
    description = load_description(folder)
    weights = pathlib.Path(folder) / WEIGHTS_FILE
    if not weights.is_file() or not h5py.is_hdf5(weights):
        raise InputError(
            f"{weights}: must be an HDF5 file of weights. Received: "
            f"{'another kind of file' if weights.exists() else 'no file'}"
        )
    model = description.build()
    try:
        model.load_weights(weights)
    except (KeyError, OSError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise InputError(
            f"{weights}: must fit {ARCHITECTURE_FILE}. Received: {reason}"
        ) from error
    return model, description
