import csv
import dataclasses

import keras
import numpy as np
import pytest

from isl.network.architecture import (
    CONCORDANCE,
    PAPER,
    TINY,
    plan_towers,
    plan_trunk,
)
from isl.network.model import (
    autoencoding_head_name,
    build_model,
    with_raw_input,
)

# Of the table TINY with 3 planes, one label and no auto-encoding head.
NUM_LAYERS = 150
NUM_WEIGHTS = 108


def to_numpy(x):
    return keras.ops.convert_to_numpy(x)


def randomise(model, seed=0):
    """Gives the normalisations statistics as after training."""
    rng = np.random.default_rng(seed)
    for weight in model.weights:
        if weight.name in ("beta", "moving_mean", "bias"):
            weight.assign(rng.normal(0, 0.3, weight.shape))
        elif weight.name in ("gamma", "moving_variance"):
            weight.assign(rng.uniform(0.5, 1.5, weight.shape))


@pytest.fixture(scope="module")
def tiny():
    model = build_model(TINY, 3, ("DAPI", "MAP2"), include_autoencoding=True)
    randomise(model)
    return model


def image(rows, columns, num_z=3, seed=0):
    rng = np.random.default_rng(seed)
    return rng.uniform(size=(1, rows, columns, 2 * num_z)).astype(np.float32)


def test_outputs_are_named_logits(tiny):
    outputs = tiny(image(22, 22), training=False)
    assert list(outputs) == [
        "DAPI",
        "MAP2",
        "input_z00",
        "input_z01",
        "input_z02",
    ]
    assert {o.shape for o in outputs.values()} == {(1, 8, 8, 256)}
    assert autoencoding_head_name(7) == "input_z07"


def test_sizes_grow_in_steps_of_the_grid(tiny):
    outputs = tiny(image(22 + 2 * 5, 22 + 2 * 3), training=False)
    assert outputs["DAPI"].shape == (1, 18, 14, 256)


@pytest.mark.parametrize("size", [21, 23])
def test_a_size_off_the_grid_raises(tiny, size):
    with pytest.raises(Exception, match=r"(?i)shape|dimension|size"):
        tiny(image(size, size), training=False)


def test_names_and_number_of_layers_and_weights_are_stable():
    # Model folders refer to layers by name.
    model = build_model(TINY, 3, ("DAPI",))
    names = [layer.name for layer in model.layers]
    assert len(set(names)) == len(names) == NUM_LAYERS
    assert len(model.weights) == NUM_WEIGHTS
    sentinels = [
        "planes",
        "stem",
        "tower0_crop",
        "tower0_00_in_scale",
        "tower1_00_downscale_expand_pool",
        "tower1_02_upscale_reduce_crop",
        "tower1_03_in_scale_reduce_norm",
        "merge",
        "trunk_01_in_scale_expand",
        "DAPI_head_norm",
        "DAPI",
    ]
    assert set(sentinels) <= set(names)
    assert not [name for name in names if "/" in name]


def test_number_of_weights_follows_from_the_table():
    for architecture, num_stem in ((TINY, 2), (without_stem(TINY), 0)):
        model = build_model(architecture, 2, ("A", "B"))
        blocks = sum(map(len, plan_towers(architecture, 4)))
        blocks += len(plan_trunk(architecture, 4))
        # A block has two normalisations and two kernels, a head one
        # normalisation, a kernel and a bias.
        assert len(model.weights) == num_stem + 10 * blocks + 6 * 2


def without_stem(architecture):
    return dataclasses.replace(architecture, stem_filters=None)


def test_a_network_without_a_stem_reads_the_planes():
    model = build_model(without_stem(TINY), 3, ("DAPI",))
    assert "stem" not in [layer.name for layer in model.layers]
    first = model.get_layer("tower0_00_in_scale_expand_norm")
    assert first.gamma.shape == (6,)
    assert PAPER.stem_filters is None


def test_momentum_reaches_every_normalisation():
    model = build_model(TINY, 2, ("DAPI",), momentum=0.9)
    default = build_model(TINY, 2, ("DAPI",))
    for built, momentum in ((model, 0.9), (default, 0.999)):
        norms = [n for n in built.layers if n.name.endswith("_norm")]
        assert len(norms) == 2 * 10 + 1
        assert {n.momentum for n in norms} == {momentum}


