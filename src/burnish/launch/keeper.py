"""`python -m burnish.launch.keeper RUN_DIR LOCK`: looks after a run that has no supervisor, in a session of its own.

LOCK is the descriptor of the run's lock, inherited from whoever started it.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path


def main(argv: list[str]) -> int:
    """Keep the run whose directory is named until its training process ends."""
    # Whatever the script left inheritable would keep its pipes open: `script | cat` must not hang.
    lock_fd, last = int(argv[1]), min(os.sysconf("SC_OPEN_MAX"), 1 << 16)
    os.closerange(3, lock_fd)
    os.closerange(lock_fd + 1, last)
    os.set_inheritable(lock_fd, False)
    from burnish.core.files import FileLock
    from burnish.core.paths import RunPaths
    from burnish.launch.adopt import keep
    from burnish.launch.prepare import describe_kept_run

    paths = RunPaths(Path(argv[0]))
    with FileLock(lock_fd):
        if not paths.card.exists():
            describe_kept_run(paths)
        keep(paths)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
