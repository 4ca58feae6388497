"""`burnish tag`: words to find runs by."""

from __future__ import annotations

import click

from burnish.cli import _console
from burnish.core.errors import RunError, UsageError
from burnish.core.paths import Project, RunPaths, find_project
from burnish.core.shape import words
from burnish.journal.annotations import annotate, check_tag
from burnish.journal.index import find_run
from burnish.journal.record import read_record


@click.command(short_help="Add and remove tags of runs.")
@click.argument("what", metavar="RUN… [+WORD]…", nargs=-1, required=True)
@click.option("-r", "--remove", metavar="WORD", multiple=True, help="Remove a tag; may be given again.")
@click.option("--json", "as_json", is_flag=True, help="Print the tags as one object.")
def command(what: tuple[str, ...], remove: tuple[str, ...], as_json: bool) -> None:
    """Add tags to runs, remove them, or print them.

    \b
    burnish tag k7f2                           print the tags of a run
    burnish tag k7f2 m3x9 +baseline +paper     add two tags to two runs
    burnish tag k7f2 --remove paper            remove one

    Tags can be changed while a run lives, also those that its config gave.
    """  # noqa: D301  \b is click's mark for lines to keep apart
    add = [check_tag(word[1:]) for word in what if word.startswith("+")]
    selectors = [word for word in what if not word.startswith("+")]
    if not selectors:
        raise UsageError("no run is named", hint=f"burnish tag RUN {' '.join(what)}")
    if both := sorted(set(add) & set(remove)):
        raise UsageError(f"{both[0]!r} cannot be both added and removed")
    project = find_project()
    found = _find(project, selectors, has_change=bool(add or remove))  # all of them, before anything is written
    for paths in found if add or remove else ():
        before = words(read_record(paths), "tags")
        annotate(paths, lambda said: said.tagged(add, remove))
        for word in remove:
            if word not in before:
                _console.err(f"run {paths.id} has no tag {word!r}")
    tags = {paths.name: words(read_record(paths), "tags") for paths in found}
    if as_json:
        _console.out_json({"runs": [{"run": name, "tags": list(shown)} for name, shown in tags.items()]})
        return
    for name, shown in tags.items():
        _console.out(f"{name}  {' '.join(shown) or 'no tags'}")


def _find(project: Project, selectors: list[str], *, has_change: bool) -> list[RunPaths]:
    found: dict[str, RunPaths] = {}
    for selector in selectors:
        try:
            paths = find_run(project.runs, selector)
        except RunError as error:
            if found and not has_change:  # `burnish tag k7f2 baseline`: the word was meant
                first = next(iter(found.values()))
                raise RunError(error.message, hint=f"to add a tag: burnish tag {first.id} +{selector}") from error
            raise
        found[str(paths.root)] = paths
    return list(found.values())
