import keras
import numpy as np
import pytest

from isl.errors import InputError
from isl.network import tf1_checkpoint
from isl.network.architecture import TINY
from isl.network.model import build_model
from isl.network.model_folder import load_description
from isl.network.tf1_variables import Description, variable_places
from tests import tf1_files

DATA = ".data-00000-of-00001"


@pytest.fixture(scope="module")
def variables():
    return tf1_files.random_variables(tf1_files.network())


@pytest.fixture(scope="module")
def source(variables, tmp_path_factory):
    """A checkpoint as a training run leaves it; do not change it."""
    folder = tmp_path_factory.mktemp("checkpoint")
    everything = tf1_files.with_optimizer(variables, step=7)
    tf1_files.write(folder / "model.ckpt-7", everything)
    return folder


@pytest.fixture
def copied(source, tmp_path):
    """A copy of the checkpoint that a test may damage."""
    folder = tmp_path / "checkpoint"
    folder.mkdir()
    for path in source.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    return folder


def error_of(checkpoint, tmp_path):
    """The message with which a conversion fails, leaving nothing behind."""
    output = tmp_path / "output"
    with pytest.raises(InputError) as caught:
        tf1_checkpoint.convert(checkpoint, output)
    assert not output.exists()
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith(str(checkpoint))
    return message


def values_by_place(model):
    return {
        (layer.name, weight.name): keras.ops.convert_to_numpy(weight)
        for layer in model.layers
        for weight in layer.weights
    }


def test_any_file_the_prefix_or_the_folder(source):
    prefix = source / "model.ckpt-7"
    for name in ("model.ckpt-7", "model.ckpt-7.index", f"model.ckpt-7{DATA}"):
        assert tf1_checkpoint.find_prefix(source / name) == prefix
    assert tf1_checkpoint.find_prefix(str(source)) == prefix
    assert tf1_checkpoint.find_prefix(source / "model.ckpt-7.meta") == prefix


def test_the_newest_checkpoint_of_a_folder(tmp_path):
    for step in (9, 10, 100):
        (tmp_path / f"model.ckpt-{step}.index").touch()
    (tmp_path / "other.index").touch()

    def newest():
        return tf1_checkpoint.find_prefix(tmp_path).name

    assert newest() == "model.ckpt-100"
    state = tmp_path / "checkpoint"
    for path in ("model.ckpt-10", "/where/it/was/trained/model.ckpt-10"):
        state.write_text(
            f'model_checkpoint_path: "{path}"\n'
            f'all_model_checkpoint_paths: "model.ckpt-9"\n'
        )
        assert newest() == "model.ckpt-10"
    state.write_text('model_checkpoint_path: "model.ckpt-5"\n')
    assert newest() == "model.ckpt-100"
    state.write_bytes(b"\xff\x00")
    assert newest() == "model.ckpt-100"


def test_all_variables_are_read(source, variables):
    found = tf1_checkpoint.read_variables(source)
    assert found["global_step"] == 7
    assert found["Conv/weights/Adam_1"].max() == 1
    for name, value in variables.items():
        np.testing.assert_array_equal(found[name], value)


def test_values_go_to_their_places():
    description = Description(TINY, 2, ("DAPI",), {1: "1.0"})
    places = variable_places(description)
    variables = tf1_files.random_variables(description)
    model = build_model(TINY, 2, description.label_names)
    tf1_checkpoint.assign(model, variables, places)
    found = values_by_place(model)
    assert len(found) == len(places)
    for name, place in places.items():
        np.testing.assert_array_equal(
            found[place.layer, place.weight], variables[name]
        )


def test_a_weight_without_a_place_is_our_mistake():
    description = Description(TINY, 2, ("DAPI",), {})
    places = variable_places(description)
    model = build_model(TINY, 2, ("DAPI", "MAP2"))
    with pytest.raises(ValueError, match="MAP2_head_norm") as caught:
        tf1_checkpoint.assign(model, {}, places)
    assert not isinstance(caught.value, InputError)


def test_another_width_number_of_planes_and_set_of_heads(tmp_path):
    description = tf1_files.network(44, 26, ("B", "A"), {3: "0.12"})
    variables = tf1_files.random_variables(description)
    tf1_files.write(tmp_path / "model.ckpt", variables)
    model, conversion = tf1_checkpoint.import_checkpoint(
        tmp_path / "model.ckpt"
    )
    assert conversion.global_step is None
    assert conversion.names.optimizer_slots == ()
    assert set(conversion.places) == set(variables)
    found = conversion.description
    assert found.architecture == description.architecture
    assert (found.num_z, found.labels) == (26, ("A", "B", "input_z03"))
    assert not found.include_autoencoding
    assert set(model.output_names) == set(found.labels)
    found = values_by_place(model)
    assert len(found) == len(conversion.places)
    for name, place in conversion.places.items():
        np.testing.assert_array_equal(
            found[place.layer, place.weight], variables[name]
        )


