"""`burnish config show`: the resolved config, and where each value came from."""

from __future__ import annotations

import os
from pathlib import Path

import click

from burnish.cli import _console
from burnish.config.layer import leaves, plain
from burnish.config.snapshot import dump_yaml, flat, redact
from burnish.core.errors import UsageError
from burnish.core.nearest import nearest_path
from burnish.core.paths import find_project
from burnish.core.secrets import MASK, Masker, is_secret_name

_KEY_WIDTH = 38


@click.group(short_help="Show the resolved config and where each value came from.")
def command() -> None:
    """Show the resolved config and where each value came from."""


@command.command("show", context_settings={"ignore_unknown_options": True})
@click.argument("words", nargs=-1, type=click.UNPROCESSED, metavar="EXPERIMENT.yaml [KEY] [--KEY VALUE]…")
@click.option("--origins", is_flag=True, help="Show where each value came from, winner and losers.")
@click.option("--static", is_flag=True, help="As written: no schema, no references, nothing executed.")
@click.option("--json", "as_json", is_flag=True, help='Print {"values": …, "origins": …}.')
def show(words: tuple[str, ...], origins: bool, static: bool, as_json: bool) -> None:
    """Show the config of an experiment file: every value, or those under KEY."""
    if not words or words[0].startswith("-"):
        raise UsageError("no config file named", hint="burnish config show experiments/sft.yaml")
    file, rest = Path(words[0]), list(words[1:])
    key = rest.pop(0) if rest and not rest[0].startswith("-") and "=" not in rest[0] else ""
    if static:
        _show_static(file, key, origins=origins, as_json=as_json)
    else:
        _show_resolved(file, key, rest, origins=origins, as_json=as_json)


def _show_static(file: Path, key: str, *, origins: bool, as_json: bool) -> None:
    from burnish.config.resolve import load_static

    tree = load_static(file)
    masker = Masker.from_environment(os.environ)
    values = plain(tree)
    assert isinstance(values, dict)
    values = redact(values, masker)
    places = {path: str(node.origin) for path, node in leaves(tree) if path}
    if as_json:
        _console.out_json({"values": values, "origins": places})
        return
    if not origins:
        _console.out(dump_yaml(values).rstrip())
        return
    for path, value in flat(values):
        if path == key or path.startswith(f"{key}.") or not key:
            _line(path, value, places.get(path, str(tree.origin)))


def _show_resolved(file: Path, key: str, flags: list[str], *, origins: bool, as_json: bool) -> None:
    from burnish.core.hardware import read_machine
    from burnish.experiment.submit import resolve_experiment

    project = find_project()
    masker = Masker.from_environment(os.environ)
    resolved = resolve_experiment(file, flags, project, os.environ).on_machine(read_machine())
    values = redact(resolved.values, masker)
    chosen = {p: v for p, v in flat(values) if not key or p == key or p.startswith(f"{key}.")}
    if not chosen:
        best = nearest_path(key, resolved.origins)
        raise UsageError(f"no key {key!r} in {file}", hint=f"did you mean {best}?" if best else "")
    if as_json:
        places = {path: masker.text(str(origin)) for path, origin in resolved.origins.items()}
        _console.out_json({"values": values, "origins": places, "hash": resolved.hash, "group": resolved.group})
        return
    if not origins:
        _console.out(dump_yaml(values).rstrip() if not key else dump_yaml(chosen).rstrip())
        return
    for path, value in chosen.items():
        origin = resolved.origins.get(path)
        _line(path, value, masker.text(str(origin)))
        for lost, where in resolved.history(path)[1:]:
            shown = MASK if is_secret_name(path) else lost
            _console.out(f"{'':<{_KEY_WIDTH}}   beat {_compact(shown)}  ({masker.text(str(where))})")


def _line(path: str, value: object, origin: str) -> None:
    _console.out(f"{path:<{_KEY_WIDTH}} = {_compact(value)}  ({origin})")


def _compact(value: object) -> str:
    text = dump_yaml(value).strip().removesuffix("...").strip() if isinstance(value, str) else repr(value)
    if value is None or isinstance(value, bool):
        text = {None: "null", True: "true", False: "false"}[value]
    return text if len(text) <= 100 else f"{text[:97]}…"
