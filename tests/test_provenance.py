import json

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
