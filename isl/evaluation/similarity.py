"""Structural similarity: do structures look alike, whatever the brightness?

Wang, Bovik, Sheikh and Simoncelli 2004, by scikit-image: Gaussian windows of
11 x 11 pixels (standard deviation 1.5), K1 = 0.01, K2 = 0.03, intensities of 0
to 1. Pixels whose window reaches over the border of an image have none.
"""

import numpy as np
from skimage import metrics

from isl.evaluation.pixels import NUM_BINS

SIMILARITY_MARGIN = 5
"""Pixels along the border of an image that have no structural similarity."""

_WINDOW = 2 * SIMILARITY_MARGIN + 1


def structural_similarity(
    true_bins: np.ndarray, predicted_bins: np.ndarray
) -> np.ndarray:
    """Computes the structural similarity of each pixel.

    Args:
        true_bins: 0 to 255, [row, column].
        predicted_bins: Likewise.

    Returns:
        float64, [row, column], -1 to 1; NaN within `SIMILARITY_MARGIN` of the
        border.
    """
    similarity = np.full(true_bins.shape, np.nan)
    if min(true_bins.shape) < _WINDOW:
        return similarity
    _, found = metrics.structural_similarity(
        true_bins.astype(np.float64),
        predicted_bins.astype(np.float64),
        data_range=NUM_BINS - 1,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
        full=True,
    )
    inner = (slice(SIMILARITY_MARGIN, -SIMILARITY_MARGIN),) * 2
    similarity[inner] = found[inner]
    return similarity
