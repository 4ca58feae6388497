"""From what people wrote to one frozen config: layers, merge, references, schema, with an origin for every value.

Precedence, high to low: flags > environment > experiment file (its `extends` parents below it) > user file >
project `experiments/default.yaml` > schema defaults.
"""

from __future__ import annotations

from collections.abc import Mapping as Environ
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from burnish.config.fields import Lookup, fields_of, shown_path
from burnish.config.fit import default_at, field_at, fit
from burnish.config.freeze import freeze
from burnish.config.interpolate import FindRun, References, RunReference, interpolate
from burnish.config.layer import AUTO, Layer, Mapping, Node, Scalar, find
from burnish.config.layers import (
    Composition,
    FrozenLayer,
    assembled,
    compose_layers,
    flag_aliases,
    merged,
    name_layer,
    read_sources,
)
from burnish.config.origin import Origin
from burnish.config.resolved import Resolved, Undecided, as_tree, masked, masker_of
from burnish.config.schema import Config
from burnish.config.sources.env import PREFIX
from burnish.config.sources.files import FileLayer, read_files, static_tree
from burnish.config.sources.flags import flag_layers
from burnish.core.environment import find_data
from burnish.core.errors import ComponentError, ConfigError, Problem
from burnish.core.paths import Project

if TYPE_CHECKING:
    from burnish.config.python_layer import PythonLayer


def resolve(
    file: Path | FrozenLayer,
    *,
    lookup: Lookup,
    project: Project,
    flags: Sequence[str] = (),
    environ: Environ[str, str],
    find_run: FindRun | None = None,
    above: Sequence[Layer] = (),
    schema: type[Config] | None = None,
) -> Resolved:
    """Compose, check and freeze the config of an experiment.

    Args:
        file: The experiment file; or a layer that was frozen before, over which only flags go.
        lookup: Finds the config class of a component.
        project: Whose `experiments/default.yaml` stands below the file.
        flags: Words of the command line that set values.
        environ: The environment; `LLM_<SECTION>__<FIELD>` sets values.
        find_run: Resolves `${run:…}`.
        above: Layers over all others, for what a command itself sets.
        schema: What the config is checked against; by default what its `experiment` names. With it, neither project
            defaults nor the user's file stand below.

    Raises:
        ConfigError: Every mistake, at once.
    """
    problems: list[Problem] = []
    references = References(environ, find_run, lambda name: find_data(name, environ, project))
    try:
        composed = compose_layers(file, lookup, project, flags, environ, references, above, schema, problems)
    except ConfigError as error:
        raise masked(error, masker_of(as_tree({}), (), environ)) from error
    shown = file.name if isinstance(file, FrozenLayer) else shown_path(file)
    try:
        resolved = _checked(composed, lookup, project, references, Origin("file", shown), problems)
    except ConfigError as error:
        fields = fields_of(composed.schema, composed.tree, lookup) if composed.schema is not None else ()
        secret = {path for path, found in fields if found.is_secret}
        raise masked(error, masker_of(composed.tree, secret, environ)) from error
    return _with_lineage(resolved, file.lineage) if isinstance(file, FrozenLayer) else resolved


def _with_lineage(resolved: Resolved, lineage: dict[str, RunReference]) -> Resolved:
    """Return a config with the runs that its values refer to, as far as they are still those of the run before."""
    nodes = {path: find(resolved.tree, path) for path in lineage}
    kept = {path: lineage[path] for path, node in nodes.items() if node is not None and node.origin.kind == "run"}
    return replace(resolved, lineage={**kept, **resolved.lineage})


