import dataclasses

import pytest

from isl.errors import InputError
from isl.images.z_selection import Z_ALIGNMENTS
from isl.network.losses import PIXEL_LOSSES
from isl.network.unet import TINY_FNET, TINY_UNET
from isl.training.config import (
    PRECISIONS,
    SCHEDULES,
    TrainConfig,
    describe_setting,
    with_network,
)
from isl.training.presets import FAST, PAPER, PRESETS
from tests.tiny_runs import MICRO_CONFIG


@pytest.mark.parametrize("preset", PRESETS.values(), ids=PRESETS)
def test_presets_can_be_used(preset):
    preset.check()


def test_paper_preset_is_the_original():
    # PAPER_FACTS.md section 4 [C: isl/launch.py].
    assert (PAPER.output_size, PAPER.input_size) == (8, 250)
    assert PAPER.batch_size == 16
    assert PAPER.learning_rate == 1e-4
    assert PAPER.learning_rate_at(984_657, 0.999) == 1e-4
    assert PAPER.momentum == 0.999
    assert PAPER.include_autoencoding
    assert not PAPER.initialise_head_biases


@pytest.mark.parametrize("size", [0, 7, 9, 16, 71, 73, 80])
def test_output_size_is_8_plus_16_k(size):
    config = dataclasses.replace(FAST, output_size=size)
    with pytest.raises(InputError, match=f"multiple of 16. Received: {size}"):
        config.check()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("schedule", "linear"),
        ("precision", "float16"),
        ("accumulation_steps", 0),
        ("accumulation_steps", 3),
        ("loss", "hinge"),
        ("batch_size", 0),
        ("num_steps", 0),
        ("steps_per_epoch", 0),
        ("learning_rate", 0.0),
        ("frozen_norm_share", 1.5),
        ("averaging", -0.1),
        ("recalibration_batches", -1),
        ("contrast", -0.1),
        ("brightness", -0.1),
        ("blur", -0.1),
        ("focus_shift", -1),
        ("noise", -0.1),
        ("label_offset", -0.001),
        ("rotation", -1.0),
        ("zoom", -0.1),
        ("dropout", 1.0),
        ("dropout", -0.1),
        ("weight_decay", -0.1),
        ("learning_rate", float("nan")),
        ("momentum", 1.0),
        ("momentum", -0.1),
        ("averaging", 1.0),
        ("num_validation_crops", 0),
        ("seed", -1),
        ("seed", 2**32),
        ("zoom", 0.71),
        ("num_z", 0),
        ("num_z", -3),
        ("max_minutes", 0.0),
        ("max_minutes", -5.0),
        ("max_minutes", float("nan")),
        ("contrast", float("nan")),
        ("warmup_steps", -1),
    ],
)
def test_wrong_values_are_named(name, value):
    with pytest.raises(InputError, match=f"{name} must.*Received: {value}"):
        dataclasses.replace(MICRO_CONFIG, **{name: value}).check()


@pytest.mark.parametrize("name", ["averaging", "dropout"])
def test_these_come_with_statistics_of_their_own(name):
    config = dataclasses.replace(MICRO_CONFIG, **{name: 0.9})
    with pytest.raises(InputError, match="recalibration_batches must"):
        config.check()
    dataclasses.replace(config, recalibration_batches=1).check()


def test_weights_without_statistics_are_averaged_as_they_are():
    averaged = dataclasses.replace(MICRO_CONFIG, averaging=0.9)
    with_network(averaged, TINY_UNET).check()
    with pytest.raises(InputError, match="recalibration_batches must"):
        with_network(averaged, TINY_FNET).check()


def test_dropout_comes_before_frozen_statistics():
    config = dataclasses.replace(
        MICRO_CONFIG,
        dropout=0.2,
        recalibration_batches=1,
        frozen_norm_share=1.0,
    )
    with pytest.raises(InputError, match="dropout must be 0 with.*: 0.2"):
        config.check()
    dataclasses.replace(config, frozen_norm_share=0.9).check()
    dataclasses.replace(config, dropout=0.0).check()


def test_largest_seed_and_zoom_can_be_used():
    largest = {"seed": 2**32 - 1, "zoom": 0.7}
    dataclasses.replace(MICRO_CONFIG, **largest).check()


def test_cosine_schedule_falls_to_zero():
    config = dataclasses.replace(MICRO_CONFIG, schedule="cosine")
    rates = [config.learning_rate_at(100, p / 4) for p in range(5)]
    assert rates[0] == config.learning_rate
    assert rates[2] == pytest.approx(config.learning_rate / 2)
    assert rates[4] == pytest.approx(0)
    assert sorted(rates, reverse=True) == rates


def test_warmup_rises_to_the_full_rate():
    config = dataclasses.replace(
        MICRO_CONFIG, warmup_steps=8, steps_per_epoch=2
    )
    rates = [config.learning_rate_at(s, 0) for s in (0, 2, 4, 6, 8, 10)]
    assert rates == pytest.approx([0.002, 0.004, 0.006, 0.008, 0.01, 0.01])


def test_norm_is_frozen_at_the_end():
    config = dataclasses.replace(MICRO_CONFIG, frozen_norm_share=0.25)
    assert not config.is_norm_frozen_at(0.74)
    assert config.is_norm_frozen_at(0.75)
    assert not MICRO_CONFIG.is_norm_frozen_at(0.999)


@pytest.mark.parametrize("labels", [(), ("A", "A")])
def test_labels_are_there_once(labels):
    with pytest.raises(InputError, match="labels must be .*: (A,A|none)"):
        dataclasses.replace(FAST, labels=labels).check()


def test_every_setting_is_described():
    for field in dataclasses.fields(TrainConfig):
        text = describe_setting(field.name)
        assert text.endswith(".") and "\n" not in text
    with pytest.raises(KeyError):
        describe_setting("colour")


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("loss", PIXEL_LOSSES),
        ("precision", PRECISIONS),
        ("schedule", SCHEDULES),
        ("z_alignment", Z_ALIGNMENTS),
    ],
)
def test_descriptions_name_the_choices(name, values):
    assert all(value in describe_setting(name) for value in values)
