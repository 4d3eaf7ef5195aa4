r"""Measures speed and memory; prints one line of JSON.

    python experiments/benchmark.py --what=predict --method=fast
    python experiments/benchmark.py --what=train --architecture=narrow
    python experiments/benchmark.py --what=input \
        --data_specs=data_specs/simulated.json --image_root=demo/wells

`seconds` are of one batch: median, minimum and maximum of `--repeats`. Rates
are of the median. `share_of_machine` compares the convolutions' multiply-adds
with those of a large matrix product in the same run. One run measures one
thing, so that its peak of memory is its own.
"""

import dataclasses
import json

from absl import flags

from isl.benchmarks import workloads
from isl.benchmarks.report import measure_workload
from isl.command_line import run
from isl.errors import InputError
from isl.network.architecture import ARCHITECTURES
from isl.network.model_folder import ModelDescription
from isl.specs import load_dataset_spec
from isl.training.config import FAST

_WHAT = flags.DEFINE_enum(
    "what", "predict", ["predict", "train", "input"], "What to measure."
)
_METHOD = flags.DEFINE_enum(
    "method", "fast", workloads.METHODS, "How to predict."
)
_ARCHITECTURE = flags.DEFINE_enum(
    "architecture", "concordance", sorted(ARCHITECTURES), "The network."
)
_NUM_Z = flags.DEFINE_integer("num_z", 13, "Input planes.", lower_bound=1)
_NUM_LABELS = flags.DEFINE_integer(
    "num_labels", 4, "Label heads.", lower_bound=1
)
_STATISTICS = flags.DEFINE_list(
    "statistics", ["median"], "Statistics to predict."
)
_OUTPUT_SIZE = flags.DEFINE_integer(
    "output_size", None, "Pixels a side of a patch or tile."
)
_BATCH_SIZE = flags.DEFINE_integer(
    "batch_size", None, "Patches or tiles at once.", lower_bound=1
)
_REPEATS = flags.DEFINE_integer(
    "repeats", 5, "How often to time it.", lower_bound=1
)
_DATA_SPECS = flags.DEFINE_list("data_specs", None, "Data sets, for input.")
_IMAGE_ROOT = flags.DEFINE_string("image_root", None, "Their folder.")


def _predict(description: ModelDescription) -> workloads.Workload:
    table, size = description.architecture, _OUTPUT_SIZE.value
    step = size if _METHOD.value == "exact" else (size or 0) - table.output_size
    if size is not None and (size < table.output_size or step % table.grid):
        raise InputError(
            f"output_size must be a multiple of {table.grid} (exact) or "
            f"{table.output_size} plus one (fast). Received: {size}"
        )
    return workloads.prediction_workload(
        description,
        _METHOD.value,
        size,
        _BATCH_SIZE.value,
        _STATISTICS.value,
    )


def _workload(description: ModelDescription) -> workloads.Workload:
    if _WHAT.value == "predict":
        return _predict(description)
    config = dataclasses.replace(
        FAST,
        architecture=description.architecture,
        output_size=_OUTPUT_SIZE.value or FAST.output_size,
        batch_size=_BATCH_SIZE.value or FAST.batch_size,
    )
    config.check()
    if _WHAT.value == "train":
        return workloads.training_workload(description, config)
    if not _DATA_SPECS.value or not _IMAGE_ROOT.value:
        raise InputError(
            "data_specs and image_root must be given to measure the input. "
            f"Received: {_DATA_SPECS.value}, {_IMAGE_ROOT.value}"
        )
    specs = [load_dataset_spec(path) for path in _DATA_SPECS.value]
    return workloads.input_workload(config, specs, _IMAGE_ROOT.value)


def main() -> None:
    labels = tuple(f"LABEL_{index}" for index in range(_NUM_LABELS.value))
    description = ModelDescription(
        ARCHITECTURES[_ARCHITECTURE.value], _NUM_Z.value, labels
    )
    workload = _workload(description)
    is_input = _WHAT.value == "input"
    report = measure_workload(
        _WHAT.value,
        workload,
        None if is_input else description,
        _REPEATS.value,
    )
    print(json.dumps(report))


if __name__ == "__main__":
    run(main)
