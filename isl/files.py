"""Writing files and folders so that a failure leaves nothing half-written."""

import contextlib
import glob
import json
import os
import pathlib
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from typing import Any

from isl.errors import InputError

# What stood at a path, while a folder takes its place.
_REPLACED = "replaced"


@contextlib.contextmanager
def atomic_path(path: str | os.PathLike) -> Iterator[pathlib.Path]:
    """Yields a temporary path that replaces `path` if the block succeeds.

    The block may create a file or a folder there. The temporary name keeps
    the suffix of `path`, because some writers choose the format by it.

    Args:
        path: The final path. Its folder is created if needed. An existing
            file or folder is replaced.

    Yields:
        A path beside `path` that does not exist yet.
    """
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    holder = pathlib.Path(
        tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent)
    )
    temporary = holder / path.name
    replaced = holder / _REPLACED
    try:
        yield temporary
        if path.is_dir() and temporary.is_dir():
            # A folder cannot be renamed over a folder that is not empty.
            os.rename(path, replaced)
        os.replace(temporary, path)
    finally:
        if replaced.exists() and not path.exists():
            os.rename(replaced, path)
        shutil.rmtree(holder, ignore_errors=True)


def make_folder(path: str | os.PathLike, flag: str) -> pathlib.Path:
    """Makes a folder, and sure that it can be written into.

    For work that takes long and writes at its end.

    Args:
        path: The folder.
        flag: What it was given by, for messages.

    Returns:
        The folder.

    Raises:
        InputError: If it cannot be made or written into.
    """
    folder = pathlib.Path(path)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return folder
    except OSError as error:
        raise InputError(
            f"{folder}: {flag} must be a folder that can be written into. "
            f"Received: {error.strerror}"
        ) from error


def remove_leftovers(path: str | os.PathLike) -> None:
    """Removes what killed writers of a path have left beside it.

    What one of them had moved aside, and not yet replaced, is moved back.

    Args:
        path: As `atomic_path` takes it. Nobody may be writing it now.
    """
    path = pathlib.Path(path)
    for holder in path.parent.glob(f".{glob.escape(path.name)}.*"):
        if not holder.is_dir():
            continue
        replaced = holder / _REPLACED
        if replaced.exists() and not path.exists():
            os.rename(replaced, path)
        shutil.rmtree(holder)


def write_text(path: str | os.PathLike, text: str) -> None:
    """Writes a UTF-8 text file, all of it or nothing."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: str | os.PathLike, value: Any) -> None:
    """Writes a value as indented JSON, all of it or nothing."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def read_json(path: str | os.PathLike) -> Any:
    """Reads a JSON file.

    Raises:
        InputError: If the file is missing, is not UTF-8 or is not JSON, or an
            object in it has a key twice.
    """
    try:
        # Windows programs begin a file with a mark of its encoding.
        text = pathlib.Path(path).read_text(encoding="utf-8-sig")
        return json.loads(text, object_pairs_hook=_unique_keys)
    except OSError as error:
        raise InputError(
            f"{path}: cannot be read ({error.strerror})."
        ) from error
    except (RecursionError, ValueError) as error:
        raise InputError(f"{path}: must be valid JSON. {error}.") from error


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Makes an object; without this the last of equal keys wins, unseen."""
    found = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f"An object has the key {key!r} twice")
        found[key] = value
    return found


def read_json_object(
    path: str | os.PathLike, fields: Mapping[str, type] | None = None
) -> dict[str, Any]:
    """Reads a JSON file that holds an object.

    Args:
        path: The file.
        fields: Keys that it must have to the types of their values.

    Raises:
        InputError: If it does not, and as `read_json`.
    """
    value = read_json(path)
    if not isinstance(value, dict):
        raise InputError(
            f"{path}: must be a JSON object. Received: {type(value).__name__}"
        )
    for key, kind in (fields or {}).items():
        if not isinstance(value.get(key), kind):
            raise InputError(
                f"{path}: must have {key}, as {kind.__name__}. Received: "
                f"{json.dumps(value.get(key))[:60]}"
            )
    return value
