import csv

import pytest

from isl.errors import InputError
from isl.network.architecture import CONCORDANCE, TINY
from isl.network.model import build_model
from isl.network.tf1_variables import (
    Description,
    check,
    sort_names,
    variable_places,
)

# Positions of 26 planes as the original writes them in its variables.
Z_VALUES = {i: str(round(i / 25, 4)) for i in range(26)}


def released(labels):
    return Description(CONCORDANCE, 26, tuple(labels), Z_VALUES)


@pytest.fixture(scope="module")
def places():
    return variable_places(Description(TINY, 2, ("DAPI",), {1: "1.0"}))


@pytest.fixture(scope="module")
def rows(golden_folder):
    path = golden_folder / "variables_base400_z26.tsv"
    with path.open(newline="") as file:
        return list(csv.DictReader(file, delimiter="\t"))


def test_every_variable_of_the_released_network_has_its_place(rows):
    labels = {
        row["name"].split("/")[2]
        for row in rows
        if row["name"].startswith("head/MAXPROJECT/")
    }
    assert len(labels) == 9
    found = {
        name: "x".join(map(str, place.shape))
        for name, place in variable_places(released(labels)).items()
    }
    assert len(found) == 1252
    assert found == {row["name"]: row["shape"] for row in rows}


def test_scopes_of_the_original_by_name():
    # From the original's isl/models/concordance.py; one of each kind.
    places = variable_places(released(["DAPI_CONFOCAL"]))
    kernel = "expand_rv2/Conv/weights"
    expected = {
        "Conv/weights": ("stem", "kernel"),
        "Conv/biases": ("stem", "bias"),
        f"lower_scale_0_recursion_17/{kernel}": (
            "tower0_17_in_scale_expand",
            "kernel",
        ),
        f"downscale_4_3/{kernel}": ("tower4_06_downscale_expand", "kernel"),
        f"downscale_4_3_in_scale/{kernel}": (
            "tower4_07_in_scale_expand",
            "kernel",
        ),
        "lower_scale_4_recursion_0/reduce_rv2/Conv/weights": (
            "tower4_08_in_scale_reduce",
            "kernel",
        ),
        "upscale_4_0/expand_rv2/Conv2d_transpose/weights": (
            "tower4_10_upscale_expand",
            "kernel",
        ),
        "upscale_1_0_in_scale/reduce_rv2/BatchNorm/moving_variance": (
            "tower1_17_in_scale_reduce_norm",
            "moving_variance",
        ),
        "upper_recursion_13/expand_rv2/BatchNorm/beta": (
            "trunk_13_in_scale_expand_norm",
            "beta",
        ),
        "head/0.08/TRANSMISSION/residual_v2_conv/Conv/weights": (
            "input_z02",
            "kernel",
        ),
        "head/1.0/TRANSMISSION/residual_v2_conv/BatchNorm/gamma": (
            "input_z25_head_norm",
            "gamma",
        ),
        "head/MAXPROJECT/DAPI_CONFOCAL/residual_v2_conv/Conv/biases": (
            "DAPI_CONFOCAL",
            "bias",
        ),
    }
    found = {n: (places[n].layer, places[n].weight) for n in expected}
    assert found == expected


def test_places_are_the_weights_of_the_network(places):
    labels = ("DAPI", "input_z01")
    model = build_model(TINY, 2, labels)
    weights = {
        (layer.name, weight.name): tuple(weight.shape)
        for layer in model.layers
        for weight in layer.weights
    }
    found = {(p.layer, p.weight): p.shape for p in places.values()}
    assert found == weights
    assert len(places) == len(weights)


def test_parts_are_named_for_people(places):
    parts = list(dict.fromkeys(place.part for place in places.values()))
    assert parts == [
        "stem",
        "tower 0",
        "tower 1",
        "trunk",
        "auto-encoding heads",
        "head DAPI",
    ]


def test_heads_of_some_planes_are_listed_like_labels():
    some = Description(TINY, 2, ("DAPI",), {1: "1.0"})
    assert some.label_names == ("DAPI", "input_z01")
    assert not some.has_all_autoencoding
    every = Description(TINY, 2, ("DAPI",), {0: "0.0", 1: "1.0"})
    assert every.label_names == ("DAPI",)
    assert every.has_all_autoencoding


def test_names_are_sorted_by_what_they_are_for():
    names = [
        "Conv/weights",
        "Conv/biases",
        "Conv/weights/Adam",
        "Conv/weights/Adam_1",
        "Conv/biases/NewOptimizer",  # A slot by its parent.
        "training/Conv/weights/Momentum",  # A slot by its name.
        "beta1_power",
        "training/beta2_power",
        "global_step",
    ]
    found = sort_names(names)
    assert found.model == ("Conv/biases", "Conv/weights")
    assert found.optimizer_slots == (
        "Conv/biases/NewOptimizer",
        "Conv/weights/Adam",
        "Conv/weights/Adam_1",
        "training/Conv/weights/Momentum",
    )
    assert found.bookkeeping == (
        "beta1_power",
        "global_step",
        "training/beta2_power",
    )


def shapes_of(places):
    return {name: place.shape for name, place in places.items()}


def test_check_accepts_what_fits(places):
    check(shapes_of(places), places)


def test_an_unknown_variable(places):
    shapes = {**shapes_of(places), "surprise": (3,), "wonder": (3,)}
    with pytest.raises(InputError) as caught:
        check(shapes, places)
    assert str(caught.value) == (
        "variable surprise: must have a place in the network. "
        "Received: an unknown name (2 in all)"
    )


def test_a_missing_variable(places):
    shapes = shapes_of(places)
    del shapes["upscale_1_0/reduce_rv2/Conv/weights"]
    with pytest.raises(InputError) as caught:
        check(shapes, places)
    assert str(caught.value) == (
        "variable upscale_1_0/reduce_rv2/Conv/weights: must exist. "
        "Received: none (1 missing in all)"
    )


def test_a_wrong_shape(places):
    # The same numbers in the order of the other kind of convolution.
    name = "upscale_1_0/expand_rv2/Conv2d_transpose/weights"
    shape = places[name].shape
    swapped = (4, 4, shape[3], shape[2])
    with pytest.raises(InputError) as caught:
        check({**shapes_of(places), name: swapped}, places)
    assert str(caught.value) == (
        f"variable {name}: must have shape {shape}. Received: {swapped}"
    )
