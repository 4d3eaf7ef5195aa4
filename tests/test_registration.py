import numpy as np
import pytest
from PIL import Image

from isl.errors import InputError
from isl.preprocessing import registration
from isl.preprocessing.registration import Shift
from isl.preprocessing.steps import RegisterStep
from isl.simulation.wells import simulate_well


@pytest.fixture(scope="module")
def places():
    """Transmitted light and nuclei of two places."""
    wells = [simulate_well((0, n), (384, 512), 3) for n in range(2)]
    return [
        (well.planes[:, :, 0], well.labels["DAPI_CONFOCAL"]) for well in wells
    ]


REACH = RegisterStep().max_shift


def moved(image, rows, columns):
    return np.roll(image, (rows, columns), axis=(0, 1))


def find(reference, image, reach=REACH):
    return registration.find_shift(
        registration.correlate(reference, image, reach)
    )


@pytest.mark.parametrize("shift", [(0, 0), (5, -3), (-12, 20)])
def test_known_shifts_are_found_despite_another_contrast(places, shift):
    transmitted, label = places[0]
    found = find(transmitted, moved(label, *shift))
    assert (found.rows, found.columns) == shift
    assert found.is_reliable


def test_unrelated_and_empty_images_are_not_trusted(places):
    unrelated = find(places[0][0], places[1][1])
    assert not unrelated.is_reliable
    empty = find(places[0][0], np.zeros((384, 512)))
    assert not empty.is_reliable


def test_places_together_tell_what_none_tells_alone():
    generator = np.random.default_rng(0)
    correlations = []
    for seed in range(2, 10):
        well = simulate_well((0, seed), (256, 256), 3)
        label = moved(well.labels["DAPI_CONFOCAL"], 4, -3)
        # Noise that hides the outlines of nuclei.
        noisy = label + 35_000 * generator.random(label.shape)
        correlations.append(
            registration.correlate(well.planes[:, :, 0], noisy, REACH)
        )
    alone = [registration.find_shift(each) for each in correlations]
    assert not any(shift.is_reliable for shift in alone)
    together = registration.find_shift(sum(correlations))
    assert (together.rows, together.columns) == (4, -3)
    assert together.is_reliable


def test_a_large_image_counts_for_more_than_a_small_one(places):
    transmitted, label = places[0]
    large = registration.correlate(transmitted, moved(label, 4, -3), REACH)
    part = (slice(128), slice(128))
    small = registration.correlate(
        transmitted[part], moved(label, -6, 8)[part], REACH
    )
    found = registration.find_shift(large + small)
    assert (found.rows, found.columns) == (4, -3)
    assert large.max() > 4 * small.max()


def test_shift_beyond_reach_is_not_found(places):
    transmitted, label = places[0]
    found = find(transmitted, moved(label, 0, 30), 10)
    assert abs(found.rows) <= 10 and abs(found.columns) <= 10
    assert not found.is_reliable


def test_real_labels_lie_where_their_sources_say(shared_data):
    # SOURCE.md: within 1 and 3 pixels; label 5 px lower, 2 px to the left.
    def read(folder, name):
        return np.asarray(Image.open(shared_data / folder / name))

    folder = "sephace_bf_zstack_dapi"
    found = find(
        read(folder, "set1__bf_z1352.25.png"),
        read(folder, "set1__label_DAPI.png"),
    )
    assert found.is_reliable
    assert abs(found.rows) <= 1 and abs(found.columns) <= 3
    folder, field = "mcf7_nk_bf_hoechst_pi", "610_snap_3_1_23"
    found = find(
        read(folder, f"{field}__brightfield.png"),
        read(folder, f"{field}__hoechst.png"),
    )
    assert found.is_reliable
    assert abs(found.rows - 5) <= 1 and abs(found.columns + 2) <= 1


def test_real_places_are_shifted_as_others_of_the_plate(shared_data):
    correlations = []
    folder = shared_data / "mcf7_nk_bf_hoechst_pi"
    for path in sorted(folder.glob("*__brightfield.png")):
        label = path.with_name(path.name.replace("brightfield", "hoechst"))
        images = [np.asarray(Image.open(name)) for name in (path, label)]
        correlations.append(registration.correlate(*images, REACH))
    alone = [registration.find_shift(each).is_reliable for each in correlations]
    assert len(alone) == 17 and sum(alone) < 9
    together = registration.find_shift(sum(correlations))
    assert (together.rows, together.columns) == (5, -2)
    assert together.is_reliable


@pytest.mark.parametrize("rows", [-3, 0, 4])
@pytest.mark.parametrize("columns", [-2, 0, 1])
def test_common_parts_show_the_same(rows, columns):
    scene = np.arange(30 * 30).reshape(30, 30)
    reference = scene[10:20, 10:22]
    image = scene[10 - rows : 20 - rows, 10 - columns : 22 - columns]
    first, second = registration.common_parts(
        (10, 12), Shift(rows, columns, 9.0)
    )
    assert reference[first].shape == (10 - abs(rows), 12 - abs(columns))
    np.testing.assert_array_equal(reference[first], image[second])


def test_impossible_requests_are_refused():
    image = np.zeros((40, 60))
    for reach in (0, 11):
        with pytest.raises(InputError, match=f"1 to 10 .*Received: {reach}"):
            registration.correlate(image, image, reach)
    with pytest.raises(InputError, match="one size"):
        registration.correlate(image, image[:30], 5)
    with pytest.raises(InputError, match="smaller than the image"):
        registration.common_parts((10, 12), Shift(0, 12, 9.0))
