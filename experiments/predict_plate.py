r"""Predicts label images for every well of a plate or of a folder of wells.

    python experiments/predict_plate.py --model=runs/simulated/model \
        --input=plate.zarr --output=predictions --num_workers=4

Finds the fields of an OME-Zarr plate, or the OME-Zarrs, the TIFFs of several
planes, the folders of numbered planes and the wells of published PNG planes in
a folder and in folders in it; or the wells of `--data_spec`, under
`--image_root`. Writes what predict.py writes: `WELL.ome.tif`, or with
`--format=ome_zarr` a plate, `plate.zarr`, or `WELL.zarr` if wells are not
called as on a plate. The same command goes on with a run that was stopped.
What is wrong with a well is told at the end; the others are predicted.

Without workers everything happens in this process, which uses all cores.
`--num_workers` starts processes, each with a model and its share of the
cores; `--scheduler` uses the workers of a Dask cluster (docs/clusters.md).
"""

import os
import pathlib

from absl import flags

from isl import command_line
from isl.prediction import workers
from isl.prediction.engine import ENGINES, KERAS, KERAS_BFLOAT16
from isl.prediction.plate import predict_wells, sum_up
from isl.prediction.plate_job import FORMATS, open_plate_job
from isl.prediction.request import Request
from isl.prediction.tiles import PADDINGS, STITCHINGS
from isl.prediction.units import UNITS
from isl.prediction.well_inputs import find_inputs

_MODEL = flags.DEFINE_string(
    "model", None, "A model folder, or a name.", required=True
)
_INPUT = flags.DEFINE_string("input", None, "A plate or a folder of wells.")
_DATA_SPEC = flags.DEFINE_string("data_spec", None, "Instead of --input.")
_IMAGE_ROOT = flags.DEFINE_string(
    "image_root", None, "Folder that the paths of the spec are relative to."
)
_OUTPUT = flags.DEFINE_string("output", None, "A folder.", required=True)
_FORMAT = flags.DEFINE_enum(
    "format", "ome_tiff", FORMATS, "Of the predictions."
)
_LABELS = flags.DEFINE_list(
    "labels", None, "Labels to predict; all labels of the model by default."
)
_STATISTICS = flags.DEFINE_list(
    "statistics", ["median"], "Of each pixel, as of predict.py."
)
_STITCHING = flags.DEFINE_enum(
    "stitching", "fast", STITCHINGS, "As of predict.py; likewise the next."
)
_PADDING = flags.DEFINE_enum("padding", "reflect", PADDINGS, "Of the edges.")
_UNITS = flags.DEFINE_enum("units", "intensity", UNITS, "Of the values.")
_Z_PLANES = flags.DEFINE_list("z_planes", None, "Planes to use, from 0.")
_TILE_SIZE = flags.DEFINE_integer("tile_size", None, "Pixels a side at most.")
_ENGINE = flags.DEFINE_enum("engine", KERAS, ENGINES, "As of predict.py.")
_NUM_WORKERS = flags.DEFINE_integer(
    "num_workers", 0, "Processes to start; 0 for none.", lower_bound=0
)
_THREADS = flags.DEFINE_integer(
    "threads_per_worker",
    None,
    "Of each process; its share of the cores by default.",
    lower_bound=1,
)
_SCHEDULER = flags.DEFINE_string(
    "scheduler", None, "Address of a Dask scheduler, instead of processes."
)


def main() -> None:
    execute = workers.choose_workers(_SCHEDULER.value, _NUM_WORKERS.value)
    threads = _THREADS.value
    if not _NUM_WORKERS.value and _ENGINE.value in (KERAS, KERAS_BFLOAT16):
        command_line.refuse([_THREADS], "without --num_workers")
    if _NUM_WORKERS.value:
        threads = threads or workers.share_of_cores(_NUM_WORKERS.value)
        os.environ.update(workers.thread_limits(threads))
    source, inputs = find_inputs(
        _INPUT.value, _DATA_SPEC.value, _IMAGE_ROOT.value, _OUTPUT.value
    )
    request = Request(
        labels=_LABELS.value,
        statistics=_STATISTICS.value,
        stitching=_STITCHING.value,
        padding=_PADDING.value,
        units=_UNITS.value,
        z_planes=_Z_PLANES.value,
        tile_size=_TILE_SIZE.value,
        engine=_ENGINE.value,
    )
    # Workers may have another current directory.
    output = pathlib.Path(_OUTPUT.value).resolve()
    job, wells = open_plate_job(
        _MODEL.value, request, inputs, source, output, _FORMAT.value, threads
    )
    outcomes = predict_wells(job, wells, execute, show_progress=True)
    summary, failures = sum_up(outcomes)
    print(f"{output}: {summary}")
    for outcome in outcomes:
        command_line.warn(outcome.well, outcome.unlike)
    command_line.end(failures)


if __name__ == "__main__":
    command_line.run(main)
