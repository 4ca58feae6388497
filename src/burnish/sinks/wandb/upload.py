"""W&B's own uploader, kept running beside a log that grows.

It sends what it is given after the rows that the server has, so it is given a log of its own, which begins there: each
row's number is its line at the server. It reads only what the sink's state vouches for, dies with the sink's process,
and is begun anew after a crash.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
import signal
import subprocess
import sys
import time
import weakref
from collections.abc import Iterator
from typing import Final

from burnish.core.processes import end_with
from burnish.core.secrets import Masker
from burnish.sinks.base import Refused
from burnish.sinks.wandb import records
from burnish.sinks.wandb.log import Extent, TransactionLog, read_records
from burnish.sinks.wandb.parts import Part
from burnish.sinks.wandb.records import Identity
from burnish.sinks.wandb.server import Server

FINISH_S: Final = 60.0
"""How long an uploader is waited for that was given the end of the run: half of what a sink's call may take."""
_COUNT_S: Final = 15.0
_POLL_S: Final = 0.1
_NOTICE_S: Final = 2.5
"""How long the end is kept back after a notice: the uploader looks once a second, and its end drops what is pending."""
_FOLDER: Final = "offline-upload"  # W&B's uploader passes over folders of other names
_LAST_BYTES: Final = 2000
_AT_ONCE: Final = 10_000
_OF_A_RUN: Final = frozenset(
    f"WANDB_{name}"
    for name in (
        "DISABLED", "ENTITY", "JOB_TYPE", "MODE", "NAME", "NOTES", "PROJECT", "RESUME", "RUN_GROUP", "RUN_ID",
        "SWEEP_ID", "TAGS",
    )
)  # fmt: skip
"""Variables that say something of a run: the log says it already."""


class Upload:
    """Uploads one log.

    Args:
        part: The log.
        identity: How W&B knows the run.
        server: Where to.
    """

    def __init__(self, part: Part, identity: Identity, server: Server) -> None:
        self._part = part
        self._identity = identity
        self._server = server
        self._folder = part.folder / _FOLDER
        self._said = part.folder / "upload.log"
        self._log: TransactionLog | None = None
        self._at = 0
        self._rows = 0
        self._noticed = 0.0
        self._process: subprocess.Popen[bytes] | None = None
        self._end: weakref.finalize[[subprocess.Popen[bytes]], Upload] | None = None

    def start(self, extent: Extent, *, is_new: bool) -> str:
        """Begin to upload what is vouched for; return the address of the run's page.

        Args:
            extent: What of the log is vouched for.
            is_new: No row was written yet.

        Raises:
            Refused: The login is not taken, or the server has rows that this log knows nothing of.
            OSError: The server does not answer.
        """
        held = self._server.held(self._identity)
        if is_new and held.rows:
            raise Refused(
                f"W&B has {held.rows} rows of run {self._identity.id} already, and the log that they came from is gone;"
                " delete the run there to ship it again"
            )
        shutil.rmtree(self._folder, ignore_errors=True)
        self._folder.mkdir()
        (self._folder / "files").symlink_to("../files")
        self._log = TransactionLog(self._folder / self._part.log.name, Extent())
        self._rows = held.rows
        self.follow(extent)
        self._process = self._spawn()
        self._end = weakref.finalize(self, _kill, self._process)  # also where the sink is dropped without a word
        return self._server.page(self._identity, held.entity)

    def follow(self, extent: Extent) -> None:
        """Hand over what is vouched for since the last time.

        Raises:
            OSError: The uploader has ended, which it does not while the run goes on.
        """
        assert self._log is not None
        if self._process is not None and self._process.poll() is not None:
            raise OSError(f"W&B's uploader has ended: {self._last_words()}")
        unsent = self._unsent(extent)
        while some := list(itertools.islice(unsent, _AT_ONCE)):  # of a long run's log, not all at once
            self._log.append(some)
        self._at = extent.size

    def finish(self, extent: Extent, rows: int) -> None:
        """Hand over the run's end, all else being handed over, and wait until the server has it.

        Raises:
            OSError: It has not; whoever begins anew sends the rest.
        """
        time.sleep(max(0.0, self._noticed + _NOTICE_S - time.monotonic()))
        self.follow(extent)
        assert self._process is not None
        try:
            code = self._process.wait(FINISH_S)
        except subprocess.TimeoutExpired:
            raise OSError(f"W&B's uploader is not done after {FINISH_S:.0f} s: {self._last_words()}") from None
        if code:
            raise OSError(f"W&B's uploader ended with {code}: {self._last_words()}")
        until = time.monotonic() + _COUNT_S
        while (held := self._server.held(self._identity).rows) < rows:
            if time.monotonic() > until:
                raise OSError(f"W&B has {held} of {rows} rows: {self._last_words()}")
            time.sleep(_POLL_S)
        self.stop()
        shutil.rmtree(self._folder, ignore_errors=True)
        self._part.marker.touch()  # `wandb sync` passes it over

    def stop(self) -> None:
        """End the uploader, whose whole group goes with it."""
        if self._log is not None:
            self._log.close()
        if self._end is not None:
            self._end()
        self._process = self._end = None

    def _unsent(self, extent: Extent) -> Iterator[bytes]:
        """Yield the records that follow, without the rows that the server has and the notices before those."""
        notices: list[bytes] = []
        for record in read_records(self._part.log, extent.size, self._at):
            number = records.row_number(record)
            if records.kind_of(record)[0] == records.ALERT:
                notices.append(record)
                continue
            if number is not None and number < self._rows:
                notices.clear()
                continue
            if number is not None and notices:
                yield from self._noted(notices)
            yield record
        yield from self._noted(notices)

    def _noted(self, notices: list[bytes]) -> Iterator[bytes]:
        if notices:
            self._noticed = time.monotonic()
        yield from notices
        notices.clear()

    def _spawn(self) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "wandb", "beta", "sync", "--live", str(self._folder / self._part.log.name)]
        kept = {name: value for name, value in os.environ.items() if name not in _OF_A_RUN}
        environment = {
            **kept,
            "WANDB_BASE_URL": self._server.url,
            "WANDB_API_KEY": self._server.key,
            "WANDB_DIR": str(self._part.folder),
            "WANDB_ERROR_REPORTING": "false",
        }
        parent = os.getpid()

        def end_with_parent() -> None:
            if not end_with(parent):
                os._exit(1)

        with self._said.open("wb") as said:
            return subprocess.Popen(
                command,
                env=environment,
                cwd=self._part.folder,
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
                start_new_session=True,
                preexec_fn=end_with_parent,  # the sink's process has one thread
            )

    def _last_words(self) -> str:
        try:
            text = self._said.read_bytes()[-_LAST_BYTES:].decode(errors="replace")
        except OSError:
            return ""
        lines = text.strip().splitlines()
        return Masker((self._server.key,)).text(lines[-1]) if lines else ""


def _kill(process: subprocess.Popen[bytes]) -> None:
    """End an uploader and what it started: what it has not sent is sent by the next one."""
    if process.returncode is None:  # else its id may be another's by now, and what it started went with it
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
