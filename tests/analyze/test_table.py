import sys

import pytest

from burnish.analyze.table import Table
from burnish.core.errors import UsageError

MIXED = Table(
    {
        "whole": [1, None, 3],
        "number": [1, 2.5, None],
        "text": ["a", "b", None],
        "truth": [True, None, False],
        "mixed": [1, "auto", True],
        "tags": [("a", "b"), (), None],
        "lists": [(1, "a"), (2,), None],
        "nothing": [None, None, None],
    }
)


def test_rows_are_dictionaries_by_column():
    table = Table({"a": [1, 2], "b": ["x", None]})
    assert table.rows() == list(table) == [{"a": 1, "b": "x"}, {"a": 2, "b": None}]
    assert table[-1] == {"a": 2, "b": None}
    assert table[:1] == [{"a": 1, "b": "x"}]
    assert len(table) == 2


def test_row_that_is_not_there_is_an_index_error():
    with pytest.raises(IndexError, match=r"^row 2 of 2$"):
        Table({"a": [1, 2]})[2]


def test_polars_frame_has_a_type_for_each_column():
    frame = MIXED.polars()
    assert frame.to_dict(as_series=False) == {
        "whole": [1, None, 3],
        "number": [1.0, 2.5, None],
        "text": ["a", "b", None],
        "truth": [True, None, False],
        "mixed": ["1", "auto", "true"],
        "tags": [["a", "b"], [], None],
        "lists": ['[1, "a"]', "[2]", None],
        "nothing": [None, None, None],
    }
    assert str(frame.schema["number"]) == "Float64"


def test_pandas_frame_holds_the_same():
    frame = MIXED.pandas()
    assert list(frame.columns) == list(MIXED.columns)
    assert frame["mixed"].tolist() == ["1", "auto", "true"]
    assert frame["number"].tolist()[:2] == [1.0, 2.5]


@pytest.mark.parametrize("library", ["polars", "pandas"])
def test_library_that_is_not_installed_is_told_with_what_to_type(monkeypatch, library):
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(UsageError) as caught:
        getattr(MIXED, library)()
    assert caught.value.message == f"{library} is not installed"
    assert caught.value.hint == f"pip install {library}, or use .rows()"


def test_repr_shows_the_first_rows_and_says_how_many_there_are():
    lines = repr(Table({"id": [f"run{n}" for n in range(1200)], "loss": [n / 3 for n in range(1200)]})).splitlines()
    assert lines[:3] == ["id      loss", "run0       0", "run1  0.3333"]
    assert len(lines) == 12
    assert lines[-1] == "1,200 rows"


def test_repr_of_many_columns_says_how_many():
    assert repr(Table({f"c{n}": [n] for n in range(20)})).splitlines()[-1] == "1 row × 20 columns"


def test_empty_table_has_a_repr():
    assert repr(Table({})) == "0 rows"
    assert repr(Table({"a": []})) == "a\n0 rows"


def test_repr_shows_the_columns_that_fit(monkeypatch):
    monkeypatch.setenv("COLUMNS", "20")
    table = Table({"first": ["0123456789"], "second": [12345678], "third": [1]})
    assert repr(table) == "first         second\n0123456789  12345678\n1 row × 3 columns"
    monkeypatch.setenv("COLUMNS", "19")
    assert repr(table) == "first\n0123456789\n1 row × 3 columns"


def test_notebook_is_shown_twenty_rows():
    shown = Table({"n": list(range(30))})._repr_html_()
    assert shown.count("<tr>") == 21
    assert shown.endswith("<p>30 rows</p>")
