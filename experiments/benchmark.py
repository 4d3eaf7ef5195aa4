r"""Measures speed and memory; prints a line of JSON for each piece of work.

    python experiments/benchmark.py --what=predict --method=fast
    python experiments/benchmark.py --what=train --architecture=narrow
    python experiments/benchmark.py --what=input \
        --data_specs=data_specs/simulated.json --image_root=demo/wells

Input has two lines for each data spec: with files in the system's cache, and
opened anew (`cold`). Rates are of the median of `--repeats`. Several methods
and engines take turns: `times_the_first` compares with the first in the same
turn, `share_of_machine` with a large matrix product right before. Each method
may have an `--output_size` of its own: `--method=patchwise,fast
--output_size=8,520`.
"""

import json
from collections.abc import Iterator

from absl import flags

from isl.benchmarks import workloads
from isl.benchmarks.report import measure_workloads
from isl.command_line import refuse, run
from isl.errors import InputError
from isl.network.model_folder import ModelDescription
from isl.network.networks import NETWORKS
from isl.network.precision import PRECISIONS
from isl.prediction.engine import ENGINES, KERAS
from isl.specs import load_dataset_specs
from isl.training.config import TrainConfig
from isl.training.presets import configure

_WHAT = flags.DEFINE_enum(
    "what", "predict", ["predict", "train", "input"], "What to measure."
)
_METHOD = flags.DEFINE_list(
    "method", ["fast"], f"How to predict: from {', '.join(workloads.METHODS)}."
)
_ARCHITECTURE = flags.DEFINE_enum(
    "architecture", "concordance", sorted(NETWORKS), "The network."
)
_NUM_Z = flags.DEFINE_integer("num_z", 13, "Input planes.", 1)
_NUM_LABELS = flags.DEFINE_integer("num_labels", 4, "Label heads.", 1)
_STATISTICS = flags.DEFINE_list("statistics", ["median"], "To predict.")
_ENGINE = flags.DEFINE_list(
    "engine", [KERAS], f"What predicts: from {', '.join(ENGINES)}."
)
_OUTPUT_SIZE = flags.DEFINE_list(
    "output_size", [], "Of a patch or tile; or one for each method."
)
_BATCH_SIZE = flags.DEFINE_integer("batch_size", None, "At once.", 1)
_REPEATS = flags.DEFINE_integer("repeats", 5, "How often to time it.", 1)
_TRAINING = [
    flags.DEFINE_integer("label_stride", None, "As of train.py."),
    flags.DEFINE_enum("precision", None, PRECISIONS, "As of train.py."),
    flags.DEFINE_boolean("remat", None, "As of train.py."),
]
_DATA = [
    flags.DEFINE_list("data_specs", None, "Data sets, for input."),
    flags.DEFINE_string("image_root", None, "Their folder."),
]
_PREDICT = [_METHOD, _ENGINE, _STATISTICS]
_READ_BY = {"predict": _PREDICT, "train": _TRAINING, "input": _DATA}


def _predict(description: ModelDescription) -> list[workloads.Workload]:
    sizes = workloads.parse_sizes(_OUTPUT_SIZE.value, len(_METHOD.value))
    return [
        workloads.prediction_workload(
            description,
            method,
            size,
            _BATCH_SIZE.value,
            _STATISTICS.value,
            engine,
        )
        for engine in _ENGINE.value
        for method, size in zip(_METHOD.value, sizes, strict=True)
    ]


def _config(description: ModelDescription) -> TrainConfig:
    given = (_BATCH_SIZE, *_TRAINING)
    changes = {f.name: f.value for f in given if f.value is not None}
    if _OUTPUT_SIZE.value:
        (changes["output_size"],) = workloads.parse_sizes(_OUTPUT_SIZE.value, 1)
    return configure("fast", changes, description.architecture)


def _input(config: TrainConfig) -> Iterator[workloads.Workload]:
    paths, root = (flag.value for flag in _DATA)
    if not paths or not root:
        raise InputError(
            f"data_specs, image_root must be given. Received: {paths}, {root}"
        )
    return workloads.input_workloads(config, load_dataset_specs(paths), root)


def main() -> None:
    what = _WHAT.value
    for kind in _READ_BY.keys() - {what}:
        refuse(_READ_BY[kind], f"unless --what={kind}")
    network = NETWORKS[_ARCHITECTURE.value]
    labels = tuple(f"LABEL_{index}" for index in range(_NUM_LABELS.value))
    description = ModelDescription(network, _NUM_Z.value, labels)
    if what == "predict":
        work = iter([_predict(description)])
    elif what == "train":
        config = _config(description)
        work = iter([[workloads.training_workload(description, config)]])
    else:  # Emptying the system's cache for one would slow down the other.
        work = ([one] for one in _input(_config(description)))
    used = None if what == "input" else description
    for together in work:
        for one in measure_workloads(what, together, used, _REPEATS.value):
            print(json.dumps(one), flush=True)


if __name__ == "__main__":
    run(main)
