"""Which metrics of a run a command shows, and in which order."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import TypeVar

from burnish.core.errors import RunError
from burnish.core.nearest import nearest
from burnish.core.shape import section
from burnish.journal.order import Fold, folded, groups, ordered

_MOST_NAMED = 8

V = TypeVar("V")


def chosen(found: Mapping[str, V], globs: Sequence[str]) -> dict[str, V]:
    """Return what there is of metrics that one of the patterns fits; all where there is no pattern.

    Raises:
        RunError: A pattern fits none.
    """
    check_globs(globs, found)
    return {name: value for name, value in found.items() if not globs or fits(name, globs)}


def fits(name: str, globs: Sequence[str]) -> bool:
    """Return whether one of the patterns fits a metric."""
    return any(fnmatchcase(name, glob) for glob in globs)


def check_globs(globs: Sequence[str], names: Iterable[str]) -> None:
    """See to it that each pattern fits something.

    Raises:
        RunError: One fits none of the names.
    """
    known = list(names)
    for glob in globs:
        if not any(fnmatchcase(name, glob) for name in known):
            what = "no metric fits" if set(glob) & set("*?[") else "no metric is called"
            raise RunError(f"{what} {glob!r}", hint=_what_there_is(glob, known))


def rows_of(names: Iterable[str], metrics: Mapping[str, object], *, fold: bool) -> list[str | Fold]:
    """Return metrics in the order in which they are shown.

    Args:
        names: Their names.
        metrics: `metrics` of the record: what the user said of them.
        fold: Make one of many that are alike.
    """
    definitions = {pattern: section(metrics, pattern) for pattern in metrics}
    return folded(names, definitions) if fold else [*ordered(names, definitions)]


def fold_hint(names: Iterable[str], metrics: Mapping[str, object], words: str) -> str:
    """Return how to see what was folded, empty where nothing was.

    Args:
        names: The metrics.
        metrics: `metrics` of the record.
        words: The command that was typed, without `burnish`.
    """
    folds = [found for found in rows_of(names, metrics, fold=True) if isinstance(found, Fold)]
    return f"each of them: burnish {words} --metrics '{folds[0].pattern}'" if folds else ""


def _what_there_is(glob: str, names: Sequence[str]) -> str:
    if not names:
        return "nothing was logged yet"
    best = nearest(glob, names)
    found = groups(names)
    if not best and (near := nearest(glob, [name.partition(" ")[0] for name in found])):
        best = near
    some = ", ".join(found[:_MOST_NAMED])
    return f"did you mean {best}?" if best else f"there are {some}{', …' if len(found) > _MOST_NAMED else ''}"
