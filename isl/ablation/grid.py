"""A grid: which runs there are, as data.

    {
      "description": "What is asked.",
      "preset": "fast",
      "budget": {"max_minutes": 10},
      "settings": {"train_split": "fit"},
      "models": {
        "fnet": {"network": "fnet", "settings": {"learning_rate": 1e-3}},
        "wide": {"network": "concordance", "width": 200}
      },
      "axes": {"model": ["narrow", "fnet", "wide"], "seed": [0, 1, 2]}
    }

The runs are the product of the axes; an axis that is left out has one value.
All runs have the same budget, in steps or in minutes. `models` gives names to
networks with a width or settings of their own; other models are names of
`isl.network.networks.NETWORKS`. With fewer planes than a stack has, a network
takes those around its middle.
"""

import dataclasses
import itertools
import os
import re
import typing
from collections.abc import Mapping, Sequence
from typing import Any

from isl.errors import InputError
from isl.files import read_json
from isl.network.networks import NETWORKS, with_towers
from isl.training.config import TrainConfig
from isl.training.presets import PRESETS, configure

BUDGETS = ("num_steps", "max_minutes")
TOGETHER, ALONE = "together", "alone"

# A run that is limited by minutes does not end because of its steps.
_ENDLESS = 1_000_000_000

_KEYS = {"description", "preset", "budget", "settings", "models", "axes"}
_MODEL_KEYS = {"network", "width", "settings"}
# Settings that the axes and the budget decide.
_TAKEN = {
    *BUDGETS,
    *("architecture", "include_autoencoding", "labels", "loss", "num_z"),
    *("seed", "train_share", "z_alignment"),
}
# Settings of runs that start from another network; a grid names their own.
_TRANSFER = {"init_from", "freeze_body", "body_learning_rate"}


@dataclasses.dataclass(frozen=True)
class Cell:
    """One run of a grid: what differs from the others.

    Attributes:
        model: A name of the grid's `models` or of `NETWORKS`.
        num_z: Planes of the network; None for all of the data set.
        train_share: See `isl.training.config.TrainConfig`.
        labels: Labels of the network; None for all of the data sets.
        loss: See `TrainConfig`; None for that of the preset.
        towers: Number of towers, from the finest scale on; None for all.
        autoencoding: Whether there is a head for each input plane; None for
            what the preset says.
        seed: See `TrainConfig`.
    """

    model: str
    num_z: int | None = None
    train_share: float = 1.0
    labels: tuple[str, ...] | None = None
    loss: str | None = None
    towers: int | None = None
    autoencoding: bool | None = None
    seed: int = 0

    @property
    def name(self) -> str:
        """What differs, as the name of a folder; unique in a grid."""
        parts = [self.model]
        for key, value in dataclasses.asdict(self).items():
            if value is not None and key != "model":
                text = "+".join(value) if key == "labels" else str(value)
                parts.append(f"{key}={text}")
        return re.sub(r"[^\w.+=,-]", "_", ",".join(parts))


# The axes, and the value of one that is left out.
_AXES = {
    field.name: [field.default]
    for field in dataclasses.fields(Cell)
    if field.name != "model"
}


def _is_labels(value: Any) -> bool:
    is_list = isinstance(value, list) and len(value) > 0
    return value in (None, TOGETHER, ALONE) or (
        is_list and all(isinstance(label, str) for label in value)
    )


def _is_count(value: Any) -> bool:
    return value is None or (type(value) is int and value > 0)


# Rule and check of the values of axes.
_AXIS_VALUES = {
    "num_z": ("numbers of planes", _is_count),
    "train_share": ("shares", lambda value: type(value) in (int, float)),
    "labels": (f"{TOGETHER}, {ALONE} or a list of labels", _is_labels),
    "loss": ("texts", lambda value: value is None or type(value) is str),
    "towers": ("numbers of towers", _is_count),
    "autoencoding": (
        "true, false or null",
        lambda value: value is None or type(value) is bool,
    ),
    "seed": ("whole numbers", lambda value: type(value) is int),
}


@dataclasses.dataclass(frozen=True)
class Grid:
    """The runs of one question, on equal terms.

    Attributes:
        description: What is asked.
        preset: Settings to start from, one of `PRESETS`.
        budget: One of `BUDGETS` to its value.
        settings: Fields of `TrainConfig` that replace those of the preset.
        models: Name to network, width and settings of its own.
        axes: Axis to its values.
    """

    description: str
    preset: str
    budget: Mapping[str, float]
    settings: Mapping[str, Any]
    models: Mapping[str, Mapping[str, Any]]
    axes: Mapping[str, Sequence[Any]]

    def cells(self, labels: Sequence[str]) -> tuple[Cell, ...]:
        """Returns the runs, seeds varying fastest.

        Args:
            labels: Of the data sets, for "alone".
        """
        axes = {**_AXES, **self.axes}
        axes["labels"] = _expand_labels(axes["labels"], labels)
        names = [field.name for field in dataclasses.fields(Cell)]
        return tuple(
            Cell(**dict(zip(names, values, strict=True)))
            for values in itertools.product(*(axes[name] for name in names))
        )

    def config(self, cell: Cell) -> TrainConfig:
        """Returns how a run is trained.

        Raises:
            InputError: If its values do not go together.
        """
        model = self.models.get(cell.model, {})
        try:
            network = NETWORKS[model.get("network", cell.model)]
            if cell.towers is not None:
                network = with_towers(network, cell.towers)
            config = configure(
                self.preset,
                {
                    "num_steps": _ENDLESS,
                    **self.budget,
                    **self.settings,
                    **model.get("settings", {}),
                    **_changes(cell),
                },
                network,
                model.get("width"),
            )
            config.check()
        except InputError:
            raise
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(
                f"grid: {cell.name} must be a run that can be trained. "
                f"Received: {error}"
            ) from error
        return config


