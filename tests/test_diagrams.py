"""Figures drawn from tables: conditions, network, z-stack."""

import dataclasses
import pathlib

import numpy as np
import pytest
from matplotlib.colors import to_hex

from isl.errors import InputError
from isl.figures.conditions_table import UNKNOWN, conditions_table, verified
from isl.figures.network_diagram import (
    COLOURS,
    HEAD_COLOUR,
    model_diagram,
    network_diagram,
)
from isl.figures.stack_figure import stack_figure
from isl.network.architecture import (
    CONCORDANCE,
    DOWNSCALE,
    IN_SCALE,
    PAPER,
    TINY,
    UPSCALE,
)
from isl.network.model_folder import ModelDescription
from isl.network.unet import FNET
from isl.specs import DatasetSpec, load_dataset_spec

SPECS = pathlib.Path(__file__).parents[1] / "data_specs"


def texts(figure):
    return [text.get_text() for axes in figure.axes for text in axes.texts]


def spec(**facts):
    return DatasetSpec.from_dict(
        {
            "name": "set",
            "condition": "X",
            "labels": ["DAPI_CONFOCAL"],
            "num_z": 7,
            "wells": [{"name": "A1", "path": "p", "splits": {"train": {}}}],
            "facts": facts,
        }
    )


@pytest.mark.parametrize(
    ("value", "source", "expected"),
    [
        (22, "P", "22"),
        (True, "R; M", "yes"),
        ([940, 1300], "P", "940 x 1,300"),
        (22, "U-hi", None),
        (22, "P; U-lo", None),
        (None, None, None),
    ],
)
def test_only_what_was_verified_counts(value, source, expected):
    found = verified({"value": value, "source": source})
    assert (found and found[0]) == expected


def test_table_shows_sources_and_unknowns():
    figure = conditions_table(
        [
            spec(
                cell_type={"value": "neurons", "source": "P; a friend"},
                num_training_wells={"value": 71, "source": "U-hi"},
            )
        ]
    )
    found = texts(figure)
    assert "neurons [1, 2]" in found
    assert "[2] a friend" in found
    assert not any("71" in text for text in found)
    assert UNKNOWN in found
    # No fact says so, but the data set itself does.
    assert "7 [3]" in found and "DAPI_CONFOCAL [3]" in found
    assert "[3] the data spec" in found


def test_no_unverified_value_of_the_paper_is_printed():
    specs = [load_dataset_spec(SPECS / f"condition_{c}.json") for c in "abcde"]
    found = texts(conditions_table(specs))
    assert found.count("22 [1]") == 1  # Training wells of A.
    for unverified in ("21", "4,600", "MDA", "cortical", "320", "3,500"):
        assert not any(unverified in text for text in found), unverified


def boxes(figure):
    colours = {name: colour for colour, name in COLOURS.items()}
    colours[HEAD_COLOUR] = "head"
    (axes,) = figure.axes
    return [
        colours[to_hex(patch.get_facecolor()).upper()] for patch in axes.patches
    ]


def test_network_has_every_block_of_the_paper():
    found = boxes(network_diagram(CONCORDANCE, 26, ["A", "B"], 26))
    # BUILD_NOTES and the original: 50 in the towers, 20 beside downscale, 20
    # beside upscale, 14 in the trunk; one of each pair is strided.
    assert found.count(DOWNSCALE) == 10
    assert found.count(UPSCALE) == 10
    assert found.count(IN_SCALE) == 50 + 10 + 10 + 14
    assert found.count("head") == 3


def test_network_says_sizes_and_filters():
    found = texts(network_diagram(CONCORDANCE, 26, ["DAPI_CONFOCAL"]))
    for size in (72, 102, 146, 202, 250):
        assert f"{size} x {size}\n1 x 1: 16" in found
    assert "merge\n36 x 36\n64 maps" in found
    assert found.count("124") == 1 and found.count("64") == 14 + 1
    assert "DAPI_CONFOCAL" in found
    assert any("26 planes" in text for text in found)


def test_network_without_a_stem_takes_planes():
    found = texts(network_diagram(PAPER, 13, ["A"]))
    assert "72 x 72\nplanes: 26" in found


def test_network_of_a_model_with_many_labels():
    labels = tuple(f"L{i}" for i in range(9))
    description = ModelDescription(TINY, 5, labels, include_autoencoding=True)
    found = texts(model_diagram(description, "runs/model"))
    assert {"9 labels", "5 input planes", "runs/model"} <= set(found)
    assert "L0" not in found


def test_stack_shows_planes_truth_and_prediction_on_one_scale():
    planes = np.random.default_rng(0).uniform(size=(20, 30, 9))
    truth = np.full((20, 30), 0.2)
    truth[:10] = 0.6
    figure = stack_figure(
        planes,
        {"A": truth},
        {"A": truth / 2},
        pixel_size_um=1.0,
        z_spacing_um=1.5,
    )
    shown = [axes for axes in figure.axes if axes.images]
    titles = [axes.get_title(loc="left") for axes in shown]
    assert titles[:2] == ["z = -6.0 µm", "z = -4.5 µm"]
    assert titles[8:] == ["z = +6.0 µm", "A\ntrue", "\npredicted"]
    np.testing.assert_array_equal(
        shown[3].images[0].get_array(), planes[..., 3]
    )
    true, predicted = (axes.images[0].get_array() for axes in shown[9:])
    assert true[0, 0] == 1 and true[-1, 0] == 0
    assert predicted[0, 0] == pytest.approx(0.25)  # 0.3 from 0.2 to 0.6.
    assert texts(figure) == ["10 µm"]


def test_planes_without_a_distance_are_numbered():
    figure = stack_figure(np.zeros((8, 8, 2)), {}, {})
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    assert titles[:2] == ["plane 1 of 2", "plane 2 of 2"]
    assert texts(figure) == []


def test_a_network_without_towers_is_refused():
    with pytest.raises(InputError, match="with towers.*a U-Net"):
        network_diagram(FNET, 13, ["A"])


def test_heads_without_bins_say_so():
    regression = dataclasses.replace(TINY, num_bins=None)
    found = texts(network_diagram(regression, 2, ["A"]))
    assert any("intensities" in text for text in found)
    assert not any("None" in text for text in found)
