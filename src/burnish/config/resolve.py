"""From what people wrote to one frozen config: layers, merge, references, schema, with an origin for every value.

Precedence, high to low: flags > environment > experiment file (its `extends` parents below it) > user file >
project `experiments/default.yaml` > schema defaults.
"""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Callable, Sequence
from collections.abc import Mapping as Environ
from dataclasses import dataclass, field, replace
from pathlib import Path

import platformdirs

from burnish.config.interpolate import FindRun, RunReference, interpolate
from burnish.config.layer import Layer, Mapping, Node, Plain, Scalar, empty, find, leaves, plain
from burnish.config.layer import Sequence as ListNode
from burnish.config.merge import merge
from burnish.config.origin import Origin
from burnish.config.schema import Config, Lookup, default_origin, fields_of, shown_path, validate
from burnish.config.sources.env import env_layers
from burnish.config.sources.flags import flag_layers
from burnish.config.sources.yaml import parse_yaml
from burnish.core.errors import ComponentError, ConfigError, Problem
from burnish.core.hardware import Machine
from burnish.core.nearest import nearest
from burnish.core.paths import Project

_DEFAULT_FILE = Path("experiments") / "default.yaml"
_NOT_IN_GROUP = frozenset({"name", "seed", "tags", "retry", "tracking"})


@dataclass(frozen=True, slots=True)
class Resolved:
    """A config that will not change any more, and how each of its values came about.

    Attributes:
        config: The validated config.
        values: The same as plain values, defaults included.
        tree: The merged layers; each node holds what it displaced.
        origins: Where each leaf of `values` was written.
        machine: Leaves that depend on the machine, by path: what sort of value each is.
        lineage: Runs that values refer to, by path.
    """

    config: Config
    values: dict[str, Plain]
    tree: Mapping
    origins: dict[str, Origin]
    machine: dict[str, str]
    lineage: dict[str, RunReference] = field(default_factory=dict)

    @property
    def hash(self) -> str:
        """Names the exact config: the same values give the same hash, whatever the order or comments."""
        return _digest(self.values)

    @property
    def group(self) -> str:
        """Names the config without seeds, names and where it is recorded: runs of one group are repeats.

        A reference to a run counts as it is written, so that a chain of stages can be repeated.
        """
        values: dict[str, Plain] = json.loads(json.dumps(self.values))
        for path, reference in self.lineage.items():
            _put(values, path, reference.written)
        return _digest(_without_seeds({k: v for k, v in values.items() if k not in _NOT_IN_GROUP}))

    def history(self, path: str) -> list[tuple[Plain, Origin]]:
        """Return every value that was given for a leaf, the winner first."""
        node = find(self.tree, path)
        given = [] if node is None else [node, *node.beaten]
        written = [(plain(n), n.origin) for n in given]
        if self.origins[path].kind == "machine":
            written.insert(0, (_at(self.values, path), self.origins[path]))
        if written and (declared := _declared_default(self, path)) is not None:
            written.append(declared)
        return written or [(_at(self.values, path), self.origins[path])]

    def on_machine(self, machine: Machine) -> Resolved:
        """Return the config with each `auto` that depends on the machine resolved for this one."""
        changed: dict[str, tuple[Plain, Origin]] = {}
        device = machine.device
        for path, kind in sorted(self.machine.items(), key=lambda item: item[1] != "device"):
            if kind == "device" and _at(self.values, path) != "auto":
                device = str(_at(self.values, path)).partition(":")[0]
            if _at(self.values, path) != "auto":
                continue
            value: Plain = device if kind == "device" else device == "cuda" and machine.has_bf16
            changed[path] = value, Origin("machine", machine.summary)
        values: dict[str, Plain] = json.loads(json.dumps(self.values))
        for path, (value, _) in changed.items():
            _put(values, path, value)
        origins = {**self.origins, **{path: origin for path, (_, origin) in changed.items()}}
        return replace(self, values=values, origins=origins, machine={})


