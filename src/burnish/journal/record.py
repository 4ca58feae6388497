"""`run.json` as everyone may rely on it: whatever the file holds, the parts that are used have their shape."""

from __future__ import annotations

from burnish.core.files import read_json
from burnish.core.paths import RunPaths
from burnish.core.shape import items, section

RunRecord = dict[str, object]
"""The content of a `run.json`."""

_SUMMARY = ("count", "first", "last", "min", "max", "last_step")


def read_record(paths: RunPaths) -> RunRecord:
    """Return a run's record, empty when there is none.

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
    return isinstance(value, dict) and all(_is_number(value.get(key)) for key in _SUMMARY)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
