"""Small plates to predict, and wells that kill who reads them."""

import concurrent.futures
import contextlib
import dataclasses
import functools
import os
import pathlib
import signal
import threading

import filelock
import keras

from isl.images import Well, open_image
from isl.network.model_folder import ModelDescription, save_model
from isl.prediction.plate_job import CLAIMS
from isl.prediction.well_inputs import WellInput
from tests.tiny_runs import MICRO

LABELS = ("DAPI_CONFOCAL", "MAP2_CONFOCAL")


def save_random_model(folder: pathlib.Path, seed: int = 2, **values) -> None:
    """A network with random weights for planes of two focal positions."""
    keras.utils.set_random_seed(seed)
    description = ModelDescription(MICRO, num_z=2, labels=LABELS, **values)
    save_model(folder, description.build(), description)


def read_tree(folder: pathlib.Path) -> dict[str, bytes]:
    """Every file of a folder, hidden ones included, by its path."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@dataclasses.dataclass(frozen=True)
class DeadlyPlane:
    """A plane; a process that reads its last row is killed, so many times."""

    plane: object
    marker: pathlib.Path
    num_deaths: int

    def __getattr__(self, name):
        return getattr(self.plane, name)

    def read(self, rows: slice, columns: slice):
        if rows.stop == self.plane.shape[0]:
            deaths = len(list(self.marker.parent.glob(f"{self.marker.name}*")))
            if deaths < self.num_deaths:
                self.marker.with_name(f"{self.marker.name}{deaths}").touch()
                os.kill(os.getpid(), signal.SIGKILL)
        return self.plane.read(rows, columns)


def open_deadly(path: str, marker: pathlib.Path, num_deaths: int) -> Well:
    """Opens an image that kills in the middle of its prediction."""
    well = open_image(path)
    planes = tuple(DeadlyPlane(p, marker, num_deaths) for p in well.planes)
    return dataclasses.replace(well, planes=planes)


def make_deadly(
    well: WellInput, marker: pathlib.Path, num_deaths: int = 1
) -> WellInput:
    """The same well, which kills `num_deaths` processes that predict it."""
    opener = functools.partial(open_deadly, well.path, marker, num_deaths)
    return dataclasses.replace(well, open=opener)


def open_until_ended(path: str, marker: pathlib.Path) -> Well:
    """Ends its process as a batch system does, and again as it cleans up."""
    try:
        signal.raise_signal(signal.SIGTERM)
        return open_image(path)
    finally:
        signal.raise_signal(signal.SIGTERM)
        marker.touch()


@contextlib.contextmanager
def claimed(output: pathlib.Path, well: str):
    """Somebody else has a well; what this yields makes them let go, later."""
    path = output / CLAIMS / f"{well}.lock"
    taken, release = threading.Event(), threading.Event()

    def hold():
        with filelock.FileLock(path):
            taken.set()
            release.wait()

    with concurrent.futures.ThreadPoolExecutor() as executor:
        executor.submit(hold)
        taken.wait()
        try:
            yield threading.Timer(0.2, release.set).start
        finally:
            release.set()
