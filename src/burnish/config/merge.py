"""Laying one layer over another: sections merge, everything else is replaced, and nothing is forgotten.

`key+:` appends to the list below, `key!:` replaces a section whole, `key: ~delete` removes the key. `rewards.0` and
`rewards[exact]` address an element of the list below, by its number or by its `name`.
"""

from __future__ import annotations

import re
from dataclasses import replace

from burnish.config.layer import DELETE, Mapping, Node, Scalar, Sequence, displacing
from burnish.config.origin import Origin
from burnish.core.errors import ConfigError, Problem
from burnish.core.nearest import nearest

NOWHERE = Origin("default", "")
"""Of what nobody wrote."""

_ELEMENT = re.compile(r"([^\[\]]+)\[([^\[\]]+)\]\Z")


def merge(low: Mapping, high: Mapping, problems: list[Problem] | None = None) -> Mapping:
    """Return `high` laid over `low`.

    Each node of the result remembers what it displaced, newest first (`Node.beaten`).

    Args:
        low: The layers so far.
        high: The layer above them.
        problems: Where to add elements that are addressed and not there; None raises them.

    Raises:
        ConfigError: An element is addressed that is not there, and nobody collects problems.
    """
    told: list[Problem] = [] if problems is None else problems
    merged = _merge(low, high, told, "")
    if problems is None and told:
        raise ConfigError(told)
    return merged


def element_key(key: str) -> tuple[str, str] | None:
    """Return the list and the selector of a key that addresses an element by name.

    >>> element_key("rewards[exact]"), element_key("rewards")
    (('rewards', '[exact]'), None)
    """
    match = _ELEMENT.match(key) if key[-1:] == "]" else None
    return (match[1], f"[{match[2]}]") if match else None


def addresses_elements(node: Node) -> bool:
    """Return whether every key of a section is a number or a name in brackets."""
    return isinstance(node, Mapping) and bool(node.items) and all(_is_selector(key) for key in node.items)


def _is_selector(key: str) -> bool:
    return (key.isdecimal() and key.isascii() and len(key) < 10) or (key[:1] == "[" and key[-1:] == "]")


def lay_over_elements(below: Sequence, node: Mapping, problems: list[Problem], path: str) -> Sequence:
    """Return a list with what a section says of its elements laid over them."""
    items: list[Node | None] = list(below.items)
    for key, over in node.items.items():
        number = _number(below, key)
        if number is None:
            problems.append(_no_element(below, key, node.keys.get(key, over.origin).__str__(), path))
        elif isinstance(over, Scalar) and over.value == DELETE:
            items[number] = None
        else:
            items[number] = _combine(_with_name(below.items[number], over), over, "", problems, f"{path}.{key}")
    return replace(below, items=tuple(item for item in items if item is not None))


def _number(below: Sequence, key: str) -> int | None:
    if key.isdecimal():
        return int(key) if int(key) < len(below.items) else None
    found = [number for number, item in enumerate(below.items) if _name_of(item) == key[1:-1]]
    return found[0] if len(found) == 1 else None


def _name_of(item: Node) -> str:
    name = item.items.get("name") if isinstance(item, Mapping) else item
    return str(name.value) if isinstance(name, Scalar) else ""


def _with_name(item: Node, over: Node) -> Node:
    """Return a component that is written as its bare name as the section that it stands for."""
    if isinstance(item, Scalar) and isinstance(item.value, str) and isinstance(over, Mapping):
        return Mapping({"name": item}, item.origin, {"name": item.origin})
    return item


def _no_element(below: Sequence, key: str, origin: str, path: str) -> Problem:
    if key.isdecimal():
        last = f"its last element is {len(below.items) - 1}" if below.items else "it is empty"
        return Problem(f"{path} has no element {key}; {last}", origin)
    names = [name for item in below.items if (name := _name_of(item))]
    if names.count(key[1:-1]) > 1:
        return Problem(
            f"{path} has {names.count(key[1:-1])} elements called {key[1:-1]!r}", origin, "address it by number"
        )
    best = nearest(key[1:-1], names)
    hint = f"did you mean {path}[{best}]?" if best else f"there are {', '.join(names)}" if names else ""
    return Problem(f"{path} has no element called {key[1:-1]!r}", origin, hint)


def _merge(low: Mapping, high: Mapping, problems: list[Problem], path: str) -> Mapping:
    items = dict(low.items)
    keys = dict(low.keys)
    removed = list(high.removed)
    seen: dict[str, str] = {}
    for written, node in high.items.items():
        key, form = _form(written)
        at = high.keys.get(written, node.origin)
        if seen.setdefault(key, written) != written:
            problems.append(
                Problem(f"{path}.{key}".lstrip(".") + f" is given as {seen[key]!r} and {written!r}", str(at))
            )
        named = element_key(key)
        if named is not None and isinstance(items.get(named[0]), Sequence):
            key, node = named[0], Mapping({named[1]: node}, node.origin, {named[1]: at})
        below = items.get(key)
        if isinstance(node, Scalar) and node.value == DELETE:
            removed += [(key, node), *([(key, below)] if below is not None else [])]
            items.pop(key, None)
            keys.pop(key, None)
            continue
        items[key] = _combine(below, node, form, problems, f"{path}.{key}" if path else key)
        keys[key] = at
    return Mapping(items, high.origin, keys, (*high.beaten, *low.beaten), (*removed, *low.removed))


def _combine(below: Node | None, node: Node, form: str, problems: list[Problem], path: str) -> Node:
    if form == "+" and below is not None and not (isinstance(node, Sequence) and _takes_more(below)):
        problems.append(Problem(f"'{path}+' appends a list to a list", str(node.origin), f"write '{path}' to replace"))
    if isinstance(node, Mapping):
        if isinstance(below, Mapping) and form != "!":
            return _merge(below, node, problems, path)
        if isinstance(below, Sequence) and form != "!" and addresses_elements(node):
            return lay_over_elements(below, node, problems, path)
        # What a section's own `key+:` forms mean must not depend on whether a lower layer has the section.
        node = _merge(Mapping({}, node.origin), node, problems, path)
    if below is None:
        # A section that replaces whole does so to the schema's default too, which is laid under it later.
        return displacing(node, Mapping({}, NOWHERE)) if form == "!" and isinstance(node, Mapping) else node
    if form == "+" and isinstance(below, Sequence) and isinstance(node, Sequence):
        return displacing(replace(node, items=(*below.items, *node.items)), below)
    return displacing(node, below)


def _takes_more(below: Node | None) -> bool:
    return isinstance(below, Sequence) or (isinstance(below, Scalar) and below.value is None)


def _form(key: str) -> tuple[str, str]:
    return (key[:-1], key[-1]) if len(key) > 1 and key[-1] in "+!" else (key, "")
