"""Predicts part of a small and of a huge image; prints pixels and memory.

A program, because the peak of memory is that of a process.
"""

import itertools
import json
import sys

import numpy as np

from isl.images import Well, ZarrDescription, streamed_ome_zarr
from isl.machine import peak_resident_bytes
from isl.network.model_folder import ModelDescription
from isl.prediction.predictor import (
    Predictor,
    build_predictor,
    iter_predictions,
)
from isl.prediction.tiles import plan_tiles
from tests.tiny_runs import MICRO


class Ramp:
    """A plane of any size that takes no memory."""

    path = "ramp"
    dtype = np.dtype(np.uint16)

    def __init__(self, size: int):
        self.shape = (size, size)

    def read(self, rows: slice, columns: slice) -> np.ndarray:
        rows = np.arange(rows.start, rows.stop)[:, np.newaxis]
        columns = np.arange(columns.start, columns.stop)
        return ((rows + columns) % 65536).astype(np.uint16)


def predict(predictor: Predictor, size: int, folder: str) -> int:
    """Writes the first 80 tiles, and ends as if stopped; returns pixels."""
    well = Well("A1", None, None, (Ramp(size),) * 2, {}, None)
    tiling = plan_tiles(MICRO, well.shape)
    image = ZarrDescription(
        (size, size), predictor.channel_names, dtype=np.float32
    )
    pixels = 0
    try:
        with streamed_ome_zarr(f"{folder}/{size}.zarr", image) as sink:
            tiles = iter_predictions(predictor, well, tiling)
            for rows, columns, values in itertools.islice(tiles, 80):
                sink.write(rows, columns, values)
                pixels += values[0].size
            raise KeyboardInterrupt
    except KeyboardInterrupt:
        return pixels


def main(folder: str) -> None:
    description = ModelDescription(MICRO, 2, ("A", "B"))
    predictor = build_predictor(description.build(), description)
    for size in (1_056, 50_000):
        pixels = predict(predictor, size, folder)
        print(json.dumps([pixels, peak_resident_bytes()]))


if __name__ == "__main__":
    main(sys.argv[1])
