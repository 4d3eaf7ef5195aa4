import dataclasses
import json

import pytest

from isl.errors import InputError
from isl.specs import DatasetSpec
from isl.training.checkpoint import (
    CHECKPOINT_FILE,
    CONFIG_FILE,
    check_settings,
    describe_run,
    keep_first_run,
)
from tests.tiny_runs import MICRO_CONFIG

CONFIG = dataclasses.replace(MICRO_CONFIG, labels=("A", "B"), num_z=2)


@pytest.fixture
def workdir(tmp_path):
    """A folder with a run of CONFIG."""
    keep_first_run(tmp_path, describe_run(CONFIG, [], "images", 1, None))
    (tmp_path / CHECKPOINT_FILE).touch()
    return tmp_path


def test_a_new_folder_is_fit_for_any_run(tmp_path):
    check_settings(tmp_path, CONFIG, [])


def test_a_run_without_a_checkpoint_is_begun_anew(workdir):
    other = dataclasses.replace(CONFIG, seed=1)
    run = describe_run(other, [], "images", 1, None)
    keep_first_run(workdir, run)
    with pytest.raises(InputError, match="another seed"):
        check_settings(workdir, other, [])
    (workdir / CHECKPOINT_FILE).unlink()
    check_settings(workdir, other, [])
    keep_first_run(workdir, run)
    (workdir / CHECKPOINT_FILE).touch()
    check_settings(workdir, other, [])


def test_the_same_settings_go_on(workdir):
    check_settings(workdir, CONFIG, [])


@pytest.mark.parametrize(
    ("name", "value"),
    [("seed", 1), ("precision", "mixed_bfloat16"), ("labels", ("A",))],
)
def test_other_settings_are_refused(workdir, name, value):
    other = dataclasses.replace(CONFIG, **{name: value})
    with pytest.raises(InputError, match=f"{CONFIG_FILE}: .*another {name}"):
        check_settings(workdir, other, [])


@pytest.mark.parametrize(
    "changes",
    [
        {"num_steps": 9},
        {"max_minutes": 3.0},
        {"frozen_norm_share": 0.5},
        {"activation_histograms": False},
        {"fit_temperature": True},
    ],
    ids=str,
)
def test_what_a_run_lasts_and_shows_may_change(workdir, changes):
    check_settings(workdir, dataclasses.replace(CONFIG, **changes), [])


def test_another_source_is_other_data(tmp_path):
    def spec(path):
        source = {
            "path": path,
            "pattern": r"(?P<well>\w+)/(?P<channel>\w+)",
            "channels": {"BF": "BRIGHTFIELD", "A": "A"},
        }
        return DatasetSpec.from_dict(
            {
                "name": "raw",
                "condition": "T",
                "modality": "BRIGHTFIELD",
                "labels": ["A"],
                "source": source,
            }
        )

    run = describe_run(CONFIG, [spec("one")], "images", 1, None)
    keep_first_run(tmp_path, run)
    (tmp_path / CHECKPOINT_FILE).touch()
    check_settings(tmp_path, CONFIG, [spec("one")])
    with pytest.raises(InputError, match="a run on other wells"):
        check_settings(tmp_path, CONFIG, [spec("two")])


@pytest.mark.parametrize(
    "content", ["{}", "[]", '{"config": {}}', '{"config": 1, "specs": []}']
)
def test_a_file_of_something_else_is_told(tmp_path, content):
    (tmp_path / CONFIG_FILE).write_text(content)
    with pytest.raises(InputError, match=f"{CONFIG_FILE}: must "):
        check_settings(tmp_path, CONFIG, [])


def test_settings_newer_than_the_run_have_had_their_defaults(workdir):
    path = workdir / CONFIG_FILE
    run = json.loads(path.read_text())
    del run["config"]["precision"]
    path.write_text(json.dumps(run))
    check_settings(workdir, CONFIG, [])
    other = dataclasses.replace(CONFIG, precision="mixed_bfloat16")
    with pytest.raises(InputError, match="another precision .float32."):
        check_settings(workdir, other, [])


def test_runs_from_before_flips_could_be_left_out_go_on(workdir):
    path = workdir / CONFIG_FILE
    run = json.loads(path.read_text())
    del run["config"]["flips"]
    path.write_text(json.dumps(run))
    check_settings(workdir, CONFIG, [])
    with pytest.raises(InputError, match="another flips .True."):
        check_settings(workdir, dataclasses.replace(CONFIG, flips=False), [])


def test_the_first_part_of_a_run_stays_written(workdir):
    before = (workdir / CONFIG_FILE).read_text()
    keep_first_run(workdir, {"config": {}})
    assert (workdir / CONFIG_FILE).read_text() == before
