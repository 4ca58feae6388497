"""Config values from the command line: `--a.b value`, `--a.b=value`, `a.b=value`, `--flag`, `--no-flag`."""

from __future__ import annotations

from collections.abc import Sequence

from burnish.config.layer import Layer, Mapping, Node, Scalar, nested
from burnish.config.origin import Origin
from burnish.config.sources.yaml import parse_yaml
from burnish.core.errors import ConfigError, Problem


def flag_layers(words: Sequence[str]) -> list[Layer]:
    """Read flags, each into a layer of its own: of a flag that is given twice the last wins, and `key+` appends.

    A value is read as YAML, so numbers, lists (`[1, 2]`) and sections (`{a: 1}`) work.

    Raises:
        ConfigError: A word is neither a flag nor `key=value`, or a value is not YAML.
    """
    layers: list[Layer] = []
    problems: list[Problem] = []
    left = list(words)
    while left:
        word = left.pop(0)
        name, equals, text = word.partition("=")
        if not word.startswith("--"):
            if not equals:
                problems.append(Problem(f"unexpected argument {word!r}", hint=f"--KEY {word} or KEY={word}"))
                continue
            layers += _read(name, text, Origin("flag", name), problems)
            continue
        key, origin = name[2:], Origin("flag", name)
        if not equals:
            if key.startswith("no-"):  # never takes the next word, which may be key=value
                key, text = key[3:], "false"
            elif left and not left[0].startswith("--"):
                text = left.pop(0)
            else:
                text = "true"
        layers += _read(key, text, origin, problems)
    if problems:
        raise ConfigError(problems)
    return layers


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
    if isinstance(node, Scalar) and node.raw != text.strip() and text[0] not in "'\"":
        # YAML would drop what follows ` #`, fold lines and read tags: a shell has said what the text is.
        return Scalar(text, origin, text)
    return _from(node, origin)


def _read(key: str, text: str, origin: Origin, problems: list[Problem]) -> list[Layer]:
    if not key or not all(key.split(".")):
        problems.append(Problem(f"{str(origin.source)!r} names no key", str(origin)))
        return []
    try:
        return [Layer(str(origin), nested(key, text_value(text, origin)))]
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
