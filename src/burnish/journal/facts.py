"""What the index keeps of one run, as plain values: its fields, the summary of each metric, the files it made and used.

Whatever a `run.json` holds, what comes out here fits a column: SQLite's own types, with one way to write what it lacks.
"""

from __future__ import annotations

import json
import math
import shlex
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Final, TypeAlias

from burnish.core.ids import run_id
from burnish.core.shape import items, section, words
from burnish.journal.direction import Best, best_direction
from burnish.journal.record import OVER, RunRecord

Value: TypeAlias = "None | bool | int | float | str | tuple[Value, ...]"
"""What a column of the index holds; a list of values is a tuple."""

Stored: TypeAlias = "None | int | float | str | bytes"

STATISTICS: Final = ("last", "min", "max", "best", "first", "count", "nonfinite", "last_step", "best_step")
"""What is known of a metric, the most asked for first."""

_MARKS: Final[dict[bytes, Value]] = {b"false": False, b"true": True, b"nan": math.nan}
_MAX_INT = 2**63
_LOSSES: Final = ("train/loss", "loss")
_HELD_OUT = "eval/"


def store(value: Value) -> Stored:
    """Return a value as SQLite can hold it.

    It knows no truth values, turns NaN into NULL and takes no list: those are written as bytes, which nothing else is.

    >>> store(True), store(1), store((1, "a"))
    (b'true', 1, b'[1, "a"]')
    """
    if value is None:
        return None
    if isinstance(value, bool):
        return b"true" if value else b"false"
    if isinstance(value, int):
        return value if -_MAX_INT <= value < _MAX_INT else _as_float(value)
    if isinstance(value, float):
        return b"nan" if math.isnan(value) else value
    if isinstance(value, str):
        return text(value)
    return json.dumps(value).encode()


def load(stored: Stored) -> Value:
    """Return what `store` was given."""
    if not isinstance(stored, bytes):
        return stored
    return _MARKS[stored] if stored in _MARKS else _frozen(json.loads(stored))


def text(value: object) -> str:
    """Return text that UTF-8 can hold: a name from a file system or from JSON need not be such."""
    return str(value).encode("utf-8", "replace").decode()


def fields_of(name: str, record: RunRecord, code: Mapping[str, object] | None = None) -> dict[str, Value]:
    """Return the fields of a run, every one of them, None where its record does not tell.

    Args:
        name: The name of its folder.
        record: As `read_record` returns it.
        code: What its card says of the code.
    """
    told = {key: _text((code or {}).get(key)) or None for key in _OF_CODE}  # without git both are empty
    return {"id": run_id(name), "name": name, **{field: read(record) for field, read in _READERS.items()}, **told}


@dataclass(frozen=True, slots=True)
class Headline:
    """The held-out metric that says most about a run.

    Attributes:
        metric: Its name.
        first: Its first value.
        value: Its best one, the last one where no direction is known.
        best: Its direction.
    """

    metric: str
    first: int | float
    value: int | float
    best: Best


def headline(record: RunRecord) -> Headline | None:
    """Return the metric that stands for a run where there is room for one, None when it has no `eval/*`.

    A metric with a known direction comes before those without, one whose direction the user gave (`step_metric`)
    before those whose name tells it, `eval/loss` before other losses, those before the rest, then the alphabet.
    """
    given = {pattern: said for pattern, said in section(record, "metrics").items() if isinstance(said, dict)}
    said_best = {pattern: said for pattern, said in given.items() if said.get("best") in ("min", "max")}
    found: list[tuple[tuple[bool, bool, bool, bool, str], Headline]] = []
    for metric, values in section(record, "summary").items():
        first = _number(values.get("first")) if isinstance(values, dict) else None
        if not isinstance(values, dict) or not metric.startswith(_HELD_OUT) or first is None:
            continue
        best = best_direction(metric, given)
        value = _number(values.get("best", values.get(best))) if best else _number(values.get("last"))
        is_said = any(fnmatchcase(metric, pattern) for pattern in said_best)
        place = (not best, not is_said, metric != f"{_HELD_OUT}loss", "loss" not in metric, metric)
        if value is not None:
            found.append((place, Headline(metric, first, value, best)))
    return min(found, key=lambda one: one[0])[1] if found else None


def training_loss(record: RunRecord) -> int | float | None:
    """Return the last training loss, under either of the names that it usually has."""
    latest = section(record, "latest")
    return next((_number(latest[name]) for name in _LOSSES if name in latest), None)


