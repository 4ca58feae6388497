"""Which layers a config is made of, lowest first, and the tree that they merge into."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from collections.abc import Mapping as Environ
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import BaseModel

from burnish.config.fields import Lookup, fields_of, shape, shown_path
from burnish.config.fit import default_at, default_lists, fit, renames, with_new_names
from burnish.config.interpolate import References, RunReference, follow
from burnish.config.layer import Layer, Mapping, Node, Scalar, empty, find
from burnish.config.merge import merge
from burnish.config.origin import Origin
from burnish.config.schema import Config
from burnish.config.sources.env import env_layers, env_name, env_path
from burnish.config.sources.files import FileLayer, Source, read_files, with_paths
from burnish.config.sources.flags import flag_layers, is_flag, is_text, split_flags
from burnish.config.sources.python import PythonFile
from burnish.core.environment import VARIABLES, experiment_name
from burnish.core.errors import ComponentError, ConfigError, Problem
from burnish.core.paths import Project

if TYPE_CHECKING:
    from burnish.config.python_layer import PythonLayer

_DEFAULTS = ("default.yaml", "default.yml", "default.toml", "default.py")
_USER = ("user.yaml", "user.yml", "user.toml")


@dataclass(slots=True)
class Composition:
    """The merged layers.

    Attributes:
        schema: What the config is checked against; None where nothing names it.
        tree: All layers, merged.
        python: The Python layers that were executed.
        warnings: What whoever starts the run should be told.
    """

    schema: type[Config] | None
    tree: Mapping
    python: list[PythonLayer] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class FrozenLayer(Layer):
    """A config that was resolved before: its values are final, whatever they look like, and only flags go over it.

    Attributes:
        lineage: Runs that its values refer to, by path.
    """

    lineage: dict[str, RunReference] = field(default_factory=dict)


def compose_layers(
    file: Path | FrozenLayer,
    lookup: Lookup,
    project: Project,
    flags: Sequence[str],
    environ: Environ[str, str],
    references: References,
    above: Sequence[Layer],
    schema: type[Config] | None,
    problems: list[Problem],
) -> Composition:
    """Read and merge every layer.

    Raises:
        ConfigError: A file cannot be read: what the schema would miss may well stand in it.
    """
    prefix = project.env_prefix
    sources, unread = read_sources(file, project, problems, only_file=schema is not None)
    is_frozen = isinstance(file, FrozenLayer)
    variables = [] if is_frozen else env_layers(environ, prefix, problems)
    if unread:
        flag_layers(flags, {}, problems)
        raise ConfigError(problems)
    files = [source.layer for source in sources if isinstance(source, FileLayer)]
    kind = schema or _schema([*files, *variables], flags, lookup, references)
    composed = Composition(kind, empty(Origin("default", "")))
    layers = _executed(sources, composed, lookup, references, problems)
    if kind is None and composed.python:
        kind = composed.schema = _schema([*layers, *variables], flags, lookup, references)
    if kind is not None:
        composed.warnings += _idle_variables(environ, prefix, kind, is_frozen=is_frozen)
        named = name_layer(environ, prefix, kind) if not is_frozen else None
        layers += [named] if named is not None else []
    aliases = _aliases(kind, layers, flags, lookup)
    layers += [*variables, *flag_layers(flags, aliases, problems), *above]
    composed.tree, warnings = assembled(kind, layers, lookup, problems, is_frozen=is_frozen)
    composed.warnings += warnings
    return composed


def assembled(
    schema: type[Config] | None,
    layers: Sequence[Layer],
    lookup: Lookup,
    problems: list[Problem],
    *,
    is_frozen: bool = False,
) -> tuple[Mapping, list[str]]:
    """Return layers, lowest first, as one tree in the terms of a class, and warnings of old names."""
    told: list[Problem] = []
    warnings: list[str] = []
    tree = merged(layers, told, is_frozen=is_frozen)
    if schema is not None:
        if moved := renames(schema, tree, lookup):
            renamed = [with_new_names(layer, moved) for layer in layers]
            layers = [layer for layer, _ in renamed]
            warnings = [text for _, told_of in renamed for text in told_of]
            told.clear()
            tree = merged(layers, told, is_frozen=is_frozen)
        if not is_frozen and (below := default_lists(schema, tree, layers, lookup)) is not None:
            told.clear()
            tree = merged([Layer("default", below), *layers], told)
    problems += told
    return tree, warnings


def merged(layers: Sequence[Layer], problems: list[Problem], *, is_frozen: bool = False) -> Mapping:
    """Return layers, lowest first, as one tree; in a frozen lowest layer `key+:` and `~delete` mean nothing."""
    tree = layers[0].tree if is_frozen else empty(Origin("default", ""))
    for layer in layers[is_frozen:]:
        tree = merge(tree, layer.tree, problems)
    return tree


def read_sources(
    file: Path | FrozenLayer, project: Project, problems: list[Problem], *, only_file: bool = False
) -> tuple[list[Source], bool]:
    """Return the files, lowest first, and whether one could not be read."""
    if isinstance(file, FrozenLayer):
        return [FileLayer(Path(), file, Mapping({}, file.tree.origin))], False
    below: list[Path] = []
    if not only_file:
        import platformdirs

        user = platformdirs.user_config_path("burnish")
        below = [*_one_of(project.root / "experiments", _DEFAULTS, problems), *_one_of(user, _USER, problems)]
    found: list[Source] = []
    unread = False
    for path in (*below, file):
        try:
            read = read_files(path, problems)
            found += read
            swept = [s for s in read if isinstance(s, FileLayer) and s.sweep.items and path != file]
            problems += [Problem("a sweep stands in experiment files only", s.layer.name) for s in swept]
        except ConfigError as error:
            problems += error.problems
            unread = True
    return found, unread


def _one_of(folder: Path, names: Sequence[str], problems: list[Problem]) -> list[Path]:
    found = [folder / name for name in names if (folder / name).is_file()]
    if len(found) > 1:
        both = " and ".join(shown_path(path) for path in found)
        problems.append(Problem(f"{both} both exist", hint="keep one of them"))
    return found[:1]


def _schema(
    layers: Sequence[Layer], flags: Sequence[str], lookup: Lookup, references: References
) -> type[Config] | None:
    """Return the config class that the highest layer's `experiment` names, None where there is no such class."""
    typed = [flag.text for flag in split_flags(flags, {}, []) if flag.path == "experiment"]
    name: Node | None = Scalar(typed[-1], Origin("flag", "--experiment")) if typed else None
    for layer in reversed(layers):
        name = name or layer.tree.items.get("experiment")
    try:
        name = follow(Mapping({}, Origin("default", "")), name, "experiment", references) if name else None
        found = lookup("experiments", name.value) if isinstance(name, Scalar) and isinstance(name.value, str) else None
    except (ComponentError, ConfigError):
        return None
    return found if found is not None and issubclass(found, Config) else None


