"""Rows of scalars as records of W&B's history, and what the summary then holds.

This is where the time goes: what is the same for all rows of one key set is encoded once, the numbers of a row by one
call of msgspec, and the rest is joining bytes. A row of ten takes some seven microseconds; W&B's client takes 180.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

import msgspec

from burnish.journal import Row
from burnish.sinks.names import Names
from burnish.sinks.wandb import records
from burnish.sinks.wandb.axes import STEP, TIME, Best, Definitions, Drawn, clean_name, may_meet
from burnish.sinks.wandb.records import Path
from burnish.sinks.wire import part, varint, whole

_LONGEST_NUMBER: Final = 26
_MOST_PLANS: Final = 1024
_HISTORY_TAG: Final = varint(records.HISTORY << 3 | 2)
_STEP_TAG: Final = varint(2 << 3 | 2)
_ABOUT: Final = (STEP, "_step", "_runtime", TIME)
"""What every row holds after the metrics."""
_encode: Final = msgspec.json.Encoder().encode
_Heads = tuple[bytes, ...]


@dataclass(slots=True)
class Rows:
    """Encodes rows in the order of their numbers.

    Attributes:
        created: When the run began; W&B's `_runtime` counts from it.
        definitions: How metrics are drawn.
        names: What metrics are called.
        count: How many rows there are: W&B's `_step` of the next one.
        step: The newest step of training.
        told: How W&B was told to draw those metrics that are not drawn over the step alone.
        extremes: The best values of metrics that have one.
        axes: The newest value of each metric that others are drawn over.
        last: The newest value of each metric as JSON, since they were last taken for the summary.
    """

    created: float
    definitions: Definitions = field(default_factory=Definitions)
    names: Names = field(default_factory=lambda: Names(clean_name, may_meet))
    count: int = 0
    step: int = 0
    told: dict[str, Drawn] = field(default_factory=dict)
    extremes: dict[str, float] = field(default_factory=dict)
    axes: dict[str, float] = field(default_factory=dict)
    last: dict[str, bytes] = field(default_factory=dict)
    _plans: dict[tuple[str, ...], _Plan] = field(default_factory=dict)

    def define(self, pattern: str, axis: str, best: str) -> None:
        """Take in how metrics are drawn from here on."""
        self.definitions.say(pattern, axis, best)
        self._plans.clear()

    def pass_by(self, row: Row) -> None:
        """Keep what others are drawn over from a row of which not everything is told."""
        for _, axis, _ in self.definitions.said:
            if axis in row.keys:
                self.axes[axis] = row.values[row.keys.index(axis)]

    def add(self, row: Row, out: list[bytes]) -> int:
        """Encode a row, after what W&B has to be told of metrics that are new.

        Returns:
            How many of its names W&B or the sink keeps for itself.
        """
        plan = self._plans.get(row.keys) or self._plan(row.keys, out)
        at = row.time
        values = (*row.values, row.step, self.count, round(at - self.created, 6), at)
        raw = _encode(values)
        texts = raw[1:-1].split(b",")
        if b"n" in raw:  # null, which stands for what JSON has no word for
            texts = [number(value) for value in values]
        pieces = [piece for head, text in zip(plan.heads, texts, strict=True) for piece in (head[len(text)], text)]
        if plan.is_special:
            pieces += self._special(plan, row)
        step = whole(1, self.count)
        pieces += (_STEP_TAG, varint(len(step)), step)
        body = b"".join(pieces)
        out.append(_HISTORY_TAG + varint(len(body)) + body)
        self.last.update(zip(plan.names, texts, strict=True))
        self.count += 1
        self.step = row.step
        return plan.changed

    def add_value(self, name: str, value: Mapping[str, object], step: int | None, at: float) -> bytes:
        """Return a row that holds one value with parts, such as a histogram or a picture."""
        name = self.names[name]
        head = [((name, key), json_text(item)) for key, item in value.items()]
        step = self.step if step is None else step
        about = zip(_ABOUT, map(number, (step, self.count, round(at - self.created, 6), at)), strict=True)
        told = dict(about)
        values = [*head, *(((key,), text) for key, text in told.items())]
        self.last.update(told)
        made = records.history(values, self.count)
        self.last[name] = json_text(value)
        self.count += 1
        return made

    def take_summary(self) -> bytes:
        """Return the newest values as a record of the summary, and forget them; nothing where there are none."""
        if not self.last:
            return b""
        values: list[tuple[Path, bytes]] = []
        for name, text in self.last.items():
            drawn = self.told.get(name)
            if drawn is not None and drawn.best:
                shown = number(self.extremes[name]) if name in self.extremes else b"NaN"
                text = b'{"%s":%s,"last":%s}' % (drawn.best.encode(), shown, text)
            values.append(((name,), text))
        self.last.clear()
        return records.summary(values)

    def tell_all(self) -> list[bytes]:
        """Return how all metrics are drawn, as a new log has to begin with."""
        known = [_metric(name, drawn) for name, drawn in self.told.items()]
        return [records.metric(STEP, hidden=True), records.metric("*", STEP, glob=True), *known]

    def _plan(self, keys: tuple[str, ...], out: list[bytes]) -> _Plan:
        """Return what is the same for all rows of a key set."""
        names = tuple(self.names[key] for key in keys)
        drawn = [self.definitions.drawn(key) for key in keys]
        for name, how in zip(names, drawn, strict=True):
            told = Drawn(self.names[how.axis] if _is_metric(how.axis) else how.axis, how.best)
            if self.told.get(name, Drawn()) != told:
                self.told[name] = told
                out.append(_metric(name, told))
        axes = {axis for _, axis, _ in self.definitions.said}
        best = tuple((place, names[place], how.best) for place, how in enumerate(drawn) if how.best)
        wanted = tuple(dict.fromkeys(how.axis for how in drawn if _is_metric(how.axis) and how.axis not in keys))
        held = tuple((place, key) for place, key in enumerate(keys) if key in axes)
        plan = _Plan(
            (*names, *_ABOUT),
            tuple(map(_heads, (*names, *_ABOUT))),
            best=best,
            wanted=wanted,
            axes=held,
            is_special=bool(best or wanted or held),
            changed=sum(name != key for name, key in zip(names, keys, strict=True)),
        )
        if len(self._plans) >= _MOST_PLANS:
            self._plans.clear()
        self._plans[keys] = plan
        return plan

    def _special(self, plan: _Plan, row: Row) -> list[bytes]:
        """Keep what is best and what others are drawn over; return the axes that the row lacks."""
        for place, name, best in plan.best:
            value, known = row.values[place], self.extremes.get(name)
            if value == value and (known is None or (value < known if best == "min" else value > known)):
                self.extremes[name] = value
        for place, key in plan.axes:
            self.axes[key] = row.values[place]
        lacking = [(self.names[axis], number(self.axes[axis])) for axis in plan.wanted if axis in self.axes]
        return [_heads(name)[len(text)] + text for name, text in lacking]


@dataclass(frozen=True, slots=True)
class _Plan:
    """What is the same for all rows of a key set.

    Attributes:
        names: What the values of a row are called, W&B's and the sink's own last.
        heads: What stands before each value, by the length of the value.
        best: Place, name and direction of those with a best value.
        wanted: Metrics that these are drawn over and the rows do not hold.
        axes: Place and name of those that others are drawn over.
        is_special: Whether a row needs more than its values.
        changed: How many names are not the user's.
    """

    names: tuple[str, ...]
    heads: tuple[_Heads, ...]
    best: tuple[tuple[int, str, Best], ...]
    wanted: tuple[str, ...]
    axes: tuple[tuple[int, str], ...]
    is_special: bool
    changed: int


def _metric(name: str, drawn: Drawn) -> bytes:
    """Return how a metric is drawn."""
    return records.metric(name, drawn.axis, best=drawn.best)


def number(value: float) -> bytes:
    """Return a number as W&B's client writes it.

    >>> number(0.5), number(float("nan")), number(float("-inf"))
    (b'0.5', b'NaN', b'-Infinity')
    """
    if value != value:
        return b"NaN"
    if value in (float("inf"), float("-inf")):
        return b"Infinity" if value > 0 else b"-Infinity"
    return _encode(value)


def json_text(value: object) -> bytes:
    """Return a value as JSON; NaN and infinities as bare words."""
    return json.dumps(value, separators=(",", ":")).encode()


def _is_metric(axis: str) -> bool:
    return axis not in (STEP, TIME)


@lru_cache(maxsize=1 << 13)
def _heads(name: str) -> _Heads:
    """Return the bytes before a value of a row, by the value's length: tags, lengths and the name."""
    key = part(2, name.encode(errors="backslashreplace"))
    tail = varint(16 << 3 | 2)
    return tuple(
        varint(1 << 3 | 2) + varint(len(key) + len(tail) + 1 + size) + key + tail + varint(size)
        for size in range(_LONGEST_NUMBER + 1)
    )
