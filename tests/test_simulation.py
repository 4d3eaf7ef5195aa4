import dataclasses

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from isl import images
from isl.errors import InputError
from isl.simulation import dataset, neurites, optics, scene, wells
from isl.specs.dataset_spec import load_dataset_spec


@pytest.fixture(scope="module")
def well():
    return wells.simulate_well((0, 0), (160, 192), 3)


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("simulated")
    spec = dataset.write_dataset(folder, 2, 64, 2, 7)
    return folder, spec


def test_arrays_have_the_promised_shapes_and_types(well):
    assert well.planes.shape == (160, 192, 3)
    assert well.planes.dtype == np.uint16
    assert tuple(well.labels) == scene.LABELS
    for image in well.labels.values():
        assert (image.shape, image.dtype) == ((160, 192), np.uint16)


def test_images_are_normalised_as_published(well):
    for z in range(3):
        plane = well.planes[:, :, z] / 65535
        assert plane.mean() == pytest.approx(0.5, abs=0.01)
        assert plane.std() == pytest.approx(0.125, abs=0.015)
    label = well.labels["DAPI_CONFOCAL"] / 65535
    assert label.mean() == pytest.approx(0.25, abs=0.01)
    # Clipping takes away more here: the background is dark and quiet.
    assert label.std() == pytest.approx(0.125, abs=0.025)


def test_the_same_seed_gives_the_same_pixels(well):
    again = wells.simulate_well((0, 0), (160, 192), 3)
    np.testing.assert_array_equal(again.planes, well.planes)
    for label, image in well.labels.items():
        np.testing.assert_array_equal(again.labels[label], image)
    assert again.nuclei == well.nuclei
    other = wells.simulate_well((0, 1), (160, 192), 3)
    assert not np.array_equal(other.planes, well.planes)


def test_the_truth_lies_where_the_labels_are_bright(well):
    assert {n.kind for n in well.nuclei} == set(scene.KINDS)
    for nucleus in well.nuclei:
        at = (round(nucleus.row), round(nucleus.column))
        window = tuple(slice(max(0, i - 2), i + 3) for i in at)
        # Backgrounds lie near 0.21 and 0.24.
        assert well.labels["DAPI_CONFOCAL"][window].max() > 0.4 * 65535
        dead = well.labels["DEAD_CONFOCAL"][at] > 0.4 * 65535
        assert dead == (not nucleus.alive)


def test_every_bright_nucleus_is_in_the_truth(well):
    bright = well.labels["DAPI_CONFOCAL"] > 0.4 * 65535
    regions, number = ndimage.label(bright)
    centres = ndimage.center_of_mass(bright, regions, range(1, number + 1))
    truth = np.array([[n.row, n.column] for n in well.nuclei])
    for centre in centres:
        if 8 < centre[0] < 152 and 8 < centre[1] < 184:
            assert np.hypot(*(truth - centre).T).min() < 10


def test_nuclei_have_the_promised_size(well):
    for nucleus in well.nuclei:
        if nucleus.alive:
            assert 9 < 2 * nucleus.semi_minor < 2 * nucleus.semi_major < 17


@pytest.mark.parametrize("modality", optics.MODALITIES)
def test_nuclei_can_be_inferred_from_every_modality(modality):
    # In a single plane, inside a nucleus differs from outside by eye: the
    # local variation of intensity there is larger than anywhere on average.
    well = wells.simulate_well((3, 0), (160, 160), 1, modality)
    plane = well.planes[:, :, 0] / 65535
    smooth = ndimage.gaussian_filter(plane, 1.0)
    variation = ndimage.gaussian_filter(
        (smooth - ndimage.gaussian_filter(plane, 8.0)) ** 2, 3.0
    )
    at = np.array([[n.row, n.column] for n in well.nuclei]).round().astype(int)
    inside = np.median(variation[tuple(at.T)])
    assert inside > 1.5 * np.median(variation)


def test_an_empty_stage_is_evenly_lit():
    flat = np.zeros((32, 32))
    for modality in optics.MODALITIES:
        image = optics.transmitted_light(flat, flat, 2.0, 0.3, modality)
        np.testing.assert_allclose(image, image[0, 0], rtol=1e-9)


def test_a_phase_object_hides_in_focus_and_shows_out_of_focus():
    rows, columns = np.mgrid[-32:32, -32:32]
    phase = 0.3 * np.exp(-(rows**2 + columns**2) / (2 * 4.0**2))
    contrast = [
        np.ptp(
            optics.transmitted_light(phase, 0 * phase, z_um, 0.3, "BRIGHTFIELD")
        )
        for z_um in (-4.0, 0.0, 4.0)
    ]
    assert contrast[1] < 0.02 < 0.1 < min(contrast[0], contrast[2])
    # Positive phase contrast: what delays light is dark, even in focus.
    image = optics.transmitted_light(
        phase, 0 * phase, 0.0, 0.3, "PHASE_CONTRAST"
    )
    assert image[32, 32] == image.min()
    assert image[32, 32] < 0.8 * image[0, 0]


