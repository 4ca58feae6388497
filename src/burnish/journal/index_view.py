"""One look into the index: columns of all runs by name, and the records of those that are chosen."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from burnish.journal.facts import FIELDS, STATISTICS, Value, load
from burnish.journal.record import RunRecord

CONFIG = "config."
SUMMARY = "summary."

FEW = 1_000
"""Of more runs than these, reading a whole column takes less than looking each of them up."""

Column = dict[int, Value]
"""Values by the number of the run; a run that has none is not in it."""

_AFTER = {prefix: prefix[:-1] + chr(ord(prefix[-1]) + 1) for prefix in (CONFIG, SUMMARY)}


@dataclass(frozen=True, slots=True)
class IndexView:
    """The index as it stood at one moment. Runs go by numbers, which mean nothing outside of it."""

    db: sqlite3.Connection

    def runs(self, *, states: Sequence[str] = (), group: str = "") -> list[int]:
        """Return the runs, newest first.

        Args:
            states: Only runs in one of these states; all where it is empty.
            group: Only runs of this config group.
        """
        rules: list[str] = []
        given: list[str] = []
        if states:
            rules.append(f"state IN ({', '.join('?' * len(states))})")
            given += states
        if group:
            rules.append("config_group = ?")
            given.append(group)
        only = f"WHERE {' AND '.join(rules)}" if rules else ""
        found = self.db.execute(f"SELECT run FROM runs {only} ORDER BY newest DESC, folder DESC", given)
        return [run for (run,) in found]

    def records(self, runs: Sequence[int]) -> list[RunRecord]:
        """Return the records of runs, in the order asked for."""
        records = dict(self.db.execute(f"SELECT run, record FROM records WHERE run {_AMONG}", (json.dumps(runs),)))
        return [json.loads(records[run]) for run in runs]

    def field(self, name: str, among: Sequence[int] | None = None) -> Column:
        """Return one of `FIELDS` of every run; None where it is not known.

        Args:
            name: The field.
            among: Runs for which it is enough to know.
        """
        assert name in FIELDS
        return self._column(f'SELECT run, "{name}" FROM runs WHERE true', (), among)

    def config(self, path: str, among: Sequence[int] | None = None) -> Column:
        """Return a config value by its dotted path, lists by index (`data.sources.0.weight`)."""
        found = "SELECT run, value FROM facts WHERE key = (SELECT key FROM keys WHERE name = ?)"
        return self._column(found, (CONFIG + path,), among)

    def metric(self, name: str, statistic: str = "last", among: Sequence[int] | None = None) -> Column:
        """Return one of `STATISTICS` of a metric; a run that does not know it is not in it."""
        assert statistic in STATISTICS
        found = f'SELECT run, "{statistic}" FROM metrics WHERE key = (SELECT key FROM keys WHERE name = ?)'
        return self._column(f'{found} AND "{statistic}" IS NOT NULL', (SUMMARY + name,), among)

    def names(self, prefix: str) -> list[str]:
        """Return the names that any run has, of config values (`CONFIG`) or of metrics (`SUMMARY`), sorted.

        The elements of a list of plain values are not named: the list is.
        """
        table = "facts" if prefix == CONFIG else "metrics"
        found = self.db.execute(
            f"SELECT name FROM keys WHERE name >= ? AND name < ? "
            f"AND EXISTS (SELECT 1 FROM {table} WHERE {table}.key = keys.key) ORDER BY name",
            (prefix, _AFTER[prefix]),
        )
        names = [name for (name,) in found]
        if prefix == SUMMARY:
            return names
        every = set(names)
        return [n for n in names if not (n.rpartition(".")[2].isdecimal() and n.rpartition(".")[0] in every)]

    def known(self, runs: Sequence[int]) -> Iterator[tuple[str, Column]]:
        """Yield every config value and the last value of every metric that any of these runs has, with its name."""
        for prefix, read in ((CONFIG, self.config), (SUMMARY, self.metric)):
            for name in self.names(prefix):
                if column := read(name.removeprefix(prefix), among=runs):
                    yield name, column

    def artifact_runs(self, sha256: str) -> list[tuple[str, str, str]]:
        """Return run, role and name of whatever has this content: the ones that made it first, the oldest first."""
        found = self.db.execute(
            "SELECT name, role, artifact FROM artifacts JOIN runs USING (run) WHERE sha256 = ? "
            "ORDER BY role = 'made' DESC, newest, folder, artifact",
            (sha256,),
        )
        return [(str(run), role, artifact) for run, role, artifact in found]

    def _column(self, found: str, given: tuple[str, ...], among: Sequence[int] | None) -> Column:
        if among is not None and len(among) <= FEW:
            found, given = f"{found} AND run {_AMONG}", (*given, json.dumps(among))
        return {run: load(value) if type(value) is bytes else value for run, value in self.db.execute(found, given)}


_AMONG = "IN (SELECT value FROM json_each(?))"  # a list as one parameter: SQLite allows 32,766 of them
