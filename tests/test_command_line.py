import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[1]

SCRIPT = '''"""Adds one."""
import signal

from absl import flags
from isl import command_line
from isl.errors import InputError

_NUMBER = flags.DEFINE_integer("number", 0, "A number.")
flags.DEFINE_string("input", None, "A file.")
flags.DEFINE_list("labels", None, "Names.")


def main():
    if _NUMBER.value == 1:
        raise InputError("number: must not be 1.\\n  Received: 1")
    if _NUMBER.value == 2:
        raise OSError(28, "No space left on device", "model.h5")
    if _NUMBER.value == 3:
        raise ValueError("a defect")
    if _NUMBER.value == 4:
        try:
            signal.raise_signal(signal.SIGTERM)
        finally:
            signal.raise_signal(signal.SIGTERM)
            print("removed what was half-written")
    print(_NUMBER.value + 1)


if __name__ == "__main__":
    command_line.run(main)
'''


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Runs a small script as users do."""
    path = tmp_path_factory.mktemp("script") / "script.py"
    path.write_text(SCRIPT)

    def start(*arguments):
        return subprocess.run(
            [sys.executable, str(path), *arguments],
            cwd=ROOT,
            env={"PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=False,
        )

    return start


def test_flags_are_parsed(run):
    result = run("--number=6")
    assert (result.returncode, result.stdout) == (0, "7\n")
    assert result.stderr == ""


def test_help_names_the_flags(run):
    result = run("--help")
    assert "Adds one." in result.stdout and "--number" in result.stdout


@pytest.mark.parametrize("name", ["input", "labels"])
def test_a_flag_without_a_value_is_refused(run, name):
    result = run(f"--{name}=")
    assert result.returncode == 1
    assert result.stderr == (
        f"error: --{name} must have a value. Received: none\n"
    )


def test_a_users_mistake_is_one_line(run):
    result = run("--number=1")
    assert result.returncode == 1
    assert result.stderr == "error: number: must not be 1. Received: 1\n"
    assert result.stdout == ""


def test_an_error_of_the_system_is_one_line(run):
    result = run("--number=2")
    assert result.returncode == 1
    assert result.stderr == "error: model.h5: No space left on device\n"


def test_a_defect_keeps_its_traceback(run):
    result = run("--number=3")
    assert result.returncode == 1
    assert "Traceback" in result.stderr
    assert result.stderr.endswith("ValueError: a defect\n")


def test_who_ends_a_script_lets_it_clean_up(run):
    # As `timeout` does, twice.
    result = run("--number=4")
    assert result.returncode == 143
    assert result.stdout == "removed what was half-written\n"
    assert result.stderr == ""


@pytest.mark.parametrize("arguments", [["left over"], ["--numbr=3"]])
def test_unexpected_arguments(run, arguments):
    result = run(*arguments)
    assert result.returncode == 1
    assert result.stderr.startswith("error: ")
    assert arguments[0].strip("-").split("=")[0] in result.stderr
    assert result.stderr.count("\n") == 1
    assert not result.stdout
