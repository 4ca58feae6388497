"""When a row is kept: acknowledged one by one for a parent that kills, or timed beside a process that looks."""

from __future__ import annotations

import json
import os
import sqlite3
import time
from pathlib import Path

from benchmarks._recorders.base import Recorder, row_of

PAUSE_S = 0.01
LOOK_S = 0.02
LAST_LOOK_S = 4.0
CHECKED = 20
"""Of so many rows this process looks at once whether they are there when `log` returns."""
CALLS = "calls.json"


def acknowledge(kind: type[Recorder], folder: Path, steps: int, descriptor: int) -> None:
    """Log rows, and write one byte for each that is logged.

    The pause makes it seconds, as training would: what a recorder loses is then an interval of its own and not
    all that it was given in a tenth of a second.
    """
    rows = [row_of(step) for step in range(steps)]
    recorder = kind(folder)
    for step, row in enumerate(rows):
        recorder.log(row, step)
        os.write(descriptor, b".")
        time.sleep(0.001)


def trickle(kind: type[Recorder], folder: Path, steps: int) -> None:
    """Log a row each hundredth of a second, write down when, and wait to be killed with nothing closed."""
    recorder = kind(folder)
    calls: list[tuple[float, float]] = []
    present = 0
    for step in range(steps):
        row = row_of(step)
        begun = time.time()
        recorder.log(row, step)
        calls.append((begun, time.time()))
        if step < CHECKED:
            present += step in _steps(kind, folder)
        time.sleep(PAUSE_S)
    draft = folder / f".{CALLS}"
    draft.write_text(json.dumps({"calls": calls, "at_once": present == min(CHECKED, steps)}))
    draft.rename(folder / CALLS)
    while True:
        time.sleep(60)


def watch(kind: type[Recorder], folder: Path, steps: int) -> dict[str, object]:
    """Return when each row of `trickle` was first seen in the files by this process, None for one that was not."""
    seen: dict[int, float] = {}
    until, known = float("inf"), None
    while len(seen) < steps and time.monotonic() < until:
        if until == float("inf") and (folder / CALLS).exists():
            until = time.monotonic() + LAST_LOOK_S
        state = _state(kind, folder)
        if state != known:
            at = time.time()
            for step in _steps(kind, folder) - seen.keys():
                seen[step] = at
            known = state
        time.sleep(LOOK_S)
    return {"seen": [seen.get(step) for step in range(steps)], "watched_until": time.time()}


def _state(kind: type[Recorder], folder: Path) -> list[tuple[str, int, int]]:
    found = []
    for path in sorted(folder.glob(kind.files)):
        try:
            status = path.stat()
        except FileNotFoundError:
            continue  # SQLite's journal comes and goes
        found.append((path.name, status.st_size, status.st_mtime_ns))
    return found


def _steps(kind: type[Recorder], folder: Path) -> set[int]:
    try:
        return kind.steps(folder)
    except (sqlite3.Error, OSError):
        return set()  # not there yet
