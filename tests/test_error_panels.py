import numpy as np
import pytest

from isl.evaluation import error_panels


@pytest.fixture
def too_bright_too_dim_right():
    return np.array([[0.2, 0.8, 0.5]]), np.array([[0.6, 0.4, 0.5]])


def test_subtractive_is_orange_blue_black(too_bright_too_dim_right):
    np.testing.assert_allclose(
        error_panels.subtractive(*too_bright_too_dim_right),
        [[[0.4, 0.2, 0.0], [0.0, 0.2, 0.4], [0.0, 0.0, 0.0]]],
        atol=1e-6,
    )


def test_additive_is_orange_blue_grey(too_bright_too_dim_right):
    np.testing.assert_allclose(
        error_panels.additive(*too_bright_too_dim_right),
        [[[0.6, 0.4, 0.2], [0.4, 0.6, 0.8], [0.5, 0.5, 0.5]]],
        atol=1e-6,
    )


def test_colours_stay_in_range():
    white = error_panels.additive(np.array([[1.0]]), np.array([[1.0]]))
    assert white.dtype == np.float32
    assert white.max() == 1.0


@pytest.mark.parametrize(
    "function", [error_panels.subtractive, error_panels.additive]
)
def test_shapes_must_agree(function):
    with pytest.raises(ValueError, match=r"\(2, 2\) and \(1, 2\)"):
        function(np.zeros((2, 2)), np.zeros((1, 2)))


def test_border_surrounds_the_image():
    framed = error_panels.add_border(np.full((2, 3), 0.5), (1.0, 0.0, 0.25))
    assert framed.shape == (10, 11, 3)
    np.testing.assert_array_equal(framed[4:6, 4:7], 0.5)
    framed[4:6, 4:7] = (1.0, 0.0, 0.25)
    np.testing.assert_array_equal(
        framed, np.full((10, 11, 3), (1.0, 0.0, 0.25))
    )


def test_panel_order_and_frames():
    true, predicted = np.full((3, 4), 0.5), np.full((3, 4), 0.75)
    panel = error_panels.error_panel(
        true,
        {"median": predicted, "standard_deviation": np.zeros((3, 4))},
        cross_entropy_image=np.full((3, 4), 0.1),
    )
    width = 4 + 2 * error_panels.BORDER_SIZE
    assert panel.shape == (3 + 2 * error_panels.BORDER_SIZE, 6 * width, 3)
    np.testing.assert_allclose(
        panel[0, ::width],
        [
            error_panels.PREDICTION_BORDER,
            error_panels.PREDICTION_BORDER,
            error_panels.TRUTH_BORDER,
            error_panels.CROSS_ENTROPY_BORDER,
            error_panels.ADDITIVE_BORDER,
            error_panels.SUBTRACTIVE_BORDER,
        ],
        rtol=1e-6,
    )
    np.testing.assert_allclose(
        panel[5, 6::width],
        [
            (0.75, 0.75, 0.75),
            (0.0, 0.0, 0.0),
            (0.5, 0.5, 0.5),
            (0.1, 0.1, 0.1),
            (0.75, 0.625, 0.5),
            (0.25, 0.125, 0.0),
        ],
        rtol=1e-6,
    )


def test_panel_rejects_other_shapes():
    with pytest.raises(ValueError, match="shape of the truth"):
        error_panels.error_panel(
            np.zeros((3, 4)),
            {"entropy": np.zeros((3, 5))},
        )
