"""Handing a run to a keeper: a process of its own that looks after it until the training process ends."""

from __future__ import annotations

import fcntl
import os
import sys

from burnish.core.files import FileLock
from burnish.core.paths import RunPaths

KEEPERS_LOCK, KEEPERS_PIDFD = 3, 4
"""The descriptors by which a keeper inherits its run's lock, and the process that trains."""


def start_keeper(paths: RunPaths, lock: FileLock, *, pid: int | None = None) -> None:
    """Start a keeper in a session of its own, as nobody's child: a script may wait for all of its children.

    It inherits the run's lock, a descriptor of the training process by which it learns how that ended even if it
    ends before the keeper has loaded, and nothing else, or `script | cat` would hang. A shell starts it in the
    background and ends, which costs a millisecond; a fork of this process would copy the page tables of a training.

    Args:
        paths: The run.
        lock: Its lock.
        pid: The training process, where it may end at any moment.

    Raises:
        OSError: No process could be started.
    """
    pidfd = _pidfd_of(pid) if pid is not None else None
    # -P: a `queue.py` in the folder that the script was started in must not become the keeper's.
    keeper = [sys.executable or "python3", "-P", "-m", "burnish.launch.keeper", str(paths.root), str(KEEPERS_LOCK)]
    if pidfd is not None:
        keeper.append(str(KEEPERS_PIDFD))
    null = [(os.POSIX_SPAWN_OPEN, fd, os.devnull, os.O_RDWR, 0) for fd in (0, 1, 2)]
    # Clear of where they shall be: the first to be put in its place must not cover the second.
    handed = [
        (fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, KEEPERS_PIDFD + 1), to)
        for fd, to in ((lock.fd, KEEPERS_LOCK), (pidfd, KEEPERS_PIDFD))
        if fd is not None
    ]
    actions = [*((os.POSIX_SPAWN_DUP2, fd, to) for fd, to in handed), *null]
    shell = ["sh", "-c", '"$@" &', "sh", *keeper]
    try:
        started = os.posix_spawn("/bin/sh", shell, dict(os.environ), file_actions=actions, setsid=True)
    finally:
        for fd in (*(fd for fd, _ in handed), *([pidfd] if pidfd is not None else [])):
            os.close(fd)
    try:
        os.waitpid(started, 0)
    except ChildProcessError:
        pass  # a script that ignores SIGCHLD has its children reaped by the kernel


def _pidfd_of(pid: int) -> int | None:
    try:
        return os.pidfd_open(pid)
    except OSError:  # a sandbox that knows no pidfds: the keeper looks for the process itself
        return None
