"""The network, drawn from its table: towers, merge, trunk and heads."""

import math
import textwrap
from collections.abc import Sequence

import matplotlib.axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle

from isl.errors import InputError
from isl.figures import drawing
from isl.network.architecture import (
    DOWNSCALE,
    IN_SCALE,
    UPSCALE,
    Architecture,
    Block,
    plan_towers,
    plan_trunk,
)
from isl.network.model_folder import ModelDescription

COLOURS = {IN_SCALE: "#56B4E9", DOWNSCALE: "#E69F00", UPSCALE: "#009E73"}
HEAD_COLOUR = "#CC79A7"
NAMES = {
    IN_SCALE: "in-scale block (3 x 3)",
    DOWNSCALE: "downscale block (4 x 4, stride 2)",
    UPSCALE: "upscale block (transposed 4 x 4, stride 2)",
}
_MAX_LABELS_NAMED = 8
_BLOCK_INCHES, _LANE_INCHES = 0.36, 0.85
_MIN_COLUMNS = 20
_BLOCK_WIDTH = 0.72  # Of the distance of two blocks.


def network_diagram(
    architecture: Architecture,
    num_z: int,
    labels: Sequence[str],
    num_autoencoding_heads: int = 0,
    title: str = "",
) -> Figure:
    """Draws every block with its size and its feature maps.

    Args:
        architecture: The table, with towers.
        num_z: Input planes; each is fed with its presence.
        labels: Label heads.
        num_autoencoding_heads: Heads that give back input planes.
        title: Written on top.

    Returns:
        The figure. The height of a block goes with the square root of its
        rows, so that 6 and 250 can be told apart.

    Raises:
        InputError: If the network is a U-Net.
    """
    if not isinstance(architecture, Architecture):
        raise InputError(
            "model must be a network with towers to be drawn as this figure. "
            "Received: a U-Net"
        )
    towers = plan_towers(architecture, 2 * num_z)
    trunk = plan_trunk(architecture, 2 * num_z)
    deepest = max(len(tower) for tower in towers)
    num_columns = max(_MIN_COLUMNS, 2 + deepest + 2 + len(trunk) + 5)
    figure = drawing.new_figure(
        _BLOCK_INCHES * num_columns, _LANE_INCHES * (len(towers) + 1.4)
    )
    figure.set_layout_engine("none")
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    axes.set_xlim(-2.4, num_columns - 2.4)
    axes.set_ylim(len(towers) + 0.4, -1.0)
    largest = _largest_input(towers)
    for lane, tower in enumerate(towers):
        first = deepest - len(tower)
        _draw_input(axes, lane, tower[0], architecture)
        axes.plot([-0.6, first], [lane, lane], color="0.6", linewidth=0.8)
        _draw_blocks(axes, tower, first, lane, largest)
    middle = (len(towers) - 1) / 2
    _draw_merge(axes, deepest, len(towers), trunk[0])
    _draw_blocks(axes, trunk, deepest + 2, middle, largest)
    _draw_heads(
        axes,
        deepest + 2 + len(trunk),
        middle,
        architecture,
        labels,
        num_autoencoding_heads,
    )
    _write(axes, architecture, num_z, towers, title)
    return figure


def model_diagram(description: ModelDescription, title: str) -> Figure:
    """Draws the network of a model folder; see `network_diagram`."""
    return network_diagram(
        description.architecture,
        description.num_z,
        description.labels,
        description.num_z if description.include_autoencoding else 0,
        title,
    )


def _largest_input(towers: Sequence[Sequence[Block]]) -> int:
    """Rows of the largest crop that a tower reads, pixels."""
    return max(tower[0].input_size for tower in towers)


def _draw_blocks(
    axes: matplotlib.axes.Axes,
    blocks: Sequence[Block],
    first: int,
    lane: float,
    largest: int,
) -> None:
    for column, block in enumerate(blocks, first):
        height = 0.6 * math.sqrt(block.output_size / largest)
        axes.add_patch(
            Rectangle(
                (column, lane - height / 2),
                _BLOCK_WIDTH,
                height,
                facecolor=COLOURS[block.kind],
                edgecolor="0.2",
                linewidth=0.5,
            )
        )
        middle = column + _BLOCK_WIDTH / 2
        axes.text(
            middle,
            lane - height / 2 - 0.03,
            f"{block.output_size}",
            fontsize=6,
            ha="center",
            va="bottom",
        )
        axes.text(
            middle,
            lane + height / 2 + 0.03,
            f"{block.output_filters}",
            fontsize=6,
            color="0.35",
            ha="center",
            va="top",
        )


