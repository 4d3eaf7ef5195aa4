"""The script, from files to a file."""

import dataclasses
import functools
import shutil
import sys

import keras
import numpy as np
import pytest
import tifffile

from isl.errors import InputError
from isl.images import (
    open_image,
    open_ome_tiff,
    open_ome_zarr,
    write_ome_tiff,
)
from isl.network.model_folder import ModelDescription, save_model
from isl.prediction.predictor import build_predictor, iter_predictions
from isl.prediction.tiles import plan_tiles
from isl.simulation import dataset
from tests.tiny_runs import MICRO

SCRIPT = "predict"
LABELS = ("DAPI_CONFOCAL", "MAP2_CONFOCAL")


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(2)
    description = ModelDescription(MICRO, num_z=3, labels=LABELS)
    return description.build(), description


@pytest.fixture(scope="module")
def folder(model, tmp_path_factory):
    """A folder with a model and a well of 3 planes, 48 x 48 pixels."""
    root = tmp_path_factory.mktemp("predict")
    save_model(root / "model", *model)
    dataset.write_dataset(root / "wells", 1, 48, 3, 0)
    return root


@pytest.fixture
def predict(run, folder, tmp_path):
    def predict_with(output="a.ome.tif", **options):
        values = {
            "model": folder / "model",
            "input": folder / "wells" / "A1",
            "output": tmp_path / output,
            **options,
        }
        run(**values)
        return open_ome_tiff(tmp_path / output)

    return predict_with


def read(tiff):
    everything = slice(None)
    return np.stack([z.read(everything, everything) for (z,) in tiff.planes])


@pytest.fixture(scope="module")
def expected(model, folder):
    """Predicts the well by the library; each choice of statistics once."""

    @functools.cache
    def predict(*statistics):
        predictor = build_predictor(*model, statistics=statistics)
        well = open_image(folder / "wells" / "A1")
        tiling = plan_tiles(MICRO, well.shape)
        ((_, _, values),) = iter_predictions(predictor, well, tiling)
        return values

    return predict


def test_defaults(predict, expected, folder, tmp_path, capsys):
    tiff = predict()
    assert tiff.channel_names == tuple(f"{label}:median" for label in LABELS)
    assert tiff.annotations["padding"] == "reflect"
    assert tiff.annotations["model"] == str(folder / "model")
    np.testing.assert_array_equal(read(tiff), expected("median"))
    output = capsys.readouterr()
    assert "predict: 100%" in output.err
    assert output.out.startswith(
        f"wrote {tmp_path}/a.ome.tif: 2 channels of 48 rows x 48 columns in "
    )
    assert output.out.endswith(" megapixels per second\n")
    assert output.out.count("\n") == 1


def test_an_image_that_is_not_normalised_is_told(predict, tmp_path, capsys):
    camera = np.random.default_rng(0).integers(90, 400, (3, 40, 40), np.uint16)
    write_ome_tiff(tmp_path / "raw.tif", camera, "ZYX", ["BRIGHT_FIELD"])
    predict(input=tmp_path / "raw.tif")
    lines = capsys.readouterr().err.splitlines()
    assert [
        line
        for line in lines
        if line.startswith(f"warning: {tmp_path / 'raw.tif'}: mean 0.0037")
    ]
    predict(output="b.ome.tif")
    assert "warning" not in capsys.readouterr().err


def test_flags(predict, model, folder, capsys):
    tiff = predict(
        "b.tiff",
        labels="MAP2_CONFOCAL",
        statistics="mean,q95",
        padding="none",
        tile_size=24,
        z_planes="2,1,0",
        stitching="fast",
    )
    assert tiff.channel_names == ("MAP2_CONFOCAL:mean", "MAP2_CONFOCAL:q95")
    assert tiff.shape == (44, 44)
    assert tiff.annotations["origin"] == {"row": 2, "column": 2}
    assert max(tiff.annotations["tile_shape"]) <= 24
    assert tiff.annotations["z_planes"] == [2, 1, 0]
    assert "from planes 2,1,0 of 0 to 2\n" in capsys.readouterr().out


