"""The tiles of one well, corrected, read one at a time."""

import dataclasses

import numpy as np

from isl.errors import InputError
from isl.images import FieldPlane, RawWell
from isl.preprocessing.corrections import TileSteps
from isl.preprocessing.focus import best_plane, focus_measure

# Tiles of a well whose planes vote for the one in focus.
FOCUS_TILES = 9


@dataclasses.dataclass(frozen=True)
class WellTiles:
    """Reads the tiles of one well.

    Attributes:
        well: Its files.
        steps: What is done to each tile.
    """

    well: RawWell
    steps: TileSteps
    _in_focus: dict[str, int] = dataclasses.field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    @property
    def modality(self) -> str:
        """The channel of the transmitted light."""
        return self.steps.modality

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels, in order."""
        return tuple(self.well.fields[0].labels)

    def num_planes(self, channel: str) -> int:
        """Number of planes of a channel."""
        return len(self._stack(channel, 0))

    def read(self, channel: str, z: int, index: int) -> np.ndarray:
        """Returns a tile in units of the camera, float32, [row, column].

        Args:
            channel: The modality or a label.
            z: Plane, from 0.
            index: The tile.

        Raises:
            InputError: If its file cannot be read or has another size.
        """
        plane = self._stack(channel, index)[z]
        try:
            return self.steps.apply(plane.read(), channel)
        except InputError as error:
            if plane.path in str(error):
                raise
            raise InputError(f"{plane.path}: {error}") from error

    def check_whole_numbers(self) -> None:
        """Raises InputError if files hold what 16 bits cannot."""
        for channel in (self.modality, *self.labels):
            plane = self._stack(channel, 0)[0]
            dtype = plane.read().dtype
            if dtype not in (np.uint8, np.uint16):
                raise InputError(
                    f"{plane.path}: must hold whole numbers of 8 or 16 bits, "
                    f"not signed, or a step normalize must scale them. "
                    f"Received: {dtype}"
                )

    def plane_in_focus(self, channel: str) -> int:
        """Returns the plane that is in focus in most of some tiles.

        Found once: it takes each plane of these tiles.
        """
        if channel not in self._in_focus:
            self._in_focus[channel] = self._find_focus(channel)
        return self._in_focus[channel]

    def _find_focus(self, channel: str) -> int:
        count, num_tiles = self.num_planes(channel), len(self.well.fields)
        if count == 1:
            return 0
        voting = np.linspace(0, num_tiles - 1, min(FOCUS_TILES, num_tiles))
        tiles = voting.round().astype(int)

        def measure(z: int) -> np.ndarray:
            blocks = [focus_measure(self.read(channel, z, k)) for k in tiles]
            return np.concatenate([block.ravel() for block in blocks])[None]

        return best_plane([measure(z) for z in range(count)])

    def _stack(self, channel: str, index: int) -> tuple[FieldPlane, ...]:
        field = self.well.fields[index]
        if channel == self.modality:
            return field.planes
        return field.labels[channel]
