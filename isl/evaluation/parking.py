"""Images of wells that were scored, on disk until pictures show parts of them.

In memory those of a plate would add up.
"""

import contextlib
import dataclasses
import os
import pathlib
import tempfile
from collections.abc import Iterable, Iterator, Mapping

import numpy as np

from isl.evaluation.wells import WellScores
from isl.images import Well


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


@contextlib.contextmanager
def parked(
    scored: Iterable[tuple[Well, WellScores]], folder: str | os.PathLike
) -> Iterator[list[tuple[Well, WellScores]]]:
    """Scores wells one after the other, their images out of memory.

    Args:
        scored: Wells and their scores, taken one by one.
        folder: Where there is room for images, 2 bytes a pixel and label.

    Yields:
        All of them, with `ParkedImage` for images; these go with the block.
    """
    with tempfile.TemporaryDirectory(prefix=".images", dir=folder) as room:
        yield [(well, _park_images(scores, room)) for well, scores in scored]


def _park_images(scores: WellScores, folder: str) -> WellScores:
    return dataclasses.replace(
        scores,
        predictions=_park(scores.predictions, folder),
        deviations=_park(scores.deviations, folder),
    )


def _park(
    images: Mapping[str, np.ndarray], folder: str
) -> dict[str, ParkedImage]:
    on_disk = {}
    for label, image in images.items():
        with tempfile.NamedTemporaryFile(
            suffix=".npy", dir=folder, delete=False
        ) as file:
            np.save(file, image)
        on_disk[label] = ParkedImage(pathlib.Path(file.name))
    return on_disk
