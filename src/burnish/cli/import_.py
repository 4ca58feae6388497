"""`burnish import`: what other tools have recorded, as runs."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import get_args

import click

from burnish.cli import _console
from burnish.core.errors import BurnishError, RunError
from burnish.core.paths import find_project
from burnish.project.importers.found import Options, Source
from burnish.project.importers.intake import Failed, Imported, Intake
from burnish.project.importers.sources import Finding, find_runs

_MOST_WARNINGS = 20


@click.command(short_help="Import runs of other tools.")
@click.argument("paths", metavar="PATH…", nargs=-1, required=True)
@click.option("--from", "source", type=click.Choice(get_args(Source)), help="Whose record it is; else it is found out.")
@click.option("--name", metavar="EXPERIMENT", default="", help="What to call the experiment.")
@click.option("--step", metavar="COLUMN", default="", help="Of CSV and JSON lines: the column that is the step.")
@click.option("--time", metavar="COLUMN", default="", help="Of CSV and JSON lines: the column that is the time.")
@click.option("--experiment", "experiments", multiple=True, help="Of MLflow: only this experiment; may be given again.")
@click.option("--dry-run", is_flag=True, help="Say what would be imported, and write nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print what became of each run as JSON.")
def command(
    paths: tuple[str, ...],
    source: Source | None,
    name: str,
    step: str,
    time: str,
    experiments: tuple[str, ...],
    dry_run: bool,
    as_json: bool,
) -> int:
    """Import runs of other tools: config, metrics with their times, pictures, tables, files.

    \b
    burnish import outputs/                            trainer_state.json of Hugging Face's Trainer
    burnish import saves/llama3/trainer_log.jsonl      LLaMA-Factory
    burnish import runs/                               TensorBoard: a run a folder with event files
    burnish import mlflow.db --experiment sft          MLflow: a file, mlruns/, or a server's address
    burnish import wandb/                              W&B: offline runs
    burnish import losses.csv --step iteration         CSV, JSON lines, JSON

    Importing again makes no second run: what has grown since is updated, what is the same is left alone.
    """  # noqa: D301  \b is click's mark for lines to keep apart
    project = find_project()
    found = find_runs(paths, source, Options(step, time, experiments))
    if not found.runs and found.errors and (len(found.errors) == 1 or as_json):
        raise found.errors[0]
    for error in found.errors if not as_json else ():
        _console.show_error(error, as_json=False)
    done: list[Imported | Failed] = []
    with _console.Bar("import", sum(run.size for run in found.runs)) as bar:
        intake = Intake(project, os.environ, name, dry_run=dry_run, on_progress=bar.advance)
        for one in intake.take(found.runs):
            done.append(one)
    failed = [one.error for one in done if isinstance(one, Failed)]
    imported = [one for one in done if isinstance(one, Imported)]
    if failed and not imported and len(failed) + len(found.errors) == 1:
        raise failed[0]
    if as_json:
        _console.out_json(_json(found, imported, [*found.errors, *failed], dry_run=dry_run))
    else:
        _show(found, imported, failed, dry_run=dry_run)
    return RunError.exit_code if failed or found.errors else 0


def _show(found: Finding, done: Sequence[Imported], failed: Sequence[BurnishError], *, dry_run: bool) -> None:
    for error in failed:
        _console.show_error(error, as_json=False)
    for note in found.notes:
        _console.warn(_console.visible(note))
    told: dict[str, list[str]] = {}
    for one in done:
        for warning in one.warnings:
            told.setdefault(warning, []).append(one.id or one.called)
    for warning, runs in list(told.items())[:_MOST_WARNINGS]:
        _console.warn(_console.visible(f"{runs[0] if len(runs) == 1 else f'{len(runs)} runs'}: {warning}"))
    if (left := len(told) - _MOST_WARNINGS) > 0:
        _console.warn(f"… and {left} more: --json lists them")
    if done:
        head = ("id", "experiment", "run", "from", "state", "metrics", "points", "import")
        rows = [_row(one, dry_run=dry_run) for one in done]
        _console.table(head, rows, right=(5, 6), drop=((3,), (5,), (1,)))


def _row(one: Imported, *, dry_run: bool) -> tuple[str, ...]:
    outcome = f"would be {one.outcome}" if dry_run and one.outcome != "unchanged" else one.outcome
    numbers = (f"{one.metrics:,}", f"{one.points:,}")
    return (one.id or "–", one.experiment, one.called, one.found.source, one.state, *numbers, outcome)


def _json(
    found: Finding, done: Sequence[Imported], errors: Sequence[BurnishError], *, dry_run: bool
) -> dict[str, object]:
    runs = [
        {
            "id": one.id or None,
            "name": one.name or None,
            "from": one.found.source,
            "path": one.found.path,
            "source_name": one.called,
            "experiment": one.experiment,
            "state": one.outcome,
            "run_state": one.state,
            "metrics": one.metrics,
            "points": one.points,
            "warnings": list(one.warnings),
        }
        for one in done
    ]
    told = {"runs": runs, "dry_run": dry_run, "notes": found.notes}
    return {**told, "errors": [error.to_json() for error in errors]} if errors else told
