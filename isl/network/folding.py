"""The same network for prediction only, with less to compute.

In prediction a batch normalisation is a scale and an offset of each filter
(Ioffe and Szegedy 2015, section 3.1). After a convolution that nothing else
reads, both become part of its kernel and its bias; elsewhere they are computed
once instead of for each batch. Concatenations wait until after the
activations, so that nothing is copied twice (BUILD_NOTES D36). Where a
convolution makes few filters of many, each part of a concatenation is convolved
by itself and the results are added, which moves less than to copy the parts
(BUILD_NOTES D60).
"""

import collections
import dataclasses
from collections.abc import Mapping

import keras
import numpy as np
from keras import layers, ops, tree

_CONVOLUTIONS = (layers.Conv2D, layers.Conv2DTranspose)

# A convolution that reads more than this times the filters that it makes is
# done in parts.
_MANY_FILTERS = 2


@dataclasses.dataclass(frozen=True)
class _Affine:
    """A normalisation with fixed statistics.

    Attributes:
        scale: Of each filter, float64, [filter].
        offset: Likewise, added afterwards.
    """

    scale: np.ndarray
    offset: np.ndarray

    def filters(self, start: int, stop: int) -> "_Affine":
        """Returns that of some of the filters."""
        return _Affine(self.scale[start:stop], self.offset[start:stop])


@dataclasses.dataclass(frozen=True)
class _Plan:
    """What becomes of the layers of a network; others stay as they are.

    Attributes:
        folded: Name of a layer to the part of the normalisation after it
            that it takes over: a convolution or an input of a concatenation.
        removed: Names of normalisations that others take over.
    """

    folded: Mapping[str, _Affine]
    removed: frozenset[str]


def fold_normalization(model: keras.Model) -> keras.Model:
    """Builds a network that predicts the same with fewer operations.

    Args:
        model: From `isl.network.model.build_model`. Its weights and moving
            statistics are copied as they are now.

    Returns:
        A functional model with the inputs, the outputs and, but for
        normalisations and convolutions done in parts, the names of the layers
        of `model`. Results differ by rounding. It is for prediction: in
        training it would do the same.
    """
    rebuilding = _Rebuilding(_plan(model))
    return keras.models.clone_model(
        model,
        # Layers are copied where they are called, which is once for each.
        clone_function=lambda layer: layer,
        call_function=rebuilding.call,
    )


def _plan(model: keras.Model) -> _Plan:
    producers, readers = {}, collections.Counter()
    for operation in model.operations:
        producers[id(operation.output)] = operation
        if not isinstance(operation, layers.InputLayer):
            readers.update(map(id, tree.flatten(operation.input)))
    folded, removed = {}, set()
    for norm in model.layers:
        if not isinstance(norm, layers.BatchNormalization):
            continue
        before = producers[id(norm.input)]
        parts = [before]
        if isinstance(before, layers.Concatenate):
            parts = [producers[id(x)] for x in tree.flatten(before.input)]
        read_once = all(readers[id(p.output)] == 1 for p in [before, *parts])
        if not read_once or not isinstance(parts[0], _CONVOLUTIONS):
            continue
        affine, start = _affine(norm), 0
        for part in parts:
            stop = start + part.output.shape[-1]
            folded[part.name] = affine.filters(start, stop)
            start = stop
        removed.add(norm.name)
    return _Plan(folded, frozenset(removed))


def _affine(norm: layers.BatchNormalization) -> _Affine:
    gamma, beta, mean, variance = (
        ops.convert_to_numpy(weight).astype(np.float64)
        for weight in norm.get_weights()
    )
    scale = gamma / np.sqrt(variance + norm.epsilon)
    return _Affine(scale, beta - mean * scale)


class _Rebuilding:
    """Calls the layers of a network anew, one by one."""

    def __init__(self, plan: _Plan):
        self._plan = plan
        # By the identity of a concatenation, which is kept beside them so
        # that no other tensor takes it.
        self._parts = {}

    def call(self, layer: keras.Operation, *args, **kwargs):
        """Applies what stands for `layer`."""
        folded = self._plan.folded.get(layer.name)
        if layer.name in self._plan.removed:
            return args[0]
        if isinstance(layer, layers.BatchNormalization):
            return _rescale(_affine(layer), args[0], layer)
        if self._is_done_in_parts(layer, args[0]):
            _, parts = self._parts[id(args[0])]
            return _convolve_parts(layer, folded, parts)
        if isinstance(layer, _CONVOLUTIONS) and folded is not None:
            return _convolve(layer, folded, args[0])
        if isinstance(layer, layers.Concatenate):
            return self._concatenate(args[0])
        if isinstance(layer, layers.Activation) and id(args[0]) in self._parts:
            _, parts = self._parts[id(args[0])]
            return self._concatenate([layer.activation(x) for x in parts])
        if not isinstance(layer, layers.Layer):
            return layer(*args, **kwargs)
        copy = type(layer).from_config(layer.get_config())
        output = copy(*args, **kwargs)
        copy.set_weights(layer.get_weights())
        return output if folded is None else _rescale(folded, output, layer)

    def _is_done_in_parts(self, layer: keras.Operation, x) -> bool:
        return (
            isinstance(layer, layers.Conv2D)
            and layer.groups == 1
            and layer.activation is keras.activations.linear
            and id(x) in self._parts
            and x.shape[-1] > _MANY_FILTERS * layer.filters
        )

    def _concatenate(self, tensors):
        """Concatenates filters, or parts of what is itself concatenated.

        What is then read by nobody is no part of the network.
        """
        parts = []
        for x in tensors:
            parts += self._parts[id(x)][1] if id(x) in self._parts else [x]
        joined = ops.concatenate(parts, axis=-1)
        self._parts[id(joined)] = (joined, parts)
        return joined


def _rescale(affine: _Affine, x, layer: layers.Layer):
    return layers.Rescaling(
        affine.scale, affine.offset, dtype=layer.dtype_policy
    )(x)


def _convolve(layer: layers.Layer, affine: _Affine, x):
    """Applies a convolution and what comes after it as one."""
    copy = type(layer).from_config({**layer.get_config(), "use_bias": True})
    output = copy(x)
    copy.set_weights(_folded_weights(layer, affine))
    return output


def _convolve_parts(layer: layers.Conv2D, affine: _Affine | None, parts):
    """Applies a convolution to what would be concatenated."""
    affine = affine or _Affine(np.ones(layer.filters), np.zeros(layer.filters))
    kernel, bias = _folded_weights(layer, affine)
    total, start = None, 0
    for index, part in enumerate(parts):
        name = f"{layer.name}_part{index}"
        # A bias of zeros too: after one, TensorFlow adds in the convolution.
        config = {**layer.get_config(), "use_bias": True, "name": name}
        copy = layers.Conv2D.from_config(config)
        output = copy(part)
        stop = start + part.shape[-1]
        copy.set_weights([kernel[:, :, start:stop], bias])
        total = output if total is None else ops.add(total, output)
        start, bias = stop, np.zeros_like(bias)
    return total


def _folded_weights(
    layer: layers.Layer, affine: _Affine
) -> tuple[np.ndarray, np.ndarray]:
    """Kernel and bias of a convolution and what comes after it."""
    kernel, bias = (*layer.get_weights(), 0.0)[:2]
    # A transposed convolution has its output filters before its input's.
    is_transposed = isinstance(layer, layers.Conv2DTranspose)
    scale = affine.scale[:, np.newaxis] if is_transposed else affine.scale
    return kernel * scale, bias * affine.scale + affine.offset
