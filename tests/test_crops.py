import dataclasses
import time

import numpy as np
import pytest

from isl.errors import InputError
from isl.training.crops import (
    CropSampler,
    CropSource,
    iter_ahead,
    target_histograms,
    turn_and_flip,
)
from tests.tiny_runs import ArrayPlane, disks


def source(well, rows=slice(0, 64), columns=slice(0, 80)):
    return CropSource(well, rows, columns)


def sampler(*sources, **changes):
    values = {
        "sources": sources,
        "labels": ("DISK", "INVERSE"),
        "num_z": 2,
        "output_size": 16,
        "margin": 5,
    }
    return CropSampler(**(values | changes))


def coordinate_well(shape=(64, 80)):
    """A well whose pixels tell where they are: 100 * row + column."""
    rows, columns = np.indices(shape)
    image = ArrayPlane((100 * rows + columns).astype(np.uint16))
    well = disks(shape=shape, num_z=1)
    return dataclasses.replace(well, planes=(image,), labels={"DISK": image})


def test_batch_has_shapes_and_types_of_the_device():
    inputs, targets, weights = sampler(source(disks())).batch(0, 0, 3)
    assert inputs["planes"].shape == (3, 26, 26, 2)
    assert inputs["planes"].dtype == np.uint16
    assert inputs["presence"].shape == (3, 2)
    assert set(targets) == set(weights) == {"DISK", "INVERSE"}
    for label in targets:
        assert targets[label].shape == (3, 16, 16)
        assert targets[label].dtype == np.uint16
        np.testing.assert_array_equal(weights[label], [1, 1, 1])


def test_batch_depends_on_seed_and_step_only():
    one = sampler(source(disks()))
    same = one.batch(1, 7, 2)[0]["planes"]
    np.testing.assert_array_equal(same, one.batch(1, 7, 2)[0]["planes"])
    for seed, step in ((1, 8), (2, 7)):
        other = one.batch(seed, step, 2)[0]["planes"]
        assert not np.array_equal(same, other)


def test_labels_lie_in_the_middle_of_planes():
    drawn = sampler(
        source(coordinate_well()), labels=("DISK",), num_z=1, margin=5
    )
    generator = np.random.default_rng(0)
    for _ in range(50):
        crop = drawn.draw(generator)
        np.testing.assert_array_equal(
            crop.planes[5:-5, 5:-5, 0], crop.labels["DISK"]
        )


def test_labels_stay_in_the_region_and_reach_its_corners():
    region = source(coordinate_well(), slice(10, 28), slice(40, 57))
    drawn = sampler(region, labels=("DISK",), num_z=1, augment=False)
    generator = np.random.default_rng(0)
    corners = set()
    for _ in range(200):
        image = drawn.draw(generator).labels["DISK"]
        corners.add(divmod(int(image[0, 0]), 100))
    assert corners == {(r, c) for r in (10, 11, 12) for c in (40, 41)}


def test_all_eight_orientations_occur():
    region = source(coordinate_well(), slice(20, 36), slice(20, 36))
    drawn = sampler(region, labels=("DISK",), num_z=1)
    generator = np.random.default_rng(0)
    seen = {drawn.draw(generator).labels["DISK"].tobytes() for _ in range(100)}
    assert len(seen) == 8


def test_without_flips_patches_keep_their_orientation():
    region = source(coordinate_well(), slice(20, 38), slice(20, 38))
    drawn = sampler(region, labels=("DISK",), num_z=1, flips=False)
    generator = np.random.default_rng(0)
    corners = set()
    for _ in range(100):
        image = drawn.draw(generator).labels["DISK"]
        row, column = divmod(int(image[0, 0]), 100)
        np.testing.assert_array_equal(
            image, region.well.read_label("DISK", *window(row, column))
        )
        corners.add((row, column))
    assert len(corners) == 9


def window(row, column):
    return slice(row, row + 16), slice(column, column + 16)


def test_flips_are_drawn_as_ever():
    # Of older runs, which must go on as they began (commit db4ec46).
    drawn = sampler(
        source(coordinate_well()), labels=("DISK",), num_z=1, focus_shift=1
    )
    _, targets, _ = drawn.batch(0, 0, 4)
    assert [image[0, :2].tolist() for image in targets["DISK"]] == [
        [5656, 5655],
        [204, 205],
        [4659, 4660],
        [5041, 5042],
    ]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, 16),
        ({"rotation": 45.0, "augment": False}, 16),
        ({"rotation": 45.0}, 25),  # 16 x 1.41 and the rim of 2.
        ({"rotation": 90.0}, 25),
        ({"rotation": 10.0}, 21),  # 16 x (0.985 + 0.174) + 2.
        ({"zoom": 0.2}, 22),  # 16 x 1.22 + 2.
    ],
)
def test_no_drawn_window_is_larger_than_the_largest(changes, expected):
    one = sampler(source(coordinate_well()), **changes)
    assert one.largest_window == expected


