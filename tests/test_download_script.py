import subprocess
import sys

import pytest

from isl.errors import InputError
from tests.fake_bucket import FakeBucket, serve

SCRIPT = "download"
FOLDER = "paper_data/train_single_channel_images/Finkbeiner/kevan_0_8"
IMAGE = f"{FOLDER}/well-A4,z_depth-0,channel,value-DIC,kind,value-ORIGINAL.png"
PREDICTED = f"{FOLDER}/well-A4,channel,value-DAPI,kind,value-PREDICTED.png"
FILES = {IMAGE: b"12345", PREDICTED: b"678", "checkpoints.zip": b"zip"}


@pytest.fixture
def served():
    with serve(FakeBucket(FILES)) as bucket:
        yield bucket


def found(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_downloads_the_images_of_a_split(run, served, tmp_path, capsys):
    flags = {"condition": "B", "split": "train", "base_url": f"{served.url}/"}
    run(output_dir=tmp_path, **flags)
    assert found(tmp_path) == {IMAGE: FILES[IMAGE]}
    output = capsys.readouterr()
    assert output.out == (
        f"{tmp_path}: 1 files downloaded, 0 already there, 0.000 GB in all\n"
    )
    assert "download: 100%" in output.err
    run(output_dir=tmp_path, kinds="ORIGINAL,PREDICTED", **flags)
    assert found(tmp_path) == {k: FILES[k] for k in (IMAGE, PREDICTED)}
    assert "1 files downloaded, 1 already there" in capsys.readouterr().out
    with pytest.raises(InputError, match="wells C7"):
        run(output_dir=tmp_path, wells="C7", **flags)


def test_lists_without_downloading(run, served, capsys):
    run(condition="B", split="train", list=True, base_url=served.url)
    assert capsys.readouterr().out == (
        f"            5  {IMAGE}\n            5  bytes in 1 files\n"
    )
    assert {name for name, _ in served.requests} == {""}


def test_downloads_an_archive(run, served, tmp_path, capsys):
    served.checksums = ()
    run(what="checkpoints", output_dir=tmp_path, base_url=served.url)
    assert found(tmp_path) == {"checkpoints.zip": b"zip"}
    assert "1 have no checksum in the bucket" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("flags", "missing"),
    [
        ({"condition": "B", "split": "train"}, "output_dir"),
        ({"split": "train", "list": True}, "condition"),
        ({"condition": "B", "list": True}, "split"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_missing_flags_are_named(run, flags, missing):
    with pytest.raises(InputError, match=f"{missing}: must be given"):
        run(**flags)


def test_a_mistake_ends_in_one_line(tmp_path, script):
    result = subprocess.run(
        [
            sys.executable,
            script.__file__,
            "--what=sample",
            f"--output_dir={tmp_path}",
            "--base_url=nowhere",
        ],
        capture_output=True,
        text=True,
    )
    assert result.returncode == 1
    assert result.stderr.startswith("error: base_url: must start with")
    assert result.stderr.count("\n") == 1
