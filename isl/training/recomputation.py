"""Trades computation for memory: blocks are computed again for gradients.

Only what goes in and out of the residual blocks is kept from the forward
pass; the some twenty arrays inside each are computed once more when its
gradients are (Chen et al. 2016, arXiv:1604.06174).

`keras.RematScope` alone does not do: with batch normalisations it fails under
TensorFlow and JAX alike (Keras 3.15), because their moving statistics are
assigned inside the function that is computed twice. Here the block is a
function of its weights and of those statistics, which are assigned outside.
"""

import keras
from keras import layers, ops

from isl.network.architecture import (
    Architecture,
    Block,
    plan_towers,
    plan_trunk,
)
from isl.network.model import MERGE


class RecomputedBlock(layers.Layer):
    """A part of a network whose inner arrays are not kept for gradients."""

    def __init__(self, block: keras.Model, **kwargs):
        """Wraps `block`; weights are shared."""
        # Inputs keep their dtype: the layers inside cast by themselves.
        super().__init__(autocast=False, **kwargs)
        self.block = block

    def call(self, x, training=None):
        """Maps what the block maps, to the same values."""
        trained = self.block.trainable_variables
        statistics = self.block.non_trainable_variables

        def run(x, *values):
            output, updated = self.block.stateless_call(
                values[: len(trained)],
                values[len(trained) :],
                x,
                training=training,
            )
            return (output, *updated)

        values = [
            # PyTorch would have the statistics change under the gradient.
            ops.copy(ops.convert_to_tensor(variable.value))
            for variable in (*trained, *statistics)
        ]
        output, *updated = keras.remat(run)(x, *values)
        if training:
            for variable, value in zip(statistics, updated, strict=True):
                variable.assign(value)
        return output

    def compute_output_spec(self, x, training=None):
        """Shape of the block's output."""
        return self.block.compute_output_spec(x)


def with_recomputed_blocks(
    model: keras.Model, architecture: Architecture
) -> keras.Model:
    """Returns a network that keeps little in memory while it trains.

    Args:
        model: From `isl.network.model.build_model`; weights are shared.
        architecture: Its table.

    Returns:
        A functional model with the inputs and outputs of `model`.
    """
    num_planes = model.inputs[0].shape[-1]
    towers = plan_towers(architecture, num_planes)
    trunk = plan_trunk(architecture, num_planes)

    def entry(block: Block) -> keras.KerasTensor:
        return model.get_layer(f"{block.name}_expand_norm").input

    def result(block: Block) -> keras.KerasTensor:
        return model.get_layer(block.name).output

    def apply(blocks: tuple[Block, ...], x: keras.KerasTensor):
        for block in blocks:
            part = keras.Model(entry(block), result(block))
            x = RecomputedBlock(part, name=block.name)(x)
        return x

    split = keras.Model(model.inputs, [entry(blocks[0]) for blocks in towers])
    merge = keras.Model(
        [result(blocks[-1]) for blocks in towers], entry(trunk[0])
    )
    heads = keras.Model(result(trunk[-1]), model.output)
    inputs = keras.Input(model.inputs[0].shape[1:], name="planes")
    x = merge(
        [
            apply(blocks, x)
            for blocks, x in zip(towers, split(inputs), strict=True)
        ]
    )
    x = layers.Identity(name=MERGE, autocast=False)(x)  # As in `model`.
    return keras.Model(inputs, heads(apply(trunk, x)))
