"""Writing OME-Zarr plates (high-content screening layout), well by well."""

import contextlib
import dataclasses
import os
import pathlib
import re
from collections.abc import Iterator, Mapping
from typing import Any

from isl.claims import claim
from isl.errors import InputError
from isl.files import atomic_path, remove_leftovers, write_json
from isl.images.name_pattern import natural_key
from isl.images.ome_zarr_description import VERSION, ZarrDescription
from isl.images.ome_zarr_metadata import is_plate, is_zarr
from isl.images.ome_zarr_writer import (
    RegionSink,
    check_zarr_suffix,
    streamed_image,
)
from isl.images.suffixes import strip_suffix

_WELL_NAME = re.compile("([A-Za-z]+)([0-9]+)")
_FIELD = "0"


def is_well_name(name: str) -> bool:
    """Returns whether a well is called as on a plate, such as `A1`."""
    return _WELL_NAME.fullmatch(name) is not None


def split_well_name(name: str) -> tuple[str, str]:
    """Returns row and column of a well that is called as on a plate.

    Args:
        name: Letters and then digits, such as `B02`: row `B`, column `02`.

    Raises:
        InputError: If the name has another form.
    """
    match = _WELL_NAME.fullmatch(name)
    if match is None:
        raise InputError(
            "well must be letters and then digits, such as A1. "
            f"Received: {name!r}."
        )
    return match[1], match[2]


@dataclasses.dataclass(frozen=True)
class PlateWriter:
    """A plate that grows by whole wells, each of one field.

    Several processes may add wells, but no two of them the same one.

    Attributes:
        path: Folder of the plate.
    """

    path: pathlib.Path

    @contextlib.contextmanager
    def streamed_well(
        self, well: str, image: ZarrDescription
    ) -> Iterator[RegionSink]:
        """Adds a well, region by region, or replaces it.

        The well is written under a hidden name and renamed when complete;
        then the plate lists it. So a plate that was interrupted holds whole
        wells only.

        Args:
            well: Row and column, such as `A1` or `B02`.
            image: What its image is to hold.

        Yields:
            The sink; its `write(rows, columns, values)` takes a region.

        Raises:
            InputError: If `well` has another form.
            ValueError: If the regions do not add up to the image.
        """
        row, column = split_well_name(well)
        folder = self.path / row / column
        if not is_zarr(folder.parent):
            _write_group(folder.parent, {})
        remove_leftovers(folder)
        with atomic_path(folder) as temporary:
            images = {"images": [{"path": _FIELD}]}
            _write_group(temporary, _ome_attributes({"well": images}))
            with streamed_image(temporary / _FIELD, image) as sink:
                yield sink
        self.write_metadata()

    def write_metadata(self) -> None:
        """Lists the complete wells in the metadata of the plate."""
        # What one process lists must not replace what another one has listed
        # since.
        lock = self.path.with_name(f".{self.path.name}.lock")
        with claim(lock, wait=True):
            self._write_metadata()

    def _write_metadata(self) -> None:
        wells = self._list_wells()
        rows = sorted({row for row, _ in wells}, key=natural_key)
        columns = sorted({column for _, column in wells}, key=natural_key)
        plate = {
            "name": strip_suffix(self.path.name),
            "rows": [{"name": row} for row in rows],
            "columns": [{"name": column} for column in columns],
            "wells": [
                {
                    "path": f"{row}/{column}",
                    "rowIndex": rows.index(row),
                    "columnIndex": columns.index(column),
                }
                for row, column in wells
            ],
            "field_count": 1,
            "version": VERSION,
        }
        _write_group(self.path, _ome_attributes({"plate": plate}))

    def _list_wells(self) -> list[tuple[str, str]]:
        wells = [
            (well.parent.name, well.name)
            for well in self.path.glob("[A-Za-z]*/[0-9]*")
            if is_zarr(well)
        ]
        return sorted(wells, key=lambda well: natural_key("".join(well)))


def open_plate_writer(path: str | os.PathLike) -> PlateWriter:
    """Begins a plate, or goes on with one that was begun.

    Args:
        path: Folder of the plate, ending in `.zarr`.

    Raises:
        InputError: If `path` has another suffix, or is there and is no plate.
    """
    path = pathlib.Path(path)
    check_zarr_suffix(path)
    if path.exists() and not is_plate(path):
        raise InputError(
            f"{path}: output must be a plate to go on with, or not be there. "
            f"Received: another {'folder' if path.is_dir() else 'file'}."
        )
    writer = PlateWriter(path)
    writer.write_metadata()
    return writer


def _ome_attributes(value: Mapping[str, Any]) -> dict[str, Any]:
    return {"ome": {"version": VERSION, **value}}


def _write_group(folder: pathlib.Path, attributes: Mapping[str, Any]) -> None:
    group = {"zarr_format": 3, "node_type": "group"}
    write_json(folder / "zarr.json", group | {"attributes": dict(attributes)})
