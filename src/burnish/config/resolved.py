"""A config that is resolved: its values, where each came from, and what still waits for the machine."""

from __future__ import annotations

from collections.abc import Container, Sequence
from collections.abc import Mapping as Environ
from copy import deepcopy
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING

from burnish.config.check import Checked, validate
from burnish.config.fields import Field, Lookup, SmartKind, shape
from burnish.config.fit import default_tree
from burnish.config.freeze import Frozen, digest, freeze, secret_texts, without_seeds
from burnish.config.interpolate import RunReference
from burnish.config.layer import (
    AUTO,
    Mapping,
    Node,
    Plain,
    Scalar,
    find,
    holder_at,
    leaves,
    losers,
    nested,
    node_of,
    plain,
    value_at,
)
from burnish.config.merge import merge
from burnish.config.origin import Origin
from burnish.config.schema import Config
from burnish.core.errors import ConfigError, Problem

if TYPE_CHECKING:
    from burnish.config.python_layer import PythonLayer
    from burnish.core.hardware import Machine
    from burnish.core.secrets import Masker


@dataclass(frozen=True)
class Resolved:
    """A config that will not change any more, and how each of its values came about.

    Attributes:
        config: The validated config.
        tree: The merged layers; each node holds what it displaced.
        lineage: Runs that values refer to, by path.
        warnings: What whoever starts the run should be told.
        reads: What each Python layer looked at, by file.
    """

    config: Config
    tree: Mapping
    frozen: Frozen = field(repr=False)
    lineage: dict[str, RunReference] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    reads: dict[str, tuple[str, ...]] = field(default_factory=dict)
    environ: Environ[str, str] = field(default_factory=dict, repr=False)
    undecided: Undecided | None = field(default=None, repr=False)

    @property
    def values(self) -> dict[str, Plain]:
        """The config as plain values, defaults included."""
        return self.frozen.values

    @property
    def computed(self) -> dict[str, tuple[Plain, Origin]]:
        """What the schema computes from the values, and from which."""
        return self.frozen.computed

    @cached_property
    def origins(self) -> dict[str, Origin]:
        """Where each leaf of `values` was written."""
        return {path: at.origin if isinstance(at, Field) else at for path, at in self.frozen.origins.items()}

    @property
    def machine(self) -> dict[str, SmartKind]:
        """Leaves that are chosen where the run starts, by path."""
        return self.frozen.smart

    @property
    def is_undecided(self) -> bool:
        """Whether a value waits for the machine."""
        return self.undecided is not None and bool(self.frozen.smart or self.undecided.pending)

    @cached_property
    def masker(self) -> Masker:
        """Knows the credentials of the config, losers too, and of the environment that it was resolved in."""
        return masker_of(self.tree, self.frozen.secret, self.environ)

    @property
    def redacted(self) -> dict[str, Plain]:
        """The values without credentials."""
        values: dict[str, Plain] = self.masker.tree(self.values, "", self.frozen.secret)
        return values

    @property
    def hash(self) -> str:
        """Names the exact config: the same values give the same hash, whatever the order, comments or secrets."""
        return digest(self.redacted)

    @property
    def group(self) -> str:
        """Names the config without seeds, names and where it is recorded: runs of one group are repeats.

        A reference to a run counts as it is written, so that a chain of stages can be repeated.
        """
        values = self.redacted
        for path, reference in self.lineage.items():
            _put(values, path, reference.written)
        return digest(without_seeds(values))

    def history(self, path: str) -> list[tuple[Plain, Origin]]:
        """Return every value that was given for a leaf, the winner first."""
        node = find(self.tree, path)
        lost = [*(node.beaten if node is not None else ()), *losers(self.tree, path)]
        here = node.origin if node is not None else None  # what was appended to stands in the longer list still
        given = ([node] if node is not None else []) + [n for n in lost if n.origin.source and n.origin != here]
        written = [(plain(n), n.origin) for n in given]
        at = self.frozen.origins[path]
        if node is None and written:
            written.insert(0, (value_at(self.values, path), self.origins[path]))
        if not isinstance(at, Field) and at.kind != "default" and (declared := self._default(path)) is not None:
            written += [declared] if not written or written[-1][1] != declared[1] else []
        return written or [(value_at(self.values, path), self.origins[path])]

    def on_machine(self, machine: Machine, environ: Environ[str, str] | None = None) -> Resolved:
        """Return the config with what depends on the machine resolved for this one.

        Raises:
            ConfigError: What was chosen breaks a rule, or a Python layer's `on_machine` fails.
        """
        return self.undecided.decide(self, machine, environ or {}) if self.undecided is not None else self

    def _default(self, path: str) -> tuple[Plain, Origin] | None:
        section: object = self.config
        holder: Field | None = None
        *parents, name = path.split(".")
        for parent in parents:
            is_list = isinstance(section, list) and parent.isdecimal()
            holder = shape(type(section)).get(parent) if isinstance(section, Config) else None
            section = section[int(parent)] if is_list else getattr(section, parent, None)  # type: ignore[index]
        declared = shape(type(section)).get(name) if isinstance(section, Config) else None
        node = default_tree(declared) if declared is not None else None
        if name == "name" and holder is not None and holder.holds is not None:  # which component: its holder says
            stated = default_tree(holder)
            node = find(stated, "name") if stated is not None else None
        return (plain(node), node.origin) if node is not None else None


