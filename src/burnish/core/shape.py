"""Reading parts of JSON objects that may hold anything: what has not the shape that is wanted is empty."""

from __future__ import annotations

from collections.abc import Mapping


def section(value: Mapping[str, object], key: str) -> dict[str, object]:
    """Return the object under a key, empty when it is none.

    >>> section({"a": {"b": 1}}, "a"), section({"a": 1}, "a")
    ({'b': 1}, {})
    """
    found = value.get(key)
    return found if isinstance(found, dict) else {}


def items(value: Mapping[str, object], key: str) -> list[object]:
    """Return the list under a key, empty when it is none."""
    found = value.get(key)
    return found if isinstance(found, list) else []


def words(value: Mapping[str, object], key: str) -> tuple[str, ...]:
    """Return the list under a key as text, empty when it is none."""
    return tuple(map(str, items(value, key)))
