"""Fitting a merged tree to its config class before it is checked: old names, and defaults that are partly overridden.

A section that somebody sets in part keeps the rest of the default that its field declares, and an element of a
default list can be addressed. Nothing else is filled in: what nobody wrote stays the schema's.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from pydantic import BaseModel

from burnish.config.fields import Field, Lookup, shape
from burnish.config.layer import Layer, Mapping, Node, Scalar, Sequence, find, nested
from burnish.config.merge import addresses_elements, element_key, lay_over_elements, merge
from burnish.config.origin import Origin
from burnish.config.schema import Config
from burnish.core.errors import Problem

_NOWHERE = Origin("default", "")


@dataclass(slots=True)
class Fitted:
    """A tree as its class wants it, and what there is to say about it."""

    tree: Mapping
    problems: list[Problem] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def fit(schema: type[BaseModel], tree: Mapping, lookup: Lookup) -> Fitted:
    """Lay what is written over the defaults that it overrides in part."""
    result = Fitted(tree)
    result.tree = _section(schema, tree, lookup, result, "")
    return result


def _section(kind: type[BaseModel], tree: Mapping, lookup: Lookup, result: Fitted, prefix: str) -> Mapping:
    fields = shape(kind)
    changed: dict[str, Node] = {}
    gone: set[str] = set()
    for key, node in tree.items.items():
        found = fields.get(key)
        if found is None:
            named = element_key(key)
            found = fields.get(named[0]) if named is not None else None
            if found is None or named is None or not found.is_list:
                continue
            gone.add(key)
            node = Mapping({named[1]: node}, node.origin, {named[1]: tree.keys.get(key, node.origin)})
            key = named[0]
        fitted = _field(found, node, lookup, result, f"{prefix}{key}")
        if fitted is not node or gone:
            changed[key] = fitted
        if found.info.deprecated and isinstance(found.info.deprecated, str):
            result.warnings.append(f"{prefix}{key} is deprecated: {found.info.deprecated} ({node.origin})")
    if not changed:
        return tree
    items = {**{key: node for key, node in tree.items.items() if key not in gone}, **changed}
    return replace(tree, items=items)


def _field(found: Field, node: Node, lookup: Lookup, result: Fitted, path: str) -> Node:
    if found.holds is not None and found.holds.category:
        node = _named(node)
    if found.holds is not None and isinstance(node, Mapping):
        default = default_tree(found)
        if isinstance(default, Mapping) and _is_same(found, default, node):
            node = merge(default, node, result.problems)
        kind = found.holds.config_class(node, lookup)
        return _section(kind, node, lookup, result, f"{path}.") if kind is not None else node
    if found.is_list and isinstance(node, Mapping) and addresses_elements(node):
        default = default_tree(found)
        below = default if isinstance(default, Sequence) else Sequence((), node.origin)
        node = lay_over_elements(below, node, result.problems, path)
    if found.elements is None or isinstance(node, Scalar):
        return node
    if isinstance(node, Sequence):
        items = tuple(_element(found, item, lookup, result, f"{path}.{n}.") for n, item in enumerate(node.items))
        return node if all(a is b for a, b in zip(items, node.items, strict=True)) else replace(node, items=items)
    inner = {key: _element(found, item, lookup, result, f"{path}.{key}.") for key, item in node.items.items()}
    return replace(node, items=inner)


def _named(node: Node) -> Node:
    """Return a component that is written as its bare name as a section, also under one that only changes its fields."""
    if isinstance(node, Scalar) and isinstance(node.value, str) and "${" not in node.value:
        return Mapping({"name": node}, node.origin, {"name": node.origin}, node.beaten)
    if isinstance(node, Mapping) and "name" not in node.items and node.beaten:
        below = node.beaten[0]
        if isinstance(below, Scalar) and isinstance(below.value, str):
            items = {"name": below, **node.items}
            return replace(node, items=items, keys={"name": below.origin, **node.keys}, beaten=node.beaten[1:])
    return node


def _element(found: Field, item: Node, lookup: Lookup, result: Fitted, prefix: str) -> Node:
    item = _named(item) if found.elements is not None and found.elements.category else item
    kind = found.elements.config_class(item, lookup) if found.elements is not None else None
    return _section(kind, item, lookup, result, prefix) if kind is not None and isinstance(item, Mapping) else item


def _is_same(found: Field, default: Mapping, node: Mapping) -> bool:
    """Return whether a section continues the default: a component does, unless it names another one."""
    if found.holds is None or not found.holds.category:
        return True
    name, given = default.items.get("name"), node.items.get("name")
    return given is None or (isinstance(name, Scalar) and isinstance(given, Scalar) and name.value == given.value)


def default_tree(found: Field) -> Node | None:
    """Return the default of a field as a tree that holds what the default itself states; None where it has none."""
    return _default_tree(found.owner, found.name)


@functools.cache
def _default_tree(owner: type[BaseModel], name: str) -> Node | None:
    found = shape(owner)[name]
    return tree_of(found.default, lambda: found.origin) if not found.info.is_required() else None


def tree_of(value: object, origin: Callable[[], Origin]) -> Node:
    """Return a value of Python's as a tree; of a config, what was stated when it was made.

    Args:
        value: The value.
        origin: Tells where it is written; asked only when something is, since that means reading source.
    """
    if isinstance(value, BaseModel):
        stated = {name: tree_of(getattr(value, name), origin) for name in value.model_fields_set}
        return Mapping(stated, origin() if stated else _NOWHERE)
    if isinstance(value, dict):
        return Mapping({str(key): tree_of(item, origin) for key, item in value.items()}, origin())
    if isinstance(value, list | tuple | set | frozenset):
        return Sequence(tuple(tree_of(item, origin) for item in value), origin())
    is_plain = value is None or isinstance(value, bool | int | float | str)
    return Scalar(value if is_plain else str(value), origin())  # type: ignore[arg-type]


def default_at(schema: type[BaseModel], tree: Node | None, path: str, lookup: Lookup) -> Node | None:
    """Return the schema's default of a value that nobody wrote, as `${a.b}` refers to it."""
    key, _, rest = path.partition(".")
    found = shape(schema).get(key)
    if found is None:
        return None
    default = default_tree(found)
    if not rest:
        return default
    inner = tree.items.get(key, default) if isinstance(tree, Mapping) else default
    if inner is default and default is not None and (stated := find(default, rest)) is not None:
        return stated
    kind = found.holds.config_class(inner, lookup) if found.holds is not None else None
    return default_at(kind, inner, rest, lookup) if kind is not None else None


