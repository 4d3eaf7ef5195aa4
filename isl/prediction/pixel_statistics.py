"""The end of a network in prediction: from features to statistics."""

import math

import keras
from keras import ops

from isl.network import intensity_bins
from isl.network.model import with_raw_input
from isl.network.model_folder import ModelDescription
from isl.network.networks import Network

# More rows hold more than the caches of a processor, fewer are many small
# operations.
_MOST_ROWS = 16
_FEWEST_ROWS = 8


class PixelStatistics(keras.layers.Layer):
    """Statistics of the distribution of each pixel of a label."""

    def __init__(self, names: tuple[str, ...], **kwargs):
        """Computes the statistics `names`; see `intensity_bins`."""
        super().__init__(**kwargs)
        self.names = names

    def call(self, logits):
        """Maps [..., bin] to [..., statistic], float32 in [0, 1]."""
        return intensity_bins.statistics(logits, self.names)

    def compute_output_spec(self, logits):
        """Shape of the statistics."""
        shape = (*logits.shape[:-1], len(self.names))
        return keras.KerasTensor(shape, "float32")


class HeadStatistics(keras.layers.Layer):
    """A head and its statistics, for a band of rows at a time.

    The distributions of all pixels of a tile would be the largest array of a
    prediction, by far: 256 values for each.
    """

    def __init__(
        self,
        head: keras.layers.Conv2D,
        temperature: float,
        names: tuple[str, ...],
        num_rows: int,
        **kwargs,
    ):
        """Wraps a head.

        Args:
            head: Gives logits; its kernel has one row and one column.
            temperature: What logits are divided by.
            names: Statistics; see `intensity_bins`.
            num_rows: Of a band; the rows of a tile are a multiple.
            **kwargs: Of every layer.
        """
        super().__init__(**kwargs)
        self.head = head
        self.temperature = temperature
        self.names = names
        self.num_rows = num_rows

    def call(self, features):
        """Maps [batch, row, column, filter] to [..., statistic], in [0, 1]."""
        batch, rows, columns, filters = ops.shape(features)
        shape = (-1, self.num_rows, columns, filters)
        values = ops.map(self._band, ops.reshape(features, shape))
        return ops.reshape(values, (batch, rows, columns, len(self.names)))

    def _band(self, features):
        logits = self.head(features[None])[0] / self.temperature
        return intensity_bins.statistics(logits, self.names)

    def compute_output_spec(self, features):
        """Shape of the statistics."""
        shape = (*features.shape[:-1], len(self.names))
        return keras.KerasTensor(shape, "float32")


def rows_of_a_band(network: Network) -> int | None:
    """Rows for which distributions are computed at a time.

    Only TensorFlow on a processor works in bands: accelerators have the
    memory, and wait for each of many small operations.

    Args:
        network: The table.

    Returns:
        A divisor of the rows of every output of the network; None if there is
        no distribution, or the rows of all are computed at once.
    """
    if network.num_bins is None or not intensity_bins.is_tensorflow_on_cpu():
        return None
    num_rows = math.gcd(network.output_size, network.grid, _MOST_ROWS)
    return num_rows if num_rows >= _FEWEST_ROWS else None


def with_statistics(
    model: keras.Model,
    description: ModelDescription,
    labels: tuple[str, ...],
    names: tuple[str, ...],
    num_rows: int | None = None,
) -> keras.Model:
    """Wraps a network from raw planes to statistics.

    Args:
        model: The network; weights are shared.
        description: Of it.
        labels: Heads to evaluate; others cost nothing.
        names: Statistics of each.
        num_rows: From `rows_of_a_band`; None for all at once.

    Returns:
        See `isl.prediction.predictor.Predictor.model`.
    """
    if num_rows is None:
        raw = with_raw_input(
            model, labels, temperatures=description.temperatures
        )
        ends = {
            label: PixelStatistics(names, dtype="float32") for label in labels
        }
    else:
        heads = {label: model.get_layer(label) for label in labels}
        features = {label: head.input for label, head in heads.items()}
        raw = with_raw_input(keras.Model(model.inputs, features), labels)
        ends = {
            label: HeadStatistics(
                head,
                description.temperatures.get(label, 1.0),
                names,
                num_rows,
                dtype="float32",
            )
            for label, head in heads.items()
        }
    values = [ends[label](raw.output[label]) for label in labels]
    return keras.Model(raw.input, ops.concatenate(values, axis=-1))
