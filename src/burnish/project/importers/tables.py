"""CSV files, JSON lines and JSON arrays: columns of numbers are metrics, one column is the step, one the time.

A file is read twice, so that it need not fit into memory: once for its columns, once for its values. Where a column
names runs, its rows are laid out by run in between.
"""

from __future__ import annotations

import csv
import json
import shutil
import tempfile
import weakref
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final, TypeAlias

from burnish.core.errors import BurnishError, RunError, UsageError
from burnish.core.nearest import nearest
from burnish.project.importers.beside import name_of_folder
from burnish.project.importers.found import Facts, Found, Options, Source
from burnish.project.importers.json_text import peek_json, read_lines
from burnish.project.importers.log import Log
from burnish.project.importers.values import flat, is_relative, moment, number_in_text, whole

Rows: TypeAlias = Iterator[tuple[dict[str, object] | None, int]]

_STEPS: Final = (
    "step", "global_step", "_step", "trainer/global_step", "current_steps", "iteration", "iter", "steps",
    "train_step", "update", "episode",
)  # fmt: skip
_TIMES: Final = ("time", "timestamp", "_timestamp", "wall_time", "wall time", "date", "datetime")
_RUNS: Final = ("run", "run_id", "run_name", "_run")
_MOST_RUNS: Final = 10_000
_MOST_COLUMNS: Final = 100_000
_AT_ONCE: Final = 20_000
_DELIMITERS: Final = ",\t;|"
_SAMPLE: Final = 1 << 16
_LONGEST_CELL: Final = 1 << 24
_DULL: Final = ("metrics", "log", "logs", "history", "train_log", "training_log", "training_logs", "results")
"""Names of files that say nothing of what lies in them."""
_LISTS: Final = ("log_history", "history", "logs", "metrics", "rows", "data")


@dataclass(slots=True)
class _Survey:
    """What a first look at a file finds.

    Attributes:
        columns: Names, in the order in which they appear.
        runs: What the column that names runs holds.
        last_time: The greatest time.
        falls: A time since a start is less than the one before: then it is how long something took.
    """

    columns: dict[str, None] = field(default_factory=dict)
    runs: dict[str, int] = field(default_factory=dict)
    step: str = ""
    time: str = ""
    run: str = ""
    last_time: float = 0.0
    rows: int = 0
    falls: bool = False
    _times: dict[str, float] = field(default_factory=dict)

    def take_time(self, row: dict[str, object]) -> None:
        """Account for the time of a row."""
        if not self.time or (at := moment(row.get(self.time))) is None:
            return
        run = str(row.get(self.run)) if self.run else ""
        self.falls = self.falls or (is_relative(at) and at < self._times.get(run, 0.0))
        self._times[run] = at
        self.last_time = max(at, self.last_time)


@dataclass(frozen=True, slots=True)
class _Table:
    """A file with rows.

    Attributes:
        path: The file.
        source: Which kind.
        options: What the user says of it.
    """

    path: Path
    source: Source
    options: Options

    def rows(self) -> Rows:
        """Yield each row with the bytes that it took, None for one that cannot be read."""
        return _csv_rows(self.path) if self.source == "csv" else _json_rows(self.path)

    def survey(self) -> _Survey:
        """Look at all rows.

        Raises:
            UsageError: A column that the user names is not there.
        """
        found = _Survey()
        for row, _ in self.rows():
            if row is None:
                continue
            found.rows += 1
            if (new := row.keys() - found.columns.keys()) and len(found.columns) < _MOST_COLUMNS:
                found.columns |= dict.fromkeys(row)
                found.step = _likelier(found.step, new, _STEPS, self.options.step)
                found.time = _likelier(found.time, new, _TIMES, self.options.time)
                found.run = _likelier(found.run, new, _RUNS, "")
            if found.run and (name := _text(row.get(found.run))) is not None:
                found.runs[name] = found.runs.get(name, 0) + 1
                if len(found.runs) > _MOST_RUNS:
                    raise RunError(f"column {found.run!r} names more than {_MOST_RUNS:,} runs", origin=str(self.path))
            found.take_time(row)
        self._check(found)
        if found.falls and not self.options.time:
            found.time = ""
        return found

    def _check(self, found: _Survey) -> None:
        for option, wanted in (("step", self.options.step), ("time", self.options.time)):
            if wanted and wanted not in found.columns:
                best = nearest(wanted, found.columns)
                shown = ", ".join(list(found.columns)[:10]) or "none"
                hint = f"did you mean --{option} {best}?" if best else f"there are {shown}"
                raise UsageError(f"no column {wanted!r}", origin=str(self.path), hint=hint)
        if not found.rows:
            raise RunError("there are no rows in it", origin=str(self.path))
        if not found.columns.keys() - {found.step, found.time, found.run}:
            raise RunError("there is no column of values", origin=str(self.path), hint="its first line names columns")


