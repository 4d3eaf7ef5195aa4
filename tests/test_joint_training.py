"""Data sets with other labels, planes and numbers of wells in one network."""

import collections
import dataclasses

import numpy as np
import pytest

from isl.evaluation.model_scoring import build_model_scorer, score_model
from isl.images import open_wells
from isl.network.model import with_raw_input
from isl.network.model_folder import load_model
from isl.network.networks import NETWORKS
from isl.prediction.predictor import build_predictor, iter_predictions
from isl.prediction.tiles import plan_tiles
from isl.simulation.dataset import write_dataset
from isl.specs import Region
from isl.training.config import with_network
from isl.training.crops import CropSampler, CropSource
from isl.training.data import (
    describe_lost_changes,
    find_overlap,
    open_training_sampler,
    resolve,
    take_share,
)
from isl.training.trainer import Trainer, train
from tests.tiny_runs import MICRO_CONFIG, disks

STACKS = ("DAPI_CONFOCAL", "MAP2_CONFOCAL")
SINGLE = ("DEAD_CONFOCAL",)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """One training well of 3 planes, three of 1 plane with another label."""
    root = tmp_path_factory.mktemp("wells")
    specs = []
    for name, num_wells, num_z, labels in (
        ("stacks", 2, 3, STACKS),
        ("single", 4, 1, SINGLE),
    ):
        spec = write_dataset(root / name, num_wells, 64, num_z, num_z)
        wells = [
            dataclasses.replace(well, path=f"{name}/{well.path}")
            for well in spec.wells
        ]
        specs.append(
            dataclasses.replace(
                spec, name=name, labels=labels, wells=tuple(wells)
            )
        )
    return specs, root


CONFIG = dataclasses.replace(
    with_network(MICRO_CONFIG, NETWORKS["tiny_fnet"]),
    num_z=3,
    z_alignment="centred",
    balance_data_sets=True,
    batch_size=4,
    contrast=0.1,
    focus_shift=1,
)


@pytest.fixture(scope="module")
def joint(data, tmp_path_factory):
    specs, root = data
    return train(CONFIG, specs, root, tmp_path_factory.mktemp("run"))


def test_what_a_data_set_lacks_is_masked(data):
    specs, root = data
    sampler = open_training_sampler(resolve(CONFIG, specs), specs, root)
    seen = set()
    for step in range(10):
        inputs, _, weights = sampler.batch(0, step, 4)
        for crop in range(4):
            presence = tuple(inputs["presence"][crop])
            known = tuple(n for n, w in weights.items() if w[crop])
            seen.add((presence, known))
    assert seen == {((1, 1, 1), STACKS), ((0, 1, 0), SINGLE)}


@pytest.mark.parametrize(
    ("balance", "shares"), [(True, [3, 1, 1, 1]), (False, [1, 1, 1, 1])]
)
def test_data_sets_are_drawn_as_often_as_they_say(data, balance, shares):
    specs, root = data
    config = dataclasses.replace(CONFIG, balance_data_sets=balance)
    sampler = open_training_sampler(resolve(config, specs), specs, root)
    counts = collections.Counter(
        source.well.planes[0].path for source in sampler.sources
    )
    assert sorted(counts.values(), reverse=True) == shares


def test_the_model_knows_how_stacks_feed_it(joint, data):
    model, description = load_model(joint.workdir / "model")
    assert description.labels == (*STACKS, *SINGLE)
    assert (description.num_z, description.z_alignment) == (3, "centred")
    assert "planes -,0,- of 0 to 0" in "\n".join(joint.describe())
    specs, root = data
    ((_, well),) = open_wells(specs[1], root, "test")
    # By hand: the plane in the middle, the others absent whatever they hold.
    predictor = build_predictor(model, description, SINGLE, ("mean",))
    tiling = plan_tiles(description.architecture, well.shape, tile_size=64)
    ((_, _, values),) = iter_predictions(predictor, well, tiling)
    margin = description.architecture.margin
    planes = np.zeros((1, *(64 + 2 * margin,) * 2, 3), np.uint16)
    planes[0, ..., 1] = np.pad(
        well.read_planes(slice(0, 64), slice(0, 64))[..., 0],
        margin,
        mode="reflect",
    )
    logits = with_raw_input(model, SINGLE)(
        {"planes": planes, "presence": np.array([[0, 1, 0]], np.float32)},
        training=False,
    )[SINGLE[0]]
    weights = np.exp(logits - np.max(logits, axis=-1, keepdims=True))
    mean = (weights / weights.sum(axis=-1, keepdims=True)) @ np.arange(256)
    np.testing.assert_allclose(values[0], mean[0] / 255, atol=1e-4)


