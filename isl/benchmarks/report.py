"""Measurements as JSON-serialisable dictionaries.

The speed of a machine that is shared changes from minute to minute. So pieces
of work that are to be compared take turns, each after a large matrix product
(and a large addition), and ratios are of neighbours in time.
"""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from isl.benchmarks import measure
from isl.benchmarks.workloads import Workload
from isl.machine import peak_resident_bytes
from isl.network.model_folder import ModelDescription
from isl.network.precision import FLOAT32
from isl.provenance import provenance

# Runs before the first turn: one compiles, the next shows what memory it takes.
_WARMUP = 2


def measure_workloads(
    what: str,
    workloads: Sequence[Workload],
    description: ModelDescription | None,
    repeats: int,
) -> list[dict[str, Any]]:
    """Measures pieces of work, turn by turn.

    Args:
        what: The name of all of them.
        workloads: The work.
        description: The network that does it, if one does.
        repeats: Turns of each; medians of fewer than 5 mean little.

    Returns:
        For each: seconds (median, minimum, maximum), rates from the median,
        how many times as many pixels per second it had as the first in the
        same turn (median), the share of what a large matrix product of the
        same precision reached right before (and, of bytes moved, a large
        addition; medians), memory of the process so far, device, versions.
    """
    for workload in workloads:
        for _ in range(_WARMUP):
            workload.run()
    # Before what sets the limits adds to it.
    memory = peak_resident_bytes(), measure.device()
    turns = measure.take_turns(
        [one.run for one in workloads],
        repeats,
        [one.prepare for one in workloads],
        [one.parameters.get("precision", FLOAT32) for one in workloads],
    )
    first = workloads[0].pixels / turns[0].seconds
    return [
        {
            "what": what,
            "precision": keras.config.dtype_policy().name,
            **workload.parameters,
            **_describe(description),
            **_rates(workload, turn),
            "times_the_first": float(
                np.median(workload.pixels / turn.seconds / first)
            ),
            **_memory(*memory),
            **provenance(),
        }
        for workload, turn in zip(workloads, turns, strict=True)
    ]


def _rates(workload: Workload, turns: measure.Turns) -> dict[str, Any]:
    median = float(np.median(turns.seconds))
    report = {
        "repeats": len(turns.seconds),
        "seconds": measure.spread(turns.seconds),
        "pixels_per_second": workload.pixels / median,
    }
    if "patches" in workload.parameters:
        report["patches_per_second"] = workload.parameters["patches"] / median
    for name, moved, amount, limits in (
        (
            "multiply_adds",
            "machine",
            workload.multiply_adds,
            turns.multiply_adds_per_second,
        ),
        (
            "bytes",
            "bandwidth",
            workload.moved_bytes,
            turns.bytes_per_second,
        ),
    ):
        if amount is None:
            continue
        shares = amount / turns.seconds / limits
        report |= {
            f"{name}_per_pixel": amount / workload.pixels,
            f"{name}_per_second": amount / median,
            f"machine_{name}_per_second": float(np.median(limits)),
            f"share_of_{moved}": float(np.median(shares)),
        }
    return report


def _memory(resident: int, device: tuple[str, int | None]) -> dict[str, Any]:
    name, on_device = device
    return {
        "peak_resident_bytes": resident,
        "peak_device_bytes": on_device,
        "device": name,
        "backend": keras.backend.backend(),
    }


def _describe(description: ModelDescription | None) -> dict[str, Any]:
    if description is None:
        return {}
    return {
        "base_filters": description.architecture.base_filters,
        "num_z": description.num_z,
        "num_labels": len(description.labels),
    }
