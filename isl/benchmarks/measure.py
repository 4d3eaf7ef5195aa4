"""Time, memory and the machine's own limit, for one kind of work."""

import os
import pathlib
import time
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import ops

_PEAK_SIZE = 2048
_PEAK_VALUES = 2**26


def time_repeats(
    work: Callable[[], Any], repeats: int, warmup: int = 1
) -> list[float]:
    """Times a piece of work.

    Args:
        work: What to do; has to wait for its result.
        repeats: How often to time it.
        warmup: How often to do it before, untimed, to compile.

    Returns:
        Seconds of each repeat.
    """
    for _ in range(warmup):
        work()
    seconds = []
    for _ in range(repeats):
        started = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - started)
    return seconds


def spread(values: list[float]) -> dict[str, float]:
    """Returns median, minimum and maximum."""
    return {
        "median": float(np.median(values)),
        "min": float(min(values)),
        "max": float(max(values)),
    }


def peak_multiply_adds(repeats: int = 5) -> float:
    """Multiply-adds per second of a large matrix product: the machine's limit.

    In float32, or what the back end makes of it, on the default device.
    """
    generator = np.random.default_rng(0)
    one, other = (
        ops.convert_to_tensor(
            generator.standard_normal((_PEAK_SIZE, _PEAK_SIZE), np.float32)
        )
        for _ in range(2)
    )

    def multiply() -> float:
        # One number instead of a matrix to wait for.
        return float(ops.matmul(one, other)[0, 0])

    return _PEAK_SIZE**3 / min(time_repeats(multiply, repeats))


def peak_bytes(repeats: int = 5) -> float:
    """Bytes per second that an addition to a large array reads and writes.

    In float32, on the default device; 0.5 GB a repeat.
    """
    values = ops.ones((_PEAK_VALUES,), "float32")

    def add() -> float:
        # One number instead of an array to wait for.
        return float(ops.add(values, 1.0)[0])

    return 2 * 4 * _PEAK_VALUES / min(time_repeats(add, repeats))


def evict(folder: str | os.PathLike) -> None:
    """Takes the files below a folder out of the system's cache.

    Only advice: the system may keep them. Pages that are mapped stay.
    """
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
    return keras.distribution.list_devices()[0], None
