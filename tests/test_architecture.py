import csv
import dataclasses
import json

import pytest

from isl.network.architecture import (
    ARCHITECTURES,
    COMPACT,
    CONCORDANCE,
    NARROW,
    PAPER,
    TINY,
    Architecture,
    downscale,
    entry_size,
    exit_size,
    in_scale,
    iter_block_kinds,
    plan_towers,
    plan_trunk,
    upscale,
    with_width,
)

NUM_PLANES = 52  # 26 planes, each with its presence.

# Rows on entry and after each block (PAPER_FACTS 3.5).
TOWER_SIZES = (
    (
        72,
        70,
        68,
        66,
        64,
        62,
        60,
        58,
        56,
        54,
        52,
        50,
        48,
        46,
        44,
        42,
        40,
        38,
        36,
    ),
    (
        *(102, 50, 48, 46, 44, 42, 40, 38, 36, 34, 32, 30, 28, 26, 24, 22, 20),
        *(38, 36),
    ),
    (
        *(146, 72, 70, 34, 32, 30, 28, 26, 24, 22, 20, 18, 16, 14, 12),
        *(22, 20, 38, 36),
    ),
    (
        *(202, 100, 98, 48, 46, 22, 20, 18, 16, 14, 12, 10, 8),
        *(14, 12, 22, 20, 38, 36),
    ),
    (
        *(250, 124, 122, 60, 58, 28, 26, 12, 10, 8, 6),
        *(10, 8, 14, 12, 22, 20, 38, 36),
    ),
)
TRUNK_SIZES = (36, 34, 32, 30, 28, 26, 24, 22, 20, 18, 16, 14, 12, 10, 8)

# Feature maps after each block, and of its spatial convolution.
TOWER_FILTERS = (
    (16,) * 18,
    (*(16,) * 13, 18, 20, 20, 12, 12),
    (*(16,) * 7, 18, 20, 20, 24, 26, 30, 34, 20, 20, 12, 12),
    (16, 16, 16, 16, 20, 20, 24, 26, 30, 34, 40, 50, 34, 34, 20, 20, 12, 12),
    (16, 16, 16, 16, 16, 16, 40, 40, 50, 68, 50, 50, 34, 34, 20, 20, 12, 12),
)
TOWER_EXPANSIONS = (
    (34, 34, 38, 38, 38, 38, 38, 44, 44, 44, 44, 50, 50, 56, 56, 56, 60, 66),
    (50, 50, 50, 56, 56, 56, 60, 66, 66, 72, 76, 82, 88, 92, 104, 110, 60, 66),
    (
        *(34, 34, 72, 72, 76, 82, 88, 92, 104, 110, 126, 136, 158, 184),
        *(110, 110, 60, 66),
    ),
    (
        *(28, 28, 50, 50, 110, 110, 126, 136, 158, 184, 218, 272),
        *(180, 184, 110, 110, 60, 66),
    ),
    (
        *(22, 22, 38, 38, 88, 88, 218, 218, 272, 364),
        *(272, 272, 180, 184, 110, 110, 60, 66),
    ),
)
TRUNK_EXPANSIONS = (66, 72, 76, 82, 88, 92, 104, 110, 126, 136) + (
    *(158, 184, 218, 272),
)


def sizes(blocks):
    return (blocks[0].input_size, *(block.output_size for block in blocks))


def count_weights(block, moving=False):
    """Weights of a block, counted from the description of PAPER_FACTS 3.3."""
    kernel = 3 if block.kind == "in_scale" else 4
    merged = block.expansion_filters
    if block.kind != "upscale":
        merged += block.input_filters
    norm = 4 if moving else 2
    return (
        norm * block.input_filters
        + kernel**2 * 2 * block.input_filters * block.expansion_filters
        + norm * merged
        + 2 * merged * block.reduction_filters
    )


def count_body(architecture, num_planes):
    """Trainable weights of stem, towers and trunk."""
    stem = architecture.stem_filters
    towers = plan_towers(architecture, num_planes)
    blocks = [b for tower in towers for b in tower]
    blocks += plan_trunk(architecture, num_planes)
    return sum(map(count_weights, blocks)) + (
        (num_planes + 1) * stem if stem else 0
    )


