import json
import pathlib

import pytest
from absl.testing import flagsaver

from isl.errors import InputError
from isl.simulation import dataset
from isl.specs.dataset_spec import load_dataset_spec

ROOT = pathlib.Path(__file__).parent.parent
SCRIPT = "simulate"


def test_writes_wells_and_spec(run, tmp_path, capsys):
    run(output_dir=tmp_path, num_wells=2, size=48, num_z=2, seed=3)
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "A1",
        "A2",
        "spec.json",
    ]
    spec = load_dataset_spec(tmp_path / "spec.json")
    assert spec == dataset.simulated_spec(2, 48, 2)
    output = capsys.readouterr()
    assert output.out == f"wrote {tmp_path}/spec.json\n"
    assert "simulate: 100%" in output.err


def test_flags_reach_the_simulation(run, tmp_path):
    flags = {"num_wells": 1, "size": 48, "num_z": 1}
    run(output_dir=tmp_path / "a", seed=3, **flags)
    run(output_dir=tmp_path / "b", seed=4, **flags)
    truth = [
        (tmp_path / name / "A1" / "nuclei.csv").read_text() for name in "ab"
    ]
    assert truth[0] != truth[1]
    run(output_dir=tmp_path / "c", seed=3, modality="DIC", **flags)
    assert len(list((tmp_path / "c" / "A1").glob("*channel-DIC,*"))) == 1


def test_a_wrong_flag_is_an_input_error(run, tmp_path):
    with pytest.raises(InputError, match="num_wells: must be 1 to 312"):
        run(output_dir=tmp_path / "x", num_wells=0)
    assert not (tmp_path / "x").exists()


def test_wells_of_the_user_are_not_replaced(run, tmp_path):
    mine = tmp_path / "A2" / "precious.tif"
    mine.parent.mkdir()
    mine.touch()
    with pytest.raises(InputError, match="A2: output_dir must not hold"):
        run(output_dir=tmp_path, num_wells=2, size=32, num_z=1)
    assert mine.exists() and not (tmp_path / "A1").exists()
    mine.unlink()
    mine.parent.rmdir()
    for _ in range(2):  # Its own wells it replaces.
        run(output_dir=tmp_path, num_wells=2, size=32, num_z=1)


def test_a_spec_of_the_user_is_not_replaced(run, tmp_path):
    spec = tmp_path / "spec.json"
    spec.write_text('{"name": "mine"}')
    with pytest.raises(InputError, match="spec.json: output_dir must not"):
        run(output_dir=tmp_path, num_wells=2, size=32, num_z=1)
    assert [path.name for path in tmp_path.iterdir()] == ["spec.json"]
    assert "mine" in spec.read_text()


def test_the_committed_spec_describes_the_default_wells():
    with (ROOT / "data_specs" / "simulated.json").open() as file:
        committed = json.load(file)
    assert committed == dataset.simulated_spec(4, 512, 5).to_dict()


def test_the_defaults_are_those_of_the_committed_spec(
    script, tmp_path, monkeypatch
):
    calls = []
    monkeypatch.setattr(
        dataset, "write_dataset", lambda *args, **_: calls.append(args)
    )
    with flagsaver.as_parsed(output_dir=str(tmp_path)):
        script.main()
    assert calls == [(str(tmp_path), 4, 512, 5, 0)]
