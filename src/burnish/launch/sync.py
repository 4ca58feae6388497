"""Shipping what trackers have not got: what a dead supervisor left, or was left while a tracker was away."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from burnish.core.errors import RunError, UsageError
from burnish.core.files import FileLock, write_json
from burnish.core.paths import RunPaths
from burnish.core.shape import section
from burnish.journal.facts import is_unshipped
from burnish.journal.index import RunIndex
from burnish.journal.record import LIVE, read_own_record, read_record
from burnish.launch.adopt import sinks_of
from burnish.sinks import Shipper, ShipStatus
from burnish.track.shipping import Options, check_sinks, read_sinks

_LOOK_S: Final = 0.05
_PATIENCE_S: Final = 10.0


@dataclass(frozen=True, slots=True)
class Synced:
    """What became of one run.

    Attributes:
        paths: The run.
        sinks: How far each sink is.
        live: Somebody looks after the run, or ships it; nothing was done here.
        missed: Nor will a sink that was asked for get it by them.
    """

    paths: RunPaths
    sinks: Mapping[str, ShipStatus] = field(default_factory=dict)
    live: bool = False
    missed: bool = False

    @property
    def is_whole(self) -> bool:
        """Whether every sink has got all of it."""
        return not self.missed and all(map(_is_whole, self.sinks.values()))


def _is_whole(status: ShipStatus) -> bool:
    return status.closed and not status.error and not status.behind_bytes


def unshipped_runs(runs: Path) -> list[RunPaths]:
    """Return the runs that ended before their sinks had taken all of them, oldest first."""
    records = RunIndex(runs).records()
    left = [r for r in records if r.get("state") not in LIVE and is_unshipped(r)]
    return [RunPaths(runs / str(record["name"])) for record in reversed(left)]


def sync_run(
    paths: RunPaths,
    *,
    to: Collection[str] = (),
    from_start: bool = False,
    patience_s: float = _PATIENCE_S,
    on_progress: Callable[[float], None] = lambda done: None,
) -> Synced:
    """Ship a run that has ended to its sinks, all at once.

    Args:
        paths: The run.
        to: The sinks; by default those that it was started with. Others are shipped to with default options.
        from_start: Ship everything again: for a tracker that was emptied, or whose run was deleted.
        patience_s: How long a sink may fail before it is left behind.
        on_progress: Told the share of bytes that are shipped, from 0 to 1.

    Raises:
        UsageError: Nobody has such a sink.
        RunError: There is no such run any more.
    """
    wanted = _wanted(paths, to)
    try:
        lock = FileLock.try_acquire(paths.lock)
    except OSError as error:
        raise RunError(f"run {paths.name} cannot be shipped from here: {error.strerror}") from error
    if lock is None:
        return Synced(paths, live=True, missed=bool(set(to) - set(sinks_of(paths))))
    with lock:
        record = read_record(paths)
        state = str(record.get("state"))
        if state in LIVE:
            return Synced(paths, live=True, missed=bool(to))
        shippers = [Shipper(paths, name, options, from_start=from_start) for name, options in wanted.items()]
        begun = [shipper for shipper in shippers if from_start or not _is_whole(shipper.status)]
        # Before anything is forgotten: whoever is cut off here leaves a run that is unshipped, and says so.
        _note(paths, {shipper.name: {**shipper.status.to_json(), "closed": False} for shipper in begun})
        with _started(begun):
            _wait(shippers, state, patience_s, on_progress)
            found = {shipper.name: shipper.status for shipper in shippers}
        _note(paths, {name: status.to_json() for name, status in found.items()})
    return Synced(paths, found)


def _note(paths: RunPaths, statuses: Mapping[str, object]) -> None:
    """Say in the record of a run how far sinks are; the caller holds its lock."""
    if not statuses:
        return
    told = read_own_record(paths)
    told["sinks"] = {**section(told, "sinks"), **statuses}
    try:
        write_json(paths.state, told, durable=True)
    except OSError as error:
        raise RunError(f"run {paths.name}: cannot write its record: {error.strerror}") from error


def _wanted(paths: RunPaths, to: Collection[str]) -> dict[str, Options]:
    check_sinks(list(to))
    record = read_record(paths)
    told = section(record, "sinks")
    # Of a run that was imported, nobody asked for any.
    own = read_sinks(record.get("ship_to")) if told or "ship_to" in record else {}
    own |= {name: {} for name in told if name not in own}  # those of an earlier `--to`
    if not to and not own:
        raise UsageError(f"run {paths.name} has no sinks", hint=f"name one: burnish sync {paths.id} --to mlflow")
    return {name: own.get(name, {}) for name in dict.fromkeys(to)} if to else own


@contextmanager
def _started(shippers: Sequence[Shipper]) -> Iterator[None]:
    try:
        for shipper in shippers:
            shipper.start()
        yield
    finally:
        for shipper in shippers:
            shipper.stop()


def _wait(shippers: Sequence[Shipper], state: str, patience_s: float, on_progress: Callable[[float], None]) -> None:
    """Look at sinks until each has closed, refused, or failed for too long."""
    for shipper in shippers:
        shipper.end(state)
    total = max(1, sum(shipper.status.behind_bytes for shipper in shippers))
    failing_since: dict[str, float] = {}
    waiting = list(shippers)
    while waiting:
        time.sleep(_LOOK_S)
        now = time.monotonic()
        for shipper in waiting:
            shipper.look()
            if shipper.status.error:
                failing_since.setdefault(shipper.name, now)
            else:
                failing_since.pop(shipper.name, None)
        on_progress(max(0.0, 1 - sum(shipper.status.behind_bytes for shipper in shippers) / total))
        waiting = [s for s in waiting if not s.is_done and now - failing_since.get(s.name, now) < patience_s]
