"""Tables as Markdown, which is how TensorBoard shows them: as text, and no more of them than a page takes."""

from __future__ import annotations

import re
from typing import Final

import msgspec

_MOST_ROWS: Final = 100
_MOST_COLUMNS: Final = 50
_LONGEST_CELL: Final = 1_000
_MARKUP: Final = re.compile(r"([\\`*_\[\]#~])")
_ENTITIES: Final = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", "|": "&#124;"})


class Table(msgspec.Struct):
    """Names of columns, and rows of plain values."""

    columns: list[str]
    rows: list[list[object]]


def table_text(table: Table) -> tuple[str, int]:
    r"""Return a table as Markdown, and how many rows are left out or cut.

    A line break stays one; nothing in a cell becomes markup.

    >>> table_text(Table(["prompt", "score"], [["2*2", 0.5]]))[0].splitlines()
    ['| prompt | score |', '|---|---|', '| 2\\*2 | 0.5 |']
    """
    names = table.columns[:_MOST_COLUMNS]
    shown = [_row(row[: len(names)]) for row in table.rows[:_MOST_ROWS]]
    lines = [_row(names)[0], f"|{'---|' * len(names)}", *(text for text, _ in shown)]
    narrowed = len(table.columns) > len(names)
    left = len(table.rows) - sum(not (is_cut or narrowed) for _, is_cut in shown)
    if more := len(table.rows) - len(shown):
        lines += ["", f"… and {more} more rows"]
    return "\n".join(lines), left


def _row(cells: list[object] | list[str]) -> tuple[str, bool]:
    """Return a line of a table, and whether a cell of it is cut."""
    texts = ["" if cell is None else str(cell) for cell in cells]
    is_cut = any(len(text) > _LONGEST_CELL for text in texts)
    return f"| {' | '.join(map(_cell, texts))} |", is_cut


def _cell(text: str) -> str:
    shown = text if len(text) <= _LONGEST_CELL else f"{text[: _LONGEST_CELL - 1]}…"
    return "<br>".join(_MARKUP.sub(r"\\\1", shown.translate(_ENTITIES)).splitlines())
