"""A layer of config: a tree whose every node knows where it was written and what it has displaced."""

from __future__ import annotations

import re
from collections.abc import Iterator
from collections.abc import Sequence as Sequence_
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from burnish.config.origin import Origin

Plain: TypeAlias = "None | bool | int | float | str | list[Plain] | dict[str, Plain]"
"""Config values as JSON knows them."""


DELETE = "~delete"
AUTO = "auto"
"""Stands where a value is chosen only where the run starts."""
_BETWEEN = re.compile(r"\.(?![^\[\]]*\])")


# Nodes are not frozen, which makes making one twice as slow and a config has hundreds; nobody changes them.
@dataclass(slots=True, unsafe_hash=True)
class Scalar:
    """A leaf. `raw` is its text as written, so that a field typed `str` never suffers from type guessing."""

    value: bool | int | float | str | None
    origin: Origin
    raw: str | None = None
    beaten: tuple[Node, ...] = ()


@dataclass(slots=True, unsafe_hash=True)
class Sequence:
    """A list."""

    items: tuple[Node, ...]
    origin: Origin
    beaten: tuple[Node, ...] = ()


@dataclass(slots=True, unsafe_hash=True)
class Mapping:
    """A section.

    Attributes:
        keys: Where each key stands, which is where an unknown one is reported.
        removed: What `~delete` took out, by key, newest first: each deleting line, then what stood there.
    """

    items: dict[str, Node]
    origin: Origin
    keys: dict[str, Origin] = field(default_factory=dict)
    beaten: tuple[Node, ...] = ()
    removed: tuple[tuple[str, Node], ...] = ()


Node: TypeAlias = Scalar | Sequence | Mapping


@dataclass(frozen=True, slots=True)
class Layer:
    """One source of config and what it sets."""

    name: str
    tree: Mapping


def displacing(winner: Node, loser: Node) -> Node:
    """Return the winner, remembering the loser and all that the loser had displaced before, newest first."""
    return _with_beaten(winner, (*winner.beaten, _with_beaten(loser, ()), *loser.beaten))


def _with_beaten(node: Node, beaten: tuple[Node, ...]) -> Node:
    if isinstance(node, Scalar):
        return Scalar(node.value, node.origin, node.raw, beaten)
    if isinstance(node, Sequence):
        return Sequence(node.items, node.origin, beaten)
    return Mapping(node.items, node.origin, node.keys, beaten, node.removed)


def plain(node: Node) -> Plain:
    """Return a tree's bare values."""
    if isinstance(node, Scalar):
        return node.value
    if isinstance(node, Sequence):
        return [plain(item) for item in node.items]
    return {key: plain(item) for key, item in node.items.items()}


def leaves(node: Node, path: str = "") -> Iterator[tuple[str, Node]]:
    """Yield the dotted path and node of every leaf; an empty list or section is a leaf too."""
    inner: list[tuple[str, Node]] = []
    if isinstance(node, Mapping):
        inner = list(node.items.items())
    elif isinstance(node, Sequence):
        inner = [(str(number), item) for number, item in enumerate(node.items)]
    if not inner:
        yield path, node
    for key, item in inner:
        yield from leaves(item, f"{path}.{key}" if path else key)


def find(node: Node, path: str) -> Node | None:
    """Return the node at a dotted path, None when there is none; a key may itself hold dots."""
    return _descend(node, path.split(".")) if path else node


def losers(node: Node, path: str) -> list[Node]:
    """Return what stood at a path below and is there no more: under sections and lists that were replaced, or removed.

    Newest first. What the node at the path itself has displaced is in its own `beaten`.
    """
    found: list[Node] = []
    parts = path.split(".")
    for size in range(len(parts) - 1, -1, -1):
        above = find(node, ".".join(parts[:size]))
        if above is None:
            continue
        if isinstance(above, Mapping):
            gone = [item for key, item in above.removed if key == parts[size]]
            rest = ".".join(parts[size + 1 :])
            found += [
                inner
                for item in gone
                if (inner := item if isinstance(item, Scalar) and item.value == DELETE else find(item, rest))
                is not None
            ]
        for lost in above.beaten if size else ():
            if (inner := find(lost, ".".join(parts[size:]))) is not None:
                found.append(inner)
    return [one for item in found for one in (item, *item.beaten)]


def _descend(node: Node, parts: list[str]) -> Node | None:
    if not parts:
        return node
    if isinstance(node, Sequence):
        key = parts[0]
        inside = key.isdecimal() and key.isascii() and len(key) < 10 and int(key) < len(node.items)
        return _descend(node.items[int(key)], parts[1:]) if inside else None
    if isinstance(node, Mapping):
        for size in range(1, len(parts) + 1):
            inner = node.items.get(".".join(parts[:size]))
            if inner is not None and (found := _descend(inner, parts[size:])) is not None:
                return found
    return None


def value_at(values: Plain, path: str) -> Plain:
    """Return what stands at a path; a key may itself hold dots."""
    if not path:
        return values
    if isinstance(values, list):
        key, _, rest = path.partition(".")
        return value_at(values[int(key)], rest) if key.isdecimal() and int(key) < len(values) else None
    for key, item in values.items() if isinstance(values, dict) else ():
        if path == key:
            return item
        if path.startswith(f"{key}."):
            return value_at(item, path[len(key) + 1 :])
    return None


def holder_at(values: Plain, keys: Sequence_[str]) -> list[Plain] | dict[str, Plain] | None:
    """Return the list or mapping that keys lead to in plain values, None where they lead to none."""
    for key in keys:
        if isinstance(values, list):
            values = values[int(key)]
        elif isinstance(values, dict):
            values = values.get(key)
    return values if isinstance(values, list | dict) else None


def nested(path: str, node: Node) -> Mapping:
    """Wrap a node in the sections that a dotted path names; dots inside brackets (`rewards[v1.5]`) part nothing."""
    for key in reversed(_BETWEEN.split(path)):
        node = Mapping({key: node}, node.origin, {key: node.origin})
    assert isinstance(node, Mapping)
    return node


def node_of(value: Plain, origin: Origin) -> Node:
    """Return a plain value as a tree in which everything came from one origin."""
    if isinstance(value, dict):
        return Mapping({key: node_of(item, origin) for key, item in value.items()}, origin)
    if isinstance(value, list):
        return Sequence(tuple(node_of(item, origin) for item in value), origin)
    return Scalar(value, origin)


def empty(origin: Origin) -> Mapping:
    """Return a section with nothing in it."""
    return Mapping({}, origin)


def replaced(node: Node, path: Sequence_[str], leaf: Node) -> Mapping:
    """Return a tree with another node at a path that it has; a key may itself hold dots."""

    def put(inner: Node, rest: Sequence_[str]) -> Node:
        if not rest:
            return leaf
        key = rest[0]
        if isinstance(inner, Mapping):
            for size in range(1, len(rest) + 1):
                key = ".".join(rest[:size])
                if key in inner.items and _descend(inner.items[key], list(rest[size:])) is not None:
                    break
            return replace(inner, items={**inner.items, key: put(inner.items[key], rest[size:])})
        assert isinstance(inner, Sequence)
        items = list(inner.items)
        items[int(key)] = put(items[int(key)], rest[1:])
        return replace(inner, items=tuple(items))

    tree = put(node, path)
    assert isinstance(tree, Mapping)
    return tree
