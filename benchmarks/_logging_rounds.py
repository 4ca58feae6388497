"""Rounds of the logging benchmark: a recorder's processes are started, timed, watched, killed and read back."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from statistics import fmean, median, quantiles
from typing import Any

from benchmarks._recorders.services import VARIABLE, kill, wait_for_end
from benchmarks._syncs import durable_at, read_flushes, tracer

ROOT = Path(__file__).resolve().parent.parent
METRICS = 10


@dataclass(frozen=True, slots=True)
class Costs:
    """What a recorder costs; medians over the rounds.

    Attributes:
        p50_us: Median of a call.
        p99_us: 99th percentile of a call.
        mean_us: What all calls took, by their number.
        cpu_us: A call's share of what all threads of the process used, the clock's own cost included.
        busy_p50_us: Median of a call while a checkpoint is written.
        busy_p99_us: 99th percentile of those calls.
        bytes_a_point: Size of the files that hold the rows.
        own_mb: What the process grew by at most, imports included.
        service_mb: The most that the processes hold which the recorder started.
    """

    p50_us: float
    p99_us: float
    mean_us: float
    cpu_us: float
    busy_p50_us: float
    busy_p99_us: float
    bytes_a_point: float = 0.0
    own_mb: float = 0.0
    service_mb: float = 0.0


@dataclass(frozen=True, slots=True)
class Kept:
    """When rows are safe, and how many are.

    Attributes:
        file_s: Seconds from the return of `log` until a row is in a file, median and maximum; None for not at all.
        durable_s: Until it is flushed to disk; None for not by itself.
        is_at_once: Whether rows are in a file before `log` returns.
        flushes: How many flushes of the files were seen; None where nobody could look.
        acknowledged: Rows from which `log` had returned when the process was killed.
        survived: Those of them that were kept.
    """

    file_s: tuple[float, float] | None
    durable_s: tuple[float, float] | None
    is_at_once: bool
    flushes: int | None
    acknowledged: int
    survived: int


def one_round(name: str, folder: Path, steps: int) -> tuple[Costs, Costs]:
    """Return what a recorder and the floor cost in one process, once every point was read back."""
    told = _result("measure", name, folder, steps)
    at_the_end = wait_for_end(folder)
    found = _result("count", name, folder, steps)
    if found["rows"] != told["rows"]:
        sys.exit(f"{name} kept {found['rows']} rows of {told['rows']}")
    own = replace(
        _costs(told["log"], steps),
        bytes_a_point=found["bytes"] / found["rows"] / METRICS,
        own_mb=told["own_bytes"] / 1e6,
        service_mb=max(told["service_bytes"], at_the_end) / 1e6,
    )
    return own, _costs(told["floor"], steps)


def _costs(told: dict[str, Any], steps: int) -> Costs:
    quiet, busy = (quantiles(told[name], n=100) for name in ("times_ns", "busy_ns"))
    numbers = (quiet[49], quiet[98], fmean(told["times_ns"]), told["cpu_s"] / steps * 1e9, busy[49], busy[98])
    p50, p99, mean, cpu, busy_p50, busy_p99 = (number / 1000 for number in numbers)
    return Costs(p50, p99, mean, cpu, busy_p50, busy_p99)


def medians(rounds: Sequence[Costs]) -> Costs:
    """Return the median of each figure over the rounds."""
    return Costs(*(round(median(getattr(one, each.name) for one in rounds), 3) for each in fields(Costs)))


def kept_after(
    name: str, folder: Path, steps: int
) -> tuple[tuple[float, float] | None, tuple[float, float] | None, bool, int | None]:
    """Log rows one by one while another process looks for them and the kernel's flushes are noted.

    Return when rows were in a file, when they were durable, whether at once, and the number of flushes. A row that
    was never seen in a file does not count: the caller holds it, as a batch that is not full.
    """
    trace = folder / "strace"
    with_trace = tracer(trace)
    child = subprocess.Popen([*with_trace, *_argv("trickle", name, folder, steps)], cwd=ROOT, stderr=subprocess.DEVNULL)
    watched = _result("watch", name, folder, steps)
    told = json.loads((folder / "calls.json").read_text())
    kill(folder)
    child.wait()
    is_at_once = bool(told["at_once"])
    flushes = read_flushes(trace, folder, watched["files"]) if with_trace else []
    waits: list[float] = []
    durable: list[float | None] = []
    for (called, returned), seen in zip(told["calls"], watched["seen"], strict=True):
        if seen is None and not is_at_once:
            continue
        at = returned if is_at_once else max(seen, returned)
        waits.append(at - returned)
        safe = durable_at(called, at, flushes)
        durable.append(None if safe is None else safe - returned)
    known = [delay for delay in durable if delay is not None]
    is_durable = len(known) > len(durable) // 2
    number = len(flushes) if with_trace else None
    return _median_and_most(waits), _median_and_most(known) if is_durable else None, is_at_once, number


def _median_and_most(times: Sequence[float]) -> tuple[float, float] | None:
    return (round(median(times), 3), round(max(times), 3)) if times else None


def kill_midway(name: str, folder: Path, steps: int) -> tuple[int, int]:
    """Kill a recording process after half its rows; return the rows acknowledged, and those of them kept."""
    ours, theirs = os.pipe()
    argv = [*_argv("acknowledge", name, folder, steps), "--acknowledge-to", str(theirs)]
    child = subprocess.Popen(argv, cwd=ROOT, pass_fds=[theirs], stderr=subprocess.DEVNULL)
    os.close(theirs)
    acknowledged = 0
    enough = steps // 2 + 37  # in the middle of whatever comes in round numbers
    while acknowledged < enough and (some := os.read(ours, 1024)):
        acknowledged += len(some)
    child.send_signal(signal.SIGKILL)
    child.wait()
    wait_for_end(folder)  # services may still write what they have; they also hold the pipe
    while some := os.read(ours, 65536):
        acknowledged += len(some)
    os.close(ours)
    kept: int = _result("count", name, folder, steps)["rows"]
    return acknowledged, min(kept, acknowledged)


def _argv(task: str, name: str, folder: Path, steps: int) -> list[str]:
    argv = [sys.executable, "-m", "benchmarks._recorders", task, name, str(folder), "--steps", str(steps)]
    # What the recorder starts is found by this variable; who only looks is none of its processes.
    return ["env", f"{VARIABLE}={folder}", *argv] if task in ("measure", "acknowledge", "trickle") else argv


def _result(task: str, name: str, folder: Path, steps: int) -> dict[str, Any]:
    argv = _argv(task, name, folder, steps)
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{name}: {task} failed\n{done.stderr}")
    told: dict[str, Any] = json.loads(done.stdout)
    return told
