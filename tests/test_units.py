import numpy as np
import pytest

from isl.errors import InputError
from isl.prediction.units import camera_units
from isl.preprocessing.normalization import Statistics, Target, normalize

RECORD = {
    "statistics": {"count": 100, "mean": 800.0, "std": 50.0},
    "target": {"mean": 0.25, "std": 0.125},
    "scope": "plate",
}


def test_each_statistic_has_its_unit():
    statistics = ("median", "standard_deviation", "entropy", "q05")
    convert = camera_units(("A",), statistics, {"A": RECORD})
    values = np.full((4, 2, 3), 0.5, np.float32)
    converted = convert(values)
    # 0.5 is two standard deviations above the mean.
    np.testing.assert_allclose(converted[0], 900)
    np.testing.assert_allclose(converted[1], 200)
    np.testing.assert_allclose(converted[2], 0.5)
    np.testing.assert_allclose(converted[3], 900)
    np.testing.assert_array_equal(values, 0.5)


def test_each_label_has_its_scale():
    other = RECORD | {"statistics": {"count": 9, "mean": 100.0, "std": 1.0}}
    convert = camera_units(
        ("A", "B"), ("mean", "mode"), {"A": RECORD, "B": other}
    )
    converted = convert(np.full((4, 1, 1), 0.25, np.float32)).ravel()
    np.testing.assert_allclose(converted, [800, 800, 100, 100])


def test_inverts_what_training_saw():
    image = np.random.default_rng(0).normal(800, 50, (20, 30)).round()
    statistics = Statistics.from_dict(RECORD["statistics"])
    stored = normalize(image, statistics, Target(0.25, 0.125))
    convert = camera_units(("A",), ("median",), {"A": RECORD})
    (inverted,) = convert(stored[None] / 65535)
    kept = stored > 0  # Two standard deviations below the mean is zero.
    np.testing.assert_allclose(inverted[kept], image[kept], atol=0.5)


def test_unknown_units_are_refused():
    with pytest.raises(InputError, match="original units of B.*Received: A"):
        camera_units(("A", "B"), ("median",), {"A": RECORD})


def test_units_that_differ_from_well_to_well_are_refused():
    record = RECORD | {"scope": "well"}
    message = "original units of A must be the same.*Received: scope well"
    with pytest.raises(InputError, match=message):
        camera_units(("A",), ("median",), {"A": record})
