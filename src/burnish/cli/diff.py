"""`burnish diff`: two runs, and everything in which they differ."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

import click

from burnish.cli import _console
from burnish.cli._comparison import Code, Comparison, Pair, Result, compare
from burnish.cli._metrics import check_globs, fits, fold_hint, rows_of
from burnish.config.diff import Change, Difference, Given
from burnish.core.paths import find_project
from burnish.core.shape import section
from burnish.journal.index import find_run
from burnish.journal.order import Fold
from burnish.track.quantity import quantity

_WIDTH = 13
_LONGEST = 60
_SHORT_COMMIT = 12
_MOST_UNTRACKED = 3
_BEST = 4  # columns of a table without what is best
# What a machine did and where time went is not what a run was for; --json has it.
_NOT_RESULTS = ("system/", "phase/")


@click.command(short_help="Compare two runs: config, command, code, packages, machine, data, results.")
@click.argument("a", metavar="A")
@click.argument("b", metavar="B")
@click.option("--metrics", "globs", metavar="GLOB", multiple=True, help="Only these results; may be given again.")
@click.option("--json", "as_json", is_flag=True, help="Print everything as one object.")
def command(a: str, b: str, globs: tuple[str, ...], as_json: bool) -> None:
    """Compare two runs: A is what was, B what became of it.

    Says what differs in config, command, code, packages, machine, environment and data, and sets the results side by
    side. Of many metrics of one group there is one line; --metrics shows each.
    """
    project = find_project()
    _console.adopt(project)
    found = compare(find_run(project.runs, a), find_run(project.runs, b), project.root)
    if as_json:
        _console.out_json(_as_json(found))
        return
    check_globs(globs, found.results)
    _show(found, globs)
    if not globs and (
        hint := fold_hint(_results(found, ()), _definitions(found), f"diff {found.a.paths.id} {found.b.paths.id}")
    ):
        _console.hint_on_terminal(hint)
    if found.config is not None and found.config.hidden:
        _console.err(f"credentials are not kept, so these are not compared: {', '.join(found.config.hidden)}")


def _show(found: Comparison, globs: Sequence[str]) -> None:
    for side, run in (("a", found.a), ("b", found.b)):
        _console.out(f"{side}  {run.paths.name}  {run.record.get('state')}")
    _console.out("")
    _section("config", *_config_lines(found))
    _section("command", _count(len(found.command)), _lines(found.command))
    _section("code", *_code_lines(found.code))
    _section("packages", _packages_head(found.packages), _lines(found.packages))
    for title, pairs in (("machine", found.machine), ("environment", found.environment), ("data", found.data)):
        _section(title, _count(len(pairs)), _lines(pairs))
    _show_results(found, globs)


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
    if not code.differs:
        return _sameness(code), []
    pairs = {key: (_commit(a), _commit(b)) if key == "commit" else (a, b) for key, (a, b) in code.different.items()}
    titles = {"dirty": "uncommitted changes"}
    lines = _lines({titles.get(key, key): pair for key, pair in pairs.items()})
    if not code.same_changes:
        lines.append(f"changed lines in code.diff: {code.changed_lines[0]} → {code.changed_lines[1]}")
    return _count(len(lines)), [*lines, *(line.strip() for line in code.stat.splitlines())]


def _sameness(code: Code) -> str:
    """Return how far the code is the same, of which nothing is known to differ."""
    if not code.is_known:
        return "not known: neither run's code is in git"
    if not code.same_script:
        return "same commit, but not the same script: see command"
    if code.untracked:
        some = ", ".join(code.untracked[:_MOST_UNTRACKED])
        more = f" and {left} more" if (left := len(code.untracked) - _MOST_UNTRACKED) > 0 else ""
        return f"same commit; files that git does not know are not compared: {some}{more}"
    return "same"


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


def _definitions(found: Comparison) -> dict[str, object]:
    """Return what the users of both runs said of metrics; the second one's word counts."""
    return {**section(found.a.record, "metrics"), **section(found.b.record, "metrics")}


def _results(found: Comparison, globs: Sequence[str]) -> dict[str, Result]:
    return {
        name: result
        for name, result in found.results.items()
        if (fits(name, globs) if globs else not name.startswith(_NOT_RESULTS))
    }


def _show_results(found: Comparison, globs: Sequence[str]) -> None:
    shown = _results(found, globs)
    if not shown:
        _section("results", "no metrics", [])
        return
    _section("results", _noise(found), [])
    statistics = [s for s in ("last", "best") if any(s in result.a or s in result.b for result in shown.values())]
    head = ["metric", *(column for s in statistics for column in (f"{s} a", f"{s} b", "b − a"))]
    rows = []
    for name in rows_of(shown, _definitions(found), fold=not globs):
        if isinstance(name, Fold):
            rows.append([str(name), *([""] * (len(head) - 1))])
            continue
        result = shown[name]
        values = (v for s in statistics for v in (result.a.get(s), result.b.get(s), result.difference(s)))
        rows.append([name, *(quantity(name, value) or "–" for value in values)])
    # A narrow terminal does without what is best, which is near what was last.
    _console.table(head, rows, right=range(1, len(head)), drop=((4, 5, 6),) if len(head) > _BEST else ())


def _noise(found: Comparison) -> str:
    noise = "one run each: a difference may be noise"
    has_repeats = found.a.config is not None and found.a.config.group
    return f"{noise}; see burnish ls --like {found.a.paths.id}" if has_repeats else noise


def _as_json(found: Comparison) -> dict[str, object]:
    def sides(pairs: Mapping[str, Pair]) -> dict[str, object]:
        return {key: {"a": a, "b": b} for key, (a, b) in pairs.items()}

    code = found.code
    return {
        "a": found.a.to_json(),
        "b": found.b.to_json(),
        "config": _config_json(found.config),
        "command": sides(found.command),
        "code": {
            "same": code.is_same,
            "known": code.is_known,
            "same_script": code.same_script,
            "untracked": list(code.untracked),
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
