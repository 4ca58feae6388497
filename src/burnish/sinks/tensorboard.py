"""TensorBoard: one event file a journal, whose bytes are a function of that journal alone.

After a crash the file is cut back to the stored offset and appended to, which writes the same bytes again under
a reader that may be looking. A resumed attempt begins with a session start at its first new step, by which
TensorBoard drops the steps that it replays.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, ClassVar

from tensorboard.compat.proto.event_pb2 import Event, SessionLog
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.record_writer import RecordWriter

from burnish.core.paths import RunPaths
from burnish.journal import Kind, Record, Row
from burnish.journal.reader import SYSTEM_RANK, JournalName
from burnish.sinks.base import Batch, Sink, SinkState

FOLDER = "tensorboard"


@dataclass(slots=True)
class _EventFile:
    """One event file and what its journal has said so far."""

    handle: BinaryIO
    attempt: int = 1
    restarted: bool = False
    writer: RecordWriter = field(init=False)

    def __post_init__(self) -> None:
        self.writer = RecordWriter(self.handle)

    def write(self, event: Event) -> None:
        self.writer.write(event.SerializeToString(deterministic=True))


class TensorBoardSink(Sink):
    """Writes scalars of rank 0 to `<run>/tensorboard`, those of the machine to a folder `system` in it.

    TensorBoard keeps them as 32-bit floats.
    """

    name: ClassVar[str] = "tensorboard"

    def __init__(self) -> None:
        self._folder = Path()
        self._files: dict[str, _EventFile] = {}
        self._state: SinkState = {}

    def open(self, run: RunPaths, state: SinkState) -> None:
        """Cut each event file back to what the state vouches for."""
        for file in self._files.values():
            file.handle.close()
        self._files.clear()
        self._folder = run.root / FOLDER
        self._folder.mkdir(exist_ok=True)
        self._state = dict(state)

    def ship(self, batch: Batch) -> SinkState:
        """Append the batch's scalars."""
        if batch.rank not in (0, SYSTEM_RANK):
            return self._state
        file = self._files.get(batch.journal) or self._reopen(batch.journal)
        for entry in batch.entries:
            if isinstance(entry, Row):
                _row(file, entry)
            else:
                _record(file, entry)
        file.handle.flush()
        size = file.handle.tell()
        self._state = {**self._state, batch.journal: [size, file.attempt, file.restarted]}
        return self._state

    def close(self, status: str) -> None:
        """Close the event files."""
        for file in self._files.values():
            file.handle.close()

    def _reopen(self, journal: str) -> _EventFile:
        written = JournalName.parse(Path(journal))
        seconds, rank = written.started_us // 1_000_000, max(0, written.rank)
        name = f"events.out.tfevents.{seconds:010d}.burnish.{written.started_us}.{rank}-{written.pid}"
        # A run of its own in TensorBoard: a session start drops later steps of every tag of a run.
        folder = self._folder / "system" if written.rank == SYSTEM_RANK else self._folder
        folder.mkdir(exist_ok=True)
        known = self._state.get(journal)
        size, attempt, restarted = known if isinstance(known, list) else (0, 1, False)
        fd = os.open(folder / name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        size = min(size, os.fstat(fd).st_size)  # shorter when somebody deleted it: never a hole of zeros
        os.ftruncate(fd, size)
        handle = os.fdopen(fd, "r+b")
        handle.seek(size)
        self._files[journal] = file = _EventFile(handle, attempt, restarted)
        return file


def _record(file: _EventFile, record: Record) -> None:
    if record.kind != Kind.LIFECYCLE:
        return
    if record.key == "open":
        file.write(Event(wall_time=record.time, file_version="brain.Event:2"))
        attempt = record.payload.get("attempt", 1)
        file.attempt = attempt if isinstance(attempt, int) else 1
        file.restarted = bool(record.payload.get("continues"))
    elif record.key == "resume" and record.step is not None:
        _restart(file, record.step + 1, record.time)


def _row(file: _EventFile, row: Row) -> None:
    if file.attempt > 1 and not file.restarted:
        _restart(file, row.step, row.time)
    values = [Summary.Value(tag=key, simple_value=value) for key, value in zip(row.keys, row.values, strict=True)]
    file.write(Event(wall_time=row.time, step=row.step, summary=Summary(value=values)))


def _restart(file: _EventFile, step: int, at: float) -> None:
    file.restarted = True
    file.write(Event(wall_time=at, step=step, session_log=SessionLog(status=SessionLog.START)))
