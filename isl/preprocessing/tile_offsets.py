"""How far neighbouring tiles really lie apart, measured where they overlap.

For every offset within reach of the nominal one, the normalised
cross-correlation of the two overlaps is computed (Lewis, Vision Interface,
1995), all at once by a Fourier transform. Unlike the phase correlation, which
is its usual substitute, it stays reliable in overlaps of a few pixels and
says by itself how well two tiles agree.
"""

import dataclasses
from collections.abc import Callable, Iterator

import numpy as np
from scipy import fft, ndimage

from isl.preprocessing.arrays import (
    MAD_TO_STD,
    check_image,
    check_same_shape,
)
from isl.preprocessing.tile_grid import Neighbours, find_neighbours

# Tiles are compared by detail between these sizes, standard deviations in
# pixels: coarser differences are uneven illumination, finer ones noise.
NOISE_SIGMA, BACKGROUND_SIGMA = 0.5, 5.0
# Brighter detail than this many standard deviations of the noise counts no
# more than that: a single bright rim would decide alone.
MAX_DETAIL = 5.0
MIN_LINES = 3  # Fewer rows or columns in common correlate by chance.

ReadTile = Callable[[int], np.ndarray]


@dataclasses.dataclass(frozen=True)
class Agreement:
    """How well two tiles agree at each offset within reach.

    Attributes:
        pair: The two tiles.
        origin: Offset, (row, column) of the second tile relative to the
            first, that the first value of `correlation` belongs to.
        correlation: float32, [row offset, column offset], -1 to 1; -1 where
            the tiles have too little in common.
    """

    pair: Neighbours
    origin: tuple[int, int]
    correlation: np.ndarray

    def best(
        self, centre: np.ndarray | None = None, reach: np.ndarray | None = None
    ) -> tuple[np.ndarray, float]:
        """Returns the offset of best agreement, and its correlation.

        Only local maxima count: the largest value within reach may be the
        slope of a peak outside.

        Args:
            centre: Offset around which to look, (row, column); None for all.
            reach: Largest distance from it in rows and columns.

        Returns:
            The offset, float64, [2], interpolated between pixels by a
            parabola along each axis; and the correlation at its pixel, -1 if
            there is no local maximum within reach.
        """
        surroundings = ndimage.maximum_filter(self.correlation, 3)
        local = self.correlation == surroundings
        correlation = np.where(local, self.correlation, -1)
        if centre is not None:
            offsets = np.indices(correlation.shape).transpose(1, 2, 0)
            far = np.abs(offsets + self.origin - centre) > reach
            correlation = np.where(far.any(axis=2), -1, correlation)
        peak = np.unravel_index(correlation.argmax(), correlation.shape)
        offset = np.array(self.origin) + peak
        return offset + _between_pixels(self.correlation, peak), float(
            correlation[peak]
        )


def compare_neighbours(
    read_tile: ReadTile,
    nominal: np.ndarray,
    tile_shape: tuple[int, int],
    max_shift: float,
) -> Iterator[Agreement]:
    """Compares all neighbouring tiles.

    Args:
        read_tile: Index to tile, [row, column], any real type. Called once
            for each tile; only strips along its sides are kept.
        nominal: Where the tiles lie if the stage is believed, [tile, 2],
            pixels.
        tile_shape: Rows and columns of a tile.
        max_shift: How far the stage may be wrong between neighbours, as a
            share of the longer side of a tile.

    Yields:
        One result for each pair of neighbours.

    Raises:
        InputError: If a tile has another size.
    """
    shift = round(max_shift * max(tile_shape))
    pairs = find_neighbours(nominal, tile_shape)
    strips: dict[tuple[Neighbours, int], np.ndarray] = {}
    for index in range(len(nominal)):
        tile = read_tile(index)
        check_image(tile, f"tile {index}")
        check_same_shape(tile, tile_shape, f"tile {index}")
        for pair in pairs:
            if index not in (pair.first, pair.second):
                continue
            window = _window(pair, nominal, shift)
            strips[pair, index] = _detail(
                tile[_common_part(tile_shape, window, index == pair.second)]
            )
            if (pair, pair.first) in strips and (pair, pair.second) in strips:
                yield _compare(
                    pair,
                    strips.pop((pair, pair.first)),
                    strips.pop((pair, pair.second)),
                    tile_shape,
                    window,
                )


# First and last offset in rows, and in columns.
Window = tuple[tuple[int, int], tuple[int, int]]


def _window(pair: Neighbours, nominal: np.ndarray, shift: int) -> Window:
    step = np.rint(nominal[pair.second] - nominal[pair.first]).astype(int)
    return tuple((int(axis) - shift, int(axis) + shift) for axis in step)


def _common_part(
    shape: tuple[int, int], window: Window, is_second: bool
) -> tuple[slice, slice]:
    """Returns what the other tile may cover, at any offset of the window."""
    spans = []
    for size, (lowest, highest) in zip(shape, window, strict=True):
        if is_second:
            lowest, highest = -highest, -lowest
        spans.append(slice(max(0, lowest), min(size, highest + size)))
    return spans[0], spans[1]


