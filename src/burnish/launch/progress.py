"""Where a live run stands: its step, its speed, and how its processes said that they ended."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from burnish.journal import Kind, Record, Row

_SPEED_WINDOW = 40
_LOST = ("kind", "key", "error")
_MOST_LOST = 100


@dataclass(slots=True)
class Progress:
    """Where a live run stands.

    Attributes:
        step: The last step logged; -1 before the first.
        total: How many steps there will be; 0 when unknown.
        latest: The last value of each metric.
        attempt: Which try is running.
        ends: The end frames of this attempt, by the id of the process that wrote it.
        reported: What the training process told for the card.
        dropped: Calls whose record could not be written.
        lost: What of it was not even recorded, with the reason: a file that is not there, rows that do not fit.
        stop_signals: How often it was asked to stop.
        times: Step and wall time of the last rows, for the speed.
    """

    step: int = -1
    total: int = 0
    latest: dict[str, float] = field(default_factory=dict)
    attempt: int = 1
    ends: dict[int, dict[str, object]] = field(default_factory=dict)
    reported: dict[str, object] = field(default_factory=dict)
    dropped: int = 0
    lost: list[dict[str, str]] = field(default_factory=list)
    stop_signals: int = 0
    times: deque[tuple[int, float]] = field(default_factory=lambda: deque(maxlen=_SPEED_WINDOW))
    _lost: dict[tuple[int, int], int] = field(default_factory=dict)
    """Calls that could not be written, by attempt and process, as each last said."""

    @property
    def steps_per_s(self) -> float:
        """Speed over the last steps; 0 when there are too few."""
        if len(self.times) < 2:
            return 0.0
        (step_a, time_a), (step_b, time_b) = self.times[0], self.times[-1]
        return (step_b - step_a) / (time_b - time_a) if time_b > time_a and step_b > step_a else 0.0

    @property
    def left_s(self) -> float | None:
        """Seconds left at this speed; None when unknown."""
        speed = self.steps_per_s
        return max(0, self.total - self.step) / speed if self.total and speed else None

    def begin(self, attempt: int) -> None:
        """Account for the start of an attempt."""
        self.attempt, self.step = attempt, -1
        self.ends.clear()
        self.times.clear()

    def end_of(self, pid: int) -> dict[str, object]:
        """Return the end frame of a process, or the last of any where it wrote none (a shell around a script)."""
        return self.ends.get(pid) or next(reversed(self.ends.values()), {})

    def take(self, entry: Row | Record, pid: int) -> None:
        """Account for one entry of a journal of rank 0 that a process wrote."""
        if isinstance(entry, Row):
            self.step = max(self.step, entry.step)
            self.latest.update(zip(entry.keys, entry.values, strict=True))
            if not self.times or entry.step > self.times[-1][0]:
                self.times.append((entry.step, entry.time))
        elif entry.kind == Kind.LIFECYCLE:
            self._lifecycle(entry, pid)

    def _lifecycle(self, record: Record, pid: int) -> None:
        if record.key == "open":
            attempt = record.payload.get("attempt")
            if isinstance(attempt, int) and attempt != self.attempt:
                self.begin(attempt)
            self._account_lost(record, pid)  # a file that follows one on a full disk; there may never be an end
        elif record.key == "resume" and record.step is not None:
            self.step = record.step
            self.times.clear()
        elif record.key == "total":
            total = record.payload.get("steps")
            self.total = total if isinstance(total, int) else 0
        elif record.key == "card":
            from burnish.track.card import merge_reported  # every command looks for orphans, few of which live

            self.reported = merge_reported(self.reported, record.payload)
        elif record.key == "lost":
            self.lost = [*self.lost, {k: str(record.payload.get(k, "")) for k in _LOST}][-_MOST_LOST:]
        elif record.key == "end":
            self.ends[pid] = {**record.payload, "time": record.time}
            self._account_lost(record, pid)

    def _account_lost(self, record: Record, pid: int) -> None:
        dropped = record.payload.get("dropped")
        self._lost[self.attempt, pid] = max(
            dropped if isinstance(dropped, int) else 0, self._lost.get((self.attempt, pid), 0)
        )
        self.dropped = sum(self._lost.values())
