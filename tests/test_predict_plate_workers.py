"""Who predicts: processes and Dask give what one process gives."""

import contextlib
import dataclasses
import functools
import os
import pathlib
import subprocess
import sys
import time

import pytest

from isl.errors import InputError
from isl.files import read_json
from isl.prediction import plate as plate_lib
from isl.prediction import workers
from isl.prediction.plate_job import open_plate_job
from isl.prediction.request import Request
from isl.prediction.well_inputs import list_well_inputs
from isl.simulation.dataset import write_dataset
from tests.plates import (
    claimed,
    make_deadly,
    open_until_ended,
    read_tree,
    save_random_model,
)

ROOT = pathlib.Path(__file__).parents[1]
REQUEST = Request(statistics=("mean", "entropy"), tile_size=16)
WELLS = ("A1", "A2", "A3", "A4")
ONE_THREAD = {**workers.thread_limits(1), "TF_CPP_MIN_LOG_LEVEL": "3"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with a model and four wells of 32 x 32 pixels."""
    root = tmp_path_factory.mktemp("plate")
    save_random_model(root / "model")
    write_dataset(root / "wells", len(WELLS), 32, 2, 0)
    return root


@pytest.fixture(scope="module")
def alone(folder):
    """The plate that one process with one thread writes, file by file."""
    flags = {
        "model": folder / "model",
        "input": folder / "wells",
        "output": folder / "alone",
        "format": "ome_zarr",
        "statistics": "mean,entropy",
        "tile_size": 16,
    }
    subprocess.run(
        [
            sys.executable,
            str(ROOT / "experiments" / "predict_plate.py"),
            *(f"--{name}={value}" for name, value in flags.items()),
        ],
        env={**os.environ, **ONE_THREAD},
        check=True,
        timeout=500,
    )
    return read_tree(folder / "alone" / "plate.zarr")


@pytest.fixture
def open_job(folder, tmp_path, monkeypatch):
    """Begins a job in which predicting A2 kills so many processes."""
    for name, value in ONE_THREAD.items():
        monkeypatch.setenv(name, value)

    def open_with(num_deaths):
        inputs = [
            make_deadly(well, tmp_path / "death", num_deaths)
            if well.name == "A2"
            else well
            for well in list_well_inputs(folder / "wells", tmp_path / "out")
        ]
        return open_plate_job(
            folder / "model", REQUEST, inputs, "", tmp_path / "out", "ome_zarr"
        )

    return open_with


def assert_each_was_predicted_once(outcomes, folder, alone, lost=frozenset()):
    """`lost`: Wells whose prediction may be known by their file only."""
    assert [outcome.well for outcome in outcomes] == list(WELLS)
    for outcome in outcomes:
        known = {plate_lib.PREDICTED}
        if outcome.well in lost:
            known.add(plate_lib.FOUND)
        assert outcome.status in known, outcome
    # No leftovers either: these would be files that `alone` has not.
    assert read_tree(folder / "out" / "plate.zarr") == alone
    assert len(list(folder.glob("death*"))) == 1


@pytest.mark.slow
def test_processes_of_which_one_is_killed_give_what_one_gives(
    open_job, alone, tmp_path
):
    job, wells = open_job(num_deaths=1)

    def execute(job, wells):
        # A3 is in other hands until the others are done.
        with claimed(tmp_path / "out", "A3") as let_go:
            outcomes = workers.local_processes(job, wells, num_workers=2)
            for _ in range(len(WELLS) - 1):
                outcome = next(outcomes)
                assert outcome.well != "A3"
                yield outcome
            let_go()
            yield from outcomes

    outcomes = plate_lib.predict_wells(job, wells, execute)
    assert_each_was_predicted_once(outcomes, tmp_path, alone)


@pytest.mark.slow
def test_a_well_that_kills_every_process_is_given_up(
    open_job, alone, tmp_path, monkeypatch
):
    monkeypatch.setattr(workers, "MAX_DEATHS", 1)
    job, wells = open_job(num_deaths=99)
    execute = functools.partial(workers.local_processes, num_workers=1)
    outcomes = plate_lib.predict_wells(job, wells[:2], execute)
    assert [o.status for o in outcomes] == [
        plate_lib.PREDICTED,
        plate_lib.FAILED,
    ]
    assert outcomes[1].reason.startswith(f"{wells[1].input.path}: its worker")
    assert "(exit status -9)" in outcomes[1].reason
    assert not (tmp_path / "out" / wells[1].output).exists()


@pytest.mark.slow
def test_a_process_that_is_ended_twice_cleans_up(
    open_job, tmp_path, monkeypatch
):
    monkeypatch.setattr(workers, "MAX_DEATHS", 1)
    job, (well, *_) = open_job(num_deaths=0)
    marker = tmp_path / "removed"
    opener = functools.partial(open_until_ended, well.input.path, marker)
    ended = dataclasses.replace(well.input, open=opener)
    (outcome,) = workers.local_processes(
        job, [dataclasses.replace(well, input=ended)], num_workers=1
    )
    assert "(exit status 1)" in outcome.reason
    assert marker.exists()


@pytest.mark.slow
def test_what_is_wrong_with_the_model_ends_the_run(open_job, folder):
    job, wells = open_job(num_deaths=0)
    weights = folder / "model" / "model.weights.h5"
    content = weights.read_bytes()
    try:
        weights.write_bytes(content[:-1])
        with pytest.raises(InputError, match="must be the same model for all"):
            list(workers.local_processes(job, wells, num_workers=1))
    finally:
        weights.write_bytes(content)


@contextlib.contextmanager
def dask_processes(folder, num_workers):
    """Starts a scheduler and workers on loopback; yields its address."""
    file = folder / "scheduler.json"
    common = ["--scheduler-file", str(file), "--no-dashboard"]
    commands = [
        ["dask_scheduler", *common, "--host=127.0.0.1", "--port=0"],
        *[
            ["dask_worker", *common, "--no-nanny", "--nthreads=1"]
            + [f"--local-directory={folder / 'dask'}"]
        ]
        * num_workers,
    ]
    environment = {**os.environ, **ONE_THREAD, "PYTHONPATH": str(ROOT)}
    with contextlib.ExitStack() as stack:
        for module, *arguments in commands:
            process = stack.enter_context(
                subprocess.Popen(
                    [sys.executable, "-m", f"distributed.cli.{module}"]
                    + arguments,
                    env=environment,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                )
            )
            stack.callback(process.kill)
        deadline = time.monotonic() + 300
        while not file.exists():
            if time.monotonic() > deadline:
                pytest.fail("no scheduler after five minutes")
            time.sleep(0.1)
        yield read_json(file)["address"]


@pytest.mark.slow
def test_dask_workers_of_which_one_is_killed_give_what_one_gives(
    open_job, alone, tmp_path
):
    pytest.importorskip("distributed")
    job, wells = open_job(num_deaths=1)
    with dask_processes(tmp_path, num_workers=2) as address:
        execute = functools.partial(workers.dask_cluster, scheduler=address)
        outcomes = plate_lib.predict_wells(job, wells, execute)
    # What a worker predicted and had not told before it was killed on A2 is
    # asked for again, and is found then.
    lost = set(WELLS) - {"A2"}
    assert_each_was_predicted_once(outcomes, tmp_path, alone, lost)


def test_dask_waits_for_a_claimed_well(open_job, tmp_path):
    distributed = pytest.importorskip("distributed")
    job, wells = open_job(num_deaths=0)
    with (
        distributed.LocalCluster(
            n_workers=1,
            threads_per_worker=1,
            processes=False,
            dashboard_address=None,
        ) as cluster,
        claimed(tmp_path / "out", "A1") as let_go,
    ):
        outcomes = workers.dask_cluster(
            job, wells[::2], cluster.scheduler_address
        )
        assert next(outcomes).well == "A3"
        let_go()
        assert list(outcomes) == [plate_lib.Outcome("A1", plate_lib.PREDICTED)]


def test_without_dask_the_extra_is_named(open_job, monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    job, wells = open_job(num_deaths=0)
    with pytest.raises(InputError, match=r"install '\.\[cluster\]'") as e:
        list(workers.dask_cluster(job, wells, "tcp://127.0.0.1:1"))
    assert "\n" not in str(e.value)


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:1", "no address"])
def test_a_scheduler_that_is_not_there(open_job, monkeypatch, address):
    pytest.importorskip("distributed")
    monkeypatch.setattr(workers, "CONNECT_SECONDS", 1)
    job, wells = open_job(num_deaths=0)
    with pytest.raises(InputError, match="^scheduler: .*Received: " + address):
        list(workers.dask_cluster(job, wells, address))


def test_workers_are_chosen():
    assert workers.choose_workers(None, 0) is workers.in_process
    local = workers.choose_workers(None, 3)
    assert local.func is workers.local_processes
    assert local.keywords == {"num_workers": 3}
    cluster = workers.choose_workers("tcp://a:1", 0)
    assert cluster.func is workers.dask_cluster
    assert cluster.keywords == {"scheduler": "tcp://a:1"}
    with pytest.raises(InputError, match="scheduler: must stand without num"):
        workers.choose_workers("tcp://a:1", 1)
