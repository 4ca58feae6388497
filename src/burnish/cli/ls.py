"""`burnish ls`: the runs of a project."""

from __future__ import annotations

import sys
import time
from math import isfinite
from typing import get_args

import click

from burnish.analyze.found import TIMES
from burnish.analyze.names import TOOK
from burnish.analyze.query import Found, Query, find, split_columns
from burnish.analyze.table import cell_text
from burnish.cli import _console
from burnish.core.clock import duration, iso
from burnish.core.errors import RunError
from burnish.core.paths import Project, find_project
from burnish.core.shape import section, words
from burnish.journal.facts import headline, is_unshipped, training_loss
from burnish.journal.index import find_run
from burnish.journal.record import LIVE, RunRecord, read_record
from burnish.launch.retry import State

_ON_A_SCREEN = 50
_COLUMNS = ("id", "experiment", "state", "tries", "step", "loss", "best", "took", "when")
# What a narrow terminal does without, the first to go first.
_LEAST = tuple((_COLUMNS.index(name),) for name in ("tries", "took", "loss", "when"))
_EVERY = ("id",)  # what a query is asked for when the records alone are shown


@click.command(short_help="List runs, newest first.")
@click.option("--where", default="", metavar="EXPR", help="Only runs that meet a condition.")
@click.option("--state", "states", multiple=True, type=click.Choice(get_args(State)), help="Only these; repeatable.")
@click.option("--tag", "tags", multiple=True, metavar="TAG", help="Only runs with this tag; repeatable.")
@click.option("--like", metavar="RUN", help="Only repeats of a run: the same config but for seed and names.")
@click.option("--sort", default="", metavar="KEY", help="By a name or an expression, smallest first.")
@click.option("--reverse", is_flag=True, help="The other way round; what has no value stays last.")
@click.option("--columns", metavar="A,B,C", help="Show these: names, expressions, patterns ('config.*').")
@click.option("-n", "--limit", type=click.IntRange(0), help="The first N, 0 for all; 50 on a terminal.")
@click.option("--json", "as_json", is_flag=True, help='Print {"runs": […]}.')
def command(
    where: str,
    states: tuple[str, ...],
    tags: tuple[str, ...],
    like: str | None,
    sort: str,
    reverse: bool,
    columns: str | None,
    limit: int | None,
    as_json: bool,
) -> None:
    """List the runs of this project, newest first.

    EXPR compares what is known of runs by < <= == != >= > in, and, or, not; in quotes, or the shell takes the >.
    There are the columns shown (id, experiment, state, tries, step, loss, best, took in seconds, when), tags, name,
    command, commit, branch, host and other fields, config.training.learning_rate, and summary['eval/loss'], which is
    the last value, or its .min, .max, .best. What a run does not have makes a comparison false. KEY and the columns
    are of the same names. The column best shows one metric, from its first value to its best: of those named eval/…
    with a known direction, the one whose direction the script gave, else eval/loss, another loss, the first by name.

    \b
    burnish ls --where "config.training.learning_rate < 1e-4 and 'eval' in tags"
    burnish ls --sort "summary['eval/loss']" --columns "id,name,config.data.*,summary.eval/loss"
    """  # noqa: D301  \b is click's mark for lines to keep apart
    project = find_project()
    _console.adopt(project)
    is_cut = limit is None and not as_json and sys.stdout.isatty()
    query = Query(
        where=where,
        sort=sort or ("created" if reverse else ""),
        descending=reverse and bool(sort),
        limit=_ON_A_SCREEN if is_cut else limit or None,
        columns=_EVERY if columns is None else split_columns(columns),
        states=states,
        tags=tags,
        group=_group_of(project, like) if like else "",
    )
    found = find(project.runs, query, with_records=columns is None)
    for warning in found.runs.warnings:
        _console.warn(warning)
    if as_json:
        shown = [_console.record_json(record) for record in found.records] if columns is None else found.runs.rows()
        _console.out_json({"runs": shown})
    elif found.matched == 0:
        _console.err(_nothing(project, query))
    elif columns is None:
        _show_records(found.records)
    else:
        _show_columns(found)
    if is_cut and len(found.runs) < found.matched:
        _console.err(f"{len(found.runs):,} of {found.matched:,} runs; -n 0 for all")


def _group_of(project: Project, selector: str) -> str:
    paths = find_run(project.runs, selector)
    group = section(read_record(paths), "config").get("group")
    if not group:
        raise RunError(f"run {paths.name} has no config, so nothing tells its repeats")
    return str(group)


def _nothing(project: Project, query: Query) -> str:
    if query.where or query.states or query.tags or query.group:
        return f"no such runs in {project.runs}"
    return f"no runs in {project.runs}; start one: burnish run -- python train.py"


def _show_records(records: list[RunRecord]) -> None:
    has_tags = any(record.get("tags") for record in records)
    columns = (*_COLUMNS, "tags") if has_tags else _COLUMNS
    rows = [(*_row(record), *((", ".join(words(record, "tags")),) if has_tags else ())) for record in records]
    _console.table(columns, rows, right=(3, 4, 5, 7), drop=_LEAST)
    if any(_is_left(record) for record in records):
        _console.err(
            "unshipped: a tracker has not got all of these runs; why: burnish show RUN; to ship them: burnish sync"
        )


def _show_columns(found: Found) -> None:
    columns = found.runs.columns
    right = [n for n, cells in enumerate(columns.values()) if any(isinstance(cell, int | float) for cell in cells)]
    shown = {name: [_cell(name, value) for value in cells] for name, cells in columns.items()}
    _console.table(tuple(shown), list(zip(*shown.values(), strict=True)), right=right)


def _cell(name: str, value: object) -> str:
    if name in TIMES and isinstance(value, float) and isfinite(value):
        return iso(value)
    return duration(value) if name == TOOK and isinstance(value, int | float) else cell_text(value)


def _is_left(record: RunRecord) -> bool:
    """Return whether a run ended before its sinks had taken all of it; of a live one that says nothing."""
    return record.get("state") not in LIVE and is_unshipped(record)


def _row(record: RunRecord) -> tuple[str, ...]:
    attempts, loss, total = record.get("attempts"), training_loss(record), record.get("total_steps")
    step = "–" if record.get("step") is None else str(record["step"])
    return (
        str(record.get("id")),
        f"{record.get('experiment')}{' (debug)' if record.get('debug') else ''}",
        f"{record.get('state')}{' (unshipped)' if _is_left(record) else ''}",
        str(len(attempts) if isinstance(attempts, list) else 0),
        f"{step}/{total}" if total else step,
        cell_text(loss),
        _headline(record),
        _took(record),
        _ago(record.get("created")),
    )


def _headline(record: RunRecord) -> str:
    """Return the one metric that says most: a held-out one, from its first value to its best."""
    found = headline(record)
    return f"{found.metric.removeprefix('eval/')} {found.first:.3g} → {found.value:.3g}" if found is not None else "–"


def _took(record: RunRecord) -> str:
    started, ended = record.get("started"), record.get("ended")
    if not isinstance(started, float):
        return "–"
    if not isinstance(ended, float):
        return duration(time.time() - started) if record.get("state") in LIVE else "–"
    return duration(ended - started)


def _ago(created: object) -> str:
    if not isinstance(created, int | float):
        return "–"
    seconds = max(0.0, time.time() - created)
    return f"{duration(seconds)} ago" if seconds < 86_400 else time.strftime("%Y-%m-%d", time.gmtime(created))
