"""One well: random access to its planes and labels, whatever the format."""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from isl.errors import InputError
from isl.images.plane import (
    Plane,
    check_region,
    common_stack,
    copy_planes,
)
from isl.images.z_selection import fill_absent


@dataclasses.dataclass(frozen=True)
class Well:
    """A z-stack in transmitted light and its fluorescent labels.

    All images have one size and are uint16; 0 to 65535 stand for the
    intensities 0 to 1.

    Attributes:
        name: Name of the well.
        condition: Name of the condition, or None.
        modality: Of the planes, one of `MODALITIES`, or None if not told.
        planes: The z-stack.
        labels: Label to its image.
        pixel_size_um: Side of a pixel in micrometres, or None.
        z_spacing_um: Distance of neighbouring planes of the stack in
            micrometres, or None.
    """

    name: str
    condition: str | None
    modality: str | None
    planes: tuple[Plane, ...]
    labels: Mapping[str, Plane]
    pixel_size_um: float | None
    z_spacing_um: float | None = None

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.planes[0].shape

    @property
    def num_z(self) -> int:
        """Number of planes."""
        return len(self.planes)

    def copied(self) -> "Well":
        """Returns the same well with images of its own.

        What they keep of their files, as of PNG, goes when the copy does.
        """
        images = copy_planes([*self.planes, *self.labels.values()])
        labels = images[self.num_z :]
        return dataclasses.replace(
            self,
            planes=images[: self.num_z],
            labels=dict(zip(self.labels, labels, strict=True)),
        )

    def with_planes(self, planes: Sequence[int | None]) -> "Well":
        """Returns the same well with a choice of its planes.

        Args:
            planes: Their indices, from `align_planes`; what stands for absent
                ones does not matter.
        """
        chosen = tuple(self.planes[z] for z in fill_absent(planes))
        return dataclasses.replace(self, planes=chosen)

    def read_planes(self, rows: slice, columns: slice) -> np.ndarray:
        """Returns a region of the z-stack, uint16, [row, column, z].

        Raises:
            InputError: If a file cannot be decoded.
            ValueError: If the region reaches outside.
        """
        common = common_stack(self.planes)
        if common is not None:
            stack, indices = common
            return stack.read(indices, rows, columns)
        rows, columns = check_region(self.shape, rows, columns)
        stack = np.empty(
            (
                rows.stop - rows.start,
                columns.stop - columns.start,
                self.num_z,
            ),
            np.uint16,
        )
        for z, plane in enumerate(self.planes):
            stack[:, :, z] = plane.read(rows, columns)
        return stack

    def read_planes_padded(
        self, row: int, column: int, num_rows: int, num_columns: int
    ) -> np.ndarray:
        """Returns a region of the z-stack that may reach outside.

        Outside the image is its mirror image, without repeating the edge
        (`numpy.pad` calls it "reflect").

        Args:
            row: First row, may be negative.
            column: First column, may be negative.
            num_rows: Rows to return.
            num_columns: Columns to return.

        Returns:
            uint16, [row, column, z].
        """
        end_row, end_column = row + num_rows, column + num_columns
        inside = min(row, column) >= 0
        if inside and end_row <= self.shape[0] and end_column <= self.shape[1]:
            return self.read_planes(
                slice(row, end_row), slice(column, end_column)
            )
        rows = _reflect(row, num_rows, self.shape[0])
        columns = _reflect(column, num_columns, self.shape[1])
        first_row, first_column = int(rows.min()), int(columns.min())
        stack = self.read_planes(
            slice(first_row, int(rows.max()) + 1),
            slice(first_column, int(columns.max()) + 1),
        )
        return stack[(rows - first_row)[:, np.newaxis], columns - first_column]

    def read_label(self, label: str, rows: slice, columns: slice) -> np.ndarray:
        """Returns a region of a label, uint16, [row, column].

        Raises:
            InputError: If the well does not have this label, or its file
                cannot be decoded.
            ValueError: If the region reaches outside.
        """
        if label not in self.labels:
            raise InputError(
                f"well {self.name}: label must be one of "
                f"{', '.join(self.labels) or '(none)'}. Received: {label!r}."
            )
        return self.labels[label].read(rows, columns)


def _reflect(first: int, count: int, size: int) -> np.ndarray:
    # Indices into 0..size-1 of `count` positions from `first` on.
    period = max(1, 2 * (size - 1))
    positions = np.arange(first, first + count) % period
    return np.where(positions < size, positions, period - positions)
