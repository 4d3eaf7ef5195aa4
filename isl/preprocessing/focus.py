"""Which plane of a z-stack is in focus, and whether the order of z is right.

Works plane by plane: a plane leaves a few numbers for each block of the image
(`focus_measure`) and a thumbnail (`thumbnail`); decisions need only those.
"""

from collections.abc import Sequence

import numpy as np
from scipy import ndimage

from isl.errors import InputError
from isl.preprocessing.arrays import check_image
from isl.preprocessing.downscaling import downscale

BLOCK = 256  # Side of a block that has a focus of its own, pixels.
# Detail of this size decides, standard deviation in pixels: finer detail is
# mostly noise, coarser detail stays visible out of focus.
DETAIL = 2.0
# Blocks whose sharpest plane has less than this times the detail of the
# least sharp one show nothing that could be in focus.
MIN_GAIN = 1.1
THUMBNAIL_SIZE = 256
# Sum of correlations between neighbours by which a better order must win.
ORDER_TOLERANCE = 0.05


def focus_measure(plane: np.ndarray) -> np.ndarray:
    """Returns how sharp each block of a plane is.

    The mean square of the Laplacian of Gaussian, over the squared mean
    intensity, so that a brighter lamp does not count as sharper (variance of
    the Laplacian: Pech-Pacheco et al., ICPR 2000). Suits fluorescence, phase
    contrast and stained or thick objects in bright field. Thin transparent
    cells have least contrast in focus in bright field; look at the stack
    before you trust it there.

    Args:
        plane: Any real type, [row, column].

    Returns:
        float32, [block row, block column]: blocks of about 256 x 256 pixels,
        at least one. Not negative.
    """
    check_image(plane, "plane")
    values = plane.astype(np.float32)
    level = _block_means(values)
    values = ndimage.gaussian_laplace(values, DETAIL, mode="mirror")
    np.square(values, out=values)
    return _block_means(values) / np.maximum(level**2, 1e-12)


def best_plane(measures: Sequence[np.ndarray]) -> int:
    """Returns the plane that is in focus for most of the image.

    Each block has its sharpest plane; the result is their median, rounded to
    a plane. Blocks in which no plane is clearly sharper than the others do
    not vote, unless there are no other blocks.

    Args:
        measures: `focus_measure` of each plane, in z order.

    Raises:
        InputError: If there is no plane.
    """
    if not len(measures):
        raise InputError("focus: at least one plane is needed. Received: 0.")
    stack = np.stack(measures).reshape(len(measures), -1)  # [z, block]
    votes = stack.argmax(axis=0)
    clear = stack.max(axis=0) > MIN_GAIN * stack.min(axis=0)
    middle = np.median(votes[clear] if clear.any() else votes)
    return int(np.floor(middle + 0.5))


def planes_around(
    best: int, num_available: int, num_planes: int, step: int
) -> tuple[int, ...]:
    """Chooses equidistant planes centred on the plane in focus.

    Paper: equidistant, centred on the plane in best focus for most cell
    bodies (U-hi). An even number has one plane more below than above. Where
    the stack ends too early, the choice is moved inwards as a whole.

    Args:
        best: The plane in focus.
        num_available: Planes of the stack.
        num_planes: Planes to choose.
        step: Distance between chosen planes, in planes.

    Returns:
        Indices, ascending, `num_planes` of them.

    Raises:
        InputError: If the stack has too few planes.
    """
    span = step * (num_planes - 1) + 1
    if num_planes < 1 or step < 1 or span > num_available:
        raise InputError(
            f"planes around focus: {num_planes} planes at a distance of "
            f"{step} need a stack of {max(span, 1)}, both at least 1. "
            f"Received: {num_available} planes."
        )
    first = best - step * (num_planes // 2)
    first = min(max(first, 0), num_available - span)
    return tuple(range(first, first + span, step))


def thumbnail(plane: np.ndarray) -> np.ndarray:
    """Returns a plane reduced to at most 256 pixels a side.

    Args:
        plane: Any real type, [row, column].

    Returns:
        float32, [row, column]: means of blocks, as of
        `downscaling.downscale`.
    """
    check_image(plane, "plane")
    factor = -(-max(plane.shape) // THUMBNAIL_SIZE)
    factor = min(factor, min(plane.shape))  # Keeps something of a thin image.
    return downscale(plane.astype(np.float32), factor)


def likely_z_order(thumbnails: Sequence[np.ndarray]) -> tuple[int, ...] | None:
    """Checks whether neighbouring planes resemble each other most.

    Sharpness alone does not tell the order: in transmitted light it may rise
    again away from focus. But planes resemble each other the more, the closer
    they are. So the planes are ordered by their correlations (the eigenvector
    of the second smallest eigenvalue of their Laplacian: Atkins et al., SIAM
    Journal on Computing 28:297, 1998), and the given order is doubted only if
    neighbours in the new one correlate better. A stack that is upside down
    looks right.

    Args:
        thumbnails: `thumbnail` of each plane, in the given order.

    Returns:
        None if the given order is plausible; else indices of the planes in
        the likely order, which begins with the end that is nearer to the
        given beginning.
    """
    if len(thumbnails) < 3:
        return None
    similarity = _correlations(thumbnails)
    laplacian = np.diag(similarity.sum(axis=0)) - similarity
    order = np.argsort(np.linalg.eigh(laplacian)[1][:, 1], kind="stable")
    if order[0] > order[-1]:
        order = order[::-1]
    given = np.diagonal(similarity, 1).sum()
    likely = similarity[order[:-1], order[1:]].sum()
    if likely - given <= ORDER_TOLERANCE:
        return None
    return tuple(int(index) for index in order)


def _correlations(images: Sequence[np.ndarray]) -> np.ndarray:
    """Returns correlations of images, 0 where negative or undefined."""
    rows = np.stack([image.ravel() for image in images]).astype(np.float64)
    rows -= rows.mean(axis=1, keepdims=True)
    rows /= np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
    return np.maximum(rows @ rows.T, 0)


def _block_means(values: np.ndarray) -> np.ndarray:
    """Returns the mean of each block, float32; a rest joins its neighbour."""
    means = values
    for axis, size in enumerate(values.shape):
        first = np.arange(max(1, size // BLOCK)) * BLOCK
        counts = np.diff([*first, size])
        shape = [1, 1]
        shape[axis] = -1
        means = np.add.reduceat(means, first, axis=axis) / counts.reshape(shape)
    return means.astype(np.float32)
