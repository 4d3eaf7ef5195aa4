"""Changes of brightness, contrast and sharpness, made on the device.

One field of view is one exposure, one lamp and one focus. What a network
learns from it must hold on the next one, so each patch of training is given
another exposure, contrast and focus, and noise of its own. The numbers are
drawn on the host, from the seed and the step like the patches themselves. The
device applies them to the planes, which still travel as uint16; only focus and
noise are changed before they travel, as they need random numbers or other
planes.
"""

import dataclasses
from collections.abc import Mapping

import keras
import numpy as np
from keras import ops

from isl.network.intensity_bins import MAX_UINT16

# Passes of a 2 x 2 mean: a binomial filter of 5 x 5 pixels, of standard
# deviation 1 pixel.
_PASSES = 4

# Contrast, brightness, blur.
NUM_CHANGES = 3


@dataclasses.dataclass(frozen=True)
class IntensityChanges:
    """How strongly patches are changed; all 0: not at all.

    Attributes:
        contrast: Standard deviation of the logarithm of the factor by which
            a patch's intensities differ from their mean.
        brightness: Standard deviation of what is added, in intensities.
        blur: Largest share, drawn evenly, of a blurred patch that replaces
            the patch itself; as large a negative share sharpens.
    """

    contrast: float = 0.0
    brightness: float = 0.0
    blur: float = 0.0

    def __bool__(self) -> bool:
        """Whether anything is changed."""
        return any(dataclasses.astuple(self))

    def draw(self, generator: np.random.Generator, count: int) -> np.ndarray:
        """Draws the changes of patches.

        Returns:
            float32, [count, 3]: factor of contrast, added brightness, share
            of blur, as `ChangeIntensity` takes them.
        """
        return np.stack(
            [
                np.exp(generator.normal(0, self.contrast, count)),
                generator.normal(0, self.brightness, count),
                generator.uniform(-self.blur, self.blur, count),
            ],
            axis=-1,
        ).astype(np.float32)


class ChangeIntensity(keras.layers.Layer):
    """Applies changes of intensity to raw planes, before they are scaled."""

    def call(self, planes, changes):
        """Changes each patch, all its planes alike.

        Args:
            planes: uint16, [batch, row, column, z].
            changes: float32, [batch, 3], from `IntensityChanges.draw`.

        Returns:
            uint16, same shape.
        """
        contrast, brightness, blur = (
            change[:, None, None, None]
            for change in ops.unstack(changes, NUM_CHANGES, axis=1)
        )
        planes = ops.cast(planes, "float32")
        planes = planes + blur * (_blurred(planes) - planes)
        mean = ops.mean(planes, axis=(1, 2, 3), keepdims=True)
        changed = mean + contrast * (planes - mean) + brightness * MAX_UINT16
        return ops.cast(
            ops.round(ops.clip(changed, 0.0, float(MAX_UINT16))), "uint16"
        )

    def compute_output_spec(self, planes, changes):
        """Shape of the planes."""
        return keras.KerasTensor(planes.shape, "uint16")


def _blurred(planes):
    padding = ((0, 0), (_PASSES // 2,) * 2, (_PASSES // 2,) * 2, (0, 0))
    planes = ops.pad(planes, padding, mode="reflect")
    for _ in range(_PASSES):
        planes = ops.average_pool(planes, 2, 1, padding="valid")
    return planes


def with_changes(network: keras.Model) -> keras.Model:
    """Wraps a network so that it changes its planes first.

    Args:
        network: From `isl.network.model.with_raw_input`; weights are shared.

    Returns:
        A functional model with one more input, `changes`.
    """
    num_z = network.input["planes"].shape[-1]
    planes = keras.Input((None, None, num_z), dtype="uint16", name="planes")
    presence = keras.Input((num_z,), name="presence")
    changes = keras.Input((NUM_CHANGES,), name="changes")
    changed = ChangeIntensity(name="change_intensity", dtype="float32")(
        planes, changes
    )
    return keras.Model(
        {"planes": planes, "presence": presence, "changes": changes},
        network({"planes": changed, "presence": presence}),
    )


def add_noise(
    planes: np.ndarray, strongest: float, generator: np.random.Generator
) -> np.ndarray:
    """Adds the noise of a camera: independent in each pixel and plane.

    Args:
        planes: uint16, [row, column, z].
        strongest: Largest standard deviation, in intensities; that of a patch
            is drawn evenly between 0 and it.
        generator: Draws both.

    Returns:
        uint16, same shape; values beyond its range are clipped.
    """
    if not strongest:
        return planes
    deviation = generator.uniform(0, strongest * MAX_UINT16)
    noise = generator.standard_normal(planes.shape, np.float32)
    noisy = np.rint(planes + np.float32(deviation) * noise)
    return np.clip(noisy, 0, MAX_UINT16).astype(np.uint16)


def offset_labels(
    labels: Mapping[str, np.ndarray],
    deviation: float,
    generator: np.random.Generator,
) -> dict[str, np.ndarray]:
    """Adds a constant to each label of a patch, another one to each.

    What a fluorescence camera shows where nothing glows differs between
    fields, and transmitted light does not tell by how much. A network that
    has seen one level only is sure of it.

    Args:
        labels: Label to uint16, [row, column].
        deviation: Standard deviation of the constants, in intensities.
        generator: Draws them.

    Returns:
        The same labels, uint16; values beyond its range are clipped.
    """
    if not deviation:
        return dict(labels)
    changed = {}
    for label, image in labels.items():
        offset = round(generator.normal(0, deviation * MAX_UINT16))
        values = np.clip(image.astype(np.int32) + offset, 0, MAX_UINT16)
        changed[label] = values.astype(np.uint16)
    return changed


def shift_focus(planes: np.ndarray, shift: int) -> np.ndarray:
    """Moves a stack along z; its last plane stands in for those beyond.

    Args:
        planes: [row, column, z].
        shift: Planes to move by, of either sign.
    """
    if not shift:
        return planes
    num_z = planes.shape[-1]
    return planes[..., np.clip(np.arange(num_z) + shift, 0, num_z - 1)]
