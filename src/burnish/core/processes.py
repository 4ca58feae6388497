"""Who a process is: its id, when it started, and on which boot, so that a reused pid is never mistaken."""

from __future__ import annotations

import os
import resource
import select
import signal
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Self

_PR_SET_PDEATHSIG = 1


@dataclass(frozen=True, slots=True)
class ProcessIdentity:
    """One process on this machine, told apart from a later one with the same pid.

    Attributes:
        pid: The process id.
        started_ticks: Field 22 of `/proc/<pid>/stat`: clock ticks between boot and its start.
        boot: The kernel's boot id; pids and ticks mean nothing across a reboot.
        host: The machine's name, for a runs folder on a shared disk.
        namespace: Which process ids it counts by: those of a container mean nothing outside it.
    """

    pid: int
    started_ticks: int
    boot: str
    host: str
    namespace: str = ""

    @classmethod
    def of(cls, pid: int) -> Self:
        """Describe a process, alive or dead (`started_ticks` is then -1)."""
        return cls(pid, _started_ticks(pid), _boot_id(), os.uname().nodename, _namespace())

    @classmethod
    def from_json(cls, value: object) -> Self | None:
        """Read what `to_json` wrote; None when it is something else."""
        if not isinstance(value, dict):
            return None
        try:
            return cls(
                int(value["pid"]),
                int(value["started_ticks"]),
                str(value["boot"]),
                str(value["host"]),
                str(value.get("namespace", "")),
            )
        except (KeyError, TypeError, ValueError):
            return None

    def to_json(self) -> dict[str, object]:
        """Return the identity as a JSON object."""
        return asdict(self)

    @property
    def is_local(self) -> bool:
        """Whether its process id means something here: the same boot and the same namespace."""
        return self.boot == _boot_id() and self.namespace == _namespace()

    @property
    def may_live_elsewhere(self) -> bool:
        """Whether it may run where this process cannot see it: on another host, or in another container."""
        return not self.is_local and (self.host != os.uname().nodename or self.boot == _boot_id())

    @property
    def is_alive(self) -> bool:
        """Whether this very process still runs here; a zombie does not."""
        return self.is_local and self.started_ticks >= 0 and _started_ticks(self.pid) == self.started_ticks

    def open_pidfd(self) -> int | None:
        """Return a descriptor that becomes readable when the process ends; None when it has ended."""
        try:
            fd = os.pidfd_open(self.pid)
        except OSError:
            return None
        if self.is_alive:  # checked after opening: the descriptor pins this process, not a later one
            return fd
        os.close(fd)
        return None


def end_with(parent: int) -> bool:
    """Let the kernel kill this process when its parent ends; return whether the parent is there still.

    To be called first of all in the new process, which must have been started by a thread that lives as long.
    """
    import ctypes  # few processes need it, and a training none

    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    return os.getppid() == parent


def wait_pidfd(fd: int, timeout_s: float) -> bool:
    """Wait until the process behind a pidfd has ended; return whether it has."""
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    return bool(poll.poll(max(0, int(timeout_s * 1000))))


def signal_group(pgid: int, number: signal.Signals) -> None:
    """Send a signal to every process of a group; a group that is gone is fine."""
    try:
        os.killpg(pgid, number)
    except ProcessLookupError:
        pass


def read_stat(pid: int) -> list[bytes]:
    """Return the fields of `/proc/<pid>/stat` from the third on (the state); empty where there is no such process."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return []
    # The name in parentheses may hold spaces and parentheses itself: split after the last one.
    return stat[stat.rindex(b")") + 2 :].split()


@cache
def raise_file_limit() -> tuple[int, int]:
    """Let this process open as many files as it may; return the soft and hard limit that it had before.

    A run of a thousand ranks has more journals than the usual soft limit of 1024. That one is for programs that use
    `select`, and so for the processes that this one starts: see `limit_files`.
    """
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (before[1], before[1]))
    return before


def limit_files(pid: int, limit: tuple[int, int]) -> None:
    """Set how many files a process may open; one that has ended is fine."""
    with suppress(OSError):
        resource.prlimit(pid, resource.RLIMIT_NOFILE, limit)


def _started_ticks(pid: int) -> int:
    fields = read_stat(pid)
    return -1 if not fields or fields[0] in (b"Z", b"X") else int(fields[19])


def _namespace() -> str:
    try:
        return str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        return ""


def _boot_id() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""
