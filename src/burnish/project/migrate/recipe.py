"""A recipe file as its own tool reads it: a tree in which every value knows its line and column.

The other tools read YAML 1.1, where an unquoted `yes`, `no`, `on` or `off` is a boolean; so it is here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from burnish.config.fields import shown_path
from burnish.config.layer import Mapping, Node, Plain, Scalar, Sequence, find, plain
from burnish.config.sources.files import MOST_BYTES
from burnish.config.sources.yaml import parse_yaml
from burnish.core.errors import ConfigError, Problem

_LINE_BREAK = re.compile("\r\n|[\n\r\x85\u2028\u2029]")  # as YAML 1.1 has it
_BOOLEANS = {
    **{word: True for yes in ("yes", "on") for word in (yes, yes.capitalize(), yes.upper())},
    **{word: False for no in ("no", "off") for word in (no, no.capitalize(), no.upper())},
}


@dataclass(frozen=True, slots=True)
class Recipe:
    """One file of another tool.

    Attributes:
        path: The file.
        shown: The same as a person would type it here.
        text: What stands in it.
        tree: Its values.
    """

    path: Path
    shown: str
    text: str
    tree: Mapping

    def get(self, path: str) -> Plain:
        """Return the value at a dotted path; None where there is none."""
        node = find(self.tree, path)
        return plain(node) if node is not None else None

    def place(self, path: str = "") -> str:
        """Return where the value at a path stands; the file itself where there is none."""
        node = find(self.tree, path) if path else None
        return str(node.origin) if node is not None else self.shown

    def written_keys(self) -> Iterator[tuple[str, str]]:
        """Yield every key at any depth: its name and where it stands."""
        yield from _keys(self.tree)


def read_recipe(path: Path) -> Recipe:
    """Read a recipe.

    Raises:
        ConfigError: It cannot be read, is not YAML, or holds no keys and values.
    """
    shown = shown_path(path)
    try:
        with path.open("rb") as stream:
            content = stream.read(MOST_BYTES)
    except FileNotFoundError as error:
        raise ConfigError([Problem(f"no such file: {shown}")]) from error
    except OSError as error:
        raise ConfigError([Problem(f"cannot read: {error.strerror}", shown)]) from error
    node = parse_yaml(content, shown)
    if not isinstance(node, Mapping):
        raise ConfigError([Problem("a recipe holds keys and values", str(node.origin))])
    text = content.decode("utf-8-sig", "replace")
    tree = _with_booleans(node, _LINE_BREAK.split(text))
    assert isinstance(tree, Mapping)
    return Recipe(path, shown, text, tree)


def _with_booleans(node: Node, lines: list[str]) -> Node:
    if isinstance(node, Mapping):
        return replace(node, items={key: _with_booleans(item, lines) for key, item in node.items.items()})
    if isinstance(node, Sequence):
        return replace(node, items=tuple(_with_booleans(item, lines) for item in node.items))
    if isinstance(node.value, str) and node.value in _BOOLEANS and _is_unquoted(node, lines):
        return replace(node, value=_BOOLEANS[node.value])
    return node


def _is_unquoted(node: Scalar, lines: list[str]) -> bool:
    line, column = node.origin.line - 1, node.origin.column - 1
    return line < len(lines) and lines[line][column : column + 1] == str(node.value)[0]


def _keys(node: Node) -> Iterator[tuple[str, str]]:
    if isinstance(node, Mapping):
        for key, item in node.items.items():
            yield key, str(node.keys.get(key, item.origin))
            yield from _keys(item)
    elif isinstance(node, Sequence):
        for item in node.items:
            yield from _keys(item)
