r"""Tells how well tiles were placed and flat fields were found.

    python experiments/check_preparation.py --prepared=prepared \
        --positions=true_positions.csv
    python experiments/check_preparation.py --prepared=prepared \
        --channel=BRIGHTFIELD --flat_field=reference.tif

Prints, for each well of several tiles, how far neighbours lie apart (median,
and the largest deviation from it). With `--positions`, also the error of the
positions against true ones: a CSV with the columns tile, x, y. With
`--flat_field`, the correlation of the flat field of `--channel` with another.
"""

from absl import flags

from isl.command_line import run
from isl.errors import InputError
from isl.preprocessing import known_answers

_PREPARED = flags.DEFINE_string(
    "prepared", None, "Folder that prepare.py wrote.", required=True
)
_POSITIONS = flags.DEFINE_string(
    "positions", None, "CSV of true positions: columns tile, x, y, pixels."
)
_FLAT_FIELD = flags.DEFINE_string(
    "flat_field", None, "Image of another flat field, PNG or TIFF."
)
_CHANNEL = flags.DEFINE_string(
    "channel", None, "Which flat field: the modality or a label."
)


def main() -> None:
    if (_FLAT_FIELD.value is None) != (_CHANNEL.value is None):
        raise InputError(
            "flat_field and channel must be given together. Received: "
            f"{_FLAT_FIELD.value}, {_CHANNEL.value}"
        )
    prepared = _PREPARED.value
    for well, placement in known_answers.read_placements(prepared).items():
        for step in known_answers.neighbour_steps(placement):
            row, column = step.offset
            print(
                f"{well}: {step.direction} neighbours at ({row:.1f}, "
                f"{column:.1f}), at most {step.largest_deviation:.1f} px off "
                f"({step.num_pairs} pairs)"
            )
        if _POSITIONS.value is not None:
            true = known_answers.read_true_positions(_POSITIONS.value)
            found = placement["positions"]
            error, worst = known_answers.position_errors(found, true)
            print(
                f"{well}: positions of {len(found)} tiles: root mean square "
                f"error {error:.2f} px, at most {worst:.2f} px"
            )
    if _FLAT_FIELD.value is not None:
        correlation = known_answers.flat_field_correlation(
            prepared, _CHANNEL.value, _FLAT_FIELD.value
        )
        print(f"{_CHANNEL.value}: correlation of flat fields {correlation:.4f}")


if __name__ == "__main__":
    run(main)
