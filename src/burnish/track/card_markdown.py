"""The experiment card as a person reads it: result first, then how it was made, then what is not known."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping, Sequence

from burnish.core.clock import duration, iso
from burnish.core.shape import items, section, words
from burnish.track.markdown import cell, code, fenced, more, number, quote, size, table, text

_FIRST_PACKAGES = (
    "torch",
    "transformers",
    "trl",
    "peft",
    "datasets",
    "accelerate",
    "numpy",
    "vllm",
    "deepspeed",
    "bitsandbytes",
    "flash-attn",
    "tokenizers",
    "safetensors",
    "jax",
    "flax",
    "tensorflow",
    "lightning",
    "scikit-learn",
    "pandas",
    "polars",
)
_MOST_METRICS = 40
_MOST_LINES = 20
# What has a place of its own in the card.
_SHOWN_ELSEWHERE = frozenset({"imported", "versions", "cuda", "data", "python", "executable"})

Facts = Mapping[str, object]


def render_card(card: Facts, record: Facts) -> str:
    """Return a card as Markdown.

    Args:
        card: What `complete_card` returned, or an older card.
        record: The run's record, for its summary and attempts.
    """
    parts: list[tuple[str, list[str]]] = [
        ("Result", _result(section(record, "summary"))),
        ("How it was made", _made(card, record)),
        ("Data", _data(section(section(card, "reported"), "data"))),
        ("Artifacts", _artifacts(items(record, "artifacts"))),
        ("What the training process reported", _reported(section(card, "reported"))),
        ("Machine", _machine(card)),
        ("Packages", _packages(card)),
        ("Environment", _environment(section(card, "environment"))),
        ("Caveats", _caveats(card, record)),
        ("Completeness", _completeness(section(card, "completeness"))),
    ]
    lines = [f"# {text(record.get('name', 'run'))}", "", _headline(record, section(card, "completeness"))]
    lines += [line for note in items(record, "notes") if isinstance(note, dict) for line in quote(note.get("text"))]
    for title, body in parts:
        if body:
            lines += ["", f"## {title}", "", *body]
    return "\n".join([*lines, ""])


def _headline(record: Facts, complete: Facts) -> str:
    started, ended = record.get("started"), record.get("ended")
    took = "not ended"
    if isinstance(started, int | float) and isinstance(ended, int | float):
        took = f"took {duration(ended - started)}"
    count = len(items(record, "attempts"))
    tags = f", tagged {', '.join(map(text, found))}" if (found := words(record, "tags")) else ""
    score = complete.get("score")
    share = f" Completeness {score:.2f}." if isinstance(score, int | float) else ""
    return f"**{record.get('state', '')}**, {took}, {count} attempt{'s' if count != 1 else ''}{tags}.{share}"


def _result(summary: Facts) -> list[str]:
    rows = {k: v for k, v in summary.items() if isinstance(v, dict) and not k.startswith(("system/", "phase/"))}
    if not rows:
        return ["No metrics were logged."]
    order = sorted(rows, key=lambda name: not name.startswith("eval"))  # what was measured on other data comes first
    has_best = any("best" in values for values in rows.values())
    shown: list[list[str]] = []
    for name in order[:_MOST_METRICS]:
        values = rows[name]
        best = [f"{number(values['best'])} at {values.get('best_step')}" if "best" in values else ""]
        cells = [number(values.get(column)) for column in ("first", "last", "min", "max")]
        shown.append([cell(name), *cells, *(best if has_best else [])])
    head = ["metric", "first", "last", "min", "max", *(["best at step"] if has_best else [])]
    left = len(rows) - len(shown)
    return table(head, shown) + (["", f"… and {left} more, see `burnish show`"] if left else [])


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
        return "not in a git repository"
    if not told.get("commit"):
        return "in a git repository without a commit"
    states = {True: "with uncommitted changes, see `code.diff`", False: "clean"}
    dirty = told.get("dirty")
    state = states[dirty] if isinstance(dirty, bool) else "its changes unknown"
    untracked = told.get("untracked")
    number_of = len(untracked) if isinstance(untracked, list | tuple) else 0
    extra = f", {number_of} untracked file{'s' if number_of != 1 else ''}" if number_of else ""
    branch = f" on `{code(told['branch'])}`" if told.get("branch") else ", detached"
    return f"commit `{str(told['commit'])[:12]}`{branch}, {state}{extra}"


def _data(data: Facts) -> list[str]:
    sets: list[tuple[str, Facts]] = []
    plain: list[str] = []
    for name, told in data.items():
        if not isinstance(told, dict):
            plain.append(f"- {text(name)}: {text(told)}")
            continue
        splits = section(told, "splits")
        sets += [(f"{name}/{split}", one) for split, one in splits.items() if isinstance(one, dict)] or [(name, told)]
    rows = [[cell(name), cell(_where(told)), cell(_amount(told)), cell(_mark(told))] for name, told in sets]
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
    changed = ", changed during the run" if told.get("changed") else ""
    for key, word in (("sha256", "sha256"), ("revision", "revision"), ("fingerprint", "fingerprint")):
        if isinstance(value := told.get(key), str) and value:
            return f"{word} {value[:12]}{changed}"
    return f"nothing: {told['note']}" if told.get("note") else "nothing"


def _artifacts(artifacts: Sequence[object]) -> list[str]:
    rows = []
    for one in artifacts:
        if isinstance(one, dict):
            of = f"run {one['run']}" if one.get("role") == "used" and one.get("run") else str(one.get("path", ""))
            amount = size(one["bytes"]) if isinstance(one.get("bytes"), int) else ""
            rows.append([cell(str(one.get(k, ""))) for k in ("role", "name")] + [cell(of), amount])
    return table(["role", "name", "from", "size"], rows[:_MOST_LINES]) + more(len(rows) - _MOST_LINES) if rows else []


def _reported(reported: Facts) -> list[str]:
    lines = list(_facts({key: value for key, value in reported.items() if key not in _SHOWN_ELSEWHERE}))
    return lines[:_MOST_METRICS] + more(len(lines) - _MOST_METRICS)


def _facts(facts: Facts, prefix: str = "") -> Iterable[str]:
    for key, value in facts.items():
        if isinstance(value, dict):
            yield from _facts(value, f"{prefix}{key}.")
        else:
            yield f"- {text(prefix + key)}: {text(value)}"


def _machine(card: Facts) -> list[str]:
    system, reported = section(card, "system"), section(card, "reported")
    python = text(reported.get("python", system.get("python")))
    disk = section(system, "disk")
    free = f", {size(disk['free_bytes'])} free of {size(disk['total_bytes'])} disk" if disk else ""
    lines = [
        f"- {text(system.get('host'))}, user {text(system.get('user'))}, {text(system.get('platform'))}",
        f"- {_cpus(system)}, {size(system.get('memory_bytes'))} memory{free}",
        f"- Python {python}, `{code(reported.get('executable', system.get('executable')))}`",
    ]
    if cuda := section(reported, "cuda"):
        lines.append(f"- torch runs on {', '.join(f'{text(name)} {text(value)}' for name, value in cuda.items())}")
    gpus = [gpu for gpu in items(system, "gpus") if isinstance(gpu, dict)]
    if not gpus:
        return [*lines, f"- no GPU ({text(system.get('gpu_note'))})"]
    driver = f"- NVIDIA driver {text(gpus[0].get('driver'))}"
    if gpus[0].get("cuda"):
        driver += f", which runs CUDA up to {gpus[0]['cuda']}"
    rows = [_gpu(gpu) for gpu in gpus]
    return [*lines, driver, "", *table(["GPU", "name", "memory", "capability", "power limit", "UUID"], rows)]


def _cpus(system: Facts) -> str:
    cores = f", {system['cpu_cores']} cores" if system.get("cpu_cores") else ""
    return f"{system.get('cpus')} CPUs ({text(system.get('cpu'))}{cores})"


def _gpu(gpu: Facts) -> list[str]:
    capability = ".".join(map(str, items(gpu, "compute_capability"))) or "?"
    limit = gpu.get("power_limit_w")
    power = f"{limit:.0f} W" if isinstance(limit, int | float) else "?"
    name = f"{gpu.get('name')}{', MIG' if gpu.get('mig') else ''}"
    return [
        str(gpu.get("index")),
        cell(name),
        size(gpu.get("memory_bytes")),
        capability,
        power,
        cell(gpu.get("uuid")),
    ]


def _packages(card: Facts) -> list[str]:
    imported, declared = section(card, "imported"), items(card, "declared")
    lines: list[str] = []
    if imported:
        by_name = {name.lower().replace("_", "-"): name for name in imported}
        first = [by_name[name] for name in _FIRST_PACKAGES if name in by_name][:10] or list(imported)[:10]
        left = len(imported) - len(first)
        told = ", ".join(f"{text(name)} {text(imported[name])}" for name in first)
        lines.append(f"- imported: {told}{f', and {left} more' if left else ''}")
    else:
        lines.append("- imported: not known")
    if own := words(card, "own_modules"):
        lines.append(
            f"- own modules: {', '.join(map(text, own[:_MOST_LINES]))}{', …' if len(own) > _MOST_LINES else ''}"
        )
    files = sorted({str(one.get("file")) for one in declared if isinstance(one, dict)})
    lines.append(f"- declared: {len(declared)} in {', '.join(map(text, files))}" if declared else "- declared: none")
    locks = section(card, "locked")
    lines += [f"- locked: {len(section(locks, name))} in {text(name)}" for name in locks]
    return [*lines, f"- installed: {len(section(card, 'packages'))}, see `card.json`"]


def _environment(environment: Facts) -> list[str]:
    lines = [f"- `{code(name)}={code(value)}`" for name, value in environment.items()]
    return lines[:_MOST_METRICS] + more(len(lines) - _MOST_METRICS)


def _caveats(card: Facts, record: Facts) -> list[str]:
    lines: list[str] = []
    if record.get("state") != "finished" and (reason := record.get("reason")):
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
    alerts = [
        alert for alert in items(record, "alerts") if isinstance(alert, dict) and alert.get("reason") != "finished"
    ]
    lines += [f"- {text(alert.get('level'))}: {text(alert.get('title'))}, step {alert.get('step')}" for alert in alerts]
    return lines[:_MOST_LINES] + more(len(lines) - _MOST_LINES)


def _completeness(complete: Facts) -> list[str]:
    score, fields = complete.get("score"), complete.get("fields")
    missing = [one for one in items(complete, "missing") if isinstance(one, dict)]
    if not isinstance(score, int | float) or not isinstance(fields, int):
        return []
    head = f"{score:.2f}: {fields - len(missing)} of {fields} fields that apply are known."
    rows = [f"- **{text(one.get('field'))}**: {text(one.get('todo'))}" for one in missing]
    return [f"{head} To do for the rest:", "", *rows] if rows else [head]
