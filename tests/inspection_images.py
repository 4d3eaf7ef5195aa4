"""Images, plates and specs for the tests of inspection."""

import functools

import numpy as np
import zarr
from PIL import Image
from scipy import ndimage

from isl.images import open_png
from isl.specs import DatasetSpec, Region, WellSpec

SIZE = 96
NUM_Z = 5
DAPI = "DAPI_CONFOCAL"


def noise(seed, blur=1.0, shape=(SIZE, SIZE)):
    image = np.random.default_rng(seed).standard_normal(shape)
    return ndimage.gaussian_filter(image, blur, mode="wrap")


def scaled(image, mean, deviation=0.11):
    """A uint16 image of this mean and standard deviation, but for clipping."""
    image = mean + deviation * (image - image.mean()) / image.std()
    return (image.clip(0.01, 0.99) * 65535).astype(np.uint16)


@functools.cache
def stack(seed):
    """Planes that change step by step: the same noise, more and more blurred.

    An uneven light, the same in all planes, must not hide that.
    """
    light = np.linspace(0, 0.3, SIZE)
    blurred = [noise(seed, 1 + 0.7 * z) for z in range(NUM_Z)]
    return [scaled(image / image.std() + light, 0.5) for image in blurred]


def plane_name(well, z, modality="PHASE_CONTRAST"):
    return f"well-{well},z_depth-{z},channel-{modality},is_mask-false.png"


def label_name(well, label=DAPI):
    return f"well-{well},depth_computation-MAXPROJECT,channel-{label}.png"


def write(path, image):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image).save(path)


def write_plate(folder, wells=("A1", "A2")):
    for index, well in enumerate(wells):
        for z, plane in enumerate(stack(index)):
            write(folder / plane_name(well, z), plane)
        write(folder / label_name(well), scaled(noise(100 + index), 0.25))


def spec_of(**changes):
    values = {
        "name": "made_up",
        "condition": "B",
        "modality": "PHASE_CONTRAST",
        "num_z": NUM_Z,
        "labels": (DAPI,),
        "wells": (WellSpec("A1", "plate", {"train": Region()}),),
        **changes,
    }
    return DatasetSpec(**values)


def source_spec(**changes):
    source = {
        "path": "plate",
        "pattern": r"well-(?P<well>\w+),(?:z_depth-(?P<z>\d)|.*),"
        r"channel-(?P<channel>\w+).*\.png",
        "channels": {"PHASE_CONTRAST": "PHASE_CONTRAST", DAPI: DAPI},
        **changes,
    }
    value = spec_of().to_dict() | {"wells": [], "source": source}
    return DatasetSpec.from_dict(value)


def kinds(inspection):
    return [problem.kind for problem in inspection.problems]


def write_and_open(folder, image):
    write(folder / "alone.png", image)
    return open_png(folder / "alone.png")


def plate_label(index):
    return scaled(noise(60 + index), 0.25)


def write_zarr_plate(path, wells):
    """A plate of version 0.5, its fields [channel, z, row, column].

    Two planes of the label have a half of it each.
    """
    listed = [
        {"path": f"{well[0]}/{well[1:]}", "rowIndex": 0, "columnIndex": 0}
        for well in wells
    ]
    plate = {"version": "0.5", "plate": {"wells": listed}}
    zarr.create_group(path, attributes={"ome": plate})
    axes = [{"name": name} for name in "czyx"]
    scale = [{"type": "scale", "scale": [1, 1, 0.3, 0.3]}]
    for axis in axes[2:]:
        axis["unit"] = "micrometer"
    image = {
        "version": "0.5",
        "multiscales": [
            {
                "axes": axes,
                "datasets": [{"path": "0", "coordinateTransformations": scale}],
            }
        ],
        "omero": {"channels": [{"label": "DIC"}, {"label": DAPI}]},
    }
    for index, well in enumerate(wells):
        folder = path / well[0] / well[1:]
        fields = {"version": "0.5", "well": {"images": [{"path": "0"}]}}
        zarr.create_group(folder, attributes={"ome": fields})
        zarr.create_group(folder / "0", attributes={"ome": image})
        label = np.zeros((NUM_Z, SIZE, SIZE), np.uint16)
        for z, half in enumerate((np.s_[:, :40], np.s_[:, 40:])):
            label[z][half] = plate_label(index)[half]
        values = np.stack([stack(index), label])
        array = zarr.create_array(
            folder / "0" / "0",
            shape=values.shape,
            chunks=(1, NUM_Z, 64, 64),
            dtype="uint16",
        )
        array[:] = values
