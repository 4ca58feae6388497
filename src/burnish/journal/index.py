"""What `ls` and queries read: the runs as columns in a SQLite file that can be thrown away and is then rebuilt.

It lies in the user's cache folder, keyed by the runs folder, because SQLite on a shared disk breaks. The runs'
own `run.json` files stay the truth: a refresh reads those that changed since it last looked.
"""

from __future__ import annotations

import hashlib
import os
import re
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, suppress
from itertools import islice
from pathlib import Path
from typing import Final, TypedDict, TypeVar

import platformdirs

from burnish.core.errors import BurnishError, RunError, StorageError
from burnish.core.ids import run_id
from burnish.core.paths import RunPaths
from burnish.core.shape import section
from burnish.journal.facts import Value
from burnish.journal.index_view import IndexView
from burnish.journal.index_writer import SCHEMA, writing
from burnish.journal.record import RunRecord, read_record

ConfigReader = Callable[[RunPaths], Mapping[str, Value]]
"""Returns the config values of a run by dotted path. What it raises means that the run has none that can be read."""

T = TypeVar("T")


class _Card(TypedDict, total=False):
    code: object


_VERSION = 5
_BUSY_S = 10.0
_BATCH = 500  # runs a transaction: another process need not wait for a whole first build
# A file written within a tick of the kernel's clock after we read it can have the same time and size, and a new
# inode that is an old one: such a stamp is not believed a second time (git's "racy" entries).
_RACY_NS = 100_000_000
_WHOLE_NAME = re.compile(r"\d{8}_")
_LONGEST_SELECTOR = 250  # a file name cannot be longer
_LAST: Final = re.compile(r"last(?:~(\d{0,9}))?")


