"""The machine that a run was made on: host, processor, memory, disk, GPUs."""

from __future__ import annotations

import os
import platform
import socket
import sys
from collections.abc import Iterable
from pathlib import Path

import psutil

from burnish.core.hardware import Machine


def describe_system(machine: Machine, folder: Path) -> dict[str, object]:
    """Return the card's section on the machine; sizes in bytes.

    Args:
        machine: Its GPUs and CPUs.
        folder: A folder on the disk that runs are kept on.
    """
    memory = psutil.virtual_memory()
    kernel = os.uname()
    return {
        "host": socket.gethostname(),
        "user": _user(),
        "platform": platform.platform(),
        "kernel": f"{kernel.sysname} {kernel.release}",
        "python": sys.version.split()[0],
        "executable": sys.executable,
        "cpu": _cpu_name(),
        "cpus": machine.cpus,
        "cpu_cores": psutil.cpu_count(logical=False),
        "cpu_threads": psutil.cpu_count(),
        "cpu_affinity": ranges(os.sched_getaffinity(0)),
        "memory_bytes": memory.total,
        "memory_available_bytes": memory.available,
        "disk": _disk(folder),
        "gpus": [gpu.to_json() for gpu in machine.gpus],
        "gpu_note": machine.note,
    }


def ranges(numbers: Iterable[int]) -> str:
    """Return numbers the way the kernel lists CPUs.

    >>> ranges({0, 1, 2, 5}), ranges([])
    ('0-2,5', '')
    """
    parts: list[list[int]] = []
    for number in sorted(numbers):
        if parts and parts[-1][-1] == number - 1:
            parts[-1].append(number)
        else:
            parts.append([number])
    return ",".join(str(part[0]) if len(part) == 1 else f"{part[0]}-{part[-1]}" for part in parts)


def _disk(folder: Path) -> dict[str, object] | None:
    try:
        usage = psutil.disk_usage(str(folder))
    except OSError:
        return None
    return {"total_bytes": usage.total, "free_bytes": usage.free}


def _user() -> str:
    try:
        return psutil.Process().username()
    except (KeyError, psutil.Error):
        return str(os.getuid())


def _cpu_name() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
