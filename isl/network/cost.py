"""Counts the multiply-adds of the network's convolutions, from its table.

Standard library only. Normalisation, activations, pooling and the statistics
of the distributions are not counted.
"""

from collections.abc import Sequence

from isl.network.architecture import (
    DOWNSCALE,
    IN_SCALE,
    UPSCALE,
    Architecture,
    Block,
    exit_size,
    plan_towers,
    plan_trunk,
    trunk_scale,
)
from isl.network.networks import Network
from isl.network.phases import num_phases, num_shared_blocks
from isl.network.unet import (
    CONVOLUTION,
    ENLARGE,
    MAX_POOL,
    SHRINK,
    UNet,
    plan_unet,
)

_KERNEL_SIZE = {IN_SCALE: 3, DOWNSCALE: 4, UPSCALE: 4}


def multiply_adds(
    architecture: Network,
    num_planes: int,
    num_heads: int,
    output_size: int,
    in_training: bool = False,
    label_stride: int = 1,
) -> int:
    """Counts the multiply-adds of one pass over a square image.

    Args:
        architecture: The table.
        num_planes: Planes of the network input: two for each z.
        num_heads: Heads evaluated.
        output_size: Rows and columns predicted, pixels: `output_size` of the
            table plus a multiple of its `grid`.
        in_training: Whether the context is that of training, which a U-Net
            with zero padding does without.
        label_stride: Heads see one pixel of each cell of this many rows and
            columns.
    """
    labelled = output_size // label_stride
    extra = output_size - architecture.output_size
    if isinstance(architecture, UNet):
        if in_training:
            extra -= 2 * (architecture.margin - architecture.training_margin)
        return _unet(architecture, num_planes, extra) + _heads(
            architecture, architecture.base_filters, num_heads, labelled
        )
    towers = plan_towers(architecture, num_planes)
    trunk = plan_trunk(architecture, num_planes)
    return (
        _stem(architecture, num_planes, extra)
        + sum(_blocks(tower, extra) for tower in towers)
        + _blocks(trunk, extra // 2 ** trunk_scale(architecture))
        + _heads(architecture, _head_input(trunk), num_heads, labelled)
    )


def multiply_adds_per_pixel(
    architecture: Network, num_planes: int, num_heads: int
) -> float:
    """Counts the multiply-adds of a predicted pixel of a large image.

    In the limit, where the context of a tile is nothing beside the tile: the
    cost is a polynomial of second degree of the size of the tile, and this is
    what stands before its square.

    Args:
        architecture: The table.
        num_planes: Planes of the network input: two for each z.
        num_heads: Heads evaluated.
    """
    sizes = [architecture.output_size + k * architecture.grid for k in range(3)]
    one, two, three = (
        multiply_adds(architecture, num_planes, num_heads, size)
        for size in sizes
    )
    return (three - 2 * two + one) / (2 * architecture.grid**2)


def exact_multiply_adds(
    architecture: Network,
    num_planes: int,
    num_heads: int,
    output_size: int,
) -> int:
    """Counts the multiply-adds of `isl.network.exact` over a square image.

    Args:
        architecture: The table.
        num_planes: Planes of the network input: two for each z.
        num_heads: Heads evaluated.
        output_size: Rows and columns predicted, pixels: a multiple of `grid`.

    Raises:
        InputError: If the network is not of the kind of the paper's.
    """
    phases, shift = num_phases(architecture), architecture.output_size
    extra = output_size - architecture.output_size
    # A shifted view is smaller than what is shared, by the largest shift.
    view_extra = extra - shift * (phases - 1)
    total = _stem(architecture, num_planes, extra)
    for tower in plan_towers(architecture, num_planes):
        shared, _ = num_shared_blocks(tower, shift)
        total += _blocks(tower, extra, stop=shared)
        total += phases**2 * _blocks(tower, view_extra, start=shared)
    trunk = plan_trunk(architecture, num_planes)
    trunk_extra = view_extra // 2 ** trunk_scale(architecture)
    total += phases**2 * _blocks(trunk, trunk_extra)
    return total + _heads(
        architecture, _head_input(trunk), num_heads, output_size
    )


def convolution_values(
    architecture: Architecture,
    num_planes: int,
    num_heads: int,
    output_size: int,
) -> int:
    """Counts the values that convolutions read and write in one pass.

    Each activated feature is read once and each result written once, as if
    normalisation and activation cost nothing and nothing stayed in a cache:
    the least that a pass moves if it goes layer by layer. Weights are left
    out.

    Args:
        architecture: The table of a network of towers.
        num_planes: Planes of the network input: two for each z.
        num_heads: Heads evaluated.
        output_size: Rows and columns predicted, pixels.
    """
    extra = output_size - architecture.output_size
    trunk_extra = extra // 2 ** trunk_scale(architecture)
    trunk = plan_trunk(architecture, num_planes)
    num_bins = architecture.num_bins or 1
    total = output_size**2 * num_heads * (_head_input(trunk) + num_bins)
    if architecture.stem_filters is not None:
        values = num_planes + architecture.stem_filters
        total += (architecture.input_size + extra) ** 2 * values
    for blocks in plan_towers(architecture, num_planes):
        total += _block_values(blocks, extra)
    return total + _block_values(trunk, trunk_extra)


def _block_values(blocks: Sequence[Block], extra: int) -> int:
    size, total = blocks[0].input_size + extra, 0
    for block in blocks:
        if block.kind == UPSCALE:
            expanded, filters = 2 * size + 2, block.expansion_filters
        else:
            expanded = exit_size(block.kind, size)
            filters = block.expansion_filters + block.input_filters
        total += size**2 * 2 * block.input_filters
        total += expanded**2 * (
            block.expansion_filters + 2 * filters + block.reduction_filters
        )
        size = exit_size(block.kind, size)
    return total


def _stem(architecture: Architecture, num_planes: int, extra: int) -> int:
    size = architecture.input_size + extra
    return size**2 * num_planes * (architecture.stem_filters or 0)


def _head_input(trunk: Sequence[Block]) -> int:
    # The heads' activation doubles the filters, as everywhere.
    return 2 * trunk[-1].output_filters


def _heads(
    architecture: Network, filters: int, num_heads: int, size: int
) -> int:
    outputs = (architecture.num_bins or 1) * num_heads
    return size**2 * filters * outputs


def _unet(unet: UNet, num_planes: int, extra: int) -> int:
    """Counts the layers of a U-Net whose input is `extra` pixels larger."""
    total, scale = 0, 1
    for step in plan_unet(unet, num_planes):
        weights = step.input_filters * step.filters
        size = step.output_size
        if step.kind == CONVOLUTION:
            weights *= 9
        elif step.kind == SHRINK:
            weights *= 0 if unet.shrink == MAX_POOL else 4
            scale *= 2
        elif step.kind == ENLARGE:
            # Each output pixel comes from one input pixel, by one of 4 taps.
            scale //= 2
        total += (size + extra // scale) ** 2 * weights
    return total


def _blocks(
    blocks: Sequence[Block],
    extra: int,
    start: int = 0,
    stop: int | None = None,
) -> int:
    """Counts the blocks from `start` to `stop` of a tower or the trunk.

    Args:
        blocks: All of its blocks.
        extra: Pixels by which its input is larger than the nominal patch.
        start: First block to count.
        stop: First block not to count; None: all.
    """
    size, total = blocks[0].input_size + extra, 0
    for index, block in enumerate(blocks[:stop]):
        if index >= start:
            total += _block(block, size)
        size = exit_size(block.kind, size)
    return total


def _block(block: Block, size: int) -> int:
    taps = _KERNEL_SIZE[block.kind] ** 2
    expansion = taps * 2 * block.input_filters * block.expansion_filters
    if block.kind == UPSCALE:
        # Each input pixel spreads over the taps; the border that is cropped
        # later is computed too.
        expanded, filters = (2 * size + 2) ** 2, block.expansion_filters
        spatial = size**2 * expansion
    else:
        # The max-pool of the input stands beside the convolution.
        expanded = exit_size(block.kind, size) ** 2
        filters = block.expansion_filters + block.input_filters
        spatial = expanded * expansion
    return spatial + expanded * 2 * filters * block.reduction_filters
