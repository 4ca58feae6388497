"""Config values from the command line: `--a.b value`, `--a.b=value`, `a.b=value`, `--flag`, `--no-flag`."""

from __future__ import annotations

import re
from collections.abc import Mapping as Environ
from collections.abc import Sequence
from typing import NamedTuple

from burnish.config.layer import Layer, Mapping, Node, Scalar, nested
from burnish.config.origin import Origin
from burnish.config.sources.yaml import parse_yaml, resolve_plain
from burnish.core.errors import ConfigError, Problem
from burnish.core.nearest import nearest

_SHORT = re.compile(r"-(?!inf\b|nan\b)[A-Za-z]")
_PLAIN = re.compile(r"(?!--|\.\.\.|-\Z)[A-Za-z0-9_.+/-]+\Z")


def flag_layers(
    words: Sequence[str], aliases: Environ[str, str] | None = None, problems: list[Problem] | None = None
) -> list[Layer]:
    """Read flags, each into a layer of its own: of a flag that is given twice the last wins, and `key+` appends.

    A value is read as YAML, so numbers, lists (`[1, 2]`) and sections (`{a: 1}`) work.

    Args:
        words: The words of the command line.
        aliases: Flags that fields declare for themselves (`-b`, `--batch-size`), and the paths that they set.
        problems: Where to add mistakes; None raises them.

    Raises:
        ConfigError: A word is neither a flag nor `key=value`, or a value is not YAML, and nobody collects problems.
    """
    layers: list[Layer] = []
    told: list[Problem] = [] if problems is None else problems
    for flag in split_flags(words, aliases or {}, told):
        layers += _read(flag, told)
    if problems is None and told:
        raise ConfigError(told)
    return layers


class Flag(NamedTuple):
    """A flag as it was typed: its name, the path that it sets, and the text of its value."""

    name: str
    path: str
    text: str
    is_implied: bool = False


def split_flags(words: Sequence[str], aliases: Environ[str, str], problems: list[Problem]) -> list[Flag]:
    """Return the flags among words, values still as text."""
    flags: list[Flag] = []
    left = list(words)
    while left:
        word = left.pop(0)
        name, equals, text = word.partition("=")
        if not is_flag(word):
            if equals:
                flags.append(Flag(name, name, text))
            else:
                problems.append(Problem(f"unexpected argument {word!r}", hint=f"--KEY {word} or KEY={word}"))
            continue
        path = aliases.get(name, name[2:] if name.startswith("--") else "")
        if not path and not name.startswith("--"):
            problems.append(_unknown_short(name, aliases))
            if not equals and left and not is_flag(left[0]):
                left.pop(0)
            continue
        if not equals:
            # `--no-x` never takes the next word, which may be key=value
            negated = aliases.get(f"--{name[5:]}", name[5:]) if name.startswith("--no-") and name not in aliases else ""
            if negated:
                path, text = negated, "false"
            elif left and not is_flag(left[0]):
                text = left.pop(0)
            else:
                text = "true"
                flags.append(Flag(name, path, text, is_implied=True))
                continue
        flags.append(Flag(name, path, text))
    return flags


def is_flag(word: str) -> bool:
    """Return whether a word is a flag, and no value such as `-5`, `-.5` or `-inf`.

    >>> [is_flag(word) for word in ("--a.b", "-b", "-lr", "-5", "-.5e3", "-inf", "a=1")]
    [True, True, True, False, False, False, False]
    """
    return word.startswith("--") or _SHORT.match(word) is not None


def _unknown_short(name: str, aliases: Environ[str, str]) -> Problem:
    best = nearest(name, aliases)
    short = sorted(alias for alias in aliases if not alias.startswith("--"))
    hint = (
        f"did you mean {best}?" if best else f"there are {', '.join(short)}" if short else "write --SECTION.KEY VALUE"
    )
    return Problem(f"unknown flag {name}", hint=hint)


def is_text(text: str) -> bool:
    """Return whether what the shell gave is text: a byte that is not UTF-8 comes as half of a surrogate pair."""
    return text.isascii() or not any("\ud800" <= letter <= "\udfff" for letter in text)


def text_value(text: str, origin: Origin) -> Node:
    """Read the text of a flag or variable as a YAML value that came from `origin`.

    Raises:
        ConfigError: It is not YAML, or not text.
    """
    if not is_text(text):
        raise ConfigError([Problem("a byte that is not UTF-8", str(origin))])
    if not text.strip():
        return Scalar(text, origin, text)
    if text[0] == "{" and ":" not in text and text.strip() != "{}":  # a template such as {question}, and no section
        return Scalar(text, origin, text)
    if _PLAIN.match(text) and len(text) < 200:  # most are one plain word, for which no parser need be set up
        return Scalar(resolve_plain(text), origin, text)
    try:
        node = parse_yaml(text, str(origin))
    except ConfigError as error:
        # Most such texts are plain words with a colon or bracket in them (URLs, templates): take them as they are.
        if text[0] not in "[{":
            return Scalar(text, origin, text)
        raise ConfigError([Problem(p.message, str(origin)) for p in error.problems]) from error
    if isinstance(node, Mapping) and text[0] != "{":
        return Scalar(text, origin, text)
    if isinstance(node, Scalar) and node.raw != text.strip() and text[0] not in "'\"":
        # YAML would drop what follows ` #`, fold lines and read tags: a shell has said what the text is.
        return Scalar(text, origin, text)
    return _from(node, origin)


def _read(flag: Flag, problems: list[Problem]) -> list[Layer]:
    key, origin = flag.path, Origin("flag", flag.name)
    if not key or not all(key.split(".")) or not is_text(key):
        problems.append(Problem(f"{flag.name!r} names no key", str(origin)))
        return []
    try:
        # A flag without a value is true and no text: `--name --seed 3` has forgotten the name.
        node = Scalar(True, origin) if flag.is_implied else text_value(flag.text, origin)
        return [Layer(str(origin), nested(key, node))]
    except ConfigError as error:
        problems.extend(error.problems)
        return []


def _from(node: Node, origin: Origin) -> Node:
    """Return a tree in which everything came from one origin."""
    if isinstance(node, Scalar):
        return Scalar(node.value, origin, node.raw)
    if isinstance(node, Mapping):
        items = {key: _from(item, origin) for key, item in node.items.items()}
        return Mapping(items, origin, dict.fromkeys(items, origin))
    return type(node)(tuple(_from(item, origin) for item in node.items), origin)
