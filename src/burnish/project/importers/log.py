"""The journal of a run that is being imported: steps and times are those of the source, and what cannot be is counted.

A digest of all that is logged, times aside, says whether a source has changed since: times may be estimates, which
change when a file is copied.
"""

from __future__ import annotations

import hashlib
import json
import struct
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from burnish.core.secrets import Masker
from burnish.journal import JournalWriter, Kind, Record
from burnish.journal.reader import JournalName
from burnish.launch.labels import Labels
from burnish.project.importers.values import can_be_time, number, whole

_LONGEST_NAME: Final = 300
_SHOWN_NAMES: Final = 5
_MOST_NAMES: Final = 1 << 17
_NO_NUMBER: Final = "that is no number"
_LARGEST_RECORD: Final = 32 << 20  # bytes; a journal takes frames of twice that


@dataclass(slots=True)
class Span:
    """From when to when an attempt logged, and how far it came."""

    first: float | None = None
    last: float | None = None
    last_step: int = -1


class Log:
    """What a source tells of one run is written here, in its order.

    Args:
        root: The run's folder, in which pictures and files are kept.
        masker: Hides credentials.
        label: What the digests begin with.
        on_progress: Told how much more was read.

    Attributes:
        left_out: What a run cannot hold, by rule.
        labels: What was told besides numbers.
        names: The metrics.
        rows: How many rows of scalars there are.
        points: How many values they hold.
        attempt: How often it was begun.
        spans: What each attempt covers.
    """

    def __init__(
        self, root: Path, masker: Masker, label: str, on_progress: Callable[[float], None] = lambda done: None
    ) -> None:
        self.root = root
        self.masker = masker
        self.advance = on_progress
        self.left_out: Counter[str] = Counter()
        self.labels = Labels()
        self.rows = self.points = self.attempt = 0
        self.last_step: int | None = None
        self.first_time: float | None = None
        self.last_time: float | None = None
        self._hash = hashlib.sha256(label.encode(errors="backslashreplace"))
        self._beginning = ""
        self.spans: list[Span] = []
        self.names: set[str] = set()
        self._names: dict[str, str] = {}
        self._no_numbers: Counter[str] = Counter()
        self._at = 0.0
        self._keys: tuple[str, ...] = ()
        self._writer = self._next_writer()

    @property
    def digest(self) -> str:
        """Names all that was logged."""
        return self._hash.hexdigest()

    @property
    def beginning(self) -> str:
        """Names the first row that was logged; empty where there is none."""
        return self._beginning

    def scalars(self, values: Mapping[str, object], step: object, at: float | None) -> None:
        """Record the numbers among some values; the others, and all of a step that cannot be one, are counted.

        Args:
            values: By name. None is no value.
            step: The step that they belong to.
            at: Seconds since the epoch; None where the source does not say, which counts as the last time told.
        """
        numbers: dict[str, float] = {}
        for name, value in values.items():
            if (found := number(value)) is not None:
                numbers[self._names.get(name) or self._name(name)] = found
            elif value is not None:
                self._no_numbers[name if len(self._no_numbers) < _SHOWN_NAMES else ""] += 1
        if not numbers:
            return
        if (known := whole(step)) is None:
            self.left_out["row without a step"] += 1
            return
        self._row(tuple(numbers), tuple(numbers.values()), known, self._time(at))

    def record(self, kind: Kind, key: str, payload: Mapping[str, object], step: object, at: float | None) -> None:
        """Record anything that is not a row of scalars."""
        known = None if step is None else whole(step)
        if step is not None and known is None:
            self.left_out["record without a step"] += 1
            return
        told = _plain(self.masker.tree(payload))
        if len(encoded := json.dumps(told, sort_keys=True)) > _LARGEST_RECORD:
            self.left_out["record that is too large"] += 1
            return
        name, moment = self._names.get(key) or self._name(key), self._time(at)
        self._hash.update(f"\0{int(kind)}\0{name}\0{known}\0{encoded}".encode())
        assert isinstance(told, dict)
        self._writer.record(kind, name, told, known, at=moment)
        self.labels.take(Record(kind, 0, known, moment, name, told), _RANK_0)
        if kind != Kind.LIFECYCLE:
            self._note_time(moment)

    def restart(self, step: object) -> None:
        """Say that what was logged from this step on is replaced by what follows."""
        known = whole(step)
        if known is None or not (self.rows or self.labels.media):
            return
        self._writer.close()
        self._writer = self._next_writer()
        self._keys = ()
        self.labels.take(Record(Kind.LIFECYCLE, 0, None, self._at, "open", {"attempt": self.attempt}), _RANK_0)
        self.record(Kind.LIFECYCLE, "resume", {}, max(known - 1, -(2**63)), None)

    def text(self, text: str) -> str:
        """Return text as it may be kept."""
        return self.masker.text(text).encode(errors="backslashreplace").decode()

    def close(self) -> None:
        """Close the journal."""
        self._writer.close()

    def warnings(self) -> list[str]:
        """Return what was left out, in words."""
        told = [f"left out: {count:,} × {rule}" for rule, count in sorted(self.left_out.items())]
        if self._no_numbers:
            names = [name for name in self._no_numbers if name]
            more = ", …" if len(names) < len(self._no_numbers) else ""
            shown = ", ".join(self.text(name)[:40] for name in names)
            told.append(f"left out: {self._no_numbers.total():,} × value {_NO_NUMBER} ({shown}{more})")
        return told

    def _next_writer(self) -> JournalWriter:
        self.attempt += 1
        self.spans.append(Span())
        number = self.attempt
        return JournalWriter(self.root / "journal", 0, lambda: {"attempt": number, "imported": True})

    def _row(self, keys: tuple[str, ...], values: tuple[float, ...], step: int, at: float) -> None:
        self._writer.row(keys, values, step, at)
        if keys != self._keys:
            self._keys = keys
            if len(self.names) < _MOST_NAMES:
                self.names.update(keys)
            self._hash.update("\0".join(("", *keys, "")).encode())
        self._hash.update(struct.pack(f"<q{len(values)}d", step, *values))
        if not self.rows:
            self._beginning = self._hash.hexdigest()
        self.rows += 1
        self.points += len(values)
        self.last_step = step if self.last_step is None else max(step, self.last_step)
        self.spans[-1].last_step = max(step, self.spans[-1].last_step)
        self._note_time(at)

    def _note_time(self, at: float) -> None:
        if at:
            self.first_time = at if self.first_time is None else min(at, self.first_time)
            self.last_time = at if self.last_time is None else max(at, self.last_time)
            span = self.spans[-1]
            span.first = at if span.first is None else min(at, span.first)
            span.last = at if span.last is None else max(at, span.last)

    def _time(self, at: float | None) -> float:
        if at is not None and can_be_time(at):
            self._at = at
        elif at is not None:
            self.left_out["time that cannot be"] += 1
        return self._at

    def _name(self, name: str) -> str:
        """Return a metric's name as it may be kept: valid text of a bearable length, without credentials."""
        kept = self.text(name) or "value"
        if len(kept) > _LONGEST_NAME:
            self.left_out["end of a long name"] += 1
            kept = f"{kept[:_LONGEST_NAME]}…{hashlib.sha256(kept.encode()).hexdigest()[:8]}"
        if len(self._names) >= _MOST_NAMES:  # names that hold a step would fill the memory
            self._names.clear()
        self._names[name] = kept
        return kept


_RANK_0: Final = JournalName(0, 0, 0)


def _plain(value: object) -> object:
    """Return a value in terms of JSON that a journal can hold: valid text, numbers of 64 bits."""
    if isinstance(value, str):
        return value.encode(errors="backslashreplace").decode()
    if isinstance(value, int) and not isinstance(value, bool):
        return value if -(2**63) <= value < 2**63 else float(number(value) or 0)
    if isinstance(value, dict):
        return {str(_plain(key)): _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list) else value
