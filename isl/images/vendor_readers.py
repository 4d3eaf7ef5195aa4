"""Open readers of vendor formats, one a file, shared by all that read it.

To open a file takes longer than to read a plane of it: its format has to be
found and its metadata parsed.
"""

import collections
import contextlib
import os
import pathlib
import threading
from collections.abc import Iterator
from typing import Any

from isl.errors import InputError
from isl.extras import import_extra

# Suffix of a file to the package that teaches bioio to read it. The extra
# holds the first three, which need neither Java nor a compiler.
PLUGINS = {
    ".czi": "bioio-czi",
    ".nd2": "bioio-nd2",
    ".lif": "bioio-lif",
    ".dv": "bioio-dv",
    ".r3d": "bioio-dv",
    ".ims": "bioio-bioformats",
    ".oib": "bioio-bioformats",
    ".oif": "bioio-bioformats",
    ".vsi": "bioio-bioformats",
}

# Files that are kept open: wells are read one after the other.
MAX_READERS = 8


class ReaderPool:
    """Keeps the readers that were used last.

    A reader that leaves is dropped, which closes its file (bioio knows no
    other way), as soon as nobody reads from it any more. A file that was
    changed on disk is opened anew.
    """

    def __init__(self, most: int):
        """Opens nothing.

        Args:
            most: Readers to keep.
        """
        self._most = most
        self.clear()

    def clear(self) -> None:
        """Drops all readers."""
        self._lock = threading.Lock()
        self._readers: collections.OrderedDict[
            tuple, tuple[Any, threading.RLock]
        ] = collections.OrderedDict()

    @contextlib.contextmanager
    def lend(
        self, file: pathlib.Path, scene: int | None = None
    ) -> Iterator[Any]:
        """Yields the reader of a file, for one thread at a time.

        A reader shows one scene at a time, and what it returns lazily may
        depend on it: decode before the block ends.

        Args:
            file: The file.
            scene: Index of the scene that the reader is to show; None if that
                does not matter.

        Raises:
            InputError: If the extra or its plugin is not installed, or the
                file cannot be read.
        """
        with self._lock:
            reader, lock = self._find(file)
        with lock:
            if scene is not None:
                reader.set_scene(scene)
            yield reader

    def _find(self, file: pathlib.Path) -> tuple[Any, threading.RLock]:
        key = _identify(file)
        if key not in self._readers:
            self._readers[key] = _open_reader(file), threading.RLock()
        self._readers.move_to_end(key)
        if len(self._readers) > self._most:
            self._readers.popitem(last=False)
        return self._readers[key]


READERS = ReaderPool(MAX_READERS)

if hasattr(os, "register_at_fork"):
    # A child shares neither the locks nor the open files of its parent.
    os.register_at_fork(after_in_child=READERS.clear)


def _identify(file: pathlib.Path) -> tuple:
    try:
        status = file.stat()
    except OSError as error:
        raise InputError(
            f"{file}: cannot be read ({error.strerror})."
        ) from error
    return file.absolute(), status.st_mtime_ns, status.st_size


def _open_reader(file: pathlib.Path) -> Any:
    bioio = import_extra("bioio", "bioio", str(file))
    try:
        return bioio.BioImage(file)
    # No plugin, or what the plugin raises for a damaged file.
    except Exception as error:
        plugin = PLUGINS[file.suffix.lower()]
        raise InputError(
            f"{file}: must be a file that bioio can read with its plugin "
            f"{plugin} (pip install {plugin}). Received: {error!r}."
        ) from error
