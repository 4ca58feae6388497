"""Runs whose supervisor died: a living child gets a keeper, a dead one gets its record completed."""

from __future__ import annotations

import logging
import math
import os
import time
from dataclasses import dataclass
from pathlib import Path

from burnish.core.errors import BurnishError
from burnish.core.exit_status import exit_code_of
from burnish.core.files import FileLock
from burnish.core.paths import RunPaths
from burnish.core.processes import ProcessIdentity, wait_pidfd
from burnish.journal.index import RunIndex
from burnish.journal.record import LIVE, RunRecord, read_record
from burnish.launch.recorder import Recorder
from burnish.launch.retry import Exit, State, final_state
from burnish.track.hand_over import start_keeper
from burnish.track.shipping import Options, read_sinks
from burnish.track.start import RUN_DIR_VARIABLE

_log = logging.getLogger(__name__)
_POLL_S = 0.5
_FINISH_S = 2.0
_LOOK_EVERY_S = 0.03
_LEAVE_S = 60.0
_AT_EXIT = "at_exit"
"""In an end frame: it was written because the interpreter ends, which takes a while with a large model."""


@dataclass(frozen=True, slots=True)
class Adoption:
    """What became of a run that nobody looked after: `adopted` (it still trains) or its final state."""

    name: str
    outcome: str


def adopt_orphans(runs: Path) -> list[Adoption]:
    """Look after every run of a folder whose supervisor has died; one that cannot be helped stops no other.

    Args:
        runs: The runs folder.
    """
    done: list[Adoption] = []
    until = time.monotonic() + _FINISH_S
    for record in RunIndex(runs).records(states=LIVE):
        paths = RunPaths(runs / str(record["name"]))
        try:
            outcome = _adopt(paths)
            if not outcome:
                _let_finish(paths, record, until)
        except (BurnishError, OSError) as error:
            _log.warning("run %s: its record cannot be completed: %s", paths.name, error)
            continue
        if outcome:
            done.append(Adoption(paths.name, outcome))
    return done


def _adopt(paths: RunPaths) -> str:
    lock = FileLock.try_acquire(paths.lock)
    if lock is None:
        return ""
    with lock:
        record = read_record(paths)
        if record.get("state") not in LIVE:
            return ""  # it ended between our look and our lock
        process = _training_process(paths, record)
        supervisor = ProcessIdentity.from_json(record.get("supervisor"))
        if any(known is not None and known.may_live_elsewhere for known in (process, supervisor)):
            return ""  # another host's or container's run on a shared disk: only from there one can see it
        if process is None or not process.is_alive:
            return complete(paths, ship=False)  # a command does not wait for a tracker
        start_keeper(paths, lock)
        return "adopted"


def _let_finish(paths: RunPaths, record: RunRecord, until: float) -> None:
    """Wait a moment for whoever watches a run whose training has just ended: who looks wants to see the end.

    Args:
        paths: The run.
        record: As it was when it was listed.
        until: When the patience for all runs together ends, by the monotonic clock.
    """
    process = None if record.get("state") == "retrying" else _training_process(paths, record)
    if process is None or not process.is_local or process.is_alive:
        return
    while time.monotonic() < until and read_record(paths).get("state") in LIVE:
        time.sleep(_LOOK_EVERY_S)


def sinks_of(paths: RunPaths) -> dict[str, Options]:
    """Return the sinks that a run was started with, with their options."""
    return read_sinks(read_record(paths).get("ship_to"))


def _training_process(paths: RunPaths, record: RunRecord) -> ProcessIdentity | None:
    """Return the process of a run's last attempt; None when none was ever seen, or it was seen to end."""
    attempts = record.get("attempts")
    last = attempts[-1] if isinstance(attempts, list) and attempts else {"ended": True}
    if "ended" in last:
        return None
    return ProcessIdentity.from_json(last.get("process")) or _find_process(paths)