def _draw_input(
    axes: matplotlib.axes.Axes,
    lane: int,
    block: Block,
    architecture: Architecture,
) -> None:
    stem = "1 x 1" if architecture.stem_filters else "planes"
    axes.text(
        -0.7,
        lane,
        f"{block.input_size} x {block.input_size}\n"
        f"{stem}: {block.input_filters}",
        fontsize=7,
        ha="right",
        va="center",
        linespacing=1.3,
    )


def _draw_merge(
    axes: matplotlib.axes.Axes, column: int, num_towers: int, first: Block
) -> None:
    for lane in range(num_towers):
        axes.plot(
            [column - 0.28, column + 0.6],
            [lane, lane],
            color="0.6",
            linewidth=0.8,
        )
    middle = (num_towers - 1) / 2
    axes.plot([column + 0.6] * 2, [0, num_towers - 1], color="0.3", linewidth=2)
    axes.plot(
        [column + 0.6, column + 2], [middle] * 2, color="0.6", linewidth=0.8
    )
    axes.text(
        column + 0.85,
        middle - 0.62,
        f"merge\n{first.input_size} x {first.input_size}\n"
        f"{first.input_filters} maps",
        fontsize=7,
        va="bottom",
        linespacing=1.3,
    )


def _draw_heads(
    axes: matplotlib.axes.Axes,
    column: int,
    middle: float,
    architecture: Architecture,
    labels: Sequence[str],
    num_autoencoding_heads: int,
) -> None:
    names = list(labels)
    if len(names) > _MAX_LABELS_NAMED:
        names = [f"{len(labels)} labels"]
    if num_autoencoding_heads:
        names.append(f"{num_autoencoding_heads} input planes")
    step = 0.32
    for index, name in enumerate(names):
        lane = middle + step * (index - (len(names) - 1) / 2)
        axes.plot(
            [column - 0.28, column + 0.3],
            [middle, lane],
            color="0.6",
            linewidth=0.8,
        )
        axes.add_patch(
            Rectangle(
                (column + 0.3, lane - 0.1),
                0.4,
                0.2,
                facecolor=HEAD_COLOUR,
                edgecolor="0.2",
                linewidth=0.5,
            )
        )
        axes.text(column + 0.85, lane, name, fontsize=6.5, va="center")
    axes.text(
        column + 0.3,
        middle + step * (len(names) + 1) / 2,
        f"heads: {architecture.output_size} x {architecture.output_size}\n"
        + (
            f"x {architecture.num_bins} bins"
            if architecture.num_bins
            else "intensities"
        ),
        fontsize=7,
        va="top",
        linespacing=1.3,
    )


def _write(
    axes: matplotlib.axes.Axes,
    architecture: Architecture,
    num_z: int,
    towers: Sequence[Sequence[Block]],
    title: str,
) -> None:
    size = _largest_input(towers)
    stem = (
        f", first projected to {architecture.stem_filters} maps (1 x 1)"
        if architecture.stem_filters
        else ""
    )
    axes.text(-2.3, -0.8, title, fontsize=11, fontweight="bold", va="center")
    axes.legend(
        handles=[
            Patch(facecolor=COLOURS[kind], edgecolor="0.2", label=name)
            for kind, name in NAMES.items()
        ]
        + [Patch(facecolor=HEAD_COLOUR, edgecolor="0.2", label="head (1 x 1)")],
        loc="lower left",
        ncols=len(NAMES) + 1,
        fontsize=7,
        frameon=False,
    )
    text = (
        f"Input: the central pixels of {size} x {size}, {num_z} planes and "
        f"their presence{stem}. Above a block: rows (and columns) that it "
        "gives; below: its feature maps; height: square root of its rows. "
        "Strided blocks are followed by one in-scale block."
    )
    num_characters = int(17 * axes.figure.get_figwidth())
    axes.text(
        -2.3,
        len(towers) - 0.35,
        "\n".join(textwrap.wrap(text, num_characters)),
        fontsize=7,
        va="top",
        color="0.25",
        linespacing=1.4,
    )
