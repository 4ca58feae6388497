"""Runs as a table: rows by number or id, their points, and a look that fits a terminal or a notebook."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import overload

from burnish.analyze.names import TOOK
from burnish.analyze.table import Cell, Table, moment_text
from burnish.core.clock import duration
from burnish.core.ids import run_id
from burnish.journal.facts import FIELDS
from burnish.journal.index_view import CONFIG, SUMMARY

TIMES = frozenset({"created", "started", "ended", "when"})
"""Columns that hold seconds since the epoch."""

_FIRST = ("id", "name", "state", "experiment")


class Runs(Table):
    """Runs as a table, a row each; `runs["k7f2"]` is the row of one. `history` has their points.

    Args:
        columns: Values by the name of the column.
        folder: The runs folder.
        names: The name of each run.
        warnings: What is odd about the question.

    Attributes:
        warnings: What is odd about the question, such as a comparison that no run can ever meet.
    """

    kind = "run"

    def __init__(
        self, columns: Mapping[str, Sequence[Cell]], folder: Path, names: Sequence[str], warnings: Sequence[str] = ()
    ) -> None:
        super().__init__(columns)
        self._length = len(names)
        self._folder = folder
        self._names = names
        self.warnings = tuple(warnings)

    @property
    def folders(self) -> list[Path]:
        """The folder of each run."""
        return [self._folder / name for name in self._names]

    @overload
    def __getitem__(self, index: int | str) -> dict[str, Cell]: ...
    @overload
    def __getitem__(self, index: slice) -> list[dict[str, Cell]]: ...
    def __getitem__(self, index: int | str | slice) -> dict[str, Cell] | list[dict[str, Cell]]:
        if not isinstance(index, str):
            return super().__getitem__(index)
        found = [number for number, name in enumerate(self._names) if index in (name, run_id(name))]
        if len(found) != 1:
            what = f"{len(found)} runs are called {index!r}" if found else f"no run {index!r} among these {len(self):,}"
            raise KeyError(what)
        return super().__getitem__(found[0])

    def history(self, metrics: str | Iterable[str] | None = None, *, axis: str | None = "step", rank: int = 0) -> Table:
        """Return the points of all these runs in one table, with the run's name in front. See `history`.

        Args:
            metrics: A name or a pattern (`eval/*`), or several; None for all.
            axis: `step`, `time`, or a metric; None for what `Run.step_metric` said of each.
            rank: The rank that logged them.
        """
        from burnish.analyze.history import histories  # numpy costs more to import than a query takes

        return histories(self.folders, metrics, axis=axis, rank=rank)

    def _order(self) -> list[str]:
        """Return the columns as they are shown: as asked for, or what tells most first, where all were."""
        if not set(FIELDS) <= self._columns.keys():
            return list(self._columns)
        by_kind = {prefix: [name for name in self._columns if name.startswith(prefix)] for prefix in (CONFIG, SUMMARY)}
        differing = [name for name in by_kind[CONFIG] if self._differs(name)]
        return list(dict.fromkeys((*_FIRST, *differing, *by_kind[SUMMARY], *by_kind[CONFIG], *self._columns)))

    def _differs(self, name: str) -> bool:
        column = self._columns[name]
        return any(value != column[0] for value in column)

    def _text(self, name: str, value: Cell) -> str:
        if isinstance(value, int | float) and name in TIMES:
            return moment_text(value)
        return duration(value) if isinstance(value, int | float) and name == TOOK else super()._text(name, value)

    def _below(self, *, is_cut: bool = False) -> list[str]:
        return [*super()._below(is_cut=is_cut), *(f"warning: {warning}" for warning in self.warnings)]
