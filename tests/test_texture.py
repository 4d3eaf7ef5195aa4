import dataclasses
import pathlib
import tracemalloc

import numpy as np
import pytest

from isl.evaluation.texture import RADIUS, local_deviation, texture_pearson
from isl.images import Well, open_wells
from isl.specs import Region, load_dataset_spec
from tests.tiny_runs import ArrayPlane


def test_local_deviation_equals_numpy_in_every_window():
    plane = np.random.default_rng(0).integers(0, 65536, (40, 52), np.uint16)
    padded = np.pad(plane, RADIUS, mode="reflect").astype(float)
    size = 2 * RADIUS + 1
    windows = np.lib.stride_tricks.sliding_window_view(padded, (size, size))
    found = local_deviation(plane)
    np.testing.assert_allclose(found, windows.std(axis=(2, 3)), rtol=1e-9)


def test_a_constant_plane_has_no_texture():
    plane = np.full((20, 20), 65535, np.uint16)
    np.testing.assert_array_equal(local_deviation(plane), np.zeros((20, 20)))


def textured_well(name, seed, label, shape=(80, 120)):
    """The right half of the plane in focus is noisy, and the label bright."""
    rng = np.random.default_rng(seed)
    amplitude = np.where(np.arange(shape[1]) < shape[1] // 2, 100, 8000)
    sharp = 30000 + amplitude * rng.normal(size=shape)
    blurred = np.full(shape, 30000.0)
    bright = np.broadcast_to(amplitude * 5, shape).astype(np.uint16)
    planes = [ArrayPlane(p.astype(np.uint16)) for p in (blurred, sharp)]
    labels = {label: ArrayPlane(bright)}
    return Well(name, None, None, tuple(planes), labels, None)


def test_texture_of_the_plane_in_focus_follows_the_label():
    wells = [
        (textured_well("A1", 0, "A"), Region()),
        (textured_well("A2", 1, "A"), Region(columns=(0, 60))),
        (textured_well("A3", 2, "B"), Region(rows=(0, 1), columns=(0, 2))),
    ]
    found = texture_pearson(wells, ("A", "B", "C"))
    assert found["A"] > 0.9
    assert found["B"] is None  # The label is constant there.
    assert found["C"] is None  # No well has it.


def test_wells_are_pooled_by_their_pixels():
    wells = [textured_well(f"A{seed}", seed, "A") for seed in range(2)]
    both = texture_pearson([(well, Region()) for well in wells], ("A",))
    pixels = []
    for well in wells:
        texture = local_deviation(well.planes[1].values)
        pixels.append([texture.ravel(), well.labels["A"].values.ravel()])
    expected = np.corrcoef(np.concatenate(pixels, axis=1))[0, 1]
    assert both["A"] == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("value", [1, 40000, 65535])
def test_a_constant_label_is_undefined_not_rounding(value):
    well = textured_well("A1", 0, "A", shape=(300, 400))
    label = ArrayPlane(np.full(well.shape, value, np.uint16))
    wells = [(dataclasses.replace(well, labels={"A": label}), Region())]
    assert texture_pearson(wells, ("A",)) == {"A": None}


def peak_memory(num_wells):
    wells = (
        (textured_well(f"A{seed}", seed, "A"), Region())
        for seed in range(num_wells)
    )
    tracemalloc.start()
    texture_pearson(wells, ("A",))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


def test_memory_does_not_grow_with_wells():
    peak_memory(1)  # What is loaded once.
    assert peak_memory(20) < 1.2 * peak_memory(2)


def test_a_real_field_has_the_known_correlation(shared_data):
    # Measured elsewhere: 0.534, 0.662, 0.468, "about 16 pixels".
    specs = pathlib.Path(__file__).parents[1] / "data_specs"
    spec = load_dataset_spec(specs / "condition_b_sample.json")
    wells = [
        (well, well_spec.splits["test"])
        for well_spec, well in open_wells(spec, shared_data, "test")
    ]
    found = texture_pearson(wells, spec.labels)
    assert list(found.values()) == pytest.approx(
        [0.534, 0.662, 0.472], abs=5e-4
    )
