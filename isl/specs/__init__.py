"""Which wells, planes and labels exist (standard library only)."""

from isl.specs.dataset_spec import (
    MODALITIES,
    NEURITE,
    NEURITE_PARTS,
    PUBLISHED_LABELS,
    DatasetSpec,
    WellSpec,
    list_splits,
    load_dataset_spec,
    load_dataset_specs,
    select_wells,
)
from isl.specs.region import Region

__all__ = [
    "MODALITIES",
    "NEURITE",
    "NEURITE_PARTS",
    "PUBLISHED_LABELS",
    "DatasetSpec",
    "Region",
    "WellSpec",
    "list_splits",
    "load_dataset_spec",
    "load_dataset_specs",
    "select_wells",
]
