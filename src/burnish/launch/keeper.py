"""`python -m burnish.launch.keeper RUN_DIR`: looks after a run that has no supervisor, in a session of its own."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def main(argv: list[str]) -> int:
    """Keep the run whose directory is named until its training process ends."""
    # Whatever the script left inheritable would keep its pipes open: `script | cat` must not hang.
    os.closerange(3, os.sysconf("SC_OPEN_MAX") if os.sysconf("SC_OPEN_MAX") < 1 << 16 else 1 << 16)
    from burnish.core.paths import RunPaths
    from burnish.launch.adopt import keep
    from burnish.launch.prepare import describe_kept_run

    paths = RunPaths(Path(argv[0]))
    if not paths.card.exists():
        describe_kept_run(paths)
    keep(paths)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
