"""Who predicts the wells of a plate: this process, local ones, or Dask's.

All of them call `isl.prediction.plate.predict_well`, so the predictions are
the same whoever made them, bit for bit where machine and number of threads
are (another number of threads may add numbers in another order).
"""

import collections
import concurrent.futures
import contextlib
import functools
import multiprocessing
import multiprocessing.connection
import os
import signal
import types
from collections.abc import Iterator, Sequence

from isl.errors import InputError
from isl.extras import import_extra
from isl.prediction.plate import (
    CLAIMED,
    FAILED,
    Execute,
    Outcome,
    predict_well,
)
from isl.prediction.plate_job import PlateJob, PlateWell

# A well whose worker dies this often is given up: it may need more memory
# than there is.
MAX_DEATHS = 3

# How long a scheduler may take to answer.
CONNECT_SECONDS = 30


def thread_limits(num_threads: int) -> dict[str, str]:
    """Returns environment variables that limit the threads of a process.

    They have to be set before the process starts. They are those of
    TensorFlow, of JAX on a CPU, and of OpenMP, which PyTorch uses.

    Args:
        num_threads: Threads that compute.
    """
    names = ("TF_NUM_INTRAOP_THREADS", "NPROC", "OMP_NUM_THREADS")
    return {name: str(num_threads) for name in names} | {
        "TF_NUM_INTEROP_THREADS": "1"
    }


