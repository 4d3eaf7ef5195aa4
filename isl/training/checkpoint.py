"""What the folder of a run keeps so that the run can go on.

`config.json` says how the run was started; the checkpoint holds weights,
optimizer and minutes at the end of the last epoch.
"""

import dataclasses
import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import h5py
import keras

from isl.errors import InputError
from isl.files import atomic_path, read_json_object, write_json
from isl.network.transfer import Transfer
from isl.provenance import provenance
from isl.specs import DatasetSpec
from isl.training.config import TrainConfig

CONFIG_FILE = "config.json"
CHECKPOINT_FILE = "checkpoint.weights.h5"

# A run may be resumed with another value of these.
MAY_CHANGE = (
    "num_steps",
    "max_minutes",
    "frozen_norm_share",
    "patience",
    "activation_histograms",
    "fit_temperature",
)


@dataclasses.dataclass(frozen=True)
class Position:
    """Where a run stands, beside its weights and its optimizer.

    Attributes:
        minutes: Spent on training so far.
        is_norm_frozen: Whether the last epoch trained with fixed moving
            statistics (`TrainConfig.frozen_norm_share`).
    """

    minutes: float = 0.0
    is_norm_frozen: bool = False


def check_settings(
    workdir: str | os.PathLike,
    config: TrainConfig,
    specs: Sequence[DatasetSpec],
    may_change: Sequence[str] = MAY_CHANGE,
) -> None:
    """Makes sure that a folder is new or holds a run with these settings.

    A run that ended before its first checkpoint has left nothing to go on
    from; the next one may have other settings.

    Args:
        workdir: Folder of the run.
        config: How to train, from `isl.training.data.resolve`.
        specs: Data sets.
        may_change: Settings that need not agree.

    Raises:
        InputError: If the folder holds a run with other settings or other
            data.
    """
    path = pathlib.Path(workdir) / CONFIG_FILE
    if path.is_file():
        run = read_run(path)
        if _has_checkpoint(workdir):
            check_run(path, run, config, specs, may_change)


def read_run(path: str | os.PathLike) -> dict[str, Any]:
    """Reads what `describe_run` returned from a file.

    Raises:
        InputError: If the file holds something else.
    """
    return read_json_object(path, {"config": dict, "specs": list})


def check_run(
    path: str | os.PathLike,
    run: Mapping[str, Any],
    config: TrainConfig,
    specs: Sequence[DatasetSpec],
    may_change: Sequence[str] = (),
) -> None:
    """Makes sure that a run was made with these settings from these data.

    Settings that were added to isl after the run was started have had their
    defaults. The root of the images may be another one.

    Args:
        path: Where the run is written down, for messages.
        run: From `describe_run`, as it comes back from JSON.
        config: The settings.
        specs: Data sets.
        may_change: Settings that need not agree.

    Raises:
        InputError: If they were other ones.
    """
    stored = {**_defaults(), **run["config"]}
    for name, value in config.to_dict().items():
        if name not in may_change and stored.get(name) != _as_json(value):
            raise InputError(
                f"{path}: holds a run with another {name} "
                f"({stored.get(name)}); choose a new folder or the same "
                f"settings. Received: {value}"
            )
    check_data(path, run, specs)


def check_data(
    path: str | os.PathLike,
    run: Mapping[str, Any],
    specs: Sequence[DatasetSpec],
) -> None:
    """Makes sure that a run saw these data; see `check_run`."""
    known = [DatasetSpec.from_dict(spec, str(path)) for spec in run["specs"]]
    if [*map(_pixels, known)] != [*map(_pixels, specs)]:
        raise InputError(
            f"{path}: holds a run on other wells or splits "
            f"({', '.join(spec.name for spec in known)}); choose a new folder "
            f"or the same data. Received: "
            f"{', '.join(spec.name for spec in specs)}"
        )


def _pixels(spec: DatasetSpec) -> tuple:
    """What decides which pixels a run sees."""
    return spec.wells, spec.well_folders, spec.source, spec.labels


