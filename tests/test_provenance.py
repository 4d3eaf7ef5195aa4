import json
import subprocess

import pytest

from isl import provenance


def test_provenance_is_json_and_names_versions():
    values = json.loads(json.dumps(provenance.provenance()))
    assert values["versions"]["keras"].startswith("3.")
    assert values["num_cpus"] >= 1


def test_no_commit_outside_a_checkout(monkeypatch, tmp_path):
    (tmp_path / "isl").mkdir()
    monkeypatch.setattr(
        provenance, "__file__", str(tmp_path / "isl" / "provenance.py")
    )
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert provenance.git_commit() is None


def git(folder, *arguments):
    names = "-c user.name=a -c user.email=a@b".split()
    subprocess.run(["git", *names, *arguments], cwd=folder, check=True)


@pytest.mark.parametrize(("place", "is_own"), [("", True), ("venv", False)])
def test_the_commit_is_that_of_this_source_tree(
    monkeypatch, tmp_path, place, is_own
):
    file = tmp_path / place / "isl" / "provenance.py"
    file.parent.mkdir(parents=True)
    file.write_text("")
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "first")
    monkeypatch.setattr(provenance, "__file__", str(file))
    commit = provenance.git_commit()
    assert (commit is not None) == is_own
    if is_own:
        file.write_text("changed")
        assert provenance.git_commit() == f"{commit}-dirty"
