import errno
import os

import pytest

from isl.errors import InputError
from isl.files import (
    atomic_path,
    make_folder,
    read_json,
    read_json_object,
    remove_leftovers,
    write_json,
    write_text,
)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_file_appears_when_the_block_ends(tmp_path):
    target = tmp_path / "a" / "b" / "plane.png"
    with atomic_path(target) as temporary:
        assert temporary.suffix == ".png"
        assert not temporary.exists()
        temporary.write_text("new")
        assert not target.exists()
    assert target.read_text() == "new"
    assert names(target.parent) == ["plane.png"]


def test_a_file_is_replaced(tmp_path):
    target = tmp_path / "plane.png"
    target.write_text("old")
    with atomic_path(target) as temporary:
        temporary.write_text("new")
        assert target.read_text() == "old"
    assert target.read_text() == "new"
    assert names(tmp_path) == ["plane.png"]


def test_a_folder_is_replaced_as_a_whole(tmp_path):
    target = tmp_path / "model"
    target.mkdir()
    (target / "old").touch()
    with atomic_path(str(target)) as temporary:
        temporary.mkdir()
        (temporary / "new").touch()
    assert names(target) == ["new"]
    assert names(tmp_path) == ["model"]


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError(errno.ENOSPC)])
def test_a_failure_keeps_the_old_file_and_nothing_else(tmp_path, error):
    target = tmp_path / "plane.png"
    target.write_text("old")
    with pytest.raises((KeyboardInterrupt, OSError)):
        with atomic_path(target) as temporary:
            temporary.write_text("half")
            raise error
    assert target.read_text() == "old"
    assert names(tmp_path) == ["plane.png"]


def test_a_failure_keeps_the_old_folder(tmp_path):
    target = tmp_path / "model"
    target.mkdir()
    (target / "old").touch()
    with pytest.raises(OSError, match="full"):
        with atomic_path(target) as temporary:
            temporary.mkdir()
            (temporary / "half").touch()
            raise OSError("disk full")
    assert names(target) == ["old"]
    assert names(tmp_path) == ["model"]


def test_an_interrupt_between_two_moves_loses_nothing(tmp_path, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    target = tmp_path / "model"
    target.mkdir()
    (target / "old").touch()
    monkeypatch.setattr(os, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        with atomic_path(target) as temporary:
            temporary.mkdir()
    assert names(target) == ["old"]
    assert names(tmp_path) == ["model"]


def test_a_block_that_writes_nothing_is_our_mistake(tmp_path):
    with pytest.raises(FileNotFoundError):
        with atomic_path(tmp_path / "nothing"):
            pass
    assert names(tmp_path) == []


def test_text_is_utf_8(tmp_path):
    write_text(tmp_path / "note.txt", "Größe µm\n")
    assert (tmp_path / "note.txt").read_bytes() == "Größe µm\n".encode()


def test_json_is_readable_and_comes_back(tmp_path):
    value = {"name": "µ", "sizes": [1, 2.5, None, True]}
    write_json(tmp_path / "a.json", value)
    text = (tmp_path / "a.json").read_text(encoding="utf-8")
    assert text.startswith('{\n  "name": "µ",\n')
    assert text.endswith("}\n")
    assert read_json(tmp_path / "a.json") == value


def test_json_of_windows_programs(tmp_path):
    (tmp_path / "a.json").write_bytes(b'\xef\xbb\xbf{"a": 1}')
    assert read_json(tmp_path / "a.json") == {"a": 1}


def test_json_with_a_key_twice(tmp_path):
    (tmp_path / "a.json").write_text('{"b": {"wells": 1, "wells": 2}}')
    message = "a.json: must be valid JSON. An object has the key 'wells' twice"
    with pytest.raises(InputError, match=message):
        read_json(tmp_path / "a.json")


def test_json_that_is_too_deep(tmp_path):
    (tmp_path / "a.json").write_text("[" * 100_000 + "]" * 100_000)
    with pytest.raises(InputError, match="a.json: must be valid JSON"):
        read_json(tmp_path / "a.json")


def test_json_that_cannot_be_written_leaves_the_old(tmp_path):
    write_json(tmp_path / "a.json", 1)
    with pytest.raises(TypeError):
        write_json(tmp_path / "a.json", object())
    assert read_json(tmp_path / "a.json") == 1
    assert names(tmp_path) == ["a.json"]


def test_missing_json(tmp_path):
    path = tmp_path / "a.json"
    with pytest.raises(InputError) as caught:
        read_json(path)
    reason = os.strerror(errno.ENOENT)
    assert str(caught.value) == f"{path}: cannot be read ({reason})."


@pytest.mark.parametrize("content", [b"", b'{"a": ', b"\xff\xfe"])
def test_what_is_not_json(tmp_path, content):
    path = tmp_path / "a.json"
    path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        read_json(path)
    assert str(caught.value).startswith(f"{path}: must be valid JSON. ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[1]", "must be a JSON object. Received: list"),
        ('{"a": 1}', "must have a, as dict. Received: 1"),
        ("{}", "must have a, as dict. Received: null"),
    ],
)
def test_what_is_no_such_object(tmp_path, content, message):
    path = tmp_path / "values.json"
    path.write_text(content)
    with pytest.raises(InputError, match=message):
        read_json_object(path, {"a": dict})


def test_an_object_comes_back(tmp_path):
    write_json(tmp_path / "values.json", {"a": {"b": 1}})
    value = read_json_object(tmp_path / "values.json", {"a": dict})
    assert value == {"a": {"b": 1}}


def test_a_folder_to_write_into_is_made_at_once(tmp_path):
    assert make_folder(tmp_path / "a" / "b", "output_dir").is_dir()
    assert names(tmp_path / "a" / "b") == []
    (tmp_path / "file").touch()
    for path in (tmp_path / "file", tmp_path / "file" / "inside"):
        with pytest.raises(InputError, match=f"^{path}: output_dir must be"):
            make_folder(path, "output_dir")


def test_what_a_killed_writer_moved_aside_is_moved_back(tmp_path):
    model = tmp_path / "model"
    holder = tmp_path / ".model.k1ll3d"
    (holder / "model").mkdir(parents=True)
    (holder / "replaced").mkdir()
    (holder / "replaced" / "weights").write_text("the best")
    remove_leftovers(model)
    assert (model / "weights").read_text() == "the best"
    assert names(tmp_path) == ["model"]


def test_what_a_killed_writer_left_is_removed(tmp_path):
    holder = tmp_path / ".plane[1].png.k1ll3d"
    holder.mkdir()
    (holder / "plane[1].png").touch()
    others = [".plane1.png.other", ".plane[1].png.file"]
    (tmp_path / others[0]).mkdir()
    (tmp_path / others[1]).touch()
    remove_leftovers(tmp_path / "plane[1].png")
    assert names(tmp_path) == sorted(others)
