"""Readers of vendor files are shared, with a stand-in for bioio's."""

import concurrent.futures
import gc
import multiprocessing
import os
import pickle
import sys
import threading
import types
import weakref

import numpy as np
import pytest

from isl.errors import InputError
from isl.images import FieldPlane, find_raw_wells, open_vendor
from isl.images.vendor_readers import READERS, ReaderPool
from isl.specs import DatasetSpec

SHAPE = (6, 8)
NUM_Z = 4
SPEC = {
    "name": "vendor",
    "condition": "T",
    "modality": "BRIGHTFIELD",
    "labels": ["DAPI_WIDEFIELD"],
    "source": {
        "path": "plate",
        "pattern": r"two\.czi/(?P<well>[A-Z]\d)/(?P<channel>\w+)",
        "channels": {"BF": "BRIGHTFIELD", "DAPI": "DAPI_WIDEFIELD"},
    },
}


def planes_of(scene):
    """The planes of a scene, [channel, z, row, column]."""
    values = np.random.default_rng(scene).integers(1, 4096, (2, NUM_Z, *SHAPE))
    return values.astype(np.uint16)


class LazyArray:
    """What a dask array of the reader would do; looks at its scene late."""

    def __init__(self, reader, index):
        self._reader, self._index = reader, index
        self.shape = planes_of(0)[index].shape
        self.dtype = np.dtype(np.uint16)

    def __len__(self):
        return self.shape[0]

    def compute(self, scheduler):
        assert scheduler == "synchronous"
        return planes_of(self._reader.scene)[self._index]


class StandIn:
    """What `isl` uses of bioio.BioImage; two scenes of two channels."""

    opened = []

    scenes = ("A1", "A2")
    channel_names = ("BF", "DAPI")
    physical_pixel_sizes = types.SimpleNamespace(X=0.3, Y=0.3, Z=2.0)

    def __init__(self, path):
        self.path, self.scene = path, 0
        StandIn.opened.append(path.name)

    @property
    def dims(self):
        sizes = {"T": 1, "C": 2, "Z": NUM_Z, "Y": SHAPE[0], "X": SHAPE[1]}
        return types.SimpleNamespace(items=sizes.items, C=2, Z=NUM_Z)

    def set_scene(self, scene):
        self.scene = scene

    def get_image_dask_data(self, order, T, C, Z=None):  # noqa: N803
        assert order == ("ZYX" if Z is None else "YX")
        return LazyArray(self, C if Z is None else (C, Z))


@pytest.fixture
def opened(monkeypatch):
    """Names of the files that were opened, in order."""
    bioio = types.SimpleNamespace(BioImage=StandIn)
    monkeypatch.setitem(sys.modules, "bioio", bioio)
    monkeypatch.setattr(StandIn, "opened", [])
    READERS.clear()
    yield StandIn.opened
    READERS.clear()


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "plate" / "two.czi"
    path.parent.mkdir()
    path.write_bytes(b"ZISRAWFILE")
    return path


def full(plane):
    return tuple(slice(0, size) for size in plane.shape)


def test_a_file_is_opened_once_for_all_of_its_planes(opened, file, tmp_path):
    wells = find_raw_wells(DatasetSpec.from_dict(SPEC), tmp_path)
    for scene, well in enumerate(wells):
        (field,) = well.fields
        for z in range(NUM_Z):
            expected = planes_of(scene)[:, z]
            (label,) = field.labels.values()
            np.testing.assert_array_equal(field.planes[z].read(), expected[0])
            np.testing.assert_array_equal(label[z].read(), expected[1])
    assert opened == ["two.czi"]


def test_planes_keep_their_scene_while_others_are_read(opened, file):
    images = [open_vendor(file / scene) for scene in ("A1", "A2")]
    for z in range(NUM_Z):
        for scene, image in enumerate(images):
            plane = image.planes[0][z]
            np.testing.assert_array_equal(
                plane.read(*full(plane)), planes_of(scene)[0, z]
            )
    assert opened == ["two.czi"]


def test_a_changed_file_is_opened_again(opened, file):
    open_vendor(file / "A1")
    file.write_bytes(b"ZISRAWFILE, changed")
    open_vendor(file / "A1")
    assert opened == ["two.czi"] * 2


def test_threads_read_planes_of_one_file(opened, file):
    jobs = [(scene, z) for scene in (0, 1) for z in range(NUM_Z)] * 8
    together = threading.Barrier(4)

    def read(job):
        scene, z = job
        plane = FieldPlane(str(file / f"A{scene + 1}" / "BF"), z)
        return plane.read()

    with concurrent.futures.ThreadPoolExecutor(
        4, initializer=together.wait
    ) as pool:
        for (scene, z), image in zip(jobs, pool.map(read, jobs), strict=True):
            np.testing.assert_array_equal(image, planes_of(scene)[0, z])
    assert opened == ["two.czi"]


def test_a_reader_is_lent_to_one_thread_at_a_time(opened, file):
    inside, entered = threading.Event(), []

    def enter():
        inside.set()
        with READERS.lend(file, 1):
            entered.append(True)

    with READERS.lend(file, 0) as reader:
        thread = threading.Thread(target=enter)
        thread.start()
        inside.wait()
        thread.join(0.1)
        assert not entered
        assert reader.scene == 0
    thread.join()
    assert entered


def test_planes_are_pickled_without_their_reader(opened, file):
    plane = open_vendor(file / "A2" / "DAPI").planes[0][1]
    copy = pickle.loads(pickle.dumps(plane))
    READERS.clear()
    np.testing.assert_array_equal(copy.read(*full(copy)), planes_of(1)[1, 1])
    assert opened == ["two.czi"] * 2


def test_a_pool_keeps_the_latest_and_drops_the_others(opened, tmp_path):
    files = [tmp_path / f"{name}.czi" for name in "abc"]
    for file in files:
        file.touch()
    pool, readers = ReaderPool(2), {}
    for name in (0, 1, 0, 2):
        with pool.lend(files[name]) as reader:
            readers[name] = weakref.ref(reader)
        del reader
    gc.collect()
    assert [readers[name]() is not None for name in range(3)] == [
        True,
        False,
        True,
    ]
    assert opened == ["a.czi", "b.czi", "c.czi"]
    pool.clear()
    gc.collect()
    assert all(reference() is None for reference in readers.values())


def test_a_reader_in_use_outlives_its_place_in_the_pool(opened, tmp_path):
    first, second = tmp_path / "a.czi", tmp_path / "b.czi"
    first.touch()
    second.touch()
    pool = ReaderPool(1)
    with pool.lend(first, 1) as reader:
        with pool.lend(second):
            pass
        assert (reader.path, reader.scene) == (first, 1)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_process_opens_its_own_reader(opened, file):
    def count(connection):
        connection.send(len(READERS._readers))

    open_vendor(file / "A1")
    context = multiprocessing.get_context("fork")
    here, there = context.Pipe()
    process = context.Process(target=count, args=(there,))
    process.start()
    assert here.poll(60) and here.recv() == 0
    process.join()


def test_a_file_that_vanished_is_named(opened, file):
    plane = open_vendor(file / "A1").planes[0][0]
    file.unlink()
    with pytest.raises(InputError, match=r"two\.czi: cannot be read \(No such"):
        plane.read(*full(plane))
