"""Imports checkpoints of the original program (TensorFlow 1, format V2).

The original's variables are named by its scopes (original: isl/models,
isl/controller.py; BUILD_NOTES section N); each belongs to one weight of a
layer of `isl.network.model`. Nothing is guessed: width, planes, heads and bins
are read from the variables, and each model variable must find its place.
"""

import dataclasses
import os
import pathlib
from collections.abc import Iterator, Mapping

import keras
import numpy as np

from isl.errors import InputError
from isl.network import architecture as architecture_lib
from isl.network.architecture import (
    CONCORDANCE,
    DOWNSCALE,
    IN_SCALE,
    UPSCALE,
    Architecture,
    Block,
)
from isl.network.model import autoencoding_head_name

_NORM_WEIGHTS = ("gamma", "beta", "moving_mean", "moving_variance")
_STEM_SCOPE = "Conv"
_HEAD_SUFFIX = "residual_v2_conv"
_TRANSMISSION = "TRANSMISSION"
_MAX_PROJECTION = "MAXPROJECT"
# What a training run of the original leaves beside the model variables.
_OPTIMIZER_SUFFIXES = ("Adam", "Adam_1", "Adagrad", "Momentum")
_BOOKKEEPING = ("beta1_power", "beta2_power", "global_step")


@dataclasses.dataclass(frozen=True)
class Description:
    """What the variables of a checkpoint say of their network.

    Attributes:
        architecture: The released network at the width found.
        num_z: Input planes.
        labels: Label heads, sorted.
        z_values: Relative positions of the auto-encoded planes as the
            variables write them, ascending; empty without those heads.
    """

    architecture: Architecture
    num_z: int
    labels: tuple[str, ...]
    z_values: tuple[str, ...]


