"""The resolved config as it lies in a run directory: `config.yaml` for people, `origins.json` beside it."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Sequence as Words
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import yaml

from burnish.config.interpolate import RunReference
from burnish.config.layer import AUTO, Mapping, Node, Plain, Scalar, Sequence, leaves, plain
from burnish.config.layers import FrozenLayer
from burnish.config.origin import Origin
from burnish.config.resolved import Resolved
from burnish.config.sources.files import read_snapshot as read_tree
from burnish.config.sources.flags import split_flags
from burnish.config.sources.yaml import resolve_plain
from burnish.core.errors import ConfigError, Problem
from burnish.core.files import read_json, write_atomic, write_json
from burnish.core.paths import RunPaths
from burnish.core.secrets import is_secret_name
from burnish.core.shape import section, words

_ORIGINS_OF_MACHINE = "machine: "


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A resolved config without credentials, as it is shown and kept.

    Attributes:
        values: Plain values, defaults included.
        origins: Where each leaf was written.
        history: Every value that was given for a leaf, winner first, where there was more than one.
        computed: What the schema computes: value and origin.
        hash: Names the exact config.
        group: Names the config without seeds, names and output paths.
        lineage: Runs that values refer to, by path, as JSON.
        masked: Paths of credentials.
        open: Leaves that were chosen where the run started, and what stood there before.
        reads: What each Python layer looked at, by file.
    """

    values: dict[str, Plain]
    origins: dict[str, str]
    history: dict[str, list[tuple[Plain, str]]] = field(default_factory=dict)
    computed: dict[str, tuple[Plain, str]] = field(default_factory=dict)
    hash: str = ""
    group: str = ""
    lineage: dict[str, object] = field(default_factory=dict)
    masked: tuple[str, ...] = ()
    open: dict[str, Plain] = field(default_factory=dict)
    reads: dict[str, list[str]] = field(default_factory=dict)


def take_snapshot(resolved: Resolved) -> Snapshot:
    """Return a resolved config as it may be shown and kept."""
    masker, secret = resolved.masker, resolved.frozen.secret
    values = resolved.redacted
    shown = dict(flat(values))

    def place(path: str, origin: Origin) -> str:
        # The note of a credential may quote a part of it: `via key-${env:NAME}`.
        is_secret = path in secret or is_secret_name(path)
        return masker.text(str(replace(origin, note="") if is_secret else origin))

    history = {
        path: [(masker.tree(value, path, secret), place(path, origin)) for value, origin in given]
        for path in resolved.origins
        if len(given := resolved.history(path)) > 1
    }
    was_open = {path: history[path][1][0] for path in history if history[path][0][1].startswith(_ORIGINS_OF_MACHINE)}
    return Snapshot(
        values,
        {path: place(path, origin) for path, origin in resolved.origins.items()},
        history,
        {path: (masker.tree(value, path), str(origin)) for path, (value, origin) in resolved.computed.items()},
        resolved.hash,
        resolved.group,
        {path: asdict(reference) for path, reference in sorted(resolved.lineage.items())},
        tuple(sorted(path for path, value in flat(resolved.values) if shown.get(path) != value and value == value)),
        was_open,
        {file: list(reads) for file, reads in resolved.reads.items()},
    )


def write_snapshot(resolved: Resolved, paths: RunPaths) -> dict[str, Plain]:
    """Write config and origins into a run directory, secrets redacted; return what was redacted, by path."""
    taken = take_snapshot(resolved)
    values = dict(flat(resolved.values))
    write_atomic(paths.config, dump_yaml(taken.values))
    write_json(
        paths.origins,
        {
            "format": 1,
            "hash": taken.hash,
            "group": taken.group,
            "origins": dict(sorted(taken.origins.items())),
            "history": {
                path: [{"value": value, "origin": origin} for value, origin in given]
                for path, given in taken.history.items()
            },
            "computed": {path: {"value": value, "origin": origin} for path, (value, origin) in taken.computed.items()},
            "lineage": taken.lineage,
            "masked": list(taken.masked),
            "open": taken.open,
            "reads": taken.reads,
        },
    )
    return {path: values[path] for path in taken.masked}


