"""Small networks and wells that the tests share."""

import numpy as np

from isl.images import Well
from isl.network.architecture import Architecture, in_scale
from isl.training.config import TrainConfig

# One tower of two blocks: compiles in seconds.
MICRO = Architecture(
    towers=((in_scale(1),),),  # 12 -> 10
    trunk=(in_scale(1),),  # 10 -> 8
    output_size=8,
    stem_filters=4,
    base_filters=40,
    upscale_base_filters=36,
    expansion_ratio=2.0,
)

MICRO_CONFIG = TrainConfig(
    architecture=MICRO,
    output_size=16,
    batch_size=2,
    num_steps=4,
    steps_per_epoch=2,
    learning_rate=1e-2,
    momentum=0.5,
    initialise_head_biases=True,
    num_validation_crops=2,
)


class ArrayPlane:
    """A plane that is already in memory."""

    def __init__(self, values: np.ndarray, path: str = "array"):
        self.values = values
        self.path = path
        self.dtype = values.dtype
        self.shape = values.shape

    def read(self, rows: slice, columns: slice) -> np.ndarray:
        return self.values[rows, columns]


class KeepingPlane(ArrayPlane):
    """A plane that keeps what it decoded."""

    kept = None

    def read(self, rows: slice, columns: slice) -> np.ndarray:
        self.kept = self.values
        return super().read(rows, columns)


def disks(
    seed: int = 0,
    shape: tuple[int, int] = (64, 80),
    num_z: int = 2,
    labels: tuple[str, ...] = ("DISK", "INVERSE"),
    name: str = "A1",
) -> Well:
    """Dark disks in the planes, bright ones in DISK, dark ones in INVERSE."""
    generator = np.random.default_rng(seed)
    rows, columns = np.indices(shape)
    inside = np.zeros(shape, bool)
    for _ in range(shape[0] * shape[1] // 400):
        row, column = (
            generator.uniform(0, shape[0]),
            generator.uniform(0, shape[1]),
        )
        inside |= (rows - row) ** 2 + (columns - column) ** 2 < 16

    def image(low, high):
        values = np.where(inside, high, low)
        noise = generator.normal(0, 1500, shape)
        return ArrayPlane(np.clip(values + noise, 0, 65535).astype(np.uint16))

    images = {"DISK": image(12000, 45000), "INVERSE": image(45000, 12000)}
    return Well(
        name=name,
        condition="test",
        modality="PHASE_CONTRAST",
        planes=tuple(image(33000, 20000) for _ in range(num_z)),
        labels={label: images[label] for label in labels},
        pixel_size_um=0.3,
    )


def quarters(image: np.ndarray) -> np.ndarray:
    """A segmenter that finds four nuclei in any image: its quarters."""
    rows, columns = np.indices(image.shape)
    below = rows >= image.shape[0] // 2
    return 1 + 2 * below + (columns >= image.shape[1] // 2)