def _changes(cell: Cell) -> dict[str, Any]:
    """What a run changes in the configuration, beside the network."""
    changes = {
        "num_z": cell.num_z,
        "z_alignment": "centred",
        "train_share": cell.train_share,
        "labels": cell.labels,
        "seed": cell.seed,
    }
    if cell.loss is not None:
        changes["loss"] = cell.loss
    if cell.autoencoding is not None:
        changes["include_autoencoding"] = cell.autoencoding
    return changes


def _expand_labels(
    values: Sequence[Any], labels: Sequence[str]
) -> list[tuple[str, ...] | None]:
    expanded: list[tuple[str, ...] | None] = []
    for value in values:
        if value == ALONE:
            expanded += [(label,) for label in labels]
        elif value is None or value == TOGETHER:
            expanded.append(None)
        else:
            expanded.append(tuple(value))
    return expanded


def load_grid(path: str | os.PathLike) -> Grid:
    """Reads a grid.

    Raises:
        InputError: If the file cannot be read or breaks a rule.
    """
    value = read_json(path)
    _check(isinstance(value, dict), path, "grid", "an object", value)
    unknown = set(value) - _KEYS
    _check(not unknown, path, "keys", f"from {_text(_KEYS)}", _text(unknown))
    for key, kind in (
        ("description", str),
        ("preset", str),
        ("models", dict),
        ("axes", dict),
    ):
        is_right = isinstance(value.get(key, kind()), kind)
        rule = "a text" if kind is str else "an object"
        _check(is_right, path, key, rule, value.get(key))
    grid = Grid(
        description=value.get("description", ""),
        preset=value.get("preset", "fast"),
        budget=value.get("budget", {}),
        settings=value.get("settings", {}),
        models=value.get("models", {}),
        axes=value.get("axes", {}),
    )
    _check(grid.preset in PRESETS, path, "preset", _text(PRESETS), grid.preset)
    _check_budget(path, grid.budget)
    _check_settings(path, "settings", grid.settings)
    for name, model in grid.models.items():
        known = isinstance(model, dict) and set(model) <= _MODEL_KEYS
        _check(known, path, f"models.{name}", _text(_MODEL_KEYS), model)
        _check_settings(
            path, f"models.{name}.settings", model.get("settings", {})
        )
    _check_axes(path, grid)
    return grid


def _check_budget(path: str | os.PathLike, budget: Any) -> None:
    is_right = (
        isinstance(budget, dict)
        and len(budget) == 1
        and set(budget) <= set(BUDGETS)
        and all(map(_is_budget, budget, budget.values()))
    )
    rule = f"one of {_text(BUDGETS)} with a positive number, of steps a whole"
    _check(is_right, path, "budget", rule, budget)


def _is_budget(name: str, value: Any) -> bool:
    kinds = (int,) if name == "num_steps" else (int, float)
    return type(value) in kinds and value > 0


def _check_settings(path: str | os.PathLike, key: str, settings: Any) -> None:
    known = {field.name for field in dataclasses.fields(TrainConfig)}
    known -= _TAKEN | _TRANSFER
    is_right = isinstance(settings, dict) and set(settings) <= known
    rule = (
        f"settings of training that neither axes nor budget decide, without "
        f"{_text(_TRANSFER)}"
    )
    _check(is_right, path, key, rule, settings)
    kinds = typing.get_type_hints(TrainConfig)
    for name, value in settings.items():
        # Of "int | None" both; a whole number may stand for a fraction.
        allowed = set(typing.get_args(kinds[name]) or [kinds[name]])
        allowed |= {int} if float in allowed else set()
        names = _text(kind.__name__ for kind in allowed)
        _check(type(value) in allowed, path, f"{key}.{name}", names, value)


def _check_axes(path: str | os.PathLike, grid: Grid) -> None:
    names = {"model", *_AXES}
    is_right = isinstance(grid.axes, dict) and set(grid.axes) <= names
    _check(is_right, path, "axes", f"from {_text(names)}", grid.axes)
    for name, values in grid.axes.items():
        is_right = isinstance(values, list) and len(values) > 0
        _check(is_right, path, f"axes.{name}", "a list of values", values)
    models = {*grid.models, *NETWORKS}
    for model in grid.axes.get("model", ()):
        is_right = isinstance(model, str) and model in models
        _check(is_right, path, "axes.model", _text(models), model)
    for name, (rule, is_value) in _AXIS_VALUES.items():
        for value in grid.axes.get(name, ()):
            _check(is_value(value), path, f"axes.{name}", rule, value)
    _check("model" in grid.axes, path, "axes.model", "given", "none")


def _check(
    is_right: bool, path: str | os.PathLike, key: str, rule: str, value: Any
) -> None:
    if not is_right:
        raise InputError(f"{path}: {key} must be {rule}. Received: {value}")


def _text(names) -> str:
    return ", ".join(sorted(names))