def read_variables(checkpoint: str | os.PathLike) -> dict[str, np.ndarray]:
    """Reads all variables of a checkpoint.

    Args:
        checkpoint: The prefix of the files (`.../model.ckpt-984658`), one of
            the files, or the folder; in a folder its newest checkpoint.

    Raises:
        InputError: If there is no readable checkpoint.
    """
    import tensorflow as tf  # Takes seconds; only this function needs it.

    prefix = _prefix(checkpoint)
    try:
        reader = tf.train.load_checkpoint(str(prefix))
        return {
            name: reader.get_tensor(name)
            for name in sorted(reader.get_variable_to_shape_map())
        }
    except (tf.errors.OpError, RuntimeError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise InputError(
            f"{checkpoint}: must be a complete TensorFlow 1 checkpoint "
            f"(format V2). {reason}"
        ) from error


def _prefix(checkpoint: str | os.PathLike) -> pathlib.Path:
    path = pathlib.Path(checkpoint)
    if path.is_dir():
        indices = sorted(path.glob("*.index"), key=_step)
        if not indices:
            raise InputError(
                f"{path}: must hold a checkpoint (a file *.index). "
                f"Received: a folder without one"
            )
        return indices[-1].with_suffix("")
    if path.suffix == ".index" or ".data-" in path.suffix:
        return path.with_suffix("")
    if not path.with_name(path.name + ".index").is_file():
        raise InputError(
            f"{path}: must be a checkpoint's prefix or folder. "
            f"Received: no file {path.name}.index"
        )
    return path


def _step(index: pathlib.Path) -> tuple[int, str]:
    digits = index.stem.rpartition("-")[2]
    return (int(digits) if digits.isdecimal() else -1, index.name)


def is_model_variable(name: str) -> bool:
    """Whether a variable belongs to the network, not to its training."""
    last = name.rpartition("/")[2]
    return name not in _BOOKKEEPING and last not in _OPTIMIZER_SUFFIXES


def _iter_scoped_blocks(
    architecture: Architecture, num_planes: int
) -> Iterator[tuple[str, Block]]:
    """Yields the original's scope of each block, with the block."""
    towers = architecture_lib.plan_towers(architecture, num_planes)
    for scale, tower in enumerate(towers):
        counts = {DOWNSCALE: 0, IN_SCALE: 0, UPSCALE: 0}
        strided_scope = None
        for block in tower:
            if block.kind != IN_SCALE:
                strided_scope = f"{block.kind}_{scale}_{counts[block.kind]}"
                scope = strided_scope
                counts[block.kind] += 1
            elif strided_scope is not None:
                scope, strided_scope = f"{strided_scope}_in_scale", None
            else:
                scope = f"lower_scale_{scale}_recursion_{counts[IN_SCALE]}"
                counts[IN_SCALE] += 1
            yield scope, block
    trunk = architecture_lib.plan_trunk(architecture, num_planes)
    for index, block in enumerate(trunk):
        yield f"upper_recursion_{index}", block


def _norm(scope: str, layer: str) -> dict[str, tuple[str, str]]:
    return {
        f"{scope}/BatchNorm/{weight}": (layer, weight)
        for weight in _NORM_WEIGHTS
    }


def _head_scopes(description: Description) -> dict[str, str]:
    scopes = {
        f"head/{z}/{_TRANSMISSION}": autoencoding_head_name(index)
        for index, z in enumerate(description.z_values)
    }
    scopes.update(
        {f"head/{_MAX_PROJECTION}/{name}": name for name in description.labels}
    )
    return scopes


def variable_places(description: Description) -> dict[str, tuple[str, str]]:
    """Where each variable of the original belongs.

    Args:
        description: The network.

    Returns:
        From variable name to (layer name, weight name), for every weight of
        the network.
    """
    places = {
        f"{_STEM_SCOPE}/weights": ("stem", "kernel"),
        f"{_STEM_SCOPE}/biases": ("stem", "bias"),
    }
    for scope, block in _iter_scoped_blocks(
        description.architecture, 2 * description.num_z
    ):
        convolution = "Conv2d_transpose" if block.kind == UPSCALE else "Conv"
        for part, conv in (("expand", convolution), ("reduce", "Conv")):
            layer = f"{block.name}_{part}"
            places.update(_norm(f"{scope}/{part}_rv2", f"{layer}_norm"))
            places[f"{scope}/{part}_rv2/{conv}/weights"] = (layer, "kernel")
    for scope, name in _head_scopes(description).items():
        scope = f"{scope}/{_HEAD_SUFFIX}"
        places.update(_norm(scope, f"{name}_head_norm"))
        places[f"{scope}/Conv/weights"] = (name, "kernel")
        places[f"{scope}/Conv/biases"] = (name, "bias")
    return places


def describe(shapes: Mapping[str, tuple[int, ...]]) -> Description:
    """Finds out which network the variables belong to.

    Args:
        shapes: Shape of each model variable.

    Raises:
        InputError: If they are not those of the released network at any
            width.
    """
    stem = shapes.get(f"{_STEM_SCOPE}/weights")
    if stem is None or len(stem) != 4 or stem[2] % 2:
        raise InputError(
            f"checkpoint variable {_STEM_SCOPE}/weights: must be the 1x1 "
            f"projection of intensity and presence planes. Received: {stem}"
        )
    heads = {tuple(n.split("/")[1:3]) for n in shapes if n.startswith("head/")}
    labels = sorted(name for z, name in heads if z == _MAX_PROJECTION)
    z_values = sorted(
        (z for z, name in heads if name == _TRANSMISSION), key=float
    )
    if not heads:
        raise InputError(
            "checkpoint variables head/...: there must be at least one head. "
            "Received: none"
        )
    bins = {s[-1] for n, s in shapes.items() if _is_head_bias(n)}
    if len(bins) != 1:
        raise InputError(
            f"checkpoint variables head/.../biases: heads must agree on the "
            f"number of intensity bins. Received: {sorted(bins)}"
        )
    num_z = stem[2] // 2
    width = _find_width(shapes, stem[3], 2 * num_z)
    architecture = dataclasses.replace(
        architecture_lib.with_width(CONCORDANCE, width),
        stem_filters=stem[3],
        num_bins=bins.pop(),
    )
    return Description(architecture, num_z, tuple(labels), tuple(z_values))


def _is_head_bias(name: str) -> bool:
    return name.startswith("head/") and name.endswith("/Conv/biases")


def _find_width(
    shapes: Mapping[str, tuple[int, ...]], stem_filters: int, num_planes: int
) -> int:
    """Returns the largest width whose blocks have the filters found.

    Neighbouring widths can give the same filters (399 and 400); the largest
    is the one people choose.
    """
    scope = "lower_scale_4_recursion_1/reduce_rv2/Conv/weights"
    if scope not in shapes:
        raise InputError(
            f"checkpoint variable {scope}: must exist. Received: none"
        )
    # A block that ends with 6 rows has about width / 6 filters.
    limit = 6 * (shapes[scope][-1] + 2)
    for width in range(limit, 4, -1):
        candidate = dataclasses.replace(
            architecture_lib.with_width(CONCORDANCE, width),
            stem_filters=stem_filters,
        )
        if _has_filters(shapes, candidate, num_planes):
            return width
    raise InputError(
        "checkpoint: variables must be those of the released network at "
        "some width. Received: filters that no width gives"
    )


def _has_filters(shapes, candidate: Architecture, num_planes: int) -> bool:
    for scope, block in _iter_scoped_blocks(candidate, num_planes):
        reduction = shapes.get(f"{scope}/reduce_rv2/Conv/weights")
        if reduction is not None and (
            reduction[-1] != block.reduction_filters
        ):
            return False
        expansion = shapes.get(f"{scope}/expand_rv2/Conv/weights")
        if expansion is not None and (
            expansion[-1] != block.expansion_filters
        ):
            return False
    return True


def assign(
    model: keras.Model,
    variables: Mapping[str, np.ndarray],
    places: Mapping[str, tuple[str, str]],
) -> None:
    """Copies the variables of a checkpoint into a network.

    Args:
        model: From `isl.network.model.build_model`.
        variables: The model variables, by the original's names.
        places: From `variable_places`.

    Raises:
        InputError: If a variable has no place, is missing, or has another
            shape than its weight.
    """
    unknown = sorted(set(variables) - set(places))
    missing = sorted(set(places) - set(variables))
    for problem, names in (("unknown", unknown), ("missing", missing)):
        if names:
            raise InputError(
                f"checkpoint variable {names[0]}: {problem} "
                f"({len(names)} such variables)."
            )
    weights = {
        (layer.name, weight.name): weight
        for layer in model.layers
        for weight in layer.weights
    }
    for name, place in places.items():
        weight, value = weights.pop(place), variables[name]
        if tuple(weight.shape) != value.shape:
            raise InputError(
                f"checkpoint variable {name}: must have shape "
                f"{tuple(weight.shape)}. Received: {value.shape}"
            )
        weight.assign(value)
    if weights:
        raise ValueError(
            f"Every weight needs a place. Received: {sorted(weights)[0]}"
        )