def _likelier(known: str, new: Iterable[str], names: tuple[str, ...], wanted: str) -> str:
    """Return which column is the one of a purpose, now that there are new ones; empty where none is."""
    if wanted:
        return wanted if wanted in new else known
    may_be = [column for column in (known, *sorted(new)) if column.strip().lower() in names]
    return min(may_be, key=lambda column: names.index(column.strip().lower()), default="")


def read(paths: Sequence[Path], source: Source, options: Options) -> Iterator[Found]:
    """Yield the runs of each file; of several, one that cannot be read fails only when its turn comes.

    Raises:
        UsageError: A column that the user names is not there.
        RunError: The only file has no rows, or no columns.
    """
    for path in paths:
        try:
            yield from _runs(_Table(path, source, options))
        except (BurnishError, OSError) as error:
            if len(paths) == 1:
                raise
            yield Found(source, str(path.absolute()), path.stem, path.stem, _Broken(error).read)


@dataclass(frozen=True, slots=True)
class _Broken:
    """A file that cannot be read."""

    error: Exception

    def read(self, log: Log) -> Facts:
        raise self.error


def _runs(table: _Table) -> Iterator[Found]:
    where = table.path.absolute()
    name = table.path.stem if table.path.stem.lower() not in _DULL else name_of_folder(where.parent)
    size = max(1, table.path.stat().st_size)
    survey = table.survey()
    if len(survey.runs) < 2:
        yield Found(table.source, str(where), name, name, _Part(table, survey, table.rows).read, size=size)
        return
    layout, total = _Layout(table, survey), sum(survey.runs.values())
    for run, rows in survey.runs.items():
        part = _Part(table, survey, partial(layout.rows, run))
        share = max(1, size * rows // total)
        yield Found(table.source, str(where), name, run, part.read, label=run, size=share)


class _Layout:
    """The rows of a file by run, each in a file of its own that goes when nobody needs it any more."""

    def __init__(self, table: _Table, survey: _Survey) -> None:
        self._table, self._survey = table, survey
        self._files: dict[str, Path] = {}

    def rows(self, run: str) -> Rows:
        """Yield the rows of a run."""
        if not self._files:
            folder = Path(tempfile.mkdtemp(prefix="burnish-import-"))
            weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
            self._files = {name: folder / f"{number}.jsonl" for number, name in enumerate(self._survey.runs)}
            self._lay_out()
        yield from read_lines(self._files[run])

    def _lay_out(self) -> None:
        waiting: dict[str, list[str]] = {}
        for place, (row, _) in enumerate(self._table.rows()):
            if row is not None and (run := _text(row.get(self._survey.run))) in self._files:
                assert run is not None
                waiting.setdefault(run, []).append(json.dumps(row))
            if place % _AT_ONCE == 0:
                self._write(waiting)
        self._write(waiting)

    def _write(self, waiting: dict[str, list[str]]) -> None:
        for run, lines in waiting.items():
            with self._files[run].open("a") as file:
                file.writelines(f"{line}\n" for line in lines)
        waiting.clear()


@dataclass(frozen=True, slots=True)
class _Part:
    """The rows of one run.

    Attributes:
        table: The file.
        survey: Its columns.
        rows: Yields the rows.
    """

    table: _Table
    survey: _Survey
    rows: Callable[[], Rows]

    def read(self, log: Log) -> Facts:
        survey, ended = self.survey, self.table.path.stat().st_mtime
        # Times that count from a start are laid so that the last one is the file's own.
        start = ended - survey.last_time if is_relative(survey.last_time) else 0.0
        others = {survey.step, survey.time, survey.run} - {""}
        for place, (row, size) in enumerate(self.rows()):
            log.advance(size)
            if row is None:
                log.left_out["line that cannot be read"] += 1
                continue
            told = moment(row.get(survey.time)) if survey.time else ended
            if survey.time and told is None:
                log.left_out["time that cannot be"] += 1
            at = told if told is None or not survey.time else told + (start if is_relative(told) else 0.0)
            step = whole(row.get(survey.step)) if survey.step else place
            values = {key: value for key, value in row.items() if key not in others}
            if self.table.source == "csv":
                values = {key: _cell(value) for key, value in values.items()}
            log.scalars(values, step, ended if at is None and not log.rows else at)
        return self._facts(ended)

    def _facts(self, ended: float) -> Facts:
        survey = self.survey
        is_dated = bool(survey.time) and not is_relative(survey.last_time)
        steps = () if survey.step else ("no column is the step: rows are numbered (--step COLUMN)",)
        times = () if is_dated else ("times are estimated: the file's own is the end",)
        return Facts(
            started=None if survey.time else ended,
            ended=None if survey.time else ended,
            are_times_recorded=is_dated,
            warnings=(*steps, *times),
        )


def _cell(value: object) -> object:
    """Return the number that a cell holds, None for an empty one, else its text."""
    if not isinstance(value, str):
        return value
    if not value.strip():
        return None
    found = number_in_text(value)
    return value if found is None else found


def _text(value: object) -> str | None:
    return None if value is None or value == "" or isinstance(value, dict | list) else str(value)


def _json_rows(path: Path) -> Rows:
    """Yield the rows of JSON lines, or of one JSON array, alone or under a usual name in an object."""
    if path.suffix == ".json" and (found := peek_json(path)) is not None:
        if isinstance(found, dict):
            found = next((found[key] for key in _LISTS if isinstance(found.get(key), list)), [found])
        listed = found if isinstance(found, list) else []
        share = path.stat().st_size // max(1, len(listed))
        for item in listed:
            yield (dict(flat(item, "/")) if isinstance(item, dict) else None), share
        return
    for told, size in read_lines(path):
        yield (dict(flat(told, "/")) if told is not None else None), size


def _csv_rows(path: Path) -> Rows:
    csv.field_size_limit(_LONGEST_CELL)
    with path.open(encoding=_encoding(path), errors="replace", newline="") as file:
        sample = file.read(_SAMPLE)
        file.seek(0)
        reader = csv.reader(_lines(file), delimiter=_delimiter(sample))
        head = _next(reader, path)
        names = [name.strip() for name in head or ()]
        if names and all(number_in_text(name) is not None for name in names):
            raise RunError("its first line holds numbers, not names", origin=str(path), hint="name its columns there")
        while (cells := _next(reader, path)) is not None:
            size = sum(map(len, cells)) + len(cells)
            if len(cells) > len(names):
                yield None, size
            elif cells:
                yield {name: cell for name, cell in zip(names, cells, strict=False) if name}, size


def _next(reader: Iterator[list[str]], path: Path) -> list[str] | None:
    try:
        return next(reader, None)
    except csv.Error as error:
        raise RunError(f"this is no CSV: {error}", origin=str(path)) from error


def _lines(file: Iterable[str]) -> Iterator[str]:
    """Yield lines as the parser takes them, without comments above the first."""
    is_above = True
    for line in file:
        is_above = is_above and line.startswith("#")
        if not is_above:
            yield line.replace("\0", "")


def _encoding(path: Path) -> str:
    with path.open("rb") as file:
        return "utf-16" if file.read(2) in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"


def _delimiter(sample: str) -> str:
    first = next((line for line in sample.splitlines() if line.strip() and not line.startswith("#")), "")
    return max(_DELIMITERS, key=first.count)
