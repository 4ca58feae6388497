"""`burnish show`: one run, from its record."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence

import click

from burnish.checkpoint import CheckpointStore
from burnish.cli import _console
from burnish.cli._metrics import chosen, fold_hint, rows_of
from burnish.cli.note import note_lines
from burnish.core.clock import duration, iso
from burnish.core.paths import RunPaths, find_project
from burnish.core.shape import items, section, words
from burnish.journal.index import find_run
from burnish.journal.order import Fold
from burnish.journal.record import RunRecord, read_record
from burnish.launch.retry import first_line
from burnish.track.card import card_for_people, read_card
from burnish.track.hyperparameters import written_values
from burnish.track.media import kept_by_kind
from burnish.track.quantity import quantity

_DIGEST = 12
_MOST_VALUES = 40
_LONGEST_VALUE = 60

Table = tuple[tuple[str, ...], list[list[str]], tuple[int, ...], tuple[tuple[int, ...], ...]]
"""A table to be printed: head, rows, the columns that are numbers, and those that a narrow terminal does without."""


@click.command(short_help="Show one run: state, attempts, metrics, config, checkpoints.")
@click.argument("run")
@click.option("--metrics", "globs", metavar="GLOB", multiple=True, help="Only these metrics; may be given again.")
@click.option("--card", is_flag=True, help="Print the experiment card as Markdown.")
@click.option("--json", "as_json", is_flag=True, help="Print record, card and checkpoints as one object.")
def command(run: str, globs: tuple[str, ...], card: bool, as_json: bool) -> None:
    """Show one run: its state, attempts, metrics, config and checkpoints.

    RUN is the last part of a run's name (k7f2), its whole name, or its folder. Of many metrics of one group, such as
    the norms of each layer, there is one line; --metrics 'grad_norm/*' shows them, and nothing but them.
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
        _console.out(card_for_people(paths, record).rstrip())
    elif globs:
        columns, rows, right, drop = _metrics_table(record, globs)
        _console.table(columns, rows, right=right, drop=drop)
    else:
        _show(paths, record, checkpoints)


def _show(paths: RunPaths, record: RunRecord, checkpoints: list[dict[str, object]]) -> None:
    _console.out(_console.visible(f"{record.get('name')}  {record.get('state')}"))
    if (reason := record.get("reason")) and reason != record.get("state"):
        _console.out(_console.visible(f"  {reason}"))
    _console.out(f"  folder       {paths.root}")
    if record.get("group"):
        _console.out(_console.visible(f"  group        {record['group']}"))
    about = (
        *_imported(record),
        *_attempts(record),
        *_lineage(record),
        *_labels(record),
        *_notes(record),
        *_media(record),
    )
    for line in (*about, *_troubles(record), *_sinks(record), *_completeness(read_card(paths))):
        _console.out(_console.visible(f"  {line}"))
    tables = (_config_table(paths), _artifacts_table(record), _checkpoints_table(checkpoints))
    _print_tables(_metrics_table(record, ()), *tables)
    if hint := fold_hint(_summary(record), section(record, "metrics"), f"show {paths.id}"):
        _console.hint_on_terminal(hint)


def _print_tables(*tables: Table) -> None:
    for columns, rows, right, drop in tables:
        if rows:
            _console.out("")
            _console.table(columns, rows, right=right, drop=drop)


def _summary(record: RunRecord) -> Mapping[str, object]:
    """Return the statistics of each metric; of a run that keeps none while it lives, the latest values."""
    return section(record, "summary") or section(record, "latest")


def _metrics_table(record: RunRecord, globs: Sequence[str]) -> Table:
    shown = chosen(_summary(record), globs)
    names = rows_of(shown, section(record, "metrics"), fold=not globs)
    if not section(record, "summary"):
        rows = [[str(name), "" if isinstance(name, Fold) else quantity(name, shown[name])] for name in names]
        return ("metric", "now"), rows, (1,), ()
    known = [values for values in shown.values() if isinstance(values, dict)]
    best, odd = any("best" in v for v in known), any(v.get("nonfinite") for v in known)
    plain = ("first", "last", "min", "max")
    head = ("metric", *plain, *(["best (step)"] if best else []), "points", *(["not finite"] if odd else []))
    rows = []
    for name in names:
        values = section(shown, name) if isinstance(name, str) else {}
        cells = [str(name), *(quantity(str(name), values.get(column)) for column in plain)]
        cells += [_best(str(name), values)] if best else []
        cells += [str(values["count"])] if values else [""]
        rows.append([*cells, *([str(values.get("nonfinite", 0))] if odd and values else [""] if odd else [])])
    drop = ((head.index("points"),), (head.index("min"), head.index("max")), (head.index("first"),))
    return head, rows, tuple(range(1, len(head))), drop


