import json
import math
from datetime import date
from decimal import Decimal
from enum import Enum, StrEnum

import datasets
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from burnish.journal import JournalReader, JournalWriter, Kind
from burnish.journal.reader import journal_files
from burnish.track.table import INLINE_BYTES, table, table_payload

CELLS = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.text(st.characters()) | st.binary()
COLUMNS = {"prompt": ["a", "b"], "score": [0.5, None]}
SHOWN = (["prompt", "score"], [["a", 0.5], ["b", None]])


class Colour(StrEnum):
    RED = "red"


class Odd(str, Enum):  # noqa: UP042  its str() is not its value
    KEY = "value"


def same(left, right):
    return left == right or (left != left and right != right)


@given(st.lists(st.dictionaries(st.text(max_size=3), CELLS, max_size=4), max_size=8))
def test_rows_of_dicts_give_every_key_once_and_every_row(rows):
    columns, shown = table(rows)
    assert len(set(columns)) == len(columns)
    assert len(shown) == len(rows)
    assert all(len(row) == len(columns) for row in shown)
    assert all(type(cell) in (type(None), bool, int, float, str) for row in shown for cell in row)
    json.loads(json.dumps(shown).encode())


@given(st.lists(st.lists(CELLS, min_size=2, max_size=2), max_size=8))
def test_lists_and_columns_give_the_same(rows):
    _, listed = table(rows, ["a", "b"])
    _, turned = table({"a": [row[0] for row in rows], "b": [row[1] for row in rows]})
    assert all(same(x, y) for left, right in zip(listed, turned, strict=True) for x, y in zip(left, right, strict=True))


@pytest.mark.parametrize(
    "data",
    [
        COLUMNS,
        [{"prompt": "a", "score": 0.5}, {"prompt": "b"}],
        iter([{"prompt": "a", "score": 0.5}, {"prompt": "b"}]),
        pd.DataFrame({"prompt": ["a", "b"], "score": np.array([0.5, None], dtype=object)}),
        pl.DataFrame(COLUMNS),
        pa.table(COLUMNS),
        pa.record_batch(COLUMNS),
        datasets.Dataset.from_dict(COLUMNS),
        datasets.Dataset.from_dict(COLUMNS).with_format("numpy"),
    ],
    ids=lambda data: f"{type(data).__module__}.{type(data).__name__}",
)
def test_every_kind_of_table_gives_the_same(data):
    assert table(data) == SHOWN


def test_the_columns_of_a_data_frame_can_be_chosen():
    frame = pd.DataFrame({"a": [1], "b": [2], "c": [3]})
    for data in (frame, pl.DataFrame(frame.to_dict("list")), [{"a": 1, "b": 2, "c": 3}]):
        assert table(data, ["c", "a"]) == (["c", "a"], [[3, 1]])
        with pytest.raises(ValueError) as error:
            table(data, ["d"])
        assert str(error.value) == "no column 'd'; there are 'a', 'b', 'c'"


def test_a_subclass_of_a_data_frame_is_one():
    class Mine(pd.DataFrame):
        pass

    assert table(Mine({"a": [1]})) == (["a"], [[1]])


def test_names_that_repeat_or_are_no_text_are_kept():
    assert table(pd.DataFrame([[1, 2]], columns=["a", "a"])) == (["a", "a"], [[1, 2]])
    assert table({3: [1], ("b", 1): [2]}) == (["3", "('b', 1)"], [[1, 2]])


def test_rows_of_arrays_are_rows():
    assert table(np.array([[1, 2], [3, 4]]), ["a", "b"]) == (["a", "b"], [[1, 2], [3, 4]])
    assert table([torch.tensor([1, 2])], ["a", "b"]) == (["a", "b"], [[1, 2]])
    assert table({"a": torch.tensor([1.5]), "b": np.array([True])}) == (["a", "b"], [[1.5, True]])


def test_an_empty_table_keeps_its_columns():
    assert table([], ["a"]) == (["a"], [])
    assert table({"a": []}) == (["a"], [])
    assert table([]) == table({}) == ([], [])