def _executed(
    sources: Sequence[Source], composed: Composition, lookup: Lookup, references: References, problems: list[Problem]
) -> list[Layer]:
    """Return the files as layers; Python files are executed in their turn, over what stands below them."""
    layers: list[Layer] = []
    for source in sources:
        if isinstance(source, PythonFile):
            from burnish.config.python_layer import execute  # few projects have one

            try:
                tree = _as_seen(layers, composed.schema, lookup)
                ran = execute(source, _Below(tree, composed.schema, lookup, references), tree)
            except ConfigError as error:
                problems += error.problems
                continue
            composed.python.append(ran)
            layer = ran.layer
        else:
            layer = source.layer
        layers += with_paths(layer, problems)
    return layers


def _as_seen(layers: Sequence[Layer], schema: type[Config] | None, lookup: Lookup) -> Mapping:
    """Return layers as a Python layer above them sees them: in the terms of the class, mistakes told elsewhere."""
    tree, _ = assembled(schema, layers, lookup, [])
    return fit(schema, tree, lookup).tree if schema is not None else tree


@dataclass(frozen=True, slots=True)
class _Below:
    """What stands below a Python layer."""

    tree: Mapping
    schema: type[BaseModel] | None
    lookup: Lookup
    references: References

    def node(self, path: str) -> Node | None:
        """Return what stands at a path, references followed and the schema's default where nobody wrote one."""
        found = find(self.tree, path) or self.default(path)
        return follow(self.tree, found, path, replace(self.references, default=self.default)) if found else None

    def default(self, path: str) -> Node | None:
        return default_at(self.schema, self.tree, path, self.lookup) if self.schema is not None else None


