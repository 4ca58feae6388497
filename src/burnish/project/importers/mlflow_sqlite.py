"""A store of MLflow's in a SQLite file, read as it is: MLflow's own client would first bring its tables up to date."""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Final
from urllib.parse import quote

from burnish.core.errors import RunError
from burnish.project.importers.mlflow_store import Point, Store, StoredRun, local_folder

_TABLES: Final = frozenset({"experiments", "runs", "metrics", "params", "tags"})
_MAGIC: Final = b"SQLite format 3\0"


def is_sqlite(path: Path) -> bool:
    """Return whether a file is a database."""
    try:
        with path.open("rb") as file:
            return file.read(len(_MAGIC)) == _MAGIC
    except OSError:
        return False


class SqliteStore(Store):
    """One file.

    Args:
        path: The file.

    Raises:
        RunError: It is no store of MLflow's.
    """

    def __init__(self, path: Path) -> None:
        self._path = path.absolute()
        self.shown = str(self._path)
        self.beside = self._path.parent
        if not self._path.is_file():
            raise RunError("there is no such file", origin=self.shown)
        names = {str(name) for (name,) in self._all("SELECT name FROM sqlite_master WHERE type = 'table'", ())}
        if missing := _TABLES - names:
            raise RunError(f"no store of MLflow's: it has no table {min(missing)!r}", origin=self.shown)

    def experiments(self) -> dict[str, str]:
        """Return the names of experiments by their ids."""
        found = self._all("SELECT experiment_id, name FROM experiments WHERE lifecycle_stage = 'active'", ())
        return {str(key): str(name) for key, name in found}

    def runs(self, experiments: Mapping[str, str]) -> Sequence[StoredRun]:
        """Return the runs of experiments, with params and tags."""
        params, tags = self._by_run("params"), self._by_run("tags")
        rows = self._all(
            "SELECT run_uuid, name, experiment_id, status, start_time, end_time, artifact_uri FROM runs "
            "WHERE lifecycle_stage = 'active' ORDER BY start_time, run_uuid",
            (),
        )
        found = []
        for run, name, experiment, status, started, ended, uri in rows:
            if str(experiment) in experiments:
                times = (started if isinstance(started, int) else 0, ended if isinstance(ended, int) else 0)
                told = (params.get(str(run), {}), tags.get(str(run), {}))
                folder = local_folder(str(uri or ""), self._path.parent)
                kept = StoredRun(
                    str(run), str(name or ""), str(experiment), str(status), *times, *told, str(uri), folder
                )
                found.append(kept)
        return found

    def points(self, run: str) -> Iterator[Point]:
        """Yield the points of a run by time."""
        query = (
            "SELECT key, value, timestamp, step, is_nan FROM metrics WHERE run_uuid = ? ORDER BY timestamp, step, key"
        )
        with closing(self._open()) as db:
            try:
                for key, value, at_ms, step, is_nan in db.execute(query, (run,)):
                    yield str(key), math.nan if is_nan else float(value), int(at_ms), int(step)
            except (sqlite3.Error, TypeError, ValueError) as error:
                raise RunError(f"the points of run {run} cannot be read: {error}", origin=self.shown) from error

    def _by_run(self, table: str) -> dict[str, dict[str, str]]:
        found: dict[str, dict[str, str]] = {}
        for run, key, value in self._all(f"SELECT run_uuid, key, value FROM {table}", ()):
            found.setdefault(str(run), {})[str(key)] = str(value)
        return found

    def _all(self, query: str, given: tuple[object, ...]) -> list[tuple[object, ...]]:
        try:
            with closing(self._open()) as db:
                return list(db.execute(query, given))
        except sqlite3.Error as error:
            raise RunError(f"no store of MLflow's: {error}", origin=self.shown) from error

    def _open(self) -> sqlite3.Connection:
        db = sqlite3.connect(f"file:{quote(str(self._path))}?mode=ro", uri=True, timeout=10)
        db.text_factory = lambda raw: raw.decode(errors="replace")
        return db
