"""Downloading from a bucket that drops, lies and is busy."""

import contextlib
import dataclasses
import pathlib
import shutil
import threading
import time

import pytest

from isl.download import connection, published, transfer
from isl.download.bucket import Bucket, RemoteFile, list_files
from isl.errors import InputError
from isl.specs import load_dataset_spec
from tests.fake_bucket import NAME, FakeBucket, serve

DATA_SPECS = pathlib.Path(__file__).parents[1] / "data_specs"
QUICK = connection.Patience(
    timeout_seconds=5.0, num_attempts=3, first_delay_seconds=0.001
)
# Larger than a chunk, so that a file comes in several.
CONTENT = bytes(range(256)) * 2000
OTHER = b"another file" * 50
WRONG = bytes(reversed(CONTENT))


@pytest.fixture
def served():
    with serve(FakeBucket({"a/one.png": CONTENT, "two.png": OTHER})) as bucket:
        yield bucket


def connect(served):
    return Bucket(NAME, served.url)


def download(served, output_dir, **options):
    bucket = connect(served)
    files = list_files(bucket, "", QUICK)
    options = {"num_workers": 1, "patience": QUICK, **options}
    return transfer.download_files(bucket, files, output_dir, **options)


def contents(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


WHOLE = {"a/one.png": CONTENT, "two.png": OTHER}


def test_files_go_under_their_names(served, tmp_path):
    patience = dataclasses.replace(QUICK, num_attempts=1)
    summary = download(served, tmp_path / "new", patience=patience)
    assert summary == transfer.DownloadSummary(2, 0, 0)
    assert contents(tmp_path / "new") == WHOLE


def test_whole_files_are_kept_unread_from_the_server(served, tmp_path):
    download(served, tmp_path)
    served.requests.clear()
    before = (tmp_path / "two.png").stat().st_mtime_ns
    assert download(served, tmp_path) == transfer.DownloadSummary(0, 2, 0)
    assert [name for name, _ in served.requests] == [""]
    assert (tmp_path / "two.png").stat().st_mtime_ns == before


def test_a_dropped_connection_is_continued(served, tmp_path):
    served.faults["a/one.png"] += [("drop", 300_000), ("drop", 0)]
    download(served, tmp_path)
    assert contents(tmp_path) == WHOLE
    rest = "bytes=300000-"
    assert served.ranges("a/one.png") == [None, rest, rest]


def test_progress_sets_the_count_of_failures_back(served, tmp_path):
    served.faults["a/one.png"] += [("drop", 1000)] * 20
    download(served, tmp_path)
    assert contents(tmp_path) == WHOLE
    assert len(served.ranges("a/one.png")) == 21


def test_a_server_that_stays_busy_ends_it_and_the_rest_is_kept(
    served, tmp_path
):
    served.faults["a/one.png"] += [("drop", 300_000), 500, 429]
    with pytest.raises(ConnectionError, match="a%2Fone.png.*after 3 attempts"):
        download(served, tmp_path)
    assert contents(tmp_path) == {"a/one.png.part": CONTENT[:300_000]}
    served.requests.clear()
    download(served, tmp_path)
    assert contents(tmp_path) == WHOLE
    assert served.ranges("a/one.png") == ["bytes=300000-"]


def test_a_server_without_range_sends_all_again(served, tmp_path):
    served.faults["a/one.png"] += [("drop", 300_000), "ignore_range"]
    download(served, tmp_path)
    assert contents(tmp_path) == WHOLE
    assert len(served.ranges("a/one.png")) == 2


@pytest.mark.parametrize(
    "content", [WRONG[:5000], WRONG, CONTENT + b"more"], ids=len
)
def test_a_wrong_part_is_found_and_replaced(served, tmp_path, content):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "one.png.part").write_bytes(content)
    download(served, tmp_path)
    assert contents(tmp_path) == WHOLE


@pytest.mark.parametrize("content", [CONTENT[:5000], WRONG], ids=len)
def test_a_wrong_file_is_replaced(served, tmp_path, content):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "one.png").write_bytes(content)
    summary = download(served, tmp_path)
    assert summary.num_downloaded == 2
    assert contents(tmp_path) == WHOLE
    expected = f"bytes={len(content)}-" if len(content) == 5000 else None
    assert served.ranges("a/one.png") == [expected]


