"""The network as the original stitches it, without running it patch by patch.

The original predicts 8 x 8 pixels from each patch of 250 x 250 and steps by 8.
The coarsest tower works on a grid of 16 pixels, so one fully convolutional
pass equals that only in every other block of 8. Passes shifted by 8 pixels
give the other blocks. What does not depend on the shift, the stem, the finer
towers and the coarsest tower down to a scale of 8 pixels, is computed once;
the rest of the coarsest tower and the trunk run four times, and the heads on
the blocks that are kept (BUILD_NOTES D21).
"""

import keras
from keras import layers, ops

from isl.network.architecture import plan_towers, plan_trunk
from isl.network.networks import Network
from isl.network.phases import num_phases, num_shared_blocks


class PhaseCrops(layers.Layer):
    """Crops the four (or more) shifted views of features."""

    def __init__(self, phases: int, offset: int, **kwargs):
        """Shifts by multiples of `offset` pixels, `phases` each way."""
        super().__init__(**kwargs)
        self.phases = phases
        self.offset = offset

    def call(self, x):
        """Maps [batch, n, m, filter] to [phases^2 * batch, n', m', filter].

        n' is n less `offset * (phases - 1)`; the shift of columns varies
        fastest.
        """
        batch, rows, columns, filters = ops.shape(x)
        spare = self.offset * (self.phases - 1)
        size = (batch, rows - spare, columns - spare, filters)
        shifts = [self.offset * phase for phase in range(self.phases)]
        return ops.concatenate(
            [
                ops.slice(x, (0, row, column, 0), size)
                for row in shifts
                for column in shifts
            ]
        )

    def compute_output_spec(self, x):
        """Sizes are known when there is an image."""
        return keras.KerasTensor((None, None, None, x.shape[-1]), x.dtype)


class Interleave(layers.Layer):
    """Joins the blocks that the shifted passes have right."""

    def __init__(self, phases: int, block: int, grid: int, **kwargs):
        """Takes blocks of `block` pixels, one in every `grid` pixels."""
        super().__init__(**kwargs)
        self.phases = phases
        self.block = block
        self.grid = grid

    def call(self, x):
        """Joins passes.

        Args:
            x: [phases^2 * batch, n, m, filter], in the order of
                `PhaseCrops`; n and m are `block` plus a multiple of `grid`.

        Returns:
            [batch, n', m', filter]; n' is n plus `grid - block`.
        """
        passes = [self._blocks(p) for p in ops.split(x, self.phases**2)]
        rows = []
        for phase in range(self.phases):
            columns = passes[phase * self.phases : (phase + 1) * self.phases]
            joined = ops.stack(columns, axis=4)
            batch, blocks, size, across, phases, width, filters = ops.shape(
                joined
            )
            rows.append(
                ops.reshape(
                    joined,
                    (batch, blocks, size, across * phases * width, filters),
                )
            )
        joined = ops.stack(rows, axis=2)
        batch, blocks, phases, size, columns, filters = ops.shape(joined)
        return ops.reshape(
            joined, (batch, blocks * phases * size, columns, filters)
        )

    def _blocks(self, x):
        """[batch, n, m, filter] to [batch, block, row, block, column, ...]."""
        missing = self.grid - self.block
        x = ops.pad(x, ((0, 0), (0, missing), (0, missing), (0, 0)))
        batch, rows, columns, filters = ops.shape(x)
        x = ops.reshape(
            x,
            (
                batch,
                rows // self.grid,
                self.grid,
                columns // self.grid,
                self.grid,
                filters,
            ),
        )
        return x[:, :, : self.block, :, : self.block]

    def compute_output_spec(self, x):
        """Sizes are known when there is an image."""
        return keras.KerasTensor((None, None, None, x.shape[-1]), x.dtype)


def build_exact_model(model: keras.Model, architecture: Network) -> keras.Model:
    """Builds a network whose output is that of the original's stitching.

    Args:
        model: From `isl.network.model.build_model`; weights are shared.
        architecture: Its table.

    Returns:
        A functional model like `model`, but [batch, n, m, 2 * num_z] gives
        logits of n - 2 * margin pixels, which are a multiple of `grid`; each
        block of `output_size` pixels equals the prediction from its own
        patch. `model` itself if a pass has this property already.

    Raises:
        InputError: If the network is not of the kind of the paper's.
    """
    phases = num_phases(architecture)
    if phases == 1:
        return model
    size = architecture.output_size
    num_planes = model.inputs[0].shape[-1]
    shared, crops = [], []
    for tower in plan_towers(architecture, num_planes):
        count, offset = num_shared_blocks(tower, size)
        last = tower[count - 1]
        shared.append(model.get_layer(last.name).output)
        crops.append(PhaseCrops(phases, offset, name=f"{last.name}_phases"))
    trunk = model.get_layer(plan_trunk(architecture, num_planes)[-1].name)
    repeated = keras.Model(shared, trunk.output)
    heads = keras.Model(trunk.output, model.output)

    inputs = keras.Input(model.inputs[0].shape[1:], name="planes")
    features = keras.Model(model.inputs, shared)(inputs)
    views = [crop(x) for crop, x in zip(crops, features, strict=True)]
    joined = Interleave(phases, size, architecture.grid, name="interleave")(
        repeated(views)
    )
    return keras.Model(inputs, heads(joined), name="isl_exact")
