import dataclasses

import keras
import numpy as np
import pytest

from isl.network.losses import MaskedLoss
from isl.network.model import build_model, with_raw_input
from isl.network.networks import NETWORKS
from isl.network.unet_body import for_training
from isl.training.crops import CropSampler, CropSource
from isl.training.start import compile_for_training
from isl.training.supervision import (
    chosen_pixels,
    select_targets,
    with_sparse_heads,
)
from tests.tiny_runs import MICRO, MICRO_CONFIG, disks

SIZE = 24


@pytest.mark.parametrize("stride", [1, 2, 4])
def test_one_pixel_of_each_cell_is_chosen(stride):
    chosen = chosen_pixels(SIZE, stride)
    assert chosen.shape == (SIZE // stride, SIZE // stride)
    rows, columns = np.divmod(chosen, SIZE)
    cells = np.arange(SIZE // stride)
    np.testing.assert_array_equal(
        rows // stride, np.broadcast_to(cells[:, None], chosen.shape)
    )
    np.testing.assert_array_equal(
        columns // stride, np.broadcast_to(cells, chosen.shape)
    )


def test_every_place_in_a_cell_is_as_likely():
    rows, columns = np.divmod(chosen_pixels(176, 2), 176)
    counts = np.bincount((2 * (rows % 2) + columns % 2).ravel())
    assert counts.shape == (4,)
    np.testing.assert_allclose(counts / counts.sum(), 0.25, atol=0.02)


def test_targets_are_the_chosen_pixels():
    images = np.arange(2 * SIZE**2, dtype=np.uint16).reshape(2, SIZE, SIZE)
    found = select_targets(images, 4)
    chosen = chosen_pixels(SIZE, 4)
    np.testing.assert_array_equal(found[0], chosen)
    np.testing.assert_array_equal(found[1], chosen + SIZE**2)
    assert select_targets(images, 1) is images


@pytest.mark.parametrize("name", ["tiny", "tiny_fnet", "tiny_unet"])
def test_sparse_heads_give_the_chosen_pixels(name):
    table = dataclasses.replace(NETWORKS[name], num_bins=8)
    size = table.output_size + table.grid
    model = for_training(build_model(table, 2, ("A", "B")))
    sparse = with_sparse_heads(model, table, size, 2)
    rows = size + 2 * table.training_margin
    inputs = np.random.default_rng(0).random((3, rows, rows, 4), np.float32)
    dense = model.predict_on_batch(inputs)
    found = sparse.predict_on_batch(inputs)
    assert set(found) == {"A", "B"}
    for head, values in found.items():
        pixels = dense[head].reshape(3, size**2, 8)
        expected = pixels[:, chosen_pixels(size, 2)]
        np.testing.assert_allclose(values, expected, atol=1e-6)


@pytest.mark.parametrize("remat", [False, True])
def test_a_step_has_the_loss_of_the_chosen_pixels(remat):
    config = dataclasses.replace(
        MICRO_CONFIG, output_size=SIZE, label_stride=2, remat=remat
    )
    config.check()
    model = build_model(MICRO, 2, ("A",))
    generator = np.random.default_rng(0)
    inputs = {
        "planes": generator.integers(
            0, 65536, (2, config.input_size, config.input_size, 2), np.uint16
        ),
        "presence": np.ones((2, 2), np.float32),
    }
    truth = generator.integers(0, 65536, (2, SIZE, SIZE), np.uint16)
    # Batch statistics of the heads are those of the chosen pixels.
    logits = with_raw_input(model, ("A",), training=False)(inputs)["A"]
    pixels = keras.ops.convert_to_numpy(logits).reshape(2, SIZE**2, -1)
    chosen = chosen_pixels(SIZE, 2)
    expected = MaskedLoss(config.loss)(
        truth.reshape(2, -1)[:, chosen], pixels[:, chosen]
    )
    trained = compile_for_training(
        model, config, ("A",), keras.optimizers.SGD(0.0), training=False
    )
    loss = trained.train_on_batch(
        inputs, {"A": select_targets(truth, 2)}, {"A": np.ones(2)}
    )
    assert float(np.ravel(loss)[0]) == pytest.approx(float(expected), rel=1e-5)


def test_only_batches_of_steps_are_sparse():
    well = disks()
    rows, columns = (slice(0, size) for size in well.shape)
    sampler = CropSampler(
        sources=(CropSource(well, rows, columns),),
        labels=well.labels,
        num_z=well.num_z,
        output_size=SIZE,
        margin=MICRO.margin,
        label_stride=4,
    )
    _, targets, _ = sampler.batch(0, 0, 2)
    generator = np.random.default_rng([0, 0])
    crops = [sampler.draw(generator) for _ in range(2)]
    _, dense, _ = sampler.collate(crops)
    for label, values in targets.items():
        assert dense[label].shape == (2, SIZE, SIZE)
        np.testing.assert_array_equal(values, select_targets(dense[label], 4))


@pytest.mark.parametrize(
    ("stride", "rule"), [(0, "at least 1"), (5, "must divide output_size")]
)
def test_a_stride_that_cannot_be_is_refused(stride, rule):
    config = dataclasses.replace(
        MICRO_CONFIG, output_size=SIZE, label_stride=stride
    )
    with pytest.raises(ValueError, match=rule):
        config.check()
