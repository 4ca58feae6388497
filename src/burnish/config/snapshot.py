"""The resolved config as it lies in a run directory: `config.yaml` for people, `origins.json` beside it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import yaml

from burnish.config.layer import Plain
from burnish.config.resolve import Resolved
from burnish.config.sources.yaml import resolve_plain
from burnish.core.files import write_atomic, write_json
from burnish.core.paths import RunPaths
from burnish.core.secrets import MASK, Masker, is_secret_name


def write_snapshot(resolved: Resolved, paths: RunPaths, masker: Masker) -> dict[str, Plain]:
    """Write config and origins into a run directory, secrets redacted; return what was redacted, by path."""
    values = redact(resolved.values, masker)
    shown = dict(flat(values))
    hidden = {path: value for path, value in flat(resolved.values) if shown.get(path) != value and value == value}
    write_atomic(paths.config, dump_yaml(values))
    history = {
        path: [{"value": redact({path: value}, masker)[path], "origin": str(origin)} for value, origin in given]
        for path in resolved.origins
        if len(given := resolved.history(path)) > 1
    }
    write_json(
        paths.origins,
        {
            "format": 1,
            "hash": resolved.hash,
            "group": resolved.group,
            "origins": {path: masker.text(str(origin)) for path, origin in sorted(resolved.origins.items())},
            "history": history,
            "lineage": {path: asdict(reference) for path, reference in sorted(resolved.lineage.items())},
            "masked": sorted(hidden),
        },
    )
    return hidden


def redact(values: dict[str, Plain], masker: Masker) -> dict[str, Plain]:
    """Return values with credentials masked: by value, and by the name of their key or of a section around it."""

    def clean(value: Plain, name: str) -> Plain:
        if isinstance(value, dict):
            return {key: clean(item, f"{name}.{key}") for key, item in value.items()}
        if isinstance(value, list):
            return [clean(item, name) for item in value]
        if value is not None and is_secret_name(name):
            return MASK
        return masker.text(value) if isinstance(value, str) else value

    return {key: clean(value, key) for key, value in values.items()}


def dump_yaml(values: Plain) -> str:
    """Return values as YAML that reads back the same under YAML 1.2 and 1.1.

    >>> print(dump_yaml({"a": "no", "b": "1e-5", "c": 1e-05}), end="")
    a: 'no'
    b: '1e-5'
    c: 1.0e-05
    """
    return yaml.dump(values, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100)


class _Dumper(getattr(yaml, "CSafeDumper", yaml.SafeDumper)):  # type: ignore[misc]
    """Quotes every string that a YAML 1.2 reader would take for something else."""

    def ignore_aliases(self, data: object) -> bool:
        return True


def _string(dumper: Any, text: str) -> Any:
    style = None if resolve_plain(text) == text else "'"
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _string)


def flat(values: Plain, path: str = "") -> Iterator[tuple[str, Plain]]:
    """Yield the dotted path and value of every leaf of plain values."""
    if isinstance(values, dict) and values:
        for key, item in values.items():
            yield from flat(item, f"{path}.{key}" if path else key)
    elif isinstance(values, list) and values:
        for number, item in enumerate(values):
            yield from flat(item, f"{path}.{number}" if path else str(number))
    else:
        yield path, values
