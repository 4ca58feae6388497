"""Making a run: its name, its directory, the snapshot of its config, its card."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from burnish.config import Resolved
from burnish.config.interpolate import RunReference
from burnish.config.layer import Plain
from burnish.config.snapshot import write_snapshot
from burnish.core.files import FileLock, write_atomic
from burnish.core.hardware import Machine, read_machine
from burnish.core.paths import Project, RunPaths, find_project
from burnish.core.secrets import Masker
from burnish.core.shape import words
from burnish.isolate.git import read_code_state
from burnish.journal.record import read_record
from burnish.launch.retry import RetryPolicy
from burnish.track.card import collect_card, find_seeds, write_card
from burnish.track.shipping import Options
from burnish.track.start import create_run_directory, write_first_record


@dataclass(frozen=True, slots=True)
class RunPlan:
    """What is to be run, before anything is written.

    Attributes:
        experiment: Short name that repeated runs share, such as the experiment file's.
        name_parts: What the run's name says between date and random part.
        command: The command line that trains.
        policy: When to start it again.
        ship_to: The sinks, with their options.
        needs_end_record: Whether the command is known to close its record.
        resolved: The config, for an experiment.
        tags: Words to find the run by.
        debug: It is for looking at one step: no other run starts from it by name.
        group: What runs that belong together are shown under.
        sweep: The sweep that it is part of: its id, which run of how many, and what this one varies.
        replays: Name of the run whose config it runs again.
        credentials: What is to be masked besides what config and environment tell.
        tracking: What its `tracking` section says that is no default.
    """

    experiment: str
    name_parts: tuple[str, ...]
    command: tuple[str, ...]
    policy: RetryPolicy
    ship_to: Mapping[str, Options] = field(default_factory=dict)
    needs_end_record: bool = False
    resolved: Resolved | None = None
    tags: tuple[str, ...] = ()
    debug: bool = False
    group: str = ""
    sweep: Mapping[str, object] = field(default_factory=dict)
    replays: str = ""
    credentials: tuple[str, ...] = field(default=(), repr=False)
    tracking: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PreparedRun:
    """A run directory that is ready to be supervised.

    Attributes:
        paths: Its files.
        command: The command line that trains, credentials and all.
        lock: Held since before others could see the run, so that it is nobody's orphan meanwhile.
        secrets: Config values that were masked on disk, by path; the training process gets them by environment.
        warnings: What whoever started it should be told.
    """

    paths: RunPaths
    command: tuple[str, ...]
    lock: FileLock
    secrets: dict[str, Plain] = field(default_factory=dict, repr=False)
    warnings: tuple[str, ...] = ()


def prepare_run(
    plan: RunPlan, project: Project, *, environ: Mapping[str, str], machine: Machine | None = None
) -> PreparedRun:
    """Make the directory of a run, with its config, card and first record.

    Raises:
        StorageError: The runs folder cannot be written.
    """
    known = plan.resolved.masker if plan.resolved is not None else Masker.from_environment(environ)
    masker = Masker.knowing({*known.values, *plan.credentials})
    machine = machine or read_machine()
    now = time.time()
    name_parts = [masker.text(part) for part in plan.name_parts]
    paths = create_run_directory(project.make(), name_parts, now, environ)
    lock = FileLock.try_acquire(paths.lock)
    assert lock is not None, "nobody else can know of a directory that was made a moment ago"
    resolved = plan.resolved
    config = {"hash": resolved.hash, "group": resolved.group} if resolved else {}
    lineage = {path: asdict(ref) for path, ref in resolved.lineage.items()} if resolved else {}
    record: dict[str, object] = {
        "state": "created",
        "created": now,
        "experiment": plan.experiment,
        "debug": plan.debug,
        "group": plan.group,
        "sweep": masker.tree(plan.sweep),
        "replays": plan.replays,
        "tags": list(plan.tags),
        "typed": masker.command(sys.argv),
        "command": (shown := masker.command(plan.command)),
        "command_is_masked": shown != list(plan.command),
        "directory": str(Path.cwd()),
        "project": str(project.root),
        "ship_to": masker.tree(plan.ship_to),
        "retry": asdict(plan.policy),
        "needs_end_record": plan.needs_end_record,
        "tracking": dict(plan.tracking),
        "config": config,
        "lineage": lineage,
        "artifacts": [_used(ref) for ref in resolved.lineage.values() if ref.artifact] if resolved else [],
        "attempts": [],
    }
    write_first_record(paths, record)
    secrets = write_snapshot(resolved, paths) if resolved is not None else {}
    about = _About({**config, "lineage": lineage}, find_seeds(resolved.redacted) if resolved else {}, machine)
    warnings = _write_card(paths, plan.command, project, record, about, environ, masker)
    told = resolved.warnings if resolved is not None else ()
    return PreparedRun(paths, plan.command, lock, secrets, (*told, *warnings))


def _used(ref: RunReference) -> dict[str, object]:
    """Return what the record says of an artifact that the config refers to."""
    told = {"role": "used", "name": ref.artifact, "sha256": ref.manifest_sha256, "path": ref.path, "run": ref.run}
    return {**told, "kind": "", "bytes": None, "step": None}


def describe_kept_run(paths: RunPaths) -> None:
    """Write the card of a run that a plain script began."""
    record = read_record(paths)
    masker = Masker.from_environment(os.environ)
    project = find_project(Path(str(record.get("project"))))
    about = _About({}, {}, read_machine())
    _write_card(paths, words(record, "command"), project, record, about, os.environ, masker)


@dataclass(frozen=True, slots=True)
class _About:
    """What the card says of config and machine.

    Attributes:
        config: Hashes, and the runs that it refers to.
        seeds: The seeds in it, by path.
        machine: Where the run trains.
    """

    config: Mapping[str, object]
    seeds: Mapping[str, object]
    machine: Machine


def _write_card(
    paths: RunPaths,
    command: Sequence[str],
    project: Project,
    record: Mapping[str, object],
    about: _About,
    environ: Mapping[str, str],
    masker: Masker,
) -> tuple[str, ...]:
    """Write a run's first card and the diff of its code; return what whoever started it should be told."""
    code = read_code_state(project.root)
    card = collect_card(
        machine=about.machine,
        command=command,
        code=masker.tree(code.to_json()) if code else None,
        config=about.config,
        seeds=about.seeds,
        environ=environ,
        masker=masker,
        prefix=project.env_prefix,
        project=project.root,
        folder=paths.root,
    )
    write_card(paths, card, record)
    if code is None:
        return ("no git repository here: the code of this run is not recorded (git init)",)
    if not code.commit:
        return ("the git repository has no commit yet: the code of this run is not recorded",)
    if code.diff:
        write_atomic(paths.root / "code.diff", masker.source(code.diff) + "\n")
    return () if code.complete else ("git did not tell all: the changes of this run's code are recorded in part",)
