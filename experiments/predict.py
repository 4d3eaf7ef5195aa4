r"""Predicts label images from a z-stack in transmitted light.

    python experiments/predict.py --model=runs/simulated/model \
        --input=simulated/A1 --output=A1.ome.tif --statistics=median,entropy

Writes an OME-TIFF or an OME-Zarr, axes CYX, float32 in [0, 1], with a channel
for each label and statistic, named `LABEL:statistic`. Memory does not depend on
the size of the image, unless planes must be read whole: of PNG, of vendors'
files, and of compressed TIFFs with one strip a plane.

A stack with another number of planes than the model takes feeds it planes at
equal distances, as the original does, or those around its middle, as the model
was trained, which the last line names. A warning tells if nine windows of the
image are far from the mean and the contrast of normalised ones.
With `--padding=none` only pixels whose field of view lies inside the image are
predicted; the offset stands in the annotations of the output (`origin`).
"""

import time

from absl import flags

from isl import command_line
from isl.images import describe_choice, open_image
from isl.prediction.engine import ENGINES, KERAS
from isl.prediction.output import check_output, predict_to_file
from isl.prediction.plausibility import describe_unlikeness
from isl.prediction.request import Request, load_ready_model
from isl.prediction.tiles import PADDINGS, STITCHINGS
from isl.prediction.units import UNITS

_MODEL = flags.DEFINE_string(
    "model", None, "A model folder, or a name.", required=True
)
_INPUT = flags.DEFINE_string(
    "input",
    None,
    "Folder of planes, OME-TIFF, OME-Zarr, vendor file, PNG.",
    required=True,
)
_OUTPUT = flags.DEFINE_string(
    "output", None, "An OME-TIFF or OME-Zarr, by its suffix.", required=True
)
_LABELS = flags.DEFINE_list(
    "labels", None, "Labels to predict; all labels of the model by default."
)
_STATISTICS = flags.DEFINE_list(
    "statistics",
    ["median"],
    "Of the distribution of each pixel: mode, median, mean, "
    "standard_deviation, probability_nonzero, entropy, and quantiles such as "
    "q05.",
)
_STITCHING = flags.DEFINE_enum(
    "stitching", "fast", STITCHINGS, "One pass, or the original's stitching."
)
_PADDING = flags.DEFINE_enum(
    "padding",
    "reflect",
    PADDINGS,
    "Outside the image: its mirror image, or no prediction that needs it.",
)
_UNITS = flags.DEFINE_enum(
    "units", "intensity", UNITS, "0 to 1, or units of the training camera."
)
_Z_PLANES = flags.DEFINE_list(
    "z_planes", None, "Planes to use, from 0, as many as the model takes."
)
_TILE_SIZE = flags.DEFINE_integer(
    "tile_size", None, "Pixels a side of a tile at most."
)
_ENGINE = flags.DEFINE_enum(
    "engine",
    KERAS,
    ENGINES,
    "What computes; bfloat16 is for GPUs, OpenVINO an extra for CPUs.",
)


def main() -> None:
    check_output(_OUTPUT.value, _INPUT.value)
    well = open_image(_INPUT.value)
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
    ready = load_ready_model(_MODEL.value, request)
    planes, tiling = ready.plan(well, _INPUT.value)
    command_line.warn(_INPUT.value, describe_unlikeness(well, planes))
    start = time.monotonic()
    predict_to_file(
        _OUTPUT.value,
        ready.predictor,
        well,
        tiling,
        planes,
        model_name=_MODEL.value,
        convert=ready.convert,
        show_progress=True,
    )
    seconds = time.monotonic() - start
    rows, columns = tiling.shape
    speed = rows * columns / 1e6 / seconds
    message = (
        f"wrote {_OUTPUT.value}: {len(ready.predictor.channel_names)} channels "
        f"of {rows} rows x {columns} columns in {seconds:.1f} s, "
        f"{speed:.3g} megapixels per second"
    )
    chosen = describe_choice(planes, well.num_z)
    print(message + (f", from {chosen}" if chosen else ""))


if __name__ == "__main__":
    command_line.run(main)