@dataclass(frozen=True, slots=True)
class Undecided:
    """What it takes to resolve what depends on the machine, later and elsewhere."""

    schema: type[Config]
    lookup: Lookup
    prefix: str
    pending: dict[str, PythonLayer]
    python: tuple[PythonLayer, ...]

    def check(self, tree: Mapping) -> Checked:
        """Check a tree without what waits for the machine."""
        for path in self.pending:
            node = find(tree, path)
            if isinstance(node, Scalar) and node.value == AUTO:
                tree = merge(tree, nested(path, Scalar("~delete", node.origin)))
        return validate(self.schema, tree, self.lookup, prefix=self.prefix)

    def freeze(self, config: Config, tree: Mapping) -> Frozen:
        """Return the values, `auto` for what waits for the machine."""
        frozen = freeze(config, tree)
        for path in self.pending:
            _put(frozen.values, path, AUTO)
        return frozen

    def decide(self, resolved: Resolved, machine: Machine, environ: Environ[str, str]) -> Resolved:
        """Return the config for a machine, checked again.

        Raises:
            ConfigError: What was chosen breaks a rule, or a Python layer's `on_machine` fails.
        """
        tree = resolved.tree
        values = deepcopy(resolved.values) if self.pending else resolved.values
        for layer in dict.fromkeys(self.pending.values()):
            given = layer.on_machine(Final(resolved.values), as_tree(resolved.values), machine)
            for path, node in leaves(given):
                if self.pending.get(path) is layer:
                    tree = merge(tree, nested(path, node))
                    _put(values, path, plain(node))
        from burnish.config.smart import choose

        choices = choose(
            resolved.machine,
            lambda path: value_at(values, path),
            lambda path: _is_written(resolved.tree, path),
            machine,
            environ,
        )
        for path, (value, origin) in choices.values.items():
            tree = merge(tree, nested(path, node_of(value, origin)))
        if tree is resolved.tree:
            return replace(resolved, undecided=None)
        decided = replace(self, pending={})
        try:
            config = decided.checked(tree)
        except ConfigError as error:
            raise masked(error, resolved.masker) from error
        warnings = (*resolved.warnings, *choices.warnings)
        return replace(
            resolved, config=config, tree=tree, frozen=freeze(config, tree), warnings=warnings, undecided=None
        )

    def checked(self, tree: Mapping, problems: Sequence[Problem] = (), failed: frozenset[str] = frozenset()) -> Config:
        """Return the validated config, its Python layers asked too.

        Raises:
            ConfigError: Every mistake, those that are known already first.
        """
        checked = self.check(tree)
        # A reference that failed is still text: what the schema says of it would only repeat the first problem.
        told = [*problems, *(p for p in checked.problems if p.origin not in failed)]
        if checked.config is not None and self.python and not told and not self.pending:
            frozen = self.freeze(checked.config, tree)
            if not any(value_at(frozen.values, path) == AUTO for path in frozen.smart):  # else once it is decided
                told += self.found_by_python(frozen)
        if told or checked.config is None:
            raise ConfigError(told or checked.problems)
        return checked.config

    def found_by_python(self, frozen: Frozen) -> list[Problem]:
        """Return what the `check` functions of Python layers find wrong."""
        told: list[Problem] = []
        for layer in self.python:
            try:
                found = layer.check(Final(frozen.values), as_tree(frozen.values))
            except ConfigError as error:
                told += error.problems
                continue
            for path, message in found:
                at = frozen.origins.get(path)
                place = str(at.origin if isinstance(at, Field) else at) if at is not None else layer.file.name
                told.append(Problem(f"{path}: {message}", place, f"checked by {layer.file.name}"))
        return told


def masker_of(tree: Mapping, secret: Container[str], environ: Environ[str, str]) -> Masker:
    """Return what knows the credentials of a tree and of an environment."""
    from burnish.core.secrets import Masker  # a script that only reads its config shows none

    return Masker.from_environment(environ, tuple(secret_texts(tree, secret)))


def masked(error: ConfigError, masker: Masker) -> ConfigError:
    """Return what is wrong without credentials, which a value or an exception's text may quote."""
    told = [Problem(masker.text(p.message), masker.text(p.origin), masker.text(p.hint)) for p in error.problems]
    return ConfigError(told)


@dataclass(frozen=True, slots=True)
class Final:
    """Answers a Python layer's questions about a config that is resolved."""

    values: dict[str, Plain]

    def node(self, path: str) -> Node | None:
        """Return what stands at a path."""
        return find(as_tree(self.values), path)


def as_tree(values: Plain) -> Mapping:
    """Return plain values as a tree without origins."""
    tree = node_of(values, Origin("default", ""))
    assert isinstance(tree, Mapping)
    return tree


def _is_written(tree: Mapping, path: str) -> bool:
    node = find(tree, path)
    return node is not None and node.origin.kind != "default"


def _put(values: dict[str, Plain], path: str, value: Plain) -> None:
    *parents, name = path.split(".")
    section = holder_at(values, parents)
    if isinstance(section, dict):
        section[name] = value
    elif isinstance(section, list):
        section[int(name)] = value
