"""`burnish config import`: a recipe of another tool as an experiment file."""

from __future__ import annotations

import os
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from burnish.cli import _console
from burnish.config.layer import Plain
from burnish.config.snapshot import dump_yaml
from burnish.core.errors import UsageError
from burnish.core.files import make_folder, write_atomic
from burnish.core.secrets import MASK, Masker

if TYPE_CHECKING:
    from burnish.project.migrate import Left, Migration

_LONGEST = 60
_KINDS = ("trl", "axolotl", "llama-factory", "torchtune", "hydra")


@click.command()
@click.argument("source", type=click.Path(path_type=Path), metavar="SOURCE")
@click.option("--kind", type=click.Choice(_KINDS), help="Whose recipe it is, where that does not show.")
@click.option("-o", "--output", type=click.Path(path_type=Path), metavar="FILE", help="Write it there.")
@click.option("--force", is_flag=True, help="Replace FILE.")
@click.option("--json", "as_json", is_flag=True, help="Print the experiment and what was left as JSON.")
def command(source: Path, kind: str | None, output: Path | None, force: bool, as_json: bool) -> None:
    """Turn a recipe of TRL, axolotl, LLaMA-Factory or torchtune, or a Hydra config folder, into an experiment file.

    Nothing in SOURCE is executed. What could not be carried over is listed, each value with its place and the reason.
    """
    if output is not None and output.exists() and not force:
        raise UsageError(f"{output} exists", hint="another -o FILE, or --force to replace it")
    from burnish.project.migrate import migrate, to_yaml

    migration = _without_credentials(migrate(source, kind=kind))  # type: ignore[arg-type]  # click has checked it
    text = to_yaml(migration)
    if output is not None:
        make_folder(output.parent)
        write_atomic(output, text)
    if as_json:
        _console.out_json(_as_json(migration, output))
        return
    if output is None:
        _console.out(text.rstrip("\n"))
    _tell(migration, output)


def _tell(migration: Migration, output: Path | None) -> None:
    """Say what was left, and how much was carried over."""
    for left in migration.left:
        _console.err(f"not carried over: {left.path} = {_shown(left)} ({left.origin}): {left.reason}")
    for note in migration.notes:
        _console.err(f"note: {note}")
    to = f"; wrote {output}" if output is not None else ""
    _console.err(f"{migration.kind}: {len(migration.carried)} values carried over, {len(migration.left)} not{to}")
    if output is not None:
        _console.err(f"check it: burnish config check {output}")


def _without_credentials(migration: Migration) -> Migration:
    """Return a migration in which a credential of the recipe is asked for by a variable, or masked."""
    mask = Masker.from_environment(os.environ).tree
    notes: list[str] = []

    def hide(value: Plain, path: str) -> Plain:
        if isinstance(value, dict):
            return {key: hide(item, f"{path}.{key}" if path else key) for key, item in value.items()}
        if isinstance(value, list):
            return [hide(item, f"{path}.{number}") for number, item in enumerate(value)]
        hidden: Plain = mask(value, path)
        if not isinstance(value, str) or hidden == value:
            return value
        name = path.rpartition(".")[2].upper()
        notes.append(f"to do: {path} was a credential or held one, which is left out; export {name}, or set it anew")
        return f"${{env:{name}}}" if hidden == MASK else hidden

    experiment = {key: hide(item, key) for key, item in migration.experiment.items()}
    left = tuple(replace(left, value=mask(left.value, left.path)) for left in migration.left)
    return replace(migration, experiment=experiment, left=left, notes=(*migration.notes, *notes))


def _shown(left: Left) -> str:
    text = " ".join(dump_yaml(left.value).removesuffix("...\n").split())
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def _as_json(migration: Migration, output: Path | None) -> dict[str, object]:
    return {
        "kind": migration.kind,
        "source": migration.source,
        "output": str(output) if output is not None else None,
        "experiment": migration.experiment,
        "carried": [asdict(carried) for carried in migration.carried],
        "left": [asdict(left) for left in migration.left],
        "notes": list(migration.notes),
    }
