"""DatasetSpec: which wells, planes and labels exist, and the split.

A spec is a JSON file, for example `data_specs/condition_b_sample.json`:

    {
      "name": "condition_b_sample",
      "condition": "B",
      "modality": "PHASE_CONTRAST",
      "num_z": 13,
      "labels": ["DAPI_CONFOCAL", "MAP2_CONFOCAL", "NFH_CONFOCAL"],
      "pixel_size_um": null,
      "wells": [
        {
          "name": "A4",
          "path": "condition_b_sample",
          "splits": {"train": {"columns": [0, 704]},
                     "test": {"columns": [704, 1024]}}
        }
      ]
    }

All paths are relative to an `image_root` that the caller supplies, so a spec
does not change when the images move.
"""

import dataclasses
import os
from collections.abc import Mapping, Sequence
from typing import Any

from isl.errors import InputError
from isl.files import read_json
from isl.specs import checks
from isl.specs.evaluation import EvaluationSpec, parse_evaluation
from isl.specs.region import Region
from isl.specs.source import Source, parse_source

MODALITIES = ("BRIGHTFIELD", "PHASE_CONTRAST", "DIC")

# Original: launch.py, the target channels. A dataset may have others.
PUBLISHED_LABELS = (
    "DAPI_CONFOCAL",
    "DAPI_WIDEFIELD",
    "CELLMASK_CONFOCAL",
    "TUJ1_WIDEFIELD",
    "NFH_CONFOCAL",
    "MAP2_CONFOCAL",
    "ISLET_WIDEFIELD",
    "DEAD_CONFOCAL",
)

# Original: data_provider.py. A label that is the mean of two others.
NEURITE = "NEURITE_CONFOCAL"
NEURITE_PARTS = ("MAP2_CONFOCAL", "NFH_CONFOCAL")


@dataclasses.dataclass(frozen=True)
class WellSpec:
    """One well (or field of view).

    Attributes:
        name: Unique in the dataset. Where planes or labels are found by their
            published names, the well as those names spell it.
        path: A folder of planes, an OME-TIFF, an OME-Zarr image or a scene of
            a vendor format; relative to `image_root`.
        splits: Split name to the part of the well that belongs to it.
        planes: Single-plane files in z order, relative to the folder, or to
            where an image lies that is no folder; None to find them by their
            published names.
        labels: Label to its file, likewise. A well that lacks a label of the
            dataset says so by listing those that it has.
    """

    name: str
    path: str
    splits: Mapping[str, Region]
    planes: tuple[str, ...] | None = None
    labels: Mapping[str, str] | None = None

    def to_dict(self) -> dict[str, Any]:
        """Returns the well as it stands in JSON."""
        value = {
            "name": self.name,
            "path": self.path,
            "splits": {k: r.to_dict() for k, r in self.splits.items()},
        }
        if self.planes is not None:
            value["planes"] = list(self.planes)
        if self.labels is not None:
            value["labels"] = dict(self.labels)
        return value


