"""The record of a live run, kept by the one process that holds its lock: a supervisor or a keeper.

It tails the journals into small accounts, runs the sinks, samples the machine, tells alerts, and writes
`run.json`; when the run has ended it compacts the metrics and completes the card, and only then writes the final
state.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from burnish.core.clock import SteadyClock
from burnish.core.files import drop_drafts, write_json
from burnish.core.paths import RunPaths
from burnish.core.processes import ProcessIdentity
from burnish.core.secrets import Masker
from burnish.core.shape import items, section, words
from burnish.journal import JournalWriter, Kind, Record, Row
from burnish.journal.reader import SYSTEM_RANK, JournalName, RunReader, journal_files
from burnish.journal.record import read_own_record
from burnish.launch.alerts import Alert, AlertWatch
from burnish.launch.durability import JournalSync
from burnish.launch.labels import Labels
from burnish.launch.live_summary import LiveSummary
from burnish.launch.notice import Notice
from burnish.launch.notify import Notifier
from burnish.launch.progress import Progress
from burnish.launch.retry import Exit, State, describe
from burnish.launch.tracking import Tracking
from burnish.sinks import Shipper, finish_all
from burnish.track.shipping import Options, read_sinks

if TYPE_CHECKING:
    from burnish.launch.system_metrics import SystemSampler

_log = logging.getLogger(__name__)
_WRITE_EVERY_S = 1.0
_WRITE_SHARE = 0.03  # of one core: the record of a run with ten thousand metrics takes a while to write
_MOST_ALERTS = 100
_NOTIFY_S = 5.0


class Recorder:
    """Keeps the record of one run. Its owner must hold the run's lock.

    Args:
        paths: The run.
        sinks: Where its journal is shipped: options by name.
        ship: False ships nothing, and only says what is left.
        on_alert: Shows an alert on the console; without it such alerts are warnings of the log.
        clock: Returns seconds since the epoch.
    """

    def __init__(
        self,
        paths: RunPaths,
        sinks: Mapping[str, Options],
        *,
        ship: bool = True,
        on_alert: Callable[[Notice], None] | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.paths = paths
        self.record = read_own_record(paths)
        self.record["supervisor"] = ProcessIdentity.of(os.getpid()).to_json()
        self.progress = Progress()
        told = (self.record.get("created"), self.record.get("started"))
        self._clock = SteadyClock(clock, not_before=max((t for t in told if isinstance(t, int | float)), default=0.0))
        self._on_alert = on_alert
        self._reader = RunReader(paths.journals)
        self._earlier = frozenset(path.name for path in journal_files(paths.journals))
        self._summary, self._machine = LiveSummary(paths.journals), LiveSummary(paths.journals)
        self._labels = Labels()
        self._labels.know(items(self.record, "artifacts"))
        self._alerts = AlertWatch()
        self._notifiers: list[Notifier] = []
        self._set_up(Tracking.of(self.record))
        self._masker = Masker.from_environment(os.environ)
        self._has_news = self._has_failed = False
        self._write_after = 0.0
        # Of its own: what the watching process says of a run. No attempt: nothing in it is ever superseded.
        self._journal = JournalWriter(paths.journals, SYSTEM_RANK, lambda: {"pid": os.getpid(), "rank": SYSTEM_RANK})
        self._sync = JournalSync(paths.journals)
        self._sampler: SystemSampler | None = None
        self._watched: ProcessIdentity | None = None
        self._drop_drafts()
        self._shippers = [Shipper(paths, name, options) for name, options in sinks.items()]
        self._ships = ship
        for shipper in self._shippers if ship else ():
            shipper.start()
        # To others `burnish sync` has shipped: how far those are is told too.
        self._shippers += [Shipper(paths, name) for name in section(self.record, "sinks") if name not in sinks]

    @property
    def attempts(self) -> list[dict[str, object]]:
        """The attempts so far, as they stand in `run.json`."""
        found = self.record.setdefault("attempts", [])
        assert isinstance(found, list)
        return found

    def poll(self) -> Progress:
        """Read what was logged since the last call, and refresh `run.json` now and then."""
        self._read()
        for shipper in self._shippers:
            shipper.look()
        self._tell(self._alerts.look(self.progress.step, time.monotonic(), self._clock()))
        if self._has_news and time.monotonic() >= self._write_after:
            self.write()
        return self.progress

    def watch(self, process: ProcessIdentity) -> None:
        """Sample what a training process uses from now on, and make what it logs durable."""
        self._sync.start()
        self._watched = process
        every_s = self._tracking.system_every_s
        if self._sampler is None and every_s > 0:
            # Here and below: every command looks for orphans, only the one that watches a run needs all of this.
            from burnish.launch.system_metrics import Sensors, SystemSampler

            sensors = Sensors(self.paths.root)
            self._sampler = SystemSampler(sensors, self._journal, every_s=every_s, step=lambda: self.progress.step)
        if self._sampler is not None:
            self._sampler.watch(process.pid)

    def attempt_starts(self) -> int:
        """Note that the next attempt is about to start; return its number."""
        self._read()  # what earlier attempts logged is told apart from what comes
        number = len(self.attempts) + 1
        self.attempts.append({"number": number, "started": self._clock()})
        self.record.setdefault("started", self._clock())
        self.record["state"] = "running"
        for stale in ("ended", "exit_code", "reason"):  # of an earlier end that this attempt goes on from
            self.record.pop(stale, None)
        self.progress.begin(number)
        self._alerts.begin(number)
        self.write()
        return number

    def attempt_runs(self, process: ProcessIdentity) -> None:
        """Note which process the attempt is."""
        self.attempts[-1]["process"] = process.to_json()
        self.write()

    def attempt_ended(self, code: int | None) -> Exit:
        """Note how the attempt ended, from its exit code (None if unseen) and its own end frame."""
        self._watched = None
        if self._sampler is not None:
            self._sampler.watch(None)
        self.poll()
        process = ProcessIdentity.from_json(self.attempts[-1].get("process"))
        end = self.progress.end_of(process.pid if process else -1)
        ended = Exit(code, str(end.get("status", "")), str(end.get("error", "")))
        told = {"exit_code": code, "reason": describe(ended), "last_step": self.progress.step}
        # What the process said itself, where it did: whoever watches it may have looked seconds later.
        said = [at for at in (self.attempts[-1].get("ended"), end.get("time")) if isinstance(at, float)]
        began, now = self.attempts[-1].get("started"), self._clock()
        at = min(said[0], now) if said and isinstance(began, int | float) and said[0] >= began else now
        self.attempts[-1].update({"ended": at, **told})
        is_asked = self.progress.stop_signals > 0
        self._tell(self._alerts.ended(ended, stop_requested=is_asked, step=self.progress.step, at=self._clock()))
        self.write()
        return ended

    def retries(self, delay_s: float) -> None:
        """Note that another attempt follows."""
        self.record["state"] = "retrying"
        self.record["retry_at"] = self._clock() + delay_s
        self.write()

    def finish(self, state: State, ended: Exit, hurry: Callable[[], bool] = lambda: False) -> None:
        """Complete the record: alerts, metrics, card, sinks, and last of all the state.

        Args:
            state: The run's final state.
            ended: How its last attempt ended.
            hurry: Asked while waiting for sinks, data and channels; True leaves the rest of it for later.
        """
        from burnish.launch.closing import close_metrics, complete_card
        from burnish.track.card import read_card

        if self._sampler is not None:
            self._sampler.close()
        self.poll()
        reason = describe(ended)
        if state == "failed" and ended.code == 0:
            reason = "the process exited with code 0 before training was finished"
        self._tell(self._alerts.finished(state, reason, step=self.progress.step, at=self._clock()))
        self._journal.close()
        self.record.pop("retry_at", None)
        at = self.attempts[-1].get("ended") if self.attempts else None
        self.record.update(exit_code=ended.shell_code, reason=reason, ended=at or self._clock())
        self._update()
        try:
            self.record.update(close_metrics(self.paths, self._definitions))
        except OSError as error:
            # The journal is intact and can be compacted later; a full disk must not leave the run unfinished.
            _log.warning("run %s: cannot write %s: %s", self.paths.name, self.paths.metrics.name, error)
        ending = {**self.record, "state": state}
        limit_s, reported = self._tracking.linger_s, self.progress.reported
        self._try(lambda: complete_card(self.paths, ending, reported, limit_s=limit_s, hurry=hurry))
        if not self.record.get("config"):  # of a script: its config is known when it has told it
            self.record["config"] = section(read_card(self.paths), "config")
        self._sync.finish()
        self._try(lambda: write_json(self.paths.state, self.record))  # all but the state, for whoever tells a tracker
        finish_all(self._shippers, state, limit_s, hurry)
        self.record["sinks"] = self._shipped()
        self.record["state"] = state
        self._try(lambda: write_json(self.paths.state, self.record, durable=True))
        self._reader.close()
        until = time.monotonic() + _NOTIFY_S
        for notifier in self._notifiers:
            notifier.finish(until - time.monotonic(), hurry)

    def close(self) -> None:
        """Let go of the run as it stands; whoever holds its lock next goes on from there."""
        if self._sampler is not None:
            self._sampler.close()
        for shipper in self._shippers:
            shipper.stop()
        self._journal.close()
        self._sync.finish()
        self._reader.close()

    def write(self) -> None:
        """Write `run.json` as things stand."""
        began = time.monotonic()
        self._has_news = False
        self._update()
        # Durable, or a power cut could leave an empty file, and a run that nobody knows of.
        self._try(lambda: write_json(self.paths.state, self.record, durable=True))
        took_s = time.monotonic() - began
        self._write_after = began + max(_WRITE_EVERY_S, took_s / _WRITE_SHARE)

    def _set_up(self, tracking: Tracking) -> None:
        self._tracking = tracking
        self._alerts.wanted, self._alerts.stall_s = tracking.alerts_on, tracking.stall_s
        channels = tracking.alerts_to if tracking.alerts_on else ()
        # One before it, which a script has replaced by what it asks for, may still be sending: it ends with the run.
        self._notifiers.append(Notifier(self.paths.name, channels, os.environ, on_alert=self._on_alert))

    def _asked(self, section_of_script: Mapping[str, object]) -> None:
        """Watch as the script asks that was started by `burnish run`; what was said there counts more."""
        said = section(self.record, "tracking")
        self.record["tracking"] = {**section_of_script, **{key: value for key, value in said.items() if value}}
        if "sinks" in section_of_script and "sinks" not in said:
            self._ship_to(read_sinks(section_of_script["sinks"]))
        tracking, before = Tracking.of(self.record), self._tracking
        if tracking == before:
            return  # a process that takes over reads it again
        self._set_up(tracking)
        if tracking.system_every_s != before.system_every_s and self._sampler is not None:
            self._sampler.close()
            self._sampler = None
        if self._watched is not None:
            self.watch(self._watched)

    def _ship_to(self, wanted: Mapping[str, Options]) -> None:
        """Ship to other sinks from now on; those that stay keep at it."""
        if wanted == section(self.record, "ship_to"):
            return
        before, self.record["ship_to"] = section(self.record, "ship_to"), dict(wanted)
        kept = [shipper for shipper in self._shippers if wanted.get(shipper.name) == before.get(shipper.name)]
        for shipper in self._shippers:
            if shipper not in kept:
                shipper.stop()
        known = {shipper.name for shipper in kept}
        added = [Shipper(self.paths, name, options) for name, options in wanted.items() if name not in known]
        self._shippers = [*kept, *added]
        for shipper in added if self._ships else ():
            shipper.start()

    def _read(self) -> None:
        for reader, entries in self._reader.read():
            source = JournalName.parse(reader.path)
            if source.rank == SYSTEM_RANK:
                self._of_watchers(entries, reader.path.name)
            else:
                self._of_training(entries, source, reader.path.name)
            self._has_news = True
        self._summary.settle()

    def _of_watchers(self, entries: Iterable[Row | Record], file: str) -> None:
        is_earlier = file in self._earlier
        for entry in entries:
            if is_earlier:
                self._alerts.remember(entry)
            self._machine.take(entry, file)

    def _of_training(self, entries: Iterable[Row | Record], source: JournalName, file: str) -> None:
        heard_at, leads = time.monotonic(), source.rank == 0
        found: list[Alert] = []
        for entry in entries:
            found += self._alerts.take(entry, source, heard_at)
            self._labels.take(entry, source)
            if leads:
                self.progress.take(entry, source.pid)
                self._summary.take(entry, file)
                if not isinstance(entry, Row) and entry.kind == Kind.LIFECYCLE and entry.key == "tracking":
                    self._asked(entry.payload)
        self._tell(found)

    def _tell(self, alerts: Iterable[Alert]) -> None:
        """Keep alerts in the record; those that are wanted also go to the journal and to the channels."""
        for alert in alerts:
            shown = replace(alert, title=self._masker.text(alert.title), text=self._masker.text(alert.text))
            told = items(self.record, "alerts")
            if shown.to_json() not in told:  # said by the script, it is read again by each process that takes over
                told = sorted([*told, shown.to_json()], key=_time)[-_MOST_ALERTS:]
            self.record["alerts"] = told
            self._has_news = True
            if alert.reason in self._tracking.alerts_on:
                payload = {"text": shown.text, "level": shown.level, "reason": shown.reason, "at": alert.time}
                self._try(partial(self._journal.record, Kind.ALERT, shown.title, payload, shown.step))
                self._notifiers[-1].send(shown)
                self._write_after = 0.0

    @property
    def _definitions(self) -> dict[str, dict[str, object]]:
        known = {k: v for k, v in section(self.record, "metrics").items() if isinstance(v, dict)}
        return {**{k: v for k, v in known.items() if k not in self._labels.metrics}, **self._labels.metrics}

    def _update(self) -> None:
        definitions, labels = self._definitions, self._labels
        self.record.update(
            step=self.progress.step,
            total_steps=self.progress.total,
            latest=self.progress.latest,
            dropped=self.progress.dropped,
            lost=self.progress.lost,
            sinks=self._shipped(),
            summary={**self._machine.to_json(definitions), **self._summary.to_json(definitions)},
            tags=list(dict.fromkeys([*words(self.record, "tags"), *labels.tags])),
            notes=labels.notes,
            metrics=definitions,
            media=labels.media,
            artifacts=list(labels.artifacts.values()),
            thinned=labels.thinned,
        )
        self.record.setdefault("alerts", [])

    def _shipped(self) -> dict[str, object]:
        """Return how far each sink is."""
        return {shipper.name: shipper.status.to_json() for shipper in self._shippers}

    def _drop_drafts(self) -> None:
        """Remove what earlier watchers left that were killed while they wrote: only one at a time has the lock."""
        paths = self.paths
        written = (paths.state, paths.card, paths.card.with_suffix(".md"), paths.metrics, paths.pyramid)
        for path in (*written, paths.cursors / "*.json"):
            self._try(partial(drop_drafts, path))

    def _try(self, write: Callable[[], None]) -> None:
        try:
            write()
        except OSError as error:
            if not self._has_failed:  # once: on a full disk it would be every second
                _log.warning("run %s: cannot write its record: %s", self.paths.name, error)
            self._has_failed = True


def _time(alert: object) -> float:
    at = alert.get("time") if isinstance(alert, dict) else None
    return float(at) if isinstance(at, int | float) else 0.0