def resolve(
    file: Path,
    *,
    lookup: Lookup,
    project: Project,
    flags: Sequence[str] = (),
    environ: Environ[str, str],
    find_run: FindRun | None = None,
    above: Layer | None = None,
) -> Resolved:
    """Compose, check and freeze the config of an experiment.

    Args:
        file: The experiment file.
        lookup: Finds the config class of a component.
        project: Whose `experiments/default.yaml` stands below the file.
        flags: Words of the command line that set values.
        environ: The environment; `LLM_<SECTION>__<FIELD>` sets values.
        find_run: Resolves `${run:…}`.
        above: A layer over all others, for what a command itself sets.

    Raises:
        ConfigError: Every mistake, at once.
    """
    layers, problems = _layers(file, project, flags, environ)
    tree = replace(_merged([*layers, above] if above else layers), origin=Origin("file", shown_path(file)))
    filled = interpolate(tree, environ, find_run)
    problems += filled.problems
    schema = _schema(filled.tree, lookup, problems)
    if schema is None:
        raise ConfigError(problems)
    checked = validate(schema, filled.tree, lookup)
    # A reference that failed is still text: what the schema says of it would only repeat the first problem.
    problems += [p for p in checked.problems if p.origin not in filled.failed]
    if problems or checked.config is None:
        raise ConfigError(problems)
    return _freeze(checked.config, filled.tree, lookup, filled.runs)


def resolve_flags(schema: type[Config], flags: Sequence[str], *, lookup: Lookup) -> Resolved:
    """Check and freeze a config that is given by flags alone, for runs that have no experiment file.

    Raises:
        ConfigError: Every mistake, at once.
    """
    tree = _merged(flag_layers(flags))
    checked = validate(schema, tree, lookup)
    if checked.config is None:
        raise ConfigError(checked.problems)
    return _freeze(checked.config, tree, lookup, {})


def load_static(file: Path) -> Mapping:
    """Read a file and its `extends` parents as written: no schema, no references, nothing executed.

    Raises:
        ConfigError: A file is missing or not readable as config.
    """
    return _merged(_file_layers(file))


def _merged(layers: Sequence[Layer]) -> Mapping:
    # Over an empty section, so that `key+:` and `~delete` mean something in the lowest layer too.
    return functools.reduce(merge, (layer.tree for layer in layers), empty(Origin("default", "")))


def _layers(
    file: Path, project: Project, flags: Sequence[str], environ: Environ[str, str]
) -> tuple[list[Layer], list[Problem]]:
    problems: list[Problem] = []
    layers: list[Layer] = []
    default = project.root / _DEFAULT_FILE
    user = platformdirs.user_config_path("burnish") / "user.yaml"
    files = [path for path in (default, user) if path.is_file()] + [file]
    sources: list[Callable[[], list[Layer]]] = [
        *(functools.partial(_file_layers, path) for path in files),
        lambda: env_layers(environ),
        lambda: flag_layers(flags),
    ]
    unread = False
    for number, read in enumerate(sources):
        try:
            layers += read()
        except ConfigError as error:
            problems += error.problems
            unread = unread or number < len(files)
    if unread:  # what the schema would miss may well stand in that file
        raise ConfigError(problems)
    return layers, problems


def _file_layers(file: Path) -> list[Layer]:
    """Return a file's layer with those that it extends before it; one that two of them extend stands lowest."""
    return list(_with_parents(file, (), {}).values())


def _with_parents(
    file: Path, below: tuple[Path, ...], read: dict[Path, Layer], wanted_by: Origin | None = None
) -> dict[Path, Layer]:
    shown = shown_path(file)
    here = file.resolve()
    if here in below:
        circle = " → ".join(shown_path(path) for path in (*below[below.index(here) :], here))
        raise ConfigError([Problem(f"files extend each other in a circle: {circle}", str(wanted_by))])
    if here in read:
        return read
    tree = _read(file, shown, wanted_by)
    parents = tree.items.get("extends", ListNode((), tree.origin))
    for name in parents.items if isinstance(parents, ListNode) else (parents,):
        if not isinstance(name, Scalar) or not isinstance(name.value, str):
            raise ConfigError([Problem("extends takes a file name or a list of them", str(name.origin))])
        _with_parents(file.parent / name.value, (*below, here), read, name.origin)
    own = {key: node for key, node in tree.items.items() if key != "extends"}
    read[here] = Layer(shown, replace(tree, items=own))
    return read


def _read(file: Path, shown: str, wanted_by: Origin | None) -> Mapping:
    try:
        content = file.read_bytes()
    except OSError as error:
        near = _near_files(file)
        hint = f"did you mean {near}?" if near else ""
        what = "no such file" if isinstance(error, FileNotFoundError) else f"cannot read: {error.strerror}"
        origin = str(wanted_by) if wanted_by is not None else ""
        raise ConfigError([Problem(f"{what}: {shown}", origin, hint)]) from error
    if file.suffix in (".toml", ".py"):
        raise ConfigError([Problem(f"config files are YAML; {file.suffix} is not read yet", shown)])
    node = parse_yaml(content, shown)
    if not isinstance(node, Mapping):
        raise ConfigError([Problem("a config file holds keys and values", str(node.origin))])
    return node


