"""`burnish diff`: two runs, and everything in which they differ."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

import click

from burnish.cli import _console
from burnish.cli._comparison import Code, Comparison, Pair, compare
from burnish.config.diff import Change, Difference, Given
from burnish.core.paths import find_project
from burnish.journal.index import find_run

_WIDTH = 13
_LONGEST = 60
_SHORT_COMMIT = 12
# What a machine did and where time went is not what a run was for; --json has it.
_NOT_RESULTS = ("system/", "phase/")


@click.command(short_help="Compare two runs: config, code, packages, machine, data, results.")
@click.argument("a", metavar="A")
@click.argument("b", metavar="B")
@click.option("--json", "as_json", is_flag=True, help="Print everything as one object.")
def command(a: str, b: str, as_json: bool) -> None:
    """Compare two runs: A is what was, B what became of it.

    Says what differs in config, code, packages, machine, environment and data, and sets the results side by side.
    """
    project = find_project()
    _console.adopt(project)
    found = compare(find_run(project.runs, a), find_run(project.runs, b), project.root)
    if as_json:
        _console.out_json(_as_json(found))
        return
    _show(found)
    if found.config is not None and found.config.hidden:
        _console.err(f"credentials are not kept, so these are not compared: {', '.join(found.config.hidden)}")


def _show(found: Comparison) -> None:
    for side, run in (("a", found.a), ("b", found.b)):
        _console.out(f"{side}  {run.paths.name}  {run.record.get('state')}")
    _console.out("")
    _section("config", *_config_lines(found))
    _section("code", *_code_lines(found.code))
    _section("packages", _packages_head(found.packages), _lines(found.packages))
    for title, pairs in (("machine", found.machine), ("environment", found.environment), ("data", found.data)):
        _section(title, _count(len(pairs)), _lines(pairs))
    _results(found)


def _section(title: str, head: str, lines: Sequence[str]) -> None:
    _console.out(f"{title:<{_WIDTH}}{head}")
    for line in lines:
        _console.out(f"  {line}")


def _count(number: int) -> str:
    return f"{number} difference{'s' if number > 1 else ''}" if number else "same"


def _lines(pairs: Mapping[str, Pair]) -> list[str]:
    return [f"{key}: {_pair(a, b)}" for key, (a, b) in pairs.items()]


def _pair(a: object, b: object) -> str:
    if a is None or b is None:
        side, value = ("b", b) if a is None else ("a", a)
        return f"{_text(value)}, only in {side}"
    return f"{_text(a)} → {_text(b)}"


def _text(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def _config_lines(found: Comparison) -> tuple[str, list[str]]:
    if found.config is None:
        have = [side for side, run in (("a", found.a), ("b", found.b)) if run.config is not None]
        return (f"only {have[0]} has one" if have else "neither run has one"), []
    # A plain script's config has no origins but its own file in the run, which says nothing.
    own = tuple(str(run.paths.config) for run in (found.a, found.b))
    lines = [_change(change, own) for change in found.config.changes]
    if not lines:
        return "same", []
    group = "the same group: repeats of each other" if found.config.same_group else "different groups"
    return f"{_count(len(lines))}; {group}", lines


def _change(change: Change, own: tuple[str, ...]) -> str:
    # Where the value was written that made the difference; where neither did alone, the newer one.
    sides = {"a": change.a, "b": change.b}
    makers = [given for side, given in sides.items() if side in change.made_by] or [change.b or change.a]
    made = dict.fromkeys(origin for given in makers if given is not None for origin in given.origins)
    told = ", ".join(origin for origin in made if not origin.startswith(own))
    line = f"{change.path}: {_pair(_value(change.a), _value(change.b))}"
    return f"{line}  ({told})" if told else line


def _value(given: Given | None) -> object:
    if given is None:
        return None
    return given.written or ("null" if given.value is None else given.value)


def _code_lines(code: Code) -> tuple[str, list[str]]:
    if code.is_same:
        return "same", []
    pairs = {key: (_commit(a), _commit(b)) if key == "commit" else (a, b) for key, (a, b) in code.different.items()}
    titles = {"dirty": "uncommitted changes"}
    lines = _lines({titles.get(key, key): pair for key, pair in pairs.items()})
    if not code.same_changes:
        lines.append(f"changed lines in code.diff: {code.changed_lines[0]} → {code.changed_lines[1]}")
    return _count(len(lines)), [*lines, *(line.strip() for line in code.stat.splitlines())]


def _commit(commit: object) -> object:
    return str(commit)[:_SHORT_COMMIT] if commit else None


def _packages_head(pairs: Mapping[str, Pair]) -> str:
    added, removed, changed = (len(found) for found in _packages(pairs).values())
    counts = ((added, "added"), (removed, "removed"), (changed, "changed"))
    return ", ".join(f"{number} {what}" for number, what in counts if number) or "same"


def _packages(pairs: Mapping[str, Pair]) -> dict[str, dict[str, object]]:
    return {
        "added": {name: b for name, (a, b) in pairs.items() if a is None},
        "removed": {name: a for name, (a, b) in pairs.items() if b is None},
        "changed": {name: {"a": a, "b": b} for name, (a, b) in pairs.items() if a is not None and b is not None},
    }


def _results(found: Comparison) -> None:
    shown = {name: result for name, result in found.results.items() if not name.startswith(_NOT_RESULTS)}
    if not shown:
        _section("results", "no metrics", [])
        return
    _section("results", _noise(found), [])
    statistics = [s for s in ("last", "best") if any(s in result.a or s in result.b for result in shown.values())]
    head = ["metric", *(column for s in statistics for column in (f"{s} a", f"{s} b", "b − a"))]
    rows = [
        [name, *(_number(value) for s in statistics for value in (r.a.get(s), r.b.get(s), r.difference(s)))]
        for name, r in shown.items()
    ]
    _console.table(head, rows, right=range(1, len(head)))


def _noise(found: Comparison) -> str:
    noise = "one run each: a difference may be noise"
    has_repeats = found.a.config is not None and found.a.config.group
    return f"{noise}; see burnish ls --like {found.a.paths.id}" if has_repeats else noise


def _number(value: object) -> str:
    return f"{value:.6g}" if isinstance(value, int | float) else "–"


def _as_json(found: Comparison) -> dict[str, object]:
    def sides(pairs: Mapping[str, Pair]) -> dict[str, object]:
        return {key: {"a": a, "b": b} for key, (a, b) in pairs.items()}

    code = found.code
    return {
        "a": found.a.to_json(),
        "b": found.b.to_json(),
        "config": _config_json(found.config),
        "code": {
            "same": code.is_same,
            "different": sides(code.different),
            "changed_lines": {"a": code.changed_lines[0], "b": code.changed_lines[1]},
            "same_changes": code.same_changes,
            "stat": code.stat,
        },
        "packages": _packages(found.packages),
        "machine": sides(found.machine),
        "environment": sides(found.environment),
        "data": sides(found.data),
        "results": {name: result.to_json() for name, result in found.results.items()},
        "note": _noise(found),
    }


def _config_json(found: Difference | None) -> dict[str, object] | None:
    if found is None:
        return None
    return {
        "same_hash": found.same_hash,
        "same_group": found.same_group,
        "differences": [change.to_json() for change in found.changes],
        "computed": [change.to_json() for change in found.computed],
        "not_compared": list(found.hidden),
    }
