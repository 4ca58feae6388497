"""A training process whose step is a fixed amount of work: `python -m benchmarks._shipping train FOLDER …`.

It begins to measure when it is told to, and waits to be told to end, so that whoever watches can look at what other
processes used meanwhile. Files in its folder are what is told.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from array import array
from pathlib import Path
from statistics import fmean, median, quantiles

from benchmarks._recorders.base import row_of

GO, TOLD, END = "go", "told.json", "end"
_LOOK_S = 0.01
_CALIBRATIONS = 41


def train(folder: Path, steps: int, size_bytes: int) -> None:
    """Work and log until told to measure, then so many steps more; write down how long they took."""
    import burnish

    run = burnish.start_run()
    work = os.urandom(size_bytes)
    clock = time.perf_counter_ns
    warm, times = array("q"), array("q")
    before = clock()
    while not (folder / GO).exists():
        _step(work)
        run.log(row_of(len(warm)), len(warm))
        now = clock()
        warm.append(now - before)
        before = now
    cpu, before = time.process_time(), clock()
    for step in range(len(warm), len(warm) + steps):
        _step(work)
        run.log(row_of(step), step)
        now = clock()
        times.append(now - before)
        before = now
    cpu_s = time.process_time() - cpu
    told = {
        "steps": len(warm) + steps,
        "warm_s": sum(warm) / 1e9,
        "warm_ms": fmean(warm) / 1e6,
        "mean_ms": fmean(times) / 1e6,
        "median_ms": median(times) / 1e6,
        "p99_ms": quantiles(times, n=100)[98] / 1e6,
        "most_ms": max(times) / 1e6,
        "cpu_ms": cpu_s / steps * 1000,
    }
    (folder / f".{TOLD}").write_text(json.dumps(told))
    (folder / f".{TOLD}").rename(folder / TOLD)
    while not (folder / END).exists():
        time.sleep(_LOOK_S)
    run.finish()


def calibrate(step_ms: float) -> int:
    """Return the size of the work that takes so long here, in bytes."""
    size_bytes = 1 << 20
    work = os.urandom(size_bytes)
    took = []
    for _ in range(_CALIBRATIONS):
        began = time.perf_counter()
        _step(work)
        took.append(time.perf_counter() - began)
    return max(1, int(size_bytes * step_ms / 1000 / median(took)))


def _step(work: bytes) -> None:
    """Read memory and compute, in one thread."""
    hashlib.sha256(work).digest()
