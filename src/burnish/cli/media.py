"""`burnish media`: what a run recorded besides scalars, as a list, on the terminal, or as files with readable names."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING

import click

from burnish.analyze.media import Histogram, at_step, contents, media
from burnish.analyze.table import Table, cell_text
from burnish.cli import _console
from burnish.cli._media_files import many, media_json, write_files
from burnish.core.errors import RunError, UsageError
from burnish.core.nearest import nearest
from burnish.core.paths import RunPaths, find_project
from burnish.journal.index import find_run

if TYPE_CHECKING:
    from burnish.analyze.media import Content, Media

_FEW_STEPS = 4
_MOST_BARS, _BAR_WIDTH = 24, 40
_EIGHTHS = " ▏▎▍▌▋▊▉█"


@click.command(short_help="List, print or write what a run recorded besides scalars.")
@click.argument("run")
@click.argument("keys", metavar="[KEY…]", nargs=-1)
@click.option("--step", type=int, metavar="STEP", help="Only what was recorded at this step.")
@click.option("-o", "--output", "folder", metavar="DIR", type=click.Path(path_type=Path), help="Write files into DIR.")
@click.option("--force", is_flag=True, help="Replace files that exist.")
@click.option("--json", "as_json", is_flag=True, help="Print one object; of one KEY with its content.")
def command(run: str, keys: tuple[str, ...], step: int | None, folder: Path | None, force: bool, as_json: bool) -> None:
    """List what a run recorded besides scalars: pictures, graphs, tables, texts, histograms. KEY may be a pattern.

    \b
    burnish media k7f2                       what there is
    burnish media k7f2 eval/samples          one of them, of the last step: text, a table, bars, a picture's path
    burnish media k7f2 'eval/*' -o pictures  all that fit, as files

    Files are called after key and step: pictures stay PNG or JPEG, tables and histograms are CSV, texts .txt, graphs
    JSON. A live run is read as it stands.
    """  # noqa: D301  \b is click's mark for lines to keep apart
    if force and folder is None:
        raise UsageError("--force replaces files, and none are written", hint="name a folder: -o DIR")
    project = find_project()
    _console.adopt(project)
    paths = find_run(project.runs, run)
    chosen = _matching(paths, media(paths.root), keys)
    is_one = len(keys) == 1 and len({item.key for item in chosen}) == 1
    shown = chosen
    if step is not None or (is_one and folder is None):
        shown = at_step(chosen, step) if is_one else _of_step(chosen, step)
    if not shown and not as_json:
        _console.err(f"run {paths.id} has recorded nothing but scalars")
    elif folder is not None:
        write_files(paths, shown, folder, force=force, as_json=as_json)
    elif is_one:
        _print_contents(paths, shown, len({item.step for item in chosen}), as_json=as_json)
    elif as_json:
        _console.out_json({"run": paths.name, "media": [media_json(item) for item in shown]})
    else:
        _list(shown)


def _matching(paths: RunPaths, every: Sequence[Media], keys: Sequence[str]) -> list[Media]:
    """Return the media whose keys were named or fit a pattern.

    Raises:
        RunError: There is nothing for one of the keys.
    """
    known = list(dict.fromkeys(item.key for item in every))
    wanted: set[str] = set()
    for key in keys:
        fitting = [key] if key in known else [name for name in known if fnmatchcase(name, key)]
        if not fitting:
            raise RunError(f"run {paths.id} recorded nothing called {key!r}", hint=_hint(paths, key, known))
        wanted.update(fitting)
    return [item for item in every if not keys or item.key in wanted]


def _hint(paths: RunPaths, key: str, known: Sequence[str]) -> str:
    from burnish.core.shape import section
    from burnish.journal.record import read_record

    if key in section(read_record(paths), "summary"):
        return f"it is a metric: burnish export {paths.id} --metrics {key}"
    if best := nearest(key, known):
        return f"did you mean {best}?"
    some = f"{', '.join(known[:8])}{', …' if len(known) > 8 else ''}"
    return f"there are {some}" if known else "nothing but scalars was recorded yet"


def _of_step(chosen: Sequence[Media], step: int | None) -> list[Media]:
    found = [item for item in chosen if item.step == step]
    if not found:
        raise RunError(f"nothing was recorded at step {step}", hint="see which steps there are, without --step")
    return found


def _list(chosen: Sequence[Media]) -> None:
    groups: dict[tuple[str, str], list[Media]] = {}
    for item in chosen:
        groups.setdefault((item.key, item.kind), []).append(item)
    rows = [
        (_plain(key), kind, f"{len(found):,}", _steps(found), _shape(found[-1]), _size(found))
        for (key, kind), found in groups.items()
    ]
    _console.table(("key", "kind", "count", "steps", "last", "size"), rows, right=(2, 5))


def _steps(found: Sequence[Media]) -> str:
    steps = list(dict.fromkeys(str(item.step) for item in found if item.step is not None))
    return ", ".join(steps) if len(steps) <= _FEW_STEPS else f"{steps[0]} … {steps[-1]}"


def _shape(item: Media) -> str:
    if item.kind == "table" and len(item.shape) == 2:
        return f"{many(item.shape[0], 'row')} × {many(item.shape[1], 'column')}"
    if item.kind in ("text", "histogram"):
        return many(item.shape[0], "character" if item.kind == "text" else "bin")
    return " × ".join(map(str, item.shape))


def _size(found: Sequence[Media]) -> str:
    return _console.size_text(sum(item.size_bytes for item in found))


def _plain(text: str, kept: str = "") -> str:
    r"""Return text without what would steer a terminal; a model's answer may hold anything.

    >>> _plain("a\x1b[2Jb\n")
    'a\\x1b[2Jb\\n'
    """
    return "".join(c if c.isprintable() or c in kept else repr(c)[1:-1] for c in text)


def _print_contents(paths: RunPaths, shown: Sequence[Media], steps: int, *, as_json: bool) -> None:
    """Print what was recorded under one key at one step.

    Raises:
        RunError: It cannot be read.
    """
    found = list(contents(paths.root, shown))
    for _, content in found:
        if isinstance(content, RunError):
            raise content
    if as_json:
        told = [{**media_json(item), "content": _as_json(content)} for item, content in found]
        _console.out_json({"run": paths.name, "media": told})
        return
    for item, content in found:
        _print(item, content)
    if steps > 1:
        _console.err(f"of step {shown[0].step}, one of {steps:,} steps; another: --step STEP, all as files: -o DIR")


def _as_json(content: Content | RunError) -> object:
    if isinstance(content, Table):
        columns = content.columns
        return {"columns": list(columns), "rows": [list(row) for row in zip(*columns.values(), strict=True)]}
    if isinstance(content, Histogram):
        return {name: getattr(content, name) for name in content.__slots__}
    return content if isinstance(content, str | dict) else None  # a picture is its file


def _print(item: Media, content: Content | RunError) -> None:
    if isinstance(content, str):
        _console.out(_plain(content, "\n\t") if sys.stdout.isatty() else content)
    elif isinstance(content, Table):
        columns = content.columns
        rows = [[_plain(cell_text(cell)) for cell in row] for row in zip(*columns.values(), strict=True)]
        right = [place for place, column in enumerate(columns.values()) if _is_numeric(column)]
        _console.table([_plain(name) for name in columns], rows, right=right)
    elif isinstance(content, Histogram):
        _console.out("\n".join(_bars(content)))
    elif isinstance(content, dict):
        _console.out(_plain(item.caption))
        _print_modules(content)
    else:
        _console.out(str(content))


def _is_numeric(column: Sequence[object]) -> bool:
    known = [cell for cell in column if cell is not None]
    return bool(known) and all(isinstance(cell, int | float) and not isinstance(cell, bool) for cell in known)


def _print_modules(graph: dict[str, object]) -> None:
    from burnish.core.shape import items

    nodes = [node for node in items(graph, "nodes") if isinstance(node, dict)]
    rows = []
    for node in nodes:
        name, size = str(node.get("name", "")), node.get("parameters")
        indent = "  " * (name.count(".") + 1) if name else ""
        own = f"{size:,}" if isinstance(size, int) and size else ""
        rows.append((indent + _plain(name or "(model)"), _plain(str(node.get("class", ""))), own))
    _console.table(("module", "class", "own parameters"), rows, right=(2,))


def _bars(spread: Histogram) -> list[str]:
    """Return a histogram as lines: bounds, a bar, a count. Neighbouring bins are put together where there are many."""
    known = {"mean": spread.mean, "std": spread.std, "min": spread.min, "max": spread.max}
    told = ", ".join(f"{name} {value:.4g}" for name, value in known.items() if value is not None)
    lines = [f"{many(spread.count, 'value')}{', ' if told else ''}{told}"]
    if spread.nonfinite:
        lines[0] += f", {spread.nonfinite:,} not finite"
    if not any(spread.counts):
        return lines
    width = -(-len(spread.counts) // _MOST_BARS)
    bounds, counts = [], []
    for start in range(0, len(spread.counts), width):
        stop = min(start + width, len(spread.counts))
        bounds.append((f"{spread.edges[start]:.4g}", f"{spread.edges[stop]:.4g}"))
        counts.append(sum(spread.counts[start:stop]))
    before, after = (max(map(len, side)) for side in zip(*bounds, strict=True))
    most = max(counts)
    for (low, high), count in zip(bounds, counts, strict=True):
        lines.append(f"{low:>{before}} … {high:>{after}}  {_bar(count / most)} {count:,}".rstrip())
    return lines


def _bar(share: float) -> str:
    """Return a bar; what is there at all is seen.

    >>> _bar(1.0) == "█" * 40, _bar(0.0001), _bar(0)
    (True, '▏', '')
    """
    eighths = max(round(share * _BAR_WIDTH * 8), share > 0)
    whole, rest = divmod(eighths, 8)
    return "█" * whole + _EIGHTHS[rest].strip()
