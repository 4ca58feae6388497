"""`burnish rename`: another name for a run; its date and id stay, and the id goes on naming it."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import click

from burnish.cli import _console
from burnish.cli._removal import is_locked, references
from burnish.core.errors import RunError, StorageError, UsageError
from burnish.core.files import FileLock, sync_folder
from burnish.core.ids import run_id, run_name, slug
from burnish.core.paths import RunPaths, find_project
from burnish.journal.annotations import annotate
from burnish.journal.index import RunIndex, find_run
from burnish.journal.record import LIVE, read_record


@click.command(short_help="Give a run another name; its id stays.")
@click.argument("run")
@click.argument("name", metavar="NEWNAME")
@click.option("--json", "as_json", is_flag=True, help="Print the old and the new name as one object.")
def command(run: str, name: str, as_json: bool) -> None:
    """Rename a run: what its full name says between date and id. Which experiment it ran does not change.

    A live run is not renamed, nor one whose checkpoints or artifacts another run has in its config by path. What
    another run only used is found again by its hash.
    """
    project = find_project()
    _console.adopt(project)
    before = find_run(project.runs, run)
    after = rename_run(before, name)
    if as_json:
        _console.out_json({"before": before.name, "run": after.name, "id": after.id, "folder": str(after.root)})
    else:
        _console.out(f"{before.name} → {after.name}")


def rename_run(paths: RunPaths, name: str) -> RunPaths:
    """Give a run's folder another name. Its checkpoints, where they lie elsewhere, keep theirs.

    Moving those as well would take two more renames, and a crash between them would lose the checkpoints from view;
    a link that leads to a folder by the old name is always right, and `burnish rm` knows the old names.

    Raises:
        UsageError: Nothing of the name can stand in a file name.
        RunError: The run is live, other runs hold paths into its folder, or the name is taken.
        StorageError: The folder cannot be written.
    """
    if not slug(name):
        raise UsageError(f"{name!r} cannot be a name: nothing of it can stand in a file name")
    date = re.match(r"\d{8}(?=_)", paths.name)
    new = run_name(date[0], [name], paths.id) if date else run_name(slug(name), [], paths.id)
    target = paths.root.with_name(new)
    if new == paths.name:
        raise RunError(f"run {new} has that name already")
    if target.exists() or target.is_symlink():
        raise RunError(f"{target} exists already", hint="choose another name")
    if holders := _holders_of_paths(paths):
        hint = f"its id names it all the same; these have paths in their config: {', '.join(holders)}"
        raise RunError(f"run {paths.name} cannot be renamed: others were made from its files", hint=hint)
    if is_locked(paths) or read_record(paths).get("state") in LIVE:
        raise _is_live(paths)
    return _rename(paths, target)


def _rename(paths: RunPaths, target: Path) -> RunPaths:
    try:
        lock = FileLock.try_acquire(paths.lock)
        if lock is None:
            raise _is_live(paths)
        with lock:
            if read_record(paths).get("state") in LIVE:
                raise _is_live(paths)  # it was resumed, and died, since we looked
            # First: a crash in between leaves a run that was once named as it is, which harms nobody.
            annotate(paths, lambda said: replace(said, named_before=_and(said.named_before, paths.name)))
            paths.root.rename(target)
            sync_folder(target.parent)
    except OSError as error:
        raise StorageError(f"cannot rename run {paths.name}: {error.strerror}") from error
    return RunPaths(target)


def _and(names: tuple[str, ...], name: str) -> tuple[str, ...]:
    return (*(n for n in names if n != name), name)


def _is_live(paths: RunPaths) -> RunError:
    return RunError(f"run {paths.name} is live and cannot be renamed", hint="wait for its end")


def _holders_of_paths(paths: RunPaths) -> list[str]:
    """Return the runs whose config, which is frozen, holds a path below a run's folder."""
    known = references(RunIndex(paths.root.parent).records())
    mine = [ref for ref in known if run_id(ref.to) == paths.id and ref.path and ref.in_config]
    return sorted({ref.by for ref in mine if Path(ref.path).is_relative_to(paths.root)})