def describe_run(
    config: TrainConfig,
    specs: Sequence[DatasetSpec],
    image_root: str | os.PathLike,
    num_devices: int,
    transfer: Transfer | None,
) -> dict[str, Any]:
    """Returns all that a run was started with, JSON-serialisable.

    Args:
        config: How to train.
        specs: Data sets.
        image_root: Folder that the paths of the specs are relative to.
        num_devices: Devices that share a step.
        transfer: What was taken over from another network.
    """
    return {
        "config": config.to_dict(),
        "specs": [spec.to_dict() for spec in specs],
        "image_root": str(image_root),
        "backend": keras.backend.backend(),
        "num_devices": num_devices,
        "initialised_from": transfer and dataclasses.asdict(transfer),
        **provenance(),
    }


def keep_first_run(workdir: str | os.PathLike, run: Mapping[str, Any]) -> None:
    """Writes how a run was started, unless it goes on from a checkpoint.

    Args:
        workdir: Folder of the run.
        run: From `describe_run`.
    """
    path = pathlib.Path(workdir) / CONFIG_FILE
    if not (path.is_file() and _has_checkpoint(workdir)):
        write_json(path, run)


def _has_checkpoint(workdir: str | os.PathLike) -> bool:
    return (pathlib.Path(workdir) / CHECKPOINT_FILE).is_file()


def save_checkpoint(
    workdir: str | os.PathLike, trained: keras.Model, position: Position
) -> None:
    """Keeps weights and optimizer, in place of an older checkpoint.

    One file, replaced in one move: a kill leaves the old or the new.

    Args:
        workdir: Folder of the run.
        trained: The compiled network.
        position: The rest.
    """
    with atomic_path(pathlib.Path(workdir) / CHECKPOINT_FILE) as temporary:
        trained.save_weights(temporary)
        with h5py.File(temporary, "a") as file:
            file.attrs.update(dataclasses.asdict(position))


def load_checkpoint(
    workdir: str | os.PathLike, trained: keras.Model
) -> Position:
    """Goes back to where a run stood.

    Args:
        workdir: Folder of the run.
        trained: The compiled network, whose weights and optimizer are set.

    Returns:
        The rest; the beginning where there is no checkpoint.

    Raises:
        InputError: If the checkpoint is broken or of another run.
    """
    path = pathlib.Path(workdir) / CHECKPOINT_FILE
    if not path.is_file():
        return Position()
    try:
        trained.load_weights(path)
    except (KeyError, OSError, ValueError) as error:
        raise _broken(path, error) from error
    return read_position(workdir)


def read_position(workdir: str | os.PathLike) -> Position:
    """Reads where the checkpoint of a run stands, without its weights.

    Args:
        workdir: Folder of the run.

    Returns:
        The beginning where there is no checkpoint.

    Raises:
        InputError: If the checkpoint is broken.
    """
    path = pathlib.Path(workdir) / CHECKPOINT_FILE
    if not path.is_file():
        return Position()
    try:
        with h5py.File(path) as file:
            return Position(
                float(file.attrs["minutes"]),
                # isl 0.1.0 up to November 2026 did not write it.
                bool(file.attrs.get("is_norm_frozen", False)),
            )
    except (KeyError, OSError, ValueError) as error:
        raise _broken(path, error) from error


def _broken(path: pathlib.Path, error: Exception) -> InputError:
    reason = " ".join(str(error).split())
    return InputError(
        f"{path}: must be a checkpoint of this run. Received: {reason}"
    )


def _defaults() -> dict[str, Any]:
    return {
        field.name: _as_json(field.default)
        for field in dataclasses.fields(TrainConfig)
        if field.default is not dataclasses.MISSING
    }


def _as_json(value: Any) -> Any:
    """Returns the value as it comes back from JSON: tuples are lists."""
    if isinstance(value, dict):
        return {key: _as_json(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [_as_json(item) for item in value]
    return value
