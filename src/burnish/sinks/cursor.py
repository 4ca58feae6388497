"""How far a sink got with one run: a file that is replaced as a whole after each batch."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Self, TypeGuard

from burnish.core.files import read_json, write_atomic
from burnish.core.shape import items, section
from burnish.journal.reader import journal_files
from burnish.sinks.base import MAPPED, WHERE, SinkState

_FORMAT: Final = 2
"""Format 1 had only offsets and the sink's state; it is read."""


@dataclass(slots=True)
class Cursor:
    """What was vouched for.

    Attributes:
        offsets: The byte of each journal file up to which it was shipped, by the file's name.
        sink: The sink's own state.
        shipped: How many entries that were.
        pending: Name, first byte and end of a batch that was begun: after a crash it comes again just so.
        torn: Bytes at the end of files that hold no whole frame and never will, since the run is over.
        closed: With which state of the run the sink was closed; empty while it is not, or the run went on.
    """

    offsets: dict[str, int] = field(default_factory=dict)
    sink: SinkState = field(default_factory=dict)
    shipped: int = 0
    pending: tuple[str, int, int] | None = None
    torn: dict[str, int] = field(default_factory=dict)
    closed: str = ""

    @classmethod
    def read(cls, path: Path) -> Self:
        """Return what a file holds; one that is not there, or broken, says that nothing was shipped."""
        found = read_json(path)
        closed = found.get("closed")
        return cls(
            offsets=_numbers(section(found, "offsets")),
            sink=section(found, "sink"),
            shipped=_numbers(found).get("shipped", 0),
            pending=_pending(items(found, "pending")),
            torn=_numbers(section(found, "torn")),
            closed=closed if isinstance(closed, str) else "",
        )

    def write(self, path: Path) -> None:
        """Replace the file."""
        content = {
            "format": _FORMAT,
            "offsets": self.offsets,
            "sink": self.sink,
            "shipped": self.shipped,
            "pending": self.pending,
            "torn": self.torn,
            "closed": self.closed,
        }
        write_atomic(path, json.dumps(content))

    def behind_bytes(self, journals: Path) -> int:
        """Return how many bytes of the journals have not been shipped."""
        behind = 0
        for path in journal_files(journals):
            try:
                size = path.stat().st_size
            except FileNotFoundError:
                continue
            behind += max(0, size - self.offsets.get(path.name, 0) - self.torn.get(path.name, 0))
        return behind

    @property
    def mapped(self) -> dict[str, int]:
        """What the tracker could not hold as it was, counted by rule."""
        return _numbers(section(self.sink, MAPPED))

    @property
    def where(self) -> str:
        """Where to look at the run; empty where the sink did not say."""
        found = self.sink.get(WHERE)
        return found if isinstance(found, str) else ""


def _numbers(value: Mapping[str, object]) -> dict[str, int]:
    return {key: number for key, number in value.items() if _is_count(number)}


def _is_count(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _pending(value: list[object]) -> tuple[str, int, int] | None:
    match value:
        case [str() as journal, start, end] if _is_count(start) and _is_count(end):
            return journal, start, end
        case _:
            return None