def test_repeated_sources_are_told_apart_by_identity():
    first, second = source(disks()), source(disks())
    one = sampler(first, second, first, second, first)
    assert [id(s) for s in one.distinct_sources] == [id(first), id(second)]


@pytest.mark.parametrize("turns", range(4))
@pytest.mark.parametrize("flip", [False, True])
def test_turn_and_flip_keeps_pixels_together(turns, flip):
    image = np.arange(32).reshape(4, 4, 2)
    turned = turn_and_flip(image, turns, flip)
    for z in range(2):
        np.testing.assert_array_equal(
            turned[..., z], turn_and_flip(image[..., z], turns, flip)
        )
    assert sorted(turned.ravel()) == list(range(32))


def test_missing_label_has_no_weight():
    wells = [disks(0), disks(1, labels=("DISK",))]
    drawn = sampler(*(source(well) for well in wells), augment=False)
    inputs, targets, weights = drawn.collate(
        [drawn.read(well, 0, 0) for well in wells]
    )
    np.testing.assert_array_equal(weights["DISK"], [1, 1])
    np.testing.assert_array_equal(weights["INVERSE"], [1, 0])
    assert targets["INVERSE"][0].any() and not targets["INVERSE"][1].any()


def test_autoencoding_targets_are_the_planes_themselves():
    drawn = sampler(source(disks()), include_autoencoding=True)
    inputs, targets, weights = drawn.batch(0, 0, 2)
    assert list(targets)[2:] == ["input_z00", "input_z01"]
    for z in range(2):
        name = f"input_z{z:02d}"
        np.testing.assert_array_equal(
            targets[name], inputs["planes"][:, 5:-5, 5:-5, z]
        )
        np.testing.assert_array_equal(weights[name], [1, 1])


def test_planes_are_chosen_as_the_original_does():
    well = disks(num_z=3)
    drawn = sampler(source(well), num_z=5, augment=False)
    crop = drawn.read(well, 8, 8)
    own = well.read_planes_padded(3, 3, 26, 26)
    np.testing.assert_array_equal(crop.planes, own[..., [0, 0, 1, 2, 2]])


def numbered_well(num_z, shape=(64, 80)):
    """Plane z is z + 1 everywhere."""
    planes = tuple(
        ArrayPlane(np.full(shape, z + 1, np.uint16)) for z in range(num_z)
    )
    return dataclasses.replace(disks(shape=shape), planes=planes)


@pytest.mark.parametrize(
    ("num_z", "seen", "presence"),
    [
        (1, [1, 1, 1], [0, 1, 0]),
        (3, [1, 2, 3], [1, 1, 1]),
        (7, [3, 4, 5], [1, 1, 1]),
    ],
)
def test_centred_stacks_share_the_middle_plane(num_z, seen, presence):
    one = sampler(source(numbered_well(num_z)), num_z=3, z_alignment="centred")
    inputs, _, _ = one.batch(0, 0, 2)
    np.testing.assert_array_equal(inputs["planes"][0, 4, 4], seen)
    np.testing.assert_array_equal(inputs["presence"], [presence] * 2)


def test_absent_planes_are_no_targets():
    one = sampler(
        source(numbered_well(1)),
        num_z=3,
        z_alignment="centred",
        include_autoencoding=True,
    )
    _, _, weights = one.batch(0, 0, 1)
    found = [weights[f"input_z{z:02d}"][0] for z in range(3)]
    assert found == [0, 1, 0]


def test_focus_shifts_before_planes_are_left_out():
    one = sampler(
        source(numbered_well(7)), num_z=1, z_alignment="centred", focus_shift=2
    )
    seen = {int(one.batch(0, step, 1)[0]["planes"].max()) for step in range(40)}
    assert seen == {2, 3, 4, 5, 6}


def test_patch_larger_than_its_region_is_refused():
    with pytest.raises(InputError, match="at least 16 x 16.*15 x 80"):
        sampler(source(disks(), rows=slice(0, 15))).check()


def test_well_too_small_to_mirror_is_refused():
    with pytest.raises(InputError, match="half the field of view.*64 x 80"):
        sampler(source(disks()), margin=64).check()


def test_batches_come_in_order_and_one_ahead():
    drawn = []

    def draw(step):
        drawn.append(step)
        return step

    batches = iter_ahead(draw, range(5, 8))
    assert next(batches) == 5
    time.sleep(0.1)
    assert drawn == [5, 6]
    assert list(batches) == [6, 7]
    assert list(iter_ahead(draw, [])) == []


def test_error_while_drawing_reaches_the_caller():
    def draw(step):
        raise InputError("broken file")

    with pytest.raises(InputError, match="broken file"):
        list(iter_ahead(draw, [0]))


def test_histograms_count_bins_of_present_labels():
    drawn = sampler(source(disks(labels=("DISK",))))
    counts = target_histograms(drawn, seed=0, num_crops=4)
    assert counts["DISK"].sum() == 4 * 16 * 16
    assert counts["INVERSE"].sum() == 0
    background = round(12000 / 257)
    assert counts["DISK"][background - 20 : background + 20].sum() > 512
