"""Writing the index: its tables, and putting a run in the place of what was known of it."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from burnish.journal.facts import FIELDS, STATISTICS, Value, artifacts_of, fields_of, newest, store, summary_of, text
from burnish.journal.index_view import CONFIG, SUMMARY
from burnish.journal.record import RunRecord

_COLUMNS = ", ".join(f'"{name}"' for name in FIELDS)
_NUMBERS = ", ".join(f'"{name}"' for name in STATISTICS)
# Narrow tables beside the records: a column of all runs is read without touching what only shown runs need.
# Run numbers are never used twice, so that what a vanished run left behind is never taken for another's.
SCHEMA = f"""
BEGIN IMMEDIATE;
CREATE TABLE IF NOT EXISTS runs (
    run INTEGER PRIMARY KEY AUTOINCREMENT, folder BLOB UNIQUE NOT NULL, stamp TEXT NOT NULL, newest REAL NOT NULL,
    config_stamp TEXT NOT NULL, is_config_read INTEGER NOT NULL, {_COLUMNS}
);
CREATE INDEX IF NOT EXISTS runs_newest ON runs (newest DESC, folder DESC);
CREATE TABLE IF NOT EXISTS records (run INTEGER PRIMARY KEY, record TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS keys (key INTEGER PRIMARY KEY, name TEXT UNIQUE NOT NULL);
CREATE TABLE IF NOT EXISTS facts (key INTEGER, run INTEGER, value, PRIMARY KEY (key, run)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS metrics (key INTEGER, run INTEGER, {_NUMBERS}, PRIMARY KEY (key, run)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS artifacts (
    sha256 TEXT, run INTEGER, role TEXT, artifact TEXT, PRIMARY KEY (sha256, run, role, artifact)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS artifacts_run ON artifacts (run);
COMMIT;
"""


class IndexWriter:
    """What is written in one transaction."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        self._keys: dict[str, int] = dict(db.execute("SELECT name, key FROM keys"))

    def run(self, folder: bytes, stamp: str, record: RunRecord, code: Mapping[str, object]) -> None:
        """Put a run in the place of what was known of it; with an empty stamp it is read again next time."""
        fields = fields_of(os.fsdecode(folder), record, code)
        row = (folder, stamp, newest(record), *(store(fields[name]) for name in FIELDS))
        marks = ", ".join("?" * len(FIELDS))
        renewed = ", ".join(f'"{name}" = excluded."{name}"' for name in ("stamp", "newest", *FIELDS))
        ((run,),) = self._db.execute(
            f"INSERT INTO runs (folder, stamp, newest, config_stamp, is_config_read, {_COLUMNS}) "
            f"VALUES (?, ?, ?, '', 0, {marks}) "
            f"ON CONFLICT (folder) DO UPDATE SET is_config_read = 0, {renewed} RETURNING run",
            row,
        ).fetchall()
        self._db.execute("INSERT OR REPLACE INTO records VALUES (?, ?)", (run, json.dumps(record)))
        self._clear(run, "metrics", SUMMARY)
        self._db.executemany(
            f"INSERT OR REPLACE INTO metrics VALUES (?, ?{', ?' * len(STATISTICS)})",
            [(self._key(SUMMARY + text(name)), run, *map(store, known)) for name, known in summary_of(record).items()],
        )
        self._db.execute("DELETE FROM artifacts WHERE run = ?", (run,))
        rows = [(sha256, run, role, name) for sha256, role, name in artifacts_of(record)]
        self._db.executemany("INSERT OR REPLACE INTO artifacts VALUES (?, ?, ?, ?)", rows)

    def config(self, run: int, stamp: str, values: Mapping[str, Value] | None) -> None:
        """Put config values in the place of those known, None keeps them; an empty stamp has them read again."""
        update = "UPDATE runs SET config_stamp = ?, is_config_read = ? WHERE run = ?"
        self._db.execute(update, (stamp, bool(stamp), run))
        if values is not None:
            self._clear(run, "facts", CONFIG)
            rows = [(self._key(CONFIG + text(path)), run, store(value)) for path, value in values.items()]
            self._db.executemany("INSERT OR REPLACE INTO facts VALUES (?, ?, ?)", rows)

    def forget(self, folder: bytes) -> None:
        """Remove a run."""
        for (run,) in self._db.execute("SELECT run FROM runs WHERE folder = ?", (folder,)).fetchall():
            self._clear(run, "metrics", SUMMARY)
            self._clear(run, "facts", CONFIG)
            for table in ("artifacts", "records", "runs"):
                self._db.execute(f"DELETE FROM {table} WHERE run = ?", (run,))

    def _clear(self, run: int, table: str, prefix: str) -> None:
        """Remove a run's rows of a table that is ordered by key, then run."""
        keys = "SELECT key FROM keys WHERE name >= ? AND name < ?"
        given = (run, prefix, f"{prefix[:-1]}/")  # "/" follows "."
        self._db.execute(f"DELETE FROM {table} WHERE run = ? AND key IN ({keys})", given)

    def _key(self, name: str) -> int:
        if name not in self._keys:
            ((key,),) = self._db.execute("INSERT INTO keys (name) VALUES (?) RETURNING key", (name,)).fetchall()
            self._keys[name] = key
        return self._keys[name]


@contextmanager
def writing(db: sqlite3.Connection) -> Iterator[IndexWriter]:
    """Open a transaction, and close it with what was written in it."""
    db.execute("BEGIN IMMEDIATE")
    with db:
        yield IndexWriter(db)
