"""A run in the terms of W&B: its id, what is shown of it, its config. Pure, but for the files that say it."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from burnish.core.files import read_json
from burnish.core.paths import RunPaths
from burnish.core.shape import items, section
from burnish.journal.annotations import read_annotations
from burnish.sinks.about import About
from burnish.sinks.wandb import records
from burnish.sinks.wandb.records import Identity, RunFields

FORBIDDEN: Final = "/\\#?%:"
"""What W&B takes neither in a run's id nor in a project's name."""
LONGEST_PROJECT: Final = 128
_LONGEST_ID: Final = 64
_LONGEST_TAG: Final = 64
_KILLED: Final = 255
SUPERSEDED: Final = "superseded"


def run_id(name: str) -> str:
    """Return the id that W&B knows a run by: its full name, since the last part alone repeats within a project.

    >>> run_id("20260101_toy_k7f2")
    '20260101_toy_k7f2'
    """
    safe = re.sub(r"[\s/\\#?%:]+", "-", name).strip("-")
    if safe == name and len(name.encode()) <= _LONGEST_ID:
        return name
    mark = hashlib.sha256(name.encode(errors="backslashreplace")).hexdigest()[:8]
    return f"{safe.encode(errors='ignore')[: _LONGEST_ID - 9].decode(errors='ignore')}-{mark}"


def project_name(folder: str) -> str:
    """Return what a project is called by default: as its folder."""
    name = re.sub(r"[/\\#?%:]+", "-", Path(folder).name).strip()
    return name[:LONGEST_PROJECT] or "burnish"


def exit_code(status: str, record: Mapping[str, object]) -> int:
    """Return the exit code by which W&B knows how a run ended: 0 finished, 255 killed, any other failed."""
    if status == "finished":
        return 0
    if status == "stopped":
        return _KILLED
    attempts = items(record, "attempts")  # the run's own code is written when its sinks are closed
    last = attempts[-1] if attempts and isinstance(attempts[-1], dict) else record
    code = last.get("exit_code")
    return code if isinstance(code, int) and 0 < code < _KILLED else 1


@dataclass(frozen=True, slots=True)
class Description:
    """What is said of a run at one moment.

    Attributes:
        fields: What W&B shows of it.
        config: By first name.
        environment: Where it runs, as a record; empty where that is not known yet.
        mapped: What of it W&B cannot hold, as counted in the state.
    """

    fields: RunFields
    config: dict[str, object]
    environment: bytes
    mapped: tuple[str, ...]

    @property
    def mark(self) -> str:
        """What tells it from another."""
        seen = json.dumps(self.config, sort_keys=True, default=str).encode() + repr(self.fields).encode(
            errors="backslashreplace"
        )
        return hashlib.sha256(seen + self.environment).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Said:
    """What the journal says of a run, beside what its files do.

    Attributes:
        tags: Words to find it by.
        notes: What was noted.
        used: Artifacts of other runs, by name.
        superseded: Steps that were trained again, both ends included.
    """

    tags: Sequence[str] = ()
    notes: Sequence[str] = ()
    used: Mapping[str, object] = field(default_factory=dict)
    superseded: Sequence[tuple[int, int]] = ()


def describe(run: RunPaths, about: About, tag_keys: Sequence[str], said: Said) -> Description:
    """Return what is to be said of a run.

    Args:
        run: Its files.
        about: What they say.
        tag_keys: Keys of the config whose values become tags.
        said: What the journal says.
    """
    card = read_json(run.card)
    system = section(card, "system")
    removed = read_annotations(run).tags_removed  # by command, since
    words = [*about.tags, *(tag for tag in said.tags if tag not in removed), *_config_tags(about, tag_keys)]
    shown, mapped = _tags([*words, *([SUPERSEDED] if said.superseded else [])])
    remote, commit = str(about.code.get("remote") or ""), str(about.code.get("commit") or "")
    notes = [str(note["text"]) for note in items(about.record, "notes") if isinstance(note, dict) and "text" in note]
    host = str(system.get("host") or "")
    fields = RunFields(
        display_name=about.name,
        group=str(about.sweep.get("id") or about.group),
        job_type=about.experiment,
        notes="\n".join(dict.fromkeys((*notes, *said.notes))),
        tags=shown,
        host=host,
        remote_url=remote,
        commit=commit,
    )
    config, lost = _nested(about.config)
    config["burnish"] = {
        "run": about.name,
        "experiment": about.experiment,
        "command": list(about.command),
        "code": {key: about.code[key] for key in ("commit", "branch", "dirty", "remote") if key in about.code},
        **({"sweep": dict(about.sweep)} if about.sweep else {}),
        **({"used": dict(said.used)} if said.used else {}),
        **({SUPERSEDED: [list(span) for span in said.superseded]} if said.superseded else {}),
    }
    environment = _environment(about, system, (remote, commit)) if system else b""
    return Description(fields, config, environment, (*mapped, *lost))


def runtime_s(record: Mapping[str, object]) -> int:
    """Return how long a run took, from its beginning to the end of its last attempt; 0 where that is not known."""
    attempts = [attempt for attempt in items(record, "attempts") if isinstance(attempt, dict)]
    ended = attempts[-1].get("ended") if attempts else record.get("ended")
    began = record.get("created")
    return int(ended - began) if isinstance(ended, int | float) and isinstance(began, int | float) else 0


def created(about: About) -> float:
    """Return when a run began, in seconds since the epoch."""
    return max(0.0, about.created)


def identity(about: About, project: str, entity: str) -> Identity:
    """Return how W&B is to know a run."""
    return Identity(run_id(about.name), project or project_name(str(about.record.get("project") or "")), entity)


def _config_tags(about: About, keys: Sequence[str]) -> list[str]:
    """Return the values of keys as tags: text as it is, a number with the last part of its key, a list one by one."""
    found = []
    for key in keys:
        value = about.config.get(key)
        for one in value if isinstance(value, tuple) else (value,):
            if isinstance(one, str):
                found.append(one)
            elif one is not None:
                found.append(f"{key.rpartition('.')[2]}={json.dumps(one)}")
    return found


def _tags(words: Sequence[str]) -> tuple[tuple[str, ...], list[str]]:
    """Return tags that W&B takes: 1 to 64 characters."""
    kept = [word for word in dict.fromkeys(words) if word.strip()]
    cut = [word for word in kept if len(word) > _LONGEST_TAG]
    return tuple(dict.fromkeys(word[:_LONGEST_TAG] for word in kept)), ["tags over 64 characters"] * len(cut)


def _nested(flat: Mapping[str, object]) -> tuple[dict[str, object], list[str]]:
    """Return a config as W&B keeps it, nested; a first name that is W&B's or ours gets a prefix."""
    nested: dict[str, object] = {}
    mapped = set()
    for path, value in flat.items():
        first, *rest = path.split(".")
        if not first or first.startswith("_wandb") or first == "burnish":
            mapped.add(first)
            first = f"config/{first}"
        _put(nested, [first, *rest], list(value) if isinstance(value, tuple) else value)
    return nested, ["config names"] * len(mapped)


