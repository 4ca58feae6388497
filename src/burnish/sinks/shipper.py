"""One sink of one run, seen from whoever watches the run: its process, and the walls around it.

The sink lives in a process of its own. One that crashes, hangs or grows is ended and begun again, later each time;
whatever it does, it takes nothing from training and nothing from other sinks.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from burnish.core.paths import RunPaths
from burnish.sinks.cursor import Cursor
from burnish.track.shipping import split_options

_log = logging.getLogger(__name__)
_LOOK_S: Final = 0.05
_WEIGH_EVERY_S: Final = 2.0
_BACKOFF_S: Final = (1.0, 60.0)
_MOST_LOG_BYTES: Final = 1 << 20
_PAGE_BYTES: Final = os.sysconf("SC_PAGE_SIZE")
_MIB: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class ShipStatus:
    """How far a sink got.

    Attributes:
        shipped: Entries that it took.
        behind_bytes: Bytes of journal that it has not taken.
        error: What went wrong last; empty while all is well.
        mapped: What the tracker could not hold as it was, counted by rule.
        where: Where to look at the run.
        closed: Whether it has got the run's end too.
    """

    shipped: int
    behind_bytes: int
    error: str
    mapped: Mapping[str, int] = field(default_factory=dict)
    where: str = ""
    closed: bool = False

    def to_json(self) -> dict[str, object]:
        """Return the status as it stands in `run.json`."""
        return {
            "shipped": self.shipped,
            "behind_bytes": self.behind_bytes,
            "error": self.error,
            "mapped": dict(self.mapped),
            "where": self.where,
            "closed": self.closed,
        }


class Shipper:
    """Ships one run's journals through one sink, in a process of its own. Not thread-safe.

    Args:
        run: The run.
        name: The sink's name, under which its cursor is kept.
        options: What its section in the config says.
        from_start: Forget what was shipped before, and ship all of it again.
    """

    def __init__(
        self, run: RunPaths, name: str, options: Mapping[str, object] | None = None, *, from_start: bool = False
    ) -> None:
        self.name = name
        self._run = run
        self._limits, self._options = split_options(options or {})
        self._process: subprocess.Popen[bytes] | None = None
        self._reports = b""
        self._error = ""
        self._end: str | None = None
        self._is_closed = self._is_refused = self._is_busy = False
        self._from_start = from_start
        self._heard_at = self._weighed_at = 0.0
        self._again_at, self._delay_s = 0.0, _BACKOFF_S[0]
        self._cursor: tuple[tuple[int, ...] | None, Cursor] = (None, Cursor())

    def start(self) -> None:
        """Begin to ship what is there and what comes."""
        try:
            self._process = self._spawn()
        except OSError as error:
            self._failed(f"its process cannot be started: {error.strerror}")
            self._process = None
            self._put_off()
            return
        self._reports, self._is_busy, self._heard_at = b"", True, time.monotonic()
        batch_bytes = int(self._limits.batch_kb * 1024)
        self._tell({"options": self._options, "batch_bytes": batch_bytes, "from_start": self._from_start})
        if self._end is not None:
            self._tell({"end": self._end})

    def look(self) -> None:
        """Take note of what the sink says, and end it where it hangs or grows. To be called often; never waits."""
        if self._process is None:
            if self._again_at and time.monotonic() >= self._again_at and not self._is_closed and not self._is_refused:
                self.start()
            return
        self._hear(self._process)
        code = self._process.poll()
        if code is not None:
            self._hear(self._process)  # what it said last
            self._gone(code)
        elif self._is_busy and time.monotonic() - self._heard_at > self._limits.timeout_s:
            self._kill(f"it did not answer for {self._limits.timeout_s:g} s and was ended")
        elif time.monotonic() - self._weighed_at > _WEIGH_EVERY_S:
            self._weigh(self._process.pid)

    def end(self, status: str) -> None:
        """Ask it to ship the rest and to close: the run has ended with this status."""
        self._end = status
        self._tell({"end": status})
        if self._again_at:
            self._again_at = time.monotonic()

    @property
    def is_done(self) -> bool:
        """Whether nothing more is to be expected: it is closed, refused, or was never started."""
        return self._is_closed or self._is_refused or (self._process is None and not self._again_at)

    def stop(self) -> None:
        """End its process; the cursor says where to go on from."""
        if self._process is not None:
            self._release(self._process)
            self._process = None
        self._again_at = 0.0

    @property
    def status(self) -> ShipStatus:
        """How far it got, by its cursor."""
        cursor = self._read_cursor()
        behind = cursor.behind_bytes(self._run.journals)
        return ShipStatus(cursor.shipped, behind, self._error, cursor.mapped, cursor.where, cursor.closed != "")

    def _spawn(self) -> subprocess.Popen[bytes]:
        log = self._run.cursors / f"{self.name}.log"
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        if log.exists() and log.stat().st_size > _MOST_LOG_BYTES:
            flags |= os.O_TRUNC
        fd = os.open(log, flags, 0o644)
        try:
            process = subprocess.Popen(
                [sys.executable, "-P", "-m", "burnish.sinks.process", str(self._run.root), self.name, str(os.getpid())],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=fd,
                start_new_session=True,  # Ctrl-C is not for it
            )
        finally:
            os.close(fd)
        assert process.stdout is not None
        os.set_blocking(process.stdout.fileno(), False)
        return process

    def _tell(self, command: Mapping[str, object]) -> None:
        if self._process is None or self._process.stdin is None:
            return
        try:
            self._process.stdin.write(json.dumps(command).encode() + b"\n")
            self._process.stdin.flush()
        except OSError:
            pass  # it has ended, which `look` will see

    def _hear(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout is not None
        while raw := process.stdout.read(1 << 16):
            *lines, self._reports = (self._reports + raw).split(b"\n")
            for line in lines:
                self._take(json.loads(line))

    def _take(self, report: Mapping[str, object]) -> None:
        self._heard_at = time.monotonic()
        self._is_busy = "alive" in report
        self._from_start = self._from_start and "begun" not in report
        if report.get("closed"):
            self._is_closed, self._cursor = True, (None, Cursor())
        self._is_refused = bool(report.get("refused"))
        error = report.get("error")
        if error:
            again = "training goes on" if self._is_refused else "training goes on, shipping is retried"
            self._failed(str(error), again)
        elif error == "":
            self._error, self._delay_s = "", _BACKOFF_S[0]

    def _gone(self, code: int) -> None:
        """Account for a process that has ended."""
        assert self._process is not None
        self._release(self._process)
        self._process = None
        if self._is_closed or self._is_refused:
            return
        told = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"
        self._failed(f"its process {told}")
        self._put_off()

    def _weigh(self, pid: int) -> None:
        self._weighed_at = time.monotonic()
        try:
            pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
        except (OSError, ValueError, IndexError):
            return
        if (size := pages * _PAGE_BYTES) > self._limits.memory_mb * _MIB:
            self._kill(f"its memory grew to {size // _MIB} MiB, and it was ended")

    def _kill(self, why: str) -> None:
        assert self._process is not None
        self._release(self._process)
        self._process = None
        self._failed(why)
        self._put_off()

    def _put_off(self) -> None:
        self._again_at = time.monotonic() + (_BACKOFF_S[0] if self._end is not None else self._delay_s)
        self._delay_s = min(self._delay_s * 2, _BACKOFF_S[1])

    @staticmethod
    def _release(process: subprocess.Popen[bytes]) -> None:
        """End a process and what it started, and close its pipes."""
        if process.returncode is None:
            try:
                os.killpg(process.pid, signal.SIGKILL)
            except (ProcessLookupError, PermissionError):
                process.kill()
            process.wait()
        for pipe in (process.stdin, process.stdout):
            assert pipe is not None
            try:
                pipe.close()
            except OSError:
                pass  # what was not flushed is not wanted

    def _failed(self, error: str, again: str = "training goes on, shipping is retried") -> None:
        if error != self._error:
            _log.warning("sink %s: %s; %s", self.name, error, again)
        self._error = error

    def _read_cursor(self) -> Cursor:
        path = self._run.cursors / f"{self.name}.json"
        try:
            found = path.stat()
        except OSError:
            return Cursor()
        mark = found.st_mtime_ns, found.st_ino, found.st_size  # two writes may fall into one tick of the clock
        if mark != self._cursor[0]:
            self._cursor = mark, Cursor.read(path)
        return self._cursor[1]


def finish_all(
    shippers: Sequence[Shipper], status: str, timeout_s: float, hurry: Callable[[], bool] = lambda: False
) -> bool:
    """Let sinks ship the rest and close, all at once; return whether each did so in time.

    One that has not is ended: its cursor says where to go on from.

    Args:
        shippers: Those that were started.
        status: How the run ended.
        timeout_s: How long to wait for all of them.
        hurry: Asked many times a second; True ends the waiting.
    """
    for shipper in shippers:
        shipper.end(status)
    until = time.monotonic() + timeout_s
    while True:
        for shipper in shippers:
            shipper.look()
        waiting = [shipper for shipper in shippers if not shipper.is_done]
        if not waiting or time.monotonic() >= until or hurry():
            break
        time.sleep(_LOOK_S)
    for shipper in shippers:
        shipper.stop()
    return all(shipper.status.closed and not shipper.status.error for shipper in shippers)
