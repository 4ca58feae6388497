"""What watching a run costs: CPU of one sample of system metrics for process trees of several sizes.

Run it as `python -m benchmarks.system_metrics`. The share is of one core at the default interval; training itself
pays nothing, since the sampling is done by the process that watches it.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from burnish.journal import JournalWriter
from burnish.journal.reader import SYSTEM_RANK
from burnish.launch.process_tree import read_processes, usage_of
from burnish.launch.system_metrics import Sensors
from burnish.launch.tracking import Tracking

SIZES = (1, 8, 64)
SAMPLES = 200
# A process with so many sleeping children, of which each is a process of its own: what data loaders look like.
TREE = """
import subprocess, sys
children = [subprocess.Popen(["sleep", "600"]) for _ in range(int(sys.argv[1]))]
print(flush=True)
sys.stdin.read()
for child in children:
    child.kill()
    child.wait()
"""


def main() -> None:
    """Print one line for each size of tree."""
    every_s = Tracking().system_every_s
    print(f"{len(read_processes())} processes on this machine, a sample every {every_s:g} s, {SAMPLES} samples each\n")
    print("| processes in the tree | CPU ms a sample (median) | p95 | wall ms | share of a core | bytes a sample |")
    print("|---|---|---|---|---|---|")
    for size in SIZES:
        cpu_ms, p95_ms, wall_ms, size_bytes = measure(size)
        share = cpu_ms / 1000 / every_s
        print(f"| {size} | {cpu_ms:.2f} | {p95_ms:.2f} | {wall_ms:.2f} | {share:.4%} | {size_bytes:.0f} |")


def measure(size: int) -> tuple[float, float, float, float]:
    """Return milliseconds of CPU (median, 95th percentile) and of wall time, and bytes, of a sample and its row."""
    tree = subprocess.Popen(
        [sys.executable, "-c", TREE, str(size - 1)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    assert tree.stdout is not None
    tree.stdout.readline()
    with tempfile.TemporaryDirectory() as folder:
        writer = JournalWriter(Path(folder), SYSTEM_RANK, dict)
        sensors = Sensors(Path(folder))
        sensors.watch(tree.pid)
        sensors.read()
        used = usage_of(tree.pid)
        assert used is not None
        assert used.processes == size, f"a tree of {size} is measured as {used.processes}"
        cpu: list[float] = []
        began = time.perf_counter()
        for step in range(SAMPLES):
            before = time.thread_time()
            values = sensors.read()
            writer.row(tuple(values), tuple(values.values()), step, time.time())
            cpu.append(1000 * (time.thread_time() - before))
        wall_ms = 1000 * (time.perf_counter() - began) / SAMPLES
        writer.close()
        (journal,) = Path(folder).iterdir()
        size_bytes = journal.stat().st_size / SAMPLES
    tree.communicate()
    return statistics.median(cpu), statistics.quantiles(cpu, n=20)[-1], wall_ms, size_bytes


if __name__ == "__main__":
    main()
