"""The experiment card: everything that a number's reader may ask about the run behind it.

`card.json` is for machines, `card.md` for people. The supervisor collects it; the training process adds only
what it alone knows. Fields follow the habit of model cards (Mitchell et al. 2019, arXiv:1810.03993).
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from uuid import uuid4

from burnish.core.clock import iso
from burnish.core.environment import tier_of
from burnish.core.errors import ConfigError
from burnish.core.files import read_json, write_atomic, write_json
from burnish.core.hardware import Machine
from burnish.core.paths import RunPaths
from burnish.core.secrets import Masker, is_secret_name
from burnish.core.shape import items, section
from burnish.journal.record import OVER
from burnish.track.card_markdown import render_card
from burnish.track.completeness import completeness
from burnish.track.declared import declared_packages, locked_packages
from burnish.track.hyperparameters import written_values
from burnish.track.packages import imported_packages, installed_packages
from burnish.track.system import describe_system

_ENVIRONMENT = ("LD_LIBRARY_PATH", "VIRTUAL_ENV", "CONDA_PREFIX")
_OF_RECORD = (
    "state",
    "reason",
    "exit_code",
    "experiment",
    "group",
    "debug",
    "typed",
    "tags",
    "notes",
    "sweep",
    "replays",
)
_OF_ATTEMPT = ("number", "started", "ended", "exit_code", "reason", "last_step")
_MOST_SEEDS = 100


def collect_card(
    *,
    machine: Machine,
    command: Sequence[str],
    code: Mapping[str, object] | None,
    config: Mapping[str, object],
    seeds: Mapping[str, object],
    environ: Mapping[str, str],
    masker: Masker,
    prefix: str,
    project: Path,
    folder: Path,
) -> dict[str, object]:
    """Return the card as it stands when a run starts.

    Args:
        machine: Its GPUs and CPUs.
        command: The command line that trains.
        code: Commit, branch and so on; None outside a repository.
        config: Hashes of the config, and the runs that it refers to.
        seeds: Those of the config, by path.
        environ: The environment of the training process; only known harmless names are kept.
        masker: Hides credentials.
        prefix: What variables of the experiment tier begin with.
        project: The project's folder, whose files declare packages.
        folder: The run's folder.
    """
    return {
        "format": 1,
        "uuid": str(uuid4()),
        "system": describe_system(machine, folder),
        "packages": installed_packages(),
        "declared": [package.to_json() for package in declared_packages(project, masker)],
        "locked": locked_packages(project),
        "code": dict(code) if code is not None else None,
        "config": dict(config),
        "seeds": dict(seeds),
        "command": masker.command(command),
        "directory": str(Path.cwd()),
        "environment": _environment(environ, masker, prefix),
        "reported": {},
    }


def merge_reported(reported: Mapping[str, object], told: Mapping[str, object]) -> dict[str, object]:
    """Return what a training process reported so far with what it tells now.

    Sections (`data`, `versions`, `cuda`) are merged key by key and the list of imported modules grows; of
    everything else the newer stands.

    >>> merge_reported({"data": {"a": 1}, "imported": ["x"]}, {"data": {"b": 2}, "imported": ["y"], "seed": 1})
    {'data': {'a': 1, 'b': 2}, 'imported': ['x', 'y'], 'seed': 1}
    """
    merged = {**reported, **told}
    for key, value in told.items():
        if isinstance(value, dict):
            merged[key] = {**section(reported, key), **value}
    if "imported" in told:
        merged["imported"] = sorted({*map(str, items(reported, "imported")), *map(str, items(told, "imported"))})
    return merged


def write_card(
    paths: RunPaths, card: Mapping[str, object], record: Mapping[str, object], *, durable: bool = False
) -> None:
    """Complete a card by what the run's record knows by now, and write `card.json` and `card.md`.

    Args:
        paths: The run.
        card: As `collect_card` or `read_card` returned it, with what the training process told in `reported`.
        record: The run's `run.json` as it stands, or will.
        durable: Also survive a power cut.
    """
    whole = complete_card(paths, card, {**record, "name": paths.name})
    write_json(paths.card, whole, durable=durable)
    shown = render_card(whole, {**record, "name": paths.name}, config=written_values(paths))
    write_atomic(paths.card.with_suffix(".md"), shown, durable=durable)


def card_for_people(paths: RunPaths, record: Mapping[str, object]) -> str:
    """Return a run's card as Markdown, as it would be written now.

    `card.md` is of the moment when the run started or ended: tags and notes come later, and a live run logs.

    Args:
        paths: The run.
        record: The run's record, as `read_record` returns it.
    """
    card = read_card(paths)
    if str(record.get("state")) not in OVER:
        card = complete_card(paths, card, record)
    return render_card(card, record, config=written_values(paths))


def read_card(paths: RunPaths) -> dict[str, object]:
    """Return a run's card, empty when there is none yet."""
    return read_json(paths.card)


