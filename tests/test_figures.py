import io

import numpy as np
import pytest
from matplotlib import pyplot
from PIL import Image

from isl.errors import InputError
from isl.evaluation import error_panels, pixels
from isl.evaluation.matching import CellErrors
from isl.figures import drawing, heat_map, label_figure


def make_label_figure(shape=(40, 40), **arguments):
    rng = np.random.default_rng(0)
    truth = rng.uniform(0.2, 1.0, shape)
    prediction = np.clip(truth + 0.1 * rng.normal(size=shape), 0, 1)
    histogram = pixels.JointHistogram()
    histogram.add(
        np.round(255 * truth).astype(int),
        np.round(255 * prediction).astype(int),
    )
    defaults = {
        "label": "DAPI_CONFOCAL",
        "input_plane": rng.uniform(size=shape),
        "truth": truth,
        "prediction": prediction,
        "histogram": histogram,
    }
    return label_figure.label_figure(**(defaults | arguments))


def texts(axes):
    return [text.get_text() for text in axes.texts]


def shown(axes):
    return np.asarray(axes.images[0].get_array())


def test_label_figure_names_its_parts():
    figure = make_label_figure(title="well A4")
    assert [axes.get_title(loc="left") for axes in figure.axes] == [
        "Input, central z-plane",
        "True DAPI_CONFOCAL",
        "Predicted DAPI_CONFOCAL",
        "Difference: predicted − true",
        "Overlay: predicted + true",
        "Counts per 1,000 of 1,600 pixels",
    ]
    written = [text.get_text() for text in figure.texts]
    assert written[0] == "well A4"
    assert "all 40 x 40 pixels" in written[1]
    assert "our definition" in written[1]


def test_label_figure_needs_no_pyplot():
    make_label_figure()
    assert pyplot.get_fignums() == []


def test_truth_prediction_and_errors_share_one_scale():
    truth = np.full((40, 40), 0.25)
    truth[:20] = 0.75
    prediction = truth.copy()
    prediction[:10, :10] = 0.5  # Half as bright as it should be.
    figure = make_label_figure(truth=truth, prediction=prediction)
    _, true_axes, predicted_axes, difference, overlay, _ = figure.axes
    np.testing.assert_allclose(shown(true_axes)[[0, 30], 0], [1.0, 0.0])
    np.testing.assert_allclose(shown(predicted_axes)[0, 0], 0.5)
    np.testing.assert_allclose(
        shown(difference)[0, 0], 0.5 * np.array(error_panels.TRUTH_BLUE)
    )
    np.testing.assert_allclose(shown(difference)[30, 30], 0.0)
    np.testing.assert_allclose(shown(overlay)[30, 30], 0.0)
    np.testing.assert_allclose(shown(overlay)[15, 15], 1.0)


def test_errors_of_cells_are_told_as_counts_and_shares():
    errors = CellErrors(20, 10, split=1, merged=2, added=3, missed=4)
    figure = make_label_figure(errors=errors)
    assert (
        "Cells: 20 true, 10 predicted; split 1 (5 %), missed 4 (20 %), merged "
        "2 (20 %), added 3 (30 %)."
    ) in figure.texts[1].get_text()
    assert "Cells" not in make_label_figure().texts[1].get_text()


def test_errors_of_no_cells_have_no_shares():
    text = label_figure.errors_text(CellErrors())
    assert "split 0, missed 0" in text and "%" not in text


def test_large_images_are_cropped_to_their_centre():
    figure = make_label_figure(shape=(700, 600))
    assert shown(figure.axes[1]).shape == (512, 512)
    assert "rows 94-606, columns 44-556 of 700 x 600" in (
        figure.texts[1].get_text()
    )