def test_an_absorbing_object_is_dark_in_bright_field():
    absorption = np.zeros((64, 64))
    absorption[24:40, 24:40] = 0.5
    image = optics.transmitted_light(
        0 * absorption, absorption, 0.0, 0.3, "BRIGHTFIELD"
    )
    assert image[32, 32] == pytest.approx(np.exp(-1.0), abs=0.03)


def test_an_unknown_modality_is_rejected():
    flat = np.zeros((8, 8))
    with pytest.raises(InputError, match="modality: .* Received: 'XRAY'"):
        optics.transmitted_light(flat, flat, 0.0, 0.3, "XRAY")


def test_focal_positions_are_centred():
    np.testing.assert_allclose(optics.focal_positions(3), [-5.0, 0.0, 5.0])
    np.testing.assert_allclose(optics.focal_positions(1), [2.5])


def test_fluorescence_keeps_the_amount_of_stain():
    stain = np.zeros((32, 32))
    stain[16, 16] = 1.0
    image = optics.fluorescence(stain)
    assert image.sum() == pytest.approx(1.0)
    assert image[16, 16] < 0.5


def test_a_straight_neurite_of_the_widest_kind_is_about_one_thick():
    lines = neurites.no_neurites((41, 41))
    lines[0, 20, :] = 1.0
    thickness = neurites.thickness(lines)
    assert thickness[20, 20] == pytest.approx(1.0, abs=0.02)
    assert thickness[20, 20] > 5 * thickness[25, 20]


def test_neurites_grow_from_the_nucleus():
    dendrites = neurites.no_neurites((401, 401))
    axons = neurites.no_neurites((401, 401))
    neurites.grow(np.random.default_rng(0), (200.0, 200.0), dendrites, axons)
    distance = np.hypot(*(np.mgrid[-200:201, -200:201]))
    for lines in (dendrites, axons):
        assert lines[:, distance < 3].sum() > 1
    # An axon reaches farther than any dendrite.
    reach = [
        distance[lines.sum(axis=0) > 0].max() for lines in (dendrites, axons)
    ]
    assert reach[0] < reach[1]
    assert dendrites[2].sum() > dendrites[0].sum() > 0


def test_a_constant_image_becomes_its_mean():
    np.testing.assert_array_equal(
        wells.normalise(np.full((4, 4), 7.0), 0.25), 16384
    )


def test_normalise_scales_and_clips():
    image = wells.normalise(np.array([[0.0, 0.0, 0.0, 0.0, 1000.0]]), 0.5)
    # The standard score of the outlier is 2, of the others -0.5.
    np.testing.assert_array_equal(image, [[28672] * 4 + [49151]])
    outlier = np.zeros((1, 101))
    outlier[0, 0] = 1.0
    assert wells.normalise(outlier, 0.25).max() == 65535


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"shape": (31, 64)}, "size: must be at least 32.*Received: 31"),
        ({"num_z": 0}, "num_z: must be at least 1. Received: 0"),
    ],
)
def test_wrong_arguments_are_rejected(arguments, message):
    defaults = {"seed": 0, "shape": (64, 64), "num_z": 1}
    with pytest.raises(InputError, match=message):
        wells.simulate_well(**(defaults | arguments))


def test_files_are_named_as_published(written):
    folder, spec = written
    assert [w.name for w in spec.wells] == ["A1", "A2"]
    assert sorted(p.name for p in folder.iterdir()) == ["A1", "A2", "spec.json"]
    names = sorted(p.name for p in (folder / "A2").iterdir())
    start = (
        "lab-SIMULATED,condition-SIMULATED,acquisition_date,year-2000,month-1,"
        "day-1,minute-0,well-A2,tile_computation-STITCHED,"
    )
    assert names == [
        *(
            f"{start}depth_computation-MAXPROJECT,channel-{label},"
            "is_mask-false.png"
            for label in sorted(scene.LABELS)
        ),
        f"{start}z_depth-0,channel-PHASE_CONTRAST,is_mask-false.png",
        f"{start}z_depth-1,channel-PHASE_CONTRAST,is_mask-false.png",
        "nuclei.csv",
    ]


