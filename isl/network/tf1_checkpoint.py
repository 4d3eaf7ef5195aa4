"""Imports checkpoints of the original program (TensorFlow 1, format V2).

TensorFlow is needed to read the files, whatever the back end.
"""

import dataclasses
import os
import pathlib
import re
from collections.abc import Mapping

import keras
import numpy as np

from isl.errors import InputError
from isl.network.model_folder import (
    ModelDescription,
    check_replaceable,
    save_model,
)
from isl.network.tf1_description import describe
from isl.network.tf1_variables import (
    Place,
    VariableNames,
    check,
    sort_names,
    variable_places,
)
from isl.provenance import provenance

# The file in which a training run notes its newest checkpoint.
_STATE_FILE = "checkpoint"
_FILE_ENDING = re.compile(r"\.(index|meta|data-\d+-of-\d+)$")


@dataclasses.dataclass(frozen=True)
class Conversion:
    """What became of a checkpoint.

    Attributes:
        checkpoint: Prefix of its files.
        description: Of the model.
        places: Where each model variable went, by the original's name.
        names: All variables, with those that were skipped.
        global_step: Training steps; None if the checkpoint does not say.
    """

    checkpoint: pathlib.Path
    description: ModelDescription
    places: Mapping[str, Place]
    names: VariableNames
    global_step: int | None


def find_prefix(checkpoint: str | os.PathLike) -> pathlib.Path:
    """Returns the prefix of the files of a checkpoint.

    Args:
        checkpoint: The prefix (`.../model.ckpt-984658`), one of the files, or
            the folder. In a folder the newest checkpoint is taken: the one
            that its file `checkpoint` names, or that of the highest step.

    Raises:
        InputError: If there is none.
    """
    path = pathlib.Path(checkpoint)
    if path.is_dir():
        return _newest_in(path)
    path = path.with_name(_FILE_ENDING.sub("", path.name))
    if not path.with_name(f"{path.name}.index").is_file():
        raise InputError(
            f"{checkpoint}: must be the prefix or the folder of a TensorFlow "
            f"checkpoint (format V2). Received: no file {path.name}.index"
        )
    return path


def _newest_in(folder: pathlib.Path) -> pathlib.Path:
    indices = sorted(folder.glob("*.index"), key=_step)
    if not indices:
        raise InputError(
            f"{folder}: must hold a TensorFlow checkpoint (format V2). "
            f"Received: a folder without a file *.index"
        )
    newest = indices[-1]
    state = folder / _STATE_FILE
    if state.is_file():
        text = state.read_text(encoding="utf-8", errors="replace")
        named = re.search(r'^model_checkpoint_path: "(.+)"', text, re.M)
        # The folder may have moved since; only the name counts.
        name = re.split(r"[/\\]", named.group(1))[-1] if named else ""
        if folder / f"{name}.index" in indices:
            newest = folder / f"{name}.index"
    return newest.with_suffix("")


def _step(index: pathlib.Path) -> tuple[int, str]:
    digits = index.stem.rpartition("-")[2]
    return (int(digits) if digits.isdecimal() else -1, index.name)


def read_variables(checkpoint: str | os.PathLike) -> dict[str, np.ndarray]:
    """Reads all variables of a checkpoint, those of its optimizer too.

    Reading all of them notices damage anywhere in the files.

    Args:
        checkpoint: See `find_prefix`.

    Raises:
        InputError: If there is no checkpoint or it is not complete.
    """
    prefix = find_prefix(checkpoint)
    import tensorflow as tf  # Takes seconds; only this function needs it.

    try:
        reader = tf.train.load_checkpoint(str(prefix))
        return {
            name: np.asarray(reader.get_tensor(name))
            for name in sorted(reader.get_variable_to_shape_map())
        }
    except Exception as error:
        # Depending on the damage the reader raises OpError, IndexError, ...
        reason = " ".join(str(error).split()) or type(error).__name__
        raise InputError(
            f"{prefix}: must be a complete TensorFlow checkpoint "
            f"(format V2). Received: {reason}"
        ) from error


def assign(
    model: keras.Model,
    variables: Mapping[str, np.ndarray],
    places: Mapping[str, Place],
) -> None:
    """Copies the variables of a checkpoint into a network.

    Args:
        model: From `isl.network.model.build_model`.
        variables: By the original's names; those without a place are ignored.
        places: From `variable_places`, one for every weight of the network.

    Raises:
        ValueError: If places and weights differ.
    """
    weights = {
        (layer.name, weight.name): weight
        for layer in model.layers
        for weight in layer.weights
    }
    wanted = {(place.layer, place.weight) for place in places.values()}
    if wanted != set(weights):
        raise ValueError(
            f"Every weight needs a place. Received: "
            f"{sorted(wanted ^ set(weights))}"
        )
    for name, place in places.items():
        weights[place.layer, place.weight].assign(variables[name])


def import_checkpoint(
    checkpoint: str | os.PathLike,
) -> tuple[keras.Model, Conversion]:
    """Builds the network of a checkpoint, with its weights.

    Everything is checked before the network is built.

    Args:
        checkpoint: See `find_prefix`.

    Returns:
        The network (see `isl.network.model.build_model`), and what went
        where.

    Raises:
        InputError: If the checkpoint cannot be read, is not of a network of
            the original, or a variable has no place, is missing, or has a
            wrong shape or type.
    """
    prefix = find_prefix(checkpoint)
    variables = read_variables(prefix)
    names = sort_names(variables)
    try:
        shapes = {name: variables[name].shape for name in names.model}
        found = describe(shapes)
        places = variable_places(found)
        check(shapes, places)
        _check_types(variables, names.model)
    except InputError as error:
        raise InputError(f"{prefix}: {error}") from error
    global_step = _global_step(variables)
    description = ModelDescription(
        architecture=found.architecture,
        num_z=found.num_z,
        labels=found.label_names,
        include_autoencoding=found.has_all_autoencoding,
        provenance={
            "imported_from": "checkpoint of the original program",
            "checkpoint": prefix.name,
            "global_step": global_step,
            "z_values": list(found.autoencoding.values()),
            **provenance(),
        },
    )
    model = description.build(initializer="zeros")
    assign(model, variables, places)
    return model, Conversion(prefix, description, places, names, global_step)


def _check_types(variables: Mapping[str, np.ndarray], names) -> None:
    for name in names:
        if variables[name].dtype.kind != "f":
            raise InputError(
                f"variable {name}: must be of floating-point type. "
                f"Received: {variables[name].dtype}"
            )


def _global_step(variables: Mapping[str, np.ndarray]) -> int | None:
    step = variables.get("global_step")
    return None if step is None or step.size != 1 else int(step.item())


def convert(
    checkpoint: str | os.PathLike, output: str | os.PathLike
) -> Conversion:
    """Turns a checkpoint into a model folder; all of it or nothing.

    Args:
        checkpoint: See `find_prefix`.
        output: The model folder; an older one is replaced.

    Raises:
        InputError: See `import_checkpoint`; or if `output` exists and is
            something else than a model folder.
    """
    check_replaceable(output)
    model, conversion = import_checkpoint(checkpoint)
    save_model(output, model, conversion.description)
    return conversion
