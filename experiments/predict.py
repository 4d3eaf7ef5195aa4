r"""Predicts label images from a z-stack in transmitted light.

    python experiments/predict.py --model=runs/simulated/model \
        --input=simulated/A1 --output=A1.ome.tif --statistics=median,entropy

Writes an OME-TIFF, axes CYX, float32 in [0, 1], with one channel per label and
statistic, named `LABEL:statistic`. Beside the planes of PNG files, which are
kept, memory does not depend on the size of the image.

A stack with another number of planes than the model takes feeds it planes at
equal distances, as the original does, and the last line names them.

With `--padding=none` only pixels whose field of view lies inside the image are
predicted; the offset stands in the description of the image (`origin`).
"""

import time
from collections.abc import Sequence

from absl import flags

from isl import command_line
from isl.errors import InputError
from isl.images import check_tiff_suffix, open_image
from isl.network.model_folder import load_model
from isl.prediction import predictor as predictor_lib
from isl.prediction.tiles import PADDINGS, STITCHINGS, plan_tiles

_MODEL = flags.DEFINE_string("model", None, "A model folder.", required=True)
_INPUT = flags.DEFINE_string(
    "input", None, "A folder of planes, an OME-TIFF or a PNG.", required=True
)
_OUTPUT = flags.DEFINE_string("output", None, "OME-TIFF.", required=True)
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
    "stitching",
    "fast",
    STITCHINGS,
    "One pass over large tiles, or what the original's stitching gives.",
)
_PADDING = flags.DEFINE_enum(
    "padding",
    "reflect",
    PADDINGS,
    "Outside the image: its mirror image, or no prediction that needs it.",
)
_Z_PLANES = flags.DEFINE_list(
    "z_planes",
    None,
    "Planes to use, from 0, one for each that the model takes.",
)
_TILE_SIZE = flags.DEFINE_integer(
    "tile_size", None, "Pixels a side of a tile at most; about 264."
)


def main() -> None:
    check_tiff_suffix(_OUTPUT.value)
    z_planes = None if _Z_PLANES.value is None else _integers(_Z_PLANES.value)
    well = open_image(_INPUT.value)
    model, description = load_model(_MODEL.value)
    planes = predictor_lib.select_planes(description.num_z, well, z_planes)
    tiling = plan_tiles(
        description.architecture,
        well.shape,
        padding=_PADDING.value,
        tile_size=_TILE_SIZE.value,
        path=_INPUT.value,
        stitching=_STITCHING.value,
    )
    predictor = predictor_lib.build_predictor(
        model,
        description,
        _LABELS.value,
        _STATISTICS.value,
        _STITCHING.value,
    )
    start = time.monotonic()
    predictor_lib.predict_to_ome_tiff(
        _OUTPUT.value,
        predictor,
        well,
        tiling,
        planes,
        model_name=_MODEL.value,
        show_progress=True,
    )
    seconds = time.monotonic() - start
    rows, columns = tiling.shape
    message = (
        f"wrote {_OUTPUT.value}: {len(predictor.channel_names)} channels of "
        f"{rows} rows x {columns} columns in {seconds:.1f} s, "
        f"{rows * columns / 1e6 / seconds:.3g} megapixels per second"
    )
    if planes != tuple(range(well.num_z)):
        used = ",".join(map(str, planes))
        message += f", from planes {used} of 0 to {well.num_z - 1}"
    print(message)


def _integers(texts: Sequence[str]) -> list[int]:
    try:
        return [int(text) for text in texts]
    except ValueError as error:
        raise InputError(
            f"z_planes: must be whole numbers. Received: {','.join(texts)}."
        ) from error


if __name__ == "__main__":
    command_line.run(main)
