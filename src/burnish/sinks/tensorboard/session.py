"""What one journal says, as events of one event file; nothing else enters, so that shipping again writes the same.

A resumed attempt begins with a session start at its first new step, by which TensorBoard drops the steps that it
replays.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tensorboard.compat.proto.event_pb2 import Event, SessionLog

from burnish.journal import Kind, Record, Row
from burnish.journal.reader import SYSTEM_RANK
from burnish.sinks.tensorboard.scalars import BEFORE, clamped, row_event
from burnish.sinks.tensorboard.summaries import Counts, record_event


@dataclass(slots=True)
class Session:
    """How far a journal was told; kept between batches.

    Attributes:
        rank: Whose it is.
        root: The run's folder.
        begun: The newest attempt that has said which steps it replays, in this file or one before.
        attempt: Counts from 1.
        is_settled: Whether it is known which steps are replayed, if any.
        begin: The step at which it began anew; None where it replays nothing, as far as is known.
    """

    rank: int
    root: Path
    begun: int = 1
    attempt: int = 1
    is_settled: bool = False
    begin: int | None = None

    def row(self, row: Row, counts: Counts) -> list[bytes]:
        """Return the events of a row."""
        event, beyond = row_event(row)
        if beyond:
            counts["beyond 32 bits"] += beyond
        if not self._may_replay:
            return [event]
        starts = self._begin(row.step, row.time)
        self._settle()
        return [*starts, event]

    def record(self, record: Record, counts: Counts) -> list[bytes]:
        """Return the events of a record."""
        if record.kind == Kind.LIFECYCLE and record.key == "open":
            attempt = record.payload.get("attempt", 1)
            self.attempt = attempt if isinstance(attempt, int) else 1
            self.is_settled = bool(record.payload.get("continues"))
            return [version_event(record.time)]
        if record.kind == Kind.LIFECYCLE and record.key == "resume":
            if record.step is None or self.rank == SYSTEM_RANK:
                return []
            self._settle()
            self.begin = None
            return self._begin(record.step + 1, record.time)
        shown = record_event(record, self._step(record), self.root, counts)
        if shown is None:
            return []
        # Without a start of its own it would be dropped by the one that the first row makes.
        starts = self._begin(record.step, record.time) if self._may_replay and record.step is not None else []
        return [*starts, shown]

    @property
    def _may_replay(self) -> bool:
        """Whether what comes next may replay what an earlier attempt said; what the machine did it did all the same."""
        return self.attempt > self.begun and not self.is_settled and self.rank != SYSTEM_RANK

    def _settle(self) -> None:
        self.is_settled, self.begun = True, max(self.begun, self.attempt)

    def _step(self, record: Record) -> int:
        """Return where a record is shown: what was said before any step where the attempt begins, if that is known."""
        if record.step is not None:
            return clamped(record.step)
        return BEFORE if self._may_replay else clamped(self.begin or 0)

    def _begin(self, step: int, at: float) -> list[bytes]:
        """Return what makes TensorBoard drop all from a step on, where that was not said yet."""
        if self.begin is not None and self.begin <= step:
            return []
        self.begin = step
        start = _serialized(Event(wall_time=at, step=clamped(step), session_log=SessionLog(status=SessionLog.START)))
        return [start, start]  # the first that it ever sees of a run, TensorBoard takes for the run's beginning


def version_event(at: float) -> bytes:
    """Return what an event file begins with."""
    return _serialized(Event(wall_time=at, file_version="brain.Event:2"))


def _serialized(event: Event) -> bytes:
    return bytes(event.SerializeToString(deterministic=True))
