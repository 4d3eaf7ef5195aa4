"""Fixtures shared by the tests."""

import os
import pathlib

import pytest


@pytest.fixture(scope="session")
def shared_data() -> pathlib.Path:
    """Folder of real images; the test is skipped where it is absent."""
    root = pathlib.Path(__file__).parents[1]
    default = root.parent / "shared" / "data"
    path = pathlib.Path(os.environ.get("ISL_SHARED_DATA", default))
    if not path.is_dir():
        pytest.skip(
            f"no real images at {path}: set ISL_SHARED_DATA to their folder"
        )
    return path
