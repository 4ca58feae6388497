"""Config values from the command line: `--a.b value`, `--a.b=value`, `a.b=value`, `--flag`, `--no-flag`."""

from __future__ import annotations

from collections.abc import Sequence

from burnish.config.layer import Layer, Mapping, Node, Scalar, empty, nested
from burnish.config.merge import merge
from burnish.config.origin import Origin
from burnish.config.sources.yaml import parse_yaml
from burnish.core.errors import ConfigError, Problem


def flags_layer(words: Sequence[str]) -> Layer:
    """Read flags into a layer; of a flag that is given twice, the last one wins.

    A value is read as YAML, so numbers, lists (`[1, 2]`) and sections (`{a: 1}`) work.

    Raises:
        ConfigError: A word is neither a flag nor `key=value`, or a value is not YAML.
    """
    tree = empty(Origin("flag", ""))
    problems: list[Problem] = []
    left = list(words)
    while left:
        word = left.pop(0)
        name, equals, text = word.partition("=")
        if not word.startswith("--"):
            if not equals:
                problems.append(Problem(f"unexpected argument {word!r}", hint=f"--KEY {word} or KEY={word}"))
                continue
            tree = _set(tree, name, text, Origin("flag", name), problems)
            continue
        key, origin = name[2:], Origin("flag", name)
        if not equals:
            if left and not left[0].startswith("--"):
                text = left.pop(0)
            elif key.startswith("no-"):
                key, text = key[3:], "false"
            else:
                text = "true"
        tree = _set(tree, key, text, origin, problems)
    if problems:
        raise ConfigError(problems)
    return Layer("flags", tree)


def text_value(text: str, origin: Origin) -> Node:
    """Read the text of a flag or variable as a YAML value that came from `origin`.

    Raises:
        ConfigError: It is not YAML.
    """
    if not text.strip():
        return Scalar(text, origin, text)
    try:
        node = parse_yaml(text, str(origin))
    except ConfigError as error:
        # Most such texts are plain words with a colon or bracket in them (URLs, templates): take them as they are.
        if text[0] not in "[{":
            return Scalar(text, origin, text)
        raise ConfigError([Problem(p.message, str(origin)) for p in error.problems]) from error
    if isinstance(node, Mapping) and text[0] != "{":
        return Scalar(text, origin, text)
    return _from(node, origin)


def _set(tree: Mapping, key: str, text: str, origin: Origin, problems: list[Problem]) -> Mapping:
    if not key or not all(key.split(".")):
        problems.append(Problem(f"{str(origin.source)!r} names no key", str(origin)))
        return tree
    try:
        return merge(tree, nested(key, text_value(text, origin)))
    except ConfigError as error:
        problems.extend(error.problems)
        return tree


def _from(node: Node, origin: Origin) -> Node:
    """Return a tree in which everything came from one origin."""
    if isinstance(node, Scalar):
        return Scalar(node.value, origin, node.raw)
    if isinstance(node, Mapping):
        items = {key: _from(item, origin) for key, item in node.items.items()}
        return Mapping(items, origin, dict.fromkeys(items, origin))
    return type(node)(tuple(_from(item, origin) for item in node.items), origin)
