"""A model as a package of bioimage.io (https://bioimage.io, format 0.5).

It holds the network as `.keras`, a test input with what the network made of
it, how inputs are scaled, and what a reader must know. Programs that run
`keras_v3` weights, as bioimageio.core does, need no `isl`.
"""

import dataclasses
import importlib.metadata
import pathlib
import tempfile
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
from keras import layers

from isl.errors import InputError
from isl.extras import import_extra
from isl.network.model_folder import ModelDescription
from isl.network.networks import Network
from isl.preprocessing.normalization import TRANSMITTED

_EPSILON = 1e-6  # As bioimage.io has it.
WEIGHTS_FILE = "weights.keras"
TEXT_FILE = "README.md"
_DOI = "10.1016/j.cell.2018.03.040"
_CITATION = (
    "Christiansen et al., In Silico Labeling: Predicting Fluorescent Labels in "
    "Unlabeled Images, Cell 2018"
)


@dataclasses.dataclass(frozen=True)
class PackageFacts:
    """What only a person can tell of a model.

    Attributes:
        name: What it is called.
        authors: Names of the people who trained it, at least one.
        licence: SPDX identifier of the licence of the weights; None for that
            of the training data, if it is known.
    """

    name: str
    authors: Sequence[str]
    licence: str | None = None


def write_package(
    path: pathlib.Path,
    exported: keras.Model,
    description: ModelDescription,
    statistics: Sequence[str],
    facts: PackageFacts | None,
) -> None:
    """Writes a package, checked by bioimage.io's own rules.

    Args:
        path: The file to write, .zip.
        exported: From `isl.export.network.build_exported`.
        description: Of the model.
        statistics: What is predicted of each label.
        facts: What only a person can tell.

    Raises:
        InputError: If bioimageio.spec is not installed, the name, an author
            or the licence is missing, or the package breaks a rule.
    """
    import_extra("bioimageio.spec.model.v0_5", "export", "format")
    spec = import_extra("bioimageio.spec", "export", "format")
    if facts is None or not facts.authors or not facts.name:
        raise InputError(
            "name and at least one of authors must be given for bioimage.io. "
            f"Received: {facts and facts.name}, {facts and facts.authors}"
        )
    licence = facts.licence or _licence(description)
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        padded = _with_halo(exported, description.architecture.margin)
        padded.save(folder / WEIGHTS_FILE)
        planes = _test_input(description)
        np.save(folder / "input.npy", planes)
        outputs = keras.tree.flatten(padded.predict_on_batch(_scaled(planes)))
        for label, values in zip(exported.output_names, outputs, strict=True):
            np.save(folder / f"{label}.npy", np.asarray(values))
        (folder / TEXT_FILE).write_text(
            _text(facts, description, exported.output_names, statistics),
            encoding="utf-8",
        )
        try:
            package = _describe(
                spec, folder, facts, licence, description, exported, statistics
            )
            spec.save_bioimageio_package(package, output_path=path)
        except (ValueError, OSError) as error:
            raise InputError(
                f"bioimage.io: the package must keep its rules. Received: "
                f"{error}"
            ) from error


def _training_specs(description: ModelDescription) -> list[Mapping[str, Any]]:
    return list(description.provenance.get("specs", ()))


def _licence(description: ModelDescription) -> str:
    found = {spec.get("licence") for spec in _training_specs(description)}
    if len(found) != 1 or None in found:
        raise InputError(
            "licence: must be given, as the training data name none or "
            f"several. Received: {', '.join(map(str, found)) or 'none'}"
        )
    return found.pop()


def _with_halo(exported: keras.Model, margin: int) -> keras.Model:
    """The network with outputs of the size of the input.

    Programs place the outputs of tiles by a halo that they cut off.
    """
    if not margin:
        return exported
    outputs = [
        layers.ZeroPadding2D(margin, name=f"{label}_halo")(values)
        for label, values in zip(
            exported.output_names, exported.outputs, strict=True
        )
    ]
    return keras.Model(exported.inputs, outputs, name=exported.name)


def _test_input(description: ModelDescription) -> np.ndarray:
    """Noise in units of a camera, float32, [1, row, column, z]."""
    network = description.architecture
    shape = (network.input_size + network.grid, network.input_size)
    generator = np.random.default_rng(0)
    values = generator.normal(2000, 500, (1, *shape, description.num_z))
    return values.astype(np.float32)


def _scaled(planes: np.ndarray) -> np.ndarray:
    """Does what `_preprocessing` asks for."""
    standard = (planes - planes.mean()) / (planes.std() + _EPSILON)
    target = standard * TRANSMITTED.std + TRANSMITTED.mean
    return np.clip(target, 0, 1).astype(np.float32)


