"""The summary of each metric while a run lives: what `Scalars.summary` says of the finished run, point by point.

Points that a resumed attempt replaces are taken back to the checkpoint of its step, which is where attempts go on.
Where there was none the journals are read again: they alone know what was logged between.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Self

from burnish.journal import Kind, Record, Row
from burnish.journal.direction import Best, best_direction

if TYPE_CHECKING:
    from burnish.journal.series import Series

_MOST_MARKS = 8


@dataclass(slots=True)
class _Metric:
    """What is known of one metric; `low` and `high` leave NaN out, the best also infinities."""

    first: float
    first_step: int
    count: int = 0
    last: float = math.nan
    last_step: int = -1
    low: float = math.inf
    high: float = -math.inf
    is_number: bool = False
    nonfinite: int = 0
    best_low: tuple[float, int] | None = None
    best_high: tuple[float, int] | None = None

    @classmethod
    def of(cls, series: Series) -> Self:
        points = series.by_step()
        low, high = points.summary("min"), points.summary("max")
        found = cls(low["first"], int(points.step[0]), int(low["count"]), low["last"], int(low["last_step"]))
        found.nonfinite = int(low["nonfinite"])
        if low["min"] == low["min"]:
            found.low, found.high, found.is_number = low["min"], low["max"], True
        if "best" in low:
            found.best_low = low["best"], int(low["best_step"])
            found.best_high = high["best"], int(high["best_step"])
        return found

    def take(self, value: float, step: int) -> None:
        self.count += 1
        if step >= self.last_step:
            self.last, self.last_step = value, step
        if step < self.first_step:  # the files of two processes of one attempt may interleave
            self.first, self.first_step = value, step
        if not math.isfinite(value):
            self.nonfinite += 1
            if value != value:
                return
        elif self.best_low is None or self.best_high is None:
            self.best_low = self.best_high = (value, step)
        else:  # of equals the one of the earliest step
            if value < self.best_low[0] or (value == self.best_low[0] and step < self.best_low[1]):
                self.best_low = (value, step)
            if value > self.best_high[0] or (value == self.best_high[0] and step < self.best_high[1]):
                self.best_high = (value, step)
        self.is_number = True
        if value < self.low:
            self.low = value
        if value > self.high:
            self.high = value

    def to_json(self, direction: Best) -> dict[str, float]:
        shown = {
            "count": self.count,
            "first": self.first,
            "last": self.last,
            "min": self.low if self.is_number else math.nan,
            "max": self.high if self.is_number else math.nan,
            "last_step": self.last_step,
            "nonfinite": self.nonfinite,
        }
        best = {"min": self.best_low, "max": self.best_high}.get(direction)
        return shown if best is None else {**shown, "best": best[0], "best_step": best[1]}


@dataclass(slots=True)
class LiveSummary:
    """Summaries of the metrics of rank 0, over the attempts so far.

    Attributes:
        folder: The run's journals.
        metrics: What is known of each.
        marks: What was known when the steps of a checkpoint were complete, by that step, oldest first.
    """

    folder: Path
    metrics: dict[str, _Metric] = field(default_factory=dict)
    marks: deque[tuple[int, dict[str, _Metric]]] = field(default_factory=lambda: deque(maxlen=_MOST_MARKS))
    _attempt: int = 1
    _first_step: int | None = None
    _awaits_first_step: bool = False
    _checkpoint: int | None = None
    _flat: dict[tuple[str, ...], list[_Metric]] = field(default_factory=dict)
    _last: dict[str, int] = field(default_factory=dict)
    """The sequence number of the last entry that was taken of each file."""
    _joined: set[str] = field(default_factory=set)
    """Files that go on with what another of their attempt has begun: they replace nothing."""
    _is_ahead: bool = False
    """Whether a joined file has logged in this attempt before the one that begins it."""
    _is_stale: bool = False

    def take(self, entry: Row | Record, file: str) -> None:
        """Account for one entry of a journal of rank 0, whose file has this name."""
        self._last[file] = entry.seq
        if isinstance(entry, Row):
            self._row(entry, file)
        elif entry.kind == Kind.CHECKPOINT and entry.step is not None:
            self._checkpoint = entry.step
        elif entry.kind == Kind.LIFECYCLE and entry.key == "open":
            attempt = entry.payload.get("attempt")
            if entry.payload.get("continues") is True:
                self._joined.add(file)
            if isinstance(attempt, int) and attempt > self._attempt:
                self._attempt, self._awaits_first_step, self._is_ahead = attempt, True, False
        elif entry.kind == Kind.LIFECYCLE and entry.key == "resume" and entry.step is not None:
            self._take_back(entry.step)

    def settle(self) -> None:
        """Read the journals again, up to what was taken, where that alone tells what still counts."""
        if not self._is_stale:
            return
        from burnish.launch.rebuilt import read_series  # NumPy, which few live runs need

        found = read_series(self.folder, self._last)
        self.metrics = {name: _Metric.of(series) for name, series in found.items()}
        self._first_step = min((metric.first_step for metric in self.metrics.values()), default=None)
        self._is_stale = False
        self._flat.clear()

    def to_json(self, definitions: Mapping[str, Mapping[str, object]]) -> dict[str, dict[str, float]]:
        """Return the summaries as they stand in `run.json`, by name.

        Args:
            definitions: What the user said of metrics, by pattern.
        """
        return {
            name: metric.to_json(best_direction(name, definitions)) for name, metric in sorted(self.metrics.items())
        }

    def _row(self, row: Row, file: str) -> None:
        if self._awaits_first_step and file in self._joined:
            self._is_ahead = True
        elif self._awaits_first_step:
            self._take_back(row.step - 1)
        if self._checkpoint is not None and row.step > self._checkpoint:
            # Not at the checkpoint itself: an evaluation of its step may be logged after it.
            if not self._is_stale:
                known = {name: replace(metric) for name, metric in self.metrics.items()}
                self.marks.append((self._checkpoint, known))
            self._checkpoint = None
        if self._first_step is None or row.step < self._first_step:
            self._first_step = row.step
        for metric, value in zip(self._flat.get(row.keys) or self._known(row), row.values, strict=True):
            metric.take(value, row.step)

    def _known(self, row: Row) -> list[_Metric]:
        for name, value in zip(row.keys, row.values, strict=True):
            if name not in self.metrics:
                self.metrics[name] = _Metric(value, row.step)
        if len(self._flat) > 1024:  # a name that holds the step would fill the memory
            self._flat.clear()
        self._flat[row.keys] = found = [self.metrics[name] for name in row.keys]
        return found

    def _take_back(self, step: int) -> None:
        """Forget what was logged beyond a step, which is being done again."""
        self._awaits_first_step, self._checkpoint = False, None
        while self.marks and self.marks[-1][0] > step:
            self.marks.pop()
        if self._is_ahead:
            self._is_ahead, self._is_stale = False, True
        elif self._first_step is None or step < self._first_step:
            self.metrics = {}
        elif not self.marks or self.marks[-1][0] < step:
            self._is_stale = True
        else:
            self.metrics = {name: replace(metric) for name, metric in self.marks[-1][1].items()}
        self._flat.clear()
