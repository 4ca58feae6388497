"""What a recipe of another tool became: the experiment, what was carried where, and what was left and why.

Every leaf of the source is in `carried` or `left`; one that is a whole section stands for all below it.
"""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal, get_args

from burnish.config.layer import Plain
from burnish.config.snapshot import dump_yaml

Kind = Literal["trl", "axolotl", "llama-factory", "torchtune", "hydra"]

KINDS: Final[tuple[Kind, ...]] = get_args(Kind)

EMPTY: Final = "is empty"
"""The reason why a key without a value is left: there is nothing to carry over."""

_WIDTH = 120
_MAX_SHOWN = 60


@dataclass(frozen=True, slots=True)
class Carried:
    """One value that was carried over: its path in the source, where it stands there, its path in ours."""

    path: str
    origin: str
    to: str


@dataclass(frozen=True, slots=True)
class Left:
    """One value that was not carried over, or one that must be set still, and why."""

    path: str
    value: Plain
    origin: str
    reason: str


@dataclass(frozen=True, slots=True)
class Migration:
    """A recipe of another tool as a Burnish experiment.

    Attributes:
        kind: Whose recipe it was.
        source: The file or folder that was read, as a person would type it.
        experiment: The values of the experiment file.
        carried: What was carried over, in the order of the source.
        left: What was not, in the order of the source.
        notes: What to know or to do before the experiment can run, one sentence each.
    """

    kind: Kind
    source: str
    experiment: dict[str, Plain]
    carried: tuple[Carried, ...]
    left: tuple[Left, ...]
    notes: tuple[str, ...] = ()


def to_yaml(migration: Migration) -> str:
    """Return the text of a Burnish experiment file, with what was left over as comments at its end."""
    head = [f"Imported from {migration.source} ({migration.kind})."]
    lines = [*_comment(head), *_comment(migration.notes, mark="- ")]
    if "experiment" not in migration.experiment:
        lines.append("# experiment: module:YourExperiment   <- name yours")
    if migration.experiment:
        lines.append(dump_yaml(migration.experiment).rstrip("\n"))
    told = [left for left in migration.left if left.reason != EMPTY]
    if told:
        places = [left.origin.removeprefix(f"{migration.source}:") for left in told]
        lines += ["", "# Not carried over:"]
        lines += _comment(
            [f"{left.path}: {_shown(left.value)} ({at}): {left.reason}" for left, at in zip(told, places, strict=True)],
            mark="- ",
        )
    if empty := [left.path for left in migration.left if left.reason == EMPTY]:
        lines += ["", *_comment([f"Empty there, so there is nothing to carry over: {', '.join(empty)}"], wrap=True)]
    return "\n".join(lines) + "\n"


def _comment(texts: Iterator[str] | tuple[str, ...] | list[str], mark: str = "", *, wrap: bool = False) -> list[str]:
    """Return texts as comment lines; a line break inside one would end the comment, and YAML has no control codes."""
    flat = [f"{mark}{_printable(' '.join(text.split()))}" for text in texts]
    lines = [line for text in flat for line in textwrap.wrap(text, _WIDTH - 2)] if wrap else flat
    return [f"# {line}" for line in lines]


def _shown(value: Plain) -> str:
    """Return a value in one short line."""
    if isinstance(value, dict):
        return _counted(len(value), "key") if value else "{}"
    if isinstance(value, list) and (len(value) > 4 or any(isinstance(item, dict | list) for item in value)):
        return _counted(len(value), "item")
    if isinstance(value, list):
        return f"[{', '.join(_shown(item) for item in value)}]"
    text = dump_yaml(value).removesuffix("...\n").strip()
    if isinstance(value, str) and not value.isprintable():
        text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _MAX_SHOWN else f"{text[: _MAX_SHOWN - 1]}…"


def _printable(text: str) -> str:
    return "".join(letter if letter.isprintable() else "�" for letter in text)


def _counted(number: int, what: str) -> str:
    return f"{number} {what}{'s' if number > 1 else ''}"
