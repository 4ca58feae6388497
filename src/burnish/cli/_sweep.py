"""`burnish run` with a sweep: says how many runs there are, asks where they are many, and runs one after the other."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import click

from burnish.cli import _console
from burnish.cli._display import Show, supervise_shown
from burnish.config.snapshot import dump_yaml
from burnish.config.sweep import MAX_VARIANTS, Sweep, size
from burnish.core.environment import wanted_run_id
from burnish.core.errors import UsageError
from burnish.core.paths import Project, RunPaths
from burnish.experiment.submit import RunResult, prepare_experiment
from burnish.experiment.sweep import SweepPlan, plan_sweep
from burnish.journal.record import read_record

_LIMIT = 50
_SHOWN = 30


def run_sweep(
    sweep: Sweep,
    source: Path | RunPaths,
    flags: Sequence[str],
    project: Project,
    show: Show,
    *,
    yes: bool,
    dry_run: bool,
) -> int:
    """Run a sweep; return 0 where every run finished, else what the first that did not exited with."""
    if (count := size(sweep)) <= MAX_VARIANTS:
        _console.err(f"checking {count} config{'s' if count != 1 else ''}")
    plan = plan_sweep(sweep, source, flags, project, os.environ)
    if len(plan.runs) > 1 and wanted_run_id(os.environ, project.env_prefix):
        name = f"{project.env_prefix}RUN_ID"
        raise UsageError(f"{name} names one run, and the sweep has {len(plan.runs)}", hint=f"unset {name}")
    _tell(plan)
    if dry_run:
        if show.as_json:
            _console.out_json({"sweep": plan.id, "runs": [plan.shown(planned) for planned in plan.runs]})
        return 0
    _ask(len(plan.runs), project, yes=yes)
    results = _run_all(plan, source, flags, project, quiet=show.quiet)
    bad = [result for result in results if result.state != "finished"]
    _console.err(f"sweep {plan.id}: {len(results) - len(bad)} of {len(plan.runs)} runs finished")
    if show.as_json:
        runs = [_console.record_json(read_record(result.paths)) for result in results]
        _console.out_json({"sweep": plan.id, "runs": runs})
    return bad[0].exit_code if bad else 0


def _run_all(
    plan: SweepPlan, source: Path | RunPaths, flags: Sequence[str], project: Project, *, quiet: bool
) -> list[RunResult]:
    results: list[RunResult] = []
    for planned in plan.runs:
        _console.err(f"run {planned.number} of {len(plan.runs)}: {_values(plan.shown(planned))}")
        prepared = prepare_experiment(
            source,
            flags,
            project,
            os.environ,
            above=planned.layers,
            sweep=plan.record(planned),
            credentials=plan.masker.values,
        )
        results.append(supervise_shown(prepared, quiet=quiet))
        if results[-1].state == "stopped":  # whoever presses Ctrl-C means the sweep
            break
    return results


def _tell(plan: SweepPlan) -> None:
    count = len(plan.runs)
    _console.err(f"sweep {plan.id}: {count} run{'s' if count != 1 else ''}")
    for planned in plan.runs[:_SHOWN]:
        _console.err(f"  {planned.number:>{len(str(count))}}  {_values(plan.shown(planned))}")
    if count > _SHOWN:
        _console.err(f"  … and {count - _SHOWN} more")


def _values(values: Mapping[str, object]) -> str:
    return "  ".join(f"{path}={_text(value)}" for path, value in values.items()) or "as the file says"


def _text(value: object) -> str:
    return dump_yaml(value).strip().removesuffix("...").strip() if isinstance(value, str) else str(value)


def _ask(count: int, project: Project, *, yes: bool) -> None:
    """Let a person confirm many runs.

    Raises:
        UsageError: There are more than the limit, and nobody confirms.
    """
    limit = project.settings.get("sweep_limit", _LIMIT)
    assert isinstance(limit, int)
    if yes or count <= limit:
        return
    if sys.stdin.isatty() and click.confirm(f"start {count} runs?", err=True):
        return
    hint = "--yes starts them; sweep_limit in the project file sets the limit"
    raise UsageError(f"the sweep has {count} runs, more than {limit}", hint=hint)
