"""What somebody meant who wrote something that is no expression: how other languages spell it, or what runs know."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable
from keyword import iskeyword
from typing import Final

from burnish.analyze.names import Name, name_of
from burnish.core.errors import UsageError
from burnish.core.nearest import nearest
from burnish.journal.facts import STATISTICS
from burnish.journal.index_view import CONFIG, SUMMARY, IndexView

_TEXT: Final = r"'[^']*'|\"[^\"]*\""
_SPELLED: Final = re.compile(rf"({_TEXT})|\bsummary\.([\w./@:-]+)")
_PATH: Final = re.compile(r"[A-Za-z_][\w./@:-]*")
_OTHER_SPELLINGS: Final = (
    (r"&&?", "and"),
    (r"\|\|?", "or"),
    (r"<>", "!="),
    (r"!(?!=)", "not"),
    (r"(?<![<>=!])=(?!=)", "=="),
    (r"\bAND\b", "and"),
    (r"\bOR\b", "or"),
    (r"\bNOT\b", "not"),
    (r"\bIN\b", "in"),
)


def with_metrics_in_brackets(text: str, is_metric: Callable[[str], bool]) -> str:
    """Return an expression in which metrics that are written the way tables spell them are `summary['…']`.

    `summary.eval/loss` reads as a division, unless a run has a metric of that name: the longest that there is counts.

    >>> with_metrics_in_brackets("summary.eval/loss.min / 2 < summary.a/b", {"eval/loss"}.__contains__)
    "summary['eval/loss'].min / 2 < summary.a/b"
    """

    def mended(match: re.Match[str]) -> str:
        written = match[2] or ""
        metric = _longest(written, is_metric)
        return f"summary[{metric!r}]{written[len(metric) :]}" if "/" in metric else match[0]

    return _SPELLED.sub(mended, text)


def hint_of_text(text: str) -> str:
    """Return how to write what Python takes for something else or does not know; empty where that is not the matter."""
    bare = re.sub(_TEXT, "''", text)
    if hyphenated := re.search(r"config\.([\w.]*\w-[A-Za-z_][\w.-]*)", bare):
        return f"a key with a hyphen goes in brackets: config[{hyphenated[1]!r}]"
    for path in re.findall(r"config\.([\w.]+)", bare):
        if any(iskeyword(part) for part in path.split(".")):
            return f"a key that Python reserves goes in brackets: config[{path!r}]"
    if unquoted := re.search(r"\b((?:config|summary)[\w.]*)\[\s*([A-Za-z_][^\]'\"]*)\]", bare):
        return f"quotes are missing: {unquoted[1]}[{unquoted[2].strip()!r}]"
    for pattern, meant in _OTHER_SPELLINGS:
        if found := re.search(pattern, bare):
            return f"{found[0]!r} is written {meant!r}"
    return "'like' is written 'in': 'text' in name" if re.search(r"\blike\b", bare, re.IGNORECASE) else ""


def hint_of_runs(text: str, word: str, view: IndexView) -> str:
    """Return what a word that is no name may stand for, by what the runs have; empty where nothing is near.

    Args:
        text: The expression.
        word: The word in it.
        view: The index.
    """
    metrics = {key.removeprefix(SUMMARY) for key in view.names(SUMMARY)}
    keys = [key.removeprefix(CONFIG) for key in view.names(CONFIG)]
    written = [path.removeprefix(SUMMARY) for path in _PATH.findall(re.sub(_TEXT, "", text)) if word in path]
    for path in written:
        if metric := _longest(path, metrics.__contains__):
            return f"{metric} is a metric: summary[{metric!r}]"
    if held := [key for key in keys if key == word or key.endswith(f".{word}")]:
        return f"{word} is in the config: {CONFIG}{min(held, key=len)}"
    if _is_compared_with_text(text, word, view):
        return f"did you mean {word!r}, in quotes?"
    slipped = [best for path in written if "/" in path and (best := nearest(_without_statistic(path), metrics))]
    return f"did you mean summary[{slipped[0]!r}]?" if slipped else ""


def _longest(written: str, is_metric: Callable[[str], bool]) -> str:
    """Return the longest beginning that is a metric and ends where a word does, empty when none is."""
    ends = [match.end() for match in re.finditer(r"\w\b", written)]
    return next((written[:end] for end in reversed(ends) if is_metric(written[:end])), "")


def _without_statistic(path: str) -> str:
    metric, _, statistic = path.rpartition(".")
    return metric if statistic in STATISTICS else path


def _is_compared_with_text(text: str, word: str, view: IndexView) -> bool:
    for node in ast.walk(ast.parse(text.strip(), mode="eval")):
        if isinstance(node, ast.Compare):
            sides = [node.left, *node.comparators]
            if any(isinstance(side, ast.Name) and side.id == word for side in sides):
                names = [name for side in sides if (name := _name(side)) is not None]
                return any(isinstance(v, str | tuple) for name in names for v in name.column(view).values())
    return False


def _name(node: ast.expr) -> Name | None:
    try:
        return name_of(node)
    except UsageError:
        return None
