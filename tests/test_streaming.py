import json
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parent.parent


@pytest.mark.slow
def test_an_image_of_50_000_pixels_a_side_takes_the_memory_of_a_small_one(
    tmp_path,
):
    done = subprocess.run(
        [sys.executable, "-m", "tests.streamed_prediction", tmp_path],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    (_, small), (pixels, large) = map(json.loads, done.stdout.splitlines())
    assert pixels > 5_000_000  # 40 MB of predictions passed by.
    # The list of 36,000 tiles takes some of it.
    assert large - small < 60_000_000
    assert not list(tmp_path.glob("*.zarr"))
