"""The thread that drives one sink: reads the journals from its cursor on, retries with backoff.

The cursor is stored only after the sink took a batch, so delivery is at least once; the sink's own key makes
it once.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from burnish.core.files import read_json, write_atomic
from burnish.core.paths import RunPaths
from burnish.journal.reader import JournalName, RunReader, journal_files
from burnish.sinks.base import Batch, Sink, SinkState
from burnish.sinks.builtin import SinkFactory

_log = logging.getLogger(__name__)
_POLL_S = 0.5
_JOIN_S = 0.2
_BACKOFF_S = (1.0, 60.0)


@dataclass(frozen=True, slots=True)
class ShipStatus:
    """How far a sink got: entries shipped, bytes of journal it is behind, and the last error."""

    shipped: int
    behind_bytes: int
    error: str

    def to_json(self) -> dict[str, object]:
        """Return the status as it stands in `run.json`."""
        return {"shipped": self.shipped, "behind_bytes": self.behind_bytes, "error": self.error}


class Shipper:
    """Ships one run's journals through one sink, in a thread of its own.

    Args:
        run: The run.
        name: The sink's name, under which its cursor is kept.
        make: Makes the sink; called, and the sink used, in the thread only.
    """

    def __init__(self, run: RunPaths, name: str, make: SinkFactory) -> None:
        self.name = name
        self._run = run
        self._make = make
        self._sink: Sink | None = None
        self._cursor_file = run.cursors / f"{name}.json"
        self._reader = RunReader(run.journals)
        self._offsets: dict[str, int] = {}
        self._state: SinkState = {}
        self._shipped = 0
        self._error = ""
        self._ending = threading.Event()
        self._end_status = ""
        self._thread = threading.Thread(target=self._work, name=f"burnish-{name}", daemon=True)

    def start(self) -> None:
        """Begin to ship what is there and what comes."""
        self._thread.start()

    def finish(self, status: str, timeout_s: float, hurry: Callable[[], bool] = lambda: False) -> bool:
        """Ship the rest and close the sink; return whether that was done in time.

        A sink that hangs is abandoned: its thread is a daemon, and its cursor says where to go on from.

        Args:
            status: How the run ended.
            timeout_s: How long to wait for the sink.
            hurry: Asked several times a second; True ends the waiting.
        """
        self._end_status = status
        self._ending.set()
        until = time.monotonic() + timeout_s
        while self._thread.is_alive() and time.monotonic() < until and not hurry():
            self._thread.join(min(_JOIN_S, timeout_s))
        return not self._thread.is_alive() and not self._error

    @property
    def status(self) -> ShipStatus:
        """How far it got."""
        behind = 0
        for path in journal_files(self._run.journals):
            try:
                behind += max(0, path.stat().st_size - self._offsets.get(path.name, 0))
            except FileNotFoundError:
                continue
        return ShipStatus(self._shipped, behind, self._error)

    def _work(self) -> None:
        delay = _BACKOFF_S[0]
        while True:
            ending = self._ending.is_set()  # read before the journals: what came before it must be shipped
            try:
                sink = self._sink or self._open()
                self._pump(sink)
                if ending:
                    sink.close(self._end_status)
                    self._error = ""
                    self._forget()
                    return
                self._error, delay = "", _BACKOFF_S[0]
                self._ending.wait(_POLL_S)
            except ImportError as error:  # no retry will install a package
                self._failed(error)
                return
            except Exception as error:  # noqa: BLE001  one of the five walls: whatever a sink raises stays here
                self._failed(error)
                self._forget()
                if self._ending.is_set():
                    time.sleep(min(delay, _POLL_S))
                else:
                    self._ending.wait(delay)
                delay = min(delay * 2, _BACKOFF_S[1])

    def _open(self) -> Sink:
        sink = self._make()
        cursor = read_json(self._cursor_file)
        offsets, state = cursor.get("offsets"), cursor.get("sink")
        self._offsets = dict(offsets) if isinstance(offsets, dict) else {}
        self._state = dict(state) if isinstance(state, dict) else {}
        self._reader = RunReader(self._run.journals, {name: int(at) for name, at in self._offsets.items()})
        sink.open(self._run, self._state)
        self._sink = sink
        return sink

    def _pump(self, sink: Sink) -> None:
        for reader, entries in self._reader.read():
            name = reader.path.name
            self._state = sink.ship(Batch(name, JournalName.parse(reader.path).rank, entries))
            self._offsets[name] = reader.offset
            self._shipped += len(entries)
            self._store()

    def _store(self) -> None:
        content = {"format": 1, "offsets": self._offsets, "sink": self._state}
        write_atomic(self._cursor_file, json.dumps(content))

    def _failed(self, error: Exception) -> None:
        text = f"{type(error).__name__}: {error}"
        if text != self._error:
            _log.warning("sink %s: %s; training goes on, shipping is retried", self.name, text)
        self._error = text

    def _forget(self) -> None:
        """Drop what is in memory, so that the next try goes on from the stored cursor."""
        self._reader.close()
        self._sink = None
