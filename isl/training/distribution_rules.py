"""What cannot be shared between devices is refused, with one line.

Keras fails late on some of it and silently ignores the rest.
"""

import dataclasses
from collections.abc import Sequence

import keras

from isl.errors import InputError
from isl.training.config import TrainConfig


@dataclasses.dataclass(frozen=True)
class Hosts:
    """The processes of a run that spans several machines.

    Attributes:
        job_address: Of the first process, as "host:port"; None: there is only
            this one.
        num_processes: How many there are.
        process_id: Number of this one, from 0.
    """

    job_address: str | None = None
    num_processes: int = 1
    process_id: int = 0

    def check(self) -> None:
        """Raises InputError if a value cannot be used."""
        host, _, port = (self.job_address or "").rpartition(":")
        if (self.job_address or self.num_processes > 1) and not (
            host and port.isdigit()
        ):
            raise InputError(
                f"job_address must be host:port of the first process. "
                f"Received: {self.job_address}"
            )
        if self.job_address and self.num_processes < 2:
            raise InputError(
                f"num_processes must be at least 2 with job_address. "
                f"Received: {self.num_processes}"
            )
        if not 0 <= self.process_id < max(1, self.num_processes):
            raise InputError(
                f"process_id must be below num_processes "
                f"({self.num_processes}). Received: {self.process_id}"
            )


ONE_HOST = Hosts()


def check_backend(kind: str, needed: str) -> None:
    """Raises InputError if Keras runs on another back end than needed."""
    if keras.backend.backend() != needed:
        raise InputError(
            f"distribution={kind} must be used under Keras' back end {needed} "
            f"(KERAS_BACKEND={needed}). Received: {keras.backend.backend()}"
        )


def check_devices(devices: Sequence[str], known: Sequence[str]) -> None:
    """Raises InputError if devices are not two different ones or more."""
    missing = [name for name in devices if name not in known]
    if missing or len(devices) < 2 or len(set(devices)) < len(devices):
        raise InputError(
            f"devices must be at least two of {', '.join(known)}, each once. "
            f"Received: {', '.join(devices) or 'none'}"
        )


def check_mirrored(config: TrainConfig, num_devices: int) -> None:
    """Raises InputError if a run cannot be mirrored.

    Args:
        config: The run.
        num_devices: Devices of this machine.
    """
    _check_batch_size(config, num_devices)
    if config.accumulation_steps > 1:
        raise InputError(
            f"accumulation_steps must be 1 with distribution=mirrored, under "
            f"which Keras cannot accumulate. Received: "
            f"{config.accumulation_steps}"
        )
    if config.remat:
        raise InputError(
            "remat must be off with distribution=mirrored. Received: True"
        )
    if config.dropout:
        raise InputError(
            f"dropout must be 0 with distribution=mirrored, under which each "
            f"device would draw the same. Received: {config.dropout}"
        )


def check_data_parallel(
    config: TrainConfig, num_devices: int, num_processes: int
) -> None:
    """Raises InputError if a run cannot be shared under JAX.

    Args:
        config: The run.
        num_devices: Devices of all processes.
        num_processes: Processes.
    """
    _check_batch_size(config, num_devices)
    if num_processes > 1 and config.max_minutes is not None:
        raise InputError(
            f"max_minutes must be left out with several processes, whose "
            f"clocks differ; use num_steps. Received: {config.max_minutes}"
        )
    if num_processes > 1 and config.keep_best:
        raise InputError(
            "keep_best must be off with several processes, of which only the "
            "first writes the network that all would have to read. Received: "
            "True"
        )


def _check_batch_size(config: TrainConfig, num_devices: int) -> None:
    if config.batch_size % (num_devices * config.accumulation_steps):
        raise InputError(
            f"batch_size must be a multiple of the number of devices "
            f"({num_devices}) times accumulation_steps "
            f"({config.accumulation_steps}). Received: {config.batch_size}"
        )
