"""`python -m burnish.launch.keeper RUN_DIR LOCK [PIDFD]`: looks after a run that has no supervisor, in its own session.

LOCK is the descriptor of the run's lock, PIDFD one of the training process, both inherited from whoever started it:
a script may have ended before its keeper has loaded. A keeper has no terminal: what it says goes to `keeper.log` in
the run's folder, which is there only if something was said.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

_LOG = "keeper.log"
_STDERR = 2


def main(argv: list[str]) -> int:
    """Keep the run whose directory is named until its training process ends."""
    log = Path(argv[0]) / _LOG
    is_logged = _write_stderr_to(log)
    # Whatever the script left inheritable would keep its pipes open: `script | cat` must not hang.
    lock_fd, pidfd = int(argv[1]), int(argv[2]) if len(argv) > 2 else None
    _close_all_but(lock_fd, *([pidfd] if pidfd is not None else []))
    from burnish.core.files import FileLock
    from burnish.core.paths import RunPaths
    from burnish.core.processes import raise_file_limit
    from burnish.core.secrets import MaskedStream, Masker

    sys.stderr = MaskedStream(sys.stderr, Masker.from_environment(os.environ))
    from burnish.launch.adopt import keep
    from burnish.launch.prepare import describe_kept_run

    raise_file_limit()
    paths = RunPaths(Path(argv[0]))
    with FileLock(lock_fd):
        if not paths.card.exists():
            describe_kept_run(paths)
        keep(paths, pidfd)
        if is_logged and log.stat().st_size == 0:  # while no other keeper can begin to write to it
            log.unlink()
    return 0


def _close_all_but(*kept: int) -> None:
    begin, last = _STDERR + 1, min(os.sysconf("SC_OPEN_MAX"), 1 << 16)
    for fd in sorted(kept):
        os.closerange(begin, fd)
        os.set_inheritable(fd, False)
        begin = fd + 1
    os.closerange(begin, last)


def _write_stderr_to(path: Path) -> bool:
    """Send to a file what this process, and what it loads, say as errors; return whether that could be done."""
    try:
        fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    except OSError:  # a full disk: it has nowhere to speak, and keeps the run all the same
        return False
    os.dup2(fd, _STDERR)
    os.close(fd)
    return True


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
