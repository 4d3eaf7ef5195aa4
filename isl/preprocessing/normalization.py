"""Camera units to intensities of 0 to 1, and back.

An affine map takes images to a given mean and standard deviation, which is
how the published images are scaled (measured on a crop of condition B: 0.50
and 0.11, labels 0.25 and 0.11, after clipping). Which pixels the statistics
were taken over is unknown of the paper; here the caller decides, by merging
the statistics of planes.
"""

import dataclasses
import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from isl.errors import InputError
from isl.preprocessing.arrays import check_image, round_to, row_blocks

# What one set of statistics is taken over.
SCOPES = ("plane", "well", "plate", "condition")

STORED_MAX = 65535  # Stored values 0 to 65535 stand for intensities 0 to 1.

# How far images may be from their target: the distance of means, and the
# factor between standard deviations. The published sample is within 0.01 of
# these means, its standard deviations are 0.84 to 0.9 times those.
FAR_MEAN = 0.1
FAR_FACTOR = 2.0


@dataclasses.dataclass(frozen=True)
class Target:
    """What normalised images look like before clipping to 0 to 1.

    Attributes:
        mean: Mean intensity.
        std: Standard deviation of the intensity, above 0.
    """

    mean: float
    std: float

    def describe_distance(
        self,
        mean: float,
        std: float,
        far_mean: float = FAR_MEAN,
        far_factor: float = FAR_FACTOR,
    ) -> str:
        """Says how far an image is from what it should look like.

        Args:
            mean: Its mean intensity.
            std: Its standard deviation.
            far_mean: From which distance on a mean is far.
            far_factor: From which factor on a standard deviation is.

        Returns:
            The text; empty if it is not far.
        """
        is_near = abs(mean - self.mean) <= far_mean
        if is_near and 1 / far_factor <= std / self.std <= far_factor:
            return ""
        return (
            f"mean {mean:.3g} and standard deviation {std:.3g} are far from "
            f"{self.mean} and {self.std}, which networks are trained on"
        )


# Measured on a published crop; one user's script has the same numbers (S); of
# the paper they are recalled (U-hi).
TRANSMITTED = Target(0.5, 0.125)
FLUORESCENCE = Target(0.25, 0.125)


@dataclasses.dataclass(frozen=True)
class Statistics:
    """Mean and standard deviation of pixels, in units of the camera.

    Attributes:
        count: Number of pixels.
        mean: Their mean.
        std: Their standard deviation (divided by `count`).
    """

    count: int
    mean: float
    std: float

    @classmethod
    def of(cls, image: np.ndarray) -> "Statistics":
        """Returns the statistics of an image.

        Args:
            image: Any real type, [row, column]; never held as float64 as a
                whole.

        Raises:
            InputError: If it has no pixels, or one that is not finite.
        """
        check_image(image, "image")
        parts = []
        for rows in row_blocks(image.shape):
            block = image[rows].astype(np.float64)
            parts.append(
                cls(block.size, float(block.mean()), float(block.std()))
            )
        statistics = cls.merge(parts)
        if not math.isfinite(statistics.mean + statistics.std):
            raise InputError(
                "image: every value must be finite. "
                f"Received: mean {statistics.mean}, std {statistics.std}."
            )
        return statistics

    @classmethod
    def merge(cls, parts: Iterable["Statistics"]) -> "Statistics":
        """Returns the statistics of all pixels together.

        Formula: Chan, Golub and LeVeque, The American Statistician 37:242,
        1983.

        Args:
            parts: Statistics of parts that share no pixel; taken one by one.

        Raises:
            InputError: If there is none.
        """
        count, mean, squares = 0, 0.0, 0.0
        for part in parts:
            total = count + part.count
            step = part.mean - mean
            squares += (
                part.count * part.std**2 + step**2 * count * part.count / total
            )
            mean += step * part.count / total
            count = total
        if not count:
            raise InputError("statistics: at least one image. Received: 0.")
        return cls(count, mean, math.sqrt(squares / count))

    @classmethod
    def from_dict(cls, value: Any, source: str = "statistics") -> "Statistics":
        """Reads statistics from JSON.

        Args:
            value: The parsed JSON.
            source: What error messages call it.

        Raises:
            InputError: If a key is missing or a value is out of range.
        """
        names = [field.name for field in dataclasses.fields(cls)]
        if not isinstance(value, dict) or set(value) != set(names):
            raise InputError(
                f"{source}: must be an object with {', '.join(names)}. "
                f"Received: {value!r}."
            )
        count, mean, std = (value[name] for name in names)
        numbers = all(type(v) in (int, float) for v in (mean, std))
        good = numbers and math.isfinite(mean) and 0 <= std < math.inf
        if type(count) is not int or count < 1 or not good:
            raise InputError(
                f"{source}: count must be an integer of at least 1, mean "
                f"finite, std finite and not negative. Received: {value!r}."
            )
        return cls(count, float(mean), float(std))

    def to_dict(self) -> dict[str, Any]:
        """Returns the statistics as JSON; `from_dict` reads them back."""
        return dataclasses.asdict(self)


