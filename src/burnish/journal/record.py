"""`run.json` as everyone may rely on it: whatever the file holds, the parts that are used have their shape."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Final

from burnish.core.paths import RunPaths
from burnish.core.shape import items, section
from burnish.journal.annotations import read_annotations

RunRecord = dict[str, object]
"""The content of a `run.json`."""

OVER: Final = frozenset({"finished", "failed", "stopped", "lost"})
"""States of a run that has ended."""
LIVE: Final = frozenset({"created", "running", "retrying"})
"""States of a run that somebody looks after, or should."""

_SUMMARY = ("count", "first", "last", "min", "max", "last_step")
_SUMMARY_MAY_HAVE = ("best", "best_step", "nonfinite")
_TIMES = ("created", "started", "ended", "retry_at")
_LAST_TIME = 253402300800.0  # the year 10000, which no calendar of the standard library has
_SURROGATES = (b"\\ud", b"\\uD")


def read_record(paths: RunPaths) -> RunRecord:
    """Return a run's record with what people said of it since (tags, notes, pin), empty when there is none.

    See `read_own_record` for what is left out.
    """
    record = read_own_record(paths)
    return {**record, **read_annotations(paths).over(record)} if record else {}


def read_own_record(paths: RunPaths) -> RunRecord:
    """Return a run's record without annotations: what the holder of the run's lock goes on writing.

    The folder's name wins over the one inside, so that a run can be copied and renamed. What has not the shape
    that Burnish writes (state, times, attempts, alerts, notes, summary, latest values) is left out rather than
    tripped over, and text is text that can be written.
    """
    record = _read(paths.state)
    if not record:
        return {}
    kept = _with_good_times(record)
    if not is_state(kept.get("state")):
        kept.pop("state", None)
    return {
        **kept,
        "name": paths.name,
        "id": paths.id,
        "attempts": _objects(record, "attempts"),
        **{key: _objects(record, key) for key in ("alerts", "notes") if key in record},
        "latest": {name: value for name, value in section(record, "latest").items() if _is_number(value)},
        "summary": {name: value for name, value in section(record, "summary").items() if _is_summary(value)},
    }


def is_state(value: object) -> bool:
    """Return whether a run can be in this state."""
    return isinstance(value, str) and (value in OVER or value in LIVE)


def _read(path: Path) -> RunRecord:
    try:
        raw = path.read_bytes()
        value = json.loads(raw)
    except (OSError, ValueError, RecursionError):
        return {}
    if any(mark in raw for mark in _SURROGATES):  # Burnish writes none, and a look at every text takes a while
        value = _writable(value)
    return value if isinstance(value, dict) else {}


def _writable(value: object) -> object:
    """Return a value with what cannot be encoded in its texts written as an escape: half of a surrogate pair."""
    if isinstance(value, str):
        return value.encode(errors="backslashreplace").decode()
    if isinstance(value, dict):
        return {_writable(key): _writable(item) for key, item in value.items()}
    return [_writable(item) for item in value] if isinstance(value, list) else value


def _objects(record: RunRecord, key: str) -> list[RunRecord]:
    return [_with_good_times(item, ("time", *_TIMES)) for item in items(record, key) if isinstance(item, dict)]


def _with_good_times(value: RunRecord, names: tuple[str, ...] = _TIMES) -> RunRecord:
    return {key: item for key, item in value.items() if key not in names or _is_time(item)}


def _is_time(value: object) -> bool:
    return _is_number(value) and isinstance(value, int | float) and 0 <= value < _LAST_TIME and math.isfinite(value)


def _is_summary(value: object) -> bool:
    if not isinstance(value, dict):
        return False
    return all(_is_number(value.get(key)) for key in (*_SUMMARY, *(k for k in _SUMMARY_MAY_HAVE if k in value)))


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
