"""The config of a run as flat values by dotted path, the way queries name them."""

from __future__ import annotations

from burnish.core.paths import RunPaths
from burnish.journal.facts import Value


def config_values(paths: RunPaths) -> dict[str, Value]:
    """Return the config of a run by dotted path; a list of plain values also as a whole."""
    from burnish.config.layer import plain
    from burnish.config.sources.files import read_snapshot  # 0.2 s to import, and only for runs not seen before

    found: dict[str, Value] = {}
    _flatten(plain(read_snapshot(paths.config, paths.config.name)), "", found)
    return found


def _flatten(value: object, path: str, found: dict[str, Value]) -> None:
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