def _checked(
    composed: Composition,
    lookup: Lookup,
    project: Project,
    references: References,
    origin: Origin,
    problems: list[Problem],
) -> Resolved:
    tree = replace(composed.tree, origin=origin)
    schema = composed.schema
    if schema is None:
        problems += interpolate(tree, references).problems
        problems.append(_no_schema(tree, lookup))
        raise ConfigError(problems)
    fitted = fit(schema, tree, lookup)
    default = lambda path: default_at(schema, fitted.tree, path, lookup)  # noqa: E731
    waiting = _pending(composed.python, fitted.tree)

    def is_open(path: str, node: Node) -> bool:
        found = field_at(schema, fitted.tree, path, lookup) if isinstance(node, Scalar) else None
        if found is not None and found.smart in ("batch", "accumulation") and node.origin.kind == "default":
            from burnish.config.smart import switch_of

            switch = find(fitted.tree, switch_of(path))
            return isinstance(switch, Scalar) and switch.value is True
        is_auto = isinstance(node, Scalar) and node.value == AUTO
        return is_auto and (path in waiting or (found is not None and found.smart is not None))

    filled = interpolate(fitted.tree, replace(references, default=default, is_open=is_open))
    undecided = Undecided(
        schema, lookup, project.env_prefix, _pending(composed.python, filled.tree), tuple(composed.python)
    )
    config = undecided.checked(filled.tree, [*problems, *fitted.problems, *filled.problems], frozenset(filled.failed))
    return Resolved(
        config,
        filled.tree,
        undecided.freeze(config, filled.tree),
        filled.runs,
        (*composed.warnings, *fitted.warnings),
        {layer.file.name: layer.reads for layer in composed.python},
        references.environ,
        undecided,
    )


def _pending(python: Sequence[PythonLayer], tree: Mapping) -> dict[str, PythonLayer]:
    """Return the values that a Python layer gives where the run starts, as far as nobody above it has set them."""
    found: dict[str, PythonLayer] = {}
    for layer in python:
        for path in layer.machine:
            node = find(tree, path)
            if isinstance(node, Scalar) and node.value == AUTO and node.origin.source == layer.file.name:
                found[path] = layer
    return found


def static_experiment(file: Path, project: Project, lookup: Lookup) -> tuple[type[Config], Mapping]:
    """Return the config class that a file names and its tree in that class's terms; nothing is executed.

    Raises:
        ConfigError: A file cannot be read, or none names an experiment.
    """
    problems: list[Problem] = []
    sources, unread = read_sources(file, project, problems)
    if unread:
        raise ConfigError(problems)
    layers = [source.layer for source in sources if isinstance(source, FileLayer)]
    tree = replace(merged(layers, problems), origin=Origin("file", shown_path(file)))
    schema = experiment_class(tree, lookup)
    return schema, fit(schema, assembled(schema, layers, lookup, problems)[0], lookup).tree


def experiment_class(tree: Mapping, lookup: Lookup) -> type[Config]:
    """Return the config class that a file as written names.

    Raises:
        ConfigError: It names none.
    """
    node = tree.items.get("experiment")
    try:
        found = lookup("experiments", str(node.value)) if isinstance(node, Scalar) else None
    except ComponentError:
        found = None
    if found is None or not issubclass(found, Config):
        raise ConfigError([_no_schema(tree, lookup)])
    return found


def _no_schema(tree: Mapping, lookup: Lookup) -> Problem:
    node = tree.items.get("experiment")
    where = str(node.origin) if node is not None else str(tree.origin) if tree.origin.source else ""
    try:
        name = str(node.value) if isinstance(node, Scalar) and isinstance(node.value, str) else ""
        lookup("experiments", name)
    except ComponentError as error:
        if node is None:
            return Problem("missing key 'experiment'", where, error.hint)
        what = (
            error.message
            if isinstance(node, Scalar) and isinstance(node.value, str)
            else "experiment: should be a name"
        )
        return Problem(what, where, error.hint)
    return Problem("missing key 'experiment'", where)


def resolve_flags(
    schema: type[Config],
    flags: Sequence[str],
    *,
    lookup: Lookup,
    environ: Environ[str, str] | None = None,
    prefix: str = PREFIX,
) -> Resolved:
    """Check and freeze a config that is given by flags, for runs that have no experiment file.

    Of the environment, only what names a run counts: its other variables set values of experiments.

    Raises:
        ConfigError: Every mistake, at once.
    """
    variables = environ or {}
    problems: list[Problem] = []
    named = [layer for layer in (name_layer(variables, prefix, schema),) if layer is not None]
    layers = [*named, *flag_layers(flags, flag_aliases(schema, None, lookup), problems)]
    tree = fit(schema, assembled(schema, layers, lookup, problems)[0], lookup).tree
    undecided = Undecided(schema, lookup, prefix, {}, ())
    config = undecided.checked(tree, problems)
    return Resolved(config, tree, freeze(config, tree), environ=variables, undecided=undecided)


def load_static(file: Path) -> Mapping:
    """Read a file and its `extends` parents as written: no schema, no references, nothing executed.

    Raises:
        ConfigError: A file is missing or not readable as config.
    """
    return static_tree(read_files(file))
