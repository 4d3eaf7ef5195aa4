import dataclasses

import pytest

from isl.errors import InputError
from isl.network.architecture import CONCORDANCE, with_width
from isl.network.tf1_description import describe
from isl.network.tf1_variables import Description, variable_places


def autoencoding(num_z):
    return {i: str(round(i / max(num_z - 1, 1), 4)) for i in range(num_z)}


def shapes_of(width=100, num_z=3, labels=("DAPI",), planes=None, **changes):
    """Shapes of the variables of a network, and the network."""
    architecture = with_width(CONCORDANCE, width)
    description = Description(
        dataclasses.replace(architecture, **changes),
        num_z,
        labels,
        autoencoding(num_z) if planes is None else planes,
    )
    places = variable_places(description)
    return {name: place.shape for name, place in places.items()}, description


@pytest.mark.parametrize("width", [8, 28, 100, 400, 800])
def test_width_is_found(width):
    shapes, description = shapes_of(width)
    assert describe(shapes) == description


def test_the_larger_of_two_equal_widths_is_taken():
    assert shapes_of(399)[0] == shapes_of(400)[0]
    found = describe(shapes_of(399)[0])
    assert found.architecture.base_filters == 400


@pytest.mark.parametrize("width", range(40, 60))
def test_any_width_gives_the_same_variables(width):
    shapes, _ = shapes_of(width)
    places = variable_places(describe(shapes))
    assert {name: place.shape for name, place in places.items()} == shapes


@pytest.mark.parametrize("num_z", [1, 13, 26])
@pytest.mark.parametrize("labels", [(), ("A",), ("A", "B", "C")])
@pytest.mark.parametrize("every", [True, False])
def test_any_planes_and_heads(num_z, labels, every):
    planes = autoencoding(num_z) if every else {}
    if not labels and not every:
        labels = ("ONLY",)
    shapes, description = shapes_of(28, num_z, labels, planes)
    assert describe(shapes) == description


def test_other_stems_and_bins():
    shapes, description = shapes_of(stem_filters=8, num_bins=16)
    assert describe(shapes) == description


def test_auto_encoding_heads_of_some_planes():
    planes = {3: "0.25", 11: "0.9167"}
    shapes, description = shapes_of(28, 13, ("A",), planes)
    assert describe(shapes) == description


def test_planes_of_a_custom_spacing_are_numbered_in_order():
    planes = {0: "0.1", 1: "0.2", 2: "1.0"}
    shapes, description = shapes_of(28, 3, ("A",), planes)
    assert describe(shapes) == description


def error_of(shapes):
    with pytest.raises(InputError) as caught:
        describe(shapes)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_head_of_no_plane():
    shapes, _ = shapes_of(28, 13, ("A",), {4: "0.3"})
    assert error_of(shapes).endswith(
        "z must be that of one of 13 equally spaced planes. Received: 0.3"
    )


def test_no_heads():
    shapes, _ = shapes_of()
    body = {n: s for n, s in shapes.items() if not n.startswith("head/")}
    assert "must be at least one head. Received: none" in error_of(body)


@pytest.mark.parametrize("stem", [None, (1, 1, 7, 16), (16,), (1, 1, 0, 16)])
def test_no_stem_or_a_stem_without_pairs(stem):
    shapes, _ = shapes_of()
    del shapes["Conv/weights"]
    if stem:
        shapes["Conv/weights"] = stem
    message = error_of(shapes)
    assert message.startswith("variable Conv/weights: must be the 1x1")
    assert message.endswith(f"Received: {stem or 'none'}")


def test_another_network_with_a_projection():
    shapes = {"Conv/weights": (1, 1, 6, 16), "head/A/B/Conv/biases": (256,)}
    assert "must be those of the released network" in error_of(shapes)


def test_filters_that_no_width_gives():
    shapes, _ = shapes_of()
    for index, name in enumerate(shapes):
        if name.endswith("reduce_rv2/Conv/weights"):
            shapes[name] = (*shapes[name][:3], 7 + 2 * index)
    assert "numbers of filters that no width gives" in error_of(shapes)


@pytest.mark.parametrize("filters", [1, 6, 5000])
def test_damaged_variables_do_not_mislead(filters):
    # `check` is to name the variable; here the network is still found.
    shapes, description = shapes_of()
    for name in (
        "lower_scale_4_recursion_1/reduce_rv2/Conv/weights",
        "upper_recursion_3/reduce_rv2/Conv/weights",
        "head/MAXPROJECT/DAPI/residual_v2_conv/Conv/biases",
    ):
        shapes[name] = (*shapes[name][:-1], filters)
    del shapes["lower_scale_4_recursion_0/reduce_rv2/Conv/weights"]
    assert describe(shapes) == description


def test_a_head_whose_z_is_no_number_is_left_to_the_check():
    shapes, description = shapes_of()
    shapes["head/top/TRANSMISSION/residual_v2_conv/Conv/biases"] = (256,)
    assert describe(shapes) == description
