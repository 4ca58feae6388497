"""The experiment card: everything that a number's reader may ask about the run behind it.

`card.json` is for machines, `card.md` for people. The supervisor collects it; the training process adds only
what it alone knows. Fields follow the habit of model cards (Mitchell et al. 2019, arXiv:1810.03993).
"""

from __future__ import annotations

import os
import platform
import socket
import sys
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from uuid import uuid4

import psutil

from burnish.core.clock import duration, iso
from burnish.core.environment import tier_of
from burnish.core.files import read_json, write_atomic, write_json
from burnish.core.hardware import Machine
from burnish.core.paths import RunPaths
from burnish.core.secrets import Masker, is_secret_name
from burnish.core.shape import items, section, words

_ENVIRONMENT = ("LD_LIBRARY_PATH", "VIRTUAL_ENV", "CONDA_PREFIX")


def collect_card(
    *,
    machine: Machine,
    command: Sequence[str],
    code: Mapping[str, object] | None,
    config: Mapping[str, object],
    environ: Mapping[str, str],
    masker: Masker,
    prefix: str,
) -> dict[str, object]:
    """Return the card as it stands when a run starts.

    Args:
        machine: Its GPUs and CPUs.
        command: The command line that trains.
        code: Commit, branch and so on; None outside a repository.
        config: Hashes of the config, and the runs that it refers to.
        environ: The environment of the training process; only known harmless names are kept.
        masker: Hides credentials.
        prefix: What variables of the experiment tier begin with.
    """
    memory = psutil.virtual_memory()
    return {
        "format": 1,
        "uuid": str(uuid4()),
        "system": {
            "host": socket.gethostname(),
            "user": _user(),
            "platform": platform.platform(),
            "python": sys.version.split()[0],
            "executable": sys.executable,
            "cpu": _cpu_name(),
            "cpus": machine.cpus,
            "memory_bytes": memory.total,
            "gpus": [gpu.to_json() for gpu in machine.gpus],
            "gpu_note": machine.note,
        },
        "packages": _packages(),
        "code": dict(code) if code is not None else None,
        "config": dict(config),
        "command": masker.command(command),
        "directory": str(Path.cwd()),
        "environment": _environment(environ, masker, prefix),
        "reported": {},
    }


def write_card(paths: RunPaths, card: Mapping[str, object], record: Mapping[str, object]) -> None:
    """Write `card.json` and `card.md` of a run, with its state and summary as they stand."""
    write_json(paths.card, card)
    write_atomic(paths.card.with_suffix(".md"), render_card(card, record))


def read_card(paths: RunPaths) -> dict[str, object]:
    """Return a run's card, empty when there is none yet."""
    return read_json(paths.card)


def render_card(card: Mapping[str, object], record: Mapping[str, object]) -> str:
    """Return the card as Markdown."""
    system = section(card, "system")
    code = section(card, "code")
    config = section(card, "config")
    lines = [
        f"# {record.get('name', 'run')}",
        "",
        f"**{record.get('state', '')}**, {_took(record)}, {_attempts(record)}.",
        "",
        "## Result",
        "",
        *_result(section(record, "summary")),
        "",
        "## How it was made",
        "",
        *([f"- typed: `{' '.join(typed)}`"] if (typed := words(record, "typed")) else []),
        f"- command: `{' '.join(words(card, 'command'))}`",
        f"- config: hash `{config.get('hash', '')}`, group `{config.get('group', '')}`, see `config.yaml`",
        *(f"- starts from: {line}" for line in _lineage(config)),
        f"- code: {_code(code)}",
        f"- started: {_time(record, 'started')}, ended: {_time(record, 'ended')}",
        "",
        "## What the training process reported",
        "",
        *(_facts(section(card, "reported")) or ["nothing"]),
        "",
        "## Machine",
        "",
        f"- {system.get('host')}, user {system.get('user')}, {system.get('platform')}",
        f"- {system.get('cpus')} CPUs ({system.get('cpu')}), {_gib(system.get('memory_bytes'))} memory",
        f"- GPUs: {_gpus(system)}",
        f"- Python {system.get('python')}, {len(section(card, 'packages'))} packages (see `card.json`)",
        "",
    ]
    return "\n".join(lines)


def _result(summary: Mapping[str, object]) -> list[str]:
    rows = [(k, v) for k, v in summary.items() if isinstance(v, dict) and not k.startswith("system/")]
    if not rows:
        return ["No metrics were logged."]
    head = ["| metric | first | last | min | max |", "|---|---|---|---|---|"]
    cells = [[f"{v.get(c, float('nan')):.6g}" for c in ("first", "last", "min", "max")] for _, v in rows]
    return head + [f"| {k} | {' | '.join(c)} |" for (k, _), c in zip(rows, cells, strict=True)]


def _facts(facts: Mapping[str, object], prefix: str = "") -> list[str]:
    lines: list[str] = []
    for key, value in facts.items():
        if isinstance(value, dict):
            lines += _facts(value, f"{prefix}{key}.")
        else:
            lines.append(f"- {prefix}{key}: {value}")
    return lines


def _lineage(config: Mapping[str, object]) -> list[str]:
    lineage = config.get("lineage")
    found = lineage.items() if isinstance(lineage, dict) else ()
    return [f"run `{ref.get('run')}` step {ref.get('step')} (`{key}`)" for key, ref in found if isinstance(ref, dict)]


def _code(code: Mapping[str, object]) -> str:
    if not code:
        return "not in a git repository"
    states = {True: "with uncommitted changes, see `code.diff`", False: "clean"}
    dirty = code.get("dirty")
    state = states[dirty] if isinstance(dirty, bool) else "its changes unknown"
    untracked = code.get("untracked")
    extra = f", {len(untracked)} untracked files" if isinstance(untracked, list | tuple) and untracked else ""
    return f"commit `{str(code.get('commit'))[:12]}` on `{code.get('branch')}`, {state}{extra}"


def _took(record: Mapping[str, object]) -> str:
    started, ended = record.get("started"), record.get("ended")
    if isinstance(started, float) and isinstance(ended, float):
        return f"took {duration(ended - started)}"
    return "not ended"


def _attempts(record: Mapping[str, object]) -> str:
    number = len(items(record, "attempts"))
    return f"{number} attempt{'s' if number != 1 else ''}"


def _time(record: Mapping[str, object], key: str) -> str:
    value = record.get(key)
    return iso(value) if isinstance(value, int | float) else "–"


def _gib(size: object) -> str:
    return f"{size / 2**30:.1f} GiB" if isinstance(size, int) else "?"


def _gpus(system: Mapping[str, object]) -> str:
    gpus = system.get("gpus")
    if isinstance(gpus, list) and gpus:
        return ", ".join(str(gpu.get("name")) for gpu in gpus if isinstance(gpu, dict))
    return f"none ({system.get('gpu_note')})"


def _packages() -> dict[str, str]:
    found = {str(d.name): d.version for d in metadata.distributions() if d.name}
    return dict(sorted(found.items(), key=lambda item: item[0].lower()))


def _environment(environ: Mapping[str, str], masker: Masker, prefix: str) -> dict[str, str]:
    kept = {
        name: value
        for name, value in environ.items()
        if (name in _ENVIRONMENT or tier_of(name, prefix) is not None) and not is_secret_name(name)
    }
    return {name: masker.text(value) for name, value in sorted(kept.items())}


def _user() -> str:
    try:
        return psutil.Process().username()
    except (KeyError, psutil.Error):
        return str(os.getuid())


def _cpu_name() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
