"""What reading costs: compaction, windows of charts, points as tables, and finding runs: `python benchmarks/read.py`.

Each task runs in a process of its own, all in turn, round after round, on data that is made once. Everything that
is read is compared with what was written before its time counts.

This file's folder hides the standard library's `logging`: the tasks run as `python -m benchmarks._reading`.
"""

from __future__ import annotations

import argparse
import json
import platform
import shutil
import subprocess
import sys
import tempfile
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
METRICS = 10
MAKE = ("make-points", "make-events", "make-runs", "make-mlflow")
TASKS = ("compact", "tensorboard", "parquet", "finished", "live", "polars", "history", "index", "mlflow")
NEEDS = {"events": "tensorboard", "tensorboard": "tensorboard", "mlflow": "mlflow"}
NEEDS |= dict.fromkeys(("parquet", "polars", "history"), "polars")
WINDOWS = {"whole": "whole run", "third": "a third", "zoom": "a hundredth", "narrow": "600 points"}
LEAST_POINTS_A_SECOND, MOST_WINDOW_S, MOST_QUERY_S = 1e6, 0.005, 0.1

Results = dict[str, dict[str, float]]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="What reading runs costs.")
    parser.add_argument("--rows", type=int, default=1_000_000, help="rows of 10 metrics in the run")
    parser.add_argument("--runs", type=int, default=10_000, help="runs in the folder")
    parser.add_argument("--rounds", type=int, default=3, help="processes for each task")
    parser.add_argument("--quick", action="store_true", help="100,000 rows, 1,000 runs, one round")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    told = parser.parse_args()
    rows, runs, rounds = (100_000, 1000, 1) if told.quick else (told.rows, told.runs, told.rounds)
    absent = [name for name in ("tensorboard", "polars", "mlflow") if find_spec(name) is None]
    with tempfile.TemporaryDirectory(prefix="burnish-bench-") as folder:
        results = _measure(Path(folder), rows, runs, rounds, absent)
    versions = {"python": platform.python_version()}
    for name in ("burnish", "numpy", "pyarrow", "polars", "tensorboard", "mlflow"):
        versions |= {name: version(name)} if name not in absent else {}
    if told.json:
        sizes = {"rows": rows, "runs": runs, "rounds": rounds, "event_rows": rows // 10}
        print(json.dumps({"versions": versions, **sizes, "results": results, "absent": absent}))
        return
    print(
        f"{rows * METRICS:,} points of {METRICS} metrics, {runs:,} runs, {rounds} rounds; everything read is compared"
    )
    print(", ".join(f"{name} {number}" for name, number in versions.items()))
    for table in (_compaction_table, _window_table, _history_table):
        print(f"\n{table(results, rows)}")
    print(f"\n{_runs_table(results, runs)}\n\n{_verdict(results, rows)}")
    for name in absent:
        print(f"{name}: not installed, skipped")


def _measure(folder: Path, rows: int, runs: int, rounds: int, absent: list[str]) -> Results:
    sizes = ["--rows", str(rows), "--event-rows", str(rows // 10), "--runs", str(runs)]

    def done(task: str) -> dict[str, float] | None:
        if NEEDS.get(task.removeprefix("make-")) in absent:
            return None
        argv = [sys.executable, "-m", "benchmarks._reading", task, str(folder), *sizes]
        ended = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False)
        if ended.returncode:
            sys.exit(f"{task} failed\n{ended.stderr}")
        told: Any = json.loads(ended.stdout)
        return told if isinstance(told, dict) else None

    (folder / "events").mkdir()
    for task in MAKE:
        done(task)
    found: dict[str, list[dict[str, float]]] = {}
    for _ in range(rounds):
        shutil.rmtree(folder / "cache", ignore_errors=True)
        for task in TASKS:
            if (told := done(task)) is not None:
                found.setdefault(task, []).append(told)
    return {task: {name: median(one[name] for one in every) for name in every[0]} for task, every in found.items()}


def _compaction_table(results: Results, rows: int) -> str:
    told, points = results["compact"], rows * METRICS
    lines = [f"{'compaction':<44}{'s':>8}{'M points/s':>13}"]
    for title, took_s, of in (
        ("journal → metrics.parquet, metrics.pyramid", told["whole_s"], points),
        ("  reading the journal, alone", told["read_s"], points),
        ("  metrics.parquet, alone", told["parquet_s"], points),
        ("  pyramids, alone", told["pyramid_s"], points),
        ("pyarrow.write_table of the same, its defaults", told["floor_s"], points),
        ("pyarrow.read_table of metrics.parquet", results.get("parquet", {}).get("pyarrow_s"), points),
        ("polars.read_parquet of metrics.parquet", results.get("parquet", {}).get("polars_s"), points),
        ("TensorBoard's EventAccumulator, a tenth", results.get("tensorboard", {}).get("tensorboard_s"), points // 10),
    ):
        if took_s is not None:
            lines.append(f"{title:<44}{took_s:>8.2f}{of / took_s / 1e6:>13.2f}")
    sizes = ", ".join(f"{name} {told[f'{name}_bytes'] / points:.1f}" for name in ("journal", "parquet", "pyramid"))
    lines.append(f"bytes a point: {sizes}; compaction holds {told['peak_bytes'] / 1e6:.0f} MB at most, imports apart")
    return "\n".join(lines)


def _window_table(results: Results, rows: int) -> str:
    head = f"one metric of {rows:,} points, 1,200 px, ms"
    lines = [f"{head:<44}{'finished':>10}{'p95':>8}{'live':>8}{'p95':>8}{'polars':>9}"]
    for name, title in WINDOWS.items():
        numbers = [results[task][f"{name}{end}"] * 1000 for task in ("finished", "live") for end in ("_s", "_p95_s")]
        line = f"{title:<44}{numbers[0]:>10.2f}{numbers[1]:>8.2f}{numbers[2]:>8.2f}{numbers[3]:>8.2f}"
        lines.append(f"{line}{results['polars'][f'{name}_s'] * 1000:>9.1f}" if "polars" in results else line)
    told = results["live"]
    lines.append(f"opening: finished {results['finished']['open_s'] * 1000:.1f} ms, live {told['cold_s']:.2f} s")
    idle, busy = told["idle_refresh_s"] * 1000, told["refresh_s"] * 1000
    lines.append(f"refresh of the live view: {idle:.2f} ms with nothing new, {busy:.2f} ms after 100 rows")
    return "\n".join(lines)


def _history_table(results: Results, rows: int) -> str:
    if "history" not in results:
        return "history: needs polars"
    told = results["history"]
    both = told["history_s"] + told["frame_s"]
    return (
        f"one metric of {rows:,} points as a polars frame: history {told['history_s']:.2f} s "
        f"+ .polars() {told['frame_s']:.2f} s = {rows / both / 1e6:.2f} M points/s, {told['peak_bytes'] / 1e6:.0f} MB; "
        f"polars alone {told['polars_s']:.2f} s"
    )


def _runs_table(results: Results, runs: int) -> str:
    told = results["index"]
    peer = results.get("mlflow", {})
    lines = [f"{f'{runs:,} runs, ms':<44}{'Burnish':>10}{'MLflow':>10}"]
    for name, title in (
        ("list", "the newest 50"),
        ("filter_sort", "by two config values, sorted, the best 50"),
        ("optimizer", "by one config value, sorted, the best 50"),
        ("sort_all", "all sorted by a metric, the best 50"),
        ("all_rows", "all of them as rows, sorted"),
        ("one_changed", "after one run changed"),
    ):
        line = f"{title:<44}{told[f'{name}_s'] * 1000:>10.1f}"
        lines.append(f"{line}{peer[f'{name}_s'] * 1000:>10.1f}" if f"{name}_s" in peer else line)
    lines.append(f"first look, which builds the index: {told['build_s']:.1f} s, {told['index_bytes'] / 1e6:.0f} MB")
    return "\n".join(lines)


def _verdict(results: Results, rows: int) -> str:
    speed = rows * METRICS / results["compact"]["whole_s"]
    window_s = max(results["finished"][f"{name}_s"] for name in WINDOWS)
    query_s = results["index"]["filter_sort_s"]
    verdicts = (
        ("compaction ≥ 1 M points/s", f"{speed / 1e6:.1f} M", speed >= LEAST_POINTS_A_SECOND),
        ("a window ≤ 5 ms", f"{window_s * 1000:.1f} ms", window_s <= MOST_WINDOW_S),
        ("runs listed, filtered, sorted ≤ 100 ms", f"{query_s * 1000:.0f} ms", query_s <= MOST_QUERY_S),
    )
    return "\n".join(f"budget: {what}: {got}, {'within' if fits else 'above'}" for what, got, fits in verdicts)


if __name__ == "__main__":
    main()
