"""When rows became durable: what the kernel was asked to flush, as `strace` saw it, beside what was logged when."""

from __future__ import annotations

import re
import shutil
import subprocess
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

_CALL = re.compile(
    r"(?P<pid>\d+) +(?P<at>[\d.]+) (?:<\.\.\. )?(?P<name>\w+)(?:\(\d+<(?P<path>[^>]*)>| resumed>)(?P<rest>.*)"
)
# A flush that ended so shortly before a row was seen was that row's: who looks comes a little late.
_LOOK_S = 0.25
_TOOK = re.compile(r"\) += 0 <([\d.]+)>")


@dataclass(frozen=True, slots=True)
class Flush:
    """One finished `fsync` or `fdatasync` of a file that holds rows; seconds since the epoch."""

    begun: float
    ended: float


def tracer(output: Path) -> list[str]:
    """Return the command that runs another one and writes down what it flushes; empty where none can."""
    argv = ["strace", "-f", "-ttt", "-T", "-y", "--seccomp-bpf", "-e", "trace=fsync,fdatasync", "-o", str(output)]
    if shutil.which("strace") is None:
        return []
    works = subprocess.run([*argv, "true"], capture_output=True, check=False).returncode == 0
    return argv if works else []


def read_flushes(trace: Path, folder: Path, pattern: str) -> list[Flush]:
    """Return the flushes of files of a folder, in the order in which they began."""
    begun: dict[str, tuple[float, str]] = {}
    found = []
    for line in trace.read_text(errors="replace").splitlines():
        call = _CALL.match(line)
        if call is None:
            continue
        if call["path"] is not None:
            begun[call["pid"]] = (float(call["at"]), call["path"])
        took = _TOOK.search(call["rest"])
        if took is None or call["pid"] not in begun:
            continue
        at, path = begun.pop(call["pid"])
        if fnmatch(path, f"{folder}/{pattern}"):
            found.append(Flush(at, at + float(took[1])))
    return sorted(found, key=lambda flush: flush.begun)


def durable_at(called: float, kept: float, flushes: Sequence[Flush]) -> float | None:
    """Return when a row would have survived a power cut, None for not while anyone looked.

    Args:
        called: When `log` was called.
        kept: When the row was in a file: the end of the call where that had written it, else when it was first seen.
        flushes: In the order in which they began.
    """
    starts = [flush.begun for flush in flushes]
    inside = flushes[bisect_left(starts, max(called, kept - _LOOK_S)) : bisect_left(starts, kept)]
    if any(flush.ended <= kept for flush in inside):
        return kept  # written and flushed at once, as a database's commit
    after = flushes[bisect_left(starts, kept) :]
    return min((flush.ended for flush in after), default=None)
