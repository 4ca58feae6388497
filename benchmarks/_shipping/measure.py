"""What one way into a tracker takes, from the first row until the tracker has all of them.

Whoever writes for the measured process beside it is counted as well: its children, and those that they leave behind,
come to the process that started it, and are waited for.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from benchmarks._recorders.services import resident_bytes
from benchmarks._shipping.ways import Way

_PR_SET_CHILD_SUBREAPER = 36
_PATIENCE_S = 60


@dataclass(frozen=True, slots=True)
class Store:
    """Where MLflow keeps its points.

    Attributes:
        uri: How its client gets there.
        database: The file of SQLite.
        server: The process of the server; 0 where there is none.
    """

    uri: str
    database: Path
    server: int = 0

    @property
    def size_bytes(self) -> int:
        """The size of the database, with what SQLite keeps beside it."""
        return sum(path.stat().st_size for path in self.database.parent.glob(f"{self.database.name}*"))


def measure(kind: type[Way], folder: Path, store: Store, steps: int) -> dict[str, float]:
    """Ship rows; return seconds, CPU seconds and memory. Run by `measure_all`, whose child this process is.

    Args:
        kind: The way.
        folder: An empty folder.
        store: Where MLflow is.
        steps: How many rows.
    """
    one = kind(folder, store.uri, steps)
    one.prepare()
    began = time.perf_counter()
    one.begin()
    begin_s = time.perf_counter() - began
    size_bytes = store.size_bytes
    services, theirs = _cpu_of_services(), cpu_of_tree(store.server)
    cpu, began_at, began = time.process_time(), time.time(), time.perf_counter()
    one.send()
    took_s, own_s = time.perf_counter() - began, time.process_time() - cpu
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return {
        "begin_s": begin_s,
        "began_at": began_at,
        "took_s": took_s,
        "own_s": own_s,
        "services_s": children.ru_utime + children.ru_stime - services,  # those that were not waited for come to it
        "server_s": cpu_of_tree(store.server) - theirs,
        "store_bytes": size_bytes,
        "peak_mb": resident_bytes(os.getpid(), "VmHWM") / 1e6,
    }


def measure_all(argv: Sequence[str]) -> None:
    """Run a command that prints what `measure` returns, and print that with the CPU of all that it left behind."""
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1)
    child = subprocess.Popen(argv, stdout=subprocess.PIPE)
    assert child.stdout is not None
    signal.signal(signal.SIGALRM, lambda number, frame: _kill_the_rest())
    raw = child.stdout.readline()
    signal.alarm(_PATIENCE_S)
    left_s = 0.0
    code = 1
    while True:
        try:
            pid, status, used = os.wait4(-1, 0)
        except ChildProcessError:
            break
        if pid == child.pid:
            code = child.returncode = os.waitstatus_to_exitcode(status)
        else:
            left_s += used.ru_utime + used.ru_stime
    if code:
        sys.exit(code)
    told = json.loads(raw)
    told["services_s"] += left_s
    print(json.dumps(told))


def cpu_of_tree(pid: int) -> float:
    """Return the CPU seconds of a process and all below it, those that have ended included; 0 for none."""
    if not pid:
        return 0.0
    try:
        root = psutil.Process(pid)
        living = [root, *root.children(recursive=True)]
    except psutil.NoSuchProcess:
        return 0.0
    return sum(map(_cpu_of, living))


def _cpu_of(process: psutil.Process) -> float:
    try:
        return float(sum(process.cpu_times()[:4]))  # with the children that it has waited for
    except psutil.NoSuchProcess:
        return 0.0


def _cpu_of_services() -> float:
    """Return what this process's children and those whom they left have used so far."""
    own = psutil.Process()
    parent = own.parent()
    assert parent is not None
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime + sum(_cpu_of(one) for one in parent.children(recursive=True) if one != own)


def _kill_the_rest() -> None:
    for process in psutil.Process().children(recursive=True):
        process.kill()
