import json
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from isl.errors import InputError

SCRIPT = "check_images"
LABEL = "well-A1,channel-DAPI_CONFOCAL.png"


def plane_name(z):
    return f"well-A1,z_depth-{z},channel-DIC,is_mask-false.png"


@pytest.fixture
def folder(tmp_path):
    """A well of three planes and a label, normalised."""
    random = np.random.default_rng(0)
    folder = tmp_path / "images"
    folder.mkdir()
    means = {plane_name(z): 0.5 for z in range(3)} | {LABEL: 0.25}
    for name, mean in means.items():
        image = ndimage.gaussian_filter(random.standard_normal((64, 64)), 2)
        image = (mean + 0.1 * image / image.std()).clip(0, 1) * 65535
        Image.fromarray(image.astype(np.uint16)).save(folder / name)
    return folder


def test_a_good_folder(run, folder, tmp_path, capsys):
    run(input=folder)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 4
    assert lines[1].startswith("A1    DIC ")
    assert lines[-1] == "4 images, 0 other files: 0 errors, 0 warnings"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["images"]
    assert len(list(folder.iterdir())) == 4


def test_an_error_is_told_by_the_exit_status(run, folder, tmp_path, capsys):
    (folder / plane_name(1)).unlink()
    with pytest.raises(SystemExit) as ended:
        run(input=folder, output_dir=tmp_path / "checked")
    assert ended.value.code == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[-2].startswith(f"error missing_plane: {plane_name(0)}: there")
    assert lines[-1] == "3 images, 0 other files: 1 errors, 0 warnings"
    assert sorted(path.name for path in (tmp_path / "checked").iterdir()) == [
        "contact_sheet.png",
        "images.csv",
        "problems.csv",
    ]


def test_warnings_alone_are_no_failure(run, folder, capsys):
    (folder / LABEL).unlink()
    run(input=folder)
    assert "0 errors, 1 warnings" in capsys.readouterr().out


def test_flags_reach_the_inspection(run, folder, tmp_path, capsys):
    image = np.asarray(Image.open(folder / LABEL)).clip(0, 25000)
    Image.fromarray(image).save(folder / LABEL)
    run(input=folder)
    assert "warning saturated" in capsys.readouterr().out
    run(input=folder, saturated=0.5)
    assert "saturated" not in capsys.readouterr().out
    spec = {
        "name": "x",
        "condition": "B",
        "labels": ["MAP2_CONFOCAL"],
        "wells": [{"name": "A1", "path": "images", "splits": {"train": {}}}],
    }
    path = tmp_path / "spec.json"
    path.write_text(json.dumps(spec))
    with pytest.raises(SystemExit):
        run(input=tmp_path, data_spec=path)
    assert "error missing_label" in capsys.readouterr().out


def test_unknown_names_are_proposed_as_a_source(run, folder, capsys):
    (folder / LABEL).rename(folder / "A2__dapi.png")
    (folder / plane_name(0)).rename(folder / "A2__bf.png")
    for z in (1, 2):
        (folder / plane_name(z)).unlink()
    run(input=folder)
    output = capsys.readouterr().out
    assert '"channels": {"bf": "BRIGHTFIELD", "dapi": "DAPI"}' in output


def test_the_output_is_refused_before_anything_is_read(run, folder, capsys):
    with pytest.raises(InputError, match="output_dir: must lie outside"):
        run(input=folder, output_dir=folder / "checked")
    assert capsys.readouterr() == ("", "")


def test_a_mistake_ends_in_one_line(script, tmp_path):
    result = subprocess.run(
        [sys.executable, script.__file__, f"--input={tmp_path / 'nowhere'}"],
        capture_output=True,
        text=True,
    )
    assert result.returncode == 1
    assert result.stderr == (
        f"error: {tmp_path / 'nowhere'}: input must be there.\n"
    )
