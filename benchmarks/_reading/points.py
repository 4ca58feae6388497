"""A run of ten metrics, written once, and its points as they must come back."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import numpy.typing as npt

from burnish.core.paths import RunPaths

NAMES = tuple(f"train/metric_{number}" for number in range(10))
BEGAN = 1_700_000_000.0
STEP_S = 0.25
Floats = npt.NDArray[np.float64]
_BLOCK = 10_000


def values(rows: int) -> Floats:
    """Return what was logged, shape (rows, 10): random walks, with one spike each."""
    random = np.random.default_rng(7)
    walks = np.cumsum(random.standard_normal((rows, len(NAMES))), axis=0) / 100
    walks[rows // 3] += 1000
    return walks


def times(rows: int) -> Floats:
    """Return the wall times of the rows, to the microsecond as a clock tells them, shape (rows,)."""
    jitter = np.random.default_rng(8).random(rows) / 10
    return np.round(BEGAN + np.arange(rows) * STEP_S + jitter, 6)


def make_points(folder: Path, rows: int) -> None:
    """Write the same run twice: one has ended, the other goes on."""
    for state in ("finished", "running"):
        write_run(RunPaths(folder / state), rows, state=state)


def write_run(paths: RunPaths, rows: int, *, state: str) -> None:
    """Write a run's journal and the record that says its state."""
    from burnish.journal import JournalWriter

    paths.journals.mkdir(parents=True)
    writer = JournalWriter(paths.journals, 0, lambda: {"attempt": 1})
    every, at = values(rows), times(rows)
    for start in range(0, rows, _BLOCK):
        block = every[start : start + _BLOCK].tolist()
        for step, row in enumerate(block, start):
            writer.row(NAMES, tuple(row), step, float(at[step]))
    writer.close()
    paths.state.write_text(json.dumps({"format": 1, "name": paths.name, "state": state}))


def write_events(folder: Path, rows: int) -> None:
    """Write the first rows as TensorBoard's events, one a row."""
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.summary.writer.event_file_writer import EventFileWriter

    writer = EventFileWriter(str(folder))
    for step, row in enumerate(values(rows).tolist()):
        points = [Summary.Value(tag=name, simple_value=value) for name, value in zip(NAMES, row, strict=True)]
        writer.add_event(Event(wall_time=BEGAN + step * STEP_S, step=step, summary=Summary(value=points)))
    writer.close()


def check(is_right: bool, what: str) -> None:
    """Stop when what was read is not what was written.

    Raises:
        SystemExit: It is not.
    """
    if not is_right:
        raise SystemExit(f"{what}: not what was written")