def test_the_checkpoint_of_the_original(golden_folder, golden_model_folder):
    # Converted once for all tests that compare numbers: test_golden.py.
    description = load_description(golden_model_folder)
    assert description.architecture.base_filters == 28
    assert description.num_z == 13
    assert description.include_autoencoding
    assert description.momentum == 0.999
    assert description.labels == (
        "DAPI_CONFOCAL",
        "MAP2_CONFOCAL",
        "NEURITE_CONFOCAL",
        "NFH_CONFOCAL",
    )
    provenance = description.provenance
    assert provenance["global_step"] == 41328
    assert provenance["checkpoint"] == "model.ckpt-41328"
    assert provenance["z_values"][:3] == ["0.0", "0.0833", "0.1667"]
    assert len(provenance["z_values"]) == 13
    assert "keras" in provenance["versions"]


def test_no_checkpoint(tmp_path):
    message = error_of(tmp_path / "nowhere", tmp_path)
    assert message.endswith("Received: no file nowhere.index")
    (tmp_path / "empty").mkdir()
    message = error_of(tmp_path / "empty", tmp_path)
    assert message.endswith("Received: a folder without a file *.index")
    picture = tmp_path / "picture.png"
    picture.write_bytes(b"\x89PNG")
    message = error_of(picture, tmp_path)
    assert message.endswith("Received: no file picture.png.index")


@pytest.mark.parametrize(
    "content", [b"", b"not a checkpoint at all", bytes(range(256)) * 20]
)
def test_an_index_of_another_kind(copied, tmp_path, content):
    (copied / "model.ckpt-7.index").write_bytes(content)
    assert "must be a complete TensorFlow checkpoint" in error_of(
        copied, tmp_path
    )


def test_a_truncated_index(copied, tmp_path):
    path = copied / "model.ckpt-7.index"
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert "must be a complete TensorFlow checkpoint" in error_of(
        copied, tmp_path
    )


@pytest.mark.parametrize("share", [0, 0.5, 0.9999])
def test_truncated_data(copied, tmp_path, share):
    # The last bytes belong to the optimizer; they count all the same.
    path = copied / f"model.ckpt-7{DATA}"
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    assert "must be a complete TensorFlow checkpoint" in error_of(
        copied, tmp_path
    )


def test_a_flipped_bit(copied, tmp_path):
    path = copied / f"model.ckpt-7{DATA}"
    data = bytearray(path.read_bytes())
    data[len(data) // 3] ^= 1
    path.write_bytes(data)
    assert "must be a complete TensorFlow checkpoint" in error_of(
        copied, tmp_path
    )


def test_missing_data(copied, tmp_path):
    (copied / f"model.ckpt-7{DATA}").unlink()
    assert "must be a complete TensorFlow checkpoint" in error_of(
        copied, tmp_path
    )


def test_a_missing_variable(variables, tmp_path):
    name = "lower_scale_2_recursion_5/expand_rv2/BatchNorm/moving_mean"
    less = {n: v for n, v in variables.items() if n != name}
    tf1_files.write(tmp_path / "less", less)
    message = error_of(tmp_path / "less", tmp_path)
    assert f"variable {name}: must exist" in message


def test_an_unknown_variable(variables, tmp_path):
    more = {**variables, "squeeze/weights": np.zeros(3, np.float32)}
    tf1_files.write(tmp_path / "more", more)
    message = error_of(tmp_path / "more", tmp_path)
    assert "variable squeeze/weights: must have a place" in message


@pytest.mark.parametrize(
    "name",
    [
        "Conv/biases",
        "upscale_4_2/expand_rv2/Conv2d_transpose/weights",
        "upper_recursion_0/reduce_rv2/Conv/weights",
        "head/MAXPROJECT/DAPI/residual_v2_conv/Conv/biases",
    ],
)
def test_a_wrong_shape(variables, tmp_path, name):
    shape = (*variables[name].shape[:-1], variables[name].shape[-1] + 1)
    wrong = {**variables, name: np.zeros(shape, np.float32)}
    tf1_files.write(tmp_path / "wrong", wrong)
    message = error_of(tmp_path / "wrong", tmp_path)
    assert f"variable {name}: must have shape" in message
    assert message.endswith(f"Received: {shape}")


@pytest.mark.parametrize("kind", [np.int32, np.str_])
def test_a_wrong_type(variables, tmp_path, kind):
    name = "upper_recursion_0/reduce_rv2/BatchNorm/gamma"
    value = variables[name].astype(kind)
    tf1_files.write(tmp_path / "wrong", {**variables, name: value})
    message = error_of(tmp_path / "wrong", tmp_path)
    assert f"variable {name}: must be of floating-point type" in message


def test_a_checkpoint_of_something_else(tmp_path):
    other = {"dense/kernel": np.zeros((3, 4), np.float32)}
    tf1_files.write(tmp_path / "other", other)
    message = error_of(tmp_path / "other", tmp_path)
    assert "variable Conv/weights: must be the 1x1 projection" in message


def test_nothing_else_than_a_model_is_replaced(source, tmp_path):
    # A slip in --output must not cost a folder of images.
    folder = tmp_path / "images"
    folder.mkdir()
    (folder / "plane.png").touch()
    for output in (folder, folder / "plane.png", source):
        with pytest.raises(InputError, match="must be a new folder") as caught:
            tf1_checkpoint.convert(source, output)
        assert str(caught.value).startswith(f"{output}: ")
    assert (folder / "plane.png").is_file()
    assert (source / "model.ckpt-7.index").is_file()
