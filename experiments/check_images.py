r"""Tells what is in a folder, file or plate, and what is wrong with it.

    python experiments/check_images.py --input=my_images
    python experiments/check_images.py --input=my_images \
        --data_spec=my_spec.json --output_dir=checked

The first thing to run on your own data. `--input` is a folder of PNG or TIFF
images in any naming (with the folders in it), an OME-TIFF, an OME-Zarr image
or plate, or a file of a vendor format (CZI, ND2, LIF; the extra `bioio`); with
`--data_spec`, the folder that the paths of the spec are relative to. Prints
how the names were understood, a table with a line for each channel of each
well, and a line for each problem: the file, what is wrong, and what to do
(problems of one kind in one well share a line). The exit status is 1 if there
is an error, 0 if there are only warnings.

With `--output_dir`, writes `images.csv` (a row for each image),
`problems.csv` and `contact_sheet.png` there. Nothing is written into the
input. Every pixel is read: about a second for 20 megapixels.
"""

import sys

from absl import flags

from isl import command_line
from isl.inspection.inspection import inspect_images
from isl.inspection.output import check_output_dir, write_inspection
from isl.inspection.text import format_guesses, format_problems, format_table
from isl.inspection.well_report import Limits
from isl.specs import load_dataset_spec

_INPUT = flags.DEFINE_string(
    "input",
    None,
    "A folder, PNG, OME-TIFF, OME-Zarr or vendor file.",
    required=True,
)
_DATA_SPEC = flags.DEFINE_string(
    "data_spec", None, "What the images are to be; guessed by default."
)
_OUTPUT_DIR = flags.DEFINE_string(
    "output_dir", None, "Where tables and the contact sheet go."
)
_SATURATED = flags.DEFINE_float(
    "saturated",
    Limits.saturated,
    "Share of pixels at the maximum from which an image is saturated.",
)


def main() -> None:
    path = _INPUT.value
    if _OUTPUT_DIR.value is not None:
        check_output_dir(_OUTPUT_DIR.value, path)
    spec = None
    if _DATA_SPEC.value is not None:
        spec = load_dataset_spec(_DATA_SPEC.value)
    inspection = inspect_images(
        path, spec, Limits(saturated=_SATURATED.value), show_progress=True
    )
    if _OUTPUT_DIR.value is not None:
        write_inspection(_OUTPUT_DIR.value, inspection, path)
    for line in (
        *format_guesses(inspection),
        *format_table(inspection),
        *format_problems(inspection, path),
    ):
        print(line)
    num_images = sum(len(well.images) for well in inspection.wells)
    num_warnings = len(inspection.problems) - inspection.num_errors
    print(
        f"{num_images} images, {inspection.num_other_files} other files: "
        f"{inspection.num_errors} errors, {num_warnings} warnings"
    )
    if inspection.num_errors:
        sys.exit(1)


if __name__ == "__main__":
    command_line.run(main)
