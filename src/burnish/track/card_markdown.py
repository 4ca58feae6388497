"""The experiment card as a person reads it: result first, then how it was made, then what is not known."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping, Sequence

from burnish.core.clock import duration, iso
from burnish.core.shape import items, section, words
from burnish.journal.order import Fold, folded
from burnish.journal.record import OVER
from burnish.track.card_system import environment, machine, packages
from burnish.track.markdown import cell, code, fenced, more, quote, size, table, text
from burnish.track.media import kept_by_kind
from burnish.track.quantity import quantity

_MOST_METRICS = 40
_MOST_LINES = 20
# What has a place of its own in the card.
_SHOWN_ELSEWHERE = frozenset({"imported", "versions", "cuda", "data", "python", "executable"})

Facts = Mapping[str, object]


def render_card(card: Facts, record: Facts, *, config: Mapping[str, str] | None = None) -> str:
    """Return a card as Markdown.

    Args:
        card: What `complete_card` returned, or an older card.
        record: The run's record, for its summary and attempts.
        config: The values that somebody wrote, by dotted path.
    """
    parts: list[tuple[str, list[str]]] = [
        ("Result", _result(record)),
        ("Config", _config(config or {})),
        ("How it was made", _made(card, record)),
        ("Data", _data(section(section(card, "reported"), "data"))),
        ("Artifacts", _artifacts(items(record, "artifacts"))),
        ("Pictures, tables and texts", _media(section(record, "media"))),
        ("What the training process reported", _reported(section(card, "reported"))),
        ("Machine", machine(card)),
        ("Packages", packages(card)),
        ("Environment", environment(section(card, "environment"))),
        ("Caveats", _caveats(card, record)),
        ("Completeness", _completeness(section(card, "completeness"))),
    ]
    lines = [f"# {text(record.get('name', 'run'))}", "", _headline(record)]
    lines += [line for note in items(record, "notes") if isinstance(note, dict) for line in quote(note.get("text"))]
    for title, body in parts:
        if body:
            lines += ["", f"## {title}", "", *body]
    return "\n".join([*lines, ""])


def _headline(record: Facts) -> str:
    started, ended = record.get("started"), record.get("ended")
    told = [f"**{record.get('state', '')}**"]
    if isinstance(started, int | float) and isinstance(ended, int | float):
        told.append(f"took {duration(ended - started)}")
    elif isinstance(step := record.get("step"), int):
        total = record.get("total_steps")
        told.append(f"at step {step}{f' of {total}' if isinstance(total, int) else ''}, not ended")
    else:
        told.append("not ended")
    count = len(items(record, "attempts"))
    told.append(f"{count} attempt{'s' if count != 1 else ''}")
    # Each between marks: a tag may hold a comma.
    if tags := words(record, "tags"):
        told.append(f"tagged {', '.join(f'`{code(tag)}`' for tag in tags)}")
    return f"{', '.join(told)}."


def _result(record: Facts) -> list[str]:
    summary, metrics = section(record, "summary"), section(record, "metrics")
    rows = {k: v for k, v in summary.items() if isinstance(v, dict) and not k.startswith(("system/", "phase/"))}
    if not rows:
        return ["No metrics were logged."]
    names = folded(rows, {pattern: section(metrics, pattern) for pattern in metrics})
    has_best = any("best" in values for values in rows.values())
    shown: list[list[str]] = []
    for name in names[:_MOST_METRICS]:
        if isinstance(name, Fold):
            shown.append([cell(name), "", "", "", "", *([""] if has_best else [])])
            continue
        values = rows[name]
        best = [f"{quantity(name, values['best'])} at {values.get('best_step')}" if "best" in values else ""]
        cells = [quantity(name, values.get(column)) for column in ("first", "last", "min", "max")]
        shown.append([cell(name), *cells, *(best if has_best else [])])
    head = ["metric", "first", "last", "min", "max", *(["best at step"] if has_best else [])]
    left = len(names) - len(shown)
    return table(head, shown) + (["", f"… and {left} more, see `burnish show`"] if left else [])


def _config(values: Mapping[str, str]) -> list[str]:
    rows = [[cell(path), cell(value)] for path, value in list(values.items())[:_MOST_METRICS]]
    left = len(values) - len(rows)
    return (table(["config", "value"], rows) if rows else []) + (
        ["", f"… and {left} more, see `config.yaml`"] if left else []
    )


def _media(media: Facts) -> list[str]:
    return [f"- {text(kind)}: {text(', '.join(told))}" for kind, told in kept_by_kind(media).items()]


def _made(card: Facts, record: Facts) -> list[str]:
    config = section(card, "config")
    lines: list[str] = []
    typed, command = words(record, "typed"), words(card, "command")
    if typed:
        lines += ["Typed:", "", *fenced(shlex.join(typed)), ""]
    if not command or typed[-len(command) :] != command:  # `burnish run -- command` says it all
        lines += ["Command:", "", *fenced(shlex.join(command)), ""]
    lines += [f"- code: {_state_of_code(section(card, 'code'))}"]
    if remote := section(card, "code").get("remote"):
        lines.append(f"- remote: {text(remote)}")
    if config.get("hash"):
        lines.append(f"- config: hash `{config['hash']}`, group `{config.get('group', '')}`, see `config.yaml`")
    else:
        lines.append("- config: none was told")
    if seeds := section(card, "seeds"):
        lines.append(f"- seeds: {', '.join(f'{text(k)} {v}' for k, v in list(seeds.items())[:_MOST_LINES])}")
    lines += [f"- starts from: {line}" for line in _lineage(config)]
    if sweep := section(record, "sweep"):
        lines.append(f"- sweep: {text(', '.join(f'{key} {value}' for key, value in sweep.items()))}")
    if replays := record.get("replays"):
        lines.append(f"- runs the config of `{replays}` again")
    known = [(key, record.get(key)) for key in ("created", "started", "ended")]
    times = [f"{key} {iso(value)}" for key, value in known if isinstance(value, int | float)]
    lines.append(f"- times: {', '.join(times)}")
    if len(attempts := items(record, "attempts")) > 1:
        lines += [_attempt(attempt) for attempt in attempts[-_MOST_LINES:] if isinstance(attempt, dict)]
    return [*lines, f"- in `{code(card.get('directory', ''))}`, id `{card.get('uuid', '')}`"]


def _attempt(attempt: Facts) -> str:
    last = f", last step {attempt['last_step']}" if "last_step" in attempt else ""
    return f"- attempt {attempt.get('number')}: {text(attempt.get('reason', 'running'))}{last}"


def _lineage(config: Facts) -> list[str]:
    found = section(config, "lineage").items()
    return [f"run `{ref.get('run')}` step {ref.get('step')} (`{key}`)" for key, ref in found if isinstance(ref, dict)]


def _state_of_code(told: Facts) -> str:
    if not told:
        return "not in git"
    if not told.get("commit"):
        return "in git, without a commit"
    states = {True: "with uncommitted changes, see `code.diff`", False: "clean"}
    dirty = told.get("dirty")
    state = states[dirty] if isinstance(dirty, bool) else "its changes unknown"
    untracked = told.get("untracked")
    number_of = len(untracked) if isinstance(untracked, list | tuple) else 0
    extra = f", {number_of} untracked file{'s' if number_of != 1 else ''}" if number_of else ""
    branch = f" on `{code(told['branch'])}`" if told.get("branch") else ", detached"
    return f"commit `{code(told['commit'])}`{branch}, {state}{extra}"


def _data(data: Facts) -> list[str]:
    sets: list[tuple[str, Facts]] = []
    plain: list[str] = []
    for name, told in data.items():
        if not isinstance(told, dict):
            plain.append(f"- {text(name)}: {text(told)}")
            continue
        splits = section(told, "splits")
        sets += [(f"{name}/{split}", one) for split, one in splits.items() if isinstance(one, dict)] or [(name, told)]
    rows = [[cell(name), cell(_where(told)), cell(_amount(told)), _mark(told)] for name, told in sets]
    known = table(["name", "what", "amount", "pinned by"], rows[:_MOST_METRICS]) if rows else []
    left = max(0, len(rows) - _MOST_METRICS) + max(0, len(plain) - _MOST_LINES)
    return [*known, *([""] if known and plain else []), *plain[:_MOST_LINES], *(more(left))]


def _where(told: Facts) -> str:
    for key in ("path", "name", "builder", "type"):
        if told.get(key):
            return str(told[key])
    return str(told.get("kind", ""))


def _amount(told: Facts) -> str:
    amounts = []
    if isinstance(count := told.get("count"), int):
        amounts.append(f"{count:,} rows")
    if isinstance(files := told.get("files"), int) and told.get("kind") == "folder":
        amounts.append(f"{files:,} files")
    if isinstance(told.get("size_bytes"), int):
        amounts.append(size(told["size_bytes"]))
    return ", ".join(amounts)


def _mark(told: Facts) -> str:
    """Return a cell: what pins the data, whole, since whoever compares it needs all of it."""
    changed = ", changed during the run" if told.get("changed") else ""
    for key, word in (("sha256", "sha256"), ("revision", "revision"), ("fingerprint", "fingerprint")):
        if isinstance(value := told.get(key), str) and value:
            return f"{word} {text(value)}{changed}"
    return cell(f"nothing: {told['note']}") if told.get("note") else "nothing"


def _artifacts(artifacts: Sequence[object]) -> list[str]:
    rows = []
    for one in artifacts:
        if isinstance(one, dict):
            of = f"run {one['run']}" if one.get("role") == "used" and one.get("run") else ""
            amount = size(one["bytes"]) if isinstance(one.get("bytes"), int) else ""
            names = [cell(str(one.get(key, ""))) for key in ("role", "name")]
            rows.append([*names, cell(of), amount, cell(one.get("path", "")), text(one.get("sha256", ""))])
    head = ["role", "name", "of", "size", "path", "sha256"]
    return table(head, rows[:_MOST_LINES]) + more(len(rows) - _MOST_LINES) if rows else []


def _reported(reported: Facts) -> list[str]:
    lines = list(_facts({key: value for key, value in reported.items() if key not in _SHOWN_ELSEWHERE}))
    return lines[:_MOST_METRICS] + more(len(lines) - _MOST_METRICS)


def _facts(facts: Facts, prefix: str = "") -> Iterable[str]:
    for key, value in facts.items():
        if isinstance(value, dict):
            yield from _facts(value, f"{prefix}{key}.")
        else:
            yield f"- {text(prefix + key)}: {text(value)}"


def _caveats(card: Facts, record: Facts) -> list[str]:
    lines: list[str] = []
    if str(record.get("state")) not in OVER and record.get("started"):
        lines.append("- live: what the training process reports is added when it ends")
    elif record.get("state") != "finished" and (reason := record.get("reason")):
        lines.append(f"- ended: {text(reason)}")
    if dropped := record.get("dropped"):
        lines.append(f"- {dropped} calls could not be recorded")
    if damage := section(record, "damage"):
        lines.append(
            f"- damaged journal: {sum(v for v in damage.values() if isinstance(v, int))} bytes in {len(damage)} files"
        )
    for name, values in section(record, "summary").items():
        if isinstance(values, dict) and values.get("nonfinite"):
            lines.append(f"- {text(name)} was NaN or infinite {values['nonfinite']} times")
    thinned = section(record, "thinned")
    lines += [f"- of `{code(rule)}` {count} values were left out by a tier" for rule, count in thinned.items()]
    for lost in items(record, "lost"):
        if isinstance(lost, dict):
            what = f"{lost.get('kind', '')} {lost.get('key', '')}".strip()
            lines.append(f"- not kept: {text(what)}: {text(lost.get('error'))}")
    alerts = [
        alert for alert in items(record, "alerts") if isinstance(alert, dict) and alert.get("reason") != "finished"
    ]
    lines += [_alert(alert) for alert in alerts]
    return lines[:_MOST_LINES] + more(len(lines) - _MOST_LINES)


def _alert(alert: Facts) -> str:
    step = alert.get("step")
    at = f", step {step}" if step is not None else ""
    return f"- {text(alert.get('level'))}: {text(alert.get('title') or alert.get('reason'))}{at}"


def _completeness(complete: Facts) -> list[str]:
    score, fields = complete.get("score"), complete.get("fields")
    missing = [one for one in items(complete, "missing") if isinstance(one, dict)]
    if not isinstance(score, int | float) or not isinstance(fields, int):
        return []
    head = f"{score:.2f}: {fields - len(missing)} of {fields} fields that apply are known."
    rows = [f"- **{text(one.get('field'))}**: {text(one.get('todo'))}" for one in missing]
    return [f"{head} To do for the rest:", "", *rows] if rows else [head]