def _detail(strip: np.ndarray) -> np.ndarray:
    strip = strip.astype(np.float32)
    background = ndimage.gaussian_filter(strip, BACKGROUND_SIGMA)
    detail = ndimage.gaussian_filter(strip, NOISE_SIGMA)
    detail -= background
    limit = MAX_DETAIL * MAD_TO_STD * float(np.median(np.abs(detail)))
    # No limit where most of the strip is exactly empty.
    return np.clip(detail, -limit, limit, out=detail) if limit else detail


def _compare(
    pair: Neighbours,
    first: np.ndarray,
    second: np.ndarray,
    tile_shape: tuple[int, int],
    window: Window,
) -> Agreement:
    starts_first = _common_part(tile_shape, window, False)
    starts_second = _common_part(tile_shape, window, True)
    # Offsets between the strips instead of between the tiles.
    offsets = [
        np.arange(lowest, highest + 1) + of_second.start - of_first.start
        for (lowest, highest), of_first, of_second in zip(
            window, starts_first, starts_second, strict=True
        )
    ]
    return Agreement(
        pair,
        (window[0][0], window[1][0]),
        normalized_correlation(first, second, offsets[0], offsets[1]),
    )


def normalized_correlation(
    first: np.ndarray, second: np.ndarray, rows: np.ndarray, columns: np.ndarray
) -> np.ndarray:
    """Returns the correlation of what two images have in common.

    Args:
        first: float32, [row, column].
        second: Likewise; sizes may differ.
        rows: Row offsets of the second image relative to the first, integers.
        columns: Column offsets, likewise.

    Returns:
        float32, [row offset, column offset], -1 to 1; -1 where fewer than
        three rows or columns overlap, 0 where an overlap is constant.
    """
    spans = [
        _overlap_spans(offsets, first.shape[axis], second.shape[axis])
        for axis, offsets in enumerate((rows, columns))
    ]
    heights, widths = (span[1] - span[0] for span in spans)
    count = np.maximum(np.outer(heights, widths), 1)
    sums = []
    for image, start in ((first, 0), (second, 2)):
        for power in (image.astype(np.float64), np.square(image, dtype=float)):
            sums.append(_box_sums(power, spans, start))
    sum_first, square_first, sum_second, square_second = sums
    covariance = _cross_sums(first, second, rows, columns)
    covariance -= sum_first * sum_second / count
    variance = (square_first - sum_first**2 / count) * (
        square_second - sum_second**2 / count
    )
    # Rounding leaves a small rest where an overlap is constant.
    flat = variance <= 1e-12 * square_first * square_second
    correlation = covariance / np.sqrt(np.where(flat, np.inf, variance))
    too_small = np.minimum.outer(heights, widths) < MIN_LINES
    return np.where(too_small, -1, correlation).clip(-1, 1).astype(np.float32)


def _overlap_spans(
    offsets: np.ndarray, size_first: int, size_second: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Returns first and end of the overlap in the first image and second."""
    first = np.clip(offsets, 0, size_first)
    end = np.clip(offsets + size_second, 0, size_first)
    return first, end, first - offsets, end - offsets


def _box_sums(image: np.ndarray, spans: list, start: int) -> np.ndarray:
    """Returns the sum over each overlap, by a summed-area table."""
    table = np.zeros((image.shape[0] + 1, image.shape[1] + 1))
    np.cumsum(np.cumsum(image, axis=0), axis=1, out=table[1:, 1:])
    (top, bottom), (left, right) = (span[start : start + 2] for span in spans)
    return (
        table[np.ix_(bottom, right)]
        - table[np.ix_(top, right)]
        - table[np.ix_(bottom, left)]
        + table[np.ix_(top, left)]
    )


def _cross_sums(
    first: np.ndarray, second: np.ndarray, rows: np.ndarray, columns: np.ndarray
) -> np.ndarray:
    """Returns the sum of products over each overlap."""
    # Padded so that no offset wraps around.
    shape = [
        fft.next_fast_len(a + b, real=True)
        for a, b in zip(first.shape, second.shape, strict=True)
    ]
    spectrum = fft.rfft2(first, shape)
    spectrum *= np.conj(fft.rfft2(second, shape))
    products = fft.irfft2(spectrum, shape)
    # Negative offsets stand at the end, where negative indices find them.
    return products[np.ix_(rows, columns)].astype(np.float64)


def _between_pixels(
    correlation: np.ndarray, peak: tuple[int, ...]
) -> np.ndarray:
    """Returns how far the vertex of a parabola lies from the peak."""
    shift = np.zeros(2)
    for axis in range(2):
        line = correlation[:, peak[1]] if axis == 0 else correlation[peak[0]]
        place = peak[axis]
        if not 0 < place < len(line) - 1:
            continue
        before, at, after = (float(v) for v in line[place - 1 : place + 2])
        curvature = before - 2 * at + after
        if min(before, after) > -1 and curvature < 0:
            shift[axis] = np.clip((before - after) / (2 * curvature), -0.5, 0.5)
    return shift
