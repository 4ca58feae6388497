"""How the ranks of one launch find the run that their rank 0 has begun, where nobody supervises them."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Mapping
from pathlib import Path

from burnish.core.files import make_folder, write_atomic
from burnish.core.ids import slug
from burnish.core.paths import RunPaths, find_project
from burnish.core.processes import ProcessIdentity

_LEADER_TIMEOUT_S = 60.0
_LOOK_EVERY_S = 0.02
_STALE_S = 7 * 86_400.0

_log = logging.getLogger(__name__)


def rank_of(environ: Mapping[str, str]) -> int:
    """Return the rank of this process in its job; 0 where nothing says it."""
    for variable in ("RANK", "SLURM_PROCID"):
        if (value := environ.get(variable, "")).isdigit():
            return int(value)
    return 0


def tell_other_ranks(run: RunPaths, environ: Mapping[str, str], turn: int) -> None:
    """Let the other ranks of this process's launch join a run.

    Args:
        run: The run.
        environ: The environment, in which a launcher says how many ranks there are.
        turn: Which run of this process it is, from 0.

    Raises:
        OSError: The runs folder cannot be written.
    """
    if (place := _meeting_place(environ, turn)) is not None:
        make_folder(place.parent)
        for old in place.parent.iterdir():
            if time.time() - old.stat().st_mtime > _STALE_S:
                old.unlink(missing_ok=True)
        write_atomic(place, str(run.root))


def folder_of_leader(rank: int, environ: Mapping[str, str], turn: int) -> str:
    """Return the run directory that rank 0 of this launch has made, waiting for it; empty where this rank leads.

    A rank whose leader makes none in time begins a run of its own, so that nothing is lost.
    """
    place = _meeting_place(environ, turn)
    if rank == 0 or place is None:
        return ""
    until = time.monotonic() + _LEADER_TIMEOUT_S
    while time.monotonic() < until:
        try:
            return place.read_text()
        except OSError:
            time.sleep(_LOOK_EVERY_S)
    _log.warning("rank 0 began no run in %g s; rank %d begins one of its own", _LEADER_TIMEOUT_S, rank)
    return ""


def _meeting_place(environ: Mapping[str, str], turn: int) -> Path | None:
    """Return the file by which the ranks of one launch find each other; None for a job of one process.

    Ranks of one machine have one parent, the launcher; those of several machines one step of a Slurm job. No two
    launches share either, so that a file that an earlier one left is nobody's.
    """
    size = environ.get("WORLD_SIZE") or environ.get("SLURM_NTASKS", "")
    if not size.isdigit() or int(size) < 2:
        return None
    if job := environ.get("SLURM_JOB_ID"):
        launch = f"slurm-{job}-{environ.get('SLURM_STEP_ID', '')}-{environ.get('SLURM_RESTART_COUNT', '')}"
    else:
        parent = ProcessIdentity.of(os.getppid())
        launch = f"{parent.host}-{parent.boot}-{parent.pid}-{parent.started_ticks}"
    again = environ.get("TORCHELASTIC_RESTART_COUNT", "0")
    return find_project().runs / ".ranks" / slug(f"{launch}-{again}-{turn}")
