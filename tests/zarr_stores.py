"""OME-Zarr written by hand, without a library that knows the format."""

import itertools
import json

import numpy as np

TYPES = {"t": "time", "c": "channel", "z": "space", "y": "space", "x": "space"}


def describe(axes, version="0.4", scale=None, units=None, names=None):
    """Returns the OME attributes of an image of one level."""
    scale = scale or [1.0] * len(axes)
    units = units or {}
    steps = [{"type": "scale", "scale": scale}]
    own = {"version": version} if version == "0.4" else {}
    attributes = {
        "multiscales": [
            {
                **own,
                "axes": [
                    {"name": k, "type": TYPES[k]}
                    | ({"unit": units[k]} if k in units else {})
                    for k in axes
                ],
                "datasets": [
                    {"path": "full", "coordinateTransformations": steps}
                ],
            }
        ]
    }
    if names:
        channels = [{"label": name, "color": "FFFFFF"} for name in names]
        attributes["omero"] = {"channels": channels}
    return attributes


def write_group(folder, attributes, version="0.4"):
    """Writes the metadata of a group of either version."""
    if version == "0.4":
        write_json(folder / ".zgroup", {"zarr_format": 2})
        write_json(folder / ".zattrs", attributes)
        return
    ome = {"version": version, **attributes}
    node = {"zarr_format": 3, "node_type": "group", "attributes": {"ome": ome}}
    write_json(folder / "zarr.json", node)


def write_array(folder, image, chunks=None, version="0.4", separator="/"):
    """Writes an array of either version, its chunks uncompressed."""
    chunks = chunks or image.shape
    common = {"shape": image.shape, "fill_value": 0}
    if version == "0.4":
        array = {
            **common,
            "zarr_format": 2,
            "chunks": chunks,
            "dtype": image.dtype.str,
            "compressor": None,
            "filters": None,
            "order": "C",
            "dimension_separator": separator,
        }
        write_json(folder / ".zarray", array)
    else:
        grid = {"chunk_shape": chunks}
        codec = {"name": "bytes", "configuration": {"endian": "little"}}
        array = {
            **common,
            "zarr_format": 3,
            "node_type": "array",
            "data_type": image.dtype.name,
            "chunk_grid": {"name": "regular", "configuration": grid},
            "chunk_key_encoding": {
                "name": "default",
                "configuration": {"separator": separator},
            },
            "codecs": [codec],
            "attributes": {},
        }
        write_json(folder / "zarr.json", array)
    starts = [
        range(0, size, step)
        for size, step in zip(image.shape, chunks, strict=True)
    ]
    for first in itertools.product(*starts):
        spans = [slice(f, f + k) for f, k in zip(first, chunks, strict=True)]
        part = image[tuple(spans)]
        chunk = np.zeros(chunks, image.dtype)  # Edge chunks have full size.
        chunk[tuple(slice(size) for size in part.shape)] = part
        place = [f // k for f, k in zip(first, chunks, strict=True)]
        prefix = () if version == "0.4" else ("c",)
        path = folder / separator.join([*prefix, *map(str, place)])
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(chunk.tobytes())


def write_image(folder, image, axes, names=None, version="0.4", **options):
    """Writes an image of one level; see `describe` and `write_array`."""
    array = {k: options.pop(k) for k in ("chunks", "separator") if k in options}
    attributes = describe(axes, version, names=names, **options)
    write_group(folder, attributes, version)
    write_array(folder / "full", image, version=version, **array)


def write_json(path, value):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value))
