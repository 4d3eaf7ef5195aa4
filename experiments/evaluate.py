r"""Judges a model, or stored predictions, against the truth.

    python experiments/evaluate.py --model=runs/condition_b/model \
        --data_specs=data_specs/condition_b_sample.json \
        --image_root=$DATA --split=test --output_dir=runs/evaluation

Writes `metrics.csv`, `metrics.json`, `cells.csv` where the data specs name a
nuclear label, a picture for each label and well, and `report.html`, and prints
the pooled numbers.
"""

import pathlib
import sys

from absl import flags

from isl.command_line import run
from isl.errors import InputError
from isl.evaluation.model_scoring import build_model_scorer, score_model
from isl.evaluation.objects import add_objects, load_segmenter
from isl.evaluation.parts import open_parts
from isl.evaluation.stored_scoring import prediction_paths, score_prediction
from isl.evaluation.tables import POOLED
from isl.evaluation.wells import check_labels, metric_rows
from isl.figures.evaluation_output import write_evaluation
from isl.network.model_folder import load_model
from isl.provenance import git_commit, versions
from isl.specs import Region, load_dataset_specs

_MODEL = flags.DEFINE_string("model", None, "Model folder.")
_PREDICTIONS = flags.DEFINE_string(
    "predictions",
    None,
    "Instead of a model: an OME-TIFF or OME-Zarr by predict.py, or the output "
    "of predict_plate.py.",
)
_DATA_SPECS = flags.DEFINE_list(
    "data_specs", None, "Data specs of the wells.", required=True
)
_IMAGE_ROOT = flags.DEFINE_string(
    "image_root",
    None,
    "Folder that the paths of the specs are relative to.",
    required=True,
)
_SPLIT = flags.DEFINE_string("split", "test", "Split to evaluate.")
_REGION = flags.DEFINE_string(
    "region",
    None,
    "Part of each well, as rows:columns (0-1024:704-1024); replaces the "
    "part that belongs to the split.",
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


def _scores():
    if (_MODEL.value is None) == (_PREDICTIONS.value is None):
        raise InputError(
            f"--model or --predictions must be given, and not both. Received: "
            f"{_MODEL.value} and {_PREDICTIONS.value}"
        )
    region = Region.parse(_REGION.value) if _REGION.value else None
    segmenter = load_segmenter(_SEGMENTER.value) if _SEGMENTER.value else None
    specs = load_dataset_specs(_DATA_SPECS.value)
    loaded = load_model(_MODEL.value) if _MODEL.value else None
    check_labels(_LABELS.value or (), specs, loaded and loaded[1].labels)
    parts = open_parts(specs, _IMAGE_ROOT.value, _SPLIT.value, region)
    paths = None if loaded else prediction_paths(_PREDICTIONS.value, parts)
    for spec in specs:
        labels = _LABELS.value or spec.labels
        scorer = build_model_scorer(*loaded, labels) if loaded else None
        for part in (part for part in parts if part.spec is spec):
            # Pictures read a little of the well again; all of it would stay.
            well = part.well.copied()
            where = spec.condition, well
            if scorer:
                scores = score_model(scorer, *where, part.region, True)
            else:
                path = paths[part.well.name]
                scores = score_prediction(path, *where, labels, part.region)
            yield part.well, add_objects(scores, well, spec, segmenter)


def main() -> None:
    scored = list(_scores())
    output_dir = pathlib.Path(_OUTPUT_DIR.value)
    write_evaluation(
        output_dir,
        scored,
        title=f"In silico labeling: {_SPLIT.value} wells",
        run={
            "model": _MODEL.value or _PREDICTIONS.value,
            "data": ", ".join(_DATA_SPECS.value),
            "split": _SPLIT.value,
            "region": _REGION.value or "as in the data spec",
            "segmenter": _SEGMENTER.value or "ours, as in the data spec",
            "commit": git_commit() or "unknown",
            "versions": ", ".join(f"{k} {v}" for k, v in versions().items()),
            "command": " ".join(sys.argv),
        },
    )
    for row in metric_rows(scores for _, scores in scored):
        if row.well == POOLED:
            value = "undefined" if row.value is None else f"{row.value:.4f}"
            print(f"{row.condition} {row.label} {row.metric}: {value}")
    print(f"report: {output_dir / 'report.html'}")


if __name__ == "__main__":
    run(main)
