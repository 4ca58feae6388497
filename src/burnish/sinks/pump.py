"""Moves what journals hold to one sink, batch by batch; the cursor is stored after each.

Before a batch its bounds are stored, after it what the sink says of it. So after a crash the same batch comes again,
and nothing is left out.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

from burnish.core.errors import JournalError
from burnish.core.paths import RunPaths
from burnish.core.secrets import Masker
from burnish.journal import Record, Row
from burnish.journal.reader import JournalName, JournalReader, RunReader, journal_files
from burnish.sinks.base import WHERE, Batch, Sink, SinkState
from burnish.sinks.cursor import Cursor

SinkFactory = Callable[[], Sink]
_MOST_CLOSES: Final = 3


class Pump:
    """Ships one run's journals through one sink. The caller is the only one to do so: it holds the sink's lock.

    Whatever a sink raises passes through; after that `drop` is to be called, and the next `round` goes on from the
    stored cursor.

    Args:
        run: The run.
        name: The sink's name, under which its cursor is kept.
        make: Makes the sink.
        batch_bytes: How much of a file is shipped at once; what the sink says when left out.
    """

    def __init__(self, run: RunPaths, name: str, make: SinkFactory, *, batch_bytes: int = 0) -> None:
        self._run = run
        self._make = make
        self._file = run.cursors / f"{name}.json"
        self._batch_bytes = batch_bytes
        self._sink: Sink | None = None
        self._reader = RunReader(run.journals)
        self.cursor = Cursor.read(self._file)
        self._masker = Masker.from_environment(os.environ)
        self.on_batch: Callable[[], None] = lambda: None
        """Called before and after each call of the sink, which may take long, and by it meanwhile."""
        self.on_shipped: Callable[[], None] = lambda: None
        """Called after each batch that was shipped."""

    def round(self) -> None:
        """Ship everything that is there."""
        self._ship_new(self._sink or self._open())

    def close(self, status: str) -> None:
        """Close the sink, all being shipped. A run that goes on later is opened again from there."""
        sink = self._sink or self._open()
        has_more, tries = True, 0
        while has_more and tries < _MOST_CLOSES:
            self.on_batch()
            sink.close(status)
            sizes = {path.name: path.stat().st_size for path in journal_files(self._run.journals)}
            has_more, tries = self._ship_new(sink), tries + 1  # by a process that outlived the run's own
        if self._reader.failed:
            raise OSError(f"journals cannot be read now: {', '.join(sorted(self._reader.failed))}")
        offsets = self._reader.offsets
        self.cursor.torn = {
            name: size - offsets[name] for name, size in sizes.items() if size > offsets.get(name, size)
        }
        self.cursor.closed = status
        self._store()
        self.drop()

    def start_over(self) -> None:
        """Forget what was shipped: the next round begins with the first entry."""
        self.drop()
        self.cursor = Cursor()
        self._store()

    def drop(self) -> None:
        """Let go of sink and files."""
        self._reader.close()
        self._sink = None

    def _open(self) -> Sink:
        self.cursor = Cursor.read(self._file)
        self.on_batch()
        sink = self._make()
        sink.alive = self.on_batch
        sink.open(self._run, self.cursor.sink)
        self.on_batch()
        if self.cursor.pending is not None:
            self._ship_pending(sink, *self.cursor.pending)
        size = self._batch_bytes or sink.batch_bytes
        self._reader = RunReader(self._run.journals, self.cursor.offsets, chunk_bytes=size)
        self._sink = sink
        return sink

    def _ship_new(self, sink: Sink) -> bool:
        """Ship what came since the last time; return whether there was anything."""
        shipped = self.cursor.shipped
        for reader, entries in self._reader.read():
            self._ship(sink, reader.path, entries, reader.offset)
        self._pass_over_damage()
        return self.cursor.shipped > shipped

    def _ship_pending(self, sink: Sink, journal: str, start: int, end: int) -> None:
        path = self._run.journals / journal
        if self.cursor.offsets.get(journal, 0) != start:
            return
        try:
            reader = JournalReader(path, start)
        except (FileNotFoundError, JournalError):
            return
        try:
            entries = reader.read_to(end)
        except JournalError:
            return  # told by whoever reads it in its turn
        finally:
            reader.close()
        if entries:
            self._ship(sink, path, entries, reader.offset)

    def _ship(self, sink: Sink, path: Path, entries: list[Row | Record], end: int) -> None:
        name, cursor = path.name, self.cursor
        start = cursor.offsets.get(name, 0)
        cursor.pending = name, start, end
        cursor.closed = ""
        self._store()
        self.on_batch()
        cursor.sink = self._masked(sink.ship(Batch(name, JournalName.parse(path).rank, entries, start, end)))
        self.on_batch()
        cursor.offsets[name] = end
        cursor.shipped += len(entries)
        cursor.pending = None
        self._store()
        self.on_shipped()

    def _masked(self, state: SinkState) -> SinkState:
        """Return a state in which an address holds no login."""
        where = state.get(WHERE)
        return {**state, WHERE: self._masker.text(where)} if isinstance(where, str) else state

    def _pass_over_damage(self) -> None:
        """Note bytes that were read and held no entry, so that nobody takes them for unshipped."""
        for name, offset in self._reader.offsets.items():
            self.cursor.offsets[name] = max(offset, self.cursor.offsets.get(name, 0))

    def _store(self) -> None:
        self.cursor.write(self._file)
