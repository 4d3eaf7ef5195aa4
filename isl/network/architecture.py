"""The network as a table. Every size and number of filters follows from it.

An image passes `towers`, each at a scale of its own, whose outputs are merged
and pass the `trunk`. A tower is a list of stages; a stage is a number of equal
steps; an in-scale step is one residual block and a step between scales is a
strided block followed by one in-scale block (original:
isl/models/concordance.py, isl/models/model_util.py).

Convolutions are valid, so sizes shrink: an in-scale block maps n to n - 2, a
downscale block n to n / 2 - 1, an upscale block n to 2n - 2.

Standard library only.
"""

import dataclasses
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from isl.network.table_rules import check_num_bins, check_positive, is_on_grid

IN_SCALE = "in_scale"
DOWNSCALE = "downscale"
UPSCALE = "upscale"
_SCALE_CHANGE = {IN_SCALE: 0, DOWNSCALE: 1, UPSCALE: -1}


@dataclasses.dataclass(frozen=True)
class Stage:
    """A run of equal steps.

    Attributes:
        kind: "in_scale", "downscale" or "upscale".
        repeats: How many steps. A step between scales is two blocks.
    """

    kind: str
    repeats: int

    def __post_init__(self) -> None:
        """Raises ValueError for an unknown kind or no step."""
        if self.kind not in (IN_SCALE, DOWNSCALE, UPSCALE):
            raise ValueError(f"kind must be of a stage. Received: {self.kind}")
        check_positive("repeats", self.repeats)


def in_scale(repeats: int) -> Stage:
    """Returns a stage of residual blocks that keep the scale."""
    return Stage(IN_SCALE, repeats)


def downscale(repeats: int) -> Stage:
    """Returns a stage that halves the resolution `repeats` times."""
    return Stage(DOWNSCALE, repeats)


def upscale(repeats: int) -> Stage:
    """Returns a stage that doubles the resolution `repeats` times."""
    return Stage(UPSCALE, repeats)


@dataclasses.dataclass(frozen=True)
class Block:
    """One residual block with every number resolved.

    Attributes:
        name: Name of the block, unique in the network.
        kind: "in_scale", "downscale" or "upscale".
        input_size: Rows (and columns) of the nominal patch on entry, pixels.
        output_size: Rows on exit, after cropping, pixels.
        input_filters: Feature maps on entry.
        expansion_filters: Feature maps of the spatial convolution.
        reduction_filters: Feature maps of the 1x1 convolution.
        output_filters: Feature maps on exit.
    """

    name: str
    kind: str
    input_size: int
    output_size: int
    input_filters: int
    expansion_filters: int
    reduction_filters: int
    output_filters: int


