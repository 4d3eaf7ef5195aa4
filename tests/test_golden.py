"""Agreement with the original program, number by number.

The values come from the original under TensorFlow 1.15; tolerances are those
that the README beside them suggests: 1e-3 for activations and logits, 1e-5
for losses and statistics, one bin for at most 0.1 % of modes and medians.
"""

import keras
import numpy as np
import pytest

from isl.network.intensity_bins import STATISTICS, statistics
from isl.network.losses import MaskedLoss, head_weights
from isl.network.model import autoencoding_head_name, with_raw_input

LOGITS_TOLERANCE = 1e-3
LOSS_TOLERANCE = 1e-5

# Name of the stored array -> layer whose output it is.
ACTIVATIONS = {
    "act_core": "trunk_13_in_scale",
    "act_tower_0": "tower0_17_in_scale",
    "act_tower_1": "tower1_17_in_scale",
    "act_tower_2": "tower2_17_in_scale",
    "act_tower_3": "tower3_17_in_scale",
    "act_tower_4": "tower4_17_in_scale",
    "act_downscaled_1": "tower1_01_in_scale",
    "act_downscaled_2": "tower2_03_in_scale",
    "act_downscaled_3": "tower3_05_in_scale",
    "act_downscaled_4": "tower4_07_in_scale",
    "act_lower_1": "tower1_15_in_scale",
    "act_lower_2": "tower2_13_in_scale",
    "act_lower_3": "tower3_11_in_scale",
    "act_lower_4": "tower4_09_in_scale",
    "act_proj_centre": "stem",
}


def to_numpy(x):
    return keras.ops.convert_to_numpy(x)


def assert_close(found, expected, tolerance):
    np.testing.assert_allclose(to_numpy(found), expected, 0, tolerance)


def assert_statistics_close(found, expected):
    """Compares [..., statistic] in the order of STATISTICS."""
    found = to_numpy(found)
    for index, name in enumerate(STATISTICS):
        difference = np.abs(found[..., index] - expected[..., index])
        if name in ("mode", "median"):
            assert (difference > 1e-6).mean() <= 1e-3, name
            assert difference.max() <= 1 / 255 + 1e-6, name
        else:
            assert difference.max() <= LOSS_TOLERANCE, name


def statistics_of_labels(golden, answers, where):
    """Statistics [..., label, statistic] of the parts `where`."""
    return np.stack(
        [
            to_numpy(statistics(answers[label][where], STATISTICS))
            for label in golden["target_channels"]
        ],
        axis=-2,
    )


def head_name(scope):
    """From `head/0.5/TRANSMISSION` or `head/MAXPROJECT/DAPI` to ours."""
    _, z, channel = scope.split("/")
    if z == "MAXPROJECT":
        return channel
    return autoencoding_head_name(round(float(z) * 12))


@pytest.fixture(scope="module")
def heads(golden):
    return [head_name(scope) for scope in golden["head_names"]]


@pytest.fixture(scope="module")
def answers(golden, golden_model):
    """Every named layer's output for the input, and with planes missing."""
    blank = golden["input"].copy()
    for z in golden["missing_z_indices"]:
        blank[..., 2 * z : 2 * z + 2] = 0
    outputs = {
        name: golden_model.get_layer(layer).output
        for name, layer in ACTIVATIONS.items()
    }
    probe = keras.Model(
        golden_model.inputs[0], {**golden_model.output, **outputs}
    )
    both = probe(np.concatenate([golden["input"], blank]), training=False)
    return {name: to_numpy(value) for name, value in both.items()}


def test_heads(golden, golden_model, heads):
    assert sorted(heads) == sorted(golden_model.output_names)
    assert heads[3] == "input_z03" and heads[-1] == "NEURITE_CONFOCAL"


def test_logits_of_every_head(golden, answers, heads):
    for name, expected in zip(heads, golden["logits"], strict=True):
        assert_close(answers[name][0], expected, LOGITS_TOLERANCE)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations(golden, answers, name):
    found = answers[name][0]
    if name == "act_proj_centre":
        found = found[107:143, 107:143]
    assert_close(found, golden[name], LOGITS_TOLERANCE)


def test_every_stored_activation_is_compared(golden):
    assert {n for n in golden if n.startswith("act_")} == set(ACTIVATIONS)


def test_missing_planes(golden, answers):
    for name, head in (
        ("missing_z_core", "act_core"),
        ("missing_z_logits_dapi", "DAPI_CONFOCAL"),
    ):
        assert_close(answers[head][1], golden[name], LOGITS_TOLERANCE)
        assert np.abs(answers[head][1] - answers[head][0]).max() > 0.1