def _preprocessing(v: Any) -> list[Any]:
    """A stack gets the mean and the deviation that networks learn from."""
    return [
        v.ZeroMeanUnitVarianceDescr(
            kwargs=v.ZeroMeanUnitVarianceKwargs(
                axes=["y", "x", "channel"], eps=_EPSILON
            )
        ),
        v.ScaleLinearDescr(
            kwargs=v.ScaleLinearKwargs(
                gain=TRANSMITTED.std, offset=TRANSMITTED.mean
            )
        ),
        v.ClipDescr(kwargs=v.ClipKwargs(min=0.0, max=1.0)),
    ]


def _text(
    facts: PackageFacts,
    description: ModelDescription,
    labels: Sequence[str],
    statistics: Sequence[str],
) -> str:
    """What a reader must know, as Markdown."""
    network = description.architecture
    specs = _training_specs(description)
    data = "\n".join(
        f"* {one['name']} (condition {one['condition']}, {one['modality']})"
        + (f": {one['citation']}" if one.get("citation") else "")
        for one in specs
    )
    return f"""# {facts.name}

In silico labeling (Christiansen et al. 2018, doi:{_DOI}): predicts
{", ".join(labels)} from {description.num_z} planes of transmitted
light; for each pixel {", ".join(statistics)} of a predicted distribution.

## Input

`planes`: {description.num_z} focal planes in order, as channels, in any units.
The package scales each stack to mean 0.5 and standard deviation 0.125 and clips
it to [0, 1]. Rows and columns: {network.input_size} plus a multiple of
{network.grid}.

## Output

One tensor for each label, with one channel for each statistic, in [0, 1], of
the size of the input. The outer {network.margin} pixels, whose field of view
reaches outside, are 0: a halo for programs that predict in tiles.

## Training data

{data or "Not known."}

# Validation

It has seen nothing but its training data: compare its predictions with a real
stain on some of your own images before you trust it.
"""


def halo(network: Network) -> int:
    """Returns how much of an output programs cut off on each side, pixels.

    They add as much to an input, which must stay on the grid: the margin,
    rounded up.
    """
    return -(-network.margin // network.grid) * network.grid


def _output_axis(v: Any, name: str, cut: int) -> Any:
    size = v.SizeReference(tensor_id="planes", axis_id=name)
    if not cut:
        return v.SpaceOutputAxis(id=name, size=size)
    return v.SpaceOutputAxisWithHalo(id=name, size=size, halo=cut)


def _describe(
    spec: Any,
    folder: pathlib.Path,
    facts: PackageFacts,
    licence: str,
    description: ModelDescription,
    exported: keras.Model,
    statistics: Sequence[str],
) -> Any:
    v = spec.model.v0_5
    network = description.architecture
    size = v.ParameterizedSize(min=network.input_size, step=network.grid)

    def file(name: str) -> Any:
        return v.FileDescr(source=folder / name)

    planes = v.InputTensorDescr(
        id="planes",
        description="Focal planes in transmitted light; see README.md",
        axes=[
            v.BatchAxis(),
            *(v.SpaceInputAxis(id=name, size=size) for name in ("y", "x")),
            v.ChannelAxis(
                channel_names=[f"z{z}" for z in range(description.num_z)]
            ),
        ],
        data=v.IntervalOrRatioDataDescr(type="float32"),
        test_tensor=file("input.npy"),
        preprocessing=_preprocessing(v),
    )
    outputs = [
        v.OutputTensorDescr(
            id=label,
            description=f"{label}, intensities in [0, 1]",
            axes=[
                v.BatchAxis(),
                *(_output_axis(v, name, halo(network)) for name in ("y", "x")),
                v.ChannelAxis(channel_names=list(statistics)),
            ],
            data=v.IntervalOrRatioDataDescr(type="float32", range=(0.0, 1.0)),
            test_tensor=file(f"{label}.npy"),
        )
        for label in exported.output_names
    ]
    backend = keras.backend.backend()
    weights = v.KerasV3WeightsDescr(
        source=folder / WEIGHTS_FILE,
        keras_version=keras.__version__,
        backend=(backend, importlib.metadata.version(backend)),
    )
    return v.ModelDescr(
        name=facts.name,
        description="In silico labeling: fluorescent labels predicted from "
        "transmitted light, with their uncertainty",
        authors=[v.Author(name=name) for name in facts.authors],
        cite=[v.CiteEntry(text=_CITATION, doi=_DOI)],
        license=licence,
        documentation=file(TEXT_FILE),
        tags=["in-silico-labeling", "image-to-image", "uncertainty", "keras"],
        inputs=[planes],
        outputs=outputs,
        weights=v.WeightsDescr(keras_v3=weights),
    )
