"""Which variable of the original program belongs to which of our weights.

The original names its variables by scopes (original: isl/models,
isl/controller.py; BUILD_NOTES section N); each belongs to one weight of a
layer of `isl.network.model`. Nothing here builds a network or reads a file.
"""

import dataclasses
from collections.abc import Iterable, Iterator, Mapping

from isl.errors import InputError
from isl.network import architecture as architecture_lib
from isl.network.architecture import (
    DOWNSCALE,
    IN_SCALE,
    UPSCALE,
    Architecture,
    Block,
)
from isl.network.model import autoencoding_head_name

_NORM_WEIGHTS = ("gamma", "beta", "moving_mean", "moving_variance")
_KERNEL_SIZE = {IN_SCALE: 3, DOWNSCALE: 4, UPSCALE: 4}
STEM_SCOPE = "Conv"
_HEAD_SUFFIX = "residual_v2_conv"
TRANSMISSION = "TRANSMISSION"
MAX_PROJECTION = "MAXPROJECT"
# What a training run of the original leaves beside the model variables.
_OPTIMIZER_SUFFIXES = ("Adam", "Adam_1", "Adagrad", "Momentum")
_BOOKKEEPING = ("beta1_power", "beta2_power", "global_step")

Shape = tuple[int, ...]


@dataclasses.dataclass(frozen=True)
class Description:
    """What the variables of a checkpoint say of their network.

    Attributes:
        architecture: The released network at the width found.
        num_z: Input planes.
        labels: Label heads, sorted.
        autoencoding: Planes with an auto-encoding head, from plane number to
            the relative z as the variables write it.
    """

    architecture: Architecture
    num_z: int
    labels: tuple[str, ...]
    autoencoding: Mapping[int, str]

    @property
    def has_all_autoencoding(self) -> bool:
        """Whether every plane has an auto-encoding head."""
        return len(self.autoencoding) == self.num_z

    @property
    def label_names(self) -> tuple[str, ...]:
        """The heads that a model folder lists by name.

        Auto-encoding heads of some planes only are listed like labels.
        """
        if self.has_all_autoencoding:
            return self.labels
        return self.labels + tuple(
            autoencoding_head_name(index) for index in self.autoencoding
        )


@dataclasses.dataclass(frozen=True)
class Place:
    """Where a variable belongs.

    Attributes:
        part: Part of the network, for people: "stem", "tower 0", "trunk",
            "head DAPI_CONFOCAL", "auto-encoding heads".
        layer: Name of the layer.
        weight: Name of the layer's weight.
        shape: Shape of both.
    """

    part: str
    layer: str
    weight: str
    shape: Shape


@dataclasses.dataclass(frozen=True)
class VariableNames:
    """The names of a checkpoint's variables, sorted by what they are for.

    Attributes:
        model: Of the network.
        optimizer_slots: Of the optimizer, one or more per trained variable.
        bookkeeping: Counters of the training run.
    """

    model: tuple[str, ...]
    optimizer_slots: tuple[str, ...]
    bookkeeping: tuple[str, ...]


def sort_names(names: Iterable[str]) -> VariableNames:
    """Tells the variables of the network from those of its training.

    A slot is named after the variable it belongs to: `Conv/weights/Adam`.
    """
    names = sorted(names)
    known = set(names)

    def is_slot(name):
        parent, _, last = name.rpartition("/")
        return last in _OPTIMIZER_SUFFIXES or parent in known

    bookkeeping = [n for n in names if n.rpartition("/")[2] in _BOOKKEEPING]
    rest = [n for n in names if n not in bookkeeping]
    return VariableNames(
        model=tuple(n for n in rest if not is_slot(n)),
        optimizer_slots=tuple(n for n in rest if is_slot(n)),
        bookkeeping=tuple(bookkeeping),
    )


def iter_scoped_blocks(
    architecture: Architecture, num_planes: int
) -> Iterator[tuple[str, str, Block]]:
    """Yields part and scope in the original of each block, with the block."""
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
            yield f"tower {scale}", scope, block
    trunk = architecture_lib.plan_trunk(architecture, num_planes)
    for index, block in enumerate(trunk):
        yield "trunk", f"upper_recursion_{index}", block


