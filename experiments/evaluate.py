r"""Judges a model, or stored predictions, against the truth.

    python experiments/evaluate.py --model=runs/condition_b/model \
        --data_specs=data_specs/condition_b_sample.json \
        --image_root=$DATA --split=test --output_dir=runs/evaluation

Writes `metrics.csv`, `metrics.json`, `cells.csv` where the data specs name a
nuclear label, a picture for each label and well, and `report.html`, and prints
the pooled numbers. A well that fails does not stop others, unless it is first.
"""

from absl import flags

from isl.command_line import end, refuse, run
from isl.errors import InputError
from isl.evaluation.judging import iter_scored, judge_model, judge_stored
from isl.evaluation.objects import load_segmenter
from isl.evaluation.parking import parked
from isl.evaluation.parts import describe_choices, open_scorable_parts
from isl.evaluation.stored_scoring import describe_stored, open_stored_parts
from isl.evaluation.tables import POOLED
from isl.figures.evaluation_output import write_evaluation
from isl.files import make_folder
from isl.network.model_folder import load_model
from isl.network.precision import FLOAT32, PRECISIONS
from isl.provenance import describe_call
from isl.specs import Region, load_dataset_specs

_MODEL = flags.DEFINE_string("model", None, "Model folder.")
_PREDICTIONS = flags.DEFINE_string(
    "predictions",
    None,
    "Instead of a model: an OME-TIFF or OME-Zarr by predict.py, or the output "
    "of predict_plate.py.",
)
_PRECISION = flags.DEFINE_enum(
    "precision", FLOAT32, PRECISIONS, "What --model computes features in."
)
_DATA_SPECS = flags.DEFINE_list(
    "data_specs", None, "Data specs of the wells.", required=True
)
_IMAGE_ROOT = flags.DEFINE_string(
    "image_root", None, "What paths in specs are relative to.", required=True
)
_SPLIT = flags.DEFINE_string("split", "test", "Split to evaluate.")
_REGION = flags.DEFINE_string(
    "region", None, "Part of each well (0-1024:704-1024), not the split's."
)
_LABELS = flags.DEFINE_list("labels", None, "Labels. Default: all.")
_SEGMENTER = flags.DEFINE_string(
    "segmenter",
    None,
    "Finds nuclei instead of ours: package.module:function of an image.",
)
_OUTPUT_DIR = flags.DEFINE_string(
    "output_dir", None, "Folder to write into.", required=True
)


def _judge(loaded, parts, segmenter):
    """Prepares to score wells; says how, as the report does."""
    precision = _PRECISION.value
    if loaded:
        found = judge_model(*loaded, parts, _LABELS.value, segmenter, True)
        facts = {
            "model": _MODEL.value,
            "precision": "" if precision == FLOAT32 else precision,
            "planes": describe_choices(loaded[1], parts),
        }
    else:
        path = _PREDICTIONS.value
        stored = open_stored_parts(path, parts, _LABELS.value)
        found = judge_stored(stored, segmenter)
        facts = {"predictions": path, **describe_stored(stored)}
    return found, {
        **{name: text for name, text in facts.items() if text},
        "data": ", ".join(_DATA_SPECS.value),
        "split": _SPLIT.value,
        "region": _REGION.value or "as in the data spec",
        "segmenter": _SEGMENTER.value or "ours, as in the data spec",
        **describe_call(),
    }


def main() -> None:
    if (_MODEL.value is None) == (_PREDICTIONS.value is None):
        raise InputError(
            f"--model or --predictions must be given, and not both. Received: "
            f"{_MODEL.value} and {_PREDICTIONS.value}"
        )
    if _PREDICTIONS.value:
        refuse([_PRECISION], "with --predictions")
    specs = load_dataset_specs(_DATA_SPECS.value)
    model = _MODEL.value
    loaded = load_model(model, _PRECISION.value) if model else None
    parts = open_scorable_parts(
        specs,
        _IMAGE_ROOT.value,
        _SPLIT.value,
        Region.parse(_REGION.value) if _REGION.value else None,
        _LABELS.value or (),
        loaded[1].labels if loaded else None,
    )
    segmenter = load_segmenter(_SEGMENTER.value) if _SEGMENTER.value else None
    judgements, run_facts = _judge(loaded, parts, segmenter)
    folder = make_folder(_OUTPUT_DIR.value, "output_dir")
    title = f"In silico labeling: {_SPLIT.value} wells"
    failures = []
    with parked(iter_scored(judgements, failures), folder) as scored:
        rows = write_evaluation(folder, scored, title, run_facts, failures)
        for row in rows:
            if row.well == POOLED:
                value = "undefined" if row.value is None else f"{row.value:.4f}"
                print(f"{row.condition} {row.label} {row.metric}: {value}")
    print(f"report: {folder / 'report.html'}")
    end([str(failure) for failure in failures])


if __name__ == "__main__":
    run(main)