class RunIndex:
    """The runs of one runs folder, newest first.

    Several processes may refresh at once; each writes what it read itself, so the last one to look wins
    and the next refresh repairs anything older. Where no index can be kept, looking only takes longer.

    Args:
        runs: The runs folder.
        cache: Where the index lies; the user's cache folder by default.
        read_config: Reads the config of a run. Without it no config values are known, and none are forgotten.
    """

    def __init__(self, runs: Path, *, cache: Path | None = None, read_config: ConfigReader | None = None) -> None:
        self._runs = runs
        self._read_config = read_config
        folder = cache or platformdirs.user_cache_path("burnish") / "index"
        digest = hashlib.sha256(os.fsencode(runs.resolve())).hexdigest()[:16]
        self._path = folder / f"{digest}-{_VERSION}.sqlite"

    def records(self, *, group: str = "", states: Iterable[str] = ()) -> list[RunRecord]:
        """Return the records of runs, newest first, after looking for changes.

        Args:
            group: Only runs of this config group: repeats of each other, but for seeds, names and output paths.
            states: Only runs in one of these states; all where it is empty.
        """
        chosen = tuple(states)
        return self.read(lambda view: view.records(view.runs(states=chosen, group=group)))

    def artifact_runs(self, sha256: str) -> list[tuple[str, str, str]]:
        """Return which runs made and used something: run, role (`made` or `used`) and what it is called there.

        Args:
            sha256: Its digest.
        """
        return self.read(lambda view: view.artifact_runs(sha256))

    def read(self, look: Callable[[IndexView], T]) -> T:
        """Return what `look` finds after looking for changes.

        It may be called again, when the index turns out to be damaged, and must not keep the view.

        Raises:
            StorageError: The runs folder cannot be read.
        """
        for _ in range(2):
            try:
                self._path.parent.mkdir(parents=True, exist_ok=True)
                return self._look(str(self._path), look)
            except OSError:
                break
            except (sqlite3.Error, ValueError, KeyError) as error:  # the last two where what it holds is damaged
                if getattr(error, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
                    break  # others write for longer than we wait: nothing is wrong with it
                self._drop()
        return self._look(":memory:", look)

    def _look(self, path: str, look: Callable[[IndexView], T]) -> T:
        with closing(sqlite3.connect(path, timeout=_BUSY_S, isolation_level=None)) as db:
            if db.execute("SELECT count(*) FROM sqlite_master").fetchone() == (0,):
                db.executescript(SCHEMA)
            self._refresh(db)
            if self._read_config is not None:
                self._refresh_config(db, self._read_config)
            db.execute("BEGIN")
            return look(IndexView(db))

    def _drop(self) -> None:
        for path in (self._path, self._path.with_name(f"{self._path.name}-journal")):
            with suppress(OSError):
                path.unlink()

    def _refresh(self, db: sqlite3.Connection) -> None:
        known: dict[bytes, str] = dict(db.execute("SELECT folder, stamp FROM runs"))  # before the folder is listed
        now_ns = time.time_ns()
        found = _stamps(os.fsencode(self._runs), now_ns)
        changed = [(folder, stamp) for folder, stamp in found.items() if known.get(folder) != stamp]
        gone = list(known.keys() - found.keys())
        for batch in _batches(changed):
            read = [(folder, stamp, *_record(self._paths(folder))) for folder, stamp in batch]
            gone += [folder for folder, _, record, _ in read if not record and folder in known]
            with writing(db) as write:
                for folder, stamp, record, code in read:
                    if record:
                        write.run(folder, _final(stamp), record, code)
        for some in _batches(gone):
            with writing(db) as write:
                for folder in some:
                    write.forget(folder)

    def _refresh_config(self, db: sqlite3.Connection, read_config: ConfigReader) -> None:
        """Read the configs of runs whose record changed since, and which are not the ones that were read."""
        unread = db.execute("SELECT run, folder, config_stamp FROM runs WHERE NOT is_config_read").fetchall()
        now_ns = time.time_ns()
        for batch in _batches(unread):
            read = []
            for run, folder, known in batch:
                paths = self._paths(folder)
                stamp = _stamp(os.fsencode(paths.config), now_ns) or ""
                values = _config(paths, read_config) if stamp != known else None
                if stamp or known:
                    read.append((run, stamp, values))
            if read:
                with writing(db) as write:
                    for run, stamp, values in read:
                        write.config(run, _final(stamp), values)

    def _paths(self, folder: bytes) -> RunPaths:
        return RunPaths(self._runs / os.fsdecode(folder))


def find_run(runs: Path, selector: str) -> RunPaths:
    """Return the run that a selector names: its path, its whole name, or the last part of its name.

    Where no run is called so, `last` is the newest run by the time of its creation, `last~1` the one before it.

    Raises:
        RunError: There is no such run, or more than one.
    """
    if len(selector) > _LONGEST_SELECTOR or "\0" in selector:
        raise RunError(f"no run {selector[:40]!r}… in {runs}", hint="list the runs: burnish ls")
    direct = Path(selector)
    if (direct / "run.json").is_file():
        return RunPaths(direct.resolve())
    if (runs / selector / "run.json").is_file():
        return RunPaths(runs / selector)
    names = _folder_names(runs)
    matches = sorted(name for name in names if run_id(name) == selector)
    if not matches and _WHOLE_NAME.match(selector):  # of before a rename, which keeps date and id
        matches = sorted(n for n in names if n[:9] == selector[:9] and run_id(n) == run_id(selector))
    matches = [name for name in matches if (runs / name / "run.json").is_file()]
    if len(matches) == 1:
        return RunPaths(runs / matches[0])
    if matches:
        raise RunError(f"{len(matches)} runs are called {selector!r}", hint=f"use one of {', '.join(matches)}")
    if last := _LAST.fullmatch(selector):
        return _nth_last(runs, 0 if last[1] is None else int(last[1] or 1))
    raise RunError(f"no run {selector!r} in {runs}", hint="list the runs: burnish ls")


def _nth_last(runs: Path, number: int) -> RunPaths:
    names = RunIndex(runs).read(_names_newest_first)
    if not names:
        raise RunError(f"no runs in {runs}", hint="start one: burnish run -- python train.py")
    if number >= len(names):
        there = "there is one run" if len(names) == 1 else f"there are {len(names):,} runs"
        raise RunError(f"no run 'last~{number}': {there} in {runs}", hint="list the runs: burnish ls")
    return RunPaths(runs / names[number])


def _names_newest_first(view: IndexView) -> list[str]:
    names = view.field("name")
    return [str(names[run]) for run in view.runs()]


def _folder_names(runs: Path) -> list[str]:
    try:
        return [name for name in os.listdir(runs) if not name.startswith(".")]  # noqa: PTH208  names are all we want
    except OSError:
        return []


_RACY = "racy "


def _final(stamp: str) -> str:
    """Return a stamp that can be believed next time, empty where it cannot."""
    return "" if stamp.startswith(_RACY) else stamp


def _stamps(runs: bytes, now_ns: int) -> dict[bytes, str]:
    """Return what tells whether a record changed, of each run by the name of its folder."""
    try:
        with os.scandir(runs) as entries:
            folders = [entry.name for entry in entries if not entry.name.startswith(b".")]
    except FileNotFoundError:
        return {}
    except OSError as error:
        hint = "choose another folder: BURNISH_RUNS=/path/to/runs"
        raise StorageError(f"cannot read runs folder {os.fsdecode(runs)}: {error.strerror}", hint=hint) from error
    stamped = ((folder, _stamp(b"%b/%b/run.json" % (runs, folder), now_ns)) for folder in folders)
    return {folder: stamp for folder, stamp in stamped if stamp is not None}


def _stamp(path: bytes, now_ns: int) -> str | None:
    """Return what tells whether a file changed, None where there is none."""
    try:
        found = os.stat(path)  # noqa: PTH116  10,000 of them: a Path each would take as long as the call
    except OSError:
        return None
    racy = _RACY if found.st_mtime_ns > now_ns - _RACY_NS else ""
    return f"{racy}{found.st_mtime_ns}:{found.st_size}:{found.st_ino}"


def _record(paths: RunPaths) -> tuple[RunRecord, dict[str, object]]:
    """Return the record of a run and what its card says of the code, which is written before the run begins."""
    try:
        record = read_record(paths)
        return record, section(_card(paths), "code") if record else {}
    except RecursionError:  # JSON nested without end
        return {}, {}


def _card(paths: RunPaths) -> dict[str, object]:
    import msgspec  # 10 ms that a look at runs which did not change need not take

    try:
        # A card lists every package and may hold a long diff: only the part that is wanted becomes objects.
        return {**msgspec.json.decode(paths.card.read_bytes(), type=_Card)}
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return {}


def _config(paths: RunPaths, read_config: ConfigReader) -> Mapping[str, Value]:
    try:
        return read_config(paths)
    except (BurnishError, OSError, ValueError, RecursionError):
        return {}


def _batches(values: Sequence[T]) -> Iterator[Sequence[T]]:
    every = iter(values)
    while batch := list(islice(every, _BATCH)):
        yield batch
