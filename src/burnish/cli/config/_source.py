"""What a config command is about: an experiment file, or a run."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from burnish.cli import _console
from burnish.cli._settings import experiment_called
from burnish.config.snapshot import Snapshot, read_snapshot, take_snapshot
from burnish.config.sources.files import SUFFIXES
from burnish.core.errors import RunError, UsageError
from burnish.core.paths import Project, RunPaths


def find_source(word: str, project: Project) -> Path | RunPaths:
    """Return the file or run that a word names: a file where it looks like one.

    Raises:
        UsageError: It is neither.
    """
    from burnish.journal.index import find_run

    if Path(word).is_file() or word.endswith(SUFFIXES):
        return Path(word)
    try:
        return find_run(project.runs, word)
    except RunError as error:
        near = experiment_called(word)
        hint = f"did you mean {near}?" if near is not None else error.hint
        raise UsageError(f"{word!r} is neither a config file nor a run", hint=hint) from error


def snapshot_of(source: Path | RunPaths, flags: Sequence[str], project: Project) -> Snapshot:
    """Return the resolved config of a file for this machine, or the one that a run was started with.

    Raises:
        ConfigError: Every mistake, at once.
        UsageError: Flags are given for a run, whose config does not change any more.
    """
    if isinstance(source, RunPaths):
        if flags:
            raise UsageError(f"the config of run {source.id} is frozen: {flags[0]} cannot change it")
        return read_snapshot(source)
    from burnish.core.hardware import read_machine
    from burnish.experiment.submit import resolve_experiment

    resolved = resolve_experiment(source, flags, project, os.environ).on_machine(read_machine(), os.environ)
    for warning in resolved.warnings:
        _console.warn(warning)
    return take_snapshot(resolved)