def read_snapshot(paths: RunPaths) -> Snapshot:
    """Read the config of a run.

    Raises:
        ConfigError: It has none, or it cannot be read.
    """
    tree = read_tree(paths.config, str(paths.config))
    values = plain(tree)
    assert isinstance(values, dict)
    kept = read_json(paths.origins)
    origins = {path: str(origin) for path, origin in section(kept, "origins").items()}
    history = {
        path: [(item.get("value"), str(item.get("origin"))) for item in given if isinstance(item, dict)]
        for path, given in section(kept, "history").items()
        if isinstance(given, list)
    }
    computed = {
        path: (item.get("value"), str(item.get("origin")))
        for path, item in section(kept, "computed").items()
        if isinstance(item, dict)
    }
    return Snapshot(
        values,
        origins or {path: str(node.origin) for path, node in leaves(tree) if path},
        history,
        computed,
        str(kept.get("hash", "")),
        str(kept.get("group", "")),
        section(kept, "lineage"),
        words(kept, "masked"),
        section(kept, "open"),  # type: ignore[arg-type]
        section(kept, "reads"),  # type: ignore[arg-type]
    )


def layer_of_run(paths: RunPaths, flags: Words[str]) -> FrozenLayer:
    """Return the config of a run as a layer, to run it again: what was chosen by the machine is open once more.

    Args:
        paths: The run.
        flags: What is given anew; a credential, which is not kept, must be among it.

    Raises:
        ConfigError: The run has no config, or a credential of it is not given anew.
    """
    taken = read_snapshot(paths)
    tree = read_tree(paths.config, str(paths.config))
    given = split_flags(flags, {}, [])
    told: list[Problem] = []
    for path in taken.masked:
        if taken.origins.get(path, "").startswith("default "):
            continue  # nobody gave it, and the default stands where it stood
        if not any(path == flag.path or path.startswith(f"{flag.path}.") for flag in given):
            hint = f"give it anew: --{path} '${{env:NAME}}'"
            told.append(Problem(f"{path} was a credential, which is not kept on disk", f"run {paths.id}", hint))
    if told:
        raise ConfigError(told)
    kept = _Kept(taken, paths.id).node(tree, "")
    assert isinstance(kept, Mapping)
    return FrozenLayer(f"run {paths.id}", kept, references_of(taken))


@dataclass(frozen=True, slots=True)
class _Kept:
    """What a run's config says, to one who runs it again."""

    taken: Snapshot
    run: str

    def node(self, node: Node, path: str) -> Node | None:
        """Return a value with the run as its origin, None where the default may choose anew."""
        if path in self.taken.masked and self.taken.origins.get(path, "").startswith("default "):
            return None
        if path in self.taken.open:
            anew = Origin("run", self.run, note="(chosen anew on each machine)")
            return Scalar(AUTO, anew) if self.taken.open[path] == AUTO else None
        note = f"({self.taken.origins[path]})" if path in self.taken.origins else ""
        origin = Origin("run", self.run, note=note)
        if isinstance(node, Scalar):
            # What was followed once is text now, whatever it looks like.
            value = node.value.replace("${", "$${") if isinstance(node.value, str) else node.value
            return Scalar(value, origin, node.raw)
        if isinstance(node, Sequence):
            items = [self.node(item, f"{path}.{number}") for number, item in enumerate(node.items)]
            return Sequence(tuple(item for item in items if item is not None), origin)
        named = {key: self.node(item, f"{path}.{key}" if path else key) for key, item in node.items.items()}
        kept = {key: item for key, item in named.items() if item is not None}
        return Mapping(kept, origin, {key: item.origin for key, item in kept.items()})


def references_of(taken: Snapshot) -> dict[str, RunReference]:
    """Return the runs that the values of a snapshot refer to."""
    known = {name: kept for name, kept in taken.lineage.items() if isinstance(kept, dict)}
    return {path: RunReference(**kept) for path, kept in known.items()}


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


# Line ends to YAML 1.1, which libyaml keeps to, and plain characters to 1.2: only escaped are they the same to both.
_BREAKS = ("\x85", "\u2028", "\u2029", "\ufeff")


def _string(dumper: Any, text: str) -> Any:
    style = None if resolve_plain(text) == text else "'"
    if any(mark in text for mark in _BREAKS):
        style = '"'
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
