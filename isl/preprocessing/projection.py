"""A z-stack of fluorescence becomes one image: the maximum along z."""

from collections.abc import Iterable

import numpy as np

from isl.errors import InputError
from isl.preprocessing.arrays import check_image, check_same_shape


def maximum_projection(planes: Iterable[np.ndarray]) -> np.ndarray:
    """Returns the brightest value at each position.

    Args:
        planes: Images of one size and type, [row, column], one or more; taken
            one by one, two are in memory at a time.

    Returns:
        The same type, [row, column].

    Raises:
        InputError: If there is no plane, or sizes differ.
    """
    brightest = None
    for plane in planes:
        check_image(plane, "plane")
        if brightest is None:
            brightest = plane.copy()
        check_same_shape(plane, brightest.shape, "plane")
        np.maximum(brightest, plane, out=brightest)
    if brightest is None:
        raise InputError("projection: at least one plane. Received: 0.")
    return brightest