def _find_process(paths: RunPaths) -> ProcessIdentity | None:
    """Look for a process that was told to train this run: its supervisor died before it could write down which."""
    mark = f"{RUN_DIR_VARIABLE}={paths.root}\0".encode()
    for folder in Path("/proc").iterdir():
        try:
            is_leader = folder.name.isdigit() and os.getsid(int(folder.name)) == int(folder.name)
            if is_leader and mark in (folder / "environ").read_bytes() + b"\0":
                return ProcessIdentity.of(int(folder.name))
        except OSError:  # it ended while we looked, or it is somebody else's
            continue
    return None


def complete(paths: RunPaths, *, ship: bool = True) -> State:
    """Finish the record of a run whose training process is gone; the caller holds its lock.

    Args:
        paths: The run.
        ship: False leaves its sinks to `burnish sync`.
    """
    recorder = Recorder(paths, sinks_of(paths), ship=ship)
    if not recorder.attempts:
        return _finish(recorder, Exit(None, error="it was never started"))
    last = recorder.attempts[-1]
    seen = last.get("exit_code")  # its supervisor saw the end and died before it could say so
    process = ProcessIdentity.from_json(last.get("process"))
    if not isinstance(seen, int):
        seen = _code_that_counts(recorder, process, exit_code_of(process)) if process is not None else None
    return _finish(recorder, recorder.attempt_ended(seen))


def _finish(recorder: Recorder, ended: Exit) -> State:
    needs_end_record = bool(recorder.record.get("needs_end_record"))
    is_asked = recorder.progress.stop_signals > 0
    state = final_state(ended, stop_requested=is_asked, needs_end_record=needs_end_record)
    recorder.finish(state, ended)
    return state


def keep(paths: RunPaths, pidfd: int | None = None) -> None:
    """Look after a run until its training process ends or says that the run has, then complete its record.

    The caller holds the run's lock.

    Args:
        paths: The run.
        pidfd: A descriptor of its training process, where the caller has one; closed at the end.
    """
    record = read_record(paths)
    if record.get("state") not in LIVE:
        return
    process = _training_process(paths, record)
    if pidfd is None and process is not None:
        pidfd = process.open_pidfd()
    if process is None or pidfd is None:
        complete(paths)
        return
    recorder = Recorder(paths, sinks_of(paths))
    recorder.watch(process)
    try:
        code = _wait_for_end(recorder, process, pidfd)
    finally:
        os.close(pidfd)
    _finish(recorder, recorder.attempt_ended(_code_that_counts(recorder, process, code)))


def _wait_for_end(recorder: Recorder, process: ProcessIdentity, pidfd: int) -> int | None:
    """Wait until a run is over; return its process's exit code, None where it goes on or nobody can say."""
    until = math.inf
    while not wait_pidfd(pidfd, _POLL_S):
        end = recorder.poll().ends.get(process.pid)
        if end is None or _is_supervised(recorder):
            continue
        if not end.get(_AT_EXIT):
            return None  # a notebook's process goes on after its run, and a script may begin another one
        until = min(until, time.monotonic() + _LEAVE_S)
        if time.monotonic() >= until:
            return None
    return exit_code_of(process, pidfd)


def _code_that_counts(recorder: Recorder, process: ProcessIdentity, code: int | None) -> int | None:
    """Return the exit code that decides how a run has ended, None where its own last word does.

    Args:
        recorder: Which reads what is left of the journals, and notes a stop that was asked for.
        process: The training process.
        code: Its exit code, None if unknown.
    """
    progress = recorder.poll()
    end = progress.end_of(process.pid)
    said = end.get("status")
    if said == "stopped":
        progress.stop_signals = max(1, progress.stop_signals)
    if _is_supervised(recorder):
        return code
    if progress.ends.get(process.pid) and not end.get(_AT_EXIT):
        return None  # it said so itself, and did something else after that
    return None if code == 0 and said in ("failed", "stopped") else code


def _is_supervised(recorder: Recorder) -> bool:
    """Whether the training process was started for this run alone: it ends when the process does, and as it does."""
    return "retry" in recorder.record
