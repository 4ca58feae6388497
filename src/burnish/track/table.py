"""Tables of samples, scores, errors: whatever holds rows, as columns and rows of plain values.

A small table goes into the journal itself; a large one into a file beside it, so that tailing a journal stays cheap.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

import msgspec

from burnish.track.blobs import store_blob
from burnish.track.foreign import comes_from, type_name

Cell = None | bool | int | float | str

INLINE_BYTES: Final = 256 * 1024
"""A table whose encoding is larger than this is stored in a file."""

_FRAMES: Final = ("pandas", "polars", "pyarrow", "datasets")
_ACCEPTED: Final = "rows (dicts or lists), a dict of columns, or a pandas, polars, arrow or datasets table"


def table(data: object, columns: Sequence[str] | None = None) -> tuple[list[str], list[list[Cell]]]:
    """Return the columns and rows of a table as values that JSON and MessagePack hold.

    Args:
        data: A list of dicts (their keys in order of first appearance, None where a row lacks one), a list of
            lists with `columns`, a dict of columns, or a pandas, polars, arrow or datasets table, whose index, if
            it has one, is left out.
        columns: The names; where the data has names itself, which of them to keep, in this order.

    Returns:
        Names and rows. Numbers, booleans, None and text are kept, NaN as a float; integers beyond 64 bits and
        anything else become text. No text is cut.

    Raises:
        TypeError: The data is no table.
        ValueError: Rows or columns differ in length, or a column is not there.

    >>> table([{"prompt": "2+2"}, {"prompt": "3+3", "score": 0.5}])
    (['prompt', 'score'], [['2+2', None], ['3+3', 0.5]])
    """
    if columns is not None:
        columns = _checked_names(columns)
    if any(comes_from(data, library) for library in _FRAMES):
        names, held = _of_frame(data)
    elif isinstance(data, Mapping):
        names, held = list(data), [_listed(name, column) for name, column in data.items()]
    else:
        return _of_rows(data, columns)
    shown = [_text(str(name)) for name in names]
    if columns is not None:
        places = [_place(name, shown) for name in columns]
        shown, held = columns, [held[place] for place in places]
    lengths = {len(column) for column in held}
    if len(lengths) > 1:
        told = ", ".join(f"{name!r} {len(column)}" for name, column in zip(shown, held, strict=True))
        raise ValueError(f"the columns of a table must be equally long: {told}")
    return shown, [[_cell(value) for value in row] for row in zip(*held, strict=True)]


def table_payload(run_root: Path, columns: list[str], rows: list[list[Cell]]) -> dict[str, object]:
    """Return what the journal keeps of a table: the rows, or the name of the file that holds them.

    Args:
        run_root: The folder of the run; a large table is stored in `media/<sha256>.json` below it, an object with
            `columns` and `rows` in which NaN and infinities are written as Python's `json` does.
        columns: The names, from `table`.
        rows: The cells, from `table`.

    Raises:
        OSError: The disk does not take the file.
    """
    payload: dict[str, object] = {"columns": columns, "rows": rows, "row_count": len(rows)}
    if len(msgspec.msgpack.encode(payload)) <= INLINE_BYTES:
        return payload
    content = json.dumps({"columns": columns, "rows": rows}, ensure_ascii=False, separators=(",", ":")).encode()
    blob = store_blob(run_root, content, "json")
    return {"columns": columns, "row_count": len(rows), "file": blob.file, "sha256": blob.sha256}


def _checked_names(columns: object) -> list[str]:
    if isinstance(columns, str) or not isinstance(columns, Iterable):
        raise TypeError(f"columns must be a list of names, not {type_name(columns)}")
    names = list(columns)
    for name in names:
        if not isinstance(name, str):
            raise TypeError(f"a column's name must be a string, not {name!r}")
    return [_text(name) for name in names]


def _place(name: str, names: list[str]) -> int:
    if name not in names:
        raise ValueError(f"no column {name!r}; there are {', '.join(map(repr, names)) or 'none'}")
    return names.index(name)


def _of_rows(data: object, columns: list[str] | None) -> tuple[list[str], list[list[Cell]]]:
    if isinstance(data, str | bytes) or not isinstance(data, Iterable):
        raise TypeError(f"a table must be {_ACCEPTED}, not {type_name(data)}")
    rows = list(getattr(data, "tolist", data.__iter__)())
    if all(isinstance(row, Mapping) for row in rows):
        named = [{_text(str(name)): value for name, value in row.items()} for row in rows]
        seen = list(dict.fromkeys(name for row in named for name in row))
        if columns is not None and named:
            for name in columns:
                _place(name, seen)
        shown = seen if columns is None else columns
        return shown, [[_cell(row.get(name)) for name in shown] for row in named]
    for place, row in enumerate(rows):
        if isinstance(row, str | bytes | Mapping) or not isinstance(row, Iterable):
            raise TypeError(f"row {place} of a table must be a list as the others are, not {type_name(row)}")
    listed = [list(row) for row in rows]
    if columns is None:
        raise ValueError("a table of lists needs the names of its columns: columns=[...]")
    for place, cells in enumerate(listed):
        if len(cells) != len(columns):
            raise ValueError(f"row {place} of a table has {len(cells)} cells for {len(columns)} columns")
    return columns, [[_cell(value) for value in cells] for cells in listed]


def _of_frame(data: object) -> tuple[list[object], list[list[object]]]:
    """Return names and columns of a data frame, by the methods that its library gives it."""
    if comes_from(data, "datasets") and hasattr(data, "with_format") and hasattr(data, "num_rows"):
        if not isinstance(data.num_rows, int):
            raise TypeError("a table must be one split of a dataset, not all of them")
        whole = data.with_format(None)[:]  # Python values, whatever format the user trains with
        return list(whole), list(whole.values())
    if comes_from(data, "pyarrow") and hasattr(data, "column_names"):
        return list(data.column_names), [column.to_pylist() for column in data.columns]  # type: ignore[attr-defined]
    if comes_from(data, "polars") and hasattr(data, "get_columns"):
        return list(data.columns), [column.to_list() for column in data.get_columns()]  # type: ignore[attr-defined]
    if comes_from(data, "pandas") and hasattr(data, "columns") and hasattr(data, "iloc"):
        width = range(len(data.columns))
        return list(data.columns), [data.iloc[:, place].tolist() for place in width]  # names may repeat
    raise TypeError(f"a table must be {_ACCEPTED}, not {type_name(data)}")


def _listed(name: object, column: object) -> list[object]:
    if isinstance(column, str | bytes | Mapping) or not isinstance(column, Iterable):
        raise TypeError(f"column {str(name)!r} of a table must be a list, not {type_name(column)}")
    return list(getattr(column, "tolist", column.__iter__)())


def _cell(value: object) -> Cell:
    """Return a value as one that JSON holds."""
    if not isinstance(value, str | float | int) and getattr(value, "ndim", None) == 0:
        item = getattr(value, "item", None)
        value = value if item is None else item()
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return _text(str.__str__(value))
    if isinstance(value, float):
        return float(value)
    if isinstance(value, int):
        return int(value) if -(2**63) <= value < 2**63 else _long_integer(value)
    return None if type(value).__name__ == "NAType" else _text(str(value))  # pandas' missing value


def _long_integer(value: int) -> str:
    try:
        return str(int(value))
    except ValueError:  # longer than Python's limit for decimal digits
        return hex(value)


def _text(text: str) -> str:
    """Return text that UTF-8 holds: half a surrogate pair, as a cut token can leave, is written as an escape."""
    return text if text.isascii() else text.encode(errors="backslashreplace").decode()
