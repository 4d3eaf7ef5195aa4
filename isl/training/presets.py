"""Settings to start from, and what may be changed in them."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from isl.errors import InputError
from isl.network.architecture import COMPACT, CONCORDANCE, NARROW, TINY
from isl.network.losses import REGRESSION_LOSS
from isl.network.model_folder import load_description
from isl.network.networks import Network, with_width
from isl.network.unet import FNET, UNET
from isl.training.config import TrainConfig, with_loss, with_network

# The original's settings (isl/launch.py): batches of 16 patches of 250 x 250,
# Adam at 1e-4, heads for the input planes too, 984,658 steps of the published
# checkpoint. Its patches are 4 neighbours from each of several 520 x 520
# crops; ours are drawn one by one (BUILD_NOTES D8).
PAPER = TrainConfig(
    architecture=CONCORDANCE,
    output_size=8,
    batch_size=16,
    num_steps=984_658,
    steps_per_epoch=1000,
    learning_rate=1e-4,
    include_autoencoding=True,
)

# For two CPU cores and about an hour (BUILD_NOTES D20).
FAST = TrainConfig(
    architecture=NARROW,
    output_size=72,
    batch_size=4,
    num_steps=900,
    steps_per_epoch=50,
    learning_rate=3e-3,
    schedule="cosine",
    warmup_steps=50,
    momentum=0.97,
    frozen_norm_share=0.2,
    recalibration_batches=8,
    initialise_head_biases=True,
)

# For two CPU cores and minutes: BUILD_NOTES D39, D47 and D56.
COMPACT_PRESET = TrainConfig(
    architecture=COMPACT,
    output_size=80,
    batch_size=4,
    num_steps=3000,
    steps_per_epoch=50,
    learning_rate=3e-3,
    schedule="cosine",
    warmup_steps=50,
    momentum=0.97,
    recalibration_batches=8,
    label_stride=2,
    rotation=45.0,
    zoom=0.1,
    averaging=0.98,
    initialise_head_biases=True,
)

# Two small towers, for tests and the demo: minutes on two CPU cores.
TINY_PRESET = TrainConfig(
    architecture=TINY,
    output_size=72,
    batch_size=4,
    num_steps=400,
    steps_per_epoch=50,
    learning_rate=3e-3,
    schedule="cosine",
    momentum=0.97,
    initialise_head_biases=True,
)

# As the published code of fnet trains: squared error, patches of 128 pixels, 8
# in a step, Adam at 1e-3; PyTorch's momentum of 0.1 is ours of 0.9. There it is
# for 50,000 steps; the learning rate stays, so a run may end at any time. Not
# published is that statistics are averaged anew before a network is judged: the
# moving ones make it jump from one epoch to the next (BUILD_NOTES D22).
FNET_PRESET = with_loss(
    TrainConfig(
        architecture=FNET,
        output_size=128,
        batch_size=8,
        num_steps=50_000,
        steps_per_epoch=50,
        learning_rate=1e-3,
        momentum=0.9,
        recalibration_batches=8,
        initialise_head_biases=True,
    ),
    REGRESSION_LOSS,
)

# The same for the U-Net without normalisation.
UNET_PRESET = with_network(
    dataclasses.replace(FNET_PRESET, learning_rate=1e-4), UNET
)

PRESETS = {
    "paper": PAPER,
    "fast": FAST,
    "compact": COMPACT_PRESET,
    "fnet": FNET_PRESET,
    "unet": UNET_PRESET,
    "tiny": TINY_PRESET,
}


def configure(
    preset: str,
    changes: Mapping[str, Any],
    network: Network | None = None,
    width: int | None = None,
) -> TrainConfig:
    """Returns a preset with changes.

    Args:
        preset: One of `PRESETS`.
        changes: Fields of `TrainConfig` to their values. With `init_from` the
            network is the one that is found there.
        network: Replaces that of the preset. Patches become as large as it
            allows, unless `changes` say how large, and the loss decides its
            heads.
        width: Replaces the width of the network.

    Raises:
        InputError: If `init_from` is no model folder, or `network` is given
            too.
    """
    config = PRESETS[preset]
    if changes.get("init_from"):
        if network is not None:
            raise InputError(
                "model must be left out with init_from, which has a network. "
                f"Received: {changes['init_from']}"
            )
        network = load_description(changes["init_from"]).architecture
    network = network or config.architecture
    if width is not None:
        network = with_width(network, width)
    config = dataclasses.replace(with_network(config, network), **changes)
    return with_loss(config, config.loss)