@pytest.mark.parametrize(
    ("sent", "message"),
    [
        (WRONG, "MD5 must be .*==. Received: .*=="),
        (CONTENT + b"more", "size must be 512000 bytes. Received: 512004"),
    ],
    ids=["as long", "longer"],
)
def test_wrong_bytes_never_get_the_name(served, tmp_path, sent, message):
    served.faults["a/one.png"] += [("send", sent)] * 3
    with pytest.raises(InputError, match=f"one.png.*{message}"):
        download(served, tmp_path)
    assert contents(tmp_path) == {"two.png": OTHER}
    assert len(served.ranges("a/one.png")) == 3


def test_wrong_bytes_once_are_fetched_again(served, tmp_path):
    served.faults["a/one.png"] += [("send", WRONG)]
    download(served, tmp_path)
    assert contents(tmp_path) == WHOLE


def test_without_an_md5_the_crc32c_is_compared(served, tmp_path):
    served.checksums = ("crc32c",)
    served.faults["a/one.png"] += [("send", WRONG)] * 3
    with pytest.raises(InputError, match="CRC-32C must be .*Received: "):
        download(served, tmp_path)
    assert download(served, tmp_path).num_unverified == 0
    assert contents(tmp_path) == WHOLE


def test_without_a_checksum_the_size_is_compared_and_that_is_told(
    served, tmp_path
):
    served.checksums = ()
    served.faults["two.png"] += [("send", OTHER + b"more")] * 3
    with pytest.raises(InputError, match="size must be 600 bytes"):
        download(served, tmp_path)
    assert download(served, tmp_path).num_unverified == 2
    assert contents(tmp_path) == WHOLE


def test_crc32c_is_that_of_the_standard(tmp_path):
    # RFC 3720, appendix B.4: 32 bytes of zeros, aa 36 91 8a (little-endian).
    path = tmp_path / "zeros"
    path.write_bytes(bytes(32))
    remote = RemoteFile("zeros", 32, None, "ipE2qg==")
    assert transfer.find_mismatch(path, remote) is None
    path.write_bytes(bytes(31) + b"\1")
    assert transfer.find_mismatch(path, remote) is not None


def test_a_missing_file_does_not_keep_others_away(served, tmp_path):
    files = list_files(connect(served), "", QUICK)
    missing = [
        dataclasses.replace(files[0], name=f"missing_{k}") for k in range(2)
    ]
    with pytest.raises(InputError, match="missing_.*404.* And 1 more.$"):
        transfer.download_files(
            connect(served), [*missing, *files], tmp_path, 1, QUICK
        )
    assert contents(tmp_path) == WHOLE
    assert served.ranges("missing_0") == [None]


def test_an_empty_file_is_a_file(tmp_path):
    with serve(FakeBucket({"empty": b""})) as served:
        download(served, tmp_path)
    assert contents(tmp_path) == {"empty": b""}


def test_several_files_come_at_once(tmp_path):
    barrier = threading.Barrier(4, timeout=5)

    class Slow(FakeBucket):
        def _send_file(self, *args):
            barrier.wait()
            super()._send_file(*args)

    files = {f"{k}.png": bytes([k]) * 100 for k in range(8)}
    with serve(Slow(files)) as served:
        download(served, tmp_path, num_workers=4)
        assert served.most_at_once == 4
    assert contents(tmp_path) == files


def test_a_lost_connection_stops_the_other_files(tmp_path):
    with serve(FakeBucket({f"{k}": b"x" for k in range(9)})) as served:
        served.faults["0"] += [503] * 3
        with pytest.raises(ConnectionError):
            download(served, tmp_path)
        assert len(served.requests) < 3 + 1 + 8


class Endless(FakeBucket):
    """Sends zeros for five seconds, whatever the listing says."""

    def _send_file(self, handler, name, fault):
        handler.send_response(200)
        handler.end_headers()
        with contextlib.suppress(OSError):  # The other side hangs up.
            for _ in range(1000):
                handler.wfile.write(bytes(1000))
                time.sleep(0.005)


def test_a_lost_connection_stops_a_file_that_is_on_its_way(tmp_path):
    with serve(Endless({"long": bytes(2**20), "lost": b"x"})) as served:
        served.faults["lost"] += [503] * 3
        start = time.monotonic()
        with pytest.raises(ConnectionError, match="lost"):
            download(served, tmp_path, num_workers=2)
        assert time.monotonic() - start < 4
    assert 0 < len(contents(tmp_path)["long.part"]) < 2**20


