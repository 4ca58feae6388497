"""What `burnish run` shows on stderr while a run lives, and how much of it."""

from __future__ import annotations

import codecs
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from burnish.cli import _console
from burnish.core.paths import RunPaths
from burnish.journal.record import read_record
from burnish.launch import Progress

if TYPE_CHECKING:
    from burnish.experiment.submit import RunResult
    from burnish.launch.notice import Notice
    from burnish.launch.prepare import PreparedRun


@dataclass(frozen=True, slots=True)
class Show:
    """How much is to be said."""

    quiet: bool
    as_json: bool


def supervise_shown(prepared: PreparedRun, *, quiet: bool) -> RunResult:
    """Run to the end, saying on stderr where it stands."""
    from burnish.experiment.submit import supervise

    paths = prepared.paths
    # What a command prints is why it was run; of an experiment, the status line says more.
    is_experiment = bool(read_record(paths).get("needs_end_record"))
    show = _Display(paths, follow=None if is_experiment or quiet else _Follow(paths), quiet=quiet)
    show.begin(prepared.warnings)
    result = supervise(prepared, show, os.environ, on_alert=show.alert)
    show.end(result.state)
    return result


class _Display:
    """What `burnish run` shows on stderr while a run lives; called with its progress."""

    def __init__(self, paths: RunPaths, *, follow: _Follow | None, quiet: bool) -> None:
        self._paths = paths
        self._id = paths.id
        self._follow = follow
        self._quiet = quiet
        self._status = _console.StatusLine(self._id)
        self._attempt = 0
        self._told_stop = False

    def begin(self, warnings: tuple[str, ...]) -> None:
        """Say what runs."""
        for warning in warnings:
            _console.warn(warning)
        if not self._quiet:
            _console.err(f"run {self._paths.name}")

    def __call__(self, progress: Progress) -> None:
        """Show what is new."""
        if self._quiet:
            return
        if self._follow is not None:
            self._follow(self._status.clear)
        if progress.stop_signals and not self._told_stop:
            self._told_stop = True
            self._status.clear()
            _console.err(f"{self._id}  stopping after this step; Ctrl-C again to stop at once")
        if self._attempt and progress.attempt != self._attempt:
            self._status.clear()
            _console.err(_retry_line(self._paths, self._id, progress.attempt))
        self._attempt = progress.attempt
        self._status(progress)

    def alert(self, notice: Notice) -> None:
        """Say what the run's alerts tell, whatever else is not wanted."""
        self._status.clear()
        _console.warn(notice.line)

    def end(self, state: str) -> None:
        """Say how it ended; a failure is told even when nothing else is wanted."""
        self._status.clear()
        if self._follow is not None:
            self._follow(self._status.clear)
        if not self._quiet or state != "finished":
            _console.show_end(self._paths, state, with_output=self._follow is None)


def _retry_line(paths: RunPaths, run_id: str, attempt: int) -> str:
    attempts = read_record(paths).get("attempts")
    before = attempts[attempt - 2] if isinstance(attempts, list) and len(attempts) >= attempt else {}
    at = f" at step {before['last_step']}" if before.get("last_step", -1) >= 0 else ""
    return f"{run_id}  attempt {attempt - 1} {before.get('reason', 'ended')}{at}; attempt {attempt} goes on"


class _Follow:
    """Passes on to stderr what the command prints."""

    def __init__(self, paths: RunPaths) -> None:
        self._path = paths.console
        self._offset = self._path.stat().st_size if self._path.exists() else 0
        self._decode = codecs.getincrementaldecoder("utf-8")("replace").decode

    def __call__(self, make_room: Callable[[], None]) -> None:
        """Print what is new; `make_room` removes the status line first."""
        try:
            with self._path.open("rb") as console:
                console.seek(self._offset)
                fresh = console.read()
        except FileNotFoundError:
            return
        self._offset += len(fresh)
        if fresh:
            make_room()
            _console.raw_err(self._decode(fresh))
