"""The processes of a recorder: what it starts carries the environment of the process that logs, and is found by it."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

VARIABLE = "RECORDER_FOLDER"
"""Set for the process that logs, and so for all that it starts."""

_PATIENCE_S = 60.0


def processes(folder: Path) -> list[int]:
    """Return the living processes that log into a folder."""
    wanted = f"{VARIABLE}={folder}".encode()
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            if wanted in path.read_bytes().split(b"\0"):
                found.append(int(path.parent.name))
        except OSError:
            pass  # it has ended, or is not ours
    return found


def wait_for_end(folder: Path) -> int:
    """Wait until the recorder's processes have ended; return the bytes that they held at most meanwhile.

    Those that stay for a minute are killed, as a machine's shutdown would.
    """
    deadline = time.monotonic() + _PATIENCE_S
    peaks: dict[int, int] = {}
    while pids := processes(folder):
        peaks |= {pid: max(peaks.get(pid, 0), resident_bytes(pid, "VmHWM")) for pid in pids}
        if time.monotonic() > deadline:
            kill(folder)
        time.sleep(0.05)
    return sum(peaks.values())


def kill(folder: Path) -> None:
    """Kill the recorder's processes, so that none of them writes out what it holds."""
    for pid in processes(folder):
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass


def resident_bytes(pid: int, field: str) -> int:
    """Return `VmRSS` (what a process holds in memory now) or `VmHWM` (the most it ever held) of a process."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{field}:")), 0)


def forget_peak() -> None:
    """Let this process's `VmHWM` begin anew."""
    Path("/proc/self/clear_refs").write_text("5")