def renames(schema: type[BaseModel], tree: Mapping, lookup: Lookup, prefix: str = "") -> dict[str, str]:
    """Return the old paths that a tree has and where their values go now."""
    found: dict[str, str] = {}
    if issubclass(schema, Config):
        found = {
            f"{prefix}{old}": f"{prefix}{new}" for old, new in schema.renamed.items() if find(tree, old) is not None
        }
    fields = shape(schema)
    for key, node in tree.items.items():
        holds = fields[key].holds if key in fields else None
        kind = holds.config_class(node, lookup) if holds is not None and isinstance(node, Mapping) else None
        if kind is not None and isinstance(node, Mapping):
            found |= renames(kind, node, lookup, f"{prefix}{key}.")
    return found


def with_new_names(layer: Layer, moved: dict[str, str]) -> tuple[Layer, list[str]]:
    """Return a layer with what it sets by an old name set by the new one, and a warning for each."""
    tree, told = layer.tree, []
    for old, new in moved.items():
        node = find(tree, old)
        if node is None:
            continue
        told.append(f"{old} is now {new} ({node.origin})")
        tree = _without(tree, old.split("."))
        if find(tree, new) is None:  # one who writes both names means the new one
            tree = merge(tree, nested(new, node))
    return replace(layer, tree=tree), told


def _without(tree: Mapping, path: list[str]) -> Mapping:
    inner = tree.items[path[0]]
    items = dict(tree.items)
    if len(path) == 1:
        del items[path[0]]
    else:
        assert isinstance(inner, Mapping)
        items[path[0]] = _without(inner, path[1:])
    return replace(tree, items=items)
