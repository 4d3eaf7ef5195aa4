"""Time, memory and the machine's own limit, for one kind of work."""

import dataclasses
import os
import pathlib
import platform
import time
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from isl.errors import InputError
from isl.network.precision import FLOAT32

_PEAK_SIZE = 2048
_PEAK_VALUES = 2**26


@dataclasses.dataclass(frozen=True)
class Turns:
    """What was measured of one piece of work, float64, [turn].

    Attributes:
        seconds: It took.
        multiply_adds_per_second: Of a large matrix product right before: the
            machine's limit.
        bytes_per_second: That a large addition right before read and wrote.
    """

    seconds: np.ndarray
    multiply_adds_per_second: np.ndarray
    bytes_per_second: np.ndarray


def take_turns(
    work: Sequence[Callable[[], Any]],
    repeats: int,
    prepare: Sequence[Callable[[], Any] | None] | None = None,
    precisions: Sequence[str] | None = None,
) -> list[Turns]:
    """Times pieces of work, one after the other in each turn.

    Args:
        work: What to do; each has to wait for its result, and has been done
            before, to compile.
        repeats: Turns.
        prepare: What each piece needs done before it and not timed.
        precisions: What each is computed in, from
            `isl.network.precision.PRECISIONS`, and so the matrix product
            before it; None: float32.

    Returns:
        What was measured of each.
    """
    prepare = prepare or [None] * len(work)
    precisions = precisions or [FLOAT32] * len(work)
    products = {name: matrix_product(name) for name in sorted({*precisions})}
    add = large_addition()
    measured = np.empty((len(work), 3, repeats))
    for turn in range(repeats):
        for values, one, before, precision in zip(
            measured, work, prepare, precisions, strict=True
        ):
            rates = [products[precision](), add()]
            if before is not None:
                before()
            values[:, turn] = [seconds(one), *rates]
    return [Turns(*values) for values in measured]


def seconds(work: Callable[[], Any]) -> float:
    """Times a piece of work."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def spread(values: np.ndarray) -> dict[str, float]:
    """Returns median, minimum and maximum."""
    return {
        "median": float(np.median(values)),
        "min": float(np.min(values)),
        "max": float(np.max(values)),
    }


def matrix_product(precision: str = FLOAT32) -> Callable[[], float]:
    """Prepares a large matrix product on the default device.

    Args:
        precision: One of `isl.network.precision.PRECISIONS`; float32 is what
            the back end makes of it.

    Returns:
        Does it, and gives multiply-adds per second.
    """
    generator = np.random.default_rng(0)
    one, other = (
        ops.cast(
            generator.standard_normal((_PEAK_SIZE, _PEAK_SIZE), np.float32),
            keras.DTypePolicy(precision).compute_dtype,
        )
        for _ in range(2)
    )

    def multiply() -> float:
        # One number instead of a matrix to wait for.
        return float(ops.matmul(one, other)[0, 0])

    multiply()
    return lambda: _PEAK_SIZE**3 / seconds(multiply)


def large_addition() -> Callable[[], float]:
    """Prepares an addition to a large array, 0.5 GB to read and write.

    In float32, on the default device.

    Returns:
        Does it, and gives the bytes per second that it reads and writes.
    """
    values = ops.ones((_PEAK_VALUES,), "float32")

    def add() -> float:
        # One number instead of an array to wait for.
        return float(ops.add(values, 1.0)[0])

    add()
    return lambda: 2 * 4 * _PEAK_VALUES / seconds(add)


def evict(folder: str | os.PathLike) -> None:
    """Takes the files below a folder out of the system's cache.

    Only advice: the system may keep them. Pages that are mapped stay.

    Raises:
        InputError: If the system takes no such advice, as macOS.
    """
    if not hasattr(os, "posix_fadvise"):
        raise InputError(
            f"what: the input can be measured only where the system can be "
            f"told to forget files. Received: {platform.system()}"
        )
    for path in pathlib.Path(folder).rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def device() -> tuple[str, int | None]:
    """Describes the device that computes.

    Returns:
        Its name, and the most memory held on it so far in bytes; None where
        that is not known, as on a CPU.
    """
    backend = keras.backend.backend()
    if backend == "jax":
        import jax

        used = jax.devices()[0]
        statistics = used.memory_stats() or {}
        return used.device_kind, statistics.get("peak_bytes_in_use")
    if backend == "torch":
        import torch

        if torch.cuda.is_available():
            return (
                torch.cuda.get_device_name(),
                torch.cuda.max_memory_allocated(),
            )
        return "cpu", None  # Keras lists no devices of PyTorch.
    import tensorflow as tf

    found = tf.config.list_physical_devices("GPU")
    if not found:
        return "cpu", None
    details = tf.config.experimental.get_device_details(found[0])
    memory = tf.config.experimental.get_memory_info("GPU:0")
    return details.get("device_name", "gpu"), memory["peak"]
