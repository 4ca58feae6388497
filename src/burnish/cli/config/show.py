"""`burnish config show`: the resolved config, and where each value came from."""

from __future__ import annotations

import os
from pathlib import Path

import click

from burnish.cli import _console
from burnish.cli.config._source import find_source, snapshot_of
from burnish.config.layer import Plain, leaves, plain
from burnish.config.snapshot import Snapshot, dump_yaml, flat
from burnish.config.sources.files import SUFFIXES, read_files, static_tree
from burnish.config.sources.python import PythonFile
from burnish.core.errors import UsageError
from burnish.core.nearest import nearest_path
from burnish.core.paths import Project, RunPaths, find_project
from burnish.core.secrets import Masker

_KEY_WIDTH = 38


@click.command(context_settings={"ignore_unknown_options": True})
@click.argument("words", nargs=-1, type=click.UNPROCESSED, metavar="[EXPERIMENT|RUN] [KEY] [--KEY VALUE]…")
@click.option("--origins", is_flag=True, help="Show where each value came from, winner and losers.")
@click.option("--static", is_flag=True, help="As written: no schema, no references, nothing executed.")
@click.option("--json", "as_json", is_flag=True, help='Print {"values": …, "origins": …}.')
def command(words: tuple[str, ...], origins: bool, static: bool, as_json: bool) -> None:
    """Show the config of an experiment file or of a run: every value, or those under KEY.

    With a KEY alone, the config of the newest run.
    """
    project = find_project()
    source, key, flags = _read(list(words), project)
    if static:
        if isinstance(source, RunPaths):
            source = source.config
        taken = _as_written(source)
    else:
        taken = snapshot_of(source, flags, project)
    _show(str(source if isinstance(source, Path) else source.id), key, taken, origins=origins, as_json=as_json)


def _read(words: list[str], project: Project) -> tuple[Path | RunPaths, str, list[str]]:
    """Return what is to be shown: file or run, key, flags."""
    named = [word for word in words[:2] if not word.startswith("-") and "=" not in word]
    if words and not named:
        raise UsageError("no config file or run named", hint="burnish config show experiments/sft.yaml")
    if len(named) == 2 and words[:2] == named:
        return find_source(named[0], project), named[1], words[2:]
    rest = words[1:]
    if named and (Path(named[0]).is_file() or named[0].endswith(SUFFIXES)):
        return Path(named[0]), "", rest
    try:
        return find_source(named[0], project) if named else _newest(project), "", rest
    except UsageError as error:
        if error.hint.startswith("did you mean"):
            raise
        newest = _newest(project)
        _console.err(f"of the newest run, {newest.name}")
        return newest, named[0], rest


def _newest(project: Project) -> RunPaths:
    from burnish.journal.index import RunIndex

    found = [record for record in RunIndex(project.runs).records() if record.get("config")]
    if not found:
        raise UsageError(
            f"no config file or run named, and no run with a config in {project.runs}",
            hint="burnish config show experiments/sft.yaml",
        )
    return RunPaths(project.runs / str(found[0]["name"]))


def _as_written(file: Path) -> Snapshot:
    sources = read_files(file)
    for source in sources:
        if isinstance(source, PythonFile):
            _console.warn(f"{source.name} is not executed by a static look: what it computes is left out")
    tree = static_tree(sources)
    values = Masker.from_environment(os.environ).tree(plain(tree))
    return Snapshot(values, {path: str(node.origin) for path, node in leaves(tree) if path})


def _show(name: str, key: str, taken: Snapshot, *, origins: bool, as_json: bool) -> None:
    """Print the values under a key, of all where it is empty."""
    chosen = {path: value for path, value in flat(taken.values) if _is_under(path, key)}
    computed = {path: value for path, value in taken.computed.items() if _is_under(path, key)}
    if key and not chosen and not computed:
        best = nearest_path(key, [*taken.origins, *taken.computed])
        raise UsageError(f"no key {key!r} in {name}", hint=f"did you mean {best}?" if best else "")
    if as_json:
        _show_json(key, chosen, computed, taken)
    elif not origins:
        shown = chosen if key else taken.values
        if shown:
            _console.out(dump_yaml(shown).rstrip())
        for path, (value, _) in computed.items():  # as comments: what is printed can be run as it stands
            _console.out(f"# {path}: {_compact(value)}")
    else:
        for path, value in chosen.items():
            _line(path, value, taken.origins.get(path, name))
            for lost, where in taken.history.get(path, [])[1:]:
                _console.out(f"{'':<{_KEY_WIDTH}}   beat {_compact(lost)}  ({where})")
        for path, (value, origin) in computed.items():
            _line(path, value, origin)


def _show_json(key: str, chosen: dict[str, Plain], computed: dict[str, tuple[Plain, str]], taken: Snapshot) -> None:
    result: dict[str, object] = {
        "values": chosen if key else taken.values,
        "origins": {path: place for path, place in taken.origins.items() if _is_under(path, key)},
    }
    if computed:
        result["computed"] = {path: {"value": value, "origin": origin} for path, (value, origin) in computed.items()}
    history = {
        path: [{"value": value, "origin": origin} for value, origin in given]
        for path, given in taken.history.items()
        if _is_under(path, key)
    }
    if history:
        result["history"] = history
    _console.out_json({**result, **({"hash": taken.hash, "group": taken.group} if taken.hash and not key else {})})


def _is_under(path: str, key: str) -> bool:
    return not key or path == key or path.startswith(f"{key}.")


def _line(path: str, value: object, origin: str) -> None:
    _console.out(f"{path:<{_KEY_WIDTH}} = {_compact(value)}  ({origin})")


def _compact(value: object) -> str:
    text = dump_yaml(value).strip().removesuffix("...").strip() if isinstance(value, str) else repr(value)
    if value is None or isinstance(value, bool):
        text = {None: "null", True: "true", False: "false"}[value]
    return text if len(text) <= 100 else f"{text[:97]}…"
