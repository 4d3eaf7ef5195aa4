"""Trained models that come with the package, known by their names.

Each is a model folder in `isl/models`, with its licence, its report and what
it was trained on. Standard library only.
"""

import os
import pathlib

_FOLDER = pathlib.Path(__file__).parents[1] / "models"


def shipped_models() -> tuple[str, ...]:
    """Returns the names of the models that come with the package."""
    if not _FOLDER.is_dir():
        return ()
    return tuple(sorted(path.name for path in _FOLDER.iterdir()))


def find_model(folder: str | os.PathLike) -> pathlib.Path:
    """Returns the folder of a model.

    Args:
        folder: A folder, or the name of a model that comes with the package;
            a folder of that name comes first.

    Returns:
        `folder` itself, unless nothing is there and the package has a model
        of this name.
    """
    path = pathlib.Path(folder)
    if not path.exists() and os.fspath(folder) in shipped_models():
        return _FOLDER / path
    return path
