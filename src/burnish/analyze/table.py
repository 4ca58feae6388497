"""A small table in columns: plain rows, or polars and pandas where they are installed."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from importlib import import_module
from itertools import accumulate
from types import ModuleType
from typing import TYPE_CHECKING, overload

from burnish.core.clock import iso
from burnish.core.errors import UsageError

if TYPE_CHECKING:
    import pandas
    import polars

Cell = object
"""A value of a table; None where there is none."""

_SHOWN_ROWS = 10
_SHOWN_COLUMNS = 12
_SHOWN_HTML_ROWS, _SHOWN_HTML_COLUMNS = 20, 20
_WIDTH = 120  # where there is no terminal
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
        names, lines, right = self._shown(_SHOWN_ROWS)
        widths = [max(map(len, cells)) for cells in zip(names, *lines, strict=True)]
        fitting = max(1, _fitting(widths[:_SHOWN_COLUMNS], shutil.get_terminal_size((_WIDTH, 24)).columns))
        shown = [
            "  ".join(
                c.rjust(w) if r else c.ljust(w) for c, w, r in list(zip(line, widths, right, strict=True))[:fitting]
            )
            for line in (names, *lines)
        ]
        shown = [line.rstrip() for line in shown] if names else []
        return "\n".join([*shown, *self._below(is_cut=len(self._columns) > fitting)])

    def _repr_html_(self) -> str:
        """Return what a notebook shows."""
        names, lines, right = self._shown(_SHOWN_HTML_ROWS)
        cut = slice(_SHOWN_HTML_COLUMNS)
        align = [f' style="text-align: {"right" if is_right else "left"}"' for is_right in right[cut]]
        head, *body = [
            "".join(f"<{tag}{a}>{escape(cell)}</{tag}>" for a, cell in zip(align, line[cut], strict=True))
            for tag, line in (("th", names), *(("td", line) for line in lines))
        ]
        rows = "".join(f"<tr>{row}</tr>" for row in body)
        below = "".join(f"<p>{escape(line)}</p>" for line in self._below(is_cut=len(names) > _SHOWN_HTML_COLUMNS))
        return f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>{below}"

    def _shown(self, most: int) -> tuple[list[str], list[list[str]], list[bool]]:
        """Return the head, the first rows as text, and which columns are numbers."""
        names = self._order()
        rows = range(min(self._length, most))
        cells = {name: [self._columns[name][row] for row in rows] for name in names}
        lines = [[_short(self._text(name, cells[name][row])) for name in names] for row in rows]
        right = [any(isinstance(c, int | float) and not isinstance(c, bool) for c in cells[name]) for name in names]
        return [_short(name) for name in names], lines, right

    def _order(self) -> list[str]:
        """Return the columns in the order in which they are shown, as far as there is room."""
        return list(self._columns)

    def _text(self, name: str, value: Cell) -> str:
        """Return a cell of a column as it is shown."""
        return cell_text(value)

    def _below(self, *, is_cut: bool = False) -> list[str]:
        """Return the lines below the rows."""
        total = f"{self._length:,} {self.kind}{'' if self._length == 1 else 's'}"
        return [f"{total} × {len(self._columns)} columns" if is_cut else total]


def moment_text(timestamp_s: float) -> str:
    """Return a Unix timestamp as people read it, in UTC.

    >>> moment_text(0), moment_text(float("inf"))
    ('1970-01-01 00:00:00Z', 'inf')
    """
    try:
        return iso(timestamp_s)[:19].replace("T", " ") + "Z"
    except (ValueError, OverflowError, OSError):  # no calendar has it
        return cell_text(timestamp_s)


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


def _fitting(widths: Sequence[int], room: int) -> int:
    """Return how many columns of these widths fit beside each other, two blanks between them."""
    taken = accumulate((width + 2 for width in widths), initial=-2)
    return sum(1 for end in list(taken)[1:] if end <= room)


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
