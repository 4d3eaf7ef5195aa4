"""What computes a prediction: Keras, or OpenVINO on the processor.

OpenVINO runs the network that Keras built, with faster convolutions. It reads
the network from a TensorFlow graph whose weights are constants. Its conversion
tool, which has telemetry, is not used (BUILD_NOTES D36).
"""

import dataclasses
import pathlib
import tempfile
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext

import keras
import numpy as np

from isl.errors import InputError
from isl.extras import import_extra
from isl.network.intensity_bins import without_products
from isl.network.precision import BFLOAT16, FLOAT32
from isl.prediction.predictor import Predictor

KERAS = "keras"
KERAS_BFLOAT16 = "keras_bfloat16"
OPENVINO = "openvino"
OPENVINO_BFLOAT16 = "openvino_bfloat16"
ENGINES = {
    KERAS: FLOAT32,
    KERAS_BFLOAT16: BFLOAT16,
    OPENVINO: FLOAT32,
    OPENVINO_BFLOAT16: BFLOAT16,
}
"""Names to what features are computed in."""

_OF_KERAS = (KERAS, KERAS_BFLOAT16)
_DEVICE = "CPU"


class OpenVinoEngine:
    """The network of a predictor, run by OpenVINO.

    It is converted for each new shape of its input; all tiles of an image
    have the same.
    """

    def __init__(
        self, model: keras.Model, name: str, num_threads: int | None = None
    ):
        """Prepares to convert a network.

        Args:
            model: `Predictor.model`.
            name: `OPENVINO` or `OPENVINO_BFLOAT16`.
            num_threads: Threads that compute; None for one a core.

        Raises:
            InputError: As `check_engine`.
        """
        check_engine(name)
        precision = "bf16" if name == OPENVINO_BFLOAT16 else "f32"
        self._options = {
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_PRECISION_HINT": precision,
        }
        if num_threads is not None:
            self._options["INFERENCE_NUM_THREADS"] = num_threads
        openvino = import_extra("openvino", "openvino", "engine")
        self._core = openvino.Core()
        self._model = model
        self._is_reduced = name == OPENVINO_BFLOAT16
        self._shapes = None
        self._request = None

    def predict_on_batch(self, inputs: Mapping[str, np.ndarray]) -> np.ndarray:
        """Predicts one batch.

        Args:
            inputs: As of `Predictor.model`.

        Returns:
            Likewise; the array is not used again.
        """
        shapes = {name: array.shape for name, array in inputs.items()}
        if shapes != self._shapes:
            self._compile(shapes)
        # A TensorFlow tensor is called by its operation and a number.
        named = {f"{name}:0": array for name, array in inputs.items()}
        (values,) = self._request.infer(named, share_inputs=True).values()
        return values

    def _compile(self, shapes: dict[str, tuple[int, ...]]) -> None:
        # Two compiled networks would hold twice the memory.
        self._request = None
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder, "network.pb")
            with self._tracing():
                path.write_bytes(_constant_graph(self._model, shapes))
            network = self._core.read_model(path)
        compiled = self._core.compile_model(network, _DEVICE, self._options)
        self._request = compiled.create_infer_request()
        self._shapes = shapes

    def _tracing(self) -> AbstractContextManager[None]:
        # OpenVINO computes in bfloat16 up to the last product of a network.
        return without_products() if self._is_reduced else nullcontext()


def check_engine(name: str) -> None:
    """Checks that this process can use an engine.

    Args:
        name: One of `ENGINES`.

    Raises:
        InputError: If OpenVINO is not installed, the back end of Keras is
            not TensorFlow, or the processor has no bfloat16.
    """
    if name not in ENGINES:
        raise InputError(
            f"engine: must be from {', '.join(ENGINES)}. Received: {name}"
        )
    if runs_in_keras(name):
        return
    backend = keras.backend.backend()
    if backend != "tensorflow":
        raise InputError(
            f"engine: {name} must have the Keras back end tensorflow, whose "
            f"graphs it reads. Received: {backend}"
        )
    openvino = import_extra("openvino", "openvino", "engine")
    if name == OPENVINO_BFLOAT16:
        known = openvino.Core().get_property(
            _DEVICE, "OPTIMIZATION_CAPABILITIES"
        )
        if "BF16" not in known:
            raise InputError(
                f"engine: {name} must have a processor that computes in "
                f"bfloat16. Received: one with {', '.join(known)}"
            )


def runs_in_keras(name: str) -> bool:
    """Whether an engine of `ENGINES` is Keras itself, with its back end."""
    return name in _OF_KERAS


def precision_of(name: str) -> str:
    """Returns what a network has to be built in for an engine.

    OpenVINO converts a network of float32 itself.

    Args:
        name: One of `ENGINES`.
    """
    return ENGINES[name] if runs_in_keras(name) else FLOAT32


def with_engine(
    predictor: Predictor, name: str, num_threads: int | None = None
) -> Predictor:
    """Returns a predictor whose network is run by an engine.

    Args:
        predictor: From `isl.prediction.predictor.build_predictor`, of a
            network built in `precision_of` the engine.
        name: One of `ENGINES`.
        num_threads: Of OpenVINO; None for one a core. Keras has those of its
            back end.

    Raises:
        InputError: As `check_engine`.
    """
    check_engine(name)
    if runs_in_keras(name):
        return predictor
    engine = OpenVinoEngine(predictor.model, name, num_threads)
    return dataclasses.replace(predictor, model=engine)


def _constant_graph(
    model: keras.Model, shapes: Mapping[str, tuple[int, ...]]
) -> bytes:
    """Traces a network into a TensorFlow graph that holds its weights.

    The graph is for inputs of these shapes: OpenVINO gets the sizes of shifted
    passes (`isl.network.exact`) wrong where it has to derive them.
    """
    import tensorflow as tf

    signature = {
        x.name: tf.TensorSpec(shapes[x.name], x.dtype, x.name)
        for x in model.inputs
    }

    def constants(variables: list[keras.Variable]) -> list[np.ndarray]:
        return [keras.ops.convert_to_numpy(v) for v in variables]

    trainable = constants(model.trainable_variables)
    other = constants(model.non_trainable_variables)

    @tf.function(input_signature=[signature])
    def predict(inputs):
        outputs, _ = model.stateless_call(
            trainable, other, inputs, training=False
        )
        return outputs

    graph = predict.get_concrete_function().graph
    return graph.as_graph_def().SerializeToString()
