"""Pictures of errors, in the colours of the original program.

Predicted intensity is orange, true intensity blue, so orange is a false
positive and blue a false negative. In the subtractive picture what is right is
black, in the additive one it is grey. Colours, the width of the borders and
the order of the pictures are those of the original: isl/visualize.py.
"""

from collections.abc import Mapping

import numpy as np

PREDICTION_ORANGE = (1.0, 0.5, 0.0)
TRUTH_BLUE = (0.0, 0.5, 1.0)

PREDICTION_BORDER = (0.4, 0.0, 1.0)  # Purple.
TRUTH_BORDER = (64 / 255, 224 / 255, 208 / 255)  # Turquoise.
CROSS_ENTROPY_BORDER = (1.0, 0.0, 0.0)
ADDITIVE_BORDER = (1.0, 1.0, 1.0)
SUBTRACTIVE_BORDER = (0.0, 0.0, 0.0)
BORDER_SIZE = 4

POINT_STATISTICS = ("mode", "median", "mean")


def subtractive(true: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """Returns the difference: black is right, orange too bright, blue too dim.

    Args:
        true: Intensities in [0, 1], [row, column].
        predicted: Intensities in [0, 1], [row, column].

    Returns:
        Colours in [0, 1], float32, [row, column, 3].

    Raises:
        ValueError: If the shapes differ.
    """
    true, predicted = _same_shape(true, predicted)
    too_bright = np.maximum(predicted - true, 0.0)
    too_dim = np.maximum(true - predicted, 0.0)
    return _blend(too_dim, too_bright)


def additive(true: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """Returns the sum: grey is right, orange too bright, blue too dim.

    Args:
        true: Intensities in [0, 1], [row, column].
        predicted: Intensities in [0, 1], [row, column].

    Returns:
        Colours in [0, 1], float32, [row, column, 3].

    Raises:
        ValueError: If the shapes differ.
    """
    return _blend(*_same_shape(true, predicted))


def add_border(
    image: np.ndarray, colour: tuple[float, float, float]
) -> np.ndarray:
    """Returns the image in a coloured frame, `BORDER_SIZE` pixels wide.

    Args:
        image: Values in [0, 1], [row, column] or [row, column, 3].
        colour: Red, green, blue, each in [0, 1].

    Returns:
        Colours, float32, [row + 2 * BORDER_SIZE, column + 2 * BORDER_SIZE, 3].
    """
    size = BORDER_SIZE
    image = np.asarray(image)
    if image.ndim == 2:
        image = image[:, :, None]
    num_rows, num_columns = image.shape[:2]
    framed = np.empty((num_rows + 2 * size, num_columns + 2 * size, 3))
    framed[:] = colour
    framed[size : size + num_rows, size : size + num_columns] = image
    return framed.astype(np.float32)


def error_panel(
    true: np.ndarray,
    statistics: Mapping[str, np.ndarray],
    *,
    cross_entropy_image: np.ndarray | None = None,
) -> np.ndarray:
    """Returns framed pictures side by side, as the original shows them.

    From left to right: each statistic (purple frame), the truth (turquoise),
    the cross-entropy (red), then for mode, median and mean, as far as given,
    the additive (white) and the subtractive (black) errors.

    Args:
        true: Intensities in [0, 1], [row, column].
        statistics: Name to intensities in [0, 1], [row, column], in the order
            to be shown.
        cross_entropy_image: Surprise over ln 256, clipped to [0, 1],
            [row, column]: 1 is that of a uniform guess.

    Returns:
        The panel, float32 in [0, 1], [row, column, 3].

    Raises:
        ValueError: If the shapes differ.
    """
    true = np.asarray(true)
    points = [
        statistics[name] for name in POINT_STATISTICS if name in statistics
    ]
    pictures = [(image, PREDICTION_BORDER) for image in statistics.values()]
    pictures.append((true, TRUTH_BORDER))
    if cross_entropy_image is not None:
        pictures.append((cross_entropy_image, CROSS_ENTROPY_BORDER))
    pictures += [(additive(true, point), ADDITIVE_BORDER) for point in points]
    pictures += [
        (subtractive(true, point), SUBTRACTIVE_BORDER) for point in points
    ]
    for image, _ in pictures:
        if np.shape(image)[:2] != true.shape:
            raise ValueError(
                "Every picture must have the shape of the truth. Received: "
                f"{np.shape(image)[:2]} and {true.shape}"
            )
    return np.concatenate(
        [add_border(image, colour) for image, colour in pictures], axis=1
    )


def _blend(blue: np.ndarray, orange: np.ndarray) -> np.ndarray:
    colours = blue[..., None] * np.array(TRUTH_BLUE)
    colours = colours + orange[..., None] * np.array(PREDICTION_ORANGE)
    return np.clip(colours, 0.0, 1.0).astype(np.float32)


def _same_shape(
    true: np.ndarray, predicted: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    true = np.asarray(true, np.float32)
    predicted = np.asarray(predicted, np.float32)
    if true.shape != predicted.shape:
        raise ValueError(
            "true and predicted must have the same shape. "
            f"Received: {true.shape} and {predicted.shape}"
        )
    return true, predicted