def share_of_cores(num_workers: int) -> int:
    """Returns how many cores of this machine each of several workers gets."""
    return max(1, (os.cpu_count() or 1) // num_workers)


def choose_workers(scheduler: str | None, num_workers: int) -> Execute:
    """Returns who predicts wells.

    Args:
        scheduler: Address of a Dask scheduler, or None.
        num_workers: Local processes; 0 for this process.

    Raises:
        InputError: If both are given.
    """
    if scheduler is not None and num_workers:
        raise InputError(
            f"scheduler: must stand without num_workers, as a cluster has its "
            f"own. Received: {scheduler} and {num_workers} workers"
        )
    if scheduler is not None:
        return functools.partial(dask_cluster, scheduler=scheduler)
    if num_workers:
        return functools.partial(local_processes, num_workers=num_workers)
    return in_process


def in_process(job: PlateJob, wells: Sequence[PlateWell]) -> Iterator[Outcome]:
    """Predicts wells in this process, one after the other.

    Wells that another process is at come last.

    Args:
        job: From `isl.prediction.plate_job.open_plate_job`.
        wells: Likewise.

    Yields:
        What became of each well.

    Raises:
        InputError: If the model cannot be used.
    """
    waiting = collections.deque((well, False) for well in wells)
    while waiting:
        well, wait = waiting.popleft()
        outcome = predict_well(job, well, wait)
        if outcome.status == CLAIMED:
            waiting.append((well, True))
        else:
            yield outcome


def local_processes(
    job: PlateJob, wells: Sequence[PlateWell], num_workers: int
) -> Iterator[Outcome]:
    """Predicts wells in processes of this machine.

    Each loads the model once. A process that dies is replaced, and its well
    begun anew. Should this process be killed, the others finish the wells
    that they are at, and end.

    Args:
        job: From `isl.prediction.plate_job.open_plate_job`.
        wells: Likewise.
        num_workers: Processes at most.

    Yields:
        What became of each well.

    Raises:
        InputError: If a process cannot use the model.
    """
    waiting = collections.deque((well, False) for well in wells)
    deaths = collections.Counter()
    workers: list[_Worker] = []
    try:
        while True:
            _hand_out(waiting, workers, job, num_workers)
            busy = {w.connection: w for w in workers if w.task is not None}
            if not busy:
                return
            for connection in multiprocessing.connection.wait(list(busy)):
                worker = busy[connection]
                well, wait = worker.task
                outcome = worker.receive()
                if outcome is None:
                    workers.remove(worker)
                    deaths[well.output] += 1
                    if deaths[well.output] < MAX_DEATHS:
                        waiting.append((well, wait))
                    else:
                        yield _given_up(well, str(worker.process.exitcode))
                elif outcome.status == CLAIMED:
                    waiting.append((well, True))
                else:
                    yield outcome
    finally:
        for worker in workers:
            worker.process.terminate()
        for worker in workers:
            worker.process.join()


def dask_cluster(
    job: PlateJob, wells: Sequence[PlateWell], scheduler: str
) -> Iterator[Outcome]:
    """Predicts wells on a Dask cluster.

    Workers that come later are used as well; where there is none, this waits
    for one. A well whose worker is lost is given to another.

    Args:
        job: From `isl.prediction.plate_job.open_plate_job`.
        wells: Likewise.
        scheduler: Address of the scheduler, such as `tcp://10.0.0.1:8786`.

    Yields:
        What became of each well.

    Raises:
        InputError: If Dask is not installed, there is no scheduler, it goes
            away, or a worker cannot use the model.
    """
    distributed = import_extra("distributed", "cluster", "scheduler")
    try:
        client = distributed.Client(
            scheduler, timeout=CONNECT_SECONDS, set_as_default=False
        )
    except (OSError, ValueError) as error:
        raise _no_scheduler(scheduler, "must be that of a running one") from (
            error
        )
    with client:
        waiting = {
            client.submit(predict_well, job, well, pure=False): well
            for well in wells
        }
        completed = distributed.as_completed(list(waiting), loop=client.loop)
        for future in completed:
            well = waiting.pop(future)
            try:
                outcome = future.result()
            except distributed.KilledWorker:
                yield _given_up(well, "told by the scheduler")
                continue
            except concurrent.futures.CancelledError as error:
                raise _no_scheduler(
                    scheduler, "must be that of one that goes on running"
                ) from error
            if outcome.status == CLAIMED:
                again = client.submit(predict_well, job, well, True, pure=False)
                waiting[again] = well
                completed.add(again)
            else:
                yield outcome


class _Worker:
    """A process that predicts the wells it is given, one at a time."""

    def __init__(self, job: PlateJob):
        # Not a fork: TensorFlow does not survive one.
        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe()
        self.process = context.Process(
            target=_serve, args=(theirs, job), daemon=True
        )
        self.process.start()
        # Else the end of the process would not be seen here.
        theirs.close()
        self.task: tuple[PlateWell, bool] | None = None

    def give(self, task: tuple[PlateWell, bool]) -> None:
        """Gives it a well, and whether to wait for another process."""
        self.task = task
        # If it has died meanwhile, `receive` tells.
        with contextlib.suppress(OSError):
            self.connection.send(task)

    def receive(self) -> Outcome | None:
        """Returns what became of the well; None if the process has died."""
        self.task = None
        try:
            answer = self.connection.recv()
        except (EOFError, OSError):
            self.process.join()
            return None
        if isinstance(answer, InputError):
            raise answer
        return answer


def _hand_out(
    waiting: collections.deque[tuple[PlateWell, bool]],
    workers: list[_Worker],
    job: PlateJob,
    num_workers: int,
) -> None:
    idle = [worker for worker in workers if worker.task is None]
    while waiting and (idle or len(workers) < num_workers):
        if not idle:
            idle.append(_Worker(job))
            workers.append(idle[0])
        idle.pop().give(waiting.popleft())


def _serve(
    connection: multiprocessing.connection.Connection, job: PlateJob
) -> None:
    # Whoever started this process hears the user and ends it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _leave)
    while True:
        try:
            task = connection.recv()
        except (EOFError, OSError):
            return  # Nobody is there any more.
        try:
            answer = predict_well(job, *task)
        except InputError as error:
            answer = error
        # Of the folder or the model; what is wrong with a well is an outcome.
        except OSError as error:
            answer = InputError(f"{job.output}: {error}")
        # A broken pipe: nobody is there to hear the answer.
        with contextlib.suppress(OSError):
            connection.send(answer)


def _leave(signal_number: int, frame: types.FrameType | None) -> None:
    # Of a group that is ended, its parent sends it again.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    # As an exception, so that no half of a file stays.
    raise SystemExit(1)


def _given_up(well: PlateWell, status: str) -> Outcome:
    return Outcome(
        well.input.name,
        FAILED,
        f"{well.input.path}: its worker died {MAX_DEATHS} times (exit status "
        f"{status}); there may be too little memory",
    )


def _no_scheduler(scheduler: str, rule: str) -> InputError:
    return InputError(
        f"scheduler: address of a Dask scheduler {rule}, such as "
        f"tcp://10.0.0.1:8786. Received: {scheduler}"
    )