def test_a_server_that_does_not_end_is_not_listened_to(tmp_path):
    with serve(Endless({"short": bytes(1500)})) as served:
        start = time.monotonic()
        with pytest.raises(InputError, match="size must be 1500 bytes"):
            download(served, tmp_path)
        assert time.monotonic() - start < 4
    assert contents(tmp_path) == {}


def test_a_stop_ends_the_waiting():
    def fail():
        raise connection.InterruptedTransferError

    stop = threading.Event()
    stop.set()
    patience = connection.Patience(first_delay_seconds=60)
    with pytest.raises(connection.StoppedError):
        connection.retry(fail, patience, stop)


def test_a_server_that_is_not_there(served, tmp_path):
    files = list_files(connect(served), "", QUICK)
    gone = Bucket(NAME, "http://127.0.0.1:9")
    with pytest.raises(ConnectionError, match="127.0.0.1:9.*connection must"):
        list_files(gone, "", QUICK)
    with pytest.raises(ConnectionError, match="127.0.0.1:9.*connection must"):
        transfer.download_files(gone, files, tmp_path, 1, QUICK)
    assert contents(tmp_path) == {}


def test_a_silent_server_is_given_up(tmp_path):
    released = threading.Event()

    class Silent(FakeBucket):
        def _send_file(self, handler, *_):
            handler.send_response(200)
            handler.end_headers()
            handler.wfile.write(CONTENT[:1000])
            released.wait(10)

    patience = dataclasses.replace(QUICK, timeout_seconds=0.1, num_attempts=1)
    with serve(Silent({"one.png": CONTENT})) as served:
        with pytest.raises(ConnectionError, match="timed out"):
            download(served, tmp_path, patience=patience)
        released.set()
    assert contents(tmp_path) == {"one.png.part": CONTENT[:1000]}


def test_a_full_disk_is_told_before(served, tmp_path, monkeypatch):
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(
        shutil, "disk_usage", lambda _: usage._replace(free=len(CONTENT))
    )
    with pytest.raises(InputError, match="disk must have .* GB of room"):
        download(served, tmp_path)
    assert contents(tmp_path) == {}
    # What is there already needs no room.
    (tmp_path / "two.png.part").write_bytes(OTHER)
    download(served, tmp_path)
    assert contents(tmp_path) == WHOLE


@pytest.mark.parametrize(
    "name", ["../x", "a/../../x", "/x", "a//x", "a/./x", "..\\x", "C:x"]
)
def test_no_name_leads_out_of_the_folder(served, tmp_path, name):
    file = RemoteFile(name, 1, None, None)
    with pytest.raises(InputError, match="must be a plain relative path"):
        transfer.download_files(
            connect(served), [file], tmp_path / "x", 1, QUICK
        )
    assert list(tmp_path.iterdir()) == []


def test_the_bar_counts_bytes_once(served, tmp_path, capsys):
    served.faults["a/one.png"] += [
        ("drop", 300_000),
        "ignore_range",
    ]
    served.faults["two.png"] += [("send", bytes(len(OTHER)))]
    download(served, tmp_path, show_progress=True)
    assert "download: 100%" in (text := capsys.readouterr().err)
    assert "513k/513k" in text
    download(served, tmp_path, show_progress=True)
    assert "513k/513k" in capsys.readouterr().err
    (tmp_path / "a" / "one.png").rename(tmp_path / "a" / "one.png.part")
    download(served, tmp_path, show_progress=True)
    assert "513k/513k" in capsys.readouterr().err


def test_no_progress_is_shown_unless_asked(served, tmp_path, capsys):
    download(served, tmp_path)
    assert capsys.readouterr().err == ""


def test_at_least_one_worker(served, tmp_path):
    with pytest.raises(InputError, match="num_workers: .* Received: 0"):
        download(served, tmp_path, num_workers=0)


def test_pages_of_a_listing_are_joined():
    names = {f"a/{k:02}.png": b"x" for k in range(7)}
    with serve(FakeBucket({**names, "b/x.png": b"", "a/": b""})) as served:
        served.page_size = 3
        served.faults[""] += [503, ("drop", 40)]
        files = list_files(connect(served), "a/", QUICK)
        assert [file.name for file in files] == sorted(names)
        assert len(served.requests) == 2 + 3
        served.checksums = ("md5Hash",)
        (file,) = list_files(connect(served), "b/x", QUICK)
        # MD5 of nothing, RFC 1321, in base64.
        assert file == RemoteFile(
            "b/x.png", 0, "1B2M2Y8AsgTpgAmY7PhCfg==", None
        )
        assert list_files(connect(served), "c", QUICK) == []


