"""Builds the network from its table, for inputs of any size."""

from collections.abc import Mapping

import keras
from keras import layers, ops

from isl.network import blocks
from isl.network.architecture import Architecture, plan_towers, plan_trunk
from isl.network.intensity_bins import MAX_UINT16
from isl.network.networks import Network
from isl.network.unet import UNet, plan_unet
from isl.network.unet_body import build_unet_body

# Original: decay 0.999 of the moving statistics (isl/models/model_util.py).
ORIGINAL_BATCH_NORM_MOMENTUM = 0.999

# The layer in which the towers meet.
MERGE = "merge"


def autoencoding_head_name(z: int) -> str:
    """Name of the head that predicts input plane `z` itself."""
    return f"input_z{z:02d}"


class PlanesToInput(layers.Layer):
    """Scales raw planes and interleaves them with their presence.

    The original feeds each plane as a pair: intensity in [0, 1] and a mask
    that is 1 where the plane exists (isl/data_provider.py). Raw planes
    travel to the device as uint16, a quarter of the bytes of such pairs.
    """

    def call(self, planes, presence):
        """Assembles the network's input.

        Args:
            planes: uint16, [batch, row, column, z].
            presence: 1 where a plane exists, 0 where not, [batch, z].

        Returns:
            float32, [batch, row, column, 2 * z].
        """
        presence = ops.cast(presence, "float32")[:, None, None, :]
        intensity = ops.cast(planes, "float32") * (presence / MAX_UINT16)
        mask = ops.broadcast_to(presence, ops.shape(intensity))
        pairs = ops.stack([intensity, mask], axis=-1)
        batch, rows, columns, num_z, _ = ops.shape(pairs)
        return ops.reshape(pairs, (batch, rows, columns, 2 * num_z))

    def compute_output_spec(self, planes, presence):
        """Shape of the pairs."""
        shape = (*planes.shape[:-1], 2 * planes.shape[-1])
        return keras.KerasTensor(shape, "float32")


class FixedMode(layers.Layer):
    """A network that stays in one mode, whatever the whole is called with.

    `training=` in the graph of a functional model does not do: the mode in
    which the whole is called replaces it.
    """

    def __init__(self, model: keras.Model, training: bool, **kwargs):
        """Wraps `model`; weights are shared."""
        super().__init__(**kwargs)
        self.model = model
        self.training = training

    def call(self, x):
        """Calls the network in its mode."""
        return self.model(x, training=self.training)

    def compute_output_spec(self, x):
        """Shapes of the network's outputs."""
        return self.model.compute_output_spec(x)


def _center_crop(x, input_size: int, size: int, name: str):
    """Crops by computed margins, so that a wrong size raises."""
    margin = (input_size - size) // 2
    return blocks.CropMargin(margin, name=name)(x) if margin else x


def _stem(x, architecture: Architecture, initializer: str):
    if architecture.stem_filters is None:
        return x
    return layers.Conv2D(
        architecture.stem_filters,
        1,
        kernel_initializer=initializer,
        name="stem",
    )(x)


def build_body(
    inputs: keras.KerasTensor,
    architecture: Architecture,
    momentum: float,
    initializer: str,
) -> keras.KerasTensor:
    """Applies stem, towers and trunk.

    Args:
        inputs: float32, [batch, row, column, plane].
        architecture: The table.
        momentum: Of the batch normalisation's moving statistics.
        initializer: Of the convolutions, by its Keras name.

    Returns:
        What every head reads: [batch, row - 242, column - 242, 64] for the
        released network.
    """
    stem = _stem(inputs, architecture, initializer)
    outputs = []
    for index, tower in enumerate(plan_towers(architecture, inputs.shape[-1])):
        x = _center_crop(
            stem,
            architecture.input_size,
            tower[0].input_size,
            f"tower{index}_crop",
        )
        for block in tower:
            x = blocks.residual_block(x, block, momentum, initializer)
        outputs.append(x)
    x = layers.Concatenate(name=MERGE)(outputs)
    for block in plan_trunk(architecture, inputs.shape[-1]):
        x = blocks.residual_block(x, block, momentum, initializer)
    return x


