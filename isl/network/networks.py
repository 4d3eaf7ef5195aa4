"""The networks that can be trained, and what they have in common.

The network of the paper is an `Architecture`, the baselines are `UNet`s. Both
tables have `base_filters`, `num_bins`, `initializer`, and the geometry that
patches and tiles need: `output_size`, `grid`, `margin`, `input_size`,
`training_margin`, `is_output_size`. Standard library only.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

from isl.network import architecture, unet
from isl.network.architecture import ARCHITECTURES, Architecture
from isl.network.unet import UNet

Network = Architecture | UNet

NETWORKS: dict[str, Network] = {
    **ARCHITECTURES,
    "unet": unet.UNET,
    "fnet": unet.FNET,
    "tiny_unet": unet.TINY_UNET,
    "tiny_fnet": unet.TINY_FNET,
}


def network_from_dict(values: Mapping[str, Any]) -> Network:
    """Inverse of the `to_dict` of either kind of table.

    Raises:
        AttributeError, KeyError, TypeError, ValueError: If it is no table.
    """
    kind = UNet if "num_levels" in values else Architecture
    return kind.from_dict(values)


def has_batch_norm(network: Network) -> bool:
    """Whether a network has batch normalisations."""
    return not isinstance(network, UNet) or network.batch_norm


def with_width(network: Network, base_filters: int) -> Network:
    """Returns the same network at another width."""
    if isinstance(network, UNet):
        return dataclasses.replace(network, base_filters=base_filters)
    return architecture.with_width(network, base_filters)


def with_towers(network: Network, num_towers: int) -> Network:
    """Returns the same network with its finest towers only.

    Args:
        network: The table to change.
        num_towers: How many towers to keep, from the finest scale on.

    Raises:
        ValueError: If the network has fewer towers, or is a U-Net.
    """
    towers = () if isinstance(network, UNet) else network.towers
    if not 1 <= num_towers <= len(towers):
        raise ValueError(
            f"towers must be 1 to the number that the network has "
            f"({len(towers)}). Received: {num_towers}"
        )
    return dataclasses.replace(network, towers=towers[:num_towers])


def fit_output_size(network: Network, room: int) -> int:
    """Returns the largest output that fits into `room` pixels.

    The smallest that the network has, if none fits.
    """
    smallest, grid = network.output_size, network.grid
    return max(smallest, room - (room - smallest) % grid)