def reached(stages, index):
    """First and last input row that output row `index` of a tower sees."""
    blocks = list(stages)
    first = last = index
    for block in reversed(blocks):
        if block.kind == "in_scale":
            last += 2
        elif block.kind == "downscale":
            first, last = 2 * first, 2 * last + 3
        else:
            # The transposed kernel of 4 rows, after a crop of two.
            first, last = first // 2, (last + 2) // 2
    return first, last


def field_of_view(architecture, num_planes, index):
    first, last = reached(plan_trunk(architecture, num_planes), index)
    spans = []
    for tower in plan_towers(architecture, num_planes):
        margin = (architecture.input_size - tower[0].input_size) // 2
        spans.append(
            (
                reached(tower, first)[0] + margin,
                reached(tower, last)[1] + margin,
            )
        )
    return min(s[0] for s in spans), max(s[1] for s in spans)


@pytest.mark.parametrize("axis", [1, 2])
def test_impulses_reach_the_field_of_view_and_no_further(tiny, axis):
    size = TINY.input_size + 4 * TINY.grid
    plain = image(size, size)
    batch = np.repeat(plain, size + 1, axis=0)
    for row in range(size):
        batch[row].swapaxes(0, axis - 1)[row] += 1.0
    logits = to_numpy(tiny(batch, training=False)["DAPI"])
    change = np.abs(logits[:-1] - logits[-1:]).max(axis=(3 - axis, 3))
    # From rounding to a visible change there are orders of magnitude.
    changed = change > 1e-5
    for index in range(logits.shape[axis]):
        rows = np.flatnonzero(changed[:, index])
        expected = field_of_view(TINY, 6, index)
        assert (rows.min(), rows.max()) == expected, index


def test_fields_of_view_lie_inside_the_patch():
    for architecture, width in ((CONCORDANCE, 243), (TINY, 15)):
        size = architecture.output_size
        spans = [field_of_view(architecture, 6, i) for i in range(size)]
        assert spans[0][0] == 0
        assert spans[-1][1] == architecture.input_size - 1
        assert 2 * architecture.margin + 1 == width


def test_raw_planes_equal_pairs(tiny):
    rng = np.random.default_rng(3)
    planes = rng.integers(0, 65536, (2, 22, 24, 3)).astype(np.uint16)
    presence = np.array([[1, 1, 1], [1, 0, 1]], np.float32)
    pairs = np.zeros((2, 22, 24, 6), np.float32)
    for z in range(3):
        mask = presence[:, z, None, None]
        pairs[..., 2 * z] = planes[..., z] / 65535 * mask
        pairs[..., 2 * z + 1] = mask
    raw = with_raw_input(tiny, ("MAP2", "input_z01"))
    found = raw({"planes": planes, "presence": presence}, training=False)
    expected = tiny(pairs, training=False)
    assert list(found) == ["MAP2", "input_z01"]
    for name, logits in found.items():
        np.testing.assert_allclose(
            to_numpy(logits), to_numpy(expected[name]), atol=1e-4
        )


def test_what_a_missing_plane_holds_does_not_matter(tiny):
    raw = with_raw_input(tiny, ("DAPI",))
    planes = np.zeros((2, 22, 22, 3), np.uint16)
    planes[1, ..., 1] = 40000
    presence = np.array([[1, 0, 1]] * 2, np.float32)
    logits = raw({"planes": planes, "presence": presence}, training=False)
    first, second = to_numpy(logits["DAPI"])
    np.testing.assert_allclose(first, second, atol=1e-6)


@pytest.mark.slow
def test_the_released_network_has_the_variables_of_the_original(golden_folder):
    path = golden_folder / "variables_base400_z26.tsv"
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    labels = tuple(f"LABEL_{i}" for i in range(9))
    model = build_model(CONCORDANCE, 26, labels, include_autoencoding=True)
    assert len(model.weights) == len(rows) == 1252
    assert model.count_params() == sum(int(row["size"]) for row in rows)
    shapes = sorted("x".join(map(str, w.shape)) for w in model.weights)
    assert shapes == sorted(row["shape"] for row in rows)
    trainable = sum(np.prod(w.shape) for w in model.trainable_weights)
    assert trainable == 9_273_708
    assert model.count_params() - trainable == 35_772
    heads = [n for n in model.output_names if not n.startswith("input_z")]
    assert len(model.outputs) == 35 and len(heads) == 9
