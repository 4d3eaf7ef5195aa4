"""What a process takes of its machine. Standard library only."""

import resource
import sys


def peak_resident_bytes() -> int:
    """The most memory that this process has held so far, bytes."""
    size = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return size if sys.platform == "darwin" else size * 1024
