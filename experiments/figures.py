r"""Draws a figure, as PNG and PDF, and prints the paths written.

    python experiments/figures.py --figure=result --output_dir=figures \
        --model=runs/condition_b/model --image_root=$DATA \
        --data_specs=data_specs/condition_b_sample.json --split=test

`conditions` draws --data_specs, `network` --model or --architecture; `stack`,
`error_panel`, `uncertainty` and `result` let --model predict the wells of a
split; `reliability` reads --evaluation, `training` --workdirs; `z_planes`,
`data_amount` and `multi_task` read --table, which `ablate.py` writes.
"""

from absl import flags

from isl.command_line import refuse, run, warn
from isl.errors import InputError
from isl.evaluation.parts import open_parts
from isl.evaluation.tables import METRICS_JSON, read_details
from isl.figures import comparison, model_figures
from isl.figures.conditions_table import conditions_table
from isl.figures.drawing import save_figures
from isl.figures.network_diagram import model_diagram, network_diagram
from isl.figures.reliability_figure import reliability_figures
from isl.figures.training_curves import read_log, training_curves
from isl.files import make_folder
from isl.network.architecture import ARCHITECTURES
from isl.network.model_folder import load_description
from isl.specs import Region, load_dataset_specs

_CURVES = {"z_planes": "num_z", "data_amount": "train_share"}
_OUTPUT_DIR = flags.DEFINE_string(
    "output_dir", None, "Folder to write into.", required=True
)
_MODEL = flags.DEFINE_string("model", None, "Model folder.")
_ARCHITECTURE = flags.DEFINE_enum(
    "architecture", "concordance", sorted(ARCHITECTURES), "The network."
)
_NUM_Z = flags.DEFINE_integer("num_z", 26, "Planes of --architecture.", 1)
_DATA_SPECS = flags.DEFINE_list("data_specs", None, "Data specs.")
_IMAGE_ROOT = flags.DEFINE_string("image_root", None, "Root of their paths.")
_SPLIT = flags.DEFINE_string("split", "test", "Split whose wells are drawn.")
_REGION = flags.DEFINE_string("region", None, "Other pixels, rows:columns.")
_SIZE = flags.DEFINE_integer("size", 256, "Most rows and columns shown.", 1)
_LABELS = flags.DEFINE_list("labels", None, "Labels. Default: all.")
_WORKDIRS = flags.DEFINE_list("workdirs", None, "Folders of train.py.")
_EVALUATION = flags.DEFINE_string("evaluation", None, "Folder of evaluate.py.")
_TABLE = flags.DEFINE_string("table", None, "Table (CSV) of ablate.py.")
_METRIC = flags.DEFINE_string("metric", "pearson", "Metric of the table.")

_OF_WELLS = (_DATA_SPECS, _IMAGE_ROOT, _SPLIT, _REGION, _MODEL, _LABELS)
_READS = {
    "conditions": (_DATA_SPECS,),
    "network": (_MODEL, _ARCHITECTURE, _NUM_Z, _LABELS),
    **dict.fromkeys(model_figures.KINDS, (*_OF_WELLS, _SIZE)),
    model_figures.RESULT: _OF_WELLS,
    "reliability": (_EVALUATION,),
    "training": (_WORKDIRS,),
    **dict.fromkeys((*_CURVES, "multi_task"), (_TABLE, _METRIC)),
}
_FIGURE = flags.DEFINE_enum(
    "figure", None, list(_READS), "What to draw.", required=True
)


def _need(holder):
    """Returns the value of a flag that this figure cannot do without."""
    if not holder.value:
        raise InputError(
            f"--{holder.name} must be given with --figure={_FIGURE.value}. "
            f"Received: {holder.value}"
        )
    return holder.value


def _network():
    if _MODEL.value:
        refuse((_ARCHITECTURE, _NUM_Z, _LABELS), "with --model")
        return model_diagram(load_description(_MODEL.value), _MODEL.value)
    name, labels = _ARCHITECTURE.value, _LABELS.value or ["each label"]
    return network_diagram(ARCHITECTURES[name], _NUM_Z.value, labels, 0, name)


def _figures():
    name = _FIGURE.value
    own = {holder.name for holder in _READS[name]}
    others = (h for reads in _READS.values() for h in reads)
    refuse((h for h in others if h.name not in own), f"with --figure={name}")
    if name in model_figures.KINDS:
        specs = load_dataset_specs(_need(_DATA_SPECS))
        region = Region.parse(_REGION.value) if _REGION.value else None
        parts = open_parts(specs, _need(_IMAGE_ROOT), _SPLIT.value, region)
        return model_figures.model_figures(
            name, _need(_MODEL), parts, _SIZE.value, _LABELS.value, warn
        )
    if name == "conditions":
        specs = load_dataset_specs(_need(_DATA_SPECS))
        return [(name, conditions_table(specs))]
    if name == "network":
        return [(name, _network())]
    if name == "reliability":
        path = f"{_need(_EVALUATION)}/{METRICS_JSON}"
        return reliability_figures(read_details(path)).items()
    if name == "training":
        logs = {workdir: read_log(workdir) for workdir in _need(_WORKDIRS)}
        return [(name, training_curves(logs))]
    results = comparison.read_results(_need(_TABLE), _METRIC.value)
    if name == "multi_task":
        return [(name, comparison.multi_task_figure(results))]
    return [(name, comparison.curve_figure(results, _CURVES[name]))]


def main() -> None:
    figures = _figures()
    folder = make_folder(_OUTPUT_DIR.value, "output_dir")
    for path in save_figures(folder, figures):
        print(path)


if __name__ == "__main__":
    run(main)
