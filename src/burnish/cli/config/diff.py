"""`burnish config diff`: two configs, what they differ in, and which layer made each difference."""

from __future__ import annotations

import json
from pathlib import Path

import click

from burnish.cli import _console
from burnish.cli.config._source import find_source, snapshot_of
from burnish.config.diff import Change, Difference, Given, diff
from burnish.config.snapshot import Snapshot, dump_yaml
from burnish.core.paths import Project, find_project

_LONGEST = 60


@click.command()
@click.argument("a", metavar="A")
@click.argument("b", metavar="B")
@click.option("--exit-code", "by_exit_code", is_flag=True, help="Exit with 1 if they differ.")
@click.option("--json", "as_json", is_flag=True, help="Print every difference as JSON.")
def command(a: str, b: str, by_exit_code: bool, as_json: bool) -> int:
    """Compare two configs, each that of an experiment file or of a run.

    Shows every value that differs, where both were written, and which layer made the difference: the one whose
    value won in one config, and that the other does not have.
    """
    project = find_project()
    (name_a, taken_a), (name_b, taken_b) = (_taken(word, project) for word in (a, b))
    found = diff(taken_a, taken_b)
    if as_json:
        _show_json(found, (name_a, taken_a), (name_b, taken_b))
    else:
        _console.out(f"a  {name_a}\nb  {name_b}\n")
        _show(found)
    return 1 if by_exit_code and found.changes else 0


def _taken(word: str, project: Project) -> tuple[str, Snapshot]:
    source = find_source(word, project)
    name = str(source) if isinstance(source, Path) else f"run {source.name}"
    return name, snapshot_of(source, (), project)


def _show(found: Difference) -> None:
    for change in found.changes:
        _console.out(_head(change))
        for side, given in (("a", change.a), ("b", change.b)):
            if given is not None:
                written = f"{given.written}, " if given.written else ""
                made = "  ← made the difference" if side in change.made_by and change.a and change.b else ""
                _console.out(f"  {side}  {written}{', '.join(given.origins)}{made}")
    if found.computed:
        _console.out("\ncomputed from these")
        for change in found.computed:
            _console.out(f"  {_head(change)}")
    _console.out(_summary(found))
    if found.hidden:
        _console.err(f"credentials are not kept, so these are not compared: {', '.join(found.hidden)}")


def _head(change: Change) -> str:
    if change.a is not None and change.b is not None:
        return f"{change.path}: {_value(change.a)} → {_value(change.b)}"
    given, side = (change.a, "a") if change.a is not None else (change.b, "b")
    assert given is not None
    return f"{change.path}: {_value(given)}, only in {side}"


def _value(given: Given) -> str:
    """Return a value in one short line."""
    is_plain = not isinstance(given.value, dict | list)
    text = dump_yaml(given.value).removesuffix("...\n").strip() if is_plain else json.dumps(given.value)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def _summary(found: Difference) -> str:
    count = len(found.changes)
    if not count:
        return "no differences, the same hash" if found.same_hash else "no differences"
    group = "the same group: repeats of each other" if found.same_group else "different groups"
    return f"\n{count} difference{'s' if count > 1 else ''}; {group}"


def _show_json(found: Difference, a: tuple[str, Snapshot], b: tuple[str, Snapshot]) -> None:
    sides = {side: {"name": n, "hash": t.hash, "group": t.group} for side, (n, t) in (("a", a), ("b", b))}
    _console.out_json(
        {
            **sides,
            "differences": [change.to_json() for change in found.changes],
            "computed": [change.to_json() for change in found.computed],
            "same_hash": found.same_hash,
            "same_group": found.same_group,
            "not_compared": list(found.hidden),
        }
    )
