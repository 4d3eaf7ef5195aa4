import csv
import dataclasses
import json
import shutil

import keras
import numpy as np
import pytest

from isl.claims import claim
from isl.errors import DivergenceError, InputError
from isl.network.model_folder import load_model
from isl.simulation.dataset import write_dataset
from isl.training.averaging import averaged_weights
from isl.training.crops import RECALIBRATION_STREAM
from isl.training.data import (
    open_training_sampler,
    open_validation_sampler,
    resolve,
)
from isl.training.learner import Learner
from isl.training.normalization import Recalibrator, iter_recalibration_inputs
from isl.training.trainer import LOCK_FILE, Trainer, train
from tests.tiny_runs import MICRO_CONFIG

LABELS = ("DAPI_CONFOCAL", "DEAD_CONFOCAL")
CONFIG = dataclasses.replace(MICRO_CONFIG, labels=LABELS)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Three simulated wells: (spec, image root)."""
    root = tmp_path_factory.mktemp("wells")
    return write_dataset(root, 3, 48, 2, 0), root


def run_and_copy(config, data, folder):
    """A run, and the folder that a kill after 2 steps would leave."""
    spec, root = data
    trainer = Trainer(config, [spec], root, folder / "run")

    def copy(step, validation):
        if step == 2:
            shutil.copytree(trainer.workdir, folder / "killed")

    trainer.train(after_epoch=copy)
    return trainer, folder / "killed"


@pytest.fixture(scope="module")
def runs(data, tmp_path_factory):
    """A run of 4 steps that was never interrupted; its folder after 2."""
    return run_and_copy(CONFIG, data, tmp_path_factory.mktemp("runs"))


@pytest.fixture(scope="module")
def finished(runs):
    return runs[0]


@pytest.fixture
def killed(runs, tmp_path):
    """A copy of the folder that a kill after 2 steps leaves."""
    return shutil.copytree(runs[1], tmp_path / "killed")


def read_log(workdir):
    with (workdir / "log.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_writes_what_the_contract_says(finished):
    names = {path.name for path in finished.workdir.iterdir()}
    assert names == {
        LOCK_FILE,
        "config.json",
        "log.csv",
        "model",
        "tensorboard",
        "checkpoint.weights.h5",
    }
    run = json.loads((finished.workdir / "config.json").read_text())
    assert run["config"]["seed"] == 0
    assert run["versions"]["keras"]


def test_counts_steps_without_a_phantom(finished):
    assert finished.step == 4


def test_log_has_a_row_an_epoch(finished):
    rows = read_log(finished.workdir)
    assert [row["step"] for row in rows] == ["2", "4"]
    for name in (
        "learning_rate",
        "labelled_pixels_per_second",
        "DAPI_CONFOCAL_loss",
        "validation_DEAD_CONFOCAL_pearson",
        "validation_DEAD_CONFOCAL_mean_pearson",
        "validation_DEAD_CONFOCAL_nll",
    ):
        assert name in rows[0]
    losses = [float(rows[-1][f"{label}_loss"]) for label in LABELS]
    assert float(rows[-1]["loss"]) == pytest.approx(np.mean(losses), rel=1e-5)


def test_a_folder_has_one_run_at_a_time(data, tmp_path):
    spec, root = data
    trainer = Trainer(CONFIG, [spec], root, tmp_path)
    with (
        claim(tmp_path / LOCK_FILE),
        pytest.raises(InputError, match=f"^{tmp_path}: must.*one process"),
    ):
        trainer.train()
    assert trainer.step == 0
    with (
        claim(tmp_path / LOCK_FILE),
        pytest.raises(InputError, match="must.*one process"),
    ):
        Trainer(CONFIG, [spec], root, tmp_path)
    other = Trainer(CONFIG, [spec], root, tmp_path)
    trainer.train()
    assert trainer.step == CONFIG.num_steps
    with pytest.raises(InputError, match="meanwhile; start again"):
        other.train()


def test_what_a_kill_left_is_gone_and_its_model_is_back(data, tmp_path):
    spec, root = data
    left = [
        tmp_path / f".{name}.k1" for name in ("checkpoint.weights.h5", "model")
    ]
    for folder in left:
        folder.mkdir()
    (left[1] / "replaced").mkdir()
    Trainer(CONFIG, [spec], root, tmp_path)
    assert not any(folder.exists() for folder in left)
    assert (tmp_path / "model").is_dir()


def test_resumed_run_has_the_same_weights(finished, killed, data):
    spec, root = data
    # A row of an epoch whose checkpoint was lost in the kill.
    log = killed / "log.csv"
    with log.open("a") as file:
        file.write(log.read_text().splitlines()[-1].replace("2,", "3,", 1))
    resumed = train(CONFIG, [spec], root, killed)
    assert resumed.step == 4
    for one, other in zip(
        finished.model.weights, resumed.model.weights, strict=True
    ):
        np.testing.assert_array_equal(one.numpy(), other.numpy())
    steps = [line.split(",")[0] for line in log.read_text().splitlines()]
    assert steps == ["step", "2", "4"]


def test_saved_model_predicts_what_was_trained(finished):
    model, description = load_model(finished.workdir / "model")
    assert description.labels == LABELS
    assert description.provenance["steps"] == 4
    planes = np.random.default_rng(0).random((1, 20, 20, 4), np.float32)
    expected = finished.model(planes)
    for label, logits in model(planes).items():
        np.testing.assert_array_equal(logits, expected[label])


def test_finished_run_is_not_trained_again(finished, data):
    spec, root = data
    again = Trainer(CONFIG, [spec], root, finished.workdir)
    before = [weight.numpy() for weight in again.model.weights]
    again.train()
    for one, other in zip(before, again.model.weights, strict=True):
        np.testing.assert_array_equal(one, other.numpy())


def test_other_settings_in_the_same_workdir_are_refused(finished, data):
    spec, root = data
    other = dataclasses.replace(CONFIG, learning_rate=0.5)
    with pytest.raises(InputError, match="another learning_rate.*0.5"):
        Trainer(other, [spec], root, finished.workdir)


def test_broken_checkpoint_is_named(finished, data, tmp_path):
    spec, root = data
    (tmp_path / "checkpoint.weights.h5").write_bytes(b"broken")
    with pytest.raises(InputError, match="checkpoint.weights.h5: must be"):
        Trainer(CONFIG, [spec], root, tmp_path)


def test_tensorboard_has_scalars_panels_and_text(finished):
    accumulator = pytest.importorskip(
        "tensorboard.backend.event_processing.event_accumulator"
    )
    events = accumulator.EventAccumulator(
        str(finished.workdir / "tensorboard"), {accumulator.HISTOGRAMS: 0}
    )
    events.Reload()
    tags = events.Tags()
    for tag in (
        "train/loss",
        "train/DAPI_CONFOCAL_loss",
        "validation/DAPI_CONFOCAL/mae",
        "validation/DAPI_CONFOCAL/nll",
        "run/learning_rate",
        "run/labelled_pixels_per_second",
    ):
        assert tag in tags["scalars"], tag
    assert [event.step for event in events.Scalars("train/loss")] == [2, 4]
    assert "validation/DAPI_CONFOCAL" in tags["images"]
    assert "config/text_summary" in tags["tensors"]
    parts = {"stem", "tower0", "trunk"}
    assert set(tags["histograms"]) == {
        *(f"weights/{part}" for part in (*parts, *LABELS)),
        *(f"activations/{part}" for part in parts),
    }
    assert [e.step for e in events.Histograms("weights/trunk")] == [2, 4]


@pytest.mark.usefixtures("eagerly")
def test_max_minutes_ends_the_run(data, tmp_path):
    spec, root = data
    config = dataclasses.replace(
        CONFIG, num_steps=1000, max_minutes=1e-6, schedule="cosine"
    )
    assert train(config, [spec], root, tmp_path).step == 2


@pytest.mark.usefixtures("eagerly")
def test_steps_have_the_learning_rate_of_their_epoch(
    data, tmp_path, monkeypatch
):
    spec, root = data
    config = dataclasses.replace(
        CONFIG,
        num_steps=4,
        steps_per_epoch=2,
        schedule="cosine",
        learning_rate=0.002,
    )
    used = []
    step = Learner._step

    def watched(learner, trained, batch):
        used.append(float(trained.optimizer.learning_rate))
        return step(learner, trained, batch)

    monkeypatch.setattr(Learner, "_step", watched)
    train(config, [spec], root, tmp_path)
    assert used == pytest.approx([0.002, 0.002, 0.001, 0.001])


@pytest.mark.usefixtures("eagerly")
def test_a_label_is_judged_by_the_steps_that_have_it(data, tmp_path):
    spec, root = data
    trainer = Trainer(CONFIG, [spec], root, tmp_path)
    generator = np.random.default_rng(0)
    batches = []
    for step in range(3):
        inputs, targets, weights = trainer._sampler.batch(0, step, 2)
        weights[LABELS[0]] = np.full(2, step == 1, np.float32)
        weights[LABELS[1]] = np.zeros(2, np.float32)
        targets[LABELS[0]] = generator.integers(
            0, 256, targets[LABELS[0]].shape, np.uint8
        )
        batches.append((inputs, targets, weights))
    losses = trainer.learner.learn(batches, 1e-9)
    # A network that knows nothing: log(256) over log(256).
    assert losses[f"{LABELS[0]}_loss"] > 0.5
    assert losses[f"{LABELS[1]}_loss"] is None
    share = losses["loss"] * len(LABELS) * 3
    assert losses[f"{LABELS[0]}_loss"] == pytest.approx(share, rel=1e-4)


def test_what_changes_patches_reaches_those_of_training_only(data):
    spec, root = data
    changes = {"focus_shift": 1, "noise": 0.02, "rotation": 9.0, "zoom": 0.1}
    changes |= {"flips": False, "label_offset": 0.01}
    config = resolve(dataclasses.replace(CONFIG, **changes, blur=0.3), [spec])
    sampler = open_training_sampler(config, [spec], root)
    assert {name: getattr(sampler, name) for name in changes} == changes
    assert sampler.changes.blur == 0.3
    still = open_validation_sampler(config, [spec], root)
    assert not still.augment


def test_statistics_are_those_of_patches_as_they_are(data):
    spec, root = data
    config = dataclasses.replace(CONFIG, recalibration_batches=2)
    changed = dataclasses.replace(
        config,
        focus_shift=1,
        noise=0.1,
        label_offset=0.1,
        rotation=45.0,
        zoom=0.2,
    )
    plain, other = (
        list(
            iter_recalibration_inputs(
                open_training_sampler(resolve(one, [spec]), [spec], root),
                resolve(one, [spec]),
            )
        )
        for one in (config, changed)
    )
    for inputs, expected in zip(other, plain, strict=True):
        np.testing.assert_array_equal(inputs["planes"], expected["planes"])


def test_labels_and_splits_that_are_nowhere_are_refused(data, tmp_path):
    spec, root = data
    config = dataclasses.replace(CONFIG, validation_split="val")
    with pytest.raises(InputError, match="validation_split must be.*: val"):
        train(config, [spec], root, tmp_path)
    without = tuple(
        dataclasses.replace(well, labels={}) if "train" in well.splits else well
        for well in spec.wells
    )
    with pytest.raises(InputError, match="labels must be in at least one"):
        train(
            CONFIG, [dataclasses.replace(spec, wells=without)], root, tmp_path
        )


def without_labels(spec, split, count=None):
    """The data set, of which the first wells of a split have no labels."""
    names = [well.name for well in spec.wells if split in well.splits][:count]
    wells = tuple(
        dataclasses.replace(well, labels={}) if well.name in names else well
        for well in spec.wells
    )
    return dataclasses.replace(spec, wells=wells), names


def test_patches_come_from_wells_that_have_a_label(data, tmp_path):
    spec, root = data
    mixed, (name,) = without_labels(spec, "train", 1)
    config = resolve(CONFIG, [mixed])
    sampler = open_training_sampler(config, [mixed], root)
    assert sampler.left_out == (name,)
    assert name not in {source.well.name for source in sampler.sources}
    assert sampler.sources
    trainer = Trainer(CONFIG, [mixed], root, tmp_path)
    assert any(f"none in well {name};" in line for line in trainer.describe())
    autoencoding = dataclasses.replace(config, include_autoencoding=True)
    sampler = open_training_sampler(autoencoding, [mixed], root)
    assert not sampler.left_out
    balanced = dataclasses.replace(config, balance_data_sets=True)
    empty, _ = without_labels(spec, "train")
    sampler = open_training_sampler(balanced, [empty, spec], root)
    assert len(sampler.left_out) == len(sampler.sources) > 0


def test_validation_without_labels_is_refused(data):
    spec, root = data
    empty, _ = without_labels(spec, "train")  # There is no validation split.
    with pytest.raises(InputError, match="labels must.*of the splits train"):
        open_validation_sampler(resolve(CONFIG, [empty]), [empty], root)


@pytest.mark.usefixtures("eagerly")
def test_a_last_step_that_diverges_is_noticed(data, tmp_path):
    spec, root = data
    config = dataclasses.replace(
        CONFIG, learning_rate=1e38, steps_per_epoch=1, num_steps=1
    )
    with pytest.raises(DivergenceError) as caught:
        train(config, [spec], root, tmp_path)
    assert "kept" not in str(caught.value)
    assert not (tmp_path / "model").exists()
    # Nothing to go on from: another rate may be tried there.
    assert train(CONFIG, [spec], root, tmp_path).step == CONFIG.num_steps
    stored = json.loads((tmp_path / "config.json").read_text())
    assert stored["config"]["learning_rate"] == CONFIG.learning_rate


@pytest.mark.usefixtures("eagerly")
def test_diverged_run_stops_and_keeps_the_checkpoint(killed, data):
    spec, root = data
    checkpoint = (killed / "checkpoint.weights.h5").read_bytes()
    trainer = Trainer(CONFIG, [spec], root, killed)
    trainer.model.get_layer("stem").bias.assign([np.nan] * 4)
    with pytest.raises(
        InputError, match="learning_rate.*steps 2 to 4.*before is kept"
    ):
        trainer.train()
    assert (killed / "checkpoint.weights.h5").read_bytes() == checkpoint


def test_frozen_norm_keeps_its_statistics_and_learns(data, tmp_path):
    spec, root = data
    first_half = dataclasses.replace(CONFIG, num_steps=2)
    frozen = dataclasses.replace(CONFIG, frozen_norm_share=0.5)
    before = train(first_half, [spec], root, tmp_path / "first").model
    after = train(frozen, [spec], root, tmp_path / "frozen").model
    for norm in ("trunk_00_in_scale_expand_norm", "DAPI_CONFOCAL_head_norm"):
        one, other = before.get_layer(norm), after.get_layer(norm)
        np.testing.assert_array_equal(one.moving_mean, other.moving_mean)
        np.testing.assert_array_equal(
            one.moving_variance, other.moving_variance
        )
        assert not np.array_equal(one.gamma, other.gamma)


def test_unknown_label_is_refused(data, tmp_path):
    spec, root = data
    config = dataclasses.replace(CONFIG, labels=("GFP",))
    with pytest.raises(InputError, match="labels must be among.*GFP"):
        Trainer(config, [spec], root, tmp_path)
    assert not list(tmp_path.iterdir())


def test_patch_larger_than_a_well_is_refused(data, tmp_path):
    spec, root = data
    config = dataclasses.replace(CONFIG, output_size=56)
    with pytest.raises(InputError, match="at least 56 x 56"):
        Trainer(config, [spec], root, tmp_path)
    assert not list(tmp_path.iterdir())


def test_autoencoding_heads_train(data, tmp_path):
    spec, root = data
    config = dataclasses.replace(CONFIG, include_autoencoding=True, num_steps=1)
    train(config, [spec], root, tmp_path)
    (row,) = read_log(tmp_path)
    labels = [float(row[f"{label}_loss"]) for label in LABELS]
    inputs = [float(row[f"input_z{z:02d}_loss"]) for z in range(2)]
    assert float(row["loss"]) == pytest.approx(
        0.5 * np.mean(labels) + 0.5 * np.mean(inputs), rel=1e-5
    )


def test_recalibrated_statistics_belong_to_the_weights(data, tmp_path):
    """After an epoch they are those of fixed patches, without a memory."""
    spec, root = data
    config = dataclasses.replace(
        CONFIG, momentum=0.999, recalibration_batches=3
    )
    trainer = train(config, [spec], root, tmp_path)
    norm = trainer.model.get_layer("trunk_00_in_scale_expand_norm")
    before = keras.ops.convert_to_numpy(norm.moving_mean).copy()
    norm.moving_mean.assign(before + 1)
    _recalibrate_again(trainer, config, data)
    np.testing.assert_allclose(norm.moving_mean, before, atol=1e-6)


def _recalibrate_again(trainer, config, data):
    spec, root = data
    resolved = resolve(config, [spec])
    sampler = open_training_sampler(resolved, [spec], root)
    Recalibrator(trainer.model).run(
        sampler.batch(config.seed, RECALIBRATION_STREAM + i, config.batch_size)[
            0
        ]
        for i in range(config.recalibration_batches)
    )


AVERAGED = dataclasses.replace(
    CONFIG,
    averaging=0.8,
    recalibration_batches=1,
    contrast=0.2,
    brightness=0.05,
    blur=0.5,
    focus_shift=1,
    noise=0.02,
    dropout=0.25,
)


@pytest.fixture(scope="module")
def averaged_runs(data, tmp_path_factory):
    """A run with averaged weights and changed intensities."""
    return run_and_copy(AVERAGED, data, tmp_path_factory.mktemp("averaged"))


@pytest.fixture(scope="module")
def averaged(averaged_runs):
    return averaged_runs[0]


def kernels(model):
    return [weight.numpy() for weight in model.trainable_variables]


def test_averaged_weights_are_saved_and_training_goes_on_with_its_own(
    averaged,
):
    saved, _ = load_model(averaged.workdir / "model")
    optimizer = averaged.learner.trained.optimizer
    before = kernels(averaged.model)
    assert any(
        not np.allclose(one, other, atol=1e-6)
        for one, other in zip(before, kernels(saved), strict=True)
    )
    with averaged_weights(averaged.model, optimizer):
        for one, other in zip(
            kernels(averaged.model), kernels(saved), strict=True
        ):
            np.testing.assert_array_equal(one, other)


def test_averaged_run_resumes_with_the_same_weights(averaged_runs, data):
    spec, root = data
    averaged, killed = averaged_runs
    resumed = train(AVERAGED, [spec], root, killed)
    for folder in ("model", ""):
        one, other = (
            (load_model(run.workdir / folder)[0] if folder else run.model)
            for run in (averaged, resumed)
        )
        for a, b in zip(one.weights, other.weights, strict=True):
            np.testing.assert_array_equal(a.numpy(), b.numpy())


def test_saved_statistics_belong_to_averaged_weights(averaged, data):
    spec, root = data
    saved, _ = load_model(averaged.workdir / "model")
    stored = [weight.numpy() for weight in saved.weights]
    still = dataclasses.replace(AVERAGED, noise=0.0, focus_shift=0)
    sampler = open_training_sampler(resolve(still, [spec]), [spec], root)
    inputs, _, _ = sampler.batch(0, RECALIBRATION_STREAM, AVERAGED.batch_size)
    del inputs["changes"]
    Recalibrator(saved).run([inputs])
    for weight, before in zip(saved.weights, stored, strict=True):
        np.testing.assert_allclose(weight.numpy(), before, rtol=1e-3, atol=1e-5)


def test_averaged_weights_keep_the_statistics_they_were_frozen_with(
    data, tmp_path
):
    spec, root = data
    run = train(
        dataclasses.replace(AVERAGED, frozen_norm_share=0.5),
        [spec],
        root,
        tmp_path,
    )
    saved, _ = load_model(tmp_path / "model")
    kept = run.model.non_trainable_variables
    assert kept
    for one, other in zip(kept, saved.non_trainable_variables, strict=True):
        np.testing.assert_array_equal(one.numpy(), other.numpy())


@pytest.mark.long
def test_a_run_that_never_froze_ends_the_same_when_started_again(
    data, tmp_path
):
    spec, root = data
    config = dataclasses.replace(AVERAGED, frozen_norm_share=0.01)
    for _ in range(2):
        train(config, [spec], root, tmp_path)
        saved, _ = load_model(tmp_path / "model")
        weights = [weight.numpy() for weight in saved.weights]
    train(config, [spec], root, tmp_path / "other")
    other, _ = load_model(tmp_path / "other" / "model")
    for one, again in zip(other.weights, weights, strict=True):
        np.testing.assert_array_equal(one.numpy(), again)


@pytest.mark.long
def test_frozen_run_resumes_with_the_same_weights(data, tmp_path):
    spec, root = data
    frozen = dataclasses.replace(AVERAGED, frozen_norm_share=0.5)
    whole = train(frozen, [spec], root, tmp_path / "whole")
    train(
        dataclasses.replace(frozen, num_steps=2),
        [spec],
        root,
        tmp_path / "half",
    )
    resumed = train(frozen, [spec], root, tmp_path / "half")
    assert whole.step == resumed.step
    for one, other in zip(
        whole.model.weights, resumed.model.weights, strict=True
    ):
        np.testing.assert_array_equal(one.numpy(), other.numpy())


def test_other_data_in_the_same_workdir_are_refused(finished, data):
    spec, root = data
    fewer = dataclasses.replace(spec, wells=spec.wells[:-1])
    with pytest.raises(InputError, match="other wells or splits"):
        Trainer(CONFIG, [fewer], root, finished.workdir)
    renamed = dataclasses.replace(spec, name="elsewhere")
    Trainer(CONFIG, [renamed], root, finished.workdir)
