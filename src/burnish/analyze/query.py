"""Runs by what they are: those that meet a condition, in an order, with the columns that are asked for."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path

from burnish.analyze.condition import Expression, parse, parse_condition, refuse_no_condition
from burnish.analyze.found import Runs
from burnish.analyze.mistakes import hint_of_runs, hint_of_text, with_metrics_in_brackets
from burnish.analyze.names import (
    KNOWN,
    Field,
    Name,
    UnknownNameError,
    listed,
    name_of,
    name_of_text,
    refuse_empty,
    refuse_unknown,
    spelled,
)
from burnish.analyze.values import order
from burnish.core.errors import UsageError
from burnish.core.paths import RunPaths, find_project
from burnish.journal.facts import Value
from burnish.journal.index import RunIndex
from burnish.journal.index_view import CONFIG, FEW, SUMMARY, Column, IndexView
from burnish.journal.record import RunRecord

_SPELLED = re.compile(r"[\w./@:-]+")  # a name as tables spell it, which as an expression may be a division
_PATTERN = re.compile(r"\*|(?:config|summary)\.[\w./@:*?-]*[*?][\w./@:*?-]*")
_GLOB = re.compile(r"[\w./@:?-]*\*[\w./@:*?-]*")
# A comma between columns, not one inside of brackets or quotes.
_BETWEEN = re.compile(r""",(?=(?:[^'"]|'[^']*'|"[^"]*")*$)(?![^\[(]*[\])])""")


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
    columns: str | Iterable[str] | None = None,
    project: str | Path | None = None,
) -> Runs:
    """Return the runs of a project that meet a condition.

    `burnish.runs("config.training.learning_rate < 1e-4 and summary['eval/loss'] < 2", "summary['eval/loss']")`

    Args:
        where: A condition over fields (`state`, `experiment`, `tags`, …), `config.<path>` and
            `summary['<metric>']`, which is the last value, or its `.min`, `.max`, `.best`, `.first`, `.count`,
            `.nonfinite`. What a run does not have makes a comparison false; one that could never hold, since it
            is of unlike things in every run, is told in `.warnings` of what is returned.
        sort: What to sort by; the newest first by default. What has no value comes last.
        descending: Whether the largest comes first.
        limit: How many runs at most.
        columns: Names, expressions and patterns (`config.*`), as one text with commas between or several; all
            that is known by default.
        project: A folder of the project; the current folder by default.

    Raises:
        UsageError: An expression cannot be read, no run has what it names, or there is no such folder.
    """
    if project is not None and not Path(project).is_dir():
        raise UsageError(
            f"no folder {str(project)!r}", hint="project is a folder that holds .burnish, or one inside of it"
        )
    chosen = None if columns is None else split_columns(columns) if isinstance(columns, str) else tuple(columns)
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
    if query.columns is not None and not query.columns:
        raise UsageError("no column is named", hint="such as id,state,config.*,summary.*")
    wants_config = query.columns is None or any(
        "config" in text or text == "*" for text in (query.where, query.sort, *query.columns)
    )

    def read(*, with_config: bool) -> Found:
        index = RunIndex(folder, cache=cache, read_config=_read_config if with_config else None)
        return index.read(lambda view: _Answer(view, folder).to(query, with_records=with_records))

    try:
        return read(with_config=wants_config)
    except UnknownNameError:
        if wants_config:
            raise
    return read(with_config=True)  # which says it better when the name is one of a config


def _read_config(paths: RunPaths) -> Mapping[str, Value]:
    from burnish.config.flat import config_values  # 0.2 s to import, and only for runs not seen before

    return config_values(paths.config)


def split_columns(text: str) -> tuple[str, ...]:
    """Return the columns that a text names with commas between them.

    >>> split_columns("id, summary['a,b'] ,config.x")
    ('id', "summary['a,b']", 'config.x')
    """
    return tuple(name for part in _BETWEEN.split(text) if (name := part.strip()))


@dataclass(frozen=True, slots=True)
class _Answer:
    """One look at the index."""

    view: IndexView
    folder: Path
    whole: dict[Name, Column] = field(default_factory=dict)

    def to(self, query: Query, *, with_records: bool) -> Found:
        doubts: list[str] = []
        condition = self.parsed(query.where, parse_condition) if query.where else None
        chosen = self.view.runs(states=query.states, group=query.group)
        if query.tags:
            tags = self.values(Field("tags"), chosen)
            chosen = [run for run in chosen if set(query.tags) <= set(_texts(tags[run]))]
        if condition is not None:
            met = self.compared(condition, chosen, doubts)
            chosen = [run for run in chosen if met.get(run) is True]
        matched = len(chosen)
        if query.sort:
            chosen = _sorted(chosen, self.sorted_by(query.sort, chosen), descending=query.descending)
        if query.limit is not None:
            chosen = chosen[: max(0, query.limit)]
        names = self.values(Field("name"), chosen)
        columns = self.everything(chosen) if query.columns is None else self.table(query.columns, chosen)
        shown = {name: [column.get(run) for run in chosen] for name, column in columns.items()}
        found = Runs(shown, self.folder, [str(names[run]) for run in chosen], doubts)
        return Found(found, self.view.records(chosen) if with_records else [], matched)

    def compared(self, condition: Expression, runs: Sequence[int], doubts: list[str]) -> Column:
        columns = self.columns(condition, runs)
        for name, values in columns.items():
            refuse_empty(name, values.values(), self.view)
        refuse_no_condition(condition, columns)
        return condition.column(runs, columns, doubts)

    def sorted_by(self, text: str, runs: Sequence[int]) -> Column:
        expression = self.expression(text)
        columns = self.columns(expression, runs)
        for name, values in columns.items():
            refuse_empty(name, values.values(), self.view)
        found = expression.column(runs, columns)
        if runs and text.startswith("-") and not found and any(columns.values()):
            backwards = "such as --sort KEY --reverse, or sort=KEY, descending=True"
            raise UsageError(f"only numbers have an opposite: {text!r}", hint=backwards)
        return found

    def columns(self, expression: Expression, runs: Sequence[int]) -> dict[Name, Column]:
        columns = {name: self.values(name, runs) for name in expression.names}
        for name, values in columns.items():
            if not values and not name.column(self.view):
                refuse_unknown(name, self.view)
        return columns

    def column(self, expression: Expression, runs: Sequence[int]) -> Column:
        return expression.column(runs, self.columns(expression, runs))

    def values(self, name: Name, runs: Sequence[int]) -> Column:
        """Return what a name stands for, of these runs at least; a whole column is read once."""
        if name in self.whole:
            return self.whole[name]
        column = name.column(self.view, runs)
        if len(runs) > FEW:
            self.whole[name] = column
        return column

    def parsed(self, text: str, read: Callable[[str], Expression]) -> Expression:
        """Read an expression, with what the runs know of the names in it."""
        if "/" in text:
            text = with_metrics_in_brackets(text, lambda metric: bool(self.view.metric(metric)))
        try:
            return read(text)
        except UnknownNameError as error:
            error.hint = hint_of_text(text) or hint_of_runs(text, error.word, self.view) or error.hint
            raise

    def expression(self, text: str) -> Expression:
        """Read an expression, or a name as tables spell it."""
        name = name_of_text(text)
        if name is not None and (name in self.whole or name.column(self.view)):
            return parse(spelled(name))
        try:
            return self.parsed(text, parse)
        except UsageError:
            if name is None or not _SPELLED.fullmatch(text):
                raise
            refuse_unknown(name, self.view)
            return parse(spelled(name))

    def table(self, wanted: Sequence[str], runs: Sequence[int]) -> dict[str, Column]:
        found: dict[str, Column] = {}
        for text in wanted:
            if _PATTERN.fullmatch(text):
                found |= {name: self.column(self.expression(name), runs) for name in self.matching(text)}
                continue
            try:
                expression = self.expression(text)
            except UsageError as error:
                if _GLOB.fullmatch(text):
                    hint = "patterns are of configs and metrics: config.*, summary.eval/*"
                    raise UsageError(f"no column matches {text!r}", hint=hint) from error
                raise
            name = name_of(expression.root)
            found[str(name) if name is not None else text] = self.column(expression, runs)
        return found

    def matching(self, pattern: str) -> list[str]:
        """Return the names that a pattern means.

        Raises:
            UsageError: It chooses among the configs or metrics that there are, and chooses none.
        """
        every = [*KNOWN, *self.view.names(CONFIG), *self.view.names(SUMMARY)]
        found = [name for name in every if fnmatchcase(name, pattern)]
        if not found and pattern not in (f"{CONFIG}*", f"{SUMMARY}*") and self.view.runs():
            prefix = CONFIG if pattern.startswith(CONFIG) else SUMMARY
            raise UsageError(f"no column matches {pattern!r}", hint=listed(self.view.names(prefix), ""))
        return found

    def everything(self, runs: Sequence[int]) -> dict[str, Column]:
        return {name: self.values(Field(name), runs) for name in KNOWN} | dict(self.view.known(runs))


def _sorted(runs: Sequence[int], column: Column, *, descending: bool) -> list[int]:
    """Return runs by value; equal ones stay as they stood, and those without a value come last."""
    keys = {run: order(column.get(run)) for run in runs}
    placed = sorted((run for run in runs if keys[run]), key=lambda run: keys[run], reverse=descending)  # type: ignore[arg-type, return-value]
    return [*placed, *(run for run in runs if not keys[run])]


def _texts(value: Value) -> tuple[Value, ...]:
    return value if isinstance(value, tuple) else ()