@dataclasses.dataclass(frozen=True)
class Architecture:
    """The table.

    Attributes:
        towers: Stages of each tower, from the finest scale to the coarsest.
        trunk: Stages after the merge.
        output_size: Rows and columns of the smallest prediction, pixels.
        stem_filters: Feature maps of the 1x1 projection of the input; `None`
            for a network without it.
        base_filters: Width. A block that ends with n rows gets about
            `base_filters / n` feature maps, so that all blocks cost the same.
        upscale_base_filters: The same for upscale blocks. The original uses
            base_depth - 4; it changes shapes, so it is kept (BUILD_NOTES D2).
        expansion_ratio: Feature maps of a block's spatial convolution over
            those of its 1x1 convolution.
        num_bins: Intensity bins of each head; None for heads that predict
            the intensity itself (regression).
        scale_filters: Feature maps of the blocks of each scale, from full
            resolution on; None: from `base_filters`.
    """

    towers: tuple[tuple[Stage, ...], ...]
    trunk: tuple[Stage, ...]
    output_size: int
    stem_filters: int | None
    base_filters: int
    upscale_base_filters: int
    expansion_ratio: float
    num_bins: int | None = 256
    scale_filters: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        """Raises ValueError for a number that no network can have."""
        for name in (
            "output_size",
            "base_filters",
            "upscale_base_filters",
        ):
            check_positive(name, getattr(self, name))
        if self.stem_filters is not None:
            check_positive("stem_filters", self.stem_filters)
        check_num_bins(self.num_bins)
        for filters in self.scale_filters or ():
            check_positive("scale_filters", filters)

    @property
    def merge_size(self) -> int:
        """Rows at the merge of the towers, for the smallest prediction."""
        return entry_size(self.trunk, self.output_size)

    @property
    def input_size(self) -> int:
        """Rows of the smallest input: the field of view, pixels."""
        return max(
            entry_size(stages, self.merge_size) for stages in self.towers
        )

    @property
    def grid(self) -> int:
        """Sizes grow in steps of this many pixels: the coarsest scale."""
        return 2 ** max(_num_downscales(stages) for stages in self.towers)

    @property
    def margin(self) -> int:
        """Pixels of context on each side of a prediction."""
        return (self.input_size - self.output_size) // 2

    @property
    def training_margin(self) -> int:
        """Pixels of context on each side of a training patch."""
        return self.margin

    @property
    def initializer(self) -> str:
        """Of new convolutions, by its Keras name."""
        return "glorot_uniform"  # Of TF-Slim, which the original uses.

    def is_output_size(self, size: int) -> bool:
        """Whether `size` is `output_size` plus a multiple of `grid`."""
        return is_on_grid(size, self.output_size, self.grid)

    def to_dict(self) -> dict[str, Any]:
        """Returns the table as JSON-serialisable values."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Architecture":
        """Inverse of `to_dict`."""
        values = dict(values)
        values["towers"] = tuple(_stages(tower) for tower in values["towers"])
        values["trunk"] = _stages(values["trunk"])
        if values.get("scale_filters") is not None:
            values["scale_filters"] = tuple(values["scale_filters"])
        return cls(**values)


def _stages(values: Sequence[Mapping[str, Any]]) -> tuple[Stage, ...]:
    return tuple(Stage(**value) for value in values)


def _num_downscales(stages: Sequence[Stage]) -> int:
    return sum(s.repeats for s in stages if s.kind == DOWNSCALE)


def trunk_scale(architecture: Architecture) -> int:
    """How often the resolution is halved where the towers are merged."""
    first = architecture.towers[0]
    return sum(_SCALE_CHANGE[stage.kind] * stage.repeats for stage in first)


def iter_block_kinds(stages: Sequence[Stage]) -> Iterator[str]:
    """Yields the kind of each residual block of a tower, in order."""
    for stage in stages:
        for _ in range(stage.repeats):
            yield stage.kind
            if stage.kind != IN_SCALE:
                yield IN_SCALE


def exit_size(kind: str, size: int) -> int:
    """Returns the rows after a block of `kind` that gets `size` rows."""
    return {
        IN_SCALE: size - 2,
        DOWNSCALE: size // 2 - 1,
        UPSCALE: 2 * size - 2,
    }[kind]


def entry_size(stages: Sequence[Stage], size: int) -> int:
    """Returns the rows that `stages` need in order to yield `size` rows.

    Raises:
        ValueError: If an upscale block would have to yield an odd size.
    """
    for kind in reversed(list(iter_block_kinds(stages))):
        if kind == UPSCALE and size % 2:
            raise ValueError(
                f"An upscale block yields an even size. Received: {size}"
            )
        size = {
            IN_SCALE: size + 2,
            DOWNSCALE: 2 * size + 2,
            UPSCALE: size // 2 + 1,
        }[kind]
    return size


def _width(architecture: Architecture, kind: str, rows: int, scale: int) -> int:
    if architecture.scale_filters is not None:
        return architecture.scale_filters[scale]
    base = architecture.base_filters
    if kind == UPSCALE:
        base = architecture.upscale_base_filters
    return math.ceil(base / rows)


def _even(value: float) -> int:
    return 2 * math.ceil(math.ceil(value) / 2)


def plan(
    stages: Sequence[Stage],
    output_size: int,
    filters: int,
    architecture: Architecture,
    name: str,
    scale: int = 0,
) -> tuple[Block, ...]:
    """Resolves a tower or the trunk into blocks.

    A step between scales takes the filters of its strided block from the
    size after its in-scale block. In-scale and downscale blocks never lose
    filters; upscale blocks may (original: size_to_depth and
    min_depth_from_residual of isl/models/model_util.py).

    Args:
        stages: The stages, in order.
        output_size: Rows that they yield for the smallest prediction, pixels.
        filters: Feature maps on entry.
        architecture: The table that gives the widths.
        name: Prefix of the block names.
        scale: On entry: how often the resolution was halved.

    Returns:
        The blocks, in order.
    """
    size = entry_size(stages, output_size)
    blocks = []
    for index, kind in enumerate(iter_block_kinds(stages)):
        next_size = exit_size(kind, size)
        rows = next_size if kind == IN_SCALE else next_size - 2
        scale += _SCALE_CHANGE[kind]
        reduction = _width(architecture, kind, rows, scale)
        expansion = _even(architecture.expansion_ratio * reduction)
        reduction = _even(reduction)
        if kind == UPSCALE:
            next_filters = min(filters, reduction)
        else:
            expansion = max(expansion, filters)
            reduction = next_filters = max(reduction, filters)
        blocks.append(
            Block(
                name=f"{name}_{index:02d}_{kind}",
                kind=kind,
                input_size=size,
                output_size=next_size,
                input_filters=filters,
                expansion_filters=expansion,
                reduction_filters=reduction,
                output_filters=next_filters,
            )
        )
        size, filters = next_size, next_filters
    return tuple(blocks)


def plan_towers(
    architecture: Architecture, num_planes: int
) -> tuple[tuple[Block, ...], ...]:
    """Returns the blocks of every tower.

    Args:
        architecture: The table.
        num_planes: Planes of the network input (intensity and presence of
            each z); they are the filters on entry if there is no stem.
    """
    filters = architecture.stem_filters or num_planes
    return tuple(
        plan(
            stages,
            architecture.merge_size,
            filters,
            architecture,
            f"tower{index}",
        )
        for index, stages in enumerate(architecture.towers)
    )


def plan_trunk(
    architecture: Architecture, num_planes: int
) -> tuple[Block, ...]:
    """Returns the blocks of the trunk, for inputs of `num_planes` planes."""
    merged = sum(
        blocks[-1].output_filters
        for blocks in plan_towers(architecture, num_planes)
    )
    return plan(
        architecture.trunk,
        architecture.output_size,
        merged,
        architecture,
        "trunk",
        trunk_scale(architecture),
    )


# The released network (original: isl/models/concordance.py).
CONCORDANCE = Architecture(
    towers=(
        (in_scale(18),),  # 72 -> 36
        (downscale(1), in_scale(14), upscale(1)),  # 102 -> 36
        (downscale(2), in_scale(10), upscale(2)),  # 146 -> 36
        (downscale(3), in_scale(6), upscale(3)),  # 202 -> 36
        (downscale(4), in_scale(2), upscale(4)),  # 250 -> 36
    ),
    trunk=(in_scale(14),),  # 36 -> 8
    output_size=8,
    stem_filters=16,
    base_filters=400,
    upscale_base_filters=396,  # Original: base_depth - 4. BUILD_NOTES D2.
    expansion_ratio=211 / 39,  # Original: left over from a tuning run.
)

# The network of the paper has no 1x1 projection (README of the original).
PAPER = dataclasses.replace(CONCORDANCE, stem_filters=None)


def with_width(architecture: Architecture, base_filters: int) -> Architecture:
    """Returns the same network at another width.

    The original derives both widths from one number, base_depth. Where filters
    are given for each scale, all of them change by the same factor.

    Args:
        architecture: The table to change.
        base_filters: The new width.
    """
    if architecture.scale_filters is not None:
        factor = base_filters / architecture.base_filters
        return dataclasses.replace(
            architecture,
            base_filters=base_filters,
            upscale_base_filters=base_filters,
            scale_filters=tuple(
                _even(factor * filters)
                for filters in architecture.scale_filters
            ),
        )
    return dataclasses.replace(
        architecture,
        base_filters=base_filters,
        upscale_base_filters=base_filters - 4,
    )


# The five towers at a width that two CPU cores can train (BUILD_NOTES D20).
NARROW = with_width(CONCORDANCE, 100)

# For users without a GPU (BUILD_NOTES D39): four towers that halve the
# resolution at once and are merged there, so that only the stem, one step of
# the trunk and the heads see full resolution: a twenty-ninth of the operations
# of CONCORDANCE.
COMPACT = Architecture(
    towers=(
        (downscale(1),),  # 30 -> 12
        (downscale(2), in_scale(1), upscale(1)),  # 58 -> 12
        (downscale(3), in_scale(1), upscale(2)),  # 106 -> 12
        (downscale(4), in_scale(1), upscale(3)),  # 202 -> 12
    ),
    trunk=(in_scale(1), upscale(1)),  # 12 -> 16
    output_size=16,
    stem_filters=16,
    base_filters=16,
    upscale_base_filters=16,
    expansion_ratio=1.0,
    scale_filters=(16, 16, 32, 64, 96),
)

# Two towers with a field of view of 22 pixels, for tests.
TINY = Architecture(
    towers=(
        (in_scale(4),),  # 20 -> 12
        (downscale(1), upscale(1)),  # 22 -> 12
    ),
    trunk=(in_scale(2),),  # 12 -> 8
    output_size=8,
    stem_filters=4,
    base_filters=40,
    upscale_base_filters=36,
    expansion_ratio=2.0,
)

ARCHITECTURES = {
    "concordance": CONCORDANCE,
    "paper": PAPER,
    "narrow": NARROW,
    "compact": COMPACT,
    "tiny": TINY,
}
