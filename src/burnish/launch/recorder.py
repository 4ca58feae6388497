"""The record of a live run, kept by the one process that holds its lock: a supervisor or a keeper.

It tails the journals for progress, runs the sinks, and writes `run.json`; when the run has ended it compacts the
metrics and completes the card, and only then writes the final state.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Mapping

from burnish.core.files import write_json
from burnish.core.paths import RunPaths
from burnish.core.processes import ProcessIdentity
from burnish.journal.reader import JournalName, RunReader
from burnish.journal.record import read_record
from burnish.launch.progress import Progress
from burnish.launch.retry import Exit, State, describe
from burnish.sinks import Shipper, SinkFactory
from burnish.track.card import read_card, write_card

_log = logging.getLogger(__name__)
_WRITE_EVERY_S = 1.0


class Recorder:
    """Keeps the record of one run. Its owner must hold the run's lock.

    Args:
        paths: The run.
        sinks: Where its journal is shipped, by name.
        linger_s: How long finishing may wait for the sinks.
        clock: Returns seconds since the epoch.
    """

    def __init__(
        self,
        paths: RunPaths,
        sinks: Mapping[str, SinkFactory],
        *,
        linger_s: float = 60.0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.paths = paths
        self.record = read_record(paths)
        self.record["supervisor"] = ProcessIdentity.of(os.getpid()).to_json()
        self.progress = Progress()
        self._linger_s = linger_s
        self._clock = clock
        self._reader = RunReader(paths.journals)
        self._written_at = 0.0
        self._written_step = -2
        self._shippers = [Shipper(paths, name, make) for name, make in sinks.items()]
        for shipper in self._shippers:
            shipper.start()

    @property
    def attempts(self) -> list[dict[str, object]]:
        """The attempts so far, as they stand in `run.json`."""
        found = self.record.setdefault("attempts", [])
        assert isinstance(found, list)
        return found

    def poll(self) -> Progress:
        """Read what was logged since the last call, and refresh `run.json` now and then."""
        for reader, entries in self._reader.read():
            name = JournalName.parse(reader.path)
            if name.rank == 0:
                for entry in entries:
                    self.progress.take(entry, name.pid)
        waited_s = time.monotonic() - self._written_at
        if self.progress.step != self._written_step and waited_s >= _WRITE_EVERY_S:
            self.write()
        return self.progress

    def attempt_starts(self) -> int:
        """Note that the next attempt is about to start; return its number."""
        number = len(self.attempts) + 1
        self.attempts.append({"number": number, "started": self._clock()})
        self.record.setdefault("started", self._clock())
        self.record["state"] = "running"
        for stale in ("ended", "exit_code", "reason"):  # of an earlier end that this attempt goes on from
            self.record.pop(stale, None)
        self.progress.begin(number)
        self.write()
        return number

    def attempt_runs(self, process: ProcessIdentity) -> None:
        """Note which process the attempt is."""
        self.attempts[-1]["process"] = process.to_json()
        self.write()

    def attempt_ended(self, code: int | None) -> Exit:
        """Note how the attempt ended, from its exit code (None if unseen) and its own end frame."""
        self.poll()
        process = ProcessIdentity.from_json(self.attempts[-1].get("process"))
        end = self.progress.end_of(process.pid if process else -1)
        ended = Exit(code, str(end.get("status", "")), str(end.get("error", "")))
        told = {"exit_code": code, "reason": describe(ended), "last_step": self.progress.step}
        self.attempts[-1].update({"ended": self.attempts[-1].get("ended", self._clock()), **told})
        self.write()
        return ended

    def retries(self, delay_s: float) -> None:
        """Note that another attempt follows."""
        self.record["state"] = "retrying"
        self.record["retry_at"] = self._clock() + delay_s
        self.write()

    def finish(self, state: State, ended: Exit, hurry: Callable[[], bool] = lambda: False) -> None:
        """Complete the record: sinks, metrics, card, and last of all the state.

        Args:
            state: The run's final state.
            ended: How its last attempt ended.
            hurry: Asked while waiting for the sinks; True leaves the rest of the shipping for later.
        """
        self.poll()
        for shipper in self._shippers:
            shipper.finish(state, self._linger_s, hurry)
        self.record.pop("retry_at", None)
        reason = describe(ended)
        if state == "failed" and ended.code == 0:
            reason = "the process exited with code 0 before training was finished"
        self.record.update(exit_code=ended.shell_code, reason=reason, ended=self._clock())
        # numpy and pyarrow cost more to import than a short command takes, and only the end needs them
        from burnish.journal.compact import write_parquet
        from burnish.journal.series import load_scalars

        try:
            scalars = load_scalars(self.paths.journals)
            write_parquet(scalars, self.paths.metrics)
            self.record["summary"] = scalars.summary()
            if scalars.damage:
                self.record["damage"] = {n: sum(d.size_bytes for d in found) for n, found in scalars.damage.items()}
        except OSError as error:
            # The journal is intact and can be compacted later; a full disk must not leave the run unfinished.
            _log.warning("run %s: cannot write %s: %s", self.paths.name, self.paths.metrics.name, error)
        self.record["state"] = state
        card = read_card(self.paths)
        card["reported"] = self.progress.reported
        self._try(lambda: write_card(self.paths, card, self.record))
        self.write(durable=True)
        self._reader.close()

    def write(self, *, durable: bool = False) -> None:
        """Write `run.json` as things stand."""
        self._written_at, self._written_step = time.monotonic(), self.progress.step
        self.record.update(
            step=self.progress.step,
            total_steps=self.progress.total,
            latest=self.progress.latest,
            dropped=self.progress.dropped,
            sinks={shipper.name: shipper.status.to_json() for shipper in self._shippers},
        )
        self._try(lambda: write_json(self.paths.state, self.record, durable=durable))

    def _try(self, write: Callable[[], None]) -> None:
        try:
            write()
        except OSError as error:
            _log.warning("run %s: cannot write its record: %s", self.paths.name, error)