def complete_card(paths: RunPaths, card: Mapping[str, object], record: Mapping[str, object]) -> dict[str, object]:
    """Return a card with times, attempts, packages, seeds and completeness, as a run's record and files tell them."""
    masker = Masker.from_environment(os.environ)
    reported: dict[str, object] = masker.tree(section(card, "reported"))  # anything at all: it becomes plain JSON
    packages, own = imported_packages(reported, sys.executable)
    config = {"hash": "", "group": "", **section(card, "config")}
    seeds = section(card, "seeds")
    if not config["hash"] and (values := _config_of_script(paths)):
        from burnish.config.freeze import digest, without_seeds  # which a supervisor has loaded, pydantic and all

        config |= {"hash": digest(values), "group": digest(without_seeds(values))}  # type: ignore[arg-type]
        seeds = {**find_seeds(values), **seeds}
    whole = {
        **card,
        "run": _run(record, masker),
        "times": _times(record),
        "config": config,
        "seeds": {**seeds, **find_seeds(reported)},
        "imported": packages,
        "own_modules": own,
        "artifacts": items(record, "artifacts"),
        "result": {"metrics": len(section(record, "summary"))},
        "reported": reported,
    }
    whole["completeness"] = completeness(whole).to_json()
    return whole


def find_seeds(values: object) -> dict[str, object]:
    """Return the seeds among plain values, by path.

    >>> find_seeds({"seed": 1, "data": {"shuffle_seed": 2, "seeds": [3, 4], "seeded": True}})
    {'seed': 1, 'data.shuffle_seed': 2, 'data.seeds': [3, 4]}
    """
    found: dict[str, object] = {}
    for path, value in _seeds(values, ""):
        if len(found) < _MOST_SEEDS:
            found[path] = value
    return found


def _seeds(value: object, path: str) -> Iterator[tuple[str, object]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            below = f"{path}.{key}" if path else str(key)
            if str(key) in ("seed", "seeds", "random_state") or str(key).endswith(("_seed", "_seeds")):
                given = inner if isinstance(inner, list) else [inner]
                if given and all(isinstance(seed, int) and not isinstance(seed, bool) for seed in given):
                    yield below, inner
                    continue
            yield from _seeds(inner, below)
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from _seeds(inner, f"{path}.{number}")


def _run(record: Mapping[str, object], masker: Masker) -> dict[str, object]:
    told = {key: record[key] for key in _OF_RECORD if record.get(key) not in (None, "", [], {}, False)}
    attempts = [
        {key: attempt[key] for key in _OF_ATTEMPT if key in attempt}
        for attempt in items(record, "attempts")
        if isinstance(attempt, dict)
    ]
    run: dict[str, object] = masker.tree({"name": record.get("name", ""), **told, "attempts": attempts})
    return run


def _times(record: Mapping[str, object]) -> dict[str, object]:
    times: dict[str, object] = {}
    for key in ("created", "started", "ended"):
        value = record.get(key)
        if isinstance(value, int | float):
            times[key] = iso(value)
    started, ended = record.get("started"), record.get("ended")
    if isinstance(started, int | float) and isinstance(ended, int | float):
        times["duration_s"] = max(0.0, round(ended - started, 3))
    return times


def _config_of_script(paths: RunPaths) -> dict[str, object]:
    """Return what a script said of its config: JSON, but for numbers that JSON has no word for."""
    if not paths.config.exists() or paths.origins.exists():
        return {}
    from burnish.config.layer import plain  # which a supervisor has loaded
    from burnish.config.sources.yaml import parse_yaml

    try:
        values = plain(parse_yaml(paths.config.read_bytes(), str(paths.config)))
    except (ConfigError, OSError):
        return {}
    return dict(values) if isinstance(values, dict) else {}


def _environment(environ: Mapping[str, str], masker: Masker, prefix: str) -> dict[str, str]:
    kept = {
        name: value
        for name, value in environ.items()
        if (name in _ENVIRONMENT or tier_of(name, prefix) is not None) and not is_secret_name(name)
    }
    return {name: masker.text(value) for name, value in sorted(kept.items())}
