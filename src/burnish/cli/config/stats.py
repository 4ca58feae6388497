"""`burnish config stats`: how large and how repetitive the config files of a project are."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import click

from burnish.cli import _console
from burnish.config.layer import Plain
from burnish.config.snapshot import dump_yaml
from burnish.config.stats import Stats, stats
from burnish.config.survey import pick, survey
from burnish.core.errors import UsageError
from burnish.core.paths import Project, find_project
from burnish.core.secrets import Masker

_LONGEST = 40


@click.command()
@click.argument("files", nargs=-1, type=click.Path(path_type=Path), metavar="[FILE]…")
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON.")
def command(files: tuple[Path, ...], as_json: bool) -> None:
    """Count parameters of experiment files, and find what they repeat and could share.

    Counted as written: a file with what it extends, before the schema's defaults. Complexity is the logarithm of
    the parameters, to base 2, times the depth. Without FILE, the experiments of experiments/.
    """
    found = stats_of(files, find_project())
    if as_json:
        _console.out_json(_as_json(found))
    else:
        _show(found)


def stats_of(files: Sequence[Path], project: Project) -> Stats:
    """Return the statistics of some experiment files, or where none is named of all that the project has.

    Raises:
        UsageError: There is none.
        ConfigError: Every file that cannot be read.
    """
    folder = project.root / "experiments"
    found = survey(folder, files)
    chosen = pick(found, files) if files else [one for one in found if one.role == "experiment" or one.problems]
    if not chosen:
        raise UsageError(f"no experiment files in {folder}", hint="name one: burnish config stats FILE")
    return stats(chosen, next((one for one in found if one.role == "default"), None))


def _show(found: Stats) -> None:
    rows = [
        [size.file, str(size.parameters), str(size.depth), f"{size.complexity:.2f}", ", ".join(size.parents)]
        for size in found.sizes
    ]
    _console.table(["file", "parameters", "depth", "complexity", "extends"], rows, right=(1, 2, 3))
    for again in found.repeats:
        _console.out(f"\n{again.origin}: {again.key} repeats {_text(again.key, again.value)}")
        _console.out(f"  {again.given_by} gives it already: remove it")
    for many in found.overridden:
        times = len(many.history) - 1
        _console.out(f"\n{many.history[0][1]}: {many.key} is overridden {times} times in {many.file}")
        for value, origin in many.history:
            _console.out(f"  {_text(many.key, value)}  ({origin})")
        _console.out("  only the first counts here: remove those below it that no other file needs")
    for pair in found.close:
        what = f"{_values(len(pair.keys))} ({', '.join(pair.keys)})" if pair.keys else "nothing"
        _console.out(f"\n{pair.files[0]} and {pair.files[1]} differ in {what}, and share no parent")
        _console.out(f"  move what they agree in, {_values(pair.shared)}, to a file that both extend")


def _values(number: int) -> str:
    return f"{number} value{'' if number == 1 else 's'}"


def _text(key: str, value: Plain) -> str:
    masked = Masker.from_environment(os.environ).tree(value, key)
    text = " ".join(dump_yaml(masked).removesuffix("...\n").split())
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def _as_json(found: Stats) -> dict[str, object]:
    mask = Masker.from_environment(os.environ).tree
    return {
        "files": {
            size.file: {
                "parameters": size.parameters,
                "depth": size.depth,
                "complexity": size.complexity,
                "parents": list(size.parents),
            }
            for size in found.sizes
        },
        "repeats": [
            {"key": r.key, "value": mask(r.value, r.key), "origin": r.origin, "given_by": r.given_by}
            for r in found.repeats
        ],
        "overridden": [
            {
                "file": many.file,
                "key": many.key,
                "history": [{"value": mask(value, many.key), "origin": origin} for value, origin in many.history],
            }
            for many in found.overridden
        ],
        "close": [
            {"files": list(pair.files), "differences": len(pair.keys), "keys": list(pair.keys), "shared": pair.shared}
            for pair in found.close
        ],
    }
