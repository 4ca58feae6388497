"""The config of a run as flat values by dotted path, the way queries and trackers name them."""

from __future__ import annotations

from pathlib import Path
from typing import TypeAlias

from burnish.config.layer import plain
from burnish.config.sources.files import read_snapshot

Leaf: TypeAlias = "None | bool | int | float | str | tuple[Leaf, ...]"
"""A value without parts; a list of such is a tuple."""


def config_values(file: Path) -> dict[str, Leaf]:
    """Return the config that a run keeps by dotted path; a list of plain values also as a whole.

    Args:
        file: Its `config.yaml`.

    Raises:
        ConfigError: It cannot be read as config.
    """
    found: dict[str, Leaf] = {}
    _flatten(plain(read_snapshot(file, file.name)), "", found)
    return found


def _flatten(value: object, path: str, found: dict[str, Leaf]) -> None:
    if isinstance(value, dict):
        for key, item in value.items():
            _flatten(item, f"{path}.{key}" if path else str(key), found)
    elif isinstance(value, list):
        if all(item is None or isinstance(item, bool | int | float | str) for item in value):
            found[path] = tuple(value)
        for number, item in enumerate(value):
            _flatten(item, f"{path}.{number}", found)
    else:
        found[path] = value  # type: ignore[assignment]  # a leaf of plain values