def _norm(part: str, scope: str, layer: str, filters: int) -> dict[str, Place]:
    return {
        f"{scope}/BatchNorm/{weight}": Place(part, layer, weight, (filters,))
        for weight in _NORM_WEIGHTS
    }


def _block_places(part: str, scope: str, block: Block) -> dict[str, Place]:
    size = _KERNEL_SIZE[block.kind]
    wide = 2 * block.input_filters  # ReLU and tanh.
    if block.kind == UPSCALE:
        name = "Conv2d_transpose"
        kernel = (size, size, block.expansion_filters, wide)
        merged = block.expansion_filters
    else:
        name = "Conv"
        kernel = (size, size, wide, block.expansion_filters)
        merged = block.expansion_filters + block.input_filters  # Max-pool.
    expand, reduce = f"{block.name}_expand", f"{block.name}_reduce"
    reduction = (1, 1, 2 * merged, block.reduction_filters)
    return {
        **_norm(
            part, f"{scope}/expand_rv2", f"{expand}_norm", block.input_filters
        ),
        f"{scope}/expand_rv2/{name}/weights": Place(
            part, expand, "kernel", kernel
        ),
        **_norm(part, f"{scope}/reduce_rv2", f"{reduce}_norm", merged),
        f"{scope}/reduce_rv2/Conv/weights": Place(
            part, reduce, "kernel", reduction
        ),
    }


def _head_places(
    part: str, scope: str, name: str, filters: int, num_bins: int
) -> dict[str, Place]:
    scope = f"{scope}/{_HEAD_SUFFIX}"
    return {
        **_norm(part, scope, f"{name}_head_norm", filters),
        f"{scope}/Conv/weights": Place(
            part, name, "kernel", (1, 1, 2 * filters, num_bins)
        ),
        f"{scope}/Conv/biases": Place(part, name, "bias", (num_bins,)),
    }


def variable_places(description: Description) -> dict[str, Place]:
    """Where each variable of the original belongs.

    Args:
        description: The network.

    Returns:
        From the original's name to the place, for every weight.
    """
    architecture, num_planes = description.architecture, 2 * description.num_z
    filters = architecture.stem_filters
    places = {
        f"{STEM_SCOPE}/weights": Place(
            "stem", "stem", "kernel", (1, 1, num_planes, filters)
        ),
        f"{STEM_SCOPE}/biases": Place("stem", "stem", "bias", (filters,)),
    }
    for part, scope, block in iter_scoped_blocks(architecture, num_planes):
        places.update(_block_places(part, scope, block))
        filters = block.output_filters
    heads = [
        ("auto-encoding heads", f"{z}/{TRANSMISSION}", index)
        for index, z in description.autoencoding.items()
    ]
    heads = [(p, s, autoencoding_head_name(index)) for p, s, index in heads]
    heads += [
        (f"head {name}", f"{MAX_PROJECTION}/{name}", name)
        for name in description.labels
    ]
    for part, scope, name in heads:
        places.update(
            _head_places(
                part, f"head/{scope}", name, filters, architecture.num_bins
            )
        )
    return places


def check(shapes: Mapping[str, Shape], places: Mapping[str, Place]) -> None:
    """Checks that variables and places are the same, with the same shapes.

    Args:
        shapes: Shape of each model variable.
        places: From `variable_places`.

    Raises:
        InputError: If a variable has no place, is missing, or has another
            shape than its place.
    """
    unknown = sorted(set(shapes) - set(places))
    if unknown:
        raise InputError(
            f"variable {unknown[0]}: must have a place in the network. "
            f"Received: an unknown name ({len(unknown)} in all)"
        )
    missing = sorted(set(places) - set(shapes))
    if missing:
        raise InputError(
            f"variable {missing[0]}: must exist. "
            f"Received: none ({len(missing)} missing in all)"
        )
    for name, place in places.items():
        if tuple(shapes[name]) != place.shape:
            raise InputError(
                f"variable {name}: must have shape {place.shape}. "
                f"Received: {tuple(shapes[name])}"
            )
