"""Images of scored wells wait on disk."""

import dataclasses

import numpy as np

from isl.evaluation.parking import parked
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
    place = (slice(3, 9), slice(5, 20))
    with parked([(well, scores)], tmp_path) as ((same, after),):
        assert same is well
        for name in ("predictions", "deviations"):
            before, images = getattr(scores, name), getattr(after, name)
            assert list(before) == list(images)
            for label, image in before.items():
                assert not isinstance(images[label], np.ndarray)
                np.testing.assert_array_equal(
                    images[label][place], image[place]
                )
        kept = {"predictions": None, "deviations": None}
        rest = dataclasses.replace(after, **kept)
        assert rest == dataclasses.replace(scores, **kept)
    assert not list(tmp_path.iterdir())
