"""What `ls` reads: one row a run in a SQLite file that can be thrown away and is then rebuilt.

It lies in the user's cache folder, keyed by the runs folder, because SQLite on a shared disk breaks. The runs'
own `run.json` files stay the truth: a refresh reads those that changed since it last looked.
"""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
from collections.abc import Iterable
from contextlib import closing, suppress
from pathlib import Path

import platformdirs

from burnish.core.errors import RunError, StorageError
from burnish.core.ids import run_id
from burnish.core.paths import RunPaths
from burnish.core.shape import section
from burnish.journal.record import RunRecord, read_record

_SCHEMA = """
CREATE TABLE IF NOT EXISTS runs (
    name TEXT PRIMARY KEY, changed TEXT NOT NULL, created REAL NOT NULL, record TEXT NOT NULL,
    config_hash TEXT NOT NULL, config_group TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS runs_created ON runs (created DESC);
CREATE INDEX IF NOT EXISTS runs_group ON runs (config_group, created DESC);
"""
_VERSION = 3
_LONGEST_SELECTOR = 250  # a file name cannot be longer


class RunIndex:
    """The runs of one runs folder, newest first.

    Several processes may refresh at once; each writes what it read itself, so the last one to look wins
    and the next refresh repairs anything older.
    """

    def __init__(self, runs: Path, *, cache: Path | None = None) -> None:
        self._runs = runs
        folder = cache or platformdirs.user_cache_path("burnish") / "index"
        digest = hashlib.sha256(os.fsencode(runs.resolve())).hexdigest()[:16]
        self._path = folder / f"{digest}-{_VERSION}.sqlite"

    def records(self, *, group: str = "") -> list[RunRecord]:
        """Return the record of every run, newest first, after looking for changes.

        Args:
            group: Only runs of this config group: repeats of each other, but for seeds, names and output paths.
        """
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            return self._refreshed(group)
        except (sqlite3.Error, OSError):
            # The index is a convenience: damaged or unwritable, it is dropped and the runs read directly.
            with suppress(OSError):
                self._path.unlink()
            records = (read_record(RunPaths(f)) for f in self._folders())
            return _newest_first(r for r in records if not group or _config(r, "group") == group)

    def _refreshed(self, group: str) -> list[RunRecord]:
        with closing(sqlite3.connect(self._path, timeout=10)) as db, db:
            db.executescript(_SCHEMA)
            known = dict(db.execute("SELECT name, changed FROM runs"))
            seen: set[str] = set()
            for folder in self._folders():
                stamp = _stamp(RunPaths(folder).state)
                if stamp is None:
                    continue
                seen.add(folder.name)
                if known.get(folder.name) != stamp:
                    record = read_record(RunPaths(folder))
                    names = (_config(record, "hash"), _config(record, "group"))
                    row = (folder.name, stamp, _created(record), json.dumps(record), *names)
                    db.execute("INSERT OR REPLACE INTO runs VALUES (?, ?, ?, ?, ?, ?)", row)
            db.executemany("DELETE FROM runs WHERE name = ?", [(n,) for n in known.keys() - seen])
            only = "WHERE config_group = ?" if group else ""
            found = f"SELECT record FROM runs {only} ORDER BY created DESC, name DESC"
            rows = db.execute(found, (group,) if group else ())
            return _newest_first(json.loads(record) for (record,) in rows)

    def _folders(self) -> list[Path]:
        try:
            with os.scandir(self._runs) as entries:
                return [Path(e.path) for e in entries if not e.name.startswith(".") and e.is_dir()]
        except FileNotFoundError:
            return []
        except OSError as error:
            hint = "choose another folder: BURNISH_RUNS=/path/to/runs"
            raise StorageError(f"cannot read runs folder {self._runs}: {error.strerror}", hint=hint) from error


def find_run(runs: Path, selector: str) -> RunPaths:
    """Return the run that a selector names: its path, its whole name, or the last part of its name.

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
    names = sorted(p.parent.name for p in runs.glob("*/run.json"))
    matches = [name for name in names if run_id(name) == selector]
    if len(matches) == 1:
        return RunPaths(runs / matches[0])
    if matches:
        raise RunError(f"{len(matches)} runs are called {selector!r}", hint=f"use one of {', '.join(matches)}")
    raise RunError(f"no run {selector!r} in {runs}", hint="list the runs: burnish ls")


def _stamp(path: Path) -> str | None:
    try:
        stat = path.stat()
    except OSError:
        return None
    return f"{stat.st_mtime_ns}:{stat.st_size}:{stat.st_ino}"


def _config(record: RunRecord, name: str) -> str:
    return str(section(record, "config").get(name) or "")


def _created(record: RunRecord) -> float:
    created = record.get("created")
    return float(created) if isinstance(created, int | float) else 0.0


def _newest_first(records: Iterable[RunRecord]) -> list[RunRecord]:
    return sorted((r for r in records if r), key=_created, reverse=True)