@pytest.mark.parametrize(
    "shape, expected",
    [
        ((100, 120), (100, 120)),
        ((1024, 320), (400, 320)),
        ((320, 1024), (320, 400)),
        ((2000, 2000), (512, 512)),
    ],
)
def test_central_crop(shape, expected):
    crop = label_figure.central_crop(shape, 512)
    image = np.zeros(shape)
    image[shape[0] // 2, shape[1] // 2] = 1
    assert image[crop].shape == expected
    assert image[crop][expected[0] // 2, expected[1] // 2] == 1


def test_a_scale_bar_needs_a_pixel_size():
    assert texts(make_label_figure().axes[0]) == []
    for axes in make_label_figure(pixel_size_um=0.5).axes[:5]:
        assert texts(axes) == ["5 µm"]
        assert axes.patches[0].get_width() == pytest.approx(5 / 0.5)


@pytest.mark.parametrize(
    "width_um, expected", [(154, 50), (120, 40), (3.0, 1), (1.5, 0.5)]
)
def test_scale_bar_length(width_um, expected):
    assert drawing.scale_bar_um(width_um) == expected


def test_label_figure_rejects_shapes():
    with pytest.raises(ValueError, match=r"same shape. Received: .*\(3, 3\)"):
        make_label_figure(truth=np.zeros((3, 3)))


def test_heat_map_counts_per_thousand_with_truth_across():
    histogram = pixels.JointHistogram()
    histogram.add(np.array([0] * 3 + [255]), np.array([255] * 3 + [0]))
    axes = drawing.new_figure(3, 3).subplots()
    heat_map.heat_map(axes, histogram)
    placed = {
        text.get_text(): np.round(text.get_position(), 2).tolist()
        for text in axes.texts
    }
    assert placed["750"] == [0.05, 0.95]
    assert placed["250"] == [0.95, 0.05]
    assert "r = -1.000" in placed
    counts = axes.images[0].get_array()
    assert counts[9, 0] == 750  # Row 9 is drawn on top.
    assert counts.mask.sum() == 98


def test_heat_map_of_nothing():
    axes = drawing.new_figure(3, 3).subplots()
    heat_map.heat_map(axes, pixels.JointHistogram())
    assert texts(axes) == ["r undefined"]
    drawing.figure_png(axes.figure)


@pytest.mark.parametrize(
    "value, expected",
    [(0.01, "<.1"), (0.05, "0.1"), (9.94, "9.9"), (9.96, "10"), (1000, "1000")],
)
def test_cell_text(value, expected):
    assert heat_map.cell_text(value) == expected


def test_png_has_the_size_of_the_page():
    figure = drawing.new_figure(2.0, 1.0)
    image = Image.open(io.BytesIO(drawing.figure_png(figure, 100)))
    assert image.size == (200, 100)


@pytest.mark.parametrize(
    "name, start",
    [("a.png", b"\x89PNG"), ("a.pdf", b"%PDF"), ("a.svg", b"<?xml")],
)
def test_save_figure(tmp_path, name, start):
    drawing.save_figure(drawing.new_figure(2.0, 1.0), tmp_path / name)
    assert (tmp_path / name).read_bytes().startswith(start)
    assert [p.name for p in tmp_path.iterdir()] == [name]


def test_text_of_vector_files_stays_text(tmp_path, caplog):
    caplog.set_level("INFO")
    figure = drawing.new_figure(2.0, 1.0)
    figure.text(0.1, 0.5, "searchable")
    drawing.save_figure(figure, tmp_path / "a.pdf")
    # TrueType, embedded.
    assert b"/FontFile2" in (tmp_path / "a.pdf").read_bytes()
    assert not caplog.records
    drawing.save_figure(figure, tmp_path / "a.svg")
    assert b"searchable</text>" in (tmp_path / "a.svg").read_bytes()


def test_figures_are_written_and_emptied_one_by_one(tmp_path):
    figures = [drawing.new_figure(2.0, 1.0) for _ in range(2)]
    for figure in figures:
        figure.subplots()

    def drawn():
        yield "a", figures[0]
        assert sorted(p.name for p in tmp_path.iterdir()) == ["a.pdf", "a.png"]
        assert not figures[0].axes
        yield "b", figures[1]

    paths = drawing.save_figures(tmp_path, drawn())
    assert next(paths).read_bytes().startswith(b"\x89PNG")
    assert figures[0].axes  # The PDF is still to come.
    names = [path.name for path in paths]
    assert names == ["a.pdf", "b.png", "b.pdf"]


def test_a_pixel_figure_is_the_image(tmp_path):
    image = np.random.default_rng(0).uniform(size=(31, 47, 3))
    drawing.save_figure(drawing.pixel_figure(image), tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as file:
        found = np.asarray(file.convert("RGB"))
    np.testing.assert_allclose(found, 255 * image, atol=1)


def test_webp_keeps_size_and_opacity():
    image = np.zeros((20, 30, 4), np.uint8)
    image[:, 15:] = 255
    found = np.asarray(Image.open(io.BytesIO(drawing.webp(image))))
    np.testing.assert_array_equal(found[..., 3], image[..., 3])
    page = drawing.figure_webp(drawing.new_figure(2.0, 1.0), 50)
    assert Image.open(io.BytesIO(page)).size == (100, 50)


def test_save_figure_rejects_other_formats(tmp_path):
    with pytest.raises(InputError, match="must end in .*Received: '.gif'"):
        drawing.save_figure(drawing.new_figure(2, 1), tmp_path / "a.gif")
