"""Predictions as files: OME-TIFF or OME-Zarr, by the suffix."""

import concurrent.futures
import contextlib
import functools
import os
import pathlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Protocol

import numpy as np

import isl
from isl.errors import InputError
from isl.images import (
    Well,
    ZarrDescription,
    check_tiff_suffix,
    is_plate,
    is_zarr,
    open_channels,
    streamed_ome_tiff,
    streamed_ome_zarr,
)
from isl.prediction.predictor import (
    Predictor,
    iter_predictions,
    select_planes,
)
from isl.prediction.tiles import Tiling
from isl.prediction.units import Convert


class Sink(Protocol):
    """Takes regions of an image in any order."""

    def write(self, rows: slice, columns: slice, values: np.ndarray) -> None:
        """Writes a region of all channels, [channel, row, column]."""
        ...


# Begins an image; what it yields takes the regions.
OpenSink = Callable[[ZarrDescription], contextlib.AbstractContextManager[Sink]]


def check_output_suffix(path: str | os.PathLike) -> None:
    """Checks that a path names an OME-TIFF or an OME-Zarr.

    Raises:
        InputError: If not.
    """
    if str(path).endswith(".zarr"):
        return
    try:
        check_tiff_suffix(path)
    except InputError as error:
        raise InputError(
            f"{path}: output must end in .ome.tif, .ome.tiff, .tif, .tiff or "
            f".zarr"
        ) from error


def check_output(path: str | os.PathLike, source: str | os.PathLike) -> None:
    """Checks that a prediction replaces nothing but a prediction.

    Args:
        path: The output.
        source: The input.

    Raises:
        InputError: If the output has a wrong suffix, is the input, holds it
            or lies in it, or is a folder that is no image.
    """
    check_output_suffix(path)
    path = pathlib.Path(path)
    if pathlib.Path(source).resolve().is_relative_to(path.resolve()):
        raise InputError(
            f"{path}: output must not replace the input. Received: {source}"
        )
    folder = pathlib.Path(source).resolve()
    if folder.is_dir() and path.resolve().is_relative_to(folder):
        raise InputError(
            f"{path}: output must lie outside the input, where it would be "
            f"read the next time. Received: the input {source}"
        )
    if path.is_dir() and (is_plate(path) or not is_zarr(path)):
        raise InputError(
            f"{path}: output must be a new image, or one to replace. "
            f"Received: a folder that is no OME-Zarr image"
        )
    if path.exists() and not _is_prediction(path):
        raise InputError(
            f"{path}: output must be a new file, or a prediction to replace. "
            f"Received: another image or file"
        )


def _is_prediction(path: pathlib.Path) -> bool:
    try:
        image = open_channels(path)
    except InputError:
        return False
    known = {} if image is None else image.annotations
    is_ours = str(known.get("program", "")).startswith("isl ")
    return is_ours and "statistics" in known


def file_sink(path: str | os.PathLike) -> OpenSink:
    """Returns what begins an OME-TIFF or an OME-Zarr, by the suffix.

    Args:
        path: Nothing appears there unless all of it does.

    Raises:
        InputError: If `path` has another suffix.
    """
    check_output_suffix(path)
    return functools.partial(_streamed, path)


@contextlib.contextmanager
def _streamed(
    path: str | os.PathLike, image: ZarrDescription
) -> Iterator[Sink]:
    if str(path).endswith(".zarr"):
        with streamed_ome_zarr(path, image) as sink:
            yield sink
        return
    with streamed_ome_tiff(
        path,
        image.shape,
        image.channel_names,
        image.pixel_size_um,
        image.annotations,
    ) as sink:
        yield sink


def predict_to_file(
    path: str | os.PathLike,
    predictor: Predictor,
    well: Well,
    tiling: Tiling,
    planes: Sequence[int | None] | None = None,
    model_name: str = "",
    convert: Convert | None = None,
    show_progress: bool = False,
) -> None:
    """Predicts an image into a file, axes CYX, float32.

    The channels are `predictor.channel_names`, in [0, 1] unless they are
    converted. The annotations tell how it was made; their `origin` is the
    row and the column of the image at which the prediction begins.

    Args:
        path: Output, an OME-TIFF or an OME-Zarr by its suffix. Nothing
            appears there unless all of it does.
        predictor: See `iter_predictions`, likewise what follows.
        well: The image.
        tiling: From `plan_tiles`.
        planes: From `select_planes`.
        model_name: How the output names the model.
        convert: From `isl.prediction.units.camera_units`; None for
            intensities.
        show_progress: Whether to draw a progress bar on standard error.

    Raises:
        InputError: If `path` has another suffix, or a file cannot be
            decoded.
    """
    predict_to_sink(
        file_sink(path),
        predictor,
        well,
        tiling,
        planes,
        model_name,
        convert,
        show_progress,
    )


def predict_to_sink(
    open_sink: OpenSink,
    predictor: Predictor,
    well: Well,
    tiling: Tiling,
    planes: Sequence[int | None] | None = None,
    model_name: str = "",
    convert: Convert | None = None,
    show_progress: bool = False,
) -> None:
    """Predicts an image into what takes regions; see `predict_to_file`.

    Args:
        open_sink: Begins the image.
        predictor: See `iter_predictions`, likewise what follows.
        well: The image.
        tiling: From `plan_tiles`.
        planes: From `select_planes`.
        model_name: How the output names the model.
        convert: From `isl.prediction.units.camera_units`; None for
            intensities.
        show_progress: Whether to draw a progress bar on standard error.

    Raises:
        InputError: If a file cannot be decoded.
    """
    if planes is None:
        planes = select_planes(
            predictor.num_z, well, alignment=predictor.z_alignment
        )
    annotations = {
        "program": f"isl {isl.__version__}",
        "model": model_name,
        "labels": predictor.labels,
        "statistics": predictor.statistics,
        "units": "intensity" if convert is None else "original",
        "z_planes": list(planes),
        "num_z_of_input": well.num_z,
        "origin": {"row": tiling.rows.start, "column": tiling.columns.start},
        "padding": tiling.padding,
        "stitching": predictor.stitching,
        "tile_shape": tiling.tile_shape,
    }
    image = ZarrDescription(
        shape=tiling.shape,
        channel_names=predictor.channel_names,
        dtype=np.float32,
        pixel_size_um=well.pixel_size_um,
        annotations=annotations,
    )
    regions = (
        (
            _shifted(rows, tiling.rows.start),
            _shifted(columns, tiling.columns.start),
            values if convert is None else convert(values),
        )
        for rows, columns, values in iter_predictions(
            predictor, well, tiling, planes, show_progress
        )
    )
    with open_sink(image) as sink:
        _write_behind(sink, regions)


def _write_behind(
    sink: Sink, regions: Iterable[tuple[slice, slice, np.ndarray]]
) -> None:
    """Writes each region while the next one is computed, in order."""
    with concurrent.futures.ThreadPoolExecutor(max_workers=1) as executor:
        writing = None
        for region in regions:
            if writing is not None:
                writing.result()
            writing = executor.submit(sink.write, *region)
        if writing is not None:
            writing.result()


def _shifted(span: slice, origin: int) -> slice:
    return slice(span.start - origin, span.stop - origin)
