"""Runs by what they are: those that meet a condition, in an order, with the columns that are asked for."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path

from burnish.analyze.condition import Expression, order, parse, parse_condition
from burnish.analyze.names import ConfigValue, Field, MetricValue, Name, name_of, name_of_text, refuse_unknown
from burnish.analyze.table import Cell, Table
from burnish.core.errors import UsageError
from burnish.core.paths import RunPaths, find_project
from burnish.journal.facts import FIELDS, Value
from burnish.journal.index import RunIndex
from burnish.journal.index_view import CONFIG, FEW, SUMMARY, Column, IndexView
from burnish.journal.record import RunRecord

_SPELLED = re.compile(r"[\w./@:-]+")  # a name as tables spell it, which as an expression may be a division
_PATTERN = re.compile(r"\*|(?:config|summary)\.[\w./@:*?-]*[*?][\w./@:*?-]*")


@dataclass(frozen=True, slots=True)
class Query:
    """What is asked.

    Attributes:
        where: A condition; empty for all runs.
        sort: A name or an expression to sort by; empty for the newest first. What has no value comes last always.
        descending: Whether the largest comes first.
        limit: How many runs at most; None for all.
        columns: Names, expressions and patterns (`config.training.*`, `summary.*`, `*`); None for all that is known.
        states: Only runs in one of these states; all where it is empty.
        tags: Only runs that have all of these tags.
        group: Only runs of this config group.
    """

    where: str = ""
    sort: str = ""
    descending: bool = False
    limit: int | None = None
    columns: tuple[str, ...] | None = None
    states: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    group: str = ""


class Runs(Table):
    """Runs as a table, a row each. `history` has their points.

    Args:
        columns: Values by the name of the column.
        folder: The runs folder.
        names: The name of each run.
    """

    kind = "run"

    def __init__(self, columns: Mapping[str, Sequence[Cell]], folder: Path, names: Sequence[str]) -> None:
        super().__init__(columns)
        self._length = len(names)
        self._folder = folder
        self._names = names

    @property
    def folders(self) -> list[Path]:
        """The folder of each run."""
        return [self._folder / name for name in self._names]

    def history(self, metrics: Iterable[str] | None = None, *, axis: str = "step", rank: int = 0) -> Table:
        """Return the points of all these runs in one table, with the run's name in front. See `history`.

        Args:
            metrics: Names or patterns (`eval/*`); None for all.
            axis: `step`, `time`, or a metric.
            rank: The rank that logged them.
        """
        from burnish.analyze.history import histories  # numpy costs more to import than a query takes

        return histories(self.folders, metrics, axis=axis, rank=rank)


@dataclass(frozen=True, slots=True)
class Found:
    """The answer to a query.

    Attributes:
        runs: The runs with the columns that were asked for.
        records: Their records, where they were wanted.
        matched: How many met the condition, whatever the limit.
    """

    runs: Runs
    records: list[RunRecord] = field(default_factory=list)
    matched: int = 0


def runs(
    where: str = "",
    sort: str = "",
    *,
    descending: bool = False,
    limit: int | None = None,
    columns: Iterable[str] | None = None,
    project: str | Path | None = None,
) -> Runs:
    """Return the runs of a project that meet a condition.

    `burnish.runs("config.training.learning_rate < 1e-4 and summary['eval/loss'] < 2", "summary['eval/loss']")`

    Args:
        where: A condition over fields (`state`, `experiment`, `tags`, …), `config.<path>` and
            `summary['<metric>']`, which is the last value, or its `.min`, `.max`, `.best`, `.first`, `.count`,
            `.nonfinite`. What a run does not have makes a comparison false.
        sort: What to sort by; the newest first by default. What has no value comes last.
        descending: Whether the largest comes first.
        limit: How many runs at most.
        columns: Names, expressions and patterns (`config.*`); all that is known by default.
        project: A folder of the project; the current folder by default.

    Raises:
        UsageError: An expression cannot be read, or no run has what it names.
    """
    chosen = None if columns is None else tuple(columns)
    query = Query(where, sort, descending=descending, limit=limit, columns=chosen)
    return find(find_project(Path(project) if project is not None else None).runs, query).runs


def find(folder: Path, query: Query, *, with_records: bool = False, cache: Path | None = None) -> Found:
    """Answer a query.

    Args:
        folder: The runs folder.
        query: What is asked.
        with_records: Whether the records of the runs are wanted too.
        cache: Where the index lies; the user's cache folder by default.

    Raises:
        UsageError: An expression cannot be read, or no run has what it names.
    """
    condition = parse_condition(query.where) if query.where else None
    wants_config = query.columns is None or any(
        "config" in text or text == "*" for text in (query.where, query.sort, *query.columns)
    )
    index = RunIndex(folder, cache=cache, read_config=_config_values if wants_config else None)
    return index.read(lambda view: _Answer(view, folder).to(query, condition, with_records=with_records))


@dataclass(frozen=True, slots=True)
class _Answer:
    """One look at the index."""

    view: IndexView
    folder: Path
    whole: dict[Name, Column] = field(default_factory=dict)

    def to(self, query: Query, condition: Expression | None, *, with_records: bool) -> Found:
        chosen = self.view.runs(states=query.states, group=query.group)
        if query.tags:
            tags = self.values(Field("tags"), chosen)
            chosen = [run for run in chosen if set(query.tags) <= set(_texts(tags[run]))]
        if condition is not None:
            met = self.column(condition, chosen)
            chosen = [run for run in chosen if met.get(run) is True]
        matched = len(chosen)
        if query.sort:
            chosen = _sorted(chosen, self.column(self.expression(query.sort), chosen), descending=query.descending)
        if query.limit is not None:
            chosen = chosen[: max(0, query.limit)]
        names = self.values(Field("name"), chosen)
        columns = self.everything(chosen) if query.columns is None else self.table(query.columns, chosen)
        shown = {name: [column.get(run) for run in chosen] for name, column in columns.items()}
        found = Runs(shown, self.folder, [str(names[run]) for run in chosen])
        return Found(found, self.view.records(chosen) if with_records else [], matched)

    def column(self, expression: Expression, runs: Sequence[int]) -> Column:
        columns = {name: self.values(name, runs) for name in expression.names}
        for name, values in columns.items():
            if not values and not name.column(self.view):
                refuse_unknown(name, self.view)
        return expression.column(runs, columns)

    def values(self, name: Name, runs: Sequence[int]) -> Column:
        """Return what a name stands for, of these runs at least; a whole column is read once."""
        if name in self.whole:
            return self.whole[name]
        column = name.column(self.view, runs)
        if len(runs) > FEW:
            self.whole[name] = column
        return column

    def expression(self, text: str) -> Expression:
        """Read an expression, or a name as tables spell it."""
        name = name_of_text(text)
        if name is not None and (name in self.whole or name.column(self.view)):
            return parse(_spelled(name))
        try:
            return parse(text)
        except UsageError:
            if name is None or not _SPELLED.fullmatch(text):
                raise
            refuse_unknown(name, self.view)
            return parse(_spelled(name))

    def table(self, wanted: Sequence[str], runs: Sequence[int]) -> dict[str, Column]:
        found: dict[str, Column] = {}
        for text in wanted:
            if _PATTERN.fullmatch(text):
                every = [*FIELDS, *self.view.names(CONFIG), *self.view.names(SUMMARY)]
                matching = [name for name in every if fnmatchcase(name, text)]
                found |= {name: self.column(self.expression(name), runs) for name in matching}
                continue
            expression = self.expression(text)
            name = name_of(expression.root)
            found[str(name) if name is not None else text] = self.column(expression, runs)
        return found

    def everything(self, runs: Sequence[int]) -> dict[str, Column]:
        return {name: self.values(Field(name), runs) for name in FIELDS} | dict(self.view.known(runs))


def _spelled(name: Name) -> str:
    """Return a name as an expression spells it, whatever it holds."""
    if isinstance(name, ConfigValue):
        return f"config[{name.path!r}]"
    return f"summary[{name.metric!r}].{name.statistic}" if isinstance(name, MetricValue) else name.name


def _sorted(runs: Sequence[int], column: Column, *, descending: bool) -> list[int]:
    """Return runs by value; equal ones stay as they stood, and those without a value come last."""
    keys = {run: order(column.get(run)) for run in runs}
    placed = sorted((run for run in runs if keys[run]), key=lambda run: keys[run], reverse=descending)  # type: ignore[arg-type, return-value]
    return [*placed, *(run for run in runs if not keys[run])]


def _texts(value: Value) -> tuple[Value, ...]:
    return value if isinstance(value, tuple) else ()


def _config_values(paths: RunPaths) -> dict[str, Value]:
    """Return the config of a run by dotted path; a list of plain values also as a whole."""
    from burnish.config.layer import plain
    from burnish.config.sources.files import read_snapshot  # 0.2 s to import, and only for runs not seen before

    found: dict[str, Value] = {}
    _flatten(plain(read_snapshot(paths.config, paths.config.name)), "", found)
    return found


def _flatten(value: object, path: str, found: dict[str, Value]) -> None:
    if isinstance(value, dict):
        for key, item in value.items():
            _flatten(item, f"{path}.{key}" if path else str(key), found)
    elif isinstance(value, list):
        if all(item is None or isinstance(item, bool | int | float | str) for item in value):
            found[path] = tuple(value)
        for number, item in enumerate(value):
            _flatten(item, f"{path}.{number}", found)
    else:
        found[path] = value  # type: ignore[assignment]  # a leaf of plain values