def _best(name: str, values: Mapping[str, object]) -> str:
    if not values:
        return ""
    best = quantity(name, values.get("best"))
    return f"{best} ({values.get('best_step', '–')})" if best else "–"


def _config_table(paths: RunPaths) -> Table:
    values = list(written_values(paths).items())
    rows = [[path, _short(value)] for path, value in values[:_MOST_VALUES]]
    if left := len(values) - len(rows):
        rows.append([f"… and {left} more", f"burnish config show {paths.id}"])
    return ("config", "value"), rows, (), ()


def _short(value: str) -> str:
    line = " ".join(value.split())
    return line if len(line) <= _LONGEST_VALUE else f"{line[: _LONGEST_VALUE - 1]}…"


def _artifacts_table(record: RunRecord) -> Table:
    rows = []
    for found in items(record, "artifacts"):
        if isinstance(found, dict):
            role, source = str(found.get("role")), str(found.get("run") or "")
            what = f"{role}, of {source}" if role == "used" and source else role
            size = found.get("bytes")
            shown = _console.size_text(size) if isinstance(size, int | float) else "–"
            digest = str(found.get("sha256") or "–")[:_DIGEST]
            rows.append([str(found.get("name")), what, str(found.get("kind") or "–"), shown, digest])
    return ("artifact", "role", "kind", "size", "sha256"), rows, (3,), ((4,), (2,))


def _checkpoints_table(checkpoints: list[dict[str, object]]) -> Table:
    rows = [[str(c["step"]), _size(c["size_bytes"]), _metrics(c["metrics"])] for c in checkpoints]
    return ("checkpoint", "size", "metrics"), rows, (0, 1), ()


def _labels(record: RunRecord) -> list[str]:
    # A tag may hold a space: in quotes, as a shell would want it.
    tags = shlex.join(words(record, "tags"))
    lines = [f"tags         {tags}"] if tags else []
    return [*lines, "pinned"] if record.get("pinned") else lines


def _notes(record: RunRecord) -> Iterator[str]:
    for note in items(record, "notes"):
        head, *lines = note_lines(note) if isinstance(note, dict) else [""]
        yield f"note         {head}"
        yield from (f"             {line.strip()}" for line in lines)


def _media(record: RunRecord) -> list[str]:
    return [f"{kind:<13}{', '.join(told)}" for kind, told in kept_by_kind(section(record, "media")).items()]


def _completeness(card: Mapping[str, object]) -> list[str]:
    found = section(card, "completeness")
    score = found.get("score")
    missing = [str(field.get("field")) if isinstance(field, dict) else str(field) for field in items(found, "missing")]
    if not isinstance(score, int | float):
        return []
    without = f", without {', '.join(missing)}" if missing else ""
    # With attempts but no word of the code, that was looked for and is not there.
    code = ["code         not in git"] if "code" in card and not section(card, "code") else []
    return [*code, f"card         {score:.0%} complete{without}"]


def _troubles(record: RunRecord) -> list[str]:
    """Return what the reader of a run's numbers should know: alerts, and what is missing."""
    lines = [_alert(alert) for alert in items(record, "alerts") if isinstance(alert, dict)]
    thinned = [f"{count:,} of {rule}" for rule, count in section(record, "thinned").items() if _is_count(count)]
    if thinned:
        lines.append(f"thinned      points left out by rule: {'; '.join(thinned)}")
    for lost in items(record, "lost"):
        if isinstance(lost, dict):
            what = f"{lost.get('kind', '')} {lost.get('key', '')}".strip()
            lines.append(f"not kept     {what}: {first_line(str(lost.get('error', '')))}")
    if _is_count(dropped := record.get("dropped")):
        lines.append(f"dropped      {dropped} calls whose record could not be written")
    return lines


def _sinks(record: RunRecord) -> Iterator[str]:
    """Yield where to look at the run in trackers, and what they have not got, or not as it was."""
    for name, status in section(record, "sinks").items():
        if not isinstance(status, dict):
            continue
        if _is_count(behind := status.get("behind_bytes")) or status.get("error"):
            error = f": {first_line(str(status['error']))}" if status.get("error") else ""
            yield f"behind       {name}, {_size(behind or 0)} of journal not shipped{error}"
        elif status.get("where"):
            yield f"tracker      {name}: {status['where']}"
        mapped = {rule: count for rule, count in section(status, "mapped").items() if _is_count(count)}
        if mapped:
            told = ", ".join(f"{rule} {count:,}" for rule, count in mapped.items())
            yield f"             {name} holds otherwise, or not at all: {told}"


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
        when = iso(started) if started else "–"
        lines.append(f"attempt {attempt.get('number')}    {when}  {took}  {what}")
    return lines


def _imported(record: RunRecord) -> list[str]:
    told = section(record, "imported")
    times = ", times are estimated" if told.get("times") == "estimated" else ""
    return [f"imported     from {told.get('from')}: {told.get('path')}{times}"] if told else []


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