def test_files_hold_the_simulated_pixels_and_truth(written):
    folder, _ = written
    well = wells.simulate_well((7, 1), (64, 64), 2)
    (path,) = (folder / "A2").glob("*z_depth-1,*")
    np.testing.assert_array_equal(
        np.asarray(Image.open(path)), well.planes[:, :, 1]
    )
    (path,) = (folder / "A2").glob("*MAP2*")
    with Image.open(path) as image:
        assert image.mode == "I;16"
        np.testing.assert_array_equal(
            np.asarray(image), well.labels["MAP2_CONFOCAL"]
        )
    nuclei = dataset.read_nuclei(folder / "A2" / "nuclei.csv")
    assert [n.kind for n in nuclei] == [n.kind for n in well.nuclei]
    for read, true in zip(nuclei, well.nuclei, strict=True):
        assert dataclasses.astuple(read)[:2] == pytest.approx(
            dataclasses.astuple(true)[:2], abs=0.006
        )


def test_a_written_well_opens(written):
    folder, spec = written
    well = images.open_well(spec, spec.wells[1], folder)
    assert (well.shape, well.num_z) == ((64, 64), 2)
    assert well.modality == "PHASE_CONTRAST"
    assert set(well.labels) == set(scene.LABELS)
    everything = slice(0, 64)
    simulated = wells.simulate_well((7, 1), (64, 64), 2)
    np.testing.assert_array_equal(
        well.read_planes(everything, everything), simulated.planes
    )
    np.testing.assert_array_equal(
        well.read_label("DEAD_CONFOCAL", everything, everything),
        simulated.labels["DEAD_CONFOCAL"],
    )
    assert images.open_image(folder / "A1").num_z == 2


def test_the_truth_table_says_who_is_alive(written):
    lines = (written[0] / "A1" / "nuclei.csv").read_text().splitlines()
    assert lines[0] == "row,column,alive,kind,semi_major,semi_minor,angle"
    cells = [line.split(",") for line in lines[1:]]
    assert {(c[2], c[3]) for c in cells} == {
        ("1", "neuron"),
        ("1", "glia"),
        ("0", "dead"),
    }


@pytest.mark.parametrize(
    "text",
    [
        "",
        "row,column\n1,2\n",
        "row,column,alive,kind,semi_major,semi_minor,angle\n1,2\n",
        "row,column,alive,kind,semi_major,semi_minor,angle\na,2,1,glia,7,6,0\n",
    ],
)
def test_a_wrong_truth_table_is_rejected(tmp_path, text):
    path = tmp_path / "nuclei.csv"
    path.write_text(text)
    with pytest.raises(InputError, match="nuclei.csv: must be a CSV with"):
        dataset.read_nuclei(path)


def test_the_spec_on_disk_is_the_returned_one(written):
    folder, spec = written
    assert load_dataset_spec(folder / "spec.json") == spec
    assert [set(w.splits) for w in spec.wells] == [{"train"}, {"test"}]


@pytest.mark.parametrize("num_wells, num_test", [(2, 1), (4, 1), (8, 2)])
def test_the_last_quarter_of_the_wells_is_for_testing(num_wells, num_test):
    spec = dataset.simulated_spec(num_wells, 64, 1)
    splits = [tuple(w.splits) for w in spec.wells]
    num_train = num_wells - num_test
    assert splits == [("train",)] * num_train + [("test",)] * num_test


def test_a_single_well_is_split_by_columns():
    (well,) = dataset.simulated_spec(1, 96, 1).wells
    assert well.splits["train"].columns == (0, 64)
    assert well.splits["test"].columns == (64, 96)
    assert well.splits["test"].rows is None


def test_well_names_follow_a_plate():
    names = [w.name for w in dataset.simulated_spec(14, 64, 1).wells]
    assert names[0] == "A1"
    assert names[11:14] == ["A12", "B1", "B2"]


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"num_wells": 0}, "num_wells: must be 1 to 312. Received: 0"),
        ({"num_wells": 313}, "num_wells: must be 1 to 312. Received: 313"),
        ({"size": 16}, "size: must be at least 32"),
        ({"num_z": 0}, "num_z: must be at least 1"),
        ({"seed": -1}, "seed: must not be negative. Received: -1"),
    ],
)
def test_wrong_datasets_are_rejected(tmp_path, arguments, message):
    defaults = {"num_wells": 1, "size": 64, "num_z": 1, "seed": 0}
    with pytest.raises(InputError, match=message):
        dataset.write_dataset(tmp_path, **(defaults | arguments))
    assert not list(tmp_path.iterdir())


def test_a_failure_leaves_no_half_well(tmp_path, well):
    broken = dataclasses.replace(well, labels={"DAPI_CONFOCAL": None})
    with pytest.raises(AttributeError):
        dataset.write_well(tmp_path / "A1", "A1", broken)
    assert not list(tmp_path.iterdir())


def test_the_library_is_silent_unless_asked(tmp_path, capsys):
    dataset.write_dataset(tmp_path, 1, 32, 1, 0)
    assert capsys.readouterr() == ("", "")
    dataset.write_dataset(tmp_path, 1, 32, 1, 0, show_progress=True)
    assert "simulate: 100%" in capsys.readouterr().err
