"""What the shifted passes of `isl.network.exact` share. Standard library only.

The original steps by `output_size` pixels, the coarsest tower by `grid`.
"""

import math
from collections.abc import Sequence

from isl.errors import InputError
from isl.network.architecture import DOWNSCALE, Architecture, Block
from isl.network.networks import Network


def num_phases(architecture: Network) -> int:
    """Number of shifts in each direction: 2 for the released network.

    Raises:
        InputError: If the network is not of the kind of the paper's.
    """
    if not isinstance(architecture, Architecture):
        raise InputError(
            "stitching: exact must be of a network of towers, as the original "
            "is. Received: a U-Net."
        )
    size, grid = architecture.output_size, architecture.grid
    return grid // math.gcd(grid, size)


def num_shared_blocks(tower: Sequence[Block], shift: int) -> tuple[int, int]:
    """Finds how far a tower does not depend on the shift.

    Args:
        tower: Its blocks.
        shift: Pixels by which passes are shifted.

    Returns:
        The number of blocks that come before the first downscale block that
        leaves a scale of which `shift` is no multiple (all of them if there
        is none), and the shift in pixels of their output.
    """
    scale = 1
    for index, block in enumerate(tower):
        if block.kind == DOWNSCALE:
            if shift % (2 * scale):
                return index, shift // scale
            scale *= 2
    return len(tower), shift
