"""Images of a well that do not belong together are refused."""

import types

import numpy as np
import pytest

from isl.errors import InputError
from isl.preprocessing.raw_images import lay_out
from isl.preprocessing.steps import ProjectStep

LIGHT, LABEL = "BRIGHTFIELD", "DAPI"


def mosaics(shapes):
    """A well whose images, (channel, z) to shape, are made of ones."""
    return types.SimpleNamespace(
        tiles=types.SimpleNamespace(
            well=types.SimpleNamespace(name="A1"),
            modality=LIGHT,
            labels=(LABEL,),
            num_planes=lambda channel: sum(c == channel for c, _ in shapes),
        ),
        read=lambda channel, z: np.ones(shapes[channel, z], np.float32),
    )


def test_images_of_one_size_are_read():
    raw = lay_out(mosaics({(LIGHT, 0): (6, 8), (LABEL, 0): (6, 8)}), [])
    assert [image.shape for _, image in raw.iter_channels()] == [(6, 8)] * 2


@pytest.mark.parametrize("size", [(5, 8), (12, 16), (3, 4)])
@pytest.mark.parametrize("place", [(LIGHT, 0), (LABEL, 0), (LABEL, 1)])
def test_another_size_is_refused(place, size):
    names = [(LIGHT, z) for z in range(3)] + [(LABEL, z) for z in range(2)]
    shapes = {**dict.fromkeys(names, (6, 8)), place: size}
    raw = lay_out(mosaics(shapes), [ProjectStep()])
    message = f"well A1: all images must have one size, 6 rows x 8.*{place[0]}"
    with pytest.raises(InputError, match=message):
        list(raw.iter_channels())
