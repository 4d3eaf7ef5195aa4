"""One measurement as one JSON-serialisable dictionary."""

from typing import Any

import keras
import numpy as np

from isl.benchmarks import measure
from isl.benchmarks.workloads import Workload
from isl.machine import peak_resident_bytes
from isl.network.model_folder import ModelDescription
from isl.provenance import provenance


def measure_workload(
    what: str,
    workload: Workload,
    description: ModelDescription | None,
    repeats: int,
) -> dict[str, Any]:
    """Measures a piece of work.

    Args:
        what: Its name.
        workload: The work.
        description: The network that does it, if one does.
        repeats: How often to time it; medians of fewer than 5 mean little.

    Returns:
        Seconds (median, minimum, maximum), rates from the median, the share
        of the machine's peak that a large matrix product in this run set
        (and, of bytes moved, a large addition), memory, device, versions.
    """
    seconds = measure.time_repeats(workload.run, repeats)
    median = float(np.median(seconds))
    # Before the matrices of the peak add to it.
    memory = peak_resident_bytes()
    device, device_memory = measure.device()
    report = {
        "what": what,
        "precision": keras.config.dtype_policy().name,
        **workload.parameters,
        **_describe(description),
        "repeats": repeats,
        "seconds": measure.spread(seconds),
        "pixels_per_second": workload.pixels / median,
        "peak_resident_bytes": memory,
        "peak_device_bytes": device_memory,
        "device": device,
        "backend": keras.backend.backend(),
    }
    if "patches" in workload.parameters:
        report["patches_per_second"] = workload.parameters["patches"] / median
    if workload.multiply_adds is not None:
        rate = workload.multiply_adds / median
        peak = measure.peak_multiply_adds()
        report |= {
            "multiply_adds_per_pixel": workload.multiply_adds / workload.pixels,
            "multiply_adds_per_second": rate,
            "machine_multiply_adds_per_second": peak,
            "share_of_machine": rate / peak,
        }
    if workload.moved_bytes is not None:
        rate = workload.moved_bytes / median
        peak = measure.peak_bytes()
        report |= {
            "bytes_per_pixel": workload.moved_bytes / workload.pixels,
            "machine_bytes_per_second": peak,
            "share_of_bandwidth": rate / peak,
        }
    return {**report, **provenance()}


def _describe(description: ModelDescription | None) -> dict[str, Any]:
    if description is None:
        return {}
    return {
        "base_filters": description.architecture.base_filters,
        "num_z": description.num_z,
        "num_labels": len(description.labels),
    }