def _near_files(file: Path) -> str:
    try:
        names = [p.name for p in file.parent.iterdir() if p.suffix in (".yaml", ".yml")]
    except OSError:
        return ""
    best = nearest(file.name, names)
    return shown_path(file.parent / best) if best else ""


def _schema(tree: Mapping, lookup: Lookup, problems: list[Problem]) -> type[Config] | None:
    node = tree.items.get("experiment")
    if not isinstance(node, Scalar) or not isinstance(node.value, str):
        origin = node.origin if node is not None else tree.origin
        where = str(origin) if origin.source else ""
        problems.append(Problem("missing key 'experiment'", where, _choices(lookup)))
        return None
    try:
        return lookup("experiments", node.value)
    except ComponentError as error:
        problems.append(Problem(error.message, str(node.origin), error.hint))
        return None


def _choices(lookup: Lookup) -> str:
    """Return what a registry says of the experiments that there are."""
    try:
        lookup("experiments", "")
    except ComponentError as error:
        return error.hint
    return ""


def _freeze(config: Config, tree: Mapping, lookup: Lookup, runs: dict[str, RunReference]) -> Resolved:
    values = config.model_dump(mode="json")
    complete = _as_tree(values)
    origins: dict[str, Origin] = {}
    machine: dict[str, str] = {}
    declared = {f.path: f for f in fields_of(type(config), complete, lookup)}
    for path, _ in leaves(complete):
        node = _nearest_written(tree, path)
        found = declared.get(path)
        if found is not None and found.name != "name" and find(tree, path) is None:
            node = None  # `model: gpt` says the component's name; its other fields are defaults
        if node is not None:
            origins[path] = node.origin
        else:
            owner = found or declared.get(path.split(".")[0])
            origins[path] = default_origin(owner.owner, owner.name) if owner else Origin("default", path)
        extra = found.owner.model_fields[found.name].json_schema_extra if found else None
        if isinstance(extra, dict) and "machine" in extra:
            machine[path] = str(extra["machine"])
    return Resolved(config, values, tree, origins, machine, runs)


def _nearest_written(tree: Mapping, path: str) -> Node | None:
    """Return the node at a path, or the leaf above it when the schema turned one value into several."""
    parts = path.split(".")
    for size in range(len(parts), 0, -1):
        node = find(tree, ".".join(parts[:size]))
        if node is not None:
            return None if isinstance(node, Mapping) and size < len(parts) else node
    return None


def _declared_default(resolved: Resolved, path: str) -> tuple[Plain, Origin] | None:
    section: object = resolved.config
    *parents, name = path.split(".")
    for parent in parents:
        section = getattr(section, parent, None)
    if not isinstance(section, Config) or name not in type(section).model_fields:
        return None
    kind = type(section)
    if kind.model_fields[name].is_required():
        return None
    default = kind.model_fields[name].get_default(call_default_factory=True)
    return default, default_origin(kind, name)


def _as_tree(values: Plain) -> Mapping:
    """Return plain values as a tree without origins."""

    def node(value: Plain) -> Node:
        if isinstance(value, dict):
            return Mapping({key: node(item) for key, item in value.items()}, nowhere)
        if isinstance(value, list):
            return ListNode(tuple(node(item) for item in value), nowhere)
        return Scalar(value, nowhere)

    nowhere = Origin("default", "")
    tree = node(values)
    assert isinstance(tree, Mapping)
    return tree


def _at(values: Plain, path: str) -> Plain:
    for key in path.split("."):
        if isinstance(values, list):
            values = values[int(key)]
        elif isinstance(values, dict):
            values = values[key]
    return values


def _put(values: dict[str, Plain], path: str, value: Plain) -> None:
    *parents, name = path.split(".")
    section: Plain = values
    for key in parents:
        section = section[key] if isinstance(section, dict) else section
    if isinstance(section, dict):
        section[name] = value


def _without_seeds(value: Plain) -> Plain:
    if isinstance(value, dict):
        return {key: _without_seeds(item) for key, item in value.items() if key != "seed"}
    return [_without_seeds(item) for item in value] if isinstance(value, list) else value


def _digest(value: Plain) -> str:
    text = json.dumps(value, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


__all__ = ["Resolved", "load_static", "resolve", "resolve_flags"]
