r"""Simulates wells: z-stacks, labels and the truth about every cell.

    python experiments/simulate.py --output_dir=simulated \
        --num_wells=4 --size=512 --num_z=5 --seed=0

Writes a folder of 16-bit PNG planes per well, named and normalised as the
published data, each with `nuclei.csv` (where the nuclei are, which are dead),
and `spec.json`. The last quarter of the wells, at least one, is the test
split; a single well is split by columns. About two seconds a well of this
size. `data_specs/simulated.json` describes the wells of this command.
"""

from absl import flags

from isl import command_line
from isl.simulation import dataset
from isl.specs.dataset_spec import MODALITIES

_OUTPUT_DIR = flags.DEFINE_string(
    "output_dir", None, "Where the wells and spec.json go.", required=True
)
_NUM_WELLS = flags.DEFINE_integer("num_wells", 4, "Number of wells, 1 to 312.")
_SIZE = flags.DEFINE_integer("size", 512, "Rows and columns of a well, pixels.")
_NUM_Z = flags.DEFINE_integer("num_z", 5, "Planes of a z-stack.")
_SEED = flags.DEFINE_integer("seed", 0, "The same seed gives the same wells.")
_MODALITY = flags.DEFINE_enum(
    "modality", "PHASE_CONTRAST", MODALITIES, "Kind of transmitted light."
)


def main() -> None:
    dataset.write_dataset(
        _OUTPUT_DIR.value,
        _NUM_WELLS.value,
        _SIZE.value,
        _NUM_Z.value,
        _SEED.value,
        modality=_MODALITY.value,
        show_progress=True,
    )
    print(f"wrote {_OUTPUT_DIR.value}/spec.json")


if __name__ == "__main__":
    command_line.run(main)
