"""What a training process and all its children use, from one pass over `/proc`.

Processes come and go between two looks. The time of one that has ended is not lost: the kernel adds it to the
parent that waited for it, whose children's time is counted too.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Process:
    """One process as `/proc/<pid>/stat` has it.

    Attributes:
        parent: The id of its parent.
        session: The session that it belongs to.
        cpu_s: CPU time of the process and of the children that it has waited for.
        rss_bytes: Memory that it has resident; pages that are shared count in each process.
        threads: How many it has.
    """

    parent: int
    session: int
    cpu_s: float
    rss_bytes: int
    threads: int


@dataclass(frozen=True, slots=True)
class Usage:
    """What a process tree uses: CPU seconds since its beginning, bytes of memory, threads and processes."""

    cpu_s: float
    rss_bytes: int
    threads: int
    processes: int


def read_processes() -> dict[int, Process]:
    """Return every process of the machine, by id, that can be seen from here."""
    found: dict[int, Process] = {}
    for entry in os.listdir("/proc"):  # noqa: PTH208  some 5 µs a process less than by Path
        if entry.isdigit() and (process := _read(entry)) is not None:
            found[int(entry)] = process
    return found


def tree_of(root: int, processes: Mapping[int, Process]) -> list[Process]:
    """Return a process and its children's children; of one that leads a session, the whole session.

    A script that was started from a shell shares the shell's session with others, which are none of its own.
    """
    if root not in processes:
        return []
    children: dict[int, list[int]] = {}
    for pid, process in processes.items():
        children.setdefault(process.parent, []).append(pid)
    seen = {root}
    if processes[root].session == root:  # also children that were orphaned and now belong to init
        seen |= {pid for pid, process in processes.items() if process.session == root}
    waiting = list(seen)
    while waiting:
        for pid in children.get(waiting.pop(), ()):
            if pid not in seen:
                seen.add(pid)
                waiting.append(pid)
    return [processes[pid] for pid in seen]


def usage_of(root: int) -> Usage | None:
    """Return what a process and its children use; None when it is gone."""
    tree = tree_of(root, read_processes())
    if not tree:
        return None
    return Usage(
        cpu_s=sum(p.cpu_s for p in tree),
        rss_bytes=sum(p.rss_bytes for p in tree),
        threads=sum(p.threads for p in tree),
        processes=len(tree),
    )


def _read(pid: str) -> Process | None:
    try:
        fd = os.open(f"/proc/{pid}/stat", os.O_RDONLY | os.O_CLOEXEC)
        try:
            raw = os.read(fd, 1024)
        finally:
            os.close(fd)
    except OSError:  # it ended while we looked
        return None
    # The name in parentheses may hold spaces and parentheses itself: split after the last one.
    # proc_pid_stat(5): state is field 3, so field n stands at n - 3.
    fields = raw[raw.rindex(b")") + 2 :].split(None, 23)
    ticks = int(fields[11]) + int(fields[12]) + int(fields[13]) + int(fields[14])
    is_gone = fields[0] in (b"Z", b"X")  # waited for by nobody yet: its time counts, it is no process any more
    return Process(
        parent=int(fields[1]),
        session=int(fields[3]),
        cpu_s=ticks / _TICKS_PER_S,
        rss_bytes=max(0, int(fields[21])) * _PAGE_BYTES,
        threads=0 if is_gone else int(fields[17]),
    )
