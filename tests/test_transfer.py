import dataclasses

import keras
import numpy as np
import pytest

from isl.errors import InputError
from isl.network.architecture import CONCORDANCE, with_width
from isl.network.model_folder import (
    ModelDescription,
    named_weights,
    save_model,
)
from isl.network.transfer import is_body, restore_from
from tests.tiny_runs import MICRO

PARENT = ModelDescription(
    MICRO, 2, ("OLD", "KEPT"), include_autoencoding=True, provenance={"a": 1}
)


@pytest.fixture(scope="module")
def parent(tmp_path_factory):
    """A model folder, and its weights by name."""
    keras.utils.set_random_seed(1)
    model = PARENT.build()
    for index, weight in enumerate(model.weights):
        weight.assign(np.full(weight.shape, index + 1.0))
    folder = tmp_path_factory.mktemp("models") / "parent"
    save_model(folder, model, PARENT)
    return folder, arrays(model)


def arrays(model):
    return {
        name: keras.ops.convert_to_numpy(weight).copy()
        for name, weight in named_weights(model).items()
    }


def restore(folder, **changes):
    description = dataclasses.replace(
        PARENT, include_autoencoding=False, **changes
    )
    model = description.build()
    before = arrays(model)
    transfer = restore_from(folder, model, description)
    return transfer, before, arrays(model)


def check_weights(transfer, before, after, stored):
    """Restored layers hold the stored weights, new ones their own."""
    for name, value in after.items():
        layer = name.split("/")[0]
        source = stored if layer in transfer.restored else before
        np.testing.assert_array_equal(value, source[name], err_msg=name)
    assert not set(transfer.restored) & set(transfer.new)
    assert {n.split("/")[0] for n in after} == set(
        transfer.restored + transfer.new
    )


def test_other_labels_keep_the_body_and_common_heads(parent):
    folder, stored = parent
    transfer, before, after = restore(folder, labels=("KEPT", "NEW"))
    check_weights(transfer, before, after, stored)
    assert set(transfer.new) == {"NEW_head_norm", "NEW"}
    assert "stem" in transfer.restored
    assert {"OLD", "input_z00"} < set(transfer.unused)
    assert transfer.provenance == {"a": 1}
    assert transfer.lines() == [
        "restored: stem, tower0, trunk, KEPT",
        "new: NEW",
        "not used: OLD, input_z00, input_z01",
    ]


def test_other_number_of_planes_renews_the_stem_only(parent):
    folder, stored = parent
    transfer, before, after = restore(folder, labels=("KEPT", "OLD"), num_z=3)
    check_weights(transfer, before, after, stored)
    assert transfer.new == ("stem",)


def test_autoencoding_heads_of_other_planes_are_not_taken(parent):
    folder, _ = parent
    description = dataclasses.replace(PARENT, num_z=3)
    transfer = restore_from(folder, description.build(), description)
    assert "input_z00" in transfer.new
    assert "input_z00" not in transfer.restored


def test_without_a_stem_blocks_that_grew_are_renewed(tmp_path):
    bare = dataclasses.replace(MICRO, stem_filters=None)
    old = ModelDescription(bare, 2, ("A",))
    save_model(tmp_path / "old", old.build(), old)
    # Blocks are at least as deep as the input, so that a plane more adds
    # filters everywhere.
    new = dataclasses.replace(old, num_z=3)
    transfer = restore_from(tmp_path / "old", new.build(), new)
    assert transfer.restored_body == ()
    assert "tower0" in transfer.lines()[1]


def test_other_number_of_bins_renews_the_heads(parent):
    folder, stored = parent
    fewer = dataclasses.replace(MICRO, num_bins=16)
    transfer, before, after = restore(folder, architecture=fewer)
    check_weights(transfer, before, after, stored)
    assert set(transfer.new) == {"OLD", "KEPT"}
    # A part of which some layers are new is listed layer by layer.
    assert transfer.lines()[0].endswith("KEPT_head_norm, OLD_head_norm")


def test_another_architecture_is_refused(parent):
    folder, _ = parent
    wider = dataclasses.replace(PARENT, architecture=with_width(MICRO, 80))
    model = wider.build()
    before = arrays(model)
    with pytest.raises(InputError, match="base_filters 40"):
        restore_from(folder, model, wider)
    for name, value in arrays(model).items():
        np.testing.assert_array_equal(value, before[name])


def test_missing_folder_is_named(tmp_path):
    with pytest.raises(InputError, match="nowhere"):
        restore_from(tmp_path / "nowhere", PARENT.build(), PARENT)


@pytest.mark.parametrize(
    ("layer", "expected"),
    [
        ("stem", True),
        ("tower4_02_downscale_expand_norm", True),
        ("trunk_13_in_scale_reduce", True),
        ("DAPI_CONFOCAL", False),
        ("DAPI_CONFOCAL_head_norm", False),
        ("input_z03", False),
    ],
)
def test_body_is_what_all_heads_share(layer, expected):
    assert is_body(layer) == expected


def test_every_layer_of_the_released_network_is_body_or_head():
    description = ModelDescription(with_width(CONCORDANCE, 56), 2, ("A",))
    layers = {
        name.split("/")[0] for name in named_weights(description.build("zeros"))
    }
    heads = {name for name in layers if not is_body(name)}
    assert heads == {"A", "A_head_norm"}
