r"""Prepares raw images of a microscope for training and prediction.

    python experiments/prepare.py --data_spec=my_plate.json \
        --image_root=images --output_dir=prepared --format=ome_zarr

The data spec says where the raw images are (`source`) and what to do with
them (`preprocessing`); README.md has an example. Raw images are PNG, TIFF,
OME-TIFF, OME-Zarr, plates of it, or files of vendor formats (CZI, ND2, LIF;
the extra `bioio`). Pixel size and distance of planes are those of the spec,
or else of the files. Writes normalised wells as OME-Zarr or OME-TIFF, flat
fields, `spec.json` to give to train.py with `--image_root=prepared`, and for
each well what was found in `records/`. The same command goes on with a run
that was stopped. The last line tells the largest memory it took.
"""

from absl import flags

from isl.command_line import run
from isl.machine import peak_resident_bytes
from isl.preprocessing.output import FORMATS
from isl.preprocessing.plate import SPEC_FILE, prepare
from isl.preprocessing.preparation import open_preparation
from isl.specs import load_dataset_spec

_DATA_SPEC = flags.DEFINE_string(
    "data_spec", None, "Data spec with a source of raw images.", required=True
)
_IMAGE_ROOT = flags.DEFINE_string(
    "image_root",
    None,
    "Folder that the paths of the spec are relative to.",
    required=True,
)
_OUTPUT_DIR = flags.DEFINE_string(
    "output_dir", None, "Folder to write into.", required=True
)
_FORMAT = flags.DEFINE_enum("format", "ome_zarr", FORMATS, "Of the wells.")


def main() -> None:
    preparation = open_preparation(
        load_dataset_spec(_DATA_SPEC.value),
        _IMAGE_ROOT.value,
        _OUTPUT_DIR.value,
        _FORMAT.value,
    )
    for line in preparation.remarks:
        print(line, flush=True)
    prepare(preparation, report=lambda line: print(line, flush=True))
    gigabytes = peak_resident_bytes() / 1e9
    print(
        f"wrote {preparation.output_dir / SPEC_FILE} "
        f"(at most {gigabytes:.2f} GB of memory)"
    )


if __name__ == "__main__":
    run(main)
