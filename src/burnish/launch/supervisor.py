"""The parent of one training process: spawns, watches, retries, and keeps the record.

The child's stdout and stderr are `console.log` itself, never a pipe, and it leads a session of its own: so
killing the supervisor leaves training alone, and the next `burnish` command adopts it.
"""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import FrameType

from burnish.core.errors import RunError, UsageError
from burnish.core.files import FileLock
from burnish.core.paths import RunPaths
from burnish.core.processes import ProcessIdentity, limit_files, raise_file_limit, signal_group, wait_pidfd
from burnish.launch.notice import Notice
from burnish.launch.progress import Progress
from burnish.launch.recorder import Recorder
from burnish.launch.retry import Exit, RetryPolicy, State, final_state
from burnish.track.shipping import Options
from burnish.track.start import ATTEMPT_VARIABLE, RUN_DIR_VARIABLE

_POLL_S = 0.1


class Supervisor:
    """Runs one command as a run, to its end.

    Args:
        paths: The run directory, made already.
        command: The command line that trains.
        policy: When to start it again.
        sinks: Where the journal is shipped: options by name.
        directory: The folder that the command runs in; this process's own when left out.
        needs_end_record: The command is known to close its record, so exit 0 without that is a failure.
        environ: The environment of the child, to which the run is added.
        on_progress: Called some ten times a second with where the run stands.
        on_alert: Shows an alert on the console; without it such alerts are warnings of the log.
    """

    def __init__(
        self,
        paths: RunPaths,
        command: Sequence[str],
        *,
        policy: RetryPolicy,
        sinks: Mapping[str, Options],
        directory: str | None = None,
        needs_end_record: bool = False,
        environ: Mapping[str, str] | None = None,
        on_progress: Callable[[Progress], None] = lambda progress: None,
        on_alert: Callable[[Notice], None] | None = None,
    ) -> None:
        self._paths = paths
        self._command = list(command)
        self._policy = policy
        self._sinks = sinks
        self._directory = directory
        self._needs_end_record = needs_end_record
        self._environ = dict(os.environ if environ is None else environ)
        self._on_progress = on_progress
        self._on_alert = on_alert
        self._child: ProcessIdentity | None = None
        self._is_unheard = False
        self.stop_signals = 0

    def run(self, lock: FileLock | None = None) -> tuple[State, Exit]:
        """Run the command until it ends for good; return the run's state and how the last attempt ended.

        Args:
            lock: The run's lock, where the caller holds it already; released at the end.

        Raises:
            RunError: Another live process supervises this run.
            UsageError: The command cannot be started.
        """
        lock = lock or FileLock.try_acquire(self._paths.lock)
        if lock is None:
            raise RunError(
                f"run {self._paths.name} is supervised by another live process",
                hint=f"look at it: burnish show {self._paths.name}",
            )
        with lock, self._signals():
            recorder = Recorder(self._paths, self._sinks, on_alert=self._on_alert)
            before = len(recorder.attempts)
            while True:
                ended = self._attempt(recorder)
                delay_s = self._policy.delay_s(
                    len(recorder.attempts) - before, ended, stop_requested=self.stop_signals > 0
                )
                if delay_s is None or not self._wait(recorder, delay_s):
                    break
            state = final_state(ended, stop_requested=self.stop_signals > 0, needs_end_record=self._needs_end_record)
            asked = self.stop_signals
            recorder.finish(state, ended, hurry=lambda: self.stop_signals > asked)
            return state, ended

    def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        """Ask the training process to stop after its step; a second call kills it and all its children."""
        self.stop_signals += 1
        if self._child is None:
            self._is_unheard = True
        else:
            signal_group(self._child.pid, number if self.stop_signals == 1 else signal.SIGKILL)

    def _attempt(self, recorder: Recorder) -> Exit:
        number = recorder.attempt_starts()
        try:
            process = self._spawn(number)
        except OSError as error:
            ended = recorder.attempt_ended(127)
            recorder.finish("failed", ended)
            raise UsageError(f"cannot start {self._command[0]!r}: {error.strerror}") from error
        self._child = ProcessIdentity.of(process.pid)
        recorder.attempt_runs(self._child)
        recorder.watch(self._child)
        pidfd = os.pidfd_open(process.pid)
        try:
            if self._is_unheard:  # asked while there was no child to tell
                signal_group(process.pid, signal.SIGTERM)
            while not wait_pidfd(pidfd, _POLL_S):
                recorder.progress.stop_signals = self.stop_signals
                self._on_progress(recorder.poll())
            # The unreaped child still holds its pid, so this group cannot be anybody else's yet.
            signal_group(process.pid, signal.SIGKILL)
            code = process.wait()
        finally:
            self._child = None
            os.close(pidfd)
        recorder.progress.stop_signals = self.stop_signals  # it may have been asked, and ended, since the last look
        ended = recorder.attempt_ended(code)
        self._on_progress(recorder.progress)
        return ended

    def _spawn(self, attempt: int) -> subprocess.Popen[bytes]:
        environ = {
            **self._environ,
            RUN_DIR_VARIABLE: str(self._paths.root),
            ATTEMPT_VARIABLE: str(attempt),
            "PYTHONUNBUFFERED": "1",
        }
        with self._paths.console.open("ab") as console:
            process = subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=subprocess.STDOUT,
                env=environ,
                cwd=self._directory,
                start_new_session=True,
            )
        # Raised after the first start, which so inherits what the user has set; each later one gets it back.
        limit_files(process.pid, raise_file_limit())
        return process

    def _wait(self, recorder: Recorder, delay_s: float) -> bool:
        """Wait before the next attempt; return False when asked to stop meanwhile."""
        recorder.retries(delay_s)
        until = time.monotonic() + delay_s
        while time.monotonic() < until and not self.stop_signals:
            time.sleep(min(_POLL_S, delay_s))
        return not self.stop_signals

    @contextmanager
    def _signals(self) -> Iterator[None]:
        """Forward Ctrl-C and SIGTERM to the child; a closed terminal (SIGHUP) does not end the supervisor."""
        if threading.current_thread() is not threading.main_thread():
            yield  # Python lets only the main thread handle signals; whoever owns it calls `stop`
            return

        def forward(number: int, frame: FrameType | None) -> None:
            self.stop(signal.Signals(number))

        before = {n: signal.signal(n, forward) for n in (signal.SIGINT, signal.SIGTERM)}
        before[signal.SIGHUP] = signal.signal(signal.SIGHUP, signal.SIG_IGN)
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