def test_an_engine_that_is_not_there(predict, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(InputError, match="engine: the extra `openvino`"):
        predict(engine="openvino")
    assert not list(tmp_path.iterdir())


def test_an_ome_tiff_with_fewer_planes(predict, tmp_path, capsys):
    planes = np.random.default_rng(0).integers(0, 2**16, (2, 30, 40))
    path = tmp_path / "in.ome.tif"
    write_ome_tiff(path, planes.astype(np.uint16), "ZYX", ["BRIGHTFIELD"], 0.5)
    tiff = predict(input=path)
    assert tiff.shape == (30, 40)
    assert tiff.pixel_size_um == 0.5
    assert "from planes 0,0,1 of 0 to 1\n" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"output": "a.png"}, "a.png: output must end in"),
        ({"labels": "DAPI"}, "labels: must be from DAPI_CONFOCAL, MAP2_CONF"),
        ({"statistics": "average"}, "statistics: must be from mode, median, "),
        ({"tile_size": 7}, "tile_size: must be 8 plus a multiple of 1. Recei"),
        ({"z_planes": "0,1,b"}, "z_planes: must be whole numbers. .*: 0,1,b"),
        ({"z_planes": "0,1"}, "z_planes: must be as many .*, 3, counted fr"),
        ({"z_planes": "0,1,3"}, "z_planes: must be from 0 to 2, the planes"),
        ({"model": "/no/model"}, "/no/model: must be a model folder"),
        ({"input": "/no/image"}, "/no/image: cannot be read"),
    ],
)
def test_mistakes_are_one_line_and_write_nothing(
    predict, tmp_path, options, message
):
    with pytest.raises(InputError, match=message) as error:
        predict(**options)
    assert "\n" not in str(error.value)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("padding", ["reflect", "none"])
def test_an_image_smaller_than_the_field_of_view(predict, tmp_path, padding):
    path = tmp_path / "small.tif"
    image = np.zeros((3, 11, 60), np.uint16)
    write_ome_tiff(path, image, "ZYX", ["DIC"])
    message = (
        "small.tif: must be at least 12 rows x 12 columns, the model's field "
        "of view. Received: 11 rows x 60 columns."
    )
    with pytest.raises(InputError, match=message):
        predict(input=path, padding=padding)
    assert [p.name for p in tmp_path.iterdir()] == ["small.tif"]


@pytest.mark.parametrize("inside", ["", "A/1/0"])
def test_output_replaces_neither_input_nor_folders(predict, tmp_path, inside):
    plate = tmp_path / "plate.zarr"
    (plate / "A" / "1" / "0").mkdir(parents=True)
    precious = plate / "A" / "precious.tif"
    precious.touch()
    with pytest.raises(InputError, match="output must not replace the input"):
        predict(input=plate / inside, output=plate)
    with pytest.raises(InputError, match="no OME-Zarr image"):
        predict(output=plate)
    assert precious.exists()


def test_output_does_not_lie_among_the_planes(predict, folder, tmp_path):
    shutil.copytree(folder / "wells" / "A1", tmp_path / "A1")
    with pytest.raises(InputError, match="output must lie outside the input"):
        predict(input=tmp_path / "A1", output=tmp_path / "A1" / "a.ome.tif")


def test_output_does_not_replace_other_images(predict, tmp_path):
    raw = tmp_path / "raw.tif"
    tifffile.imwrite(raw, np.zeros((5, 8, 8), np.uint16))
    (tmp_path / "notes.tif").write_text("no image")
    content = raw.read_bytes()
    for path in (raw, tmp_path / "notes.tif"):
        with pytest.raises(InputError, match="or a prediction to replace"):
            predict(output=path)
    assert raw.read_bytes() == content


def test_output_may_be_a_zarr(run, expected, folder, tmp_path):
    run(
        model=folder / "model",
        input=folder / "wells" / "A1",
        output=tmp_path / "a.zarr",
        statistics="median,mean",
    )
    run(  # Once more: a prediction may be replaced.
        model=folder / "model",
        input=folder / "wells" / "A1",
        output=tmp_path / "a.zarr",
        statistics="median,mean",
    )
    image = open_ome_zarr(tmp_path / "a.zarr")
    assert image.channel_names == (
        "DAPI_CONFOCAL:median",
        "DAPI_CONFOCAL:mean",
        "MAP2_CONFOCAL:median",
        "MAP2_CONFOCAL:mean",
    )
    np.testing.assert_array_equal(
        read(image),
        expected("median", "mean"),
    )


def test_units_of_the_camera(run, model, expected, folder, tmp_path):
    scale = {
        "statistics": {"count": 9, "mean": 1000.0, "std": 125.0},
        "target": {"mean": 0.0, "std": 0.125},
        "scope": "plate",
    }
    network, description = model
    known = dataclasses.replace(
        description, normalization=dict.fromkeys(LABELS, scale)
    )
    save_model(tmp_path / "model", network, known)
    values = {"input": folder / "wells" / "A1", "units": "original"}
    run(model=tmp_path / "model", output=tmp_path / "a.ome.tif", **values)
    tiff = open_ome_tiff(tmp_path / "a.ome.tif")
    assert tiff.annotations["units"] == "original"
    intensities = expected("median")
    np.testing.assert_allclose(read(tiff), 1000 + 1000 * intensities, rtol=1e-5)
    with pytest.raises(InputError, match="units: original units of DAPI"):
        run(
            model=folder / "model",
            output=tmp_path / "b.ome.tif",
            **values,
        )
    assert not (tmp_path / "b.ome.tif").exists()