@dataclasses.dataclass(frozen=True)
class DatasetSpec:
    """A set of wells of one condition.

    Attributes:
        name: Name of the dataset.
        condition: Name of the condition, such as `B`.
        modality: One of `MODALITIES`; None to take what the files say.
        num_z: Planes of every z-stack; None if not known in advance.
        labels: Labels of the dataset, in the order of the network's heads;
            none for images that are only to be predicted.
        pixel_size_um: Side of a pixel in micrometres, or None if unknown.
        z_spacing_um: Distance of planes in micrometres, or None if unknown.
        wells: The wells that are listed one by one.
        well_folders: Split name to folders in the published naming; every
            well found there belongs to that split.
        source: Raw images that are not wells yet, instead of `wells` and
            `well_folders`.
        preprocessing: What to do with them, in order: objects with a key
            `step` (`isl.preprocessing.steps`) and its parameters.
        normalization: Label to what inverts its normalisation
            (`isl.preprocessing.scaling.label_records`), where it is known.
        evaluation: Which labels show nuclei, dead cells and neurites, and how
            they are found; None to judge pixels only.
        facts: Name to `{"value": ..., "source": ...}`; the source says where
            the value was read. Marks that start with `U-` are unverified and
            are never to be printed as the paper's.
        licence: Licence of the images, or None.
        citation: Whom to cite, or None.
    """

    name: str
    condition: str
    modality: str | None
    num_z: int | None
    labels: tuple[str, ...]
    pixel_size_um: float | None = None
    z_spacing_um: float | None = None
    wells: tuple[WellSpec, ...] = ()
    well_folders: Mapping[str, tuple[str, ...]] = dataclasses.field(
        default_factory=dict
    )
    source: Source | None = None
    preprocessing: tuple[Mapping[str, Any], ...] = ()
    normalization: Mapping[str, Mapping[str, Any]] = dataclasses.field(
        default_factory=dict
    )
    evaluation: EvaluationSpec | None = None
    facts: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    licence: str | None = None
    citation: str | None = None

    @property
    def dead_labels(self) -> tuple[str, ...]:
        """The label that tells dead cells, if `evaluation` names one."""
        dead = self.evaluation.dead if self.evaluation else None
        return () if dead is None else (dead.label,)

    @property
    def label_files(self) -> tuple[str, ...]:
        """Names of the label images: of `NEURITE` also those it is made of."""
        return self.labels + (NEURITE_PARTS if NEURITE in self.labels else ())

    @classmethod
    def from_dict(cls, value: Any, source: str = "spec") -> "DatasetSpec":
        """Builds a spec from the contents of its JSON file.

        Args:
            value: The parsed JSON.
            source: What error messages call it, usually the path.

        Raises:
            InputError: If a key is unknown, missing or has a wrong value.
        """
        return _parse_spec(checks.Item(value, source))

    def to_dict(self) -> dict[str, Any]:
        """Returns the spec as JSON; `from_dict` reads it back unchanged."""
        fields = dataclasses.fields(self)
        value = {field.name: getattr(self, field.name) for field in fields}
        value["labels"] = list(self.labels)
        value["wells"] = [well.to_dict() for well in self.wells]
        value["well_folders"] = {
            split: list(folders) for split, folders in self.well_folders.items()
        }
        value["source"] = self.source and self.source.to_dict()
        value["preprocessing"] = [dict(step) for step in self.preprocessing]
        value["normalization"] = dict(self.normalization)
        value["evaluation"] = self.evaluation and self.evaluation.to_dict()
        value["facts"] = dict(self.facts)
        return value


def load_dataset_spec(path: str | os.PathLike) -> DatasetSpec:
    """Reads and validates a spec.

    Raises:
        InputError: If the file cannot be read or breaks a rule; the message
            names the file, the key and the value.
    """
    return DatasetSpec.from_dict(read_json(path), str(path))


def load_dataset_specs(
    paths: Sequence[str | os.PathLike],
) -> tuple[DatasetSpec, ...]:
    """Reads and validates several specs to train or evaluate on.

    Raises:
        InputError: If there is none, one twice, or one without labels, and
            as `load_dataset_spec`.
    """
    if not paths:
        raise InputError("data_specs must name a file. Received: none")
    if len({os.path.realpath(path) for path in paths}) < len(paths):
        raise InputError(
            f"data_specs must name each file once. "
            f"Received: {', '.join(map(str, paths))}"
        )
    specs = tuple(map(load_dataset_spec, paths))
    for path, spec in zip(paths, specs, strict=True):
        if not spec.labels:
            raise InputError(
                f"{path}: labels must be there to train and evaluate on; "
                f"without them, wells can only be predicted. Received: none"
            )
    return specs


def list_splits(spec: DatasetSpec) -> tuple[str, ...]:
    """Returns the names of all splits, in the order of their appearance."""
    names = [split for well in spec.wells for split in well.splits]
    sources = spec.source.splits if spec.source else ()
    return tuple(dict.fromkeys([*names, *spec.well_folders, *sources]))


def select_wells(spec: DatasetSpec, split: str) -> tuple[WellSpec, ...]:
    """Returns the listed wells that have a part in a split.

    Wells that are found by `well_folders` are not among them: see
    `isl.images.find_wells`.

    Raises:
        InputError: If no well and no folder has this split.
    """
    if split not in list_splits(spec):
        raise InputError(
            f"{spec.name}: split must be one of "
            f"{', '.join(list_splits(spec))}. Received: {split!r}."
        )
    return tuple(well for well in spec.wells if split in well.splits)


def _parse_spec(item: checks.Item) -> DatasetSpec:
    item.check_keys(
        required=("name", "condition", "labels"),
        allowed=[field.name for field in dataclasses.fields(DatasetSpec)],
    )
    named = item.get("labels")
    labels = () if named.value == [] else named.names()
    num_z = item.get("num_z").optional(checks.Item.positive_integer)
    modality = item.get("modality").optional(
        lambda value: value.one_of(MODALITIES)
    )
    return DatasetSpec(
        modality=modality,
        num_z=num_z,
        labels=labels,
        **_parse_places(item, modality, labels, num_z),
        preprocessing=tuple(
            _parse_step(step) for step in item.get("preprocessing").items()
        ),
        normalization={
            key.one_of(labels): _parse_normalization(value)
            for key, value in item.get("normalization").pairs()
        },
        evaluation=item.get("evaluation").optional(
            lambda value: parse_evaluation(value, labels)
        ),
        **_parse_description(item),
    )