def summary_of(record: RunRecord) -> dict[str, tuple[Value, ...]]:
    """Return the statistics of each metric in the order of `STATISTICS`, None for what is not known."""
    summary = section(record, "summary")
    found: dict[str, tuple[Value, ...]] = {}
    for metric, values in summary.items():
        if isinstance(values, dict):
            found[metric] = tuple(_number(values.get(statistic)) for statistic in STATISTICS)
    for metric, value in section(record, "latest").items():  # a record whose writer keeps no summary while it runs
        found.setdefault(metric, (_number(value), *(None for _ in STATISTICS[1:])))
    return found


def artifacts_of(record: RunRecord) -> Iterator[tuple[str, str, str]]:
    """Yield sha256, role (`made` or `used`) and name of each file or folder that a run kept account of."""
    for artifact in items(record, "artifacts"):
        if isinstance(artifact, dict) and artifact.get("sha256"):
            yield text(artifact["sha256"]), text(artifact.get("role", "")), text(artifact.get("name", ""))


def newest(record: RunRecord) -> float:
    """Return what runs are ordered by: when they were created, 0 where that is not known."""
    created = _number(record.get("created"))
    return float(created) if isinstance(created, int | float) and not math.isnan(created) else 0.0


def config_name(record: RunRecord, which: str) -> str:
    """Return the `hash` or the `group` of a run's config, empty when it has none."""
    return text(section(record, "config").get(which) or "")


def is_unshipped(record: RunRecord) -> bool:
    """Return whether a sink has not taken all of a run's journal, or does not know that the run is over."""
    return bool(unshipped_sinks(record))


def unshipped_sinks(record: RunRecord) -> list[str]:
    """Return the names of the sinks that have not taken all of a run's journal, or do not know that it is over."""
    sinks = {name: sink for name, sink in section(record, "sinks").items() if isinstance(sink, dict)}
    is_over = record.get("state") in OVER
    return [
        name
        for name, sink in sinks.items()
        if sink.get("error") or _number(sink.get("behind_bytes")) or (is_over and sink.get("closed") is False)
    ]


def _host(record: RunRecord) -> Value:
    attempts = [attempt for attempt in items(record, "attempts") if isinstance(attempt, dict)]
    process = section(attempts[-1], "process") if attempts else {}
    return _text(process.get("host") or section(record, "supervisor").get("host"))


def _best(record: RunRecord) -> Value:
    found = headline(record)
    return found.value if found is not None else None


def _text_of(key: str) -> Callable[[RunRecord], Value]:
    return lambda record: _text(record.get(key))


def _number_of(key: str) -> Callable[[RunRecord], Value]:
    return lambda record: _number(record.get(key))


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _number(value: object) -> int | float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return value if isinstance(value, float) or -_MAX_INT <= value < _MAX_INT else _as_float(value)


def _as_float(value: int) -> float:
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def _frozen(value: object) -> Value:
    if isinstance(value, list):
        return tuple(_frozen(item) for item in value)
    assert value is None or isinstance(value, bool | int | float | str), "nothing else was stored"
    return value


_READERS: Final[Mapping[str, Callable[[RunRecord], Value]]] = {
    "state": _text_of("state"),
    "experiment": _text_of("experiment"),
    "group": _text_of("group"),
    "created": _number_of("created"),
    "started": _number_of("started"),
    "ended": _number_of("ended"),
    "step": _number_of("step"),
    "total_steps": _number_of("total_steps"),
    "attempts": lambda record: len(items(record, "attempts")),
    "tags": lambda record: words(record, "tags"),
    "pinned": lambda record: bool(record.get("pinned")),
    "debug": lambda record: bool(record.get("debug")),
    "host": _host,
    "exit_code": _number_of("exit_code"),
    "reason": _text_of("reason"),
    "sweep": lambda record: _text(section(record, "sweep").get("id")),
    "replays": _text_of("replays"),
    "unshipped": is_unshipped,
    "loss": training_loss,
    "best": _best,
    "command": lambda record: shlex.join(words(record, "command")) or None,
    "config_hash": lambda record: config_name(record, "hash"),
    "config_group": lambda record: config_name(record, "group"),
}

_OF_CODE: Final = ("commit", "branch")

FIELDS: Final = ("id", "name", *_READERS, *_OF_CODE)
"""What is known of every run, in the order in which it is shown."""
