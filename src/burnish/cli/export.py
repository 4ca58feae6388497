"""`burnish export`: metrics of runs, or the runs themselves, as one table for other tools."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import click

from burnish.cli import _console
from burnish.cli._metrics import check_globs, fits
from burnish.cli._table import Batch, Labels, form_of, labels, replaced, write
from burnish.core.errors import ConfigError, RunError, UsageError
from burnish.core.paths import Project, RunPaths, find_project
from burnish.journal.index import find_run
from burnish.journal.record import read_record

if TYPE_CHECKING:
    from burnish.journal.series import Scalars, Series

_ROWS_A_BATCH = 1 << 17
_SHOWN = ("last", "min", "max", "best")


@click.command(short_help="Write metrics of runs, or the runs themselves, as one table.")
@click.argument("runs", metavar="RUN…", nargs=-1)
@click.option("--table", type=click.Choice(["metrics", "runs"]), default="metrics", help="One row a point, or a run.")
@click.option(
    "--format", "wanted", type=click.Choice(["parquet", "csv", "json"]), default=None, help="How to write it."
)
@click.option("-o", "--output", "path", metavar="PATH", type=click.Path(path_type=Path), help="Where to write it.")
@click.option("--metrics", "globs", metavar="GLOB", multiple=True, help="Only these metrics; may be given again.")
@click.option("--force", is_flag=True, help="Replace a file that exists.")
@click.option("--json", "as_json", is_flag=True, help="Print what was written, and where, as one object.")
def command(
    runs: tuple[str, ...],
    table: str,
    wanted: str | None,
    path: Path | None,
    globs: tuple[str, ...],
    force: bool,
    as_json: bool,
) -> None:
    """Write the metrics of runs as one table: run, key, step, time, value and rank of every point.

    \b
    burnish export k7f2 m3x9 -o points.parquet
    burnish export k7f2 --metrics 'eval/*' > eval.csv
    burnish export --table runs -o runs.csv        all runs: state, config, metrics

    The format is that of the file's name, CSV without one; json is one object a line. Time is in seconds since the
    epoch. Points that a resumed attempt logged again are the newer ones. A live run is written as it stands.
    """  # noqa: D301  \b is click's mark for lines to keep apart
    form = form_of(wanted or "", path)
    _check(runs, table, form, path, as_json=as_json)
    project = find_project()
    _console.adopt(project)
    chosen = _chosen(project, runs)
    counter = _Counter()
    with _console.Bar("export", len(chosen)) as bar:
        batches = _points(chosen, globs, bar) if table == "metrics" else _runs(chosen, globs)
        target = nullcontext(_console.out_bytes()) if path is None else replaced(path, force=force)
        with target as file:
            write(counter.through(batches), file, form)
            file.flush()
    told = f"{_many(counter.rows, 'point' if table == 'metrics' else 'row')} of {_many(len(chosen), 'run')}"
    if as_json:
        _console.out_json({"path": str(path), "format": form, "rows": counter.rows, "runs": [p.name for p in chosen]})
    else:
        _console.err(f"{told} written to {path}" if path is not None else told)


def _check(runs: Sequence[str], table: str, form: str, path: Path | None, *, as_json: bool) -> None:
    if not runs and table == "metrics":
        raise UsageError("no run is named", hint="burnish export RUN…, or --table runs for all runs")
    if as_json and path is None:
        hint = "name a file: -o PATH; or print the table as JSON lines: --format json"
        raise UsageError("--json tells what was written to a file, and stdout is none", hint=hint)
    if form == "parquet" and path is None and sys.stdout.isatty():
        raise UsageError("parquet is nothing for a terminal", hint="name a file: -o metrics.parquet")


def _many(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def _chosen(project: Project, runs: Sequence[str]) -> list[RunPaths]:
    if not runs:
        from burnish.journal.index import RunIndex

        return [RunPaths(project.runs / str(record["name"])) for record in RunIndex(project.runs).records()]
    return list({paths.root: paths for paths in [find_run(project.runs, selector) for selector in runs]}.values())


class _Counter:
    """Counts rows as they pass."""

    def __init__(self) -> None:
        self.rows = 0

    def through(self, batches: Iterable[Batch]) -> Iterator[Batch]:
        for batch in batches:
            first = next(iter(batch.values()))
            self.rows += len(first.codes if isinstance(first, Labels) else first)
            yield batch


def _scalars(paths: RunPaths) -> Scalars:
    """Return the scalars of a run from its journals: a live run has nothing else, and a finished one has them still."""
    from burnish.journal.series import load_scalars  # numpy

    return load_scalars(paths.journals)


def _points(runs: Sequence[RunPaths], globs: Sequence[str], bar: _console.Bar) -> Iterator[Batch]:
    """Yield the points of runs, by run, metric, rank, then step.

    Raises:
        RunError: A pattern fits no metric of any of the runs.
    """
    seen: dict[str, None] = {}
    waiting: list[tuple[str, str, int, Series]] = []
    rows = 0
    for paths in runs:
        scalars = _scalars(paths)
        seen |= dict.fromkeys(scalars.names)
        chosen = [found for found in scalars.metrics if not globs or fits(found[0], globs)]
        for name, rank in chosen:
            for part in _parts(scalars.series(name, rank).by_step()):
                waiting.append((paths.name, name, rank, part))
                rows += len(part)
                if rows >= _ROWS_A_BATCH:
                    yield _batch(waiting)
                    waiting, rows = [], 0
            bar.advance(1 / len(chosen))
    check_globs(globs, list(seen))
    yield _batch(waiting)


def _parts(series: Series) -> Iterator[Series]:
    """Yield a series in pieces, so that a long one is not in memory as text all at once."""
    for start in range(0, len(series), _ROWS_A_BATCH):
        chosen = slice(start, start + _ROWS_A_BATCH)
        yield type(series)(series.step[chosen], series.time[chosen], series.value[chosen])


def _batch(parts: Sequence[tuple[str, str, int, Series]]) -> Batch:
    import numpy as np

    sizes = [len(series) for *_, series in parts]

    def repeated(values: Sequence[str]) -> Labels:
        found = labels(values)
        return Labels(found.names, np.repeat(found.codes, sizes))

    def joined(arrays: list[np.ndarray], kind: type[np.generic]) -> np.ndarray:
        return np.concatenate(arrays) if arrays else np.empty(0, kind)

    return {
        "run": repeated([run for run, *_ in parts]),
        "key": repeated([name for _, name, *_ in parts]),
        "step": joined([series.step for *_, series in parts], np.int64),
        "time": joined([series.time for *_, series in parts], np.float64),
        "value": joined([series.value for *_, series in parts], np.float64),
        "rank": np.repeat(np.array([rank for _, _, rank, _ in parts], np.int32), sizes),
    }


def _runs(runs: Sequence[RunPaths], globs: Sequence[str]) -> Iterator[Batch]:
    """Yield one row a run: its fields, its config, and last, min, max and best of its metrics.

    Raises:
        RunError: There are no runs, or a pattern fits no metric of any of them.
    """
    from burnish.journal.facts import STATISTICS, fields_of, summary_of

    records = [(paths, read_record(paths)) for paths in runs]
    if not records:
        raise RunError("there are no runs", hint="start one: burnish run experiments/sft.yaml")
    summaries = [summary_of(record) for _, record in records]
    check_globs(globs, list(dict.fromkeys(name for summary in summaries for name in summary)))
    rows: list[tuple[dict[str, object], dict[str, object], dict[str, object]]] = []
    for (paths, record), summary in zip(records, summaries, strict=True):
        shown: dict[str, object] = {
            f"summary.{metric}.{name}": value
            for metric, values in summary.items()
            if not globs or fits(metric, globs)
            for name, value in zip(STATISTICS, values, strict=True)
            if name in _SHOWN and value is not None
        }
        rows.append((dict(fields_of(paths.name, record)), _config(paths), shown))
    # Fields of all runs, then config values of any, then metrics of any.
    names = dict.fromkeys(name for part in zip(*rows, strict=True) for row in part for name in row)
    merged = [fields | config | shown for fields, config, shown in rows]
    yield {name: [row.get(name) for row in merged] for name in names}


def _config(paths: RunPaths) -> dict[str, object]:
    from burnish.config.snapshot import flat, read_snapshot

    if not paths.config.exists():
        return {}
    try:
        return {f"config.{path}": value for path, value in flat(read_snapshot(paths).values) if path}
    except ConfigError as error:
        _console.warn(f"the config of run {paths.name} cannot be read: {error.message}")
        return {}
