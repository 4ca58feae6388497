"""`burnish show`: one run, from its record."""

from __future__ import annotations

import click

from burnish.checkpoint import CheckpointStore
from burnish.cli import _console
from burnish.cli.note import note_lines
from burnish.core.clock import duration, iso
from burnish.core.paths import RunPaths, find_project
from burnish.core.shape import items, section, words
from burnish.journal.index import find_run
from burnish.journal.record import RunRecord, read_record
from burnish.launch.retry import first_line
from burnish.track.card import read_card

_DIGEST = 12


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
        _show(paths, record, read_card(paths), checkpoints)


def _show(paths: RunPaths, record: RunRecord, card: dict[str, object], checkpoints: list[dict[str, object]]) -> None:
    _console.out(f"{record.get('name')}  {record.get('state')}")
    if record.get("reason"):
        _console.out(f"  {record['reason']}")
    _console.out(f"  folder       {paths.root}")
    if record.get("group"):
        _console.out(f"  group        {record['group']}")
    for line in (*_attempts(record), *_lineage(record), *_labels(record), *_completeness(card), *_troubles(record)):
        _console.out(f"  {line}")
    for note in items(record, "notes"):
        head, *lines = note_lines(note) if isinstance(note, dict) else [""]
        _console.out("\n".join([f"  note         {head}", *(f"               {line.strip()}" for line in lines)]))
    for columns, rows, right in (_metrics_table(record), _artifacts_table(record), _checkpoints_table(checkpoints)):
        if rows:
            _console.out("")
            _console.table(columns, rows, right=right)


Table = tuple[tuple[str, ...], list[list[str]], tuple[int, ...]]


def _metrics_table(record: RunRecord) -> Table:
    summary = section(record, "summary")
    if not summary:
        latest = section(record, "latest")
        return ("metric", "now"), [[name, f"{value:.6g}"] for name, value in sorted(latest.items())], (1,)
    shown = {name: values for name, values in summary.items() if isinstance(values, dict)}
    plain = ("first", "last", "min", "max")
    best, odd = any("best" in v for v in shown.values()), any(v.get("nonfinite") for v in shown.values())
    head = ("metric", *plain, *(["best (step)"] if best else []), "points", *(["not finite"] if odd else []))
    rows = [
        [
            name,
            *(f"{values[column]:.6g}" for column in plain),
            *([_best(values)] if best else []),
            str(values["count"]),
            *([str(values.get("nonfinite", 0))] if odd else []),
        ]
        for name, values in shown.items()
    ]
    return head, rows, tuple(range(1, len(head)))


def _best(values: dict[str, object]) -> str:
    best = values.get("best")
    return f"{best:.6g} ({values.get('best_step', '–')})" if isinstance(best, int | float) else "–"


def _artifacts_table(record: RunRecord) -> Table:
    rows = []
    for found in items(record, "artifacts"):
        if isinstance(found, dict):
            role, source = str(found.get("role")), str(found.get("run") or "")
            what = f"{role}, of {source}" if role == "used" and source else role
            size = found.get("bytes")
            shown = _console.size_text(size) if isinstance(size, int | float) else "–"
            rows.append([str(found.get("name")), what, str(found.get("kind") or "–"), shown, _short(found)])
    return ("artifact", "role", "kind", "size", "sha256"), rows, (3,)


def _short(artifact: dict[str, object]) -> str:
    return str(artifact.get("sha256") or "–")[:_DIGEST]


def _checkpoints_table(checkpoints: list[dict[str, object]]) -> Table:
    rows = [[str(c["step"]), _size(c["size_bytes"]), _metrics(c["metrics"])] for c in checkpoints]
    return ("checkpoint", "size", "metrics"), rows, (0, 1)


def _labels(record: RunRecord) -> list[str]:
    tags = " ".join(words(record, "tags"))
    lines = [f"tags         {tags}"] if tags else []
    return [*lines, "pinned"] if record.get("pinned") else lines


def _completeness(card: dict[str, object]) -> list[str]:
    found = section(card, "completeness")
    score = found.get("score")
    missing = [str(field.get("field")) if isinstance(field, dict) else str(field) for field in items(found, "missing")]
    if not isinstance(score, int | float):
        return []
    without = f", without {', '.join(missing)}" if missing else ""
    return [f"card         {score:.0%} complete{without}"]


def _troubles(record: RunRecord) -> list[str]:
    """Return what the reader of a run's numbers should know: alerts, dropped points, sinks that are behind."""
    lines = [_alert(alert) for alert in items(record, "alerts") if isinstance(alert, dict)]
    thinned = [f"{pattern} {count:,}" for pattern, count in section(record, "thinned").items() if _is_count(count)]
    if thinned:
        lines.append(f"thinned      points left out by rule: {', '.join(thinned)}")
    if _is_count(dropped := record.get("dropped")):
        lines.append(f"dropped      {dropped} calls whose record could not be written")
    for name, status in section(record, "sinks").items():
        if isinstance(status, dict) and (_is_count(behind := status.get("behind_bytes")) or status.get("error")):
            error = f": {status['error']}" if status.get("error") else ""
            lines.append(f"behind       {name}, {_size(behind or 0)} of journal not shipped{error}")
    return lines


def _alert(alert: dict[str, object]) -> str:
    when, step = alert.get("time"), alert.get("step")
    at = f", step {step}" if step is not None else ""
    moment = f"{iso(when)}  " if isinstance(when, int | float) else ""
    # A title says what, a text may run to pages: the first line of it is enough here.
    told = [str(alert.get("title") or alert.get("reason") or ""), first_line(str(alert.get("text") or ""))]
    return f"alert        {moment}{alert.get('level')}: {': '.join(filter(None, told))}{at}"


def _is_count(value: object) -> bool:
    return isinstance(value, int) and value > 0


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
    return [f"starts from  {ref['run']} {_part(ref)} ({key})" for key, ref in found if isinstance(ref, dict)]


def _part(ref: dict[str, object]) -> str:
    return f"step {ref.get('step')}" if ref.get("step") is not None else str(ref.get("artifact", ""))


def _metrics(metrics: object) -> str:
    found = metrics.items() if isinstance(metrics, dict) else ()
    return ", ".join(f"{key} {value:.4g}" for key, value in found)


def _size(size: object) -> str:
    return _console.size_text(size) if isinstance(size, int | float) else "–"
