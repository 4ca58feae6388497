"""The config of a run as its reader wants it: the values that somebody wrote, each on a line."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

from burnish.core.errors import ConfigError
from burnish.core.files import read_json
from burnish.core.paths import RunPaths
from burnish.core.shape import section

_NOBODY = ("default ", "machine: ")
"""What an origin begins with that nobody wrote: the schema's defaults, and what was chosen where the run started."""


def written_values(paths: RunPaths) -> dict[str, str]:
    """Return config values by dotted path, as text: of a script's config all, of an experiment's those written.

    A list is one value. Empty where a run has no config, or one that cannot be read.
    """
    origins = section(read_json(paths.origins), "origins")
    values: object = read_json(paths.config) if not origins else {}  # what a script told is JSON
    if not values and paths.config.exists():
        from burnish.config.snapshot import read_snapshot  # which whoever wrote YAML has loaded

        try:
            values = read_snapshot(paths).values
        except (ConfigError, OSError):
            return {}
    written = [path for path, origin in origins.items() if not str(origin).startswith(_NOBODY)]
    return {
        path: _text(value)
        for path, value in _leaves(values, "")
        if not origins or any(one == path or one.startswith(f"{path}.") for one in written)
    }


def _leaves(value: object, path: str) -> Iterator[tuple[str, object]]:
    if isinstance(value, Mapping) and value:
        for key, inner in value.items():
            yield from _leaves(inner, f"{path}.{key}" if path else str(key))
    elif path:
        yield path, value


def _text(value: object) -> str:
    return value if isinstance(value, str) and value else json.dumps(value, ensure_ascii=False, default=str)
