"""Pieces of Markdown from text that may hold anything: nothing in it becomes markup."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

_WIDEST = 60
_MOST_QUOTED = 20


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Return the lines of a table, whose cells are Markdown already."""
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    return lines + [f"| {' | '.join(row)} |" for row in rows]


def fenced(block: str) -> list[str]:
    """Return text as a block of code; the fence is longer than any inside."""
    fence = "`" * max(3, 1 + max(map(len, re.findall("`+", block)), default=0))
    return [f"{fence}sh", *block.splitlines(), fence]


def text(value: object) -> str:
    """Return free text on one line, in which nothing is markup."""
    shown = " ".join(str(value).split()).replace("<", "&lt;")
    return re.sub(r"([`*\[\]|])", r"\\\1", shown)


def code(value: object) -> str:
    """Return what may stand between two backticks."""
    return " ".join(str(value).split()).replace("`", "'")


def cell(value: object) -> str:
    """Return a cell of a table; the middle of what is too wide is left out."""
    shown = " ".join(str(value).split())
    shown = shown if len(shown) <= _WIDEST else f"{shown[: _WIDEST // 2 - 1]}…{shown[-_WIDEST // 2 :]}"
    return text(shown)


def size(size_bytes: object) -> str:
    """Return bytes in the largest fitting unit.

    >>> size(80 << 30), size(300), size(None)
    ('80.0 GiB', '300 B', '?')
    """
    if not isinstance(size_bytes, int):
        return "?"
    if size_bytes < 1024:
        return f"{size_bytes} B"
    amount, units = size_bytes / 1024, ["KiB", "MiB", "GiB", "TiB"]
    while amount >= 1024 and len(units) > 1:
        amount /= 1024
        units.pop(0)
    return f"{amount:.1f} {units[0]}"


def more(left: int) -> list[str]:
    """Return the line that ends a list of which some are left out."""
    return ["", f"… and {left} more, see `card.json`"] if left > 0 else []


def quote(note: object) -> list[str]:
    """Return what a person wrote as a quotation, after an empty line."""
    return ["", *(f"> {text(line)}" for line in str(note).splitlines()[:_MOST_QUOTED])]
