"""Rules of the house: who imports whom, and what no file contains."""

import ast
import graphlib
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[1]

# A room may import only from itself and from the rooms before it.
ROOMS = (
    "base",
    "specs",
    "download",
    "images",
    "preprocessing",
    "inspection",
    "simulation",
    "network",
    "prediction",
    "export",
    "evaluation",
    "training",
    "figures",
    "benchmarks",
    "ablation",
)
# Outside packages of the rooms that users with little installed rely on.
OUTSIDE = {
    "specs": set(),
    "download": {"google_crc32c", "tqdm"},
    "images": {"numpy", "tifffile", "PIL", "zarr"},
    "inspection": {"numpy", "tifffile", "PIL", "tqdm"},
}
# Files that may use what the others may not.
TENSORFLOW = {
    "isl/benchmarks/measure.py",
    "isl/network/tf1_checkpoint.py",
    "isl/prediction/engine.py",
    "isl/training/distribution.py",
}
BACKENDS = {"isl/benchmarks/measure.py"}
PRINT = {"isl/command_line.py"}
MAX_SCRIPT_LINES = 120


def relative(path):
    return path.relative_to(ROOT).as_posix()


LIBRARY = sorted((ROOT / "isl").rglob("*.py"))
SCRIPTS = sorted((ROOT / "experiments").glob("*.py"))
TESTS = sorted((ROOT / "tests").glob("*.py"))
TREES = {
    relative(path): ast.parse(path.read_text(encoding="utf-8"))
    for path in [*LIBRARY, *SCRIPTS, *TESTS]
}
LIBRARY_NAMES = [relative(path) for path in LIBRARY]
SCRIPT_NAMES = [relative(path) for path in SCRIPTS]


def imported(name):
    """Dotted names of all that a file imports, wherever in the file."""
    for node in ast.walk(TREES[name]):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name}: a relative import"
            yield from (f"{node.module}.{a.name}" for a in node.names)


def room_of_file(name):
    parts = name.split("/")
    return parts[1] if len(parts) == 3 else "base"


def room_of_import(dotted):
    part = dotted.partition(".")[2].partition(".")[0]
    return part if part in ROOMS else "base"


def outside_packages(name):
    tops = {dotted.split(".")[0] for dotted in imported(name)}
    return tops - {"isl"} - set(sys.stdlib_module_names)


def calls(name, function):
    return [
        node.lineno
        for node in ast.walk(TREES[name])
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == function
    ]


def test_there_are_files_to_check():
    assert len(LIBRARY_NAMES) > 30 and len(SCRIPT_NAMES) >= 2
    assert {room_of_file(name) for name in LIBRARY_NAMES} == set(ROOMS)


@pytest.mark.parametrize("name", LIBRARY_NAMES)
def test_rooms_import_only_rooms_before_them(name):
    allowed = ROOMS[: ROOMS.index(room_of_file(name)) + 1]
    for dotted in imported(name):
        if dotted.split(".")[0] == "isl":
            assert room_of_import(dotted) in allowed, dotted


def file_of_import(dotted):
    """The file that holds a name, or its room; None outside of isl."""
    parts = dotted.split(".")
    for stop in range(len(parts), 0, -1):
        path = "/".join(parts[:stop])
        for name in (f"{path}.py", f"{path}/__init__.py"):
            if name in TREES:
                return name
    return None


def test_no_file_imports_itself_through_others():
    graph = {
        name: {file_of_import(dotted) for dotted in imported(name)}
        - {None, name}
        for name in LIBRARY_NAMES
    }
    assert "isl/images/well.py" in graph["isl/images/__init__.py"]
    graphlib.TopologicalSorter(graph).prepare()  # Raises for a cycle.


@pytest.mark.parametrize("name", LIBRARY_NAMES)
def test_outside_packages_are_where_they_belong(name):
    packages = outside_packages(name)
    assert "experiments" not in packages and "tests" not in packages
    room = room_of_file(name)
    if room in OUTSIDE:
        assert packages <= OUTSIDE[room]
    if room != "figures":
        assert "matplotlib" not in packages
    if name not in TENSORFLOW:
        assert "tensorflow" not in packages
    if name not in BACKENDS:
        assert not packages & {"jax", "torch"}


@pytest.mark.parametrize("name", LIBRARY_NAMES)
def test_the_library_does_not_print_assert_or_read_the_environment(name):
    if name not in PRINT:
        assert not calls(name, "print")
    nodes = list(ast.walk(TREES[name]))
    assert not [n.lineno for n in nodes if isinstance(n, ast.Assert)]
    attributes = {n.attr for n in nodes if isinstance(n, ast.Attribute)}
    assert not attributes & {"environ", "getenv", "getcwd", "cwd"}


@pytest.mark.parametrize("name", SCRIPT_NAMES)
def test_scripts_are_short_and_import_no_script(name):
    lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
    assert len(lines) <= MAX_SCRIPT_LINES
    assert "experiments" not in outside_packages(name)
    siblings = {pathlib.PurePath(other).stem for other in SCRIPT_NAMES}
    assert not siblings & outside_packages(name)


@pytest.mark.parametrize("name", TREES)
def test_private_names_stay_where_they_are(name):
    private = [
        dotted
        for dotted in imported(name)
        if dotted.startswith("isl.")
        and any(p.startswith("_") for p in dotted.split(".")[1:])
        and not dotted.endswith(".__version__")
    ]
    assert not private


def test_every_module_has_a_docstring():
    for name in LIBRARY_NAMES + SCRIPT_NAMES:
        assert ast.get_docstring(TREES[name]), name


def test_images_and_specs_load_no_keras():
    code = (
        "import sys, isl.specs, isl.images\n"
        "heavy = {'keras', 'tensorflow', 'jax', 'torch', 'matplotlib'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    result = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert result.stdout == "[]\n"
