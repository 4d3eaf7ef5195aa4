import numpy as np
import pytest

from isl.network.model import build_model
from isl.training.histograms import ActivationProbe, kernels_by_part
from tests.tiny_runs import MICRO

LABEL = "DAPI_CONFOCAL"


@pytest.fixture(scope="module")
def model():
    return build_model(MICRO, 2, (LABEL,))


def test_kernels_are_grouped_by_part(model):
    kernels = kernels_by_part(model)
    assert set(kernels) == {"stem", "tower0", "trunk", LABEL}
    np.testing.assert_array_equal(
        kernels["tower0"],
        np.concatenate(
            [
                model.get_layer(f"tower0_00_in_scale_{part}").kernel.numpy()
                for part in ("expand", "reduce")
            ],
            axis=None,
        ),
    )


def test_biases_are_left_out(model):
    model.get_layer(LABEL).bias.assign(np.full(256, 99.0))
    assert kernels_by_part(model)[LABEL].max() < 99


def test_activations_are_what_parts_hand_on(model):
    generator = np.random.default_rng(0)
    planes = generator.integers(0, 65536, (1, 12, 12, 2), np.uint16)
    presence = np.ones((1, 2), np.float32)
    found = ActivationProbe(model).run({"planes": planes, "presence": presence})
    assert set(found) == {"stem", "tower0", "trunk"}
    pairs = np.ones((1, 12, 12, 4), np.float32)
    pairs[..., ::2] = planes / np.float32(65535)
    # The heads are a function of the trunk alone.
    trunk = found["trunk"].reshape(1, 8, 8, -1)
    norm = model.get_layer(f"{LABEL}_head_norm")
    x = norm(trunk).numpy()
    x = np.concatenate([np.maximum(x, 0), np.tanh(x)], axis=-1)
    np.testing.assert_allclose(
        model.get_layer(LABEL)(x).numpy(),
        model(pairs)[LABEL].numpy(),
        atol=1e-4,
    )
    assert (
        found["tower0"].size
        == 10 * 10 * model.get_layer("merge").output.shape[-1]
    )
