"""Training on several devices: the batch of a step is shared between them.

Each device holds all weights and gets the same number of patches; gradients
are summed, so a run takes the course that it takes on one device. The
original's replicas were asynchronous, which nobody does any more.
"""

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import keras

from isl.errors import InputError
from isl.training.batch_parts import batch_part, split_batch
from isl.training.config import TrainConfig
from isl.training.crops import Batch
from isl.training.distribution_rules import (
    ONE_HOST,
    Hosts,
    check_backend,
    check_data_parallel,
    check_devices,
    check_mirrored,
)

KINDS = ("none", "mirrored", "data_parallel")


class Distribution(Protocol):
    """How the work of a step is shared between devices.

    Attributes:
        num_devices: Devices that get a part of a batch.
        is_chief: Whether this process writes what the run leaves behind.
    """

    num_devices: int
    is_chief: bool

    def scope(self) -> contextlib.AbstractContextManager:
        """Networks are built and compiled, and steps done, in this context."""

    def prepare(self, model: keras.Model) -> None:
        """Makes a network fit to be trained; called in the scope."""

    def share(self, batch: Batch) -> tuple[Any, Any, Any]:
        """Returns a batch as `train_on_batch` takes it; called in the scope."""

    def check(self, config: TrainConfig) -> None:
        """Raises InputError if a run cannot be shared like this."""


class OneDevice:
    """Everything on the device that the back end chooses."""

    num_devices = 1
    is_chief = True

    def scope(self) -> contextlib.AbstractContextManager:
        """Nothing special."""
        return contextlib.nullcontext()

    def prepare(self, model: keras.Model) -> None:
        """Nothing to do."""

    def share(self, batch: Batch) -> Batch:
        """The batch as it is."""
        return batch

    def check(self, config: TrainConfig) -> None:
        """Any run."""


class Mirrored:
    """Several devices of one machine, under TensorFlow."""

    is_chief = True

    def __init__(self, devices: Sequence[str] | None = None):
        """Takes devices.

        Args:
            devices: Their names, as "GPU:0"; None: all GPUs.

        Raises:
            InputError: If the back end is another, or a device is missing.
        """
        check_backend("mirrored", "tensorflow")
        import tensorflow as tf

        known = [
            device.name.removeprefix("/device:")
            for device in tf.config.list_logical_devices()
        ]
        if devices is None:
            devices = [name for name in known if name.startswith("GPU")]
        check_devices(devices, known)
        self._strategy = tf.distribute.MirroredStrategy(list(devices))
        self._distribute = (
            self._strategy.experimental_distribute_values_from_function
        )
        self.num_devices = len(devices)

    def scope(self) -> contextlib.AbstractContextManager:
        """Variables are mirrored on all devices."""
        return self._strategy.scope()

    def prepare(self, model: keras.Model) -> None:
        """Lets normalisations see the patches of all devices."""
        for layer in model.layers:
            if isinstance(layer, keras.layers.BatchNormalization):
                layer.synchronized = True

    def share(self, batch: Batch) -> tuple[Any, Any, Any]:
        """A part for each device, whose gradients add up to the whole's."""
        parts = keras.tree.map_structure(
            keras.ops.convert_to_tensor,
            split_batch(batch, self.num_devices, 1 / self.num_devices),
        )
        return self._distribute(
            lambda context: parts[context.replica_id_in_sync_group]
        )

    def check(self, config: TrainConfig) -> None:
        """Raises InputError if a run cannot be mirrored."""
        check_mirrored(config, self.num_devices)


class DataParallel:
    """Several devices of one or several machines, under JAX.

    Each process draws the whole batch, so that all draw the same, and hands
    its part to its devices.
    """

    def __init__(
        self, devices: Sequence[str] | None = None, hosts: Hosts = ONE_HOST
    ):
        """Takes devices; waits for the other processes.

        Args:
            devices: Their names, as "gpu:0"; None: all there are, of all
                processes.
            hosts: The processes. If there are several, nothing may have been
                computed under JAX before.

        Raises:
            InputError: If the back end is another, or a device is missing.
        """
        check_backend("data_parallel", "jax")
        self._hosts = hosts
        if hosts.num_processes > 1:
            keras.distribution.initialize(
                hosts.job_address, hosts.num_processes, hosts.process_id
            )
        known = keras.distribution.list_devices()
        devices = known if devices is None else devices
        check_devices(devices, known)
        self._parallel = keras.distribution.DataParallel(devices=devices)
        self.num_devices = len(devices)

    @property
    def is_chief(self) -> bool:
        """Whether this is the first process."""
        return self._hosts.process_id == 0

    @contextlib.contextmanager
    def scope(self) -> Iterator[None]:
        """Variables are on all devices, batches are split."""
        before = keras.distribution.distribution()
        keras.distribution.set_distribution(self._parallel)
        try:
            yield
        finally:
            keras.distribution.set_distribution(before)

    def prepare(self, model: keras.Model) -> None:
        """Nothing to do: means over a batch are over all devices in JAX."""

    def share(self, batch: Batch) -> Batch:
        """The patches of this process; Keras splits them between devices."""
        return batch_part(
            batch, self._hosts.process_id, self._hosts.num_processes
        )

    def check(self, config: TrainConfig) -> None:
        """Raises InputError if a run cannot be shared."""
        check_data_parallel(config, self.num_devices, self._hosts.num_processes)


def start_distribution(
    kind: str,
    devices: Sequence[str] | None = None,
    hosts: Hosts = ONE_HOST,
) -> Distribution:
    """Takes the devices that a run is to use.

    Args:
        kind: One of `KINDS`.
        devices: Their names; None: all.
        hosts: The processes.

    Raises:
        InputError: If this cannot be had.
    """
    if kind not in KINDS:
        raise InputError(
            f"distribution must be one of {', '.join(KINDS)}. Received: {kind}"
        )
    hosts.check()
    if hosts.num_processes > 1 and kind != "data_parallel":
        raise InputError(
            f"num_processes must be 1 without distribution=data_parallel. "
            f"Received: {hosts.num_processes}"
        )
    if kind == "data_parallel":
        return DataParallel(devices, hosts)
    if kind == "mirrored":
        return Mirrored(devices)
    if devices is not None:
        raise InputError(
            f"devices must come with a distribution. Received: "
            f"{','.join(devices)}"
        )
    return OneDevice()