def _parse_places(
    item: checks.Item,
    modality: str | None,
    labels: tuple[str, ...],
    num_z: int | None,
) -> dict[str, Any]:
    """Where the images are: wells and folders, or a source."""
    wells = _parse_wells(item.get("wells"), labels, num_z)
    well_folders = {
        split.text(): tuple(folder.relative_path() for folder in folders)
        for split, folders in item.get("well_folders").lists_by_key()
    }
    source = item.get("source").optional(
        lambda value: parse_source(value, modality, labels)
    )
    if source is None and not wells and not well_folders:
        item.get("wells").fail("must list a well where there are no folders")
    if source is not None and (wells or well_folders):
        item.get("source").fail("must stand alone, without wells or folders")
    return {"wells": wells, "well_folders": well_folders, "source": source}


def _parse_wells(
    item: checks.Item, labels: tuple[str, ...], num_z: int | None
) -> tuple[WellSpec, ...]:
    wells = tuple(_parse_well(well, labels, num_z) for well in item.items())
    names = [well.name for well in wells]
    for index, name in enumerate(names):
        if name in names[:index]:
            item.at(index).get("name").fail(
                "must differ from the names of the other wells"
            )
    return wells


def _parse_description(item: checks.Item) -> dict[str, Any]:
    """What stands on its own: names, sizes, facts."""
    return {
        "name": item.get("name").text(),
        "condition": item.get("condition").text(),
        "pixel_size_um": item.get("pixel_size_um").optional(
            checks.Item.positive_number
        ),
        "z_spacing_um": item.get("z_spacing_um").optional(
            checks.Item.positive_number
        ),
        "facts": _parse_facts(item.get("facts")),
        "licence": item.get("licence").optional(checks.Item.text),
        "citation": item.get("citation").optional(checks.Item.text),
    }


def _parse_normalization(item: checks.Item) -> dict[str, Any]:
    """What inverts the normalisation of a label, as prepare.py writes it."""
    keys = ("statistics", "target", "scope")
    item.check_keys(required=keys, allowed=keys)
    item.get("scope").text()
    for name, numbers in (
        ("statistics", ("count", "mean", "std")),
        ("target", ("mean", "std")),
    ):
        item.get(name).check_keys(required=numbers, allowed=numbers)
        item.get(name).get("std").positive_number()
    return dict(item.value)


def _parse_well(
    item: checks.Item, labels: tuple[str, ...], num_z: int | None
) -> WellSpec:
    item.check_keys(
        required=("name", "path", "splits"),
        allowed=("name", "path", "splits", "planes", "labels"),
    )
    planes = item.get("planes").optional(checks.Item.relative_paths)
    if planes is not None and num_z is not None and len(planes) != num_z:
        item.get("planes").fail(f"must list num_z = {num_z} files")
    files = None
    if item.get("labels").value is not None:
        files = {}
        known = labels + (NEURITE_PARTS if NEURITE in labels else ())
        for key, value in item.get("labels").pairs():
            files[key.one_of(known)] = value.relative_path()
    splits = {
        key.text(): _parse_region(value)
        for key, value in item.get("splits").pairs()
    }
    if not splits:
        item.get("splits").fail("must name at least one split")
    return WellSpec(
        name=item.get("name").text(),
        path=item.get("path").relative_path(),
        splits=splits,
        planes=planes,
        labels=files,
    )


def _parse_step(item: checks.Item) -> dict[str, Any]:
    """Reads a step; the room of preprocessing knows its parameters."""
    if not isinstance(item.value, dict):
        item.fail("must be an object")
    item.get("step").text()
    return dict(item.value)


def _parse_region(item: checks.Item) -> Region:
    item.check_keys(required=(), allowed=("rows", "columns"))
    return Region.from_item(item)


def _parse_facts(item: checks.Item) -> dict[str, Any]:
    facts = {}
    for key, fact in item.pairs():
        fact.check_keys(
            required=("value", "source"), allowed=("value", "source", "note")
        )
        if fact.get("value").value is not None:
            fact.get("source").text()
        facts[key.text()] = fact.value
    return facts
