"""Several processes, perhaps on several machines, keep out of each other's way.

What a process works on stands for a file that it has locked (`flock`). The
operating system takes the lock away when the process ends, however it ends, so
one that was killed stands in nobody's way. Machines that share a folder have to
share its locks, too (docs/clusters.md).
"""

import contextlib
import os
import pathlib
from collections.abc import Iterator

import filelock

from isl.errors import InputError

# Of those who wait for a claim, seconds: file systems of clusters are slow.
_POLL_SECONDS = 0.5


@contextlib.contextmanager
def claim(path: str | os.PathLike, wait: bool = False) -> Iterator[bool]:
    """Holds a claim while the block runs.

    Args:
        path: File that stands for the claim; made if it is not there.
        wait: Whether to wait for another process that holds it.

    Yields:
        Whether the claim is held; if not, another process has it.

    Raises:
        InputError: If the file system has no locks.
    """
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = filelock.FileLock(path)
    is_ours = True
    try:
        lock.acquire(blocking=wait, poll_interval=_POLL_SECONDS)
    except filelock.Timeout:
        is_ours = False
    except NotImplementedError as error:
        raise InputError(
            f"{path}: must lie on a file system that has locks. Received: "
            f"{error}"
        ) from error
    try:
        yield is_ours
    finally:
        if is_ours:
            lock.release()
