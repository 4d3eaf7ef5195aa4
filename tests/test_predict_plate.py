"""The script, in one process: every well once, restarts, mistakes."""

import dataclasses
import functools
import json
import os
import shutil
import sys

import numpy as np
import pytest

from isl.errors import InputError
from isl.images import (
    open_image,
    open_ome_tiff,
    open_ome_zarr,
    open_plate,
    write_ome_tiff,
)
from isl.network import shipped
from isl.network.model_folder import load_model
from isl.prediction import plate as plate_lib
from isl.prediction import workers
from isl.prediction.plate_job import CLAIMS, open_plate_job
from isl.prediction.predictor import build_predictor, iter_predictions
from isl.prediction.request import Request
from isl.prediction.tiles import plan_tiles
from isl.prediction.well_inputs import find_inputs
from isl.simulation.dataset import write_dataset
from tests.plates import LABELS, claimed, read_tree, save_random_model
from tests.tiny_runs import MICRO

SCRIPT = "predict_plate"
EVERYTHING = (slice(None), slice(None))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with a model and wells A1 and A2 of 32 x 32 pixels."""
    root = tmp_path_factory.mktemp("plate")
    save_random_model(root / "model")
    write_dataset(root / "wells", 2, 32, 2, 0)
    return root


@pytest.fixture
def predict(run, folder, tmp_path):
    def predict_with(**options):
        values = {
            "model": folder / "model",
            "input": folder / "wells",
            "output": tmp_path / "out",
        }
        values.update(options)
        run(**{k: v for k, v in values.items() if v is not None})
        return tmp_path / "out"

    return predict_with


def open_job(folder, output, model=None):
    source, inputs = find_inputs(str(folder / "wells"), None, None, output)
    return open_plate_job(
        model or folder / "model",
        Request(),
        inputs,
        source,
        output,
        "ome_tiff",
    )


@pytest.fixture
def job_and_wells(folder, tmp_path):
    return open_job(folder, tmp_path / "out")


@pytest.fixture(scope="module")
def finished(folder):
    """The folder of predictions that the defaults give."""
    job, wells = open_job(folder, folder / "out")
    plate_lib.predict_wells(job, wells, workers.in_process)
    return folder / "out"


@functools.cache
def predictor_of(model, statistics):
    return build_predictor(*load_model(model), statistics=statistics)


def expected(folder, well, statistics=("median",), **options):
    predictor = predictor_of(folder / "model", statistics)
    image = open_image(folder / "wells" / well)
    tiling = plan_tiles(MICRO, image.shape, **options)
    ((_, _, values),) = iter_predictions(predictor, image, tiling)
    return values


def read(image):
    return np.stack([z.read(*EVERYTHING) for (z,) in image.planes])


def visible(path):
    return sorted(p.name for p in path.iterdir() if p.name[0] != ".")


def test_every_well_is_predicted_as_by_predict(predict, folder, capsys):
    out = predict(statistics="mean,entropy", padding="none")
    assert visible(out) == ["A1.ome.tif", "A2.ome.tif", "prediction.json"]
    for well in ("A1", "A2"):
        tiff = open_ome_tiff(out / f"{well}.ome.tif")
        assert tiff.channel_names[1] == f"{LABELS[0]}:entropy"
        assert tiff.annotations["model"] == str(folder / "model")
        np.testing.assert_array_equal(
            read(tiff),
            expected(folder, well, ("mean", "entropy"), padding="none"),
        )
    output = capsys.readouterr()
    assert output.out == (
        f"{out}: 2 of 2 wells predicted, 0 were there, 0 failed\n"
    )
    assert "predict: 100%" in output.err
    assert "| 2/2 [" in output.err


def test_wells_that_are_not_normalised_are_told(predict, tmp_path, capsys):
    camera = np.random.default_rng(0).integers(90, 400, (3, 40, 40), np.uint16)
    source = tmp_path / "raw"
    write_ome_tiff(source / "A1.tif", camera, "ZYX", ["BRIGHT_FIELD"])
    predict(input=source)
    assert "warning: A1: mean 0.0037" in capsys.readouterr().err


def test_a_model_of_the_package_is_found_by_its_name(
    predict, folder, finished, monkeypatch
):
    monkeypatch.setattr(shipped, "_FOLDER", folder)
    monkeypatch.chdir(folder / "wells")  # Where no folder is called `model`.
    out = predict(model="model")
    assert visible(out) == visible(finished)


def test_a_restart_predicts_what_is_missing(
    predict, finished, tmp_path, capsys
):
    out = tmp_path / "out"
    shutil.copytree(finished, out)
    before = read_tree(out)
    (out / "A2.ome.tif").unlink()
    # What a process leaves that was killed.
    (out / ".A2.ome.tif.1234").mkdir()
    (out / ".A2.ome.tif.1234" / "scratch").write_bytes(b"half")
    predict()
    assert capsys.readouterr().out.endswith(
        "1 of 2 wells predicted, 1 were there, 0 failed\n"
    )
    after = read_tree(out)
    assert after.keys() == before.keys()
    assert after["A1.ome.tif"] == before["A1.ome.tif"]


def test_a_finished_folder_needs_no_worker(
    predict, finished, tmp_path, monkeypatch
):
    shutil.copytree(finished, tmp_path / "out")
    monkeypatch.setattr(workers, "in_process", None)
    predict()


def test_ome_zarr_of_a_plate(predict, folder):
    out = predict(format="ome_zarr")
    assert visible(out) == ["plate.zarr", "prediction.json"]
    plate = open_plate(out / "plate.zarr")
    assert dict(plate.fields) == {"A1": ("A/1/0",), "A2": ("A/2/0",)}
    image = open_ome_zarr(out / "plate.zarr" / "A" / "2" / "0")
    np.testing.assert_array_equal(read(image), expected(folder, "A2"))


def test_the_plate_lists_wells_whoever_wrote_them(predict):
    out = predict(format="ome_zarr")
    metadata = out / "plate.zarr" / "zarr.json"
    complete = metadata.read_bytes()
    values = json.loads(complete)
    values["attributes"]["ome"]["plate"]["wells"].pop()
    metadata.write_text(json.dumps(values))
    predict(format="ome_zarr")
    assert metadata.read_bytes() == complete


def test_ome_zarr_of_wells_that_are_on_no_plate(predict, folder, tmp_path):
    wells = tmp_path / "wells"
    shutil.copytree(folder / "wells" / "A1", wells / "treated" / "A1")
    out = predict(input=wells, format="ome_zarr")
    assert visible(out) == ["prediction.json", "treated_A1.zarr"]
    image = open_ome_zarr(out / "treated_A1.zarr")
    np.testing.assert_array_equal(read(image), expected(folder, "A1"))


def test_the_wells_of_a_data_spec(predict, folder):
    out = predict(
        input=None,
        data_spec=folder / "wells" / "spec.json",
        image_root=folder / "wells",
    )
    assert visible(out) == ["A1.ome.tif", "A2.ome.tif", "prediction.json"]
    tiff = open_ome_tiff(out / "A2.ome.tif")
    np.testing.assert_array_equal(read(tiff), expected(folder, "A2"))


def test_a_well_that_fails_does_not_stop_others(
    predict, folder, tmp_path, capsys
):
    wells = tmp_path / "wells"
    shutil.copytree(folder / "wells", wells)
    (wells / "A0.ome.tif").write_bytes(b"II*\0damaged")
    small = np.zeros((2, 9, 9), np.uint16)
    write_ome_tiff(wells / "A3.ome.tif", small, "ZYX", ["DIC"])
    with pytest.raises(SystemExit) as stopped:
        predict(input=wells)
    assert stopped.value.code == 1
    out = tmp_path / "out"
    assert visible(out) == ["A1.ome.tif", "A2.ome.tif", "prediction.json"]
    output = capsys.readouterr()
    assert "2 of 4 wells predicted, 0 were there, 2 failed" in output.out
    errors = [x for x in output.err.splitlines() if x.startswith("error: ")]
    assert len(errors) == 2
    assert errors[0].startswith(f"error: A0: {wells}/A0.ome.tif: ")
    assert "A3.ome.tif: must be at least 12 rows" in errors[1]


def test_planes_that_one_well_has_are_enough_to_begin(
    predict, folder, tmp_path, capsys
):
    wells = tmp_path / "wells"
    shutil.copytree(folder / "wells" / "A1", wells / "A1")
    (wells / "A0.ome.tif").write_bytes(b"II*\0damaged")
    three = np.zeros((3, 32, 32), np.uint16)
    write_ome_tiff(wells / "A2.ome.tif", three, "ZYX", ["DIC"])
    with pytest.raises(SystemExit):
        predict(input=wells, z_planes="1,2")
    assert visible(tmp_path / "out") == ["A2.ome.tif", "prediction.json"]
    error = capsys.readouterr().err
    assert "error: A1: z_planes: must be from 0 to 1, the planes" in error


def test_wells_do_not_become_others(job_and_wells, tmp_path):
    job, wells = job_and_wells
    settings = tmp_path / "out" / "prediction.json"
    before = json.loads(settings.read_text())
    first = wells[0].input
    other = dataclasses.replace(first, planes=("z1.png", "z0.png"))
    more = dataclasses.replace(first, name="B9")

    def begin(*inputs):
        source = before["input"]
        open_plate_job(
            job.model, job.request, inputs, source, job.output, "ome_tiff"
        )

    with pytest.raises(InputError, match=f"another well {first.name}.*z0.png"):
        begin(other)
    assert json.loads(settings.read_text()) == before
    begin(more)
    after = json.loads(settings.read_text())
    assert set(after["wells"]) == {*before["wells"], "B9"}


def change(folder):
    """Puts planes of the same size into a well, a moment later."""
    for plane in folder.glob("*z_depth-*"):
        modified = plane.stat().st_mtime_ns
        os.utime(plane, ns=(modified, modified + 1))


@pytest.fixture
def changing(finished, folder, tmp_path):
    """Copies of the images that may change, and a finished folder of them."""
    shutil.copytree(folder / "wells", tmp_path / "wells")
    job, wells = open_job(tmp_path, tmp_path / "out", folder / "model")
    for well in wells:
        shutil.copy(finished / well.output, tmp_path / "out")
    return tmp_path


def test_images_that_changed_since_are_refused(changing, folder):
    out, wells = changing / "out", changing / "wells"
    open_job(changing, out, folder / "model")
    settings = (out / "prediction.json").read_bytes()
    change(wells / "A2")
    with pytest.raises(InputError) as error:
        open_job(changing, out, folder / "model")
    message = str(error.value)
    assert message.startswith(f"{wells / 'A2'}/") and "z_depth-0" in message
    assert "must be as it was when A2.ome.tif was predicted (" in message
    assert "; choose a new output folder, or remove that pred" in message
    assert "Received: " in message and "\n" not in message
    assert (out / "prediction.json").read_bytes() == settings


def test_a_well_without_a_prediction_may_change(changing, folder):
    out = changing / "out"
    change(changing / "wells" / "A2")
    (out / "A2.ome.tif").unlink()
    job, wells = open_job(changing, out, folder / "model")
    outcomes = plate_lib.predict_wells(job, wells, workers.in_process)
    assert outcomes[1].status == plate_lib.PREDICTED
    # It is known by its new images.
    open_job(changing, out, folder / "model")
    change(changing / "wells" / "A2")
    with pytest.raises(InputError, match="when A2.ome.tif was predicted"):
        open_job(changing, out, folder / "model")


def test_a_well_that_another_process_reads_may_not_change(changing, folder):
    out = changing / "out"
    change(changing / "wells" / "A2")
    (out / "A2.ome.tif").unlink()
    with (
        claimed(out, "A2"),
        pytest.raises(InputError, match="when A2.ome.tif was predicted"),
    ):
        open_job(changing, out, folder / "model")


def test_folders_of_an_earlier_version_are_gone_on_with(changing, folder):
    settings = changing / "out" / "prediction.json"
    made = json.loads(settings.read_text())
    del made["files"]
    settings.write_text(json.dumps(made))
    change(changing / "wells" / "A2")
    open_job(changing, changing / "out", folder / "model")
    assert set(json.loads(settings.read_text())["files"]) == {"A1", "A2"}


def test_images_that_change_meanwhile_are_not_predicted(changing, folder):
    out = changing / "out"
    (out / "A1.ome.tif").unlink()
    job, wells = open_job(changing, out, folder / "model")
    change(changing / "wells" / "A1")
    outcome = plate_lib.predict_well(job, wells[0])
    assert outcome.status == plate_lib.FAILED
    assert "must not change while wells are predicted (" in outcome.reason
    job, wells = open_job(changing, out, folder / "model")
    outcome = plate_lib.predict_well(job, wells[0])
    assert outcome.status == plate_lib.PREDICTED


def test_smaller_tiles_go_on_with_a_run(predict, finished, tmp_path, capsys):
    out = tmp_path / "out"
    shutil.copytree(finished, out)
    (out / "A2.ome.tif").unlink()
    predict(tile_size=8)
    assert "1 of 2 wells predicted, 1 were there" in capsys.readouterr().out
    assert json.loads((out / "prediction.json").read_text())["tile_size"] == 8
    tiff = open_ome_tiff(out / "A2.ome.tif")
    assert tiff.annotations["tile_shape"] == [8, 8]
    whole = read(open_ome_tiff(finished / "A2.ome.tif"))
    # Medians are bins; sums in another order may choose the next one.
    assert np.mean(read(tiff) == whole) > 0.99


def test_a_defect_of_ours_tells_where(job_and_wells, monkeypatch):
    def fail(*args, **kwargs):
        raise RuntimeError("no\nluck")

    monkeypatch.setattr(plate_lib, "predict_to_sink", fail)
    job, wells = job_and_wells
    outcome = plate_lib.predict_well(job, wells[0])
    assert outcome.status == plate_lib.FAILED
    assert outcome.reason.startswith("RuntimeError in test_predict_plate.py:")
    assert outcome.reason.endswith(": no luck")


def test_the_summary_names_the_planes_that_were_chosen():
    outcomes = [
        plate_lib.Outcome("A1", plate_lib.PREDICTED),
        plate_lib.Outcome("A2", plate_lib.PREDICTED, planes="planes 0,2 of 0"),
        plate_lib.Outcome("A3", plate_lib.PREDICTED, planes="planes 0,2 of 0"),
    ]
    summary, _ = plate_lib.sum_up(outcomes)
    assert summary.endswith("0 failed; from planes 0,2 of 0")


def test_a_claimed_well_is_waited_for(job_and_wells, tmp_path):
    job, wells = job_and_wells
    with claimed(tmp_path / "out", "A1") as let_go:
        first = plate_lib.predict_well(job, wells[0])
        assert first == plate_lib.Outcome("A1", plate_lib.CLAIMED)
        outcomes = workers.in_process(job, wells)
        assert next(outcomes) == plate_lib.Outcome("A2", plate_lib.PREDICTED)
        let_go()
        assert list(outcomes) == [plate_lib.Outcome("A1", plate_lib.PREDICTED)]


def test_a_well_that_the_other_finished_is_not_predicted_again(
    job_and_wells, tmp_path
):
    job, wells = job_and_wells
    output = tmp_path / "out" / "A1.ome.tif"
    with claimed(tmp_path / "out", "A1") as let_go:
        let_go()
        output.touch()
        outcome = plate_lib.predict_well(job, wells[0], wait=True)
    assert outcome == plate_lib.Outcome("A1", plate_lib.FOUND)
    assert output.stat().st_size == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"statistics": "mean"},
            r"another statistics \(\['median'\]\); choose",
        ),
        ({"labels": LABELS[1]}, "prediction.json: output holds .*another labe"),
        ({"stitching": "exact"}, "another stitching"),
        ({"padding": "none"}, "another padding"),
        ({"z_planes": "1,0"}, "another z_planes"),
        ({"format": "ome_zarr"}, "another format"),
        ({"input": "A1"}, "another input"),
        ({"model": "other"}, "another model"),
    ],
)
def test_other_settings_are_refused(
    predict, finished, folder, tmp_path, options, message
):
    shutil.copytree(finished, tmp_path / "out")
    if "model" in options:
        save_random_model(tmp_path / "other", seed=3)
        options = {"model": tmp_path / "other"}
    if "input" in options:
        options = {"input": folder / "wells" / "A1"}
    with pytest.raises(InputError, match=message) as error:
        predict(**options)
    assert "\n" not in str(error.value)
    assert read_tree(tmp_path / "out") == read_tree(finished)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"labels": "DAPI"}, "labels: must be from DAPI_CONFOCAL, MAP2_CONF"),
        ({"statistics": "average"}, "statistics: must be from mode, median, "),
        ({"tile_size": 7}, "tile_size: must be 8 plus a multiple of 1. Recei"),
        ({"z_planes": "0,1,2"}, "z_planes: must be as many planes as the mod"),
        (
            {"z_planes": "1,2"},
            "z_planes: must be from 0 to 1, the planes of .*A1",
        ),
        ({"units": "original"}, "units: original units of DAPI_CONFOCAL must"),
        ({"model": "/no/model"}, "/no/model: must be a model folder"),
        ({"input": "/no/image"}, "/no/image: input must be there"),
        ({"input": None}, "--input, or --data_spec and --image_root, must be"),
        ({"data_spec": "a.json"}, "--input, or --data_spec and --image_root"),
        ({"input": None, "data_spec": "a"}, "--input, or --data_spec and --im"),
        ({"scheduler": "a", "num_workers": 2}, "scheduler: must stand withou"),
    ],
)
def test_mistakes_are_one_line_and_write_nothing(
    predict, tmp_path, monkeypatch, options, message
):
    for name in workers.thread_limits(1):
        monkeypatch.setenv(name, "1")
    with pytest.raises(InputError, match=message) as error:
        predict(**options)
    assert "\n" not in str(error.value)
    assert not list(tmp_path.iterdir())


def test_an_engine_that_is_not_there(predict, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(InputError, match="engine: the extra `openvino`"):
        predict(engine="openvino")
    assert not list(tmp_path.iterdir())


def test_threads_of_a_worker_reach_its_engine(
    predict, script, tmp_path, monkeypatch
):
    for name in workers.thread_limits(1):
        monkeypatch.setenv(name, "1")
    jobs = []

    def predict_nothing(job, wells, execute, show_progress):
        jobs.append(job)
        return ()

    monkeypatch.setattr(script, "predict_wells", predict_nothing)
    predict(num_workers=2, threads_per_worker=3)
    predict(output=tmp_path / "alone")
    assert [job.num_threads for job in jobs] == [3, None]


def test_output_must_be_new_or_ours(predict, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "A1.ome.tif").write_bytes(b"of another program")
    with pytest.raises(InputError, match="out: output must be a new or empty"):
        predict()
    assert visible(tmp_path / "out") == ["A1.ome.tif"]


def test_jobs_of_an_array_may_begin_at_the_same_moment(folder, tmp_path):
    # What is there when another one is about to write its settings.
    (tmp_path / "out" / CLAIMS).mkdir(parents=True)
    (tmp_path / "out" / ".prediction.json.1234").mkdir()
    job, wells = open_job(folder, tmp_path / "out")
    assert open_job(folder, tmp_path / "out")[0] == job


def test_output_must_be_a_folder(predict, tmp_path):
    (tmp_path / "out").touch()
    with pytest.raises(NotADirectoryError, match="out"):
        predict()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model_digest": "another"}, "model: must be the same model for all"),
        ({"backend": "another"}, "must use the back end another. Received: "),
    ],
)
def test_all_workers_must_have_the_same_model_and_back_end(
    job_and_wells, change, message
):
    job, wells = job_and_wells
    with pytest.raises(InputError, match=message):
        plate_lib.predict_well(dataclasses.replace(job, **change), wells[0])


def test_threads_of_workers():
    limits = workers.thread_limits(3)
    assert limits["OMP_NUM_THREADS"] == limits["NPROC"] == "3"
    assert limits["TF_NUM_INTRAOP_THREADS"] == "3"
    assert limits["TF_NUM_INTEROP_THREADS"] == "1"


@pytest.mark.parametrize(
    ("cores", "share"), [(8, 2), (7, 1), (2, 1), (None, 1)]
)
def test_share_of_cores(monkeypatch, cores, share):
    monkeypatch.setattr(workers.os, "cpu_count", lambda: cores)
    assert workers.share_of_cores(4) == share
