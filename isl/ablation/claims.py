"""Several processes, perhaps on several machines, share out work."""

import contextlib
import fcntl
import os
import pathlib
from collections.abc import Iterator


@contextlib.contextmanager
def claim(path: str | os.PathLike, wait: bool = False) -> Iterator[bool]:
    """Holds a claim while the block runs.

    The system frees the claim of a process that was killed.

    Args:
        path: File that stands for the claim; made if it is not there.
        wait: Whether to wait for another process that holds it.

    Yields:
        Whether the claim is held; if not, another process has it.
    """
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            yield False
            return
        yield True