def normalize(
    image: np.ndarray, statistics: Statistics, target: Target
) -> np.ndarray:
    """Returns an image at the target mean and standard deviation.

    Args:
        image: In units of the camera, any real type, [row, column].
        statistics: Of all pixels that are to be scaled alike.
        target: What they should have.

    Returns:
        uint16, [row, column]: 65535 x intensity, clipped to intensities 0 to
        1, rounded half up.

    Raises:
        InputError: If the statistics are those of a constant image.
    """
    check_image(image, "image")
    scale = target.std / _spread(statistics)
    stored = np.empty(image.shape, np.uint16)
    for rows in row_blocks(image.shape):
        block = image[rows].astype(np.float64)
        block -= statistics.mean
        block *= scale
        block += target.mean
        stored[rows] = round_to(block * STORED_MAX, np.uint16)
    return stored


def denormalize(
    intensities: np.ndarray, statistics: Statistics, target: Target
) -> np.ndarray:
    """Returns intensities in units of the camera: the inverse of `normalize`.

    A stored step stands for std / (65535 x target std) units of the camera
    and values are rounded to the nearest, so half a step is lost:
    std / 16384 for a target of 0.125. Rounded to whole grey levels, the
    inverse is the camera's value as long as this is below 0.5 (std up to
    8192), and one level away at most below 1.5 (std up to 24575). That is
    any image of 8 or 12 bits (std at most 127.5 and 2047.5). Among those of
    16 bits only ones that are near 0 and near 65535 almost everywhere have a
    larger std, 32767.5 at most, and lose two levels.

    Args:
        intensities: 0 to 1 (stored values / 65535), any shape. Means,
            medians and quantiles can be inverted so; for standard deviations
            see `denormalize_spread`.
        statistics: Those that the image was normalised with.
        target: Likewise.

    Returns:
        float32, same shape, not rounded. Where the image was clipped, the
        brightest or darkest value that was kept. Elsewhere the result is at
        most half a step from the value of the camera.

    Raises:
        InputError: If the statistics are those of a constant image.
    """
    slope = _spread(statistics) / target.std
    values = intensities.astype(np.float32)
    values -= np.float32(target.mean)
    values *= np.float32(slope)
    values += np.float32(statistics.mean)
    return values


def denormalize_spread(
    spreads: np.ndarray, statistics: Statistics, target: Target
) -> np.ndarray:
    """Returns differences of intensities in units of the camera.

    Args:
        spreads: Standard deviations or widths of intervals, any shape.
        statistics: Those that the image was normalised with.
        target: Likewise.

    Returns:
        float32, same shape.

    Raises:
        InputError: If the statistics are those of a constant image.
    """
    slope = _spread(statistics) / target.std
    return spreads.astype(np.float32) * np.float32(slope)


def _spread(statistics: Statistics) -> float:
    if not statistics.std > 0:
        raise InputError(
            "statistics: the standard deviation must be above 0; a constant "
            f"image cannot be normalised. Received: {statistics.std}."
        )
    return statistics.std
