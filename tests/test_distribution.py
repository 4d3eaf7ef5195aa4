"""A step that devices share is the step of one device."""

import dataclasses
import socket

import numpy as np
import pytest

from isl.errors import InputError
from isl.training.distribution import start_distribution
from isl.training.distribution_rules import (
    Hosts,
    check_data_parallel,
    check_mirrored,
)
from tests.learning_runs import CONFIG, run_elsewhere

# Averaged weights and renewed statistics too: all that a run does.
CHANGES = {
    "averaging": 0.5,
    "recalibration_batches": 1,
    "weight_decay": 0.1,
}


def finish(process, output):
    """Waits for a process and reads what it wrote."""
    text, _ = process.communicate(timeout=900)
    assert process.returncode == 0, text
    with np.load(output) as values:
        return dict(values)


def assert_same(values, expected):
    """The steps changed the same by the same, to a few hundredths.

    Element by element would be too strict: where rounding turns a ReLU on or
    off a gradient changes a little, and Adam makes small gradients large.
    """
    assert values.keys() == expected.keys()
    np.testing.assert_allclose(values["logits"], expected["logits"], atol=0.01)
    for name, array in expected.items():
        kind, _, weight = name.partition("/")
        if kind == "losses":
            np.testing.assert_allclose(values[name], array, atol=1e-5)
        elif kind in ("after", "judged"):
            change = array - expected[f"before/{weight}"]
            distance = np.linalg.norm(values[name] - array)
            assert distance <= 0.05 * np.linalg.norm(change), name


def on_one_device(backend, folder, changes):
    output = folder / "one.npz"
    return finish(run_elsewhere(output, backend, changes=changes), output)


@pytest.mark.long
@pytest.mark.parametrize(
    "changes", [CHANGES, {"frozen_norm_share": 0.4}], ids=str
)
def test_two_mirrored_devices_learn_what_one_does(tmp_path, changes):
    output = tmp_path / "two.npz"
    two = run_elsewhere(
        output,
        "tensorflow",
        kind="mirrored",
        devices=["CPU:0", "CPU:1"],
        changes=changes,
    )
    expected = on_one_device("tensorflow", tmp_path, changes)
    assert_same(finish(two, output), expected)


@pytest.mark.long
def test_devices_and_processes_under_jax_learn_what_one_device_does(tmp_path):
    changes = {**CHANGES, "dropout": 0.25}
    expected = on_one_device("jax", tmp_path, changes)
    output = tmp_path / "two.npz"
    two = run_elsewhere(output, "jax", kind="data_parallel", changes=changes)
    assert_same(finish(two, output), expected)
    # Two processes of two devices each.
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    outputs = [tmp_path / f"process{index}.npz" for index in range(2)]
    processes = [
        run_elsewhere(
            outputs[index],
            "jax",
            kind="data_parallel",
            hosts={
                "job_address": address,
                "num_processes": 2,
                "process_id": index,
            },
            changes=changes,
        )
        for index in range(2)
    ]
    assert_same(finish(processes[0], outputs[0]), expected)
    text, _ = processes[1].communicate(timeout=900)
    assert processes[1].returncode == 0, text
    assert not outputs[1].exists()  # Only the first writes.


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("ring",), "distribution must be one of.*ring"),
        (("data_parallel",), "must be used under Keras' back end jax"),
        (("mirrored", ["GPU:7", "GPU:8"]), "devices must be at least two.*GPU"),
        (("mirrored", ["CPU:0"]), "devices must be at least two.*: CPU:0"),
        (
            ("mirrored", ["CPU:0", "CPU:0"]),
            "devices must be .*, each once. Received: CPU:0, CPU:0",
        ),
        (("mirrored",), "devices must be at least two.*none"),
        (("none", ["CPU:0"]), "devices must come with a distribution"),
        (
            ("mirrored", None, Hosts("a:1", 2, 0)),
            "num_processes must be 1 without distribution=data_parallel.*2",
        ),
    ],
    ids=str,
)
def test_what_cannot_be_had_is_refused(arguments, message):
    with pytest.raises(InputError, match=message):
        start_distribution(*arguments)


def test_nothing_shared_needs_nothing():
    distribution = start_distribution("none")
    assert distribution.num_devices == 1
    assert distribution.is_chief


@pytest.mark.parametrize(
    ("hosts", "message"),
    [
        (Hosts("10.0.0.1", 2, 0), "job_address must be host:port.*10.0.0.1$"),
        (Hosts(None, 2, 0), "job_address must be host:port.*None"),
        (Hosts("10.0.0.1:99", 1, 0), "num_processes must be at least 2.*1$"),
        (Hosts("10.0.0.1:99", 2, 2), "process_id must be below.*2$"),
        (Hosts("10.0.0.1:99", 2, -1), "process_id must be below.*-1"),
    ],
    ids=str,
)
def test_processes_that_cannot_meet_are_refused(hosts, message):
    with pytest.raises(InputError, match=message):
        hosts.check()


@pytest.mark.parametrize(
    ("check", "changes", "message"),
    [
        (check_mirrored, {"batch_size": 3}, "batch_size must be a mult.*: 3"),
        (check_mirrored, {"remat": True}, "remat must be off"),
        (check_mirrored, {"dropout": 0.1}, "dropout must be 0.*: 0.1"),
        (
            check_mirrored,
            {"accumulation_steps": 2},
            "accumulation_steps must be 1.*: 2",
        ),
        (check_data_parallel, {"batch_size": 3}, "batch_size must be.*: 3"),
        (
            check_data_parallel,
            {"accumulation_steps": 4},
            "batch_size must be a multiple.*: 4",
        ),
        (check_data_parallel, {"max_minutes": 5.0}, "max_minutes must.*: 5.0"),
        (check_data_parallel, {"keep_best": True}, "keep_best must be off"),
    ],
)
def test_runs_that_cannot_be_shared_are_refused(check, changes, message):
    config = dataclasses.replace(CONFIG, **changes)
    numbers = (2,) if check is check_mirrored else (2, 2)
    with pytest.raises(InputError, match=message):
        check(config, *numbers)


def test_runs_that_can_be_shared_pass():
    check_mirrored(CONFIG, 2)
    check_data_parallel(CONFIG, 4, 2)
    check_data_parallel(dataclasses.replace(CONFIG, max_minutes=5.0), 2, 1)