def count_head(architecture, num_planes):
    filters = plan_trunk(architecture, num_planes)[-1].output_filters
    num_bins = architecture.num_bins
    return 2 * filters + 2 * filters * num_bins + num_bins


@pytest.mark.parametrize("index", range(5))
def test_towers_of_the_released_network(index):
    tower = plan_towers(CONCORDANCE, NUM_PLANES)[index]
    assert sizes(tower) == TOWER_SIZES[index]
    assert tuple(b.output_filters for b in tower) == TOWER_FILTERS[index]
    assert tuple(b.expansion_filters for b in tower) == TOWER_EXPANSIONS[index]
    assert tower[0].input_filters == 16


def test_trunk_of_the_released_network():
    trunk = plan_trunk(CONCORDANCE, NUM_PLANES)
    assert sizes(trunk) == TRUNK_SIZES
    assert {b.output_filters for b in trunk} == {64}
    assert trunk[0].input_filters == 16 + 12 + 12 + 12 + 12
    assert tuple(b.expansion_filters for b in trunk) == TRUNK_EXPANSIONS


def test_the_released_network_has_104_blocks_and_equal_paths():
    towers = plan_towers(CONCORDANCE, NUM_PLANES)
    assert {len(tower) for tower in towers} == {18}
    assert sum(map(len, towers)) + len(plan_trunk(CONCORDANCE, 52)) == 104
    names = [b.name for tower in towers for b in tower]
    assert len(set(names)) == 90


def test_every_block_equals_the_table_of_the_original(golden_folder):
    path = golden_folder / "layers_base400_z26.tsv"
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    towers = plan_towers(CONCORDANCE, NUM_PLANES)
    blocks = [b for tower in towers for b in tower]
    blocks += plan_trunk(CONCORDANCE, NUM_PLANES)
    expected = [r for r in rows if r["part"] not in ("proj", "heads")]
    assert len(expected) == len(blocks) == 104
    for row, block in zip(expected, blocks, strict=True):
        transposed = " (transposed)" if block.kind == "upscale" else ""
        stride = 1 if block.kind == "in_scale" else 2
        assert row["stride"] == f"{stride}{transposed}"
        found = {
            "kernel": 3 if block.kind == "in_scale" else 4,
            "size_in": block.input_size,
            "depth_in": block.input_filters,
            "expand_depth": block.expansion_filters,
            "size_out": block.output_size,
            "depth_out": block.output_filters,
            "parameters": count_weights(block, moving=True),
        }
        assert found == {key: int(row[key]) for key in found}, row["module"]
        assert block.kind in row["module"] or "recursion" in row["module"]


def test_scalars_of_the_released_network():
    assert CONCORDANCE.merge_size == 36
    assert CONCORDANCE.input_size == 250
    assert CONCORDANCE.grid == 16
    assert CONCORDANCE.margin == 121
    assert CONCORDANCE.num_bins == 256
    assert (TINY.input_size, TINY.merge_size, TINY.grid) == (22, 12, 2)


@pytest.mark.parametrize(
    ("architecture", "num_planes", "num_heads", "body", "total"),
    [
        # PAPER_FACTS 3.7. The first row is also the original's own count.
        (CONCORDANCE, 52, 35, 8_113_388, 9_273_708),
        (CONCORDANCE, 26, 22, 8_112_972, 8_842_316),
        (PAPER, 26, 22, 9_409_188, 10_251_612),
        (PAPER, 13, 22, 7_831_370, 8_526_790),
        (PAPER, 52, 35, 14_483_740, 16_291_700),
    ],
)
def test_numbers_of_parameters(
    architecture, num_planes, num_heads, body, total
):
    assert count_body(architecture, num_planes) == body
    head = count_head(architecture, num_planes)
    assert body + num_heads * head == total
    if architecture is CONCORDANCE:
        assert head == 33_152


def test_the_networks_differ_only_where_they_say():
    assert PAPER.stem_filters is None
    assert dataclasses.replace(PAPER, stem_filters=16) == CONCORDANCE
    assert (NARROW.base_filters, NARROW.upscale_base_filters) == (100, 96)
    assert with_width(NARROW, 400) == CONCORDANCE
    assert (CONCORDANCE.base_filters, CONCORDANCE.upscale_base_filters) == (
        400,
        396,
    )
    networks = {CONCORDANCE, PAPER, NARROW, COMPACT, TINY}
    assert set(ARCHITECTURES.values()) == networks