def test_statistics(golden, answers):
    assert len(golden["statistic_names"]) == len(STATISTICS)
    assert_statistics_close(
        statistics_of_labels(golden, answers, 0), golden["statistics_targets"]
    )
    found = statistics(answers["DAPI_CONFOCAL"][0], STATISTICS)
    assert_statistics_close(found, golden["statistics_dapi"])


def uint16_of(signal):
    return np.rint(signal * 65535).astype(np.uint16)[None]


@pytest.fixture(scope="module")
def head_losses(golden, answers, heads):
    centre = golden["input"][0, 121:129, 121:129, 0::2]
    signals = np.concatenate([centre, golden["target_signal"]], axis=-1)
    loss = MaskedLoss("cross_entropy")
    return {
        name: float(to_numpy(loss(uint16_of(signals[..., i]), logits)))
        for i, (name, logits) in enumerate(
            (name, answers[name][:1]) for name in heads
        )
    }


def test_loss_of_every_head(golden, heads, head_losses):
    found = [head_losses[name] for name in heads]
    np.testing.assert_allclose(
        found, golden["loss_per_head"], 0, LOSS_TOLERANCE
    )


def test_total_loss(golden, heads, head_losses):
    labels = [name for name in heads if not name.startswith("input_z")]
    inputs = [name for name in heads if name.startswith("input_z")]
    weights = head_weights(labels, inputs)
    total = sum(weights[name] * head_losses[name] for name in heads)
    assert total == pytest.approx(golden["loss_total"], abs=LOSS_TOLERANCE)
    alone = head_weights(labels, [])
    mean = sum(alone[name] * head_losses[name] for name in labels)
    assert mean == pytest.approx(golden["loss_target_mean"], abs=LOSS_TOLERANCE)


def test_masked_loss(golden, answers):
    index = list(golden["target_channels"]).index("DAPI_CONFOCAL")
    truth = uint16_of(golden["target_signal"][..., index])
    logits = answers["DAPI_CONFOCAL"][:1]
    loss = MaskedLoss("cross_entropy")
    mask = golden["masked_loss_mask"][None]
    found = float(to_numpy(loss(truth, logits, mask)))
    assert found == pytest.approx(
        golden["masked_loss_dapi"], abs=LOSS_TOLERANCE
    )
    assert float(to_numpy(loss(truth, logits, 0 * mask))) == 0
    assert golden["masked_loss_dapi_all_zero_mask"] == 0


@pytest.fixture(scope="module")
def from_raw(golden, golden_model):
    """Core and label logits of crops of the wide image, as uint16."""
    labels = [str(label) for label in golden["target_channels"]]
    core = golden_model.get_layer(ACTIVATIONS["act_core"]).output
    probe = keras.Model(
        golden_model.inputs[0], {**golden_model.output, "core": core}
    )
    raw = with_raw_input(probe, (*labels, "core"))

    def answer(planes):
        presence = np.ones((len(planes), planes.shape[-1]), np.float32)
        outputs = raw({"planes": planes, "presence": presence})
        return {name: to_numpy(value) for name, value in outputs.items()}

    return answer


def assert_answers_close(golden, answers, prefix, where):
    """Compares one image of answers where `where` is true."""
    for name, head in (
        ("core", "core"),
        ("logits_dapi", "DAPI_CONFOCAL"),
    ):
        expected = golden[f"{prefix}_expected_{name}"][where]
        assert_close(answers[head][where], expected, LOGITS_TOLERANCE)
    assert_statistics_close(
        statistics_of_labels(golden, answers, where),
        golden[f"{prefix}_expected_statistics"][where],
    )


def test_one_pass_over_a_larger_crop(golden, from_raw):
    answers = from_raw(golden["wide_input_u16"][None])
    answers = {name: value[0] for name, value in answers.items()}
    assert answers["core"].shape == (40, 40, 24)
    where = golden["fcn_defined"]
    assert where.sum() == 576
    assert_answers_close(golden, answers, "fcn", where)


def test_four_shifted_passes_equal_stitching(golden, from_raw):
    region = int(golden["stitch_region"])
    image = golden["wide_input_u16"][:region, :region]
    size = region - 8
    shifts = [(r, c) for r in (0, 8) for c in (0, 8)]
    crops = [image[r : r + size, c : c + size] for r, c in shifts]
    passes = from_raw(np.stack(crops))
    stitched = {}
    for name, values in passes.items():
        out = np.zeros((32, 32, values.shape[-1]), np.float32)
        for (row, column), value in zip(shifts, values, strict=True):
            for r in (0, 16):
                for c in (0, 16):
                    block = value[r : r + 8, c : c + 8]
                    top, left = r + row, c + column
                    out[top : top + 8, left : left + 8] = block
        stitched[name] = out
    everywhere = np.ones((32, 32), bool)
    assert_answers_close(golden, stitched, "stitch", everywhere)
