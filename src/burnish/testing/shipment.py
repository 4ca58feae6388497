"""Drives a sink as its process does, with a cursor that may be set back; whatever the sink raises fails the test."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Final

from burnish.core.paths import RunPaths
from burnish.journal.reader import JournalName, RunReader
from burnish.sinks import MAPPED, WHERE, Batch, Gone, Shipper, ShipStatus, Sink, SinkState, finish_all

LARGE: Final = 1 << 20
_LOOK_S: Final = 0.001


class Shipment:
    """One run on its way to one place.

    Args:
        run: The run.
        make: Makes a sink that ships to the place.
        batch_bytes: How much of a journal file makes a batch.
    """

    def __init__(self, run: RunPaths, make: Callable[[], Sink], batch_bytes: int = LARGE) -> None:
        self._run = run
        self._make = make
        self._batch_bytes = batch_bytes
        self._sink: Sink | None = None
        self.state: SinkState = {}
        self.offsets: dict[str, int] = {}

    def batches(self) -> list[Batch]:
        """Return what was not shipped yet."""
        found: list[Batch] = []
        at = dict(self.offsets)
        reader = RunReader(self._run.journals, at, chunk_bytes=self._batch_bytes)
        for file, entries in reader.read():
            name = file.path.name
            found.append(Batch(name, JournalName.parse(file.path).rank, entries, at.get(name, 0), file.offset))
            at[name] = file.offset
        reader.close()
        return found

    def ship(self, *, renewed: bool = False, repeated: bool = False) -> None:
        """Ship what is there.

        Args:
            renewed: By a new sink for each batch; else by the one that is open.
            repeated: Each batch twice: the first time its state is lost, as by a crash.
        """
        sink = self._sink or self._open()
        for batch in self.batches():
            if repeated:
                self._checked(sink, batch)
            if repeated or renewed:
                sink = self._open()
            self.state = self._checked(sink, batch)
            self.offsets[batch.journal] = batch.end

    def close(self, status: str = "finished") -> None:
        """Close what was shipped."""
        sink = self._sink or self._open()
        with _called("close"):
            sink.close(status)
        self._sink = None

    def finish(self, status: str = "finished") -> None:
        """Ship what is there and close."""
        self.ship()
        self.close(status)

    def finish_again(self) -> None:
        """Ship what is there and close; all of it where the sink says that what it shipped before is gone."""
        try:
            self.finish()
        except Gone:
            self._sink, self.state, self.offsets = None, {}, {}
            self.finish()

    def drop(self) -> None:
        """Let go of the sink, as a crash does: the next one is opened from the state."""
        self._sink = None

    def _open(self) -> Sink:
        with _called("the making"):
            sink = self._make()
        with _called("open"):
            sink.open(self._run, _through_json(self.state))
        self._sink = sink
        return sink

    @staticmethod
    def _checked(sink: Sink, batch: Batch) -> SinkState:
        with _called("ship"):
            state = sink.ship(batch)
        return checked_state(state)


@contextmanager
def _called(what: str) -> Iterator[None]:
    try:
        yield
    except (AssertionError, Gone):
        raise
    except Exception as error:
        raise AssertionError(f"{what} raised {type(error).__name__}: {error}") from error


def checked_state(state: object) -> SinkState:
    """Return a state as its file gives it back.

    Raises:
        AssertionError: It cannot be kept, or what it says for people has another shape.
    """
    assert isinstance(state, Mapping), f"a state is a dict, not {state!r}"
    kept = _through_json(state)
    mapped, where = kept.get(MAPPED, {}), kept.get(WHERE, "")
    assert isinstance(where, str), f"{WHERE!r} in the state is text, not {where!r}"
    assert isinstance(mapped, dict), f"{MAPPED!r} in the state is a dict of counts, not {mapped!r}"
    wrong = {rule: n for rule, n in mapped.items() if not isinstance(n, int) or isinstance(n, bool) or n < 0}
    assert not wrong, f"{MAPPED!r} in the state counts; these are no counts: {wrong}"
    return kept


def _through_json(state: Mapping[str, object]) -> SinkState:
    try:
        kept = json.loads(json.dumps(state, allow_nan=False))
    except (TypeError, ValueError, RecursionError) as error:
        raise AssertionError(f"the state is not JSON: {error}") from error
    assert isinstance(kept, dict)
    return kept


def ship_killed(
    run: RunPaths, name: str, options: Mapping[str, object], moments: Iterable[int], *, timeout_s: float
) -> ShipStatus:
    """Ship a run by real processes, each of them killed but the last; return how far that one got.

    Args:
        run: The run.
        name: What the sink is called in `tracking.sinks`.
        options: Its options.
        moments: After how many entries each process is killed, by SIGKILL.
        timeout_s: How long one may take.
    """
    for moment in moments:
        shipper = Shipper(run, name, options)
        until = time.monotonic() + timeout_s
        shipper.start()
        try:
            while shipper.status.shipped < moment and not shipper.is_done:
                assert time.monotonic() < until, f"{moment} entries took over {timeout_s:g} s: {shipper.status}"
                shipper.look()
                time.sleep(_LOOK_S)
        finally:
            shipper.stop()
    last = Shipper(run, name, options)
    last.start()
    finish_all([last], "finished", timeout_s)
    return last.status
