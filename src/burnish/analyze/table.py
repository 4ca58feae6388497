"""A small table in columns: plain rows, or polars and pandas where they are installed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, overload

from burnish.core.errors import UsageError

if TYPE_CHECKING:
    import pandas
    import polars

Cell = object
"""A value of a table; None where there is none."""

_SHOWN_ROWS = 10
_SHOWN_COLUMNS = 12
_WIDEST = 36


class Table(Sequence[dict[str, Cell]]):
    """Columns of equal length. As a sequence it holds its rows as dictionaries, each made when it is asked for.

    >>> table = Table({"id": ["k7f2", "b2b2"], "loss": [1.5, None]})
    >>> table[0]
    {'id': 'k7f2', 'loss': 1.5}
    >>> table
    id    loss
    k7f2   1.5
    b2b2     –
    2 rows

    Args:
        columns: Values by the name of the column.
    """

    kind = "row"

    def __init__(self, columns: Mapping[str, Sequence[Cell]]) -> None:
        self._columns = dict(columns)
        self._length = len(next(iter(self._columns.values()), ()))
        assert all(len(column) == self._length for column in self._columns.values())

    @property
    def columns(self) -> dict[str, Sequence[Cell]]:
        """The values of each column by its name."""
        return dict(self._columns)

    def rows(self) -> list[dict[str, Cell]]:
        """Return the rows as dictionaries."""
        names = list(self._columns)
        return [dict(zip(names, row, strict=True)) for row in zip(*self._columns.values(), strict=True)]

    def polars(self) -> polars.DataFrame:
        """Return a polars data frame; a column that mixes kinds becomes text.

        Raises:
            UsageError: polars is not installed.
        """
        frames = _library("polars")
        columns = {name: _uniform(column) for name, column in self._columns.items()}
        frame: polars.DataFrame = frames.DataFrame(columns, strict=False)
        return frame

    def pandas(self) -> pandas.DataFrame:
        """Return a pandas data frame; a column that mixes kinds becomes text.

        Raises:
            UsageError: pandas is not installed.
        """
        frames = _library("pandas")
        frame: pandas.DataFrame = frames.DataFrame({name: _uniform(column) for name, column in self._columns.items()})
        return frame

    def __len__(self) -> int:
        return self._length

    @overload
    def __getitem__(self, index: int) -> dict[str, Cell]: ...
    @overload
    def __getitem__(self, index: slice) -> list[dict[str, Cell]]: ...
    def __getitem__(self, index: int | slice) -> dict[str, Cell] | list[dict[str, Cell]]:
        if isinstance(index, slice):
            return [self[number] for number in range(*index.indices(self._length))]
        if not -self._length <= index < self._length:
            raise IndexError(f"{self.kind} {index} of {self._length}")
        return {name: column[index] for name, column in self._columns.items()}

    def __iter__(self) -> Iterator[dict[str, Cell]]:
        return iter(self.rows())

    def __repr__(self) -> str:
        names = list(self._columns)[:_SHOWN_COLUMNS]
        lines = [[_short(name) for name in names]]
        count = min(self._length, _SHOWN_ROWS)
        lines += [[_short(cell_text(self._columns[n][row])) for n in names] for row in range(count)]
        widths = [max(map(len, cells)) for cells in zip(*lines, strict=True)]
        right = [any(isinstance(cell, int | float) for cell in self._columns[n][:_SHOWN_ROWS]) for n in names]
        shown = [
            "  ".join(c.rjust(w) if r else c.ljust(w) for c, w, r in zip(line, widths, right, strict=True)).rstrip()
            for line in lines
        ]
        more = len(self._columns) - len(names)
        total = f"{self._length:,} {self.kind}{'' if self._length == 1 else 's'}"
        return "\n".join([*(shown if names else ()), f"{total} × {len(self._columns)} columns" if more else total])


def cell_text(value: Cell) -> str:
    """Return a value as a table shows it.

    >>> cell_text(1.23456789), cell_text(None), cell_text(("a", "b")), cell_text(True)
    ('1.235', '–', 'a, b', 'true')
    """
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, tuple | list):
        return ", ".join(map(cell_text, value))
    return " ".join(str(value).split())


def _short(text: str) -> str:
    return text if len(text) <= _WIDEST else f"{text[: _WIDEST - 1]}…"


def _uniform(column: Sequence[Cell]) -> list[Cell]:
    """Return a column of one kind, as data frames want it: all numbers are one kind, other mixes become text."""
    kinds = {_kind(value) for value in column if value is not None}
    if kinds == {"int", "float"}:
        return [float(value) if isinstance(value, int) else value for value in column]
    if len(kinds) <= 1 and "other" not in kinds:
        return [list(value) if isinstance(value, tuple) else value for value in column]
    return [value if value is None or isinstance(value, str) else _json(value) for value in column]


def _kind(value: Cell) -> str:
    if isinstance(value, tuple | list):
        return "texts" if all(isinstance(item, str) for item in value) else "other"
    return type(value).__name__


def _json(value: Cell) -> str:
    import json

    return json.dumps(value)


def _library(name: str) -> ModuleType:
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        raise UsageError(f"{name} is not installed", hint=f"pip install {name}, or use .rows()") from error