@pytest.mark.parametrize(
    "text", [b"[]", b'{"items": [{"name": "x"}]}', b'{"items": 3}']
)
def test_an_answer_that_is_no_list_of_files(served, text):
    served.faults[""] += [("send", text)]
    with pytest.raises(InputError, match="answer must list files"):
        list_files(connect(served), "", QUICK)


def test_a_bucket_that_is_forbidden(served):
    served.faults[""] += [403]
    with pytest.raises(InputError, match="must send the file.*403"):
        list_files(connect(served), "", QUICK)
    with pytest.raises(InputError, match="base_url: must start with https"):
        Bucket(NAME, "ftp://x")


def test_waits_grow_and_end():
    patience = connection.Patience(first_delay_seconds=1, max_delay_seconds=60)
    for failures, longest in ((1, 1), (2, 2), (5, 16), (7, 60), (5000, 60)):
        seconds = patience.delay_seconds(failures)
        assert longest / 2 <= seconds <= longest


PLATE = "lab-Finkbeiner,condition-kevan_0_7,year-2015,month-9,day-28"


def image_names(folder, well):
    start = f"{folder}/{PLATE},well-{well}"
    label = f"{start},depth_computation,value-MAXPROJECT,channel,value-DAPI"
    return [
        f"{start},z_depth-0,channel,value-PHASE_CONTRAST,is_mask-false,"
        "kind,value-ORIGINAL.png",
        f"{label},is_mask-false,kind,value-ORIGINAL.png",
        f"{label},statistic,value-MEDIAN,kind,value-PREDICTED.png",
    ]


@pytest.fixture
def plates():
    root = "paper_data/train_single_channel_images/Finkbeiner"
    names = [
        f"{root}/kevan_0_7/about.txt",
        *image_names(f"{root}/kevan_0_7", "A4"),
        *image_names(f"{root}/kevan_0_10", "A41"),
        *image_names(f"{root}/kevan_0_70", "A4"),
        *image_names(f"{root}/alicia_2_0", "A4"),
    ]
    with serve(FakeBucket({name: b"x" for name in names})) as served:
        yield served


def list_names(served, split="train", **options):
    spec = load_dataset_spec(DATA_SPECS / "condition_b.json")
    files = published.list_split(
        connect(served), spec, split, patience=QUICK, **options
    )
    return [file.name.split("Finkbeiner/")[1] for file in files]


def test_a_condition_has_its_folders_and_no_others(plates):
    assert list_names(plates) == [
        "kevan_0_7/about.txt",
        *sorted(image_names("kevan_0_7", "A4")[:2]),
        *sorted(image_names("kevan_0_10", "A41")[:2]),
    ]


def test_kinds_and_wells_are_chosen(plates):
    names = list_names(plates, kinds=("PREDICTED",), wells=("A4",))
    assert names == image_names("kevan_0_7", "A4")[2:]
    both = list_names(plates, kinds=published.KINDS, wells=("A41", "A4"))
    assert len(both) == 6


def test_what_is_not_there_is_named(plates):
    with pytest.raises(
        InputError, match="wells B9 .* wells .no name., A4, A41"
    ):
        list_names(plates, wells=("B9",))
    with pytest.raises(InputError, match="condition B, test: no file"):
        list_names(plates, split="test")
    with pytest.raises(InputError, match="split: must be one of train, test"):
        list_names(plates, split="validation")
    with pytest.raises(InputError, match="kinds: .* Received: 'MASK'"):
        list_names(plates, kinds=("MASK",))


@pytest.mark.parametrize("condition", "abcde")
def test_every_condition_has_folders(condition):
    spec = load_dataset_spec(DATA_SPECS / f"condition_{condition}.json")
    for split in ("train", "test"):
        assert spec.well_folders[split]
        for folder in spec.well_folders[split]:
            root = f"paper_data/{split}_single_channel_images/"
            assert folder.startswith(root)


def test_archives_are_found_by_their_whole_name():
    files = {"data_sample.zip": b"x", "data_sample.zip.old": b"y"}
    with serve(FakeBucket(files)) as served:
        bucket = connect(served)
        (file,) = published.list_archive(bucket, "sample", QUICK)
        assert file.name == "data_sample.zip"
        with pytest.raises(InputError, match="must hold checkpoints.zip"):
            published.list_archive(bucket, "checkpoints", QUICK)
