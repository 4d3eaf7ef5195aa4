"""Writes exported networks: Keras, SavedModel, ONNX, bioimage.io."""

import os
import pathlib
from collections.abc import Sequence

import keras

from isl.errors import InputError
from isl.export.bioimageio import PackageFacts, write_package
from isl.export.network import INPUT_NAME, build_exported
from isl.extras import import_extra
from isl.files import atomic_path
from isl.network.model_folder import load_model

KERAS, SAVED_MODEL, ONNX, BIOIMAGEIO = FORMATS = (
    "keras",
    "saved_model",
    "onnx",
    "bioimageio",
)

# What a path must end in.
_SUFFIXES = {KERAS: ".keras", ONNX: ".onnx", BIOIMAGEIO: ".zip"}
# Back ends that Keras can write a format from; under JAX a cropping of unknown
# size cannot be.
_BACKENDS = {SAVED_MODEL: "tensorflow", ONNX: "tensorflow"}


def export_model(
    folder: str | os.PathLike,
    output: str | os.PathLike,
    kind: str,
    labels: Sequence[str] | None = None,
    statistics: Sequence[str] = ("median", "standard_deviation"),
    facts: PackageFacts | None = None,
) -> keras.Model:
    """Writes a trained model for other programs, all of it or nothing.

    Args:
        folder: Model folder, or the name of a model that comes with isl.
        output: File to write; for a SavedModel a folder.
        kind: One of `FORMATS`.
        labels: Labels to predict; None for all.
        statistics: What is predicted of each label.
        facts: What only a person can tell, for bioimage.io.

    Returns:
        What was written, see `build_exported`.

    Raises:
        InputError: If the model cannot be read, a label or statistic is
            unknown, the path has another suffix or is taken, or something
            must be installed.
    """
    path = pathlib.Path(output)
    _check(path, kind)
    model, description = load_model(folder)
    exported = build_exported(model, description, labels, statistics)
    with atomic_path(path) as temporary:
        if kind == KERAS:
            exported.save(temporary)
        elif kind == BIOIMAGEIO:
            write_package(temporary, exported, description, statistics, facts)
        else:
            _export(exported, temporary, kind)
    return exported


def _check(path: pathlib.Path, kind: str) -> None:
    suffix = _SUFFIXES.get(kind, "")
    if not path.name.endswith(suffix):
        raise InputError(
            f"{path}: output must end in {suffix} with --format={kind}"
        )
    if path.exists():
        raise InputError(
            f"{path}: output must be a new file or folder. Received: one that "
            f"exists"
        )
    backend = keras.backend.backend()
    if backend != _BACKENDS.get(kind, backend):
        raise InputError(
            f"format: {kind} must be written with KERAS_BACKEND="
            f"{_BACKENDS[kind]}. Received: {backend}"
        )
    if kind == ONNX:
        import_extra("tf2onnx", "export", "format")


def _export(exported: keras.Model, path: pathlib.Path, kind: str) -> None:
    """Lets Keras write a format; outputs have the names of the labels."""
    named = keras.Model(
        exported.input,
        dict(zip(exported.output_names, exported.outputs, strict=True)),
        name=exported.name,
    )
    signature = [
        keras.InputSpec(
            shape=(None, *exported.input.shape[1:]),
            dtype="float32",
            name=INPUT_NAME,
        )
    ]
    named.export(
        path,
        format={SAVED_MODEL: "tf_saved_model", ONNX: "onnx"}[kind],
        verbose=False,
        input_signature=signature,
    )
