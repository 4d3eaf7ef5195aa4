import pytest

from isl.csv_files import write_csv


def test_a_table_is_written(tmp_path):
    path = tmp_path / "folder" / "table.csv"
    rows = [("a,b", 0.1 + 0.2), ["µ", None], (True, 3)]
    write_csv(path, ("name", "value"), rows)
    assert path.read_bytes().decode() == (
        'name,value\n"a,b",0.30000000000000004\nµ,\nTrue,3\n'
    )


def test_rows_must_fit_the_columns(tmp_path):
    with pytest.raises(ValueError, match="2 values. Received: \\(1,\\)"):
        write_csv(tmp_path / "table.csv", ("a", "b"), [(1,)])
    assert not list(tmp_path.iterdir())
