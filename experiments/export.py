r"""Writes a trained model for other programs, which need no isl to run it.

    python experiments/export.py --model=condition_b_small --format=keras \
        --output=condition_b_small.keras
    python experiments/export.py --model=runs/mine/model --format=bioimageio \
        --name='My labels' --authors='A. Name' --license=CC-BY-4.0 \
        --output=mine.zip

`keras` is a file for `keras.models.load_model`, `saved_model` a folder for
TensorFlow, `onnx` a file for ONNX Runtime and others, `bioimageio` a package
for bioimageio.core (https://bioimage.io). The last two need the extra
`export`. Input: intensities in [0, 1], float32, [batch, row, column, z].
Outputs: statistics of each label, [batch, row, column, statistic], smaller by
the field of view; a package also scales, and pads. docs/export.md.
"""

from absl import flags

from isl.command_line import refuse, run
from isl.export.bioimageio import PackageFacts
from isl.export.formats import BIOIMAGEIO, FORMATS, export_model

_MODEL = flags.DEFINE_string(
    "model", None, "A model folder, or a name.", required=True
)
_FORMAT = flags.DEFINE_enum(
    "format", None, FORMATS, "What to write.", required=True
)
_OUTPUT = flags.DEFINE_string(
    "output", None, "File or folder to write.", required=True
)
_LABELS = flags.DEFINE_list("labels", None, "Labels to predict. Default: all.")
_STATISTICS = flags.DEFINE_list(
    "statistics",
    ["median", "standard_deviation"],
    "What to predict of each label, as in predict.py.",
)
_NAME = flags.DEFINE_string("name", None, "What a package calls the model.")
_AUTHORS = flags.DEFINE_list("authors", None, "Who trained it.")
_LICENSE = flags.DEFINE_string(
    "license", None, "Of the weights (SPDX). Default: that of the data."
)


def _facts() -> PackageFacts | None:
    if _FORMAT.value != BIOIMAGEIO:
        refuse((_NAME, _AUTHORS, _LICENSE), f"with --format={_FORMAT.value}")
        return None
    return PackageFacts(_NAME.value or "", _AUTHORS.value or (), _LICENSE.value)


def main() -> None:
    exported = export_model(
        _MODEL.value,
        _OUTPUT.value,
        _FORMAT.value,
        _LABELS.value,
        _STATISTICS.value,
        _facts(),
    )
    print(
        f"{_OUTPUT.value}: {', '.join(exported.output_names)}, each "
        f"{', '.join(_STATISTICS.value)}"
    )


if __name__ == "__main__":
    run(main)
