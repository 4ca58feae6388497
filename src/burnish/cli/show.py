"""`burnish show`: one run, from its record."""

from __future__ import annotations

import click

from burnish.checkpoint import CheckpointStore
from burnish.cli import _console
from burnish.core.clock import duration, iso
from burnish.core.paths import RunPaths, find_project
from burnish.journal.index import find_run
from burnish.journal.record import RunRecord, read_record
from burnish.track.card import read_card


@click.command(short_help="Show one run: state, attempts, metrics, checkpoints.")
@click.argument("run")
@click.option("--card", is_flag=True, help="Print the experiment card as Markdown.")
@click.option("--json", "as_json", is_flag=True, help="Print record, card and checkpoints as one object.")
def command(run: str, card: bool, as_json: bool) -> None:
    """Show one run: its state, attempts, metrics and checkpoints.

    RUN is the last part of a run's name (k7f2), its whole name, or its folder.
    """
    project = find_project()
    _console.adopt(project)
    paths = find_run(project.runs, run)
    record = read_record(paths)
    checkpoints = [
        {"step": m.step, "size_bytes": m.size_bytes, "metrics": m.metrics}
        for m in CheckpointStore(paths.checkpoints).manifests()
    ]
    if as_json:
        _console.out_json({"run": _console.record_json(record), "card": read_card(paths), "checkpoints": checkpoints})
    elif card:
        _console.out(paths.card.with_suffix(".md").read_text().rstrip())
    else:
        _show(paths, record, checkpoints)


def _show(paths: RunPaths, record: RunRecord, checkpoints: list[dict[str, object]]) -> None:
    _console.out(f"{record.get('name')}  {record.get('state')}")
    if record.get("reason"):
        _console.out(f"  {record['reason']}")
    _console.out(f"  folder       {paths.root}")
    if record.get("group"):
        _console.out(f"  group        {record['group']}")
    for line in _attempts(record):
        _console.out(f"  {line}")
    for line in _lineage(record):
        _console.out(f"  {line}")
    summary = record.get("summary")
    if isinstance(summary, dict) and summary:
        rows = [
            [name, *(f"{values[c]:.6g}" for c in ("first", "last", "min", "max")), str(values["count"])]
            for name, values in summary.items()
        ]
        _console.out("")
        _console.table(("metric", "first", "last", "min", "max", "points"), rows, right=(1, 2, 3, 4, 5))
    elif isinstance(latest := record.get("latest"), dict) and latest:
        _console.out("")
        _console.table(("metric", "now"), [[k, f"{v:.6g}"] for k, v in sorted(latest.items())], right=(1,))
    if checkpoints:
        _console.out("")
        rows = [[str(c["step"]), _size(c["size_bytes"]), _metrics(c["metrics"])] for c in checkpoints]
        _console.table(("checkpoint", "size", "metrics"), rows, right=(0, 1))


def _attempts(record: RunRecord) -> list[str]:
    attempts = record.get("attempts")
    lines = []
    for attempt in attempts if isinstance(attempts, list) else []:
        started, ended = attempt.get("started"), attempt.get("ended")
        took = duration(ended - started) if ended and started else "running"
        what = f"{attempt.get('reason', 'running')}, last step {attempt.get('last_step', record.get('step'))}"
        lines.append(f"attempt {attempt.get('number')}    {iso(started)}  {took}  {what}")
    return lines


def _lineage(record: RunRecord) -> list[str]:
    lineage = record.get("lineage")
    found = lineage.items() if isinstance(lineage, dict) else ()
    return [f"starts from  {ref['run']} step {ref['step']} ({key})" for key, ref in found]


def _metrics(metrics: object) -> str:
    found = metrics.items() if isinstance(metrics, dict) else ()
    return ", ".join(f"{key} {value:.4g}" for key, value in found)


def _size(size: object) -> str:
    assert isinstance(size, int)
    return f"{size / 2**20:.1f} MiB" if size >= 2**20 else f"{size / 2**10:.1f} KiB"
