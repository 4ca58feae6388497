"""`burnish config show`: the resolved config, and where each value came from."""

from __future__ import annotations

import os
from pathlib import Path

import click

from burnish.cli import _console
from burnish.config.layer import Plain, leaves, plain
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
    values = plain(tree)
    assert isinstance(values, dict)
    shown = redact(values, Masker.from_environment(os.environ))
    places = {path: str(node.origin) for path, node in leaves(tree) if path}
    _show(file, key, shown, places, {}, origins=origins, as_json=as_json)


def _show_resolved(file: Path, key: str, flags: list[str], *, origins: bool, as_json: bool) -> None:
    from burnish.core.hardware import read_machine
    from burnish.experiment.submit import resolve_experiment

    masker = Masker.from_environment(os.environ)
    resolved = resolve_experiment(file, flags, find_project(), os.environ).on_machine(read_machine())
    values = redact(resolved.values, masker)
    places = {path: masker.text(str(origin)) for path, origin in resolved.origins.items()}
    if as_json and not key:
        _console.out_json({"values": values, "origins": places, "hash": resolved.hash, "group": resolved.group})
        return
    beaten = {
        path: [(MASK if is_secret_name(path) else value, masker.text(str(where))) for value, where in given]
        for path in places
        if (given := resolved.history(path)[1:])
    }
    _show(file, key, values, places, beaten, origins=origins, as_json=as_json)


def _show(
    file: Path,
    key: str,
    values: dict[str, Plain],
    places: dict[str, str],
    beaten: dict[str, list[tuple[Plain, str]]],
    *,
    origins: bool,
    as_json: bool,
) -> None:
    """Print the values under a key, of all where it is empty; `beaten` holds what each winner displaced."""
    chosen = {path: value for path, value in flat(values) if _is_under(path, key)}
    if not chosen and key:
        best = nearest_path(key, places)
        raise UsageError(f"no key {key!r} in {file}", hint=f"did you mean {best}?" if best else "")
    if as_json:
        kept = {path: place for path, place in places.items() if _is_under(path, key)}
        _console.out_json({"values": chosen if key else values, "origins": kept})
    elif not origins:
        _console.out(dump_yaml(chosen if key else values).rstrip())
    else:
        for path, value in chosen.items():
            _line(path, value, places.get(path, str(file)))
            for lost, where in beaten.get(path, []):
                _console.out(f"{'':<{_KEY_WIDTH}}   beat {_compact(lost)}  ({where})")


def _is_under(path: str, key: str) -> bool:
    return not key or path == key or path.startswith(f"{key}.")


def _line(path: str, value: object, origin: str) -> None:
    _console.out(f"{path:<{_KEY_WIDTH}} = {_compact(value)}  ({origin})")


def _compact(value: object) -> str:
    text = dump_yaml(value).strip().removesuffix("...").strip() if isinstance(value, str) else repr(value)
    if value is None or isinstance(value, bool):
        text = {None: "null", True: "true", False: "false"}[value]
    return text if len(text) <= 100 else f"{text[:97]}…"
