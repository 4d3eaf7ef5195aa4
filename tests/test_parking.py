"""Images of scored wells wait on disk."""

import dataclasses

import numpy as np

from isl.evaluation.parking import park_images
from isl.evaluation.wells import empty_scores
from tests.tiny_runs import disks


def test_parts_of_parked_images_come_back(tmp_path):
    well = disks()
    rows, columns = (slice(0, size) for size in well.shape)
    labels = ["DISK", "INVERSE"]
    scores = empty_scores("c", well, rows, columns, labels, ["DISK"])
    generator = np.random.default_rng(0)
    for image in (*scores.predictions.values(), *scores.deviations.values()):
        image[:] = generator.integers(0, 256, image.shape)
    parked = park_images(scores, tmp_path)
    place = (slice(3, 9), slice(5, 20))
    for before, after in (
        (scores.predictions, parked.predictions),
        (scores.deviations, parked.deviations),
    ):
        assert list(before) == list(after)
        for label, image in before.items():
            np.testing.assert_array_equal(after[label][place], image[place])
    assert len(list(tmp_path.iterdir())) == 3
    kept = {"predictions": None, "deviations": None}
    assert dataclasses.replace(parked, **kept) == dataclasses.replace(
        scores, **kept
    )
