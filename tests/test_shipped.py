"""Models that come with the package are found by their names."""

import pytest

from isl.errors import InputError
from isl.network import shipped
from isl.network.architecture import TINY
from isl.network.model_folder import (
    ModelDescription,
    load_description,
    load_model,
    save_model,
)


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package with the models `small` and `other`."""
    folder = tmp_path / "package"
    for seed, name in enumerate(("small", "other")):
        description = ModelDescription(
            TINY, num_z=2, labels=("DAPI",), provenance={"seed": seed}
        )
        save_model(folder / name, description.build(), description)
    monkeypatch.setattr(shipped, "_FOLDER", folder)
    monkeypatch.chdir(tmp_path)
    return folder


def test_a_name_is_the_model_of_the_package(package):
    assert shipped.shipped_models() == ("other", "small")
    _, description = load_model("other")
    assert description.provenance["seed"] == 1


def test_a_folder_of_the_same_name_comes_first(package):
    (package / "small").rename("other")
    assert load_description("other").provenance["seed"] == 0


def test_a_path_is_never_a_name(package):
    for path in ("./small", str(package.parent / "small"), "../small"):
        with pytest.raises(InputError, match=r"isl \(other, small\)"):
            load_description(path)


def test_a_package_without_models_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(shipped, "_FOLDER", tmp_path / "nothing")
    with pytest.raises(InputError, match=r"comes with isl \(none\)"):
        load_description("small")