@pytest.mark.parametrize("architecture", [CONCORDANCE, TINY, NARROW])
def test_no_reduction_of_our_networks_is_cropped(architecture):
    for tower in plan_towers(architecture, 26):
        for block in tower:
            assert block.reduction_filters == block.output_filters


def test_upscale_blocks_may_have_a_wide_reduction():
    wide = dataclasses.replace(TINY, base_filters=20, upscale_base_filters=400)
    block = next(b for b in plan_towers(wide, 2)[1] if b.kind == "upscale")
    assert block.reduction_filters == 34  # 400 / 12 rows, even.
    assert block.output_filters == block.input_filters == 4


def test_towers_without_a_stem_start_with_the_planes():
    assert plan_towers(PAPER, 26)[3][0].input_filters == 26


@pytest.mark.parametrize("kind", ["in_scale", "downscale", "upscale"])
def test_entry_size_inverts_exit_size(kind):
    stage = {"in_scale": in_scale, "downscale": downscale, "upscale": upscale}
    kinds = list(iter_block_kinds([stage[kind](1)]))
    assert kinds == [kind] + ["in_scale"] * (kind != "in_scale")
    for size in range(4, 40, 2):
        needed = entry_size([stage[kind](1)], size)
        for each in kinds:
            needed = exit_size(each, needed)
        assert needed == size


def test_an_odd_size_before_an_upscale_block_raises():
    with pytest.raises(ValueError, match="yields an even size. Received: 9"):
        entry_size([upscale(1)], 7)


def test_output_sizes_are_steps_of_the_grid():
    valid = [n for n in range(64) if CONCORDANCE.is_output_size(n)]
    assert valid == [8, 24, 40, 56]


def test_the_table_survives_json():
    for architecture in ARCHITECTURES.values():
        text = json.dumps(architecture.to_dict())
        assert Architecture.from_dict(json.loads(text)) == architecture


def _half_resolution(**changes):
    return Architecture(
        **{
            "towers": (
                (downscale(1), in_scale(1)),
                (downscale(2), upscale(1)),
            ),
            "trunk": (in_scale(1), upscale(1)),
            "output_size": 16,
            "stem_filters": 4,
            "base_filters": 8,
            "upscale_base_filters": 8,
            "expansion_ratio": 2.0,
            "scale_filters": (4, 8, 12),
            **changes,
        }
    )


def test_filters_by_scale():
    table = _half_resolution()
    fine, coarse = plan_towers(table, NUM_PLANES)
    assert [block.output_filters for block in fine] == [8, 8, 8]
    # Half, half, quarter, quarter, then half again.
    assert [b.output_filters for b in coarse] == [8, 8, 12, 12, 8, 8]
    assert [b.expansion_filters for b in coarse] == [16, 16, 24, 24, 16, 16]
    # 16 are merged, at half resolution; in-scale blocks never lose filters.
    trunk = plan_trunk(table, NUM_PLANES)
    assert [block.output_filters for block in trunk] == [16, 4, 4]
    assert trunk[-1].output_size == 16


def test_width_changes_the_filters_of_all_scales():
    wider = with_width(COMPACT, 24)
    assert wider.scale_filters == (24, 24, 48, 96, 144)
    assert with_width(wider, 16) == COMPACT


def test_compact_network_is_merged_at_half_resolution():
    towers = plan_towers(COMPACT, NUM_PLANES)
    assert [tower[0].kind for tower in towers] == ["downscale"] * 4
    assert [tower[0].input_size for tower in towers] == [30, 58, 106, 202]
    assert {tower[-1].output_size for tower in towers} == {12}
    assert {tower[-1].output_filters for tower in towers} == {16}
    trunk = plan_trunk(COMPACT, NUM_PLANES)
    assert [b.output_filters for b in trunk] == [64, 16, 16]
    assert COMPACT.margin == 93


def test_filters_by_scale_survive_json():
    table = _half_resolution()
    values = json.loads(json.dumps(table.to_dict()))
    assert Architecture.from_dict(values) == table


def test_scale_filters_that_no_network_can_have_are_refused():
    with pytest.raises(ValueError, match="scale_filters must be a positive"):
        _half_resolution(scale_filters=(4, 0, 12))