def build_model(
    architecture: Network,
    num_z: int,
    labels: tuple[str, ...],
    include_autoencoding: bool = False,
    momentum: float = ORIGINAL_BATCH_NORM_MOMENTUM,
    initializer: str | None = None,
) -> keras.Model:
    """Builds the network.

    Args:
        architecture: The table.
        num_z: Input planes.
        labels: Label heads, in order.
        include_autoencoding: Adds a head for each input plane, as the
            original does.
        momentum: Of the batch normalisation's moving statistics.
        initializer: Of the convolutions, by its Keras name; None for that of
            the table.

    Returns:
        A functional model. Input: float32, [batch, row, column, 2 * num_z],
        z-major pairs (intensity in [0, 1], presence); rows and columns are
        `architecture.input_size` plus a multiple of `architecture.grid`.
        Output: a dictionary from head to logits,
        [batch, row - 2 * margin, column - 2 * margin, bin], or to the
        intensity, [..., 1], of regression heads.
    """
    initializer = initializer or architecture.initializer
    num_bins = architecture.num_bins
    inputs = keras.Input((None, None, 2 * num_z), name="planes")
    names = list(labels)
    if include_autoencoding:
        names += [autoencoding_head_name(z) for z in range(num_z)]
    if isinstance(architecture, UNet):
        x = build_unet_body(inputs, architecture, momentum, initializer)
        outputs = {
            name: blocks.head_convolution(x, num_bins, initializer, name)
            for name in names
        }
    else:
        x = build_body(inputs, architecture, momentum, initializer)
        outputs = {
            name: blocks.head(x, num_bins, momentum, initializer, name)
            for name in names
        }
    return keras.Model(inputs, outputs, name="isl")


def body_output(model: keras.Model, architecture: Network) -> keras.KerasTensor:
    """Returns what every head reads.

    Args:
        model: From `build_model`.
        architecture: Its table.

    Returns:
        [batch, row, column, filter]; of a network whose context is cropped
        for prediction, before that.
    """
    num_planes = model.inputs[0].shape[-1]
    if isinstance(architecture, UNet):
        name = f"{plan_unet(architecture, num_planes)[-1].name}_relu"
    else:
        name = plan_trunk(architecture, num_planes)[-1].name
    return model.get_layer(name).output


def with_raw_input(
    model: keras.Model,
    heads: tuple[str, ...],
    training: bool | None = None,
    temperatures: Mapping[str, float] | None = None,
) -> keras.Model:
    """Wraps a network so that it takes raw planes and gives some heads.

    Args:
        model: From `build_model`; weights are shared.
        heads: The heads to evaluate; others cost nothing.
        training: Fixes the batch normalisation to the statistics of the
            batch (True) or to its moving statistics (False). None: the
            former in training, the latter otherwise.
        temperatures: Head to what its logits are divided by; heads that are
            not in it keep theirs.

    Returns:
        A functional model. Inputs: a dictionary of `planes`, uint16,
        [batch, row, column, z], and `presence`, [batch, z]. Output: a
        dictionary from head to logits.
    """
    num_z = model.inputs[0].shape[-1] // 2
    planes = keras.Input((None, None, num_z), dtype="uint16", name="planes")
    presence = keras.Input((num_z,), dtype="float32", name="presence")
    pairs = PlanesToInput(name="planes_to_input", dtype="float32")(
        planes, presence
    )
    chosen = keras.Model(
        model.inputs, {name: model.output[name] for name in heads}
    )
    if training is not None:
        chosen = FixedMode(chosen, training)
    outputs = dict(chosen(pairs))
    for name, temperature in (temperatures or {}).items():
        if name in outputs:
            outputs[name] = outputs[name] / temperature
    return keras.Model({"planes": planes, "presence": presence}, outputs)
