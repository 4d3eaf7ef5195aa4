r"""Measures speed and memory; prints a line of JSON for each method.

    python experiments/benchmark.py --what=predict --method=fast
    python experiments/benchmark.py --what=train --architecture=narrow
    python experiments/benchmark.py --what=input \
        --data_specs=data_specs/simulated.json --image_root=demo/wells

`seconds` are of one batch: median, minimum and maximum of `--repeats`. Rates
are of the median. `share_of_machine` compares the convolutions' multiply-adds
with those of a large matrix product in the same run. Several methods in one
run (`--method=patchwise,fast,exact`) may be compared; the peak of memory is
that of the process so far, so measure it with one.
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
_METHOD = flags.DEFINE_list(
    "method", ["fast"], f"How to predict: from {', '.join(workloads.METHODS)}."
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
_COLD = flags.DEFINE_boolean(
    "cold", False, "Opens files anew for each batch, out of the cache."
)


def _predict(description: ModelDescription, method: str) -> workloads.Workload:
    table, size = description.architecture, _OUTPUT_SIZE.value
    if method not in workloads.METHODS:
        raise InputError(
            f"method must be from {', '.join(workloads.METHODS)}. Received: "
            f"{method}"
        )
    step = size if method == "exact" else (size or 0) - table.output_size
    if size is not None and (size < table.output_size or step % table.grid):
        raise InputError(
            f"output_size must be a multiple of {table.grid} (exact) or "
            f"{table.output_size} plus one (fast). Received: {size}"
        )
    return workloads.prediction_workload(
        description, method, size, _BATCH_SIZE.value, _STATISTICS.value
    )


def _other(description: ModelDescription) -> workloads.Workload:
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
    return workloads.input_workload(
        config, specs, _IMAGE_ROOT.value, _COLD.value
    )


def main() -> None:
    labels = tuple(f"LABEL_{index}" for index in range(_NUM_LABELS.value))
    description = ModelDescription(
        ARCHITECTURES[_ARCHITECTURE.value], _NUM_Z.value, labels
    )
    what, repeats = _WHAT.value, _REPEATS.value
    if what == "predict":
        work = (_predict(description, method) for method in _METHOD.value)
    else:
        work = iter([_other(description)])
    for workload in work:
        used = None if what == "input" else description
        print(json.dumps(measure_workload(what, workload, used, repeats)))


if __name__ == "__main__":
    run(main)
