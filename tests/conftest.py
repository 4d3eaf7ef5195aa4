"""Fixtures shared by the tests."""

import importlib.util
import os
import pathlib
import shutil

import numpy as np
import pytest
from absl import flags
from absl.testing import flagsaver

from tests import inspection_images


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


@pytest.fixture
def eagerly():
    """Networks run without graphs: to compile one takes longer than few steps.

    For what is done around a network; other tests compile the same ones.
    """
    import tensorflow as tf

    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


@pytest.fixture(scope="session")
def golden_folder() -> pathlib.Path:
    """Folder of the original's answers; the test is skipped without it."""
    root = pathlib.Path(__file__).parents[1]
    default = root.parent / "shared" / "data"
    data = pathlib.Path(os.environ.get("ISL_SHARED_DATA", default))
    path = data.parent / "golden" / "original_a"
    if not path.is_dir():
        pytest.skip(
            f"no reference values at {path}: set ISL_SHARED_DATA to the "
            f"folder of real images beside golden/"
        )
    return path


@pytest.fixture(scope="session")
def golden(golden_folder) -> dict[str, np.ndarray]:
    """Arrays of the original's answers; see the README beside them."""
    with np.load(golden_folder / "golden_a.npz") as arrays:
        return dict(arrays)


@pytest.fixture(scope="session")
def golden_conversion(golden_folder, tmp_path_factory):
    """Model folder of the original's checkpoint, and what went where."""
    from isl.network import tf1_checkpoint

    folder = tmp_path_factory.mktemp("golden") / "model"
    return folder, tf1_checkpoint.convert(golden_folder / "checkpoint", folder)


@pytest.fixture(scope="session")
def golden_model_folder(golden_conversion) -> pathlib.Path:
    """The original's checkpoint as a model folder."""
    return golden_conversion[0]


@pytest.fixture(scope="session")
def golden_model(golden_model_folder):
    """The network of the original's checkpoint, from its model folder."""
    from isl.network import model_folder

    return model_folder.load_model(golden_model_folder)[0]


@pytest.fixture(scope="session")
def good_plate(tmp_path_factory) -> pathlib.Path:
    """A folder of two wells that nothing is wrong with; not to be changed."""
    folder = tmp_path_factory.mktemp("good") / "plate"
    inspection_images.write_plate(folder)
    return folder


@pytest.fixture
def plate(good_plate, tmp_path) -> pathlib.Path:
    """A copy of `good_plate` that a test may spoil."""
    return shutil.copytree(good_plate, tmp_path / "plate")


@pytest.fixture(scope="module")
def script(request):
    """The script that SCRIPT of the test module names, as a module.

    Its flags are forgotten afterwards: scripts share the names of flags.
    """
    name = request.module.SCRIPT
    path = pathlib.Path(__file__).parents[1] / "experiments" / f"{name}.py"
    before = set(flags.FLAGS)
    definition = importlib.util.spec_from_file_location(f"{name}_script", path)
    module = importlib.util.module_from_spec(definition)
    definition.loader.exec_module(module)
    flags.FLAGS.mark_as_parsed()
    yield module
    flags.FLAGS.unparse_flags()
    for flag in set(flags.FLAGS) - before:
        delattr(flags.FLAGS, flag)


@pytest.fixture
def run(script):
    """Runs the script with flags, given as keyword arguments."""

    def run_with(**values):
        with flagsaver.as_parsed(**{k: str(v) for k, v in values.items()}):
            script.main()

    return run_with


@pytest.fixture(scope="session")
def wells(tmp_path_factory) -> pathlib.Path:
    """Folder of two simulated wells and their spec; the second is a test."""
    from isl.simulation.dataset import write_dataset

    root = tmp_path_factory.mktemp("wells")
    write_dataset(root, 2, 64, 2, 0)
    return root


@pytest.fixture(scope="session")
def model(tmp_path_factory) -> pathlib.Path:
    """A network with random weights for two planes and one label."""
    from isl.network.model_folder import ModelDescription, save_model
    from tests.tiny_runs import MICRO

    folder = tmp_path_factory.mktemp("model") / "model"
    description = ModelDescription(MICRO, 2, ("DAPI_CONFOCAL",))
    save_model(folder, description.build(), description)
    return folder