def _put(tree: dict[str, object], path: list[str], value: object) -> None:
    for place, name in enumerate(path[:-1]):
        inner = tree.setdefault(name, {})
        if not isinstance(inner, dict):  # `a` and `a.b` both hold a value: the second keeps its dots
            tree[".".join(path[place:])] = value
            return
        tree = inner
    tree[path[-1] if not isinstance(tree.get(path[-1]), dict) else f"{path[-1]}."] = value


def _environment(about: About, system: Mapping[str, object], git: tuple[str, str]) -> bytes:
    gpus = [gpu for gpu in items(system, "gpus") if isinstance(gpu, dict)]
    told = {
        "os": str(system.get("platform") or ""),
        "python": str(system.get("python") or ""),
        "program": " ".join(about.command),
        "root": str(about.record.get("directory") or ""),
        "host": str(system.get("host") or ""),
        "executable": str(system.get("executable") or ""),
        "gpu_type": str(gpus[0].get("name") or "") if gpus else "",
    }
    numbers = {"cpu_count": system.get("cpu_cores"), "cpu_count_logical": system.get("cpu_threads")}
    counts = {name: value for name, value in numbers.items() if isinstance(value, int)}
    return records.environment(told, {**counts, "gpu_count": len(gpus)}, git, "burnish")
