"""`run.json` as everyone may rely on it: whatever the file holds, the parts that are used have their shape."""

from __future__ import annotations

from burnish.core.files import read_json
from burnish.core.paths import RunPaths
from burnish.core.shape import items, section
from burnish.journal.annotations import read_annotations

RunRecord = dict[str, object]
"""The content of a `run.json`."""

_SUMMARY = ("count", "first", "last", "min", "max", "last_step")
_SUMMARY_MAY_HAVE = ("best", "best_step", "nonfinite")


def read_record(paths: RunPaths) -> RunRecord:
    """Return a run's record with what people said of it since (tags, notes, pin), empty when there is none.

    See `read_own_record` for what is left out.
    """
    record = read_own_record(paths)
    return {**record, **read_annotations(paths).over(record)} if record else {}


def read_own_record(paths: RunPaths) -> RunRecord:
    """Return a run's record without annotations: what the holder of the run's lock goes on writing.

    The folder's name wins over the one inside, so that a run can be copied and renamed. What has not the shape
    that Burnish writes (attempts, summary, latest values) is left out rather than tripped over.
    """
    record = read_json(paths.state)
    if not record:
        return {}
    return {
        **record,
        "name": paths.name,
        "id": paths.id,
        "attempts": [attempt for attempt in items(record, "attempts") if isinstance(attempt, dict)],
        "latest": {name: value for name, value in section(record, "latest").items() if _is_number(value)},
        "summary": {name: value for name, value in section(record, "summary").items() if _is_summary(value)},
    }


def _is_summary(value: object) -> bool:
    if not isinstance(value, dict):
        return False
    return all(_is_number(value.get(key)) for key in (*_SUMMARY, *(k for k in _SUMMARY_MAY_HAVE if k in value)))


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