@pytest.mark.parametrize(
    ("cell", "kept"),
    [
        (True, True),
        (np.bool_(True), True),
        (np.int8(3), 3),
        (np.float64(0.5), 0.5),
        (torch.tensor(2.5), 2.5),
        (2**63 - 1, 2**63 - 1),
        (2**63, "9223372036854775808"),
        (10**5000, hex(10**5000)),
        (Colour.RED, "red"),
        (Odd.KEY, "value"),
        (np.str_("x"), "x"),
        (Decimal("1.50"), "1.50"),
        (date(2026, 1, 2), "2026-01-02"),
        ([1, 2], "[1, 2]"),
        (b"x", "b'x'"),
        (pd.NA, None),
        (pd.NaT, "NaT"),
        ("cut \ud83d", "cut \\ud83d"),
        ("x" * 100_000, "x" * 100_000),
    ],
    ids=lambda value: str(type(value).__name__),
)
def test_a_cell_becomes_what_json_holds(cell, kept):
    ((row,),) = (table([{"a": cell}])[1],)
    assert row == [kept]
    assert type(row[0]) is type(kept)


def test_nan_and_infinities_stay_floats():
    _, ((first, second),) = table([[math.nan, -math.inf]], ["a", "b"])
    assert math.isnan(first)
    assert second == -math.inf


ACCEPTED = "rows (dicts or lists), a dict of columns, or a pandas, polars, arrow or datasets table"


@pytest.mark.parametrize(
    ("data", "columns", "kind", "message"),
    [
        (3, None, TypeError, f"a table must be {ACCEPTED}, not int"),
        ("abc", None, TypeError, f"a table must be {ACCEPTED}, not str"),
        (pd.Series([1]), None, TypeError, f"a table must be {ACCEPTED}, not pandas.Series"),
        (
            datasets.DatasetDict({"train": datasets.Dataset.from_dict({"a": [1]})}),
            None,
            TypeError,
            "a table must be one split of a dataset, not all of them",
        ),
        (
            datasets.Dataset.from_dict({"a": [1]}).to_iterable_dataset(),
            None,
            TypeError,
            f"a table must be {ACCEPTED}, not datasets.IterableDataset",
        ),
        ([1, 2], ["a"], TypeError, "row 0 of a table must be a list as the others are, not int"),
        ([[1], {"a": 1}], ["a"], TypeError, "row 1 of a table must be a list as the others are, not dict"),
        ([[1]], None, ValueError, "a table of lists needs the names of its columns: columns=[...]"),
        ([[1], [1, 2]], ["a"], ValueError, "row 1 of a table has 2 cells for 1 columns"),
        ({"a": [1], "b": []}, None, ValueError, "the columns of a table must be equally long: 'a' 1, 'b' 0"),
        ({"a": "text"}, None, TypeError, "column 'a' of a table must be a list, not str"),
        ([[1]], "a", TypeError, "columns must be a list of names, not str"),
        ([[1]], [3], TypeError, "a column's name must be a string, not 3"),
    ],
)
def test_what_is_no_table_is_refused(data, columns, kind, message):
    with pytest.raises(kind) as error:
        table(data, columns)
    assert str(error.value) == message


def test_a_small_table_is_kept_inline(tmp_path):
    assert table_payload(tmp_path, *SHOWN) == {"columns": SHOWN[0], "rows": SHOWN[1], "row_count": 2}
    assert not list(tmp_path.iterdir())


def test_a_large_table_is_kept_in_a_file_once(tmp_path):
    rows = [["x" * 1000, math.nan, "ü"]] * (INLINE_BYTES // 1000)
    payload = table_payload(tmp_path, ["a", "b", "c"], rows)
    assert payload == table_payload(tmp_path, ["a", "b", "c"], rows)
    assert (payload["columns"], payload["row_count"]) == (["a", "b", "c"], len(rows))
    assert payload["file"] == f"media/{payload['sha256']}.json"
    (path,) = (tmp_path / "media").iterdir()
    kept = json.loads((tmp_path / payload["file"]).read_text())
    assert path == tmp_path / payload["file"]
    assert kept["columns"] == ["a", "b", "c"]
    assert [[row[0], row[2]] for row in kept["rows"]] == [[row[0], row[2]] for row in rows]
    assert all(math.isnan(row[1]) for row in kept["rows"])


def test_the_journal_gives_a_table_back(tmp_path):
    columns, rows = table([{"a": 2**63 - 1, "b": "ü\ud800"}, {"a": -(2**63), "c": True}])
    writer = JournalWriter(tmp_path, 0, dict)
    writer.record(Kind.TABLE, "samples", table_payload(tmp_path, columns, rows))
    writer.close()
    (path,) = journal_files(tmp_path)
    reader = JournalReader(path)
    (record,) = [entry for entry in reader.read_all() if getattr(entry, "kind", None) == Kind.TABLE]
    reader.close()
    assert record.payload == {"columns": columns, "rows": rows, "row_count": 2}
