"""Splits a batch so that the losses of its parts belong to the whole."""

import numpy as np

from isl.training.crops import Batch


def split_batch(
    batch: Batch, num_parts: int, factor: float = 1.0
) -> list[Batch]:
    """Splits a batch into parts of equal size.

    A masked loss divides by the number of patches that have a label
    (`isl.network.losses.MaskedLoss`), which differs between parts. So the
    weights of a part are multiplied by its share of these patches times
    `num_parts`: then the mean of the parts' losses is the loss of the batch.

    Args:
        batch: From `isl.training.crops.CropSampler.batch`.
        num_parts: Divides the number of patches.
        factor: Further factor of all weights.
    """
    present = {
        head: max(1, np.count_nonzero(values))
        for head, values in batch[2].items()
    }
    parts = []
    for index in range(num_parts):
        inputs, targets, weights = batch_part(batch, index, num_parts)
        for head, values in weights.items():
            share = np.count_nonzero(values) / present[head]
            weights[head] = values * np.float32(factor * num_parts * share)
        parts.append((inputs, targets, weights))
    return parts


def batch_part(batch: Batch, index: int, num_parts: int) -> Batch:
    """Returns one of several parts of equal size, weights as they are.

    Args:
        batch: From `isl.training.crops.CropSampler.batch`.
        index: Number of the part.
        num_parts: Divides the number of patches.
    """
    inputs, targets, weights = (
        {
            name: np.split(values, num_parts)[index]
            for name, values in arrays.items()
        }
        for arrays in batch
    )
    return inputs, targets, weights
