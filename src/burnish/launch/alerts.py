"""What is worth telling someone about a live run: a number that is none, a crash, silence, the end. Pure.

Each thing is told once, also when another process takes over and reads the journals from their beginning: the
alerts of its predecessors stand in their journals, which are read first.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field

from burnish.journal import Kind, Record, Row
from burnish.journal.reader import JournalName
from burnish.launch.retry import Exit, State, describe
from burnish.track.run import EXIT_RESUME_ME

_LEVELS = ("info", "warning", "error")
_LONGEST_NAME, _LONGEST_TITLE, _LONGEST_TEXT = 100, 200, 2000
_MOST_NONFINITE = 5  # a model that has diverged makes every metric NaN at once; a few say it all


@dataclass(frozen=True, slots=True)
class Alert:
    """Something about a run that someone wants to be told.

    Attributes:
        reason: `nan`, `crash`, `stall`, `finished`, or `alert` for what the training script said itself.
        level: `info`, `warning` or `error`.
        title: What happened, in a few words.
        text: The rest, possibly empty.
        step: The training step at which it happened; None when unknown.
        time: Seconds since the epoch.
    """

    reason: str
    level: str
    title: str
    text: str
    step: int | None
    time: float

    def to_json(self) -> dict[str, object]:
        """Return the alert as it stands in `run.json`."""
        return asdict(self)


_Key = tuple[str, str, object]


@dataclass(slots=True)
class AlertWatch:
    """Notices what is worth telling, from the journals' entries and the ends of attempts.

    Attributes:
        wanted: The reasons that are told; what the training script says itself is always noticed.
        stall_s: Silence that is a stall.
    """

    wanted: frozenset[str] = frozenset()
    stall_s: float = 600.0
    _known: set[_Key] = field(default_factory=set)
    _nonfinite: set[str] = field(default_factory=set)
    _attempt: int = 0
    _said_by: dict[tuple[str, int | None], int] = field(default_factory=dict)
    _heard_at: float | None = None
    _crashed: bool = False

    def remember(self, entry: Row | Record) -> None:
        """Note an alert that stands in the journal of a process that watched this run earlier."""
        if not isinstance(entry, Row) and entry.kind == Kind.ALERT:
            reason, at = str(entry.payload.get("reason", "")), entry.payload.get("at")
            self._known |= {(reason, entry.key, at), (reason, entry.key, entry.step)}

    def take(self, entry: Row | Record, source: JournalName, heard_at: float) -> list[Alert]:
        """Account for one entry of a journal of a training process, and return what is new in it.

        Args:
            entry: The entry.
            source: The journal that it comes from.
            heard_at: Now, by a clock that never goes back.
        """
        if isinstance(entry, Row):
            self._heard_at = heard_at
            if math.isfinite(sum(entry.values)):  # an overflow of good numbers is told apart below
                return []
            return self._new(self._not_finite(entry, source)) if "nan" in self.wanted else []
        if self._heard_at is not None:
            self._heard_at = heard_at
        if entry.kind == Kind.LIFECYCLE and entry.key == "open" and source.rank == 0:
            attempt = entry.payload.get("attempt")
            if isinstance(attempt, int) and attempt != self._attempt:
                self.begin(attempt)
        if entry.kind == Kind.ALERT and self._said_by.setdefault((entry.key, entry.step), source.rank) == source.rank:
            return self._new([_said(entry)])  # the same words of another rank of the job are not told again
        return []

    def begin(self, attempt: int) -> None:
        """Account for the start of an attempt: it may diverge anew, and is silent until its first row."""
        if attempt != self._attempt:
            self._attempt = attempt
            self._nonfinite.clear()
        self._heard_at = None
        self._crashed = False

    def look(self, step: int, now: float, at: float) -> list[Alert]:
        """Return whether the training process, which lives, has been silent for too long.

        Args:
            step: Its last step.
            now: Now, by a clock that never goes back.
            at: Now, in seconds since the epoch.
        """
        if "stall" not in self.wanted or self._heard_at is None or now - self._heard_at < self.stall_s:
            return []
        self._heard_at = None  # until rows come again
        text = f"nothing was logged for {self.stall_s:g} s since step {step}, though the process lives"
        return self._unknown([Alert("stall", "warning", "training has stalled", text, step, at)])

    def ended(self, ended: Exit, *, stop_requested: bool, step: int, at: float) -> list[Alert]:
        """Return whether the attempt that ended like this has crashed."""
        self._heard_at = None
        if stop_requested or ended.code in (None, 0, EXIT_RESUME_ME):
            return []  # what nobody saw, or what should have closed its record, is judged with the run
        return self._crash(describe(ended), step, at)

    def finished(self, state: State, reason: str, *, step: int, at: float) -> list[Alert]:
        """Return what is to be told of a run's end."""
        found: list[Alert] = []
        if state in ("failed", "lost") and not self._crashed:
            found += self._crash(reason, step, at)
        if "finished" in self.wanted:
            text = "" if reason == state else reason
            level = "error" if state in ("failed", "lost") else "info"
            found += self._unknown([Alert("finished", level, _ENDS.get(state, f"the run is {state}"), text, step, at)])
        return found

    def _crash(self, reason: str, step: int, at: float) -> list[Alert]:
        if "crash" not in self.wanted:
            return []
        self._crashed = True
        return self._unknown([Alert("crash", "error", f"attempt {max(1, self._attempt)} crashed", reason, step, at)])

    def _not_finite(self, row: Row, source: JournalName) -> list[Alert]:
        found: list[Alert] = []
        for name, value in zip(row.keys, row.values, strict=True):
            if math.isfinite(value) or name in self._nonfinite or len(self._nonfinite) >= _MOST_NONFINITE:
                continue
            self._nonfinite.add(name)
            name = _cut(name, _LONGEST_NAME)
            where = f" on rank {source.rank}" if source.rank else ""
            text = f"{name} = {value} at step {row.step}{where}"
            found.append(Alert("nan", "warning", f"{name} is not finite", text, row.step, row.time))
        return found

    def _new(self, alerts: Sequence[Alert]) -> list[Alert]:
        """Return the alerts, whose time is that of their entry, that no earlier process has told."""
        return [a for a in alerts if (a.reason, a.title, a.time) not in self._known]

    def _unknown(self, alerts: Sequence[Alert]) -> list[Alert]:
        """Return the alerts, whose time is when somebody looked, that no earlier process has told of their step."""
        return [a for a in alerts if (a.reason, a.title, a.step) not in self._known]


_ENDS = {
    "finished": "the run has finished",
    "stopped": "the run has stopped on request",
    "failed": "the run has failed",
    "lost": "the run has ended unseen",
}


def _said(entry: Record) -> Alert:
    level = str(entry.payload.get("level", ""))
    return Alert(
        "alert",
        level if level in _LEVELS else "info",
        _cut(entry.key, _LONGEST_TITLE),
        _cut(str(entry.payload.get("text", "")), _LONGEST_TEXT),  # all of it stands in the journal
        entry.step,
        entry.time,
    )


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[:most]}…"
