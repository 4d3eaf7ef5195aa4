"""Images of one well, parked on disk until it is known how to scale them."""

import contextlib
import dataclasses
import os
import tempfile
from collections.abc import Iterator
from typing import BinaryIO

import numpy as np


@dataclasses.dataclass(frozen=True)
class ScratchImages:
    """float32 images of one size in a file.

    Plain reads and writes: pages of a memory map would count as memory of
    the process.

    Attributes:
        file: The file.
        shape: Rows and columns of each image.
    """

    file: BinaryIO
    shape: tuple[int, int]

    def append(self, image: np.ndarray) -> None:
        """Adds an image, [row, column], as float32."""
        self.file.seek(0, os.SEEK_END)
        self.file.write(np.ascontiguousarray(image, np.float32).data)

    def read(self, index: int, rows: slice) -> np.ndarray:
        """Returns rows of an image, float32, [row, column].

        Args:
            index: Of the image, in the order in which they were added.
            rows: First row and the row after the last.
        """
        num_rows, num_columns = self.shape
        first = (index * num_rows + rows.start) * num_columns
        band = np.empty((rows.stop - rows.start, num_columns), np.float32)
        self.file.seek(first * band.itemsize)
        self.file.readinto(band.data)
        return band


@contextlib.contextmanager
def scratch_images(
    folder: str | os.PathLike, shape: tuple[int, int]
) -> Iterator[ScratchImages]:
    """Yields room for images on disk that vanish when the block ends.

    Args:
        folder: Where there is room for them, 4 bytes a pixel.
        shape: Rows and columns of each image.
    """
    with tempfile.TemporaryFile(dir=folder) as file:
        yield ScratchImages(file, shape)
