"""Making journals durable: training only writes to the page cache, this flushes it to disk now and then.

After `kill -9` nothing is lost anyway, after a power cut no more than the last seconds.
"""

from __future__ import annotations

import logging
import os
import threading
from pathlib import Path

from burnish.core.files import sync_folder
from burnish.journal.reader import journal_files

_log = logging.getLogger(__name__)
_EVERY_S = 2.0
_JOIN_S = 30.0


class JournalSync:
    """Flushes the journals of a run that have grown, every two seconds, in a thread of its own.

    Args:
        folder: The run's journal folder.
        every_s: Seconds between two looks.
    """

    def __init__(self, folder: Path, *, every_s: float = _EVERY_S) -> None:
        self._folder = folder
        self._every_s = every_s
        self._synced: dict[str, int] = {}
        self._has_failed = False
        self._ending = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin; a second call does nothing."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="burnish-fsync", daemon=True)
            self._thread.start()

    def finish(self) -> None:
        """Flush all there is; a disk that hangs for half a minute is given up on."""
        self._ending.set()
        if self._thread is not None:
            self._thread.join(_JOIN_S)
        if self._thread is None or not self._thread.is_alive():
            self.sync()

    def sync(self) -> int:
        """Flush the journals that have grown since the last call; return how many did."""
        done = 0
        try:
            files = journal_files(self._folder)
            has_new = any(path.name not in self._synced for path in files)
            for path in files:
                done += self._sync_file(path)
            if has_new:
                sync_folder(self._folder)
        except OSError as error:
            if not self._has_failed:
                _log.warning("%s cannot be made durable: %s", self._folder, error)
            self._has_failed = True
        return done

    def _sync_file(self, path: Path) -> bool:
        try:
            # The flush belongs to the file, not to who opened it: what another process wrote is flushed as well.
            fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return False  # a writer on a full disk takes its empty file away again
        try:
            size = os.fstat(fd).st_size
            if self._synced.get(path.name) == size:
                return False
            os.fdatasync(fd)
            self._synced[path.name] = size  # as it was before the flush: what came during it is next
            return True
        finally:
            os.close(fd)

    def _work(self) -> None:
        while not self._ending.wait(self._every_s):
            self.sync()