def test_the_model_is_judged_on_both(joint, data):
    model, description = load_model(joint.workdir / "model")
    specs, root = data
    for spec in specs:
        scorer = build_model_scorer(model, description, spec.labels)
        ((_, well),) = open_wells(spec, root, "test")
        scores = score_model(scorer, "", well, Region())
        assert set(scores.labels) == set(spec.labels)
        for label in spec.labels:
            assert scores.labels[label].metrics()["nll"] > 0


@pytest.mark.parametrize(
    ("rows", "columns", "share", "expected"),
    [
        ((0, 10), (5, 25), 0.25, ((0, 10), (5, 10))),
        ((0, 30), (0, 10), 0.5, ((0, 15), (0, 10))),
        ((2, 12), (0, 10), 1.0, ((2, 12), (0, 10))),
        ((0, 3), (0, 4), 0.01, ((0, 3), (0, 1))),
    ],
)
def test_a_share_is_the_first_part_of_the_longer_side(
    rows, columns, share, expected
):
    found = take_share(slice(*rows), slice(*columns), share)
    assert found == tuple(slice(*span) for span in expected)


def test_only_training_patches_come_from_the_share(data):
    specs, root = data
    config = dataclasses.replace(CONFIG, train_share=0.5)
    sampler = open_training_sampler(resolve(config, specs), specs, root)
    for source in sampler.sources:
        assert (source.rows, source.columns) == (slice(0, 64), slice(0, 32))


class CountedPath(str):
    """A path that knows how often one was compared with another."""

    num_comparisons = 0
    __hash__ = str.__hash__

    def __eq__(self, other):
        CountedPath.num_comparisons += 1
        return super().__eq__(other)


def sampler_of(*sources, **changes):
    return CropSampler(sources, ("DISK",), 2, 16, 2, **changes)


def test_sources_that_are_drawn_often_are_compared_once():
    # Plates of 60, 59 and 58 wells stand there 100,000 times (balanced).
    samplers = []
    for name in ("one", "other"):
        well = disks(name=name)
        well.planes[0].path = CountedPath(name)
        source = CropSource(well, slice(0, 64), slice(0, 80))
        samplers.append(sampler_of(*[source] * 30))
    assert find_overlap(*samplers) is None
    assert CountedPath.num_comparisons == 1


def source_of(name, num_z=1, num_rows=64):
    well = disks(name=name, num_z=num_z)
    return CropSource(well, slice(0, num_rows), slice(0, 80))


def test_focus_of_single_planes_cannot_shift():
    one, stack = source_of("A1"), source_of("A2", num_z=2)
    (line,) = describe_lost_changes(sampler_of(one, focus_shift=1))
    assert line == "focus_shift: no effect, as all wells have one plane"
    assert not describe_lost_changes(sampler_of(one, stack, focus_shift=1))
    assert not describe_lost_changes(sampler_of(one))


def test_wells_without_room_for_turned_patches_are_named():
    wide = source_of("A1")
    narrow = [source_of(name, num_rows=24) for name in ("A2", "A3")]
    sampler = sampler_of(wide, narrow[0], narrow[0], narrow[1], rotation=45.0)
    assert describe_lost_changes(sampler) == [
        "rotation, zoom: well A2 has 24 x 80 pixels to draw from, and a patch "
        "may need 25 x 25; one that does not fit keeps its angle and size (so "
        "in 1 more)"
    ]
    (line,) = describe_lost_changes(sampler_of(wide, narrow[0], zoom=0.6))
    assert line.endswith("keeps its angle and size")
    assert not describe_lost_changes(sampler_of(*narrow, zoom=0.3))
    assert not describe_lost_changes(sampler_of(wide, rotation=45.0))


def test_a_run_says_what_has_no_effect(data, tmp_path):
    specs, root = data
    config = dataclasses.replace(
        CONFIG, labels=SINGLE, num_z=1, train_split="train"
    )
    trainer = Trainer(config, specs[1:], root, tmp_path)
    assert "focus_shift: no effect" in "\n".join(trainer.describe())
