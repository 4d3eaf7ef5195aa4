"""How a result was made: commit, versions, machine. Standard library only."""

import importlib.metadata
import os
import pathlib
import platform
import subprocess
import sys

_PACKAGES = (
    "isl",
    "keras",
    "tensorflow",
    "jax",
    "torch",
    "openvino",
    "numpy",
)


def git_commit() -> str | None:
    """Returns the commit of this source tree, or None outside a checkout.

    "-dirty" is appended if tracked files differ from it. An installed copy
    has none, even if it lies inside the checkout of something else.
    """
    folder = pathlib.Path(__file__).resolve().parent
    try:
        top = _git(folder, "rev-parse", "--show-toplevel")
        if pathlib.Path(top).resolve() != folder.parent:
            return None
        return _git(folder, "describe", "--always", "--abbrev=12", "--dirty")
    except (OSError, subprocess.CalledProcessError):
        return None


def _git(folder: pathlib.Path, *arguments: str) -> str:
    return subprocess.run(
        ["git", *arguments],
        cwd=folder,
        capture_output=True,
        check=True,
        text=True,
    ).stdout.strip()


def versions() -> dict[str, str]:
    """Returns the versions of Python and of the packages that matter."""
    found = {"python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def describe_call() -> dict[str, str]:
    """Returns commit, versions and command line as a report shows them."""
    return {
        "commit": git_commit() or "unknown",
        "versions": ", ".join(f"{k} {v}" for k, v in versions().items()),
        "command": " ".join(sys.argv),
    }


def provenance() -> dict[str, object]:
    """Returns commit, versions and machine as JSON-serialisable values."""
    return {
        "git_commit": git_commit(),
        "versions": versions(),
        "platform": platform.platform(),
        "num_cpus": os.cpu_count(),
    }
