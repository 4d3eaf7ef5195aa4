"""Raw images as a microscope leaves them, from a scene that is known."""

import pathlib

import numpy as np
from PIL import Image
from scipy import ndimage

TILE = 160
OVERLAP = 32
PATTERN = r"(?P<well>[A-Z]\d+)_s(?P<tile>\d+)_z(?P<z>\d+)_(?P<channel>\w+)\.png"
SPEC = {
    "name": "raw",
    "condition": "T",
    "modality": "BRIGHTFIELD",
    "labels": ["DAPI_WIDEFIELD"],
    "pixel_size_um": 0.5,
    "z_spacing_um": 2.0,
    "source": {
        "path": "plate",
        "pattern": PATTERN,
        "channels": {"BF": "BRIGHTFIELD", "DAPI": "DAPI_WIDEFIELD"},
    },
}
STITCH = {
    "step": "stitch",
    "grid": [2, 2],
    "order": "rows_snake",
    "overlap": OVERLAP / TILE,
}


def scene(seed: int, size: int) -> np.ndarray:
    """Smooth spots on a background, 0 to about 1, [row, column]."""
    generator = np.random.default_rng(seed)
    image = np.zeros((size, size))
    places = generator.integers(0, size, (size * size // 300, 2))
    image[tuple(places.T)] = generator.uniform(0.5, 1.0, len(places))
    return ndimage.gaussian_filter(image, 2.0) * 12


def write_tile(path: pathlib.Path, image: np.ndarray, dtype=np.uint16) -> None:
    """Writes a grey PNG."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image.round().astype(dtype)).save(path)


def tile_places(jitter: int = 0) -> list[tuple[int, int]]:
    """First row and column of the four tiles, as a snake by rows."""
    step = TILE - OVERLAP
    return [(0, 0), (0, step), (step, step + jitter), (step, jitter)]


def write_plate(
    root: pathlib.Path,
    wells: tuple[str, ...] = ("A1", "A2", "B1"),
    num_z: int = 5,
    label_z: int = 2,
    vignette: bool = True,
    jitter: int = 3,
    shift: tuple[int, int] = (0, 0),
) -> dict[str, np.ndarray]:
    """Writes wells of four tiles each, 12 bits, plane 2 in focus.

    Args:
        root: Folder of `plate/`.
        wells: Names.
        num_z: Planes of bright field.
        label_z: Planes of the label.
        vignette: Whether tiles are darker at their edges.
        jitter: Pixels by which the lower tiles lie further right.
        shift: Rows and columns by which labels lie off.

    Returns:
        Well to its scene, from which bright field and label are made.
    """
    size = 2 * TILE + 40
    edge = np.linspace(-1, 1, TILE) ** 2
    flat = 1.0 - 0.2 * (edge[:, None] + edge) if vignette else 1.0
    generator = np.random.default_rng(0)
    scenes = {}
    for number, well in enumerate(wells):
        scenes[well] = scene(number, size)
        for tile, (row, column) in enumerate(tile_places(jitter)):
            planes = _blurred(scenes[well], num_z)
            stacks = {"BF": [1500 + 900 * p for p in planes]}
            moved = np.roll(scenes[well], shift, (0, 1))
            stacks["DAPI"] = [
                200 + 2500 * moved / (1 + z) for z in range(label_z)
            ]
            for channel, stack in stacks.items():
                for z, image in enumerate(stack):
                    part = image[row : row + TILE, column : column + TILE]
                    noisy = part * flat + generator.normal(0, 4, part.shape)
                    name = f"{well}_s{tile}_z{z}_{channel}.png"
                    write_tile(root / "plate" / name, np.clip(noisy, 0, 4095))
    return scenes


def _blurred(image: np.ndarray, num_z: int) -> list[np.ndarray]:
    return [
        ndimage.gaussian_filter(image, 1.5 * abs(z - 2)) for z in range(num_z)
    ]
