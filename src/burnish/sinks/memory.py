"""A sink that keeps what it was given: for tests, and for looking at a run from Python."""

from __future__ import annotations

from typing import ClassVar

from burnish.core.paths import RunPaths
from burnish.journal import Record, Row
from burnish.sinks.base import Batch, Sink, SinkState


class MemorySink(Sink):
    """Holds the entries of each journal in `entries`; `status` is set once it is closed."""

    name: ClassVar[str] = "memory"

    def __init__(self) -> None:
        self.entries: dict[str, list[Row | Record]] = {}
        self.status = ""

    def open(self, run: RunPaths, state: SinkState) -> None:
        """Forget what came after the state."""
        for journal, taken in self.entries.items():
            kept = state.get(journal, 0)
            del taken[kept if isinstance(kept, int) else 0 :]

    def ship(self, batch: Batch) -> SinkState:
        """Keep a batch."""
        self.entries.setdefault(batch.journal, []).extend(batch.entries)
        return {journal: len(taken) for journal, taken in self.entries.items()}

    def close(self, status: str) -> None:
        """Note the status."""
        self.status = status
