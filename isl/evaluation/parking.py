"""Images of wells that were scored, on disk until pictures show parts of them.

In memory those of a plate would add up.
"""

import dataclasses
import os
import pathlib
import tempfile
from collections.abc import Mapping

import numpy as np

from isl.evaluation.wells import WellScores


@dataclasses.dataclass(frozen=True)
class ParkedImage:
    """An image on disk.

    Attributes:
        path: A NumPy file of it.
    """

    path: pathlib.Path

    def __getitem__(self, place: tuple[slice, slice]) -> np.ndarray:
        """Returns rows and columns of the image."""
        # Opened each time: a plate has more images than a process may have
        # open files.
        return np.array(np.load(self.path, mmap_mode="r")[place])


def park_images(scores: WellScores, folder: str | os.PathLike) -> WellScores:
    """Moves the images of a well out of memory.

    Args:
        scores: The scores of the well.
        folder: Where there is room for them, 2 bytes a pixel and label; they
            have to stay there as long as the result is used.

    Returns:
        The same scores, with `ParkedImage` for images.
    """
    return dataclasses.replace(
        scores,
        predictions=_park(scores.predictions, folder),
        deviations=_park(scores.deviations, folder),
    )


def _park(
    images: Mapping[str, np.ndarray], folder: str | os.PathLike
) -> dict[str, ParkedImage]:
    parked = {}
    for label, image in images.items():
        with tempfile.NamedTemporaryFile(
            suffix=".npy", dir=folder, delete=False
        ) as file:
            np.save(file, image)
        parked[label] = ParkedImage(pathlib.Path(file.name))
    return parked
