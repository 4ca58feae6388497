"""What one call of `Run.log` costs the training thread: `python benchmarks/logging.py`.

Ten metrics that change each call, beside one `os.write` of an equally long frame and beside other recorders. Each
recorder runs in processes of its own, in turn, round after round; times are printed only after every point was
read back and compared.

This file's name hides the standard library's `logging` from scripts of this folder: the recorders therefore run
as `python -m benchmarks._recorders`, and nothing here imports them.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from statistics import median, quantiles
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
METRICS = 10
PEERS = ("tensorboard", "trackio", "wandb", "mlflow")
BUDGET_P50_US, BUDGET_P99_US = 5.0, 20.0


@dataclass(frozen=True, slots=True)
class Timing:
    """One line of the table; times are medians over the rounds.

    `cpu_us` is a call's share of what all threads of the process used, the clock's own cost included.
    """

    name: str
    p50_us: float
    p99_us: float
    cpu_us: float
    bytes_a_point: float | None = None
    acknowledged_points: int | None = None
    survived_points: int | None = None


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="What one call of Run.log costs the training thread.")
    parser.add_argument("--steps", type=int, default=10_000, help="calls in each process")
    parser.add_argument("--rounds", type=int, default=3, help="processes for each recorder")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    told = parser.parse_args()
    absent = [name for name in PEERS if find_spec(name) is None]
    names = ["burnish", *(name for name in PEERS if name not in absent)]
    with tempfile.TemporaryDirectory(prefix="burnish-bench-") as folder:
        timings = _measure_all(names, Path(folder), told.steps, told.rounds)
    versions = {"python": platform.python_version()} | {name: version(name) for name in names}
    if told.json:
        table = [asdict(timing) for timing in timings]
        print(json.dumps({"versions": versions, "steps": told.steps, "rows": table, "absent": absent}, indent=1))
        return
    print(f"Run.log, {METRICS} metrics, {told.steps:,} calls, {told.rounds} rounds; every point read back")
    print(", ".join(f"{name} {number}" for name, number in versions.items()))
    print(_table(timings))
    for name in absent:
        print(f"{name}: not installed, skipped")


def _measure_all(names: Sequence[str], base: Path, steps: int, rounds: int) -> list[Timing]:
    calls: dict[str, list[tuple[float, float, float]]] = {name: [] for name in ("floor", *names)}
    sizes: dict[str, int] = {}
    for turn in range(rounds):
        for name in names:
            told = _recorder("measure", name, _fresh(base / f"{name}-{turn}"), steps)
            calls[name].append(_costs(told["log"], steps))
            sizes[name] = told["bytes"]
            if name == "burnish":  # the only recorder here without a thread that might disturb the floor
                calls["floor"].append(_costs(told["floor"], steps))
    kept = {name: _kill_midway(name, _fresh(base / f"{name}-killed"), steps) for name in names}
    timings = [Timing("floor", *_medians(calls["floor"]))]
    for name in names:
        timings.append(Timing(name, *_medians(calls[name]), sizes[name] / steps / METRICS, *kept[name]))
    return timings


def _kill_midway(name: str, folder: Path, steps: int) -> tuple[int, int]:
    """Kill a recording process after half its rows; return the points acknowledged, and those of them kept."""
    ours, theirs = os.pipe()
    argv = _argv("acknowledge", name, folder, steps)
    child = subprocess.Popen(
        [*argv, "--acknowledge-to", str(theirs)], cwd=ROOT, pass_fds=[theirs], stderr=subprocess.DEVNULL
    )
    os.close(theirs)
    acknowledged = 0
    while acknowledged < steps // 2 and (some := os.read(ours, 1024)):
        acknowledged += len(some)
    child.send_signal(signal.SIGKILL)
    child.wait()
    while some := os.read(ours, 65536):
        acknowledged += len(some)
    os.close(ours)
    kept = _recorder("count", name, folder, steps)["rows"]
    return acknowledged * METRICS, min(kept, acknowledged) * METRICS


def _argv(task: str, name: str, folder: Path, steps: int) -> list[str]:
    return [sys.executable, "-m", "benchmarks._recorders", task, name, str(folder), "--steps", str(steps)]


def _recorder(task: str, name: str, folder: Path, steps: int) -> dict[str, Any]:
    done = subprocess.run(_argv(task, name, folder, steps), cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{name}: {task} failed\n{done.stderr}")
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def _fresh(folder: Path) -> Path:
    folder.mkdir()
    return folder


def _costs(told: dict[str, Any], steps: int) -> tuple[float, float, float]:
    """Return p50, p99 and CPU of a call in µs."""
    cuts = quantiles(told["times_ns"], n=100)
    return cuts[49] / 1000, cuts[98] / 1000, told["cpu_s"] / steps * 1e6


def _medians(rounds: Sequence[tuple[float, float, float]]) -> tuple[float, float, float]:
    p50, p99, cpu = (round(median(column), 3) for column in zip(*rounds, strict=True))
    return p50, p99, cpu


def _table(timings: Sequence[Timing]) -> str:
    floor, burnish = timings[0], timings[1]
    lines = [
        f"{'':<12}{'p50 µs':>9}{'p99 µs':>9}{'CPU µs':>9}{'× floor':>9}{'× burnish':>11}{'B/point':>9}  kill -9: points"
    ]
    for timing in timings:
        p50 = timing.p50_us
        line = f"{timing.name:<12}{p50:>9.1f}{timing.p99_us:>9.1f}{timing.cpu_us:>9.1f}"
        line += f"{p50 / floor.p50_us:>9.1f}{p50 / burnish.p50_us:>11.1f}"
        if timing.bytes_a_point is not None:
            line += f"{timing.bytes_a_point:>9.1f}  {timing.acknowledged_points:,} → {timing.survived_points:,}"
        lines.append(line)
    kept = burnish.survived_points == burnish.acknowledged_points
    within = kept and burnish.p50_us <= BUDGET_P50_US and burnish.p99_us <= BUDGET_P99_US
    verdict = "within" if within else "above"
    lines.append(f"budget: p50 ≤ {BUDGET_P50_US:g} µs, p99 ≤ {BUDGET_P99_US:g} µs, no point lost: {verdict}")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
