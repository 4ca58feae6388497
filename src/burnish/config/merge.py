"""Laying one layer over another: sections merge, everything else is replaced, and nothing is forgotten.

`key+:` appends to the list below, `key!:` replaces a section whole, `key: ~delete` removes the key.
"""

from __future__ import annotations

from dataclasses import replace

from burnish.config.layer import Mapping, Node, Scalar, Sequence, displacing

_DELETE = "~delete"


def merge(low: Mapping, high: Mapping) -> Mapping:
    """Return `high` laid over `low`.

    Each node of the result remembers what it displaced, newest first (`Node.beaten`).
    """
    items = dict(low.items)
    keys = dict(low.keys)
    for written, node in high.items.items():
        key, form = _form(written)
        below = items.get(key)
        if isinstance(node, Scalar) and node.value == _DELETE:
            items.pop(key, None)
            keys.pop(key, None)
            continue
        items[key] = _combine(below, node, form)
        keys[key] = high.keys.get(written, node.origin)
    return replace(high, items=items, keys=keys, beaten=low.beaten)


def _combine(below: Node | None, node: Node, form: str) -> Node:
    if isinstance(node, Mapping):
        if isinstance(below, Mapping) and form != "!":
            return merge(below, node)
        # What a section's own `key+:` forms mean must not depend on whether a lower layer has the section.
        node = merge(Mapping({}, node.origin), node)
    if below is None:
        return node
    if form == "+" and isinstance(below, Sequence) and isinstance(node, Sequence):
        return displacing(replace(node, items=(*below.items, *node.items)), below)
    return displacing(node, below)


def _form(key: str) -> tuple[str, str]:
    return (key[:-1], key[-1]) if len(key) > 1 and key[-1] in "+!" else (key, "")
