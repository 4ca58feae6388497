"""`burnish ls`: the runs of a project."""

from __future__ import annotations

import time
from typing import get_args

import click

from burnish.cli import _console
from burnish.core.clock import duration
from burnish.core.errors import RunError
from burnish.core.paths import Project, find_project
from burnish.core.shape import section
from burnish.journal.index import RunIndex, find_run
from burnish.journal.record import RunRecord, read_record
from burnish.launch.retry import LIVE_STATES, State


@click.command(short_help="List runs, newest first.")
@click.option("-n", "--limit", type=click.IntRange(1), help="Only the newest N.")
@click.option(
    "--state", "states", multiple=True, type=click.Choice(get_args(State)), help="Only these; may be given again."
)
@click.option("--like", metavar="RUN", help="Only repeats of a run: the same config but for seed and names.")
@click.option("--json", "as_json", is_flag=True, help='Print {"runs": […]}.')
def command(limit: int | None, states: tuple[str, ...], like: str | None, as_json: bool) -> None:
    """List the runs of this project, newest first."""
    project = find_project()
    _console.adopt(project)
    group = _group_of(project, like) if like else ""
    records = [r for r in RunIndex(project.runs).records(group=group) if not states or r.get("state") in states]
    records = records[:limit]
    if as_json:
        _console.out_json({"runs": [_console.record_json(record) for record in records]})
        return
    if not records:
        _console.err(f"no runs in {project.runs}; start one: burnish run experiments/sft.yaml")
        return
    columns = ("id", "experiment", "state", "tries", "step", "loss", "best", "took", "when")
    _console.table(columns, [_row(record) for record in records], right=(3, 4, 5, 7))


def _group_of(project: Project, selector: str) -> str:
    paths = find_run(project.runs, selector)
    group = section(read_record(paths), "config").get("group")
    if not group:
        raise RunError(f"run {paths.name} has no config, so nothing tells its repeats")
    return str(group)


def _row(record: RunRecord) -> tuple[str, ...]:
    summary = record.get("summary")
    shown = summary if isinstance(summary, dict) else {}
    latest = record.get("latest")
    loss = _console.training_loss(latest if isinstance(latest, dict) else {})
    attempts = record.get("attempts")
    total, step = record.get("total_steps"), record.get("step")
    return (
        str(record.get("id")),
        f"{record.get('experiment')}{' (debug)' if record.get('debug') else ''}",
        str(record.get("state")),
        str(len(attempts) if isinstance(attempts, list) else 0),
        f"{step}/{total}" if total else str(step),
        f"{loss:.4g}" if isinstance(loss, float) else "–",
        _headline(shown),
        _took(record),
        _ago(record.get("created")),
    )


def _headline(summary: dict[str, dict[str, float]]) -> str:
    """Return the one metric that says most: a held-out one, its first and last value."""
    name = next((n for n in summary if n.startswith("eval/")), None)
    if name is None:
        return "–"
    return f"{name.removeprefix('eval/')} {summary[name]['first']:.3g} → {summary[name]['last']:.3g}"


def _took(record: RunRecord) -> str:
    started, ended = record.get("started"), record.get("ended")
    if not isinstance(started, float):
        return "–"
    if not isinstance(ended, float):
        return duration(time.time() - started) if record.get("state") in LIVE_STATES else "–"
    return duration(ended - started)


def _ago(created: object) -> str:
    if not isinstance(created, int | float):
        return "–"
    seconds = max(0.0, time.time() - created)
    return f"{duration(seconds)} ago" if seconds < 86_400 else time.strftime("%Y-%m-%d", time.gmtime(created))