def name_layer(environ: Environ[str, str], prefix: str, schema: type[Config]) -> Layer | None:
    """Return what `LLM_EXPERIMENT_NAME` sets: the run's name and group."""
    text = experiment_name(environ, prefix)
    origin = Origin("env", f"{prefix}EXPERIMENT_NAME")
    if not is_text(text):
        raise ConfigError([Problem("a byte that is not UTF-8", str(origin))])
    value = Scalar(text, origin, text)
    sets: dict[str, Node] = {key: value for key in ("name", "group") if key in shape(schema) and text}
    return Layer(str(origin), Mapping(sets, origin, dict.fromkeys(sets, origin))) if sets else None


def _idle_variables(environ: Environ[str, str], prefix: str, schema: type[Config], *, is_frozen: bool) -> Iterator[str]:
    """Yield warnings of variables that set nothing though they look as if they did."""
    for name in sorted(environ):
        rest = name.removeprefix(prefix)
        sets = name.startswith(prefix) and (rest == "EXPERIMENT_NAME" or env_path(name, prefix) is not None)
        if sets and is_frozen:
            yield f"{name} sets nothing: the config of a run is frozen; set it by a flag"
        if sets or not name.startswith(prefix) or not rest or rest in VARIABLES:
            continue
        if rest.lower() in shape(schema):
            yield f"{name} sets nothing; a top-level key is set by {env_name(rest.lower(), prefix)}"
        elif (meant := _almost(rest)) is not None:
            yield f"{name} sets nothing; did you mean {prefix}{meant}?"


def _almost(name: str) -> str | None:
    """Return the variable that a misspelt one stands for; the prefix may be others' too, so only a near miss counts."""
    import difflib

    close = difflib.get_close_matches(name, VARIABLES, n=1, cutoff=0.8)
    return close[0] if close else None


def _aliases(
    schema: type[Config] | None, layers: Sequence[Layer], flags: Sequence[str], lookup: Lookup
) -> dict[str, str]:
    """Return the flags that fields declare for themselves, if any word asks for one."""
    if schema is None or not any(is_flag(word) and _may_be_alias(word, schema) for word in flags):
        return {}
    tree = merged(layers, [])
    return flag_aliases(schema, tree, lookup)


def _may_be_alias(word: str, schema: type[Config]) -> bool:
    name = word.partition("=")[0]
    return not name.startswith("--") or ("." not in name and name[2:] not in shape(schema))


def flag_aliases(schema: type[BaseModel], tree: Mapping | None, lookup: Lookup) -> dict[str, str]:
    """Return the flags that fields declare for themselves, and the paths that they set.

    Raises:
        ConfigError: Two fields declare the same one.
    """
    found: dict[str, str] = {}
    for path, declared in fields_of(schema, tree, lookup):
        for flag in declared.flags:
            if found.setdefault(flag, path) != path:
                raise ConfigError(
                    [Problem(f"flag {flag} is declared by {found[flag]} and {path}", str(declared.origin))]
                )
    return found
