"""How a process ended that is nobody's child here: the kernel is asked, before or after its parent has reaped it."""

from __future__ import annotations

import fcntl
import os
import struct
from pathlib import Path
from typing import Final

from burnish.core.processes import ProcessIdentity, read_stat

# `struct pidfd_info` of linux/pidfd.h in its first published size: mask, cgroup id, eleven ids, exit code.
_INFO: Final = struct.Struct("=QQ11Ii")
_GET_INFO: Final = 3 << 30 | _INFO.size << 16 | 0xFF << 8 | 11  # _IOWR(0xFF, 11, struct pidfd_info)
_INFO_EXIT: Final = 1 << 3
_ENDED: Final = (b"Z", b"X")
_START, _EXIT = 19, 49
"""Places in `/proc/<pid>/stat` after the name: its fields 22 and 52."""


def exit_code_of(process: ProcessIdentity, pidfd: int | None = None) -> int | None:
    """Return a process's exit code, negative for a signal; None where it runs, or nobody can say any more.

    A zombie tells it in `/proc`. Of a process that was reaped only its pidfd does, since Linux 6.15.

    Args:
        process: Which one.
        pidfd: A descriptor that was opened while it lived.
    """
    for look in (_of_reaped, _of_zombie, _of_reaped):  # it may be reaped between two looks
        status = look(process, pidfd)
        if status is not None:
            return os.waitstatus_to_exitcode(status)
    return None


def _of_reaped(process: ProcessIdentity, pidfd: int | None) -> int | None:
    if pidfd is None:
        return None
    info = bytearray(_INFO.pack(_INFO_EXIT, *[0] * 13))
    try:
        fcntl.ioctl(pidfd, _GET_INFO, info)
    except OSError:  # an older kernel, or a process of another namespace
        return None
    mask, *_, status = _INFO.unpack(info)
    return int(status) if mask & _INFO_EXIT else None


def _of_zombie(process: ProcessIdentity, pidfd: int | None) -> int | None:
    if not process.is_local:
        return None
    try:
        # Who may not trace a process reads 0 there, which would be a good end.
        if Path(f"/proc/{process.pid}").stat().st_uid != os.geteuid():
            return None
    except OSError:
        return None
    fields = read_stat(process.pid)
    if len(fields) <= _EXIT or fields[0] not in _ENDED or int(fields[_START]) != process.started_ticks:
        return None
    return int(fields[_EXIT])
