"""Fitting a merged tree to its config class before it is checked: old names, and defaults that are partly overridden.

A section that somebody sets in part keeps the rest of the default that its field declares. A default list stands
below all layers where one appends to it or addresses its elements. Nothing else is filled in: what nobody wrote stays
the schema's.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace

from pydantic import BaseModel

from burnish.config.fields import Field, Lookup, shape
from burnish.config.layer import Layer, Mapping, Node, Scalar, Sequence, displacing, find, nested
from burnish.config.merge import NOWHERE, addresses_elements, element_key, merge
from burnish.config.origin import Origin
from burnish.config.schema import Config
from burnish.core.errors import Problem


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
    for old, new in _renamed(kind).items():  # of elements of lists; all else has its new names since before merging
        tree, told = _moved(tree, old, new, prefix)
        result.warnings += told
    changed: dict[str, Node] = {}
    for key, node in tree.items.items():
        found = fields.get(key)
        if found is None:
            continue
        fitted = _field(found, node, lookup, result, f"{prefix}{key}")
        if fitted is not node:
            changed[key] = fitted
        if found.info.deprecated and isinstance(found.info.deprecated, str):
            result.warnings.append(f"{prefix}{key} is deprecated: {found.info.deprecated} ({node.origin})")
    return replace(tree, items={**tree.items, **changed}) if changed else tree


def _field(found: Field, node: Node, lookup: Lookup, result: Fitted, path: str) -> Node:
    if found.holds is not None and found.holds.category:
        node = _named(node)
    if found.holds is not None and isinstance(node, Mapping):
        default = default_tree(found)
        if isinstance(default, Mapping) and _continues(found, default, node):
            node = _over(default, node, found.holds.config_class(node, lookup), lookup)
        kind = found.holds.config_class(node, lookup)
        return _section(kind, node, lookup, result, f"{path}.") if kind is not None else node
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


def _over(default: Mapping, node: Mapping, kind: type[BaseModel] | None, lookup: Lookup) -> Mapping:
    """Return a section over the default of its field; what was merged already has no special forms any more."""
    items = dict(default.items)
    fields = shape(kind) if kind is not None else {}
    for key, item in node.items.items():
        below, found = default.items.get(key), fields.get(key)
        holds = found.holds if found is not None else None
        item = _named(item) if holds is not None and holds.category else item
        if found is None or holds is None or not isinstance(below, Mapping) or not isinstance(item, Mapping):
            items[key] = displacing(item, below) if below is not None else item
        elif _continues(found, below, item):
            items[key] = _over(below, item, holds.config_class(item, lookup), lookup)
        else:
            items[key] = displacing(item, below)
    return Mapping(items, node.origin, {**default.keys, **node.keys}, node.beaten, node.removed)


def _continues(found: Field, default: Mapping, node: Mapping) -> bool:
    """Return whether a section continues the default: unless it has replaced another, or names another component."""
    if any(isinstance(lost, Mapping) for lost in node.beaten):
        return False
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
        # Not `getattr`, which warns of deprecated fields: that is for whoever sets one to hear.
        stated = {name: tree_of(value.__dict__[name], origin) for name in value.model_fields_set}
        return Mapping(stated, origin() if stated else NOWHERE)
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
    if isinstance(default, Mapping) and isinstance(inner, Mapping) and _continues(found, default, inner):
        stated = find(default, rest)
        if stated is not None:
            return stated
    kind = found.holds.config_class(inner, lookup) if found.holds is not None else None
    return default_at(kind, inner, rest, lookup) if kind is not None else None


def field_at(schema: type[BaseModel], tree: Node | None, path: str, lookup: Lookup) -> Field | None:
    """Return the field at a path, None where the class has none."""
    key, _, rest = path.partition(".")
    found = shape(schema).get(key)
    if found is None or not rest:
        return found
    inner = tree.items.get(key) if isinstance(tree, Mapping) else None
    inner = inner if inner is not None else default_tree(found)
    kind = found.holds.config_class(inner, lookup) if found.holds is not None else None
    return field_at(kind, inner, rest, lookup) if kind is not None else None


def default_lists(schema: type[BaseModel], tree: Mapping, layers: Iterable[Layer], lookup: Lookup) -> Mapping | None:
    """Return the default lists that layers append to or address the elements of; None where there is no such list.

    Args:
        schema: The class.
        tree: All layers, merged, which names the components.
        layers: The same, each by itself.
        lookup: Finds the config class of a component.
    """
    below: Mapping | None = None
    for path in dict.fromkeys(path for layer in layers for path in _appended(layer.tree, "")):
        default = default_at(schema, tree, path, lookup)
        if isinstance(default, Sequence):
            below = merge(below or Mapping({}, NOWHERE), nested(path, default))
    return below


def _appended(tree: Mapping, prefix: str) -> Iterator[str]:
    """Yield the path of each list that a layer appends to, or of which it addresses elements."""
    for key, node in tree.items.items():
        if key[-1:] == "+":
            yield f"{prefix}{key[:-1]}"
        elif key[-1:] == "]" and (named := element_key(key)) is not None:
            yield f"{prefix}{named[0]}"
        elif isinstance(node, Mapping):
            if addresses_elements(node):
                yield f"{prefix}{key}"
            yield from _appended(node, f"{prefix}{key}.")


def renames(schema: type[BaseModel], tree: Mapping, lookup: Lookup, prefix: str = "") -> dict[str, str]:
    """Return the old paths that a tree has and where their values go now; elements of lists are none of them."""
    found = {f"{prefix}{old}": f"{prefix}{new}" for old, new in _renamed(schema).items() if find(tree, old) is not None}
    fields = shape(schema)
    for key, node in tree.items.items():
        holds = fields[key].holds if key in fields else None
        if holds is None or not isinstance(node, Mapping):
            continue
        named = _named(node) if holds.category else node
        default = default_tree(fields[key]) if find(named, "name") is None else None
        kind = holds.config_class(named if default is None else default, lookup)
        if kind is not None:
            found |= renames(kind, node, lookup, f"{prefix}{key}.")
    return found


def _renamed(kind: type[BaseModel]) -> dict[str, str]:
    return kind.renamed if issubclass(kind, Config) else {}


def with_new_names(layer: Layer, moved: dict[str, str]) -> tuple[Layer, list[str]]:
    """Return a layer with what it sets by an old name set by the new one, and a warning for each."""
    tree, told = layer.tree, []
    for old, new in moved.items():
        tree, warnings = _moved(tree, old, new)
        told += warnings
    return replace(layer, tree=tree), told


def _moved(tree: Mapping, old: str, new: str, prefix: str = "") -> tuple[Mapping, list[str]]:
    told: list[str] = []
    for form in ("", "+", "!"):
        node = find(tree, f"{old}{form}")
        if node is None:
            continue
        told.append(f"{prefix}{old} is now {prefix}{new} ({node.origin})")
        tree = _without(tree, f"{old}{form}".split("."))
        if find(tree, new) is None:  # one who writes both names means the new one
            tree = _placed(tree, f"{new}{form}".split("."), node)
    return tree, told


def _without(tree: Mapping, path: list[str]) -> Mapping:
    """Return a tree without a value, nor the sections that held nothing else."""
    key, *rest = path
    items = dict(tree.items)
    inner = items.pop(key)
    if rest and isinstance(inner, Mapping) and (left := _without(inner, rest)).items:
        items[key] = left
    return replace(tree, items=items)


def _placed(tree: Mapping, path: list[str], node: Node) -> Mapping:
    """Return a tree with a node at a path, in sections that are made for it."""
    key, *rest = path
    if rest:
        below = tree.items.get(key)
        section = below if isinstance(below, Mapping) else Mapping({}, node.origin)
        node = _placed(section, rest, node)
        node = displacing(node, below) if isinstance(below, Scalar) else node
    keys = {**tree.keys, key: tree.keys.get(key, node.origin)}
    return replace(tree, items={**tree.items, key: node}, keys=keys)
