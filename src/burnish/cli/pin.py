"""`burnish pin`: runs that must stay."""

from __future__ import annotations

from dataclasses import replace

import click

from burnish.cli import _console
from burnish.core.errors import UsageError
from burnish.core.paths import find_project
from burnish.journal.annotations import annotate
from burnish.journal.index import find_run


@click.command(short_help="Keep runs from being removed.")
@click.argument("runs", metavar="RUN…", nargs=-1, required=True)
@click.option("--undo", is_flag=True, help="Let them be removed again.")
@click.option("--json", "as_json", is_flag=True, help="Print what is pinned as one object.")
def command(runs: tuple[str, ...], undo: bool, as_json: bool) -> None:
    """Pin runs: `burnish rm` refuses to remove them until they are let go with --undo."""
    for selector in runs:
        run, at, _ = selector.partition("@")
        if at:
            hint = f"pin the whole run: burnish pin {run}"
            raise UsageError(f"{selector!r}: a single checkpoint cannot be pinned yet", hint=hint)
    project = find_project()
    found = {paths.name: paths for paths in [find_run(project.runs, selector) for selector in runs]}
    for paths in found.values():
        annotate(paths, lambda said: replace(said, pinned=not undo))
    if as_json:
        _console.out_json({"runs": [{"run": name, "pinned": not undo} for name in found]})
        return
    for name in found:
        _console.out(f"{name}  {'not pinned' if undo else 'pinned'}")
