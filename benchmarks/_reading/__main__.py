"""Does one task in a folder that `make` has filled; the result is one JSON object."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path

from benchmarks._reading import compaction, runs, windows
from benchmarks._reading.points import make_points, write_events
from burnish.core.paths import RunPaths


def main() -> None:
    """Do it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("task")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--event-rows", type=int, default=100_000)
    parser.add_argument("--runs", type=int, default=10_000)
    told = parser.parse_args()
    folder, rows = told.folder, told.rows
    run, running = (RunPaths(folder / "points" / state) for state in ("finished", "running"))
    tasks: dict[str, Callable[[], object]] = {
        "make-points": lambda: make_points(folder / "points", rows),
        "make-events": lambda: write_events(folder / "events", told.event_rows),
        "make-runs": lambda: runs.write_runs(folder / "runs", told.runs),
        "compact": lambda: compaction.compact(run, rows),
        "tensorboard": lambda: compaction.accumulate(folder / "events", told.event_rows),
        "parquet": lambda: compaction.read_parquet(run, rows),
        "finished": lambda: windows.finished(run, rows),
        "live": lambda: windows.live(running, rows),
        "polars": lambda: windows.by_polars(run, rows),
        "history": lambda: compaction.history(run, rows),
        "index": lambda: runs.by_index(folder / "runs", folder / "cache", told.runs),
        "make-mlflow": lambda: runs.write_mlflow(folder / "mlflow", told.runs),
        "mlflow": lambda: runs.by_mlflow(folder / "mlflow", told.runs),
    }
    print(json.dumps(tasks[told.task]()))


if __name__ == "__main__":
    main()
